/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_QUEUE_H
#define ZCOPY_QUEUE_H

#include <linux/list.h>
#include <linux/poll.h>
#include <linux/zcopy.h>

struct zcopy_context;
struct zcopy_record;
struct zcopy_submitter;
struct zcopy_xfer;
struct zcopy_xfer_ops;

/* Of transfers of the queue, and of those that have a notice to come. */
extern const struct zcopy_xfer_ops zcopy_queue_ops;
extern const struct zcopy_context_ops zcopy_queue_context_ops;

struct zcopy_record *zcopy_queue_add(struct zcopy_submitter *submitter,
				     const struct zcopy_transfer *transfer,
				     void (*complete)(struct zcopy_record *record),
				     struct list_head *ready);
void zcopy_queue_leave_gap(struct zcopy_submitter *submitter,
			   const struct zcopy_transfer *transfer);
int zcopy_queue_expect_notice(struct zcopy_xfer *xfer);
void zcopy_queue_forget_notice(struct zcopy_xfer *xfer);
__poll_t zcopy_queue_poll(struct zcopy_context *context, struct file *file,
			  poll_table *wait);
void zcopy_queue_cancel_record(struct zcopy_context *context,
			       struct zcopy_record *record);
void zcopy_queue_part(struct zcopy_context *context);
void zcopy_queue_close(struct zcopy_context *context);

#endif /* ZCOPY_QUEUE_H */
