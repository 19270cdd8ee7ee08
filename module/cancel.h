/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_CANCEL_H
#define ZCOPY_CANCEL_H

#include <linux/types.h>

struct file;
struct zcopy_context;
struct zcopy_submitter;

unsigned int zcopy_cancel_user_data(struct zcopy_context *context, u64 user_data);
unsigned int zcopy_cancel_target(struct zcopy_context *context,
				 const struct file *target,
				 const struct zcopy_submitter *knows);
unsigned int zcopy_cancel_all(struct zcopy_context *context, bool closing);
void zcopy_cancel_submitter(struct zcopy_submitter *submitter);
void zcopy_cancel_wake(struct zcopy_submitter *submitter);

#endif /* ZCOPY_CANCEL_H */
