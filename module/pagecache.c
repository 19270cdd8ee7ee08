// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page-cache source: folios of files whose page cache is the file, i.e.
 * of local filesystems that need not ask anybody before a cached page is read,
 * also where overlayfs stands before them.
 */
#include <linux/fadvise.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/shmem_fs.h>
#include <linux/writeback.h>

#include "batch.h"
#include "pagecache.h"
#include "transfer.h"

static bool is_local(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case BTRFS_SUPER_MAGIC:
	case EROFS_SUPER_MAGIC_V1:
	case EXFAT_SUPER_MAGIC:
	case EXT4_SUPER_MAGIC:	/* ext2 and ext3 too */
	case F2FS_SUPER_MAGIC:
	case ISOFS_SUPER_MAGIC:
	case MSDOS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case SQUASHFS_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return true;
	}
	return false;
}

/**
 * zcopy_pagecache_mapping - where the pages of a file are
 * @file: a regular one
 *
 * Of a file of overlayfs that is what it reads from at this moment: it changes
 * when the file is copied up. Its inode lives as long as that of overlayfs does.
 *
 * Context: process. The look is quick: what may sleep was done when the file was
 * opened.
 * Return: the mapping; to be asked for anew for each stretch.
 */
struct address_space *zcopy_pagecache_mapping(const struct file *file)
{
	const struct dentry *dentry = file_dentry(file);

	if (!(dentry->d_flags & DCACHE_OP_REAL))
		return file->f_mapping;
	return d_real_inode(dentry)->i_mapping;
}

/* Does something stand between a file and the one its pages belong to? */
bool zcopy_pagecache_is_stacked(const struct file *file)
{
	return file_dentry(file)->d_flags & DCACHE_OP_REAL;
}

/* Can this source serve a regular file whose pages are there? */
bool zcopy_pagecache_serves(const struct file *file, struct address_space *mapping)
{
	if (!is_local(mapping->host->i_sb) || IS_DAX(mapping->host) ||
	    (file->f_flags & O_DIRECT))
		return false;
	return mapping->a_ops->read_folio || shmem_mapping(mapping);
}

static enum zcopy_element kind_of(const struct zcopy_brought *brought,
				  const struct folio *folio, unsigned int range)
{
	if (brought && brought->range == range &&
	    folio->index >= brought->first && folio->index < brought->end)
		return ZCOPY_ELEMENT_BROUGHT;
	return ZCOPY_ELEMENT_CACHED;
}

/*
 * A page that tmpfs never allocated reads as zeros. One that is swapped out
 * has a value entry instead and must be waited for.
 */
static size_t add_hole(struct address_space *mapping, loff_t pos, loff_t end,
		       struct zcopy_batch *batch, unsigned int range)
{
	struct folio *zero = page_folio(ZERO_PAGE(0));
	size_t len = min3((size_t)(end - pos), PAGE_SIZE - offset_in_page(pos),
			  zcopy_batch_room(batch));

	if (!shmem_mapping(mapping) ||
	    xa_load(&mapping->i_pages, pos >> PAGE_SHIFT))
		return 0;
	folio_get(zero);
	zcopy_batch_add(batch, range, ZCOPY_ELEMENT_MEMORY, zero,
			offset_in_folio(zero, 0) + offset_in_page(pos), len);
	return len;
}

/* May this folio be put on a gather list? 1, 0 (not read yet) or -EIO. */
static int is_ready(struct folio *folio)
{
	if (!folio_test_uptodate(folio))
		return 0;
	if (folio_test_hwpoison(folio) ||
	    (folio_test_large(folio) && folio_test_has_hwpoisoned(folio)))
		return -EIO;
	return 1;
}

/* How many of @folios in a row are ready; and why the next one is not. */
static unsigned int count_ready(struct folio_batch *folios, ssize_t *why)
{
	unsigned int i;

	for (i = 0; i < folio_batch_count(folios); i++) {
		int ready = is_ready(folios->folios[i]);

		if (ready <= 0) {
			*why = ready ?: -EAGAIN;
			break;
		}
	}
	return i;
}

/*
 * More is to be read ahead once this folio is reached. The flag means something else
 * where a folio is written, or nothing is read ahead. @own: the transfer put it there,
 * not a reader before.
 */
static bool is_mark(const struct folio *folio, const struct file_ra_state *ra,
		    bool own)
{
	if (!folio_test_readahead(folio) || folio_test_writeback(folio) ||
	    !ra->ra_pages)
		return false;
	return !own || (ra->size &&
			folio->index == round_down(ra->start + ra->size -
							   ra->async_size,
						   folio_nr_pages(folio)));
}

/*
 * Look up one folio batch of [@pos, @pos + @len) and put it on @batch, which has
 * room for that. Returns as zcopy_pagecache_fill() does.
 */
static ssize_t fill_some(struct file *file, struct address_space *mapping,
			 struct file_ra_state *ra,
			 const struct zcopy_brought *brought, loff_t pos,
			 size_t len, enum zcopy_ahead ahead,
			 struct zcopy_batch *batch, unsigned int range)
{
	bool written = mapping_writably_mapped(mapping);
	pgoff_t index = pos >> PAGE_SHIFT;
	pgoff_t last = (pos + len - 1) >> PAGE_SHIFT;
	struct folio_batch folios;
	loff_t start = pos, end;
	unsigned int i, ready;
	ssize_t why = 0;

	folio_batch_init(&folios);
	filemap_get_folios_contig(mapping, &index, last, &folios);
	ready = count_ready(&folios, &why);
	/*
	 * The size counts only once the folios are known to be up to date:
	 * whoever truncates changes the size first, so no zeros from behind the
	 * end are sent for data.
	 */
	end = min_t(loff_t, pos + len, i_size_read(mapping->host));

