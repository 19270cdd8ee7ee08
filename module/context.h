/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_CONTEXT_H
#define ZCOPY_CONTEXT_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "stats.h"
#include "user.h"

struct zcopy_memory;
struct zcopy_submitter;

/**
 * struct zcopy_context_ops - what is called when something happens to a context
 * @died: a process that submitted is gone, or executes another program: end what
 *        it submitted. Context: process; in this very process, unless it has no
 *        thread any more
 */
struct zcopy_context_ops {
	void (*died)(struct zcopy_submitter *submitter);
};

/**
 * struct zcopy_context - what one open of /dev/zcopy owns
 * @ops:         whom to tell
 * @refs:        the open file, each submitter, flight and read; all together hold
 *               the module
 * @user:        who opened it, and pays for it and its completions; a reference
 * @starver:     has who polls it wait for room below the limits of @user
 * @account:     its counters
 * @memory_lock: guards @memory and @memory_used
 * @memory:      what memory segments are copied to; a reference, or NULL
 * @memory_used: bytes of it that are taken
 * @lock:        guards what is below, and the queues of @streams; process
 *               context, a leaf
 * @submitters:  zcopy_submitter.link
 * @streams:     struct zcopy_stream by target and submitter
 * @marks:       those of @streams that have no transfers and stay for a gap, by
 *               zcopy_stream.ready
 * @nr_marks:    elements of @marks
 * @blind:       ditto, of targets of which nobody can tell whether they are closed
 * @nr_blind:    elements of @blind
 * @by_user_data: struct zcopy_xfer in the queues of @streams, those of equal
 *               user_data in the order of submission
 * @done:        struct zcopy_record whose completions were not read
 * @nr_queued:   transfers of the queue that have not ended
 * @memory_queued: bytes of their memory segments
 * @nr_unread:   elements of @done
 * @closing:     the last descriptor is gone
 * @wait:        who waits for completions, or for room in the queue
 *
 * A call that runs holds the file, so that a context outlives a synchronous
 * transfer. Queued ones are kept by their submitter, which may outlive the file.
 */
struct zcopy_context {
	const struct zcopy_context_ops *ops;
	refcount_t refs;
	struct zcopy_user *user;
	struct zcopy_starver starver;
	struct zcopy_account account;
	struct mutex memory_lock;	/* not while it is copied to */
	struct zcopy_memory *memory;
	unsigned int memory_used;

	spinlock_t lock;		/* the queue */
	struct list_head submitters;
	struct rb_root streams;
	struct list_head marks;
	unsigned int nr_marks;
	struct list_head blind;
	unsigned int nr_blind;
	struct rb_root by_user_data;
	struct list_head done;
	unsigned int nr_queued;
	u64 memory_queued;
	unsigned int nr_unread;
	bool closing;

	wait_queue_head_t wait;
};

struct zcopy_context *
zcopy_context_create(const struct zcopy_context_ops *ops);
void zcopy_context_put(struct zcopy_context *context);

#endif /* ZCOPY_CONTEXT_H */
