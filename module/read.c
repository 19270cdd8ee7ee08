// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads: how a page that is missing comes into memory. Most filesystems can be
 * asked for it and tell when it is there, so that no thread is held meanwhile;
 * of the others, and for the error of a page that cannot be read, one waits.
 */
#include <linux/backing-dev.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "context.h"
#include "pagecache.h"
#include "read.h"
#include "submitter.h"
#include "transfer.h"
#include "user.h"
#include "worker.h"

/*
 * Pages that are allocated and locked before the first of them is asked for: no less
 * than a gather list takes, and no more than readahead(2) takes at once.
 */
#define PIECE_LEAST	(ZCOPY_BATCH_BYTES / PAGE_SIZE)
#define PIECE_MOST	(SZ_2M / PAGE_SIZE)

/* Pages that a disk takes at once. */
static unsigned long piece_of(const struct address_space *mapping)
{
	return clamp(mapping->host->i_sb->s_bdi->io_pages, PIECE_LEAST, PIECE_MOST);
}

/* Ask for pages that are missing, in pieces. */
static void ask_exactly(const struct zcopy_need *need, pgoff_t index,
			unsigned long pages)
{
	struct address_space *mapping = need->mapping;
	const unsigned long piece = piece_of(need->mapping);

	while (pages) {
		DEFINE_READAHEAD(ractl, zcopy_pagecache_reader(need->file),
				 need->ra, mapping, index);
		unsigned long n = min(pages, piece);

		zcopy_compat_ra_unbounded(&ractl, n);
		index += n;
		pages -= n;
	}
}

/* Of @max pages from @index on, how many in a row are not in memory? */
static unsigned long count_missing(struct address_space *mapping, pgoff_t index,
				   unsigned long max)
{
	unsigned long nr;

	for (nr = 0; nr < max; nr++) {
		void *entry = xa_load(&mapping->i_pages, index + nr);

		if (entry && !xa_is_value(entry))
			break;
	}
	return nr;
}

/* Have the page that is needed read, and some behind it. */
static void ask(const struct zcopy_need *need)
{
	struct address_space *mapping = need->mapping;
	pgoff_t index = need->pos >> PAGE_SHIFT;
	struct zcopy_brought *brought = need->brought;
	loff_t size = i_size_read(mapping->host);
	u64 pages;

	if (need->pos >= size)
		return;
	pages = DIV_ROUND_UP_ULL(min_t(u64, need->len, ZCOPY_BATCH_BYTES) +
				 offset_in_page(need->pos), PAGE_SIZE);
	if (need->exactly >= 0)
		pages += need->exactly;
	pages = min3(pages, (u64)((size - 1) >> PAGE_SHIFT) - index + 1,
		     (u64)ZCOPY_READ_MOST);
	if (brought)
		pages = count_missing(mapping, index, pages);
	if (need->exactly >= 0 || brought) {
		ask_exactly(need, index, pages);
	} else {
		DEFINE_READAHEAD(ractl, zcopy_pagecache_reader(need->file),
				 need->ra, mapping, index);

		page_cache_sync_ra(&ractl, pages);
	}
	/* It comes in folios of no less than so many pages. */
	if (brought) {
		unsigned long least = mapping_min_folio_nrpages(mapping);

		brought->first = round_down(index, least);
		brought->end = round_up(index + pages, least);
	}
}

/* The folio with the page that is needed, asked for if it is missing. */
static struct folio *ask_if_missing(const struct zcopy_need *need)
{
	struct address_space *mapping = need->mapping;
	pgoff_t index = need->pos >> PAGE_SHIFT;
	struct folio *folio = filemap_get_folio(mapping, index);

	if (!IS_ERR(folio))
		return folio;
	ask(need);
	return filemap_get_folio(mapping, index);
}

/*
 * Does the filesystem of a file tell when a page that it was asked for is there?
 * Overlayfs does not.
 */
bool zcopy_read_can_start(const struct file *file)
{
	return file->f_op->fop_flags & FOP_BUFFER_RASYNC;
}

static void free_read(struct zcopy_read *read)
{
	zcopy_account_read_over(&read->context->account);
	zcopy_user_uncharge(read->user, ZCOPY_USE_MEMORY, sizeof(*read));
	zcopy_user_uncharge(read->user, ZCOPY_USE_READS, 1);
	zcopy_user_put(read->user);
	zcopy_context_put(read->context);
	kfree(read);
}

static void reap(struct work_struct *work)
{
	free_read(container_of(work, struct zcopy_read, reaping));
}

