// SPDX-License-Identifier: GPL-2.0-only
/*
 * From what a program wrote to what the kernel runs: a request is copied in
 * once and checked whole, in the order <linux/zcopy.h> states, before anything
 * of it has an effect. What comes out is a transfer.
 */
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "context.h"
#include "lease.h"
#include "limits.h"
#include "memory.h"
#include "request.h"
#include "sink.h"
#include "source.h"
#include "submitter.h"
#include "trace.h"
#include "transfer.h"

static int check_transfer(const struct zcopy_transfer *transfer)
{
	if (transfer->flags & ~ZCOPY_FLAGS_SERVED)
		return -EINVAL;
	if ((transfer->flags & ZCOPY_SYNC) && (transfer->flags & ZCOPY_NOTIFY))
		return -EINVAL;
	if ((transfer->flags & ZCOPY_NOCACHE) && transfer->target == ZCOPY_LOAD)
		return -EINVAL;
	if (transfer->reserved || transfer->offset > LLONG_MAX)
		return -EINVAL;
	if (transfer->readahead > ZCOPY_MAX_READAHEAD)
		return -EINVAL;
	if (!transfer->nr_segments)
		return -EINVAL;
	if (transfer->nr_segments > zcopy_max_segments())
		return -EMSGSIZE;
	return 0;
}

/*
 * Ranges the vector needs at most. All parts of a memory segment but its last
 * have a page's worth of bytes or more, see copy_memory().
 */
static unsigned int count_ranges(const struct zcopy_segment *segments,
				 unsigned int nr, u64 max_memory)
{
	u64 memory = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (segments[i].fd == ZCOPY_MEMORY)
			memory += min(segments[i].len, max_memory);
	/* More than the limit is refused before it is copied. */
	return nr + min(memory, max_memory) / PAGE_SIZE;
}

static struct zcopy_range *new_range(struct zcopy_xfer *xfer)
{
	xfer->nr++;
	return &xfer->ranges[xfer->nr - 1];
}

/*
 * See to it that the context has memory with room for @len bytes, a page's worth at
 * most, that the transfer's user pays for.
 */
static int refill(struct zcopy_xfer *xfer, size_t len)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_user *user = xfer->submitter->user;
	struct zcopy_memory *memory = context->memory;

	lockdep_assert_held(&context->memory_lock);
	if (memory && memory->user == user) {
		/* All that used it have gone, and the packets as well. */
		if (refcount_read(&memory->refs) == 1) {
			/* Who dropped the last one took the packets' first. */
			smp_rmb();
			if (page_ref_count(memory->page) == 1)
				context->memory_used = 0;
		}
		if (memory->size - context->memory_used >= len)
			return 0;
	}
	memory = zcopy_memory_create(user);
	if (!memory)
		return -ENOMEM;
	zcopy_memory_put(context->memory);
	context->memory = memory;
	context->memory_used = 0;
	return 0;
}

/*
 * A range of the context's memory for @len bytes, or the first of them, whose content
 * is the caller's business. Or an ERR_PTR.
 */
static struct zcopy_range *reserve(struct zcopy_xfer *xfer, size_t len)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_range *range = NULL;
	int err;

	err = mutex_lock_killable(&context->memory_lock);
	if (err)
		return ERR_PTR(err);
	err = refill(xfer, min(len, PAGE_SIZE));
	if (!err) {
		range = new_range(xfer);
		range->memory = zcopy_memory_get(context->memory);
		range->pos = context->memory_used;
		range->len = min_t(size_t, len,
				   context->memory->size - context->memory_used);
		context->memory_used += range->len;
	}
	mutex_unlock(&context->memory_lock);
	return range ?: ERR_PTR(err);
}

/*
 * Copy @len bytes at @addr to pages of the context, a range a page allocation. They
 * may be those of a file: nobody else waits until they are read.
 */
