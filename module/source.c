// SPDX-License-Identifier: GPL-2.0-only
/* What comes next in a transfer, as pages: memory ranges and files alike. */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "batch.h"
#include "context.h"
#include "memory.h"
#include "pagecache.h"
#include "read.h"
#include "source.h"
#include "transfer.h"
#include "universal.h"

/**
 * zcopy_source_check - can a file be sent?
 * @file:   any one that is open for reading
 * @queued: other threads than the submitter will read it
 * @cached: set to whether the page-cache source serves it
 *
 * Return: 0; -ESPIPE, it is neither a regular file nor shared memory, or has no
 * offsets; or -EOPNOTSUPP.
 */
int zcopy_source_check(struct file *file, bool queued, bool *cached)
{
	if (!S_ISREG(file_inode(file)->i_mode))
		return -ESPIPE;
	*cached = zcopy_pagecache_serves(file, zcopy_pagecache_mapping(file));
	if (*cached)
		return 0;
	if (queued && zcopy_universal_is_generated(file))
		return -EOPNOTSUPP;
	return zcopy_universal_check(file);
}

/* Is what was read of a file there for the next reader? */
bool zcopy_source_stays(const struct zcopy_range *range)
{
	return range->cached || !(range->file->f_flags & O_DIRECT ||
				  zcopy_universal_is_generated(range->file));
}

/*
 * Can somebody write to a file who does not have it open for writing? A mapping of
 * overlayfs keeps only the file below open.
 */
bool zcopy_source_is_mapped_below(const struct file *file)
{
	return zcopy_pagecache_is_stacked(file) &&
	       inode_is_open_for_write(zcopy_pagecache_mapping(file)->host);
}

/* The readahead state for a range's file, made anew where a range begins. */
static struct file_ra_state *range_ra(struct zcopy_xfer *xfer,
				      unsigned int range)
{
	struct file *file = xfer->ranges[range].file;

	if (xfer->ra_range != range) {
		file_ra_state_init(&xfer->ra, zcopy_pagecache_mapping(file));
		/* What posix_fadvise() made of this descriptor counts. */
		if (!zcopy_pagecache_is_stacked(file))
			xfer->ra.ra_pages = file->f_ra.ra_pages;
		xfer->ra.ra_pages = max_t(unsigned int, xfer->ra.ra_pages,
					  min(xfer->readahead, ZCOPY_READ_MOST));
		/* None, or by the page; or there is no disk. */
		if (xfer->flags & (ZCOPY_USER_READAHEAD | ZCOPY_NOCACHE) ||
		    !zcopy_pagecache_mapping(file)->a_ops->readahead)
			xfer->ra.ra_pages = 0;
		xfer->ra_range = range;
		xfer->alone = 0;
	}
	return &xfer->ra;
}

static ssize_t fill_memory(const struct zcopy_range *range, u64 pos, u64 len,
			   struct zcopy_batch *batch, unsigned int index)
{
	struct folio *folio = page_folio(range->memory->page);
	size_t n = min_t(u64, len, zcopy_batch_room(batch));

	folio_get(folio);
	zcopy_batch_add(batch, index, ZCOPY_ELEMENT_MEMORY, folio, pos, n);
	return n;
}

static loff_t size_of(const struct zcopy_range *range)
{
	return i_size_read(zcopy_pagecache_mapping(range->file)->host);
}

/*
 * Has a range nothing to give at @pos, as far as can be said by now? Only where
 * the page cache is the file its size is always known.
 */
static bool is_empty(const struct zcopy_range *range, u64 pos, u64 len)
{
	return !len || (range->cached && pos >= size_of(range));
}

/* May not be read before rw_verify_area() was asked about what is there by now. */
static bool is_unchecked(const struct zcopy_range *range)
{
	return range->file && range->cached && range->pos >= range->checked;
}

/**
 * zcopy_source_verify - ask whether the next stretch of a file may be read
 * @range: a file's
 *
 * About no more than read(2) and sendfile(2) ask at once, and about what the file
 * has: what it grows to is asked about in its turn. The universal source is asked
 * each time that it reads.
 *
 * Context: process, with the transfer's credentials; may sleep for who is asked.
 * Return: 0 or an error of rw_verify_area().
 */