/* The page was read, or could not be. Hard interrupt, with its queue's lock. */
static int page_wake(wait_queue_entry_t *entry, unsigned int mode, int sync,
		     void *key)
{
	struct zcopy_read *read = container_of(entry, struct zcopy_read, page.wait);
	bool alone;

	if (!wake_page_match(&read->page, key))
		return 0;
	list_del_init(&entry->entry);
	spin_lock(&read->lock);
	read->armed = false;
	alone = !read->wake;
	if (!alone)
		read->wake(read->data);
	spin_unlock(&read->lock);
	if (alone)
		zcopy_worker_reap(&read->reaping);
	return 1;
}

/**
 * zcopy_read_create - prepare for a read that no thread waits for
 * @submitter: who pays
 * @wake:      see struct zcopy_read
 * @data:      ditto
 *
 * Return: it, the caller's up to zcopy_read_leave(); or NULL, there is no memory,
 * or the user has as many as he may.
 */
struct zcopy_read *zcopy_read_create(struct zcopy_submitter *submitter,
				     void (*wake)(void *data), void *data)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_user *user = submitter->user;
	struct zcopy_read *read;

	if (!zcopy_user_charge(user, ZCOPY_USE_READS, 1))
		return NULL;
	read = kzalloc(sizeof(*read), GFP_KERNEL_ACCOUNT);
	if (!read) {
		zcopy_user_uncharge(user, ZCOPY_USE_READS, 1);
		return NULL;
	}
	zcopy_user_charge_anyway(user, ZCOPY_USE_MEMORY, sizeof(*read));
	read->user = zcopy_user_hold(user);
	init_waitqueue_func_entry(&read->page.wait, page_wake);
	INIT_LIST_HEAD(&read->page.wait.entry);
	spin_lock_init(&read->lock);
	read->wake = wake;
	read->data = data;
	refcount_inc(&context->refs);
	read->context = context;
	INIT_WORK(&read->reaping, reap);
	zcopy_account_read_begun(&context->account);
	return read;
}

bool zcopy_read_is_armed(struct zcopy_read *read)
{
	bool armed;

	spin_lock_irq(&read->lock);
	armed = read->armed;
	spin_unlock_irq(&read->lock);
	return armed;
}

/* The caller does not wait for it any more: it is gone, for him. */
void zcopy_read_leave(struct zcopy_read *read)
{
	bool armed;

	spin_lock_irq(&read->lock);
	armed = read->armed;
	read->wake = NULL;
	spin_unlock_irq(&read->lock);
	if (!armed)
		free_read(read);
}

/*
 * More is to be read ahead when this folio is reached, for this transfer. The
 * program's own readahead is left to its own reads.
 */
static void go_ahead(const struct zcopy_need *need, struct folio *folio)
{
	struct address_space *mapping = need->mapping;
	DEFINE_READAHEAD(ractl, zcopy_pagecache_reader(need->file), need->ra,
			 mapping, folio->index);

	if (need->ra->ra_pages)
		page_cache_async_ra(&ractl, folio,
				    DIV_ROUND_UP_ULL(min_t(u64, need->len,
							   ZCOPY_BATCH_BYTES),
						     PAGE_SIZE));
	else
		folio_clear_readahead(folio);
}

/*
 * A read that the transfer does not make for its bytes is no use of a page that it
 * is to drop. @fresh: nobody had used it before.
 */
static bool is_fresh(const struct zcopy_need *need, const struct folio *folio)
{
	return need->brought && !IS_ERR(folio) && !folio_test_referenced(folio);
}

static void keep_fresh(struct folio *folio, bool fresh)
{
	if (fresh)
		folio_clear_referenced(folio);
}

/*
 * Readahead left the page alone: it is the first that is dropped where the disk
 * has to wait. Ask for it as a reader does. The lock keeps the page from being
 * brought in behind a truncation or a hole being punched.
 */
static int ask_alone(const struct zcopy_need *need, struct folio *folio)
{
	struct address_space *mapping = need->mapping;
	int err = 0;

	filemap_invalidate_lock_shared(mapping);
	if (folio_trylock(folio)) {
		if (!folio->mapping || folio_test_uptodate(folio)) {
			folio_unlock(folio);
		} else {
			*need->alone = (need->pos >> PAGE_SHIFT) + 1;
			err = mapping->a_ops->read_folio(need->file, folio);
		}
	}
	filemap_invalidate_unlock_shared(mapping);
	return err == AOP_TRUNCATED_PAGE ? 0 : err;
}

/*
 * Have @read woken when the page is there. What it takes is the kernel's to do, and
 * nobody's to do in part: so one byte is read.
 */
static int arm(struct zcopy_read *read, const struct zcopy_need *need)
{
	struct kiocb kiocb;
	struct kvec vec;
	struct iov_iter to;
	ssize_t n;
	char byte;

	init_sync_kiocb(&kiocb, need->file);
	kiocb.ki_pos = need->pos;
	kiocb.ki_flags |= IOCB_WAITQ;
	kiocb.ki_waitq = &read->page;
	vec = (struct kvec){ &byte, 1 };
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, 1);

	/* It may come before the call is back. */
	read->armed = true;
	n = filemap_read(&kiocb, &to, 0);
	if (n == -EIOCBQUEUED)
		return n;
	read->armed = false;
	return min_t(ssize_t, n, 0);
}

