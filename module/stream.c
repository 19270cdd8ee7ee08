// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams: the order of the transfers of a process to one target, how they come
 * into it and leave it early, and what gets a stream going that waits.
 */
#include <linux/poll.h>
#include <linux/slab.h>

#include "context.h"
#include "mark.h"
#include "run.h"
#include "sink.h"
#include "stream.h"
#include "submitter.h"
#include "transfer.h"

/* Get a stream going that waits, or is about to. Any context. */
void zcopy_stream_kick(struct zcopy_stream *stream)
{
	/* Who closes the crew waits for those who are in between. */
	rcu_read_lock();
	if (zcopy_state_move(&stream->state, ZCOPY_EVENT_WAKE) ==
	    ZCOPY_STATE_WAIT)
		WARN_ON_ONCE(!zcopy_crew_hot(&stream->submitter->crew,
					     &stream->work));
	rcu_read_unlock();
}

/* The target's wake-up: often softirq, always under its wait queue's lock. */
static int space_wake(wait_queue_entry_t *entry, unsigned int mode, int sync,
		      void *key)
{
	struct zcopy_stream *stream;
	__poll_t events = key_to_poll(key);

	stream = container_of(entry, struct zcopy_stream, space);
	/* Room was made before; see wait_for_read() for the other side. */
	smp_mb();
	/* A page comes first: then the target is looked at. */
	if (READ_ONCE(stream->reading))
		return 0;
	if (!events || (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		zcopy_stream_kick(stream);
	return 0;
}

/* It has waited long enough for what nobody tells. Softirq. */
static void again(struct timer_list *timer)
{
	zcopy_stream_kick(container_of(timer, struct zcopy_stream, again));
}

static bool is_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct zcopy_xfer, by_user_data)->result.user_data <
	       rb_entry(b, struct zcopy_xfer, by_user_data)->result.user_data;
}

/* It can no longer be cancelled: it is, or it is off its queue. */
static void hide(struct zcopy_xfer *xfer)
{
	lockdep_assert_held(&xfer->context->lock);
	if (RB_EMPTY_NODE(&xfer->by_user_data))
		return;
	rb_erase(&xfer->by_user_data, &xfer->context->by_user_data);
	RB_CLEAR_NODE(&xfer->by_user_data);
}

/*
 * Bytes are missing where a transfer stands: what is behind it must not be sent, or
 * the peer takes it for the rest of this one. The gap is handed on from transfer to
 * transfer as they end, up to one of which the program said, later than the gap came,
 * that it knows.
 */
static void hand_on_gap(struct zcopy_xfer *xfer, bool failed)
{
	struct zcopy_stream *stream = xfer->stream;
	struct zcopy_xfer *next;
	u64 gap = xfer->gap;

	lockdep_assert_held(&stream->context->lock);
	if (!stream->ordered || xfer->known)
		return;
	if (!gap && failed)
		gap = ++stream->gaps;
	if (list_is_last(&xfer->link, &stream->queue)) {
		stream->gap = max(stream->gap, gap);
		return;
	}
	next = list_next_entry(xfer, link);
	if (gap > next->resumes)
		next->gap = max(next->gap, gap);
}

/**
 * zcopy_stream_take_off - a transfer leaves its queue, and is nobody's
 * @xfer:   its runner's, or begun by nobody
 * @failed: not all of it is in the target
 *
 * Context: zcopy_context.lock is held.
 */
void zcopy_stream_take_off(struct zcopy_xfer *xfer, bool failed)
{
	hand_on_gap(xfer, failed);
	hide(xfer);
	list_del_init(&xfer->link);
	if (list_empty(&xfer->stream->queue) && xfer->stream->gap && xfer->target)
		zcopy_mark_keep_inode(xfer->stream, xfer->target);
	WRITE_ONCE(xfer->stream->nr, xfer->stream->nr - 1);
	xfer->stream = NULL;
}

static void end_cancelled(struct zcopy_work *work)
{
	struct zcopy_xfer *xfer = container_of(work, struct zcopy_xfer, work);

	zcopy_xfer_cancel(xfer);
	xfer->ops->over(xfer);
}

/*
 * End what zcopy_stream_cancel() took off the queues. A thread of the kernel does not
 * close files for others: what closes theirs may wait for a file's server.
 */
void zcopy_stream_end_cancelled(struct list_head *cancelled)
{
	struct zcopy_xfer *xfer;

	while ((xfer = list_first_entry_or_null(cancelled, struct zcopy_xfer,
						link))) {
		list_del_init(&xfer->link);
		xfer->work.run = end_cancelled;
		if (!(current->flags & PF_KTHREAD) ||
		    !zcopy_crew_hot(&xfer->submitter->crew, &xfer->work))
			xfer->work.run(&xfer->work);
	}
}

/* The order of streams: by target, then by submitter. */
static bool is_before(const struct zcopy_stream *stream, unsigned long key,
		      unsigned long submitter)
{
	if (stream->key != key)
		return stream->key < key;
	return (unsigned long)stream->submitter < submitter;
}