static int copy_memory(struct zcopy_xfer *xfer, u64 addr, size_t len)
{
	while (len) {
		struct zcopy_range *range = reserve(xfer, len);

		if (IS_ERR(range))
			return PTR_ERR(range);
		if (copy_from_user(page_address(range->memory->page) + range->pos,
				   u64_to_user_ptr(addr), range->len))
			return -EFAULT;
		addr += range->len;
		len -= range->len;
	}
	return 0;
}

static int take_memory(struct zcopy_xfer *xfer,
		       const struct zcopy_segment *segment, u64 *memory_left)
{
	if (segment->len > *memory_left)
		return -EMSGSIZE;
	*memory_left -= segment->len;
	return copy_memory(xfer, segment->addr, segment->len);
}

/*
 * Bytes that an open file takes, as the kernel reckons: nothing but the transfer may
 * refer to it any more, and there is a tenth of the memory for all of them.
 */
#define OPEN_FILE	1024

static int take_file(struct zcopy_xfer *xfer, const struct zcopy_segment *segment)
{
	struct zcopy_range *range;
	struct file *file;
	int err;

	file = fget(segment->fd);
	if (!file)
		return -EBADF;

	/* The range owns the reference from here on. */
	range = new_range(xfer);
	range->file = file;
	if (range == xfer->ranges || range[-1].file != file) {
		zcopy_user_charge_anyway(xfer->submitter->user, ZCOPY_USE_MEMORY,
					 OPEN_FILE);
		xfer->charged += OPEN_FILE;
	}
	range->pos = segment->addr;
	range->len = segment->len ?: ZCOPY_TO_EOF;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	err = zcopy_source_check(file, xfer->queued, &range->cached);
	if (!err && !xfer->target && !zcopy_source_stays(range))
		err = -EOPNOTSUPP;
	if (err)
		return err;
	err = zcopy_source_verify(range);
	if (err || !(xfer->flags & ZCOPY_LEASE))
		return err;
	err = zcopy_lease_take(xfer, file);
	/* With the lease it is sure that no other one comes. */
	if (!err && zcopy_source_is_mapped_below(file))
		err = -EAGAIN;
	return err;
}

/* @memory_left: what the vector's memory segments may still have, in bytes. */
static int take_segment(struct zcopy_xfer *xfer,
			const struct zcopy_segment *segment, u64 *memory_left)
{
	if (segment->flags)
		return -EINVAL;
	if (segment->fd == ZCOPY_MEMORY)
		return take_memory(xfer, segment, memory_left);
	if (segment->addr > LLONG_MAX)
		return -EINVAL;
	if (segment->len > LLONG_MAX - segment->addr)
		return -EOVERFLOW;
	return take_file(xfer, segment);
}

static int get_target(struct zcopy_xfer *xfer,
		      const struct zcopy_transfer *transfer)
{
	int err;

	if (transfer->target == ZCOPY_LOAD)
		return transfer->offset ? -EINVAL : 0;
	xfer->target = fget(transfer->target);
	if (!xfer->target)
		return -EBADF;
	xfer->offset = transfer->offset;
	xfer->size_limit = rlimit(RLIMIT_FSIZE);
	err = zcopy_sink_check(xfer->target, xfer->offset);
	if (!err)
		err = rw_verify_area(WRITE, xfer->target, &xfer->offset, 0);
	/* Of one that cannot be sent to nothing is missing. */
	if (err)
		zcopy_xfer_leave_target(xfer);
	return err;
}

/*
 * What a transfer reads of the file that it writes to must lie apart from what
 * it may write.
 */
static int check_overlap(const struct zcopy_xfer *xfer)
{
	const struct inode *inode;
	u64 end = xfer->offset;
	bool to_eof = false;
	unsigned int i;

	if (!zcopy_sink_is_file(xfer->target))
		return 0;
	inode = file_inode(xfer->target);
	for (i = 0; i < xfer->nr; i++) {
		u64 len = xfer->ranges[i].len;

		if (len == ZCOPY_TO_EOF) {
			to_eof = true;
			continue;
		}
		if (len > LLONG_MAX - end)
			return -EOVERFLOW;
		end += len;
	}
	if (to_eof)
		end = LLONG_MAX;
	for (i = 0; i < xfer->nr; i++) {
		const struct zcopy_range *range = &xfer->ranges[i];

		if (range->file && file_inode(range->file) == inode &&
		    range->pos < end &&
		    (range->len == ZCOPY_TO_EOF ||
		     range->pos + range->len > xfer->offset))
			return -EINVAL;
	}
	return 0;
}

