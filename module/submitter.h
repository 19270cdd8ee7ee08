/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_SUBMITTER_H
#define ZCOPY_SUBMITTER_H

#include <linux/list.h>
#include <linux/sched/signal.h>

#include "crew.h"
#include "user.h"

struct zcopy_context;

/**
 * struct zcopy_submitter - what a process is to a context
 * @crew:    its workers; its references are the submitter's
 * @context: a reference
 * @user:    who pays: the user that the process was when it came; a reference
 * @starver: has who polls the context wait for room below his limits
 * @link:    in zcopy_context.submitters, with a reference, until the process is
 *           gone or the context closed; under zcopy_context.lock
 * @flying:  zcopy_xfer.link of its transfers that are over and whose release is
 *           waited for; under zcopy_context.lock
 * @dead:    nothing is submitted any more; written under zcopy_context.lock
 * @parted:  the process has closed a descriptor of the context, maybe its last;
 *           set, and never unset, before its streams are woken
 */
struct zcopy_submitter {
	struct zcopy_crew crew;
	struct zcopy_context *context;
	struct zcopy_user *user;
	struct zcopy_starver starver;
	struct list_head link;
	struct list_head flying;
	bool dead;
	bool parted;
};

struct zcopy_submitter *zcopy_submitter_get(struct zcopy_context *context);
struct zcopy_submitter *zcopy_submitter_find(struct zcopy_context *context);
void zcopy_submitter_leave_all(struct zcopy_context *context);

/* Is the process gone, or does the calling thread end with it? */
static inline bool zcopy_submitter_is_over(const struct zcopy_submitter *submitter)
{
	return READ_ONCE(submitter->dead) || fatal_signal_pending(current) ||
	       current->flags & PF_EXITING;
}

static inline void zcopy_submitter_put(struct zcopy_submitter *submitter)
{
	zcopy_crew_put(&submitter->crew);
}

#endif /* ZCOPY_SUBMITTER_H */
