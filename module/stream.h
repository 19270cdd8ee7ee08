/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_STREAM_H
#define ZCOPY_STREAM_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "state.h"

struct zcopy_context;
struct zcopy_xfer;

/**
 * struct zcopy_stream - the ordered queue of a context's transfers to a target
 * @node:    in zcopy_context.streams, under zcopy_context.lock
 * @context: the stream owns a reference
 * @target:  key; kept alive by the transfers in @queue. While that is empty
 *           nothing else of the stream refers to the target
 * @queue:   zcopy_xfer.link, under zcopy_context.lock; the head is the runner's
 * @state:   enum zcopy_state, changed by zcopy_state_move() alone
 * @corked:  the transfer that was done last left its end in the target for the
 *           next one's bytes to push; the runner's
 * @cold:    its head met the disk, so that a worker which may wait for the
 *           disk goes on with it; written before @state says WAIT
 * @work:    goes on with it
 * @again:   wakes it where nothing else may: the target says that there is room,
 *           and takes nothing
 * @delay:   jiffies that this took last; 0: it took something. The runner's
 * @timed:   @again was used
 * @space:   entry on the target's wait queue from the first wait to the end
 * @head:    that wait queue, or NULL
 * @ready:   place in the submitter's list of streams to run
 */
struct zcopy_stream {
	struct rb_node node;
	struct zcopy_context *context;
	struct file *target;
	struct list_head queue;
	atomic_t state;
	bool corked;
	bool cold;
	struct work_struct work;
	struct timer_list again;
	unsigned long delay;
	bool timed;
	wait_queue_entry_t space;
	wait_queue_head_t *head;
	struct list_head ready;
};

int zcopy_stream_init(void);
void zcopy_stream_exit(void);

int zcopy_stream_enqueue(struct zcopy_xfer *xfer, struct list_head *ready);
void zcopy_stream_run_ready(struct list_head *ready);
void zcopy_stream_cancel(struct zcopy_xfer *xfer, struct list_head *cancelled);
void zcopy_stream_end_cancelled(struct list_head *cancelled);
struct zcopy_stream *zcopy_stream_from(struct zcopy_context *context,
				       unsigned long target);
struct zcopy_xfer *zcopy_stream_newest(struct zcopy_stream *stream);

#endif /* ZCOPY_STREAM_H */
