/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_QUEUE_H
#define ZCOPY_QUEUE_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/zcopy.h>

struct io_uring_cmd;
struct zcopy_context;
struct zcopy_xfer;

/**
 * struct zcopy_record - where the completion of a queued transfer goes
 * @link:       in zcopy_context.done, under zcopy_context.lock
 * @completion: set when the transfer ended
 * @xfer:       the transfer while it is in its stream's queue, under
 *              zcopy_context.lock
 * @parked:     the transfer while it waits for its release, and this is to
 *              tell; under zcopy_context.lock
 * @cmd:        the io_uring request that waits for it, or NULL
 * @memory:     bytes of the transfer's memory segments that count for the
 *              context's limit until this is delivered
 * @answer:     io_uring only: user address of the completion
 * @ended:      io_uring only: @completion is set, under zcopy_context.lock
 * @issued:     io_uring only: the request went asynchronous: whoever sets
 *              @ended behind this completes it, under zcopy_context.lock
 *
 * Allocated when a transfer is accepted, so that no completion is ever lost
 * for want of memory.
 */
struct zcopy_record {
	struct list_head link;
	struct zcopy_completion completion;
	struct zcopy_xfer *xfer;
	struct zcopy_xfer *parked;
	struct io_uring_cmd *cmd;
	u64 answer;
	u32 memory;
	bool ended;
	bool issued;
};

/* queue.c */
struct zcopy_record *zcopy_queue_add(struct zcopy_context *context,
				     const struct zcopy_transfer *transfer,
				     struct io_uring_cmd *cmd,
				     struct list_head *ready);
int zcopy_queue_expect_notice(struct zcopy_xfer *xfer);
void zcopy_queue_forget_notice(struct zcopy_xfer *xfer);
void zcopy_queue_complete(struct zcopy_xfer *xfer);
void zcopy_queue_released(struct zcopy_xfer *xfer);
void zcopy_queue_expire(struct zcopy_context *context, struct zcopy_xfer **place);
int zcopy_queue_wait(struct zcopy_context *context, unsigned int min,
		     ktime_t timeout);
ssize_t zcopy_queue_deliver(struct zcopy_context *context,
			    struct zcopy_completion __user *to,
			    unsigned int max);
__poll_t zcopy_queue_poll(struct zcopy_context *context, struct file *file,
			  poll_table *wait);
unsigned int zcopy_queue_cancel(struct zcopy_context *context,
				bool (*match)(const struct zcopy_xfer *xfer,
					      const void *arg),
				const void *arg);
void zcopy_queue_abandon(struct zcopy_context *context, const void *owner);
void zcopy_queue_end_cancelled(struct list_head *cancelled);
void zcopy_queue_cancel_record(struct zcopy_context *context,
			       struct zcopy_record *record);
void zcopy_queue_close(struct zcopy_context *context);

/* uring.c */
int zcopy_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
void zcopy_uring_complete(struct zcopy_record *record);

#endif /* ZCOPY_QUEUE_H */
