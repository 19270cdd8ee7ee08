/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_SOURCE_H
#define ZCOPY_SOURCE_H

#include <linux/types.h>

#include "pagecache.h"

struct file;
struct zcopy_batch;
struct zcopy_range;
struct zcopy_read;
struct zcopy_xfer;

int zcopy_source_check(struct file *file, bool queued, bool *cached);
int zcopy_source_verify(struct zcopy_range *range);
bool zcopy_source_is_unchecked(const struct zcopy_xfer *xfer);

int zcopy_source_fill(struct zcopy_xfer *xfer, enum zcopy_ahead ahead,
		      struct zcopy_batch *batch);
bool zcopy_source_can_start(const struct zcopy_xfer *xfer);
int zcopy_source_start(struct zcopy_xfer *xfer, struct zcopy_read *read);
int zcopy_source_wait(struct zcopy_xfer *xfer);
bool zcopy_source_stays(const struct zcopy_range *range);
bool zcopy_source_is_mapped_below(const struct file *file);
void zcopy_source_drop(struct zcopy_xfer *xfer);
struct super_block *zcopy_source_keeps(const struct zcopy_xfer *xfer);
void zcopy_source_forget(struct zcopy_xfer *xfer);

#endif /* ZCOPY_SOURCE_H */
