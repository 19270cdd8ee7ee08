/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_READ_H
#define ZCOPY_READ_H

#include <linux/pagemap.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct zcopy_brought;
struct zcopy_context;
struct zcopy_submitter;
struct zcopy_user;

/* Pages that are asked for at a time, however many the program wants ahead. */
#define ZCOPY_READ_MOST	(SZ_8M / PAGE_SIZE)

/**
 * struct zcopy_need - what must be read of a file before it can be sent
 * @file:    one that zcopy_pagecache_serves()
 * @mapping: its zcopy_pagecache_mapping(), as it was when that was looked at
 * @ra:      the transfer's readahead state for it
 * @brought: is told what was not in memory before; or NULL
 * @pos:     offset of the byte that is needed
 * @len:     bytes that will be wanted from there on, not 0
 * @exactly: pages to read ahead of those, or -1 for the kernel's heuristic
 * @alone:   page offset + 1 of the page that zcopy_read_start() has read alone
 *           last, since it did not come by readahead; or 0
 */
struct zcopy_need {
	struct file *file;
	struct address_space *mapping;
	struct file_ra_state *ra;
	struct zcopy_brought *brought;
	loff_t pos;
	u64 len;
	long exactly;
	pgoff_t *alone;
};

/**
 * struct zcopy_read - a page that is being read, and that no thread waits for
 * @page:    in the page's wait queue while @armed
 * @lock:    guards what is below; irq-safe, taken in the page's wake-up
 * @wake:    called once when the page comes; NULL: nobody waits for it any more.
 *           Context: hard interrupt, under @lock
 * @data:    its argument
 * @armed:   the wake-up is to come
 * @context: whose account it is in; a reference
 * @user:    who pays; a reference
 * @reaping: frees it, if nobody waits
 *
 * Nothing can take it out of the wait queue. So it belongs to who waits and to the
 * wake-up: the last one frees it.
 */
struct zcopy_read {
	struct wait_page_queue page;
	spinlock_t lock;	/* irq-safe, below the page's queue */
	void (*wake)(void *data);
	void *data;
	bool armed;
	struct zcopy_context *context;
	struct zcopy_user *user;
	struct work_struct reaping;
};

bool zcopy_read_can_start(const struct file *file);
struct zcopy_read *zcopy_read_create(struct zcopy_submitter *submitter,
				     void (*wake)(void *data), void *data);
int zcopy_read_start(struct zcopy_read *read, const struct zcopy_need *need);
bool zcopy_read_is_armed(struct zcopy_read *read);
void zcopy_read_leave(struct zcopy_read *read);
int zcopy_read_wait(const struct zcopy_need *need);

#endif /* ZCOPY_READ_H */
