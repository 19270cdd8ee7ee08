// SPDX-License-Identifier: GPL-2.0-only
/*
 * A regular file as target. What its filesystem can share with the source's
 * file, or copy by itself, never becomes a gather list; all else is written to
 * it from one. The locks, the freezing and the checks of a write are those of
 * vfs_iocb_iter_write(), vfs_clone_file_range() and vfs_copy_file_range().
 */
#include <linux/fs.h>
#include <linux/sizes.h>
#include <linux/uio.h>

#include "batch.h"
#include "copy.h"
#include "transfer.h"

/* Most bytes shared at once, so that signals and cancellations get in. */
#define SHARE_BYTES	SZ_16M

/**
 * zcopy_copy_check - can transfers go to a regular file?
 * @file: a regular file
 *
 * Return: 0, -EBADF, -EPROTONOSUPPORT or -EINVAL.
 */
int zcopy_copy_check(const struct file *file)
{
	const fmode_t needed = FMODE_CAN_WRITE | FMODE_PWRITE;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if ((file->f_mode & needed) != needed || !file->f_op->write_iter)
		return -EPROTONOSUPPORT;
	/* Its bytes would go elsewhere. */
	if (file->f_flags & O_APPEND)
		return -EINVAL;
	return 0;
}

/*
 * What a filesystem says it did of @max bytes. More than it was asked for is not
 * believed: what is left would be less than nothing. It may say what a server
 * has told it, so this is nothing to warn of.
 */
static ssize_t no_more_than(ssize_t max, ssize_t said)
{
	return min(said, max);
}

/*
 * Bytes that may be written before the file is as large as the submitter may
 * make it. A worker has a limit of its own, and the kernel raises SIGXFSZ.
 */
static u64 room(const struct zcopy_xfer *xfer)
{
	u64 offset = xfer->offset;

	return xfer->size_limit > offset ? xfer->size_limit - offset : 0;
}

/**
 * zcopy_copy_write - write a gather list to its transfer's file
 * @batch: not empty, of one transfer
 *
 * Context: process; sleeps for locks and for the disk.
 * Return: bytes written, or the file's error.
 */
ssize_t zcopy_copy_write(struct zcopy_batch *batch)
{
	struct zcopy_xfer *xfer = batch->parts[0].xfer;
	struct iov_iter iter;
	struct kiocb iocb;
	ssize_t written;
	size_t len;

	/* It may be set at any time. */
	if (READ_ONCE(xfer->target->f_flags) & O_APPEND)
		return -EINVAL;
	if (!room(xfer))
		return -EFBIG;
	init_sync_kiocb(&iocb, xfer->target);
	/* Set from here on it is too late for this write, which has its place. */
	iocb.ki_flags &= ~IOCB_APPEND;
	iocb.ki_pos = xfer->offset;
	iov_iter_bvec(&iter, ITER_SOURCE, batch->vecs, batch->nr, batch->bytes);
	iov_iter_truncate(&iter, room(xfer));
	len = iov_iter_count(&iter);
	written = no_more_than(len, vfs_iocb_iter_write(xfer->target, &iocb, &iter));
	/* A server may answer so. Here these mean to wait, for room or for memory. */
	return written == -EAGAIN || written == -ENOSR ? -EIO : written;
}

static ssize_t share(struct file *from, loff_t pos, struct file *to,
		     loff_t to_pos, loff_t len)
{
	if (to->f_op->copy_file_range)
		return to->f_op->copy_file_range == from->f_op->copy_file_range ?
		       vfs_copy_file_range(from, pos, to, to_pos, len, 0) : 0;
	if (!from->f_op->remap_file_range)
		return 0;
	return vfs_clone_file_range(from, pos, to, to_pos, len,
				    REMAP_FILE_CAN_SHORTEN);
}

/**
 * zcopy_copy_share - have the filesystem do it: share blocks, or copy them
 * @xfer: to a regular file
 *
 * Tries what comes next of the first range that is left. It need not work, and
 * why it does not is found out by writing the bytes instead.
 *
 * Context: process; sleeps for locks and for the disk.
 * Return: bytes that are in the target now, or 0.
 */
size_t zcopy_copy_share(struct zcopy_xfer *xfer)
{
	const struct zcopy_range *range = &xfer->ranges[xfer->next];
	ssize_t shared;
	loff_t size;
	u64 len;

	/* It may read from the disk, and bring into memory what it likes. */
	if (xfer->flags & (ZCOPY_NODISKIO | ZCOPY_NOCACHE))
		return 0;
	if (!range->file || xfer->unshared == xfer->next)
		return 0;
	size = i_size_read(file_inode(range->file));
	if (range->pos >= size)
		return 0;
	len = min3(range->len, size - range->pos, (u64)SHARE_BYTES);
	len = min(len, room(xfer));
	if (!len)
		return 0;
	shared = no_more_than(len, share(range->file, range->pos, xfer->target,
					 xfer->offset, len));
	if (shared > 0)
		return shared;
	xfer->unshared = xfer->next;
	return 0;
}
