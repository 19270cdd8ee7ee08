/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_REQUEST_H
#define ZCOPY_REQUEST_H

#include <linux/types.h>

struct zcopy_submitter;
struct zcopy_transfer;
struct zcopy_xfer;
struct zcopy_xfer_ops;

struct zcopy_xfer *zcopy_request_build(struct zcopy_submitter *submitter,
				       const struct zcopy_transfer *transfer,
				       const struct zcopy_xfer_ops *ops,
				       bool queued);
void zcopy_request_refuse(struct zcopy_xfer *xfer, int err);

#endif /* ZCOPY_REQUEST_H */