int zcopy_source_verify(struct zcopy_range *range)
{
	loff_t pos = range->pos, left = LLONG_MAX - pos;
	int err;

	if (range->cached)
		left = max(size_of(range) - pos, 0);
	left = min3((u64)left, range->len, (u64)MAX_RW_COUNT);
	err = rw_verify_area(READ, range->file, &pos, left);
	if (!err)
		range->checked = pos + left;
	return err;
}

/* Is it not the page that is missing, but the word that it may be read? */
bool zcopy_source_is_unchecked(const struct zcopy_xfer *xfer)
{
	return is_unchecked(&xfer->ranges[xfer->next]);
}

/* A file of overlayfs may have been copied up to another filesystem. */
static void look_again(struct zcopy_range *range)
{
	struct file *file = range->file;

	if (file && zcopy_pagecache_is_stacked(file))
		range->cached = zcopy_pagecache_serves(file,
						       zcopy_pagecache_mapping(file));
}

/**
 * zcopy_source_fill - put what comes next on a gather list
 * @xfer:  not moved forward: that is done by what the socket accepts
 * @ahead: whether readahead is started. The call never waits for a page
 * @batch: a part of @xfer is begun here
 *
 * One batch goes across segments, so a header, what follows it and a trailer
 * reach the socket in one call.
 *
 * Return: 0, the part holds something or the transfer is at its end; or, with
 * the part holding what precedes it: -EAGAIN, a page of the range part->next
 * must be read first; -ENODATA, that range's file ends early, and %ZCOPY_EXACT;
 * another error of that file.
 */
int zcopy_source_fill(struct zcopy_xfer *xfer, enum zcopy_ahead ahead,
		      struct zcopy_batch *batch)
{
	const struct zcopy_brought *brought = NULL;
	struct zcopy_part *part;
	unsigned int i;

	if (xfer->flags & ZCOPY_NODISKIO)
		ahead = ZCOPY_AHEAD_NEVER;
	part = zcopy_batch_begin(batch, xfer);
	if (xfer->flags & ZCOPY_NOCACHE)
		brought = &xfer->brought;

	for (i = xfer->next; i < xfer->nr; i++) {
		struct zcopy_range *range = &xfer->ranges[i];
		u64 pos = range->pos;
		u64 len = range->len;

		look_again(range);

		while (!is_empty(range, pos, len)) {
			ssize_t n;

			part->next = i;
			if (!zcopy_batch_room(batch))
				return 0;
			if (!range->file)
				n = fill_memory(range, pos, len, batch, i);
			else if (range->cached && pos >= range->checked)
				n = -EAGAIN;
			else if (range->cached)
				n = zcopy_pagecache_fill(range->file,
							 range_ra(xfer, i), brought,
							 pos,
							 min(len, range->checked - pos),
							 ahead, batch, i);
			else
				n = zcopy_universal_fill(xfer->stretch, pos,
							 len, batch, i);
			if (n < 0)
				return n;
			if (!n)
				break;
			pos += n;
			if (len != ZCOPY_TO_EOF)
				len -= n;
		}
		if (len && len != ZCOPY_TO_EOF && range->file &&
		    (xfer->flags & ZCOPY_EXACT)) {
			part->next = i;
			return -ENODATA;
		}
	}
	part->next = i;
	return 0;
}

/* Of what did the transfer bring pages into memory that it has not sent? */
struct super_block *zcopy_source_keeps(const struct zcopy_xfer *xfer)
{
	const struct zcopy_brought *brought = &xfer->brought;

	return brought->end <= brought->first ? NULL :
	       file_inode(xfer->ranges[brought->range].file)->i_sb;
}

/* Drop what the transfer brought into memory last and has not sent. Sleeps. */
void zcopy_source_forget(struct zcopy_xfer *xfer)
{
	const struct zcopy_brought *brought = &xfer->brought;

	if (zcopy_source_keeps(xfer))
		zcopy_pagecache_drop(xfer->ranges[brought->range].file,
				     brought->first, brought->end);
}