/**
 * zcopy_read_start - have what is needed read, and be told when it is there
 * @read: of zcopy_read_create(), not armed
 * @need: of a file that zcopy_read_can_start()
 *
 * Context: process; may sleep for what it takes to ask the disk.
 * Return: -EIOCBQUEUED, @read is armed; 0 when it pays to look again; -EAGAIN,
 * only who waits for it can read it, zcopy_read_wait(); or the error that kept it
 * from being asked for.
 */
int zcopy_read_start(struct zcopy_read *read, const struct zcopy_need *need)
{
	struct inode *inode = need->mapping->host;
	struct folio *folio;
	bool fresh, ready;
	int err = 0;

	might_sleep();
	if (need->pos >= i_size_read(inode))
		return 0;
	folio = ask_if_missing(need);
	if (IS_ERR(folio))
		return -EAGAIN;
	fresh = is_fresh(need, folio);
	if (folio_test_readahead(folio) && !folio_test_writeback(folio))
		go_ahead(need, folio);
	ready = folio_test_uptodate(folio);
	if (!ready && !folio_test_locked(folio)) {
		if (*need->alone == (need->pos >> PAGE_SHIFT) + 1)
			err = -EAGAIN;
		else
			err = ask_alone(need, folio);
	}
	if (!err && !ready) {
		err = arm(read, need);
		if (!err)
			keep_fresh(folio, fresh);
		ready = folio_test_uptodate(folio);
	}
	folio_put(folio);
	/* Of a folio that is there in part a byte may be read, and not be sent. */
	return err || ready ? err : -EAGAIN;
}

/* Swap a page in, or have one cleared that was only reserved. */
static int read_shmem(struct inode *inode, pgoff_t index)
{
	struct folio *folio = NULL;
	int err;

	/* SGP_READ takes what was reserved for a hole, and leaves it as it is. */
	err = shmem_get_folio(inode, index, 0, &folio, SGP_NOALLOC);
	/* Beyond the end, or a hole: truncated or punched meanwhile. */
	if (err == -EINVAL || err == -ENOENT)
		return 0;
	if (!err && folio) {
		folio_unlock(folio);
		folio_put(folio);
	}
	return err;
}

/*
 * Read through what stands before the page's filesystem, so that it has its say;
 * the page comes into the same cache.
 */
static int read_through(const struct zcopy_need *need)
{
	struct iov_iter to;
	struct kvec vec;
	char byte;
	loff_t pos = need->pos;
	ssize_t n;

	vec = (struct kvec){ &byte, 1 };
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, 1);
	n = vfs_iter_read(need->file, &to, &pos, 0);
	/* Other parts of a transfer take -EAGAIN for a full socket. */
	return n == -EAGAIN ? -EIO : min_t(ssize_t, n, 0);
}

/**
 * zcopy_read_wait - bring what is needed into memory and wait
 * @need: what
 *
 * Context: process; sleeps for the disk, until a fatal signal.
 * Return: 0 when it pays to look again (the page is there, or the file ended),
 * or the error that kept it from being read.
 */
int zcopy_read_wait(const struct zcopy_need *need)
{
	struct address_space *mapping = need->mapping;
	const bool stacked = zcopy_pagecache_is_stacked(need->file);
	pgoff_t index = need->pos >> PAGE_SHIFT;
	struct folio *folio;
	int err = 0;

	might_sleep();
	if (need->pos >= i_size_read(mapping->host))
		return 0;
	if (shmem_mapping(mapping))
		return read_shmem(mapping->host, index);

	folio = ask_if_missing(need);
	if (stacked) {
		bool fresh = is_fresh(need, folio);

		err = read_through(need);
		keep_fresh(folio, fresh);
	}
	if (!IS_ERR(folio)) {
		bool ready;

		if (!err)
			err = folio_wait_locked_killable(folio);
		ready = folio_test_uptodate(folio);
		folio_put(folio);
		if (ready)
			return err;
	}
	if (err)
		return err;

	/*
	 * Readahead did not bring it: it reports no errors, and may find no
	 * memory. Read this one page for its error. The lock keeps the page
	 * from being brought in behind a truncation or a hole being punched.
	 */
	filemap_invalidate_lock_shared(mapping);
	if (need->pos < i_size_read(mapping->host)) {
		folio = read_cache_folio(mapping, index, NULL,
					 zcopy_pagecache_reader(need->file));
		if (IS_ERR(folio))
			err = PTR_ERR(folio);
		else
			folio_put(folio);
	}
	filemap_invalidate_unlock_shared(mapping);
	return err;
}
