// SPDX-License-Identifier: GPL-2.0-only
/*
 * The universal source: what a file's splice_read gives, as sendfile(2) gets
 * it. For filesystems that ask somebody before a cached page may be read
 * (NFS, FUSE, 9p), for what overlayfs does not have cached, and for files whose
 * bytes are in no page cache.
 * It sleeps, so a stretch of the file is read where that is allowed, and put on
 * gather lists from there.
 */
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/pipe_fs_i.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "batch.h"
#include "pagecache.h"
#include "universal.h"

/*
 * Twice what devices read ahead by default, so that the next read is under way
 * while this one is sent; and little enough that the pages a socket has no
 * room for can be dropped and looked up once more.
 */
#define STRETCH_PAGES	64	/* a power of two */
#define STRETCH_BYTES	(STRETCH_PAGES * PAGE_SIZE)

/**
 * struct zcopy_stretch - bytes of a file that were read and are to be sent
 * @pipe:  what splice_read fills; known to nobody else. The pipe that
 *         splice_direct_to_actor() uses belongs to the thread: a worker would
 *         keep it, charged to the first program that it works for
 * @bufs:  of @pipe, each with a reference on its page
 * @range: the transfer's range they belong to
 * @pos:   offset in the file of the first byte
 * @end:   ditto, behind the last one
 * @eof:   the file ends there, as far as is known by now
 */
struct zcopy_stretch {
	struct pipe_inode_info pipe;
	struct pipe_buffer bufs[STRETCH_PAGES];
	unsigned int range;
	loff_t pos;
	loff_t end;
	bool eof;
};

/**
 * zcopy_universal_check - can this source serve a file?
 * @file: a regular one, open for reading
 *
 * Return: 0; -EOPNOTSUPP, it has no splice_read; -ESPIPE, it has no offsets.
 */
int zcopy_universal_check(const struct file *file)
{
	if (!file->f_op->splice_read)
		return -EOPNOTSUPP;
	if (!(file->f_mode & FMODE_PREAD) || !(file->f_mode & FMODE_LSEEK))
		return -ESPIPE;
	return 0;
}

/**
 * zcopy_universal_is_generated - is the content made anew for each reader?
 * @file: a regular one
 *
 * What /proc and /sys say may depend on who reads: its namespaces, and rights
 * that are looked up in the thread. It must be the program's own.
 */
bool zcopy_universal_is_generated(const struct file *file)
{
	return file->f_op->splice_read == copy_splice_read &&
	       !(file_inode(file)->i_sb->s_type->fs_flags & FS_REQUIRES_DEV);
}

/*
 * Must a file be read, since what splice_read gives is something else? That of FUSE
 * looks into the page cache even where the server said that there is none: bytes of
 * an earlier time, and no more than the size, which may be 0.
 */
static bool is_to_read(const struct file *file)
{
	return zcopy_pagecache_mapping(file)->host->i_sb->s_magic ==
	       FUSE_SUPER_MAGIC;
}

static ssize_t ask(struct file *file, struct pipe_inode_info *pipe, loff_t *pos,
		   size_t len)
{
	int err;

	if (!is_to_read(file))
		return vfs_splice_read(file, pos, pipe, len, 0);
	err = rw_verify_area(READ, file, pos, len);
	return err ?: copy_splice_read(file, pos, pipe, len, 0);
}

/* Drop the buffers of a pipe from slot @from on. */
static void discard(struct pipe_inode_info *pipe, unsigned int from)
{
	while (pipe->head > from)
		pipe_buf_release(pipe, pipe_buf(pipe, --pipe->head));
}

/* Read on at @pos. Returns bytes, 0 at the end of the file, or an error. */
static ssize_t read_some(struct file *file, struct pipe_inode_info *pipe,
			 loff_t pos, size_t len)
{
	unsigned int i = pipe->head;
	ssize_t ret, got = 0;
	size_t skip = 0;
	int err = 0;

	/* Past the page cache filesystems read whole blocks only. */
	if (file->f_flags & O_DIRECT) {
		skip = offset_in_page(pos);
		pos -= skip;
		len = min_t(u64, round_up(skip + len, PAGE_SIZE),
			    LLONG_MAX - pos);
	}
	ret = ask(file, pipe, &pos, len);
	if (ret <= 0)
		return ret;

	/* What came is what the buffers hold, whatever the filesystem says. */
	for (; i != pipe->head; i++) {
		struct pipe_buffer *buf = pipe_buf(pipe, i);
		size_t n = min_t(size_t, skip, buf->len);

		err = pipe_buf_confirm(pipe, buf);
		if (err)
			break;
		/* The network takes no memory that is not counted by page. */
		if (!sendpage_ok(buf->page)) {
			err = -EOPNOTSUPP;
			break;
		}
		buf->offset += n;
		buf->len -= n;
		skip -= n;
		got += buf->len;
	}
	discard(pipe, i);
	if (got)
		return got;
	/* The page was truncated meanwhile. */
	return err == -ENODATA ? 0 : err;
}

