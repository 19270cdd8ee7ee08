// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pipe as target: the folios of a gather list become its buffers. They are
 * buffers that nobody downstream may keep for himself or write to: pages of a
 * file are read-only outside its page cache.
 */
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>

#include "batch.h"
#include "pipe.h"
#include "transfer.h"

/* The pipe that an open file is an end of, or NULL. */
struct pipe_inode_info *zcopy_pipe_of(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	if (!S_ISFIFO(inode->i_mode) || file->private_data != inode->i_pipe)
		return NULL;
	return inode->i_pipe;
}

/**
 * zcopy_pipe_check - can transfers go to a pipe?
 * @file: of which zcopy_pipe_of() is not NULL
 *
 * Return: 0, -EBADF or -EPROTONOSUPPORT.
 */
int zcopy_pipe_check(const struct file *file)
{
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	/* The kernel alone writes to those. */
	if (pipe_has_watch_queue(zcopy_pipe_of(file)))
		return -EPROTONOSUPPORT;
	return 0;
}

/* What a pipe may take now, in bytes; 0 if there is no room. Takes no lock. */
size_t zcopy_pipe_room(const struct pipe_inode_info *pipe)
{
	unsigned int used = READ_ONCE(pipe->head) - READ_ONCE(pipe->tail);
	unsigned int max = READ_ONCE(pipe->max_usage);

	/* One that nobody reads takes anything: it will only give its error. */
	if (!READ_ONCE(pipe->readers))
		return ZCOPY_BATCH_BYTES;
	if (used >= max)
		return 0;
	return min_t(size_t, (size_t)(max - used) << PAGE_SHIFT,
		     ZCOPY_BATCH_BYTES);
}

/* Put @len bytes of @page into the pipe: the page itself, or a copy of them. */
static int add(struct pipe_inode_info *pipe, struct page *page,
	       unsigned int offset, unsigned int len, bool copy)
{
	struct pipe_buffer buf = {
		.ops = &nosteal_pipe_buf_ops,
		.page = page,
		.offset = offset,
		.len = len,
	};
	ssize_t added;

	/* Found out here: otherwise add_to_pipe() raises a signal. */
	if (!pipe->readers)
		return -EPIPE;
	if (pipe_full(pipe->head, pipe->tail, pipe->max_usage))
		return -EAGAIN;
	if (copy) {
		buf.page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);
		if (!buf.page)
			return -ENOMEM;
		memcpy_page(buf.page, offset, page, offset, len);
	} else {
		get_page(page);
	}
	added = add_to_pipe(pipe, &buf);
	return added < 0 ? added : 0;
}

static ssize_t fill(struct pipe_inode_info *pipe,
		    const struct zcopy_batch *batch, bool copy)
{
	size_t sent = 0;
	unsigned int i;

	for (i = 0; i < batch->nr; i++) {
		const struct bio_vec *vec = &batch->vecs[i];
		struct folio *folio = page_folio(vec->bv_page);
		const size_t first = folio_page_idx(folio, vec->bv_page);
		size_t done = 0;

		/* A pipe's readers expect no buffer to leave its page. */
		while (done < vec->bv_len) {
			size_t offset = vec->bv_offset + done;
			size_t len = min(vec->bv_len - done,
					 PAGE_SIZE - offset_in_page(offset));
			int err;

			err = add(pipe, folio_page(folio, first +
						   (offset >> PAGE_SHIFT)),
				  offset_in_page(offset), len, copy);
			if (err)
				return sent ?: err;
			done += len;
			sent += len;
		}
	}
	return sent;
}

static ssize_t send(struct zcopy_batch *batch, bool copy)
{
	struct file *file = batch->parts[0].xfer->target;
	struct pipe_inode_info *pipe = zcopy_pipe_of(file);
	ssize_t sent;

	/*
	 * Whoever has the lock may wait for a page of his own memory, at his
	 * leisure. Those who may wait for him do it in zcopy_sink_wait().
	 */
	if (!mutex_trylock(&pipe->mutex))
		return -EAGAIN;
	sent = fill(pipe, batch, copy);
	mutex_unlock(&pipe->mutex);
	if (sent <= 0)
		return sent;

	if (wq_has_sleeper(&pipe->rd_wait))
		wake_up_interruptible_poll(&pipe->rd_wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&pipe->fasync_readers, SIGIO, POLL_IN);
	fsnotify_modify(file);
	return sent;
}

/**
 * zcopy_pipe_send - put a gather list into its transfers' pipe
 * @batch: not empty; the pipe gets references of its own
 *
 * Context: process; never waits for the pipe.
 * Return: bytes accepted, at least 1; -EAGAIN: it is full, or locked; -EPIPE:
 * nobody has it open for reading.
 */
ssize_t zcopy_pipe_send(struct zcopy_batch *batch)
{
	return send(batch, false);
}

/* Ditto, but the pipe gets a copy. Return: also -ENOMEM. */
ssize_t zcopy_pipe_copy(struct zcopy_batch *batch)
{
	return send(batch, true);
}