/* The stream of a key, or the place in the tree where it belongs. */
static struct zcopy_stream *find(struct zcopy_submitter *submitter,
				 unsigned long key, struct rb_node **parent,
				 struct rb_node ***link)
{
	struct rb_node **p = &submitter->context->streams.rb_node;

	lockdep_assert_held(&submitter->context->lock);
	*parent = NULL;
	while (*p) {
		struct zcopy_stream *stream;

		stream = rb_entry(*p, struct zcopy_stream, node);
		if (stream->key == key && stream->submitter == submitter)
			return stream;
		*parent = *p;
		p = is_before(stream, key, (unsigned long)submitter) ?
			    &(*p)->rb_right : &(*p)->rb_left;
	}
	*link = p;
	return NULL;
}

static struct zcopy_stream *create(struct zcopy_submitter *submitter,
				   struct file *target, unsigned long key,
				   gfp_t gfp)
{
	struct zcopy_stream *stream;

	stream = kzalloc(sizeof(*stream), gfp);
	if (!stream)
		return NULL;
	stream->submitter = submitter;
	stream->context = submitter->context;
	stream->key = key;
	zcopy_mark_identify(stream, target);
	INIT_LIST_HEAD(&stream->queue);
	atomic_set(&stream->state, ZCOPY_STATE_RUN);
	timer_setup(&stream->again, again, 0);
	init_waitqueue_func_entry(&stream->space, space_wake);
	return stream;
}

/*
 * The stream of a target, made if there is none: then the caller is its runner; or an
 * ERR_PTR. With zcopy_context.lock held, which is given back in between.
 */
static struct zcopy_stream *get(struct zcopy_submitter *submitter,
				struct file *target, unsigned long key, gfp_t gfp,
				bool *runner)
	__must_hold(&submitter->context->lock)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_stream *stream, *fresh = NULL;
	struct rb_node *parent, **link;

	for (;;) {
		if (submitter->dead) {
			kfree(fresh);
			return ERR_PTR(-EINTR);
		}
		stream = find(submitter, key, &parent, &link);
		if (stream || fresh)
			break;
		spin_unlock(&context->lock);
		fresh = create(submitter, target, key, gfp);
		spin_lock(&context->lock);
		if (!fresh)
			return ERR_PTR(-ENOMEM);
	}
	*runner = !stream;
	if (stream) {
		/* Rarely: another thread was as quick. */
		kfree(fresh);
		return stream;
	}
	refcount_inc(&submitter->crew.refs);
	rb_link_node(&fresh->node, parent, link);
	rb_insert_color(&fresh->node, &context->streams);
	return fresh;
}

/**
 * zcopy_stream_enqueue - put a transfer behind the others of its target
 * @xfer:  passes to the stream on success
 * @ready: a stream without a runner is put on this list; the caller is it, and
 *         must call zcopy_runner_run_ready()
 *
 * Return: 0; -ENOMEM; or -EINTR, the process ends.
 */
int zcopy_stream_enqueue(struct zcopy_xfer *xfer, struct list_head *ready)
{
	struct zcopy_submitter *submitter = xfer->submitter;
	struct zcopy_context *context = xfer->context;
	struct inode *other = NULL;
	struct zcopy_stream *stream;
	bool runner;

	spin_lock(&context->lock);
	/* One that has no target waits for nobody: an odd address is no file's. */
	stream = get(submitter, xfer->target,
		     xfer->target ? zcopy_stream_key(xfer->target) :
				    (unsigned long)xfer | 1,
		     GFP_KERNEL_ACCOUNT, &runner);
	if (IS_ERR(stream)) {
		spin_unlock(&context->lock);
		return PTR_ERR(stream);
	}
	if (stream->mark) {
		zcopy_mark_unset(stream);
		runner = true;
	}
	if (xfer->target)
		other = zcopy_mark_make_sure(stream, xfer->target);
	if (runner)
		list_add_tail(&stream->ready, ready);
	if (xfer->flags & ZCOPY_RESUME)
		xfer->resumes = stream->gaps;
	else
		xfer->gap = stream->gap;
	stream->gap = 0;
	list_add_tail(&xfer->link, &stream->queue);
	WRITE_ONCE(stream->nr, stream->nr + 1);
	rb_add(&xfer->by_user_data, &context->by_user_data, is_less);
	xfer->stream = stream;
	spin_unlock(&context->lock);
	iput(other);
	return 0;
}

/**
 * zcopy_stream_leave_gap - a transfer that was to be the next one does not come
 * @submitter: whose
 * @target:    where it was to go; passed zcopy_sink_check()
 *
 * Context: process; may sleep.
 */
void zcopy_stream_leave_gap(struct zcopy_submitter *submitter, struct file *target)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_stream *stream;
	struct inode *other = NULL;
	LIST_HEAD(gone);
	bool fresh;

	if (zcopy_sink_is_file(target))
		return;
	spin_lock(&context->lock);
	/* It must not be forgotten for want of memory. */
	stream = get(submitter, target, zcopy_stream_key(target),
		     GFP_KERNEL_ACCOUNT | __GFP_NOFAIL, &fresh);
	if (IS_ERR(stream)) {
		/* Nobody is left who could send. */
		spin_unlock(&context->lock);
		return;
	}
	if (stream->mark) {
		zcopy_mark_unset(stream);
		fresh = true;
	}
	other = zcopy_mark_make_sure(stream, target);
	/* Its door may say so once more. */
	if (!stream->gap)
		stream->gap = ++stream->gaps;
	zcopy_mark_keep_inode(stream, target);
	if (fresh)
		zcopy_mark_set(stream, &gone);
	spin_unlock(&context->lock);
	iput(other);
	zcopy_mark_free_all(&gone);
}

