/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_LEASE_H
#define ZCOPY_LEASE_H

#include <linux/types.h>

struct file;
struct zcopy_xfer;

int zcopy_lease_take(struct zcopy_xfer *xfer, struct file *file);
bool zcopy_lease_broken(const struct zcopy_xfer *xfer);
bool zcopy_lease_drop(struct zcopy_xfer *xfer, bool *lapsed);

#endif /* ZCOPY_LEASE_H */
