/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_COPY_H
#define ZCOPY_COPY_H

#include <linux/types.h>

struct file;
struct zcopy_batch;
struct zcopy_xfer;

int zcopy_copy_check(const struct file *file);
ssize_t zcopy_copy_write(struct zcopy_batch *batch);
size_t zcopy_copy_share(struct zcopy_xfer *xfer);

#endif /* ZCOPY_COPY_H */
