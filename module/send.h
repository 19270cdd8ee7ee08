/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_SEND_H
#define ZCOPY_SEND_H

struct zcopy_completion;
struct zcopy_context;
struct zcopy_transfer;

int zcopy_send_now(struct zcopy_context *context,
		   const struct zcopy_transfer *transfer,
		   struct zcopy_completion *completion);

#endif /* ZCOPY_SEND_H */