/* Drop what the universal source read and the socket did not take. */
void zcopy_source_drop(struct zcopy_xfer *xfer)
{
	struct zcopy_stretch *stretch = xfer->stretch;

	if (!stretch)
		return;
	zcopy_account_hold(&xfer->context->account,
			   -(long)zcopy_universal_pages(stretch));
	zcopy_universal_drop(stretch);
	xfer->stretch = NULL;
}

static int read_stretch(struct zcopy_xfer *xfer)
{
	const struct zcopy_range *range = &xfer->ranges[xfer->next];
	struct zcopy_stretch *stretch;

	zcopy_source_drop(xfer);
	stretch = zcopy_universal_read(range->file, xfer->next, range->pos,
				       range->len);
	if (IS_ERR(stretch))
		return PTR_ERR(stretch);
	zcopy_account_hold(&xfer->context->account,
			   zcopy_universal_pages(stretch));
	xfer->stretch = stretch;
	return 0;
}

/* What the page-cache source needs of a transfer's next range. */
static struct zcopy_need need_of(struct zcopy_xfer *xfer)
{
	const struct zcopy_range *range = &xfer->ranges[xfer->next];
	struct zcopy_need need = {
		.file = range->file,
		.ra = range_ra(xfer, xfer->next),
		.pos = range->pos,
		.len = range->len,
		.exactly = -1,
		.alone = &xfer->alone,
	};

	if (xfer->flags & ZCOPY_USER_READAHEAD)
		need.exactly = xfer->readahead;
	if (xfer->flags & ZCOPY_NOCACHE) {
		need.brought = &xfer->brought;
		if (need.brought->range != xfer->next) {
			zcopy_source_forget(xfer);
			*need.brought = (struct zcopy_brought) { xfer->next };
		}
	}
	/* Last: to drop pages may sleep, and a file be copied up meanwhile. */
	need.mapping = zcopy_pagecache_mapping(range->file);
	return need;
}

/* Is the page-cache source still the one for it? */
static bool is_served(const struct zcopy_need *need)
{
	return !zcopy_pagecache_is_stacked(need->file) ||
	       zcopy_pagecache_serves(need->file, need->mapping);
}

/* Can the next byte of a transfer be read without a thread that waits for it? */
bool zcopy_source_can_start(const struct zcopy_xfer *xfer)
{
	const struct zcopy_range *range = &xfer->ranges[xfer->next];

	return range->file && range->cached && !is_unchecked(range) &&
	       zcopy_read_can_start(range->file);
}

/**
 * zcopy_source_start - have what kept zcopy_source_fill() from going on read
 * @xfer: its next byte is the one to be read, and zcopy_source_can_start()
 * @read: not armed
 *
 * Context: process; may sleep for what it takes to ask the disk.
 * Return: see zcopy_read_start().
 */
int zcopy_source_start(struct zcopy_xfer *xfer, struct zcopy_read *read)
{
	struct zcopy_need need;

	/* To drop pages takes as long as to read them. */
	if (xfer->brought.range != xfer->next && zcopy_source_keeps(xfer))
		return -EAGAIN;
	need = need_of(xfer);
	return is_served(&need) ? zcopy_read_start(read, &need) : 0;
}

/**
 * zcopy_source_wait - read what kept zcopy_source_fill() from going on
 * @xfer: its next byte is the one to be read
 *
 * What is not in a page cache that may be looked up without asking is kept for
 * the run that follows, up to its zcopy_source_drop().
 *
 * Context: process; sleeps for the disk.
 * Return: 0 or the file's error.
 */
int zcopy_source_wait(struct zcopy_xfer *xfer)
{
	struct zcopy_range *range = &xfer->ranges[xfer->next];
	struct zcopy_need need;

	if (!range->cached)
		return read_stretch(xfer);
	if (is_unchecked(range))
		return zcopy_source_verify(range);
	need = need_of(xfer);
	return is_served(&need) ? zcopy_read_wait(&need) : 0;
}
