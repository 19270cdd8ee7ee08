// SPDX-License-Identifier: GPL-2.0-only
/* A transfer as everybody holds it: its memory and its references. */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "context.h"
#include "transfer.h"

/**
 * zcopy_xfer_create - a transfer without a target and without ranges
 * @context: whose it is; must outlive the transfer
 * @ops:     whom to tell what happens to it
 * @nr:      ranges that it may get
 *
 * Return: the transfer, in use by the caller; or NULL, there is no memory.
 */
struct zcopy_xfer *zcopy_xfer_create(struct zcopy_context *context,
				     const struct zcopy_xfer_ops *ops,
				     unsigned int nr)
{
	struct zcopy_xfer *xfer;

	xfer = kvzalloc(struct_size(xfer, ranges, nr), GFP_KERNEL_ACCOUNT);
	if (!xfer)
		return NULL;
	xfer->ops = ops;
	xfer->context = context;
	atomic_set(&xfer->uses, 1);
	INIT_LIST_HEAD(&xfer->owned.link);
	RB_CLEAR_NODE(&xfer->by_user_data);
	zcopy_account_begin(&context->account);
	return xfer;
}

/* The transfer is over: what is left of it needs no target. May sleep. */
void zcopy_xfer_leave_target(struct zcopy_xfer *xfer)
{
	if (xfer->target)
		fput(xfer->target);
	xfer->target = NULL;
}

/* Enters what the transfer counted and drops every reference. May sleep. */
void zcopy_xfer_destroy(struct zcopy_xfer *xfer)
{
	unsigned int i;

	might_sleep();
	zcopy_xfer_leave_target(xfer);
	WARN_ON_ONCE(xfer->stream || xfer->leases || xfer->stretch);
	for (i = 0; i < xfer->nr; i++) {
		struct zcopy_range *range = &xfer->ranges[i];

		if (range->file)
			fput(range->file);
		else
			put_page(range->page);
	}
	if (xfer->cred)
		put_cred(xfer->cred);
	mem_cgroup_put(xfer->memcg);
	zcopy_account_end(&xfer->context->account, &xfer->counts);
	kvfree(xfer);
}

/* Keep what a thread that runs it later needs to know of the submitter. */
void zcopy_xfer_remember_submitter(struct zcopy_xfer *xfer)
{
	xfer->cred = get_current_cred();
	xfer->memcg = get_mem_cgroup_from_mm(current->mm);
}
