// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ending transfers of the queue early: one after the other, of those to one
 * target the newest first, so that each is told of its own end. The lock is given
 * back after so many steps, each of which takes hardly longer with a million
 * transfers queued than with ten.
 */
#include <linux/sched/signal.h>

#include "cancel.h"
#include "context.h"
#include "mark.h"
#include "stream.h"
#include "submitter.h"
#include "transfer.h"

/* Steps under the lock in one go. */
#define PIECE	64

/**
 * struct walk - a cancellation under way
 * @context:   whose transfers are cancelled
 * @cancelled: taken off their queues, and to be ended without the lock
 * @nr:        how many were picked
 * @user_data: which ones, for step_user_data()
 * @key:       ditto, for step_stream(): of the next one
 * @of:        of the next submitter to that one
 * @last:      of the last one
 * @submitter: whose, or NULL: everybody's
 * @knows:     which submitter's program says that it knows of what ends here, or
 *             NULL
 * @forget:    targets that failed are nothing to remember any more
 * @gone:      marks of such targets, to be freed without the lock
 */
struct walk {
	struct zcopy_context *context;
	struct list_head cancelled;
	unsigned int nr;
	u64 user_data;
	unsigned long key;
	unsigned long of;
	unsigned long last;
	const struct zcopy_submitter *submitter;
	const struct zcopy_submitter *knows;
	bool forget;
	struct list_head gone;
};

static void pick(struct walk *walk, struct zcopy_xfer *xfer)
{
	if (walk->knows == xfer->submitter)
		xfer->known = true;
	zcopy_stream_cancel(xfer, &walk->cancelled);
	walk->nr++;
}

/*
 * Go from step to step until one says that it was the last. Transfers that are
 * submitted meanwhile may be picked too; where others go on submitting, a caller
 * who is killed has done enough, unless it must be done to the end.
 */
static unsigned int go(struct walk *walk, bool (*step)(struct walk *walk),
		       bool to_the_end)
{
	struct zcopy_context *context = walk->context;
	bool more = true;

	INIT_LIST_HEAD(&walk->cancelled);
	INIT_LIST_HEAD(&walk->gone);
	while (more && (to_the_end || !fatal_signal_pending(current))) {
		unsigned int i;

		spin_lock(&context->lock);
		for (i = 0; more && i < PIECE; i++)
			more = step(walk);
		spin_unlock(&context->lock);
		zcopy_stream_end_cancelled(&walk->cancelled);
		zcopy_mark_free_all(&walk->gone);
		INIT_LIST_HEAD(&walk->gone);
		cond_resched();
	}
	return walk->nr;
}

static bool step_user_data(struct walk *walk)
{
	struct rb_node *node = walk->context->by_user_data.rb_node;
	struct zcopy_xfer *newest = NULL;

	while (node) {
		struct zcopy_xfer *xfer;

		xfer = rb_entry(node, struct zcopy_xfer, by_user_data);
		if (walk->user_data < xfer->result.user_data) {
			node = node->rb_left;
			continue;
		}
		if (walk->user_data == xfer->result.user_data)
			newest = xfer;
		node = node->rb_right;
	}
	if (newest)
		pick(walk, newest);
	return newest;
}

static bool step_stream(struct walk *walk)
{
	const struct zcopy_submitter *submitter;
	struct zcopy_xfer *newest = NULL;
	struct zcopy_stream *stream;

	stream = zcopy_stream_from(walk->context, walk->key, walk->of);
	if (!stream || stream->key > walk->last)
		return false;
	submitter = stream->submitter;
	if (!walk->submitter || walk->submitter == submitter)
		newest = zcopy_stream_newest(stream);
	/* None is left of this one: on to the next. */
	walk->key = stream->key;
	walk->of = (unsigned long)submitter + !newest;
	if (newest) {
		pick(walk, newest);
		return true;
	}
	if (walk->submitter == submitter)
		zcopy_stream_lose_target(stream);
	if (walk->knows == submitter)
		zcopy_stream_acknowledge(stream, &walk->gone);
	else if (walk->forget &&
		 (!walk->submitter || walk->submitter == submitter))
		zcopy_mark_forget(stream, &walk->gone);
	return true;
}

static bool step_wake(struct walk *walk)
{
	struct zcopy_stream *stream;

	stream = zcopy_stream_from(walk->context, walk->key, walk->of);
	if (!stream)
		return false;
	if (walk->submitter == stream->submitter)
		zcopy_stream_wake(stream);
	walk->key = stream->key;
	walk->of = (unsigned long)stream->submitter + 1;
	return true;
}

/* End those whose completions would have this user_data; how many. */
unsigned int zcopy_cancel_user_data(struct zcopy_context *context, u64 user_data)
{
	struct walk walk = { .context = context, .user_data = user_data };

	return go(&walk, step_user_data, false);
}

/*
 * End those to an open file, which the caller has a reference on; how many. If the
 * file failed for @knows, it is as if it had not.
 */
unsigned int zcopy_cancel_target(struct zcopy_context *context,
				 const struct file *target,
				 const struct zcopy_submitter *knows)
{
	struct walk walk = {
		.context = context,
		.knows = knows,
		.key = zcopy_stream_key(target),
		.last = zcopy_stream_key(target),
	};

	return go(&walk, step_stream, false);
}

/* End all; how many. @closing: nobody can submit any more. */
unsigned int zcopy_cancel_all(struct zcopy_context *context, bool closing)
{
	struct walk walk = {
		.context = context,
		.last = ULONG_MAX,
		.forget = closing,
	};

	return go(&walk, step_stream, closing);
}

/* End those of a process that is gone. */
void zcopy_cancel_submitter(struct zcopy_submitter *submitter)
{
	struct walk walk = {
		.context = submitter->context,
		.last = ULONG_MAX,
		.submitter = submitter,
		.forget = true,
	};

	go(&walk, step_stream, true);
}

/* Have the streams of a process look whether they are to end. */
void zcopy_cancel_wake(struct zcopy_submitter *submitter)
{
	struct walk walk = {
		.context = submitter->context,
		.submitter = submitter,
	};

	go(&walk, step_wake, true);
}