/**
 * zcopy_request_refuse - undo what was built
 * @xfer: in no queue, and never run; is destroyed
 * @err:  why. Who is to try again hears of that before anything else of his call
 *
 * Context: process; may sleep.
 */
void zcopy_request_refuse(struct zcopy_xfer *xfer, int err)
{
	const bool again = err == -EAGAIN || err == -EINTR || err == -ESRCH ||
			   err == -ERESTARTNOINTR;
	bool lapsed = false;

	if (xfer->target && !again)
		xfer->ops->refused(xfer);

	zcopy_lease_drop(xfer, &lapsed);
	zcopy_xfer_destroy(xfer);
}

/* A transfer, from the segments of @transfer in kernel memory. */
static struct zcopy_xfer *build(struct zcopy_submitter *submitter,
				const struct zcopy_transfer *transfer,
				const struct zcopy_segment *segments,
				const struct zcopy_xfer_ops *ops, bool queued)
{
	unsigned int nr = transfer->nr_segments;
	u64 max_memory = zcopy_max_memory();
	u64 memory_left = max_memory;
	struct zcopy_xfer *xfer;
	unsigned int i;
	int err;

	xfer = zcopy_xfer_create(submitter, ops,
				 count_ranges(segments, nr, max_memory));
	if (!xfer)
		return ERR_PTR(-ENOMEM);
	xfer->queued = queued;
	xfer->flags = transfer->flags;
	xfer->readahead = transfer->readahead;
	xfer->result.user_data = transfer->user_data;

	err = get_target(xfer, transfer);
	for (i = 0; !err && i < nr; i++)
		err = take_segment(xfer, &segments[i], &memory_left);
	xfer->memory = max_memory - memory_left;
	if (!err)
		err = check_overlap(xfer);
	if (err) {
		zcopy_request_refuse(xfer, err);
		return ERR_PTR(err);
	}
	xfer->ra_range = xfer->nr;
	xfer->unshared = xfer->nr;
	trace_zcopy_begin(xfer);
	return xfer;
}

/* Vectors of so many segments are copied to the stack. */
#define SHORT_VECTOR	4

/**
 * zcopy_request_build - make a transfer of a program's request
 * @submitter: the calling process
 * @transfer:  the request, already in kernel memory
 * @ops:       whom the transfer tells what happens to it
 * @queued:    not only the submitter's thread will run it
 *
 * Context: the submitter's; resolves its descriptors and reads its memory.
 * Return: the transfer, in use by the caller; or an ERR_PTR with an errno of
 * ZCOPY_IOC_SEND's list.
 */
struct zcopy_xfer *zcopy_request_build(struct zcopy_submitter *submitter,
				       const struct zcopy_transfer *transfer,
				       const struct zcopy_xfer_ops *ops,
				       bool queued)
{
	const void __user *from = u64_to_user_ptr(transfer->segments);
	struct zcopy_segment few[SHORT_VECTOR], *many;
	struct zcopy_xfer *xfer;
	int err;

	err = check_transfer(transfer);
	if (err)
		return ERR_PTR(err);

	if (transfer->nr_segments <= SHORT_VECTOR) {
		if (copy_from_user(few, from,
				   transfer->nr_segments * sizeof(*few)))
			return ERR_PTR(-EFAULT);
		return build(submitter, transfer, few, ops, queued);
	}

	many = vmemdup_array_user(from, transfer->nr_segments, sizeof(*many));
	if (IS_ERR(many))
		return ERR_CAST(many);
	xfer = build(submitter, transfer, many, ops, queued);
	kvfree(many);
	return xfer;
}