	for (i = 0; i < ready && pos < end && zcopy_batch_room(batch); i++) {
		struct folio *folio = folios.folios[i];
		enum zcopy_element kind = kind_of(brought, folio, range);
		size_t offset = pos - folio_pos(folio);
		size_t n = min_t(size_t, end - pos, folio_size(folio) - offset);

		if (ahead == ZCOPY_AHEAD_LATER && is_mark(folio, ra, true)) {
			why = -EAGAIN;
			break;
		}
		if (ahead == ZCOPY_AHEAD_NOW && is_mark(folio, ra, false)) {
			DEFINE_READAHEAD(ractl, zcopy_pagecache_reader(file), ra,
					 mapping, folio->index);

			page_cache_async_ra(&ractl, folio, last - folio->index + 1);
		}
		/* Programs may write by other addresses than the kernel's. */
		if (written)
			flush_dcache_folio(folio);
		/* Only what others use is to be seen on one to be dropped. */
		if (kind != ZCOPY_ELEMENT_BROUGHT)
			folio_mark_accessed(folio);
		/* The reference on the folio goes along. */
		zcopy_batch_add(batch, range, kind, folio, offset, n);
		pos += n;
		ra->prev_pos = pos;
	}
	for (; i < folio_batch_count(&folios); i++)
		folio_put(folios.folios[i]);

	if (!folio_batch_count(&folios) && pos < end) {
		pos += add_hole(mapping, pos, end, batch, range);
		why = -EAGAIN;
	}
	return pos > start ? pos - start : pos < end ? why : 0;
}

/**
 * zcopy_pagecache_fill - put cached folios of a file on a gather list
 * @file:     one that zcopy_pagecache_serves()
 * @ra:       the transfer's readahead state for @file
 * @brought:  what the transfer read and is to drop, or NULL
 * @pos:      first byte
 * @len:      bytes wanted; %ZCOPY_TO_EOF for all there are
 * @ahead:    whether readahead is started. The call never waits for a page
 * @batch:    with room
 * @range:    the transfer's range these bytes belong to
 *
 * Return: bytes put on @batch; 0 at the end of the file; -EAGAIN when the first
 * page is not in memory and up to date, or more is to be read ahead from there on
 * and @ahead is %ZCOPY_AHEAD_LATER; -EIO when its memory is broken.
 */
ssize_t zcopy_pagecache_fill(struct file *file, struct file_ra_state *ra,
			     const struct zcopy_brought *brought, loff_t pos,
			     u64 len, enum zcopy_ahead ahead,
			     struct zcopy_batch *batch, unsigned int range)
{
	struct address_space *mapping = zcopy_pagecache_mapping(file);
	ssize_t filled = 0, ret = 0;

	/* It was copied up in between. */
	if (zcopy_pagecache_is_stacked(file) && !zcopy_pagecache_serves(file, mapping))
		return -EAGAIN;
	while (filled < len && zcopy_batch_room(batch)) {
		loff_t left = i_size_read(mapping->host) - pos;

		if (left <= 0)
			break;
		ret = fill_some(file, mapping, ra, brought, pos,
				min3(len - filled, (u64)left,
				     (u64)zcopy_batch_room(batch)),
				ahead, batch, range);
		if (ret <= 0)
			break;
		filled += ret;
		pos += ret;
	}
	return filled ?: min_t(ssize_t, ret, 0);
}

/* Has anybody but the transfer that brought a folio in used it? */
bool zcopy_pagecache_used(const struct folio *folio)
{
	return folio_test_referenced(folio) || folio_test_active(folio) ||
	       folio_test_dirty(folio) || folio_test_writeback(folio);
}

/* Spares what is dirty, locked, mapped or referenced. */
static void drop_pages(struct file *file, pgoff_t first, pgoff_t end)
{
	if (first < end)
		vfs_fadvise(file, (loff_t)first << PAGE_SHIFT,
			    (loff_t)(end - first) << PAGE_SHIFT,
			    POSIX_FADV_DONTNEED);
}

static void drop_unused(struct file *file, pgoff_t first, pgoff_t end)
{
	struct address_space *mapping = zcopy_pagecache_mapping(file);
	pgoff_t run = first;

	while (first < end) {
		struct folio *folio = filemap_get_folio(mapping, first);
		bool spare = IS_ERR(folio);
		pgoff_t next = first + 1;
		int err = 0;

		if (!IS_ERR(folio)) {
			err = folio_wait_locked_killable(folio);
			next = folio_next_index(folio);
			spare = zcopy_pagecache_used(folio);
			folio_put(folio);
		}
		/* Whose process ends drops nothing, and does not stay for the disk. */
		if (err)
			break;
		if (spare) {
			drop_pages(file, run, first);
			run = next;
		}
		first = next;
	}
	drop_pages(file, run, first);
}

/**
 * zcopy_pagecache_drop - drop what a transfer brought in and nobody else used
 * @file:  one that zcopy_pagecache_serves()
 * @first: page offset of the first page
 * @end:   page offset behind the last one
 *
 * Context: process; sleeps for the disk, unless it is killed.
 */
void zcopy_pagecache_drop(struct file *file, pgoff_t first, pgoff_t end)
{
	loff_t last = ((loff_t)end << PAGE_SHIFT) - 1;

	if (first >= end)
		return;
	drop_unused(file, first, end);
	if (!filemap_range_has_page(zcopy_pagecache_mapping(file),
				    (loff_t)first << PAGE_SHIFT, last))
		return;
	/*
	 * An skb tells that it is gone just before it drops the references of
	 * its fragments: once more, when it has.
	 */
	synchronize_rcu();
	drop_unused(file, first, end);
}