/**
 * zcopy_universal_read - read the next bytes of a file
 * @file:  passed zcopy_universal_check()
 * @range: the transfer's range these bytes belong to
 * @pos:   first byte
 * @len:   bytes that will be wanted from there on, not 0
 *
 * Context: process; sleeps for as long as the filesystem does.
 * Return: the stretch, which may be empty at the end of the file; to be passed
 * to zcopy_universal_drop(). Or an ERR_PTR: -ENOMEM, or what the filesystem
 * says, but for -EAGAIN.
 */
struct zcopy_stretch *zcopy_universal_read(struct file *file,
					   unsigned int range, loff_t pos,
					   u64 len)
{
	struct zcopy_stretch *stretch;
	struct pipe_inode_info *pipe;
	ssize_t ret = 0;

	might_sleep();
	stretch = kzalloc(sizeof(*stretch), GFP_KERNEL_ACCOUNT);
	if (!stretch)
		return ERR_PTR(-ENOMEM);
	stretch->range = range;
	stretch->pos = pos;
	stretch->end = pos;

	pipe = &stretch->pipe;
	mutex_init(&pipe->mutex);
	init_waitqueue_head(&pipe->rd_wait);
	init_waitqueue_head(&pipe->wr_wait);
	pipe->bufs = stretch->bufs;
	pipe->ring_size = STRETCH_PAGES;
	pipe->max_usage = STRETCH_PAGES;
	pipe->readers = 1;

	len = min3(len, (u64)STRETCH_BYTES, (u64)(LLONG_MAX - pos));
	/* A read may be short anywhere; one of nothing tells the end. */
	do {
		if (!len)
			break;
		ret = read_some(file, pipe, stretch->end, len);
		if (ret <= 0)
			break;
		stretch->end += ret;
		len -= min_t(u64, len, ret);
	} while (!pipe_full(pipe->head, pipe->tail, pipe->max_usage));

	/* Of an error behind some bytes the next read will tell. */
	if (ret < 0 && stretch->end == pos) {
		zcopy_universal_drop(stretch);
		/* Other parts of a transfer take that for a full socket. */
		return ERR_PTR(ret == -EAGAIN ? -EIO : ret);
	}
	stretch->eof = !ret;
	return stretch;
}

/* How many pages a stretch references. */
unsigned int zcopy_universal_pages(const struct zcopy_stretch *stretch)
{
	return stretch->pipe.head;
}

/* Drop the references of a stretch. */
void zcopy_universal_drop(struct zcopy_stretch *stretch)
{
	discard(&stretch->pipe, 0);
	kfree(stretch);
}

/**
 * zcopy_universal_fill - put what was read of a file on a gather list
 * @stretch: what was read, or NULL
 * @pos:     first byte
 * @len:     bytes wanted
 * @batch:   with room; gets references of its own
 * @range:   the transfer's range these bytes belong to
 *
 * Return: bytes put on @batch; 0 at the end of the file; -EAGAIN when the first
 * byte must be read.
 */
ssize_t zcopy_universal_fill(const struct zcopy_stretch *stretch, loff_t pos,
			     u64 len, struct zcopy_batch *batch,
			     unsigned int range)
{
	ssize_t filled = 0;
	unsigned int i;
	loff_t end;

	if (!stretch || stretch->range != range)
		return -EAGAIN;

	end = stretch->pos;
	for (i = 0; i != stretch->pipe.head && filled < len; i++) {
		const struct pipe_buffer *buf = pipe_buf(&stretch->pipe, i);
		struct folio *folio = page_folio(buf->page);
		size_t left, n;

		end += buf->len;
		left = end - pos;
		if (end <= pos)
			continue;
		n = min3((u64)left, len - filled, (u64)zcopy_batch_room(batch));
		if (!n)
			break;
		folio_get(folio);
		zcopy_batch_add(batch, range, ZCOPY_ELEMENT_CACHED, folio,
				folio_page_idx(folio, buf->page) * PAGE_SIZE +
				buf->offset + buf->len - left, n);
		filled += n;
		pos += n;
	}
	if (filled)
		return filled;
	return stretch->eof && pos >= stretch->end ? 0 : -EAGAIN;
}
