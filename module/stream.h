/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_STREAM_H
#define ZCOPY_STREAM_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/timer.h>
#include <linux/wait.h>

#include "state.h"
#include "crew.h"

struct zcopy_context;
struct zcopy_read;
struct zcopy_submitter;
struct zcopy_xfer;

/**
 * struct zcopy_stream - the ordered queue of a process's transfers to a target
 * @node:    in zcopy_context.streams, under zcopy_context.lock
 * @key:     of @target, or what is no target's, see zcopy_stream_key()
 * @submitter: key; the stream owns a reference
 * @context: that one's
 * @target:  NULL with ZCOPY_LOAD; kept alive by the transfers in @queue. While that is empty, or
 *           its head lost the target, nothing else of the stream refers to it
 * @ordered: what is behind a gap on the target must not be sent
 * @queue:   zcopy_xfer.link, under zcopy_context.lock; the head is the runner's
 * @nr:      transfers in @queue
 * @state:   enum zcopy_state, changed by zcopy_state_move() alone
 * @corked:  the transfer that was done last left its end in the target for the
 *           next one's bytes to push; the runner's
 * @work:    goes on with it; the runner's
 * @go_on:   what @work does where it needs no disk; set by the first runner
 * @again:   wakes it where nothing else may: the target says that there is room,
 *           and takes nothing
 * @delay:   jiffies that this took last; 0: it took something. The runner's
 * @timed:   @again was used
 * @space:   entry on the target's wait queue from the first wait to the end
 * @head:    that wait queue, or NULL. The runner's, as the target is
 * @read:    a page of the head that was asked for, or NULL. The runner's
 * @reading: it waits for that page, so that room is nothing to wake it for
 * @ready:   place in the submitter's list of streams to run; or, while it is a
 *           mark, in zcopy_context.marks, under zcopy_context.lock
 * @gaps:    how many gaps there were, which is the number of the last one; under
 *           zcopy_context.lock, as the following are
 * @gap:     the number of one behind the last transfer that the program has not said
 *           it knows of; 0: none
 * @mark:    it has no transfers, and stays for that: nobody runs it
 * @charged: its user pays for it, as no transfer does
 * @inode:   of @target, once there was such a gap and it has no inode of a mounted
 *           filesystem; a reference. It tells whether @target is still open
 * @sb:      of @target's inode; to compare with
 * @ino:     number of that inode: another file may come to lie where @target lay
 */
struct zcopy_stream {
	struct rb_node node;
	unsigned long key;
	struct zcopy_submitter *submitter;
	struct zcopy_context *context;
	struct file *target;
	struct list_head queue;
	unsigned int nr;
	atomic_t state;
	bool corked;
	struct zcopy_work work;
	void (*go_on)(struct zcopy_work *work);
	struct timer_list again;
	unsigned long delay;
	bool timed;
	wait_queue_entry_t space;
	wait_queue_head_t *head;
	struct zcopy_read *read;
	bool reading;
	struct list_head ready;
	bool ordered;
	u64 gaps;
	u64 gap;
	bool mark;
	bool charged;
	struct inode *inode;
	const struct super_block *sb;
	unsigned long ino;
};

/* By what streams are found: an address, of the target. */
static inline unsigned long zcopy_stream_key(const struct file *target)
{
	return (unsigned long)target;
}

int zcopy_stream_enqueue(struct zcopy_xfer *xfer, struct list_head *ready);
void zcopy_stream_kick(struct zcopy_stream *stream);
void zcopy_stream_take_off(struct zcopy_xfer *xfer, bool failed);
void zcopy_stream_leave_gap(struct zcopy_submitter *submitter, struct file *target);
void zcopy_stream_retire(struct zcopy_stream *stream, struct list_head *gone);
void zcopy_stream_acknowledge(struct zcopy_stream *stream, struct list_head *gone);
void zcopy_stream_cancel(struct zcopy_xfer *xfer, struct list_head *cancelled);
void zcopy_stream_end_cancelled(struct list_head *cancelled);
void zcopy_stream_wake(struct zcopy_stream *stream);
struct zcopy_stream *zcopy_stream_from(struct zcopy_context *context,
				       unsigned long key,
				       unsigned long submitter);
struct zcopy_xfer *zcopy_stream_newest(struct zcopy_stream *stream);
void zcopy_stream_lose_target(struct zcopy_stream *stream);

#endif /* ZCOPY_STREAM_H */
