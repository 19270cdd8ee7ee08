/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_PAGECACHE_H
#define ZCOPY_PAGECACHE_H

#include <linux/fs.h>

struct folio;
struct zcopy_batch;
struct zcopy_brought;

bool zcopy_pagecache_serves(const struct file *file);
ssize_t zcopy_pagecache_fill(struct file *file, struct file_ra_state *ra,
			     const struct zcopy_brought *brought, loff_t pos,
			     u64 len, bool may_read, struct zcopy_batch *batch,
			     unsigned int range);
int zcopy_pagecache_read(struct file *file, struct file_ra_state *ra,
			 struct zcopy_brought *brought, loff_t pos, u64 len,
			 long exactly);
bool zcopy_pagecache_used(const struct folio *folio);
void zcopy_pagecache_drop(struct file *file, pgoff_t first, pgoff_t end);

#endif /* ZCOPY_PAGECACHE_H */
