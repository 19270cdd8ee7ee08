/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_UNIVERSAL_H
#define ZCOPY_UNIVERSAL_H

#include <linux/fs.h>

struct zcopy_batch;
struct zcopy_stretch;

int zcopy_universal_check(const struct file *file);
bool zcopy_universal_is_generated(const struct file *file);
struct zcopy_stretch *zcopy_universal_read(struct file *file,
					   unsigned int range, loff_t pos,
					   u64 len);
unsigned int zcopy_universal_pages(const struct zcopy_stretch *stretch);
void zcopy_universal_drop(struct zcopy_stretch *stretch);
ssize_t zcopy_universal_fill(const struct zcopy_stretch *stretch, loff_t pos,
			     u64 len, struct zcopy_batch *batch,
			     unsigned int range);

#endif /* ZCOPY_UNIVERSAL_H */
