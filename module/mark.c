// SPDX-License-Identifier: GPL-2.0-only
/*
 * Marks: streams that have no transfers and stay, since bytes are missing on their
 * target and the program has not said that it knows. A mark holds no file, or a close
 * would not be one.
 */
#include <linux/pid.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "context.h"
#include "mark.h"
#include "sink.h"
#include "stream.h"
#include "submitter.h"

/* See zcopy_stream.inode. The caller has a reference on @target. */
void zcopy_mark_keep_inode(struct zcopy_stream *stream, struct file *target)
{
	struct inode *inode = file_inode(target);

	if (stream->inode)
		return;
	/* One of a named pipe would keep its filesystem from being unmounted. */
	if (inode->i_sb->s_flags & SB_KERNMOUNT) {
		ihold(inode);
		stream->inode = inode;
	}
}

/* Who its target is, and what that means. */
void zcopy_mark_identify(struct zcopy_stream *stream, struct file *target)
{
	const struct inode *inode = target ? file_inode(target) : NULL;

	stream->target = target;
	stream->ordered = target && !zcopy_sink_is_file(target);
	stream->sb = inode ? inode->i_sb : NULL;
	stream->ino = inode ? inode->i_ino : 0;
}

/*
 * Of a stream without transfers nobody keeps the target: another file may lie in its
 * place. Then it is as new. Returns an inode that nobody needs any more, or NULL.
 */
struct inode *zcopy_mark_make_sure(struct zcopy_stream *stream, struct file *target)
{
	struct inode *inode = file_inode(target), *other;

	lockdep_assert_held(&stream->context->lock);
	if (!list_empty(&stream->queue) ||
	    (stream->sb == inode->i_sb && stream->ino == inode->i_ino &&
	     (!stream->inode || stream->inode == inode)))
		return NULL;
	other = stream->inode;
	stream->inode = NULL;
	stream->gap = 0;
	stream->delay = 0;
	zcopy_mark_identify(stream, target);
	return other;
}

/* So many marks are kept of which nobody can tell when their target is closed. */
#define BLIND	256

/* Nobody runs it, and nobody sends anything there: it only says that bytes miss. */
void zcopy_mark_set(struct zcopy_stream *stream, struct list_head *gone)
{
	struct zcopy_context *context = stream->context;

	stream->mark = true;
	if (stream->inode) {
		list_add_tail(&stream->ready, &context->marks);
		context->nr_marks++;
	} else {
		list_add_tail(&stream->ready, &context->blind);
		if (++context->nr_blind > BLIND)
			zcopy_mark_forget(list_first_entry(&context->blind,
							   struct zcopy_stream,
							   ready), gone);
	}
	zcopy_mark_sweep(context, 2, gone);
	if (!stream->charged)
		zcopy_user_charge_anyway(stream->submitter->user,
					 ZCOPY_USE_MEMORY, sizeof(*stream));
	stream->charged = true;
}

void zcopy_mark_unset(struct zcopy_stream *stream)
{
	lockdep_assert_held(&stream->context->lock);
	stream->mark = false;
	list_del(&stream->ready);
	if (stream->inode)
		stream->context->nr_marks--;
	else
		stream->context->nr_blind--;
}

/*
 * Was the target of a mark closed, or is its process gone? Then nobody can send to it
 * any more, and nobody needs to be kept from it.
 */
static bool is_closed(const struct zcopy_stream *stream)
{
	struct inode *inode = stream->inode;
	bool gone;

	rcu_read_lock();
	gone = !pid_task(stream->submitter->crew.tgid, PIDTYPE_TGID);
	rcu_read_unlock();
	if (gone)
		return true;
	if (S_ISSOCK(inode->i_mode))
		return READ_ONCE(SOCKET_I(inode)->file) != stream->target;
	return !READ_ONCE(inode->i_pipe);
}

/**
 * zcopy_mark_sweep - look for marks whose targets are closed
 * @context: whose
 * @nr:      so many are looked at
 * @gone:    they are moved here, for zcopy_mark_free_all()
 *
 * With two for each that comes there are hardly more than twice as many marks as
 * open targets that failed.
 *
 * Context: zcopy_context.lock is held.
 */
void zcopy_mark_sweep(struct zcopy_context *context, unsigned int nr,
		      struct list_head *gone)
{
	lockdep_assert_held(&context->lock);
	for (nr = min(nr, context->nr_marks); nr; nr--) {
		struct zcopy_stream *stream;

		stream = list_first_entry(&context->marks, struct zcopy_stream, ready);
		if (is_closed(stream))
			zcopy_mark_forget(stream, gone);
		else
			list_move_tail(&stream->ready, &context->marks);
	}
}

/* If it is a mark: it need not stay. Context: zcopy_context.lock is held. */
void zcopy_mark_forget(struct zcopy_stream *stream, struct list_head *gone)
{
	if (!stream->mark)
		return;
	zcopy_mark_unset(stream);
	rb_erase(&stream->node, &stream->context->streams);
	list_add_tail(&stream->ready, gone);
}

/* Streams that nobody finds any more. Context: process, without a lock; may sleep. */
void zcopy_mark_free_all(struct list_head *gone)
{
	struct zcopy_stream *stream, *tmp;

	list_for_each_entry_safe(stream, tmp, gone, ready) {
		if (stream->timed)
			timer_shutdown_sync(&stream->again);
		iput(stream->inode);
		if (stream->charged) {
			zcopy_user_uncharge(stream->submitter->user,
					    ZCOPY_USE_MEMORY, sizeof(*stream));
			if (wq_has_sleeper(&stream->context->wait))
				zcopy_starver_wake_all(&stream->context->wait);
		}
		zcopy_submitter_put(stream->submitter);
		kfree(stream);
	}
}

