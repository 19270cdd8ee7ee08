/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_RECORD_H
#define ZCOPY_RECORD_H

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
 * @xfer:       the transfer that this is to tell of, NULL once it has; under
 *              zcopy_context.lock
 * @parked:     @xfer is over and waits for its release; under
 *              zcopy_context.lock
 * @complete:   the door's, for who waits for this one alone: called when
 *              @completion is set and @issued, in any process context; or NULL
 * @cmd:        io_uring only: the request that waits for it; set before @issued
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
	void (*complete)(struct zcopy_record *record);
	struct io_uring_cmd *cmd;
	u64 answer;
	u32 memory;
	bool parked;
	bool ended;
	bool issued;
};

struct zcopy_record *zcopy_record_expect(struct zcopy_context *context, bool marks);
struct zcopy_record *zcopy_record_expect_another(struct zcopy_context *context);
void zcopy_record_charge(struct zcopy_record *record, struct zcopy_context *context,
			 u32 memory);
void zcopy_record_uncharge(struct zcopy_context *context);
void zcopy_record_forget(struct zcopy_context *context, struct zcopy_record *record);
void zcopy_record_deliver(struct zcopy_context *context, struct zcopy_record *record);
ssize_t zcopy_record_wait_and_read(struct zcopy_context *context,
				   struct zcopy_completion __user *to,
				   unsigned int max, unsigned int min,
				   ktime_t timeout, int *err);
ssize_t zcopy_record_read(struct zcopy_context *context,
			  struct zcopy_completion __user *to, unsigned int max);
__poll_t zcopy_record_events(struct zcopy_context *context, bool room);
void zcopy_record_close(struct zcopy_context *context);

#endif /* ZCOPY_RECORD_H */
