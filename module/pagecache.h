/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_PAGECACHE_H
#define ZCOPY_PAGECACHE_H

#include <linux/fs.h>

struct zcopy_batch;

int zcopy_pagecache_check(struct file *file);
ssize_t zcopy_pagecache_fill(struct file *file, struct file_ra_state *ra,
			     loff_t pos, u64 len, bool may_read,
			     struct zcopy_batch *batch, unsigned int range);
int zcopy_pagecache_read(struct file *file, struct file_ra_state *ra,
			 loff_t pos, u64 len, long exactly);

#endif /* ZCOPY_PAGECACHE_H */
