/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_PAGECACHE_H
#define ZCOPY_PAGECACHE_H

#include <linux/fs.h>

struct folio;
struct zcopy_batch;
struct zcopy_brought;

/* Is more of a file read ahead where its cached part is about to end? */
enum zcopy_ahead {
	ZCOPY_AHEAD_NEVER,	/* no disk shall be bothered */
	ZCOPY_AHEAD_LATER,	/* yes, by whom this is passed on to */
	ZCOPY_AHEAD_NOW,	/* yes, which may sleep for the disk */
};

struct address_space *zcopy_pagecache_mapping(const struct file *file);
bool zcopy_pagecache_is_stacked(const struct file *file);
bool zcopy_pagecache_serves(const struct file *file,
			    struct address_space *mapping);
ssize_t zcopy_pagecache_fill(struct file *file, struct file_ra_state *ra,
			     const struct zcopy_brought *brought, loff_t pos,
			     u64 len, enum zcopy_ahead ahead,
			     struct zcopy_batch *batch, unsigned int range);
/*
 * As whom a filesystem is asked to read ahead: a file of overlayfs is none of the
 * filesystem's that the pages are of.
 */
static inline struct file *zcopy_pagecache_reader(struct file *file)
{
	return zcopy_pagecache_is_stacked(file) ? NULL : file;
}

bool zcopy_pagecache_used(const struct folio *folio);
void zcopy_pagecache_drop(struct file *file, pgoff_t first, pgoff_t end);

#endif /* ZCOPY_PAGECACHE_H */