/**
 * zcopy_stream_retire - a stream has no transfers any more
 * @stream: the caller is its runner, and no longer then
 * @gone:   it is moved here, for zcopy_mark_free_all(), unless it stays as a mark
 *
 * Context: zcopy_context.lock is held.
 */
void zcopy_stream_retire(struct zcopy_stream *stream, struct list_head *gone)
{
	struct zcopy_context *context = stream->context;

	lockdep_assert_held(&context->lock);
	if (stream->gap && !stream->submitter->dead && !context->closing) {
		zcopy_mark_set(stream, gone);
		return;
	}
	rb_erase(&stream->node, &context->streams);
	list_add_tail(&stream->ready, gone);
}

/*
 * The program says that it knows: of the gaps behind, and of all that come from the
 * transfers that are there. Context: zcopy_context.lock is held.
 */
void zcopy_stream_acknowledge(struct zcopy_stream *stream, struct list_head *gone)
{
	struct zcopy_xfer *xfer;

	lockdep_assert_held(&stream->context->lock);
	list_for_each_entry(xfer, &stream->queue, link)
		xfer->known = true;
	stream->gap = 0;
	zcopy_mark_forget(stream, gone);
}

/**
 * zcopy_stream_cancel - end a transfer of a stream early
 * @xfer:      the transfer, in its stream's queue
 * @cancelled: it is moved here if nobody has begun it; the caller must then
 *             end it by zcopy_stream_end_cancelled()
 *
 * Context: zcopy_context.lock is held.
 */
void zcopy_stream_cancel(struct zcopy_xfer *xfer, struct list_head *cancelled)
{
	struct zcopy_stream *stream = xfer->stream;

	if (xfer->begun || list_is_first(&xfer->link, &stream->queue)) {
		hide(xfer);
		WRITE_ONCE(xfer->cancelled, true);
		zcopy_stream_kick(stream);
		/* It may be queued to wait for a disk. */
		if (READ_ONCE(stream->go_on))
			zcopy_crew_recall(&stream->submitter->crew,
					  &stream->work, stream->go_on);
	} else {
		zcopy_stream_take_off(xfer, true);
		list_add_tail(&xfer->link, cancelled);
	}
}

/* The process has parted: have a stream that waits look what that means to it. */
void zcopy_stream_wake(struct zcopy_stream *stream)
{
	lockdep_assert_held(&stream->context->lock);
	/* Else nothing keeps the target. */
	if (!list_empty(&stream->queue) && !stream->submitter->dead &&
	    zcopy_sink_holds_files(stream->target))
		zcopy_stream_kick(stream);
}

/**
 * zcopy_stream_from - the first stream from one on
 * @context:   whose
 * @key:       of zcopy_stream_key(), or any
 * @submitter: address of the submitter, or any
 *
 * Context: zcopy_context.lock is held.
 * Return: the stream, or NULL.
 */
struct zcopy_stream *zcopy_stream_from(struct zcopy_context *context,
				       unsigned long key,
				       unsigned long submitter)
{
	struct rb_node *node = context->streams.rb_node;
	struct zcopy_stream *first = NULL;

	lockdep_assert_held(&context->lock);
	while (node) {
		struct zcopy_stream *stream;

		stream = rb_entry(node, struct zcopy_stream, node);
		if (is_before(stream, key, submitter)) {
			node = node->rb_right;
			continue;
		}
		first = stream;
		node = node->rb_left;
	}
	return first;
}

/*
 * The newest transfer of a stream that is not cancelled yet, or NULL. Few stay
 * in a queue when they are: those that its runner has begun.
 */
struct zcopy_xfer *zcopy_stream_newest(struct zcopy_stream *stream)
{
	struct zcopy_xfer *xfer;

	lockdep_assert_held(&stream->context->lock);
	list_for_each_entry_reverse(xfer, &stream->queue, link)
		if (!xfer->cancelled)
			return xfer;
	return NULL;
}

/*
 * The submitter is gone, and all is cancelled. If a thread of it waits for a file
 * nobody knows for how long: what waits in the target to be received may be all
 * that the file's server still waits for. The target is not kept from its end.
 */
void zcopy_stream_lose_target(struct zcopy_stream *stream)
{
	struct zcopy_xfer *xfer;

	lockdep_assert_held(&stream->context->lock);
	xfer = list_first_entry_or_null(&stream->queue, struct zcopy_xfer, link);
	if (!xfer || !xfer->asleep)
		return;
	if (stream->head)
		remove_wait_queue(stream->head, &stream->space);
	stream->head = NULL;
	zcopy_xfer_leave_target(xfer);
}
