// SPDX-License-Identifier: GPL-2.0-only
/* A transfer as everybody holds it: its memory and its references. */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "context.h"
#include "memory.h"
#include "submitter.h"
#include "transfer.h"

/* Bytes that a queued transfer takes beside its own: a stream, if it is alone. */
#define BESIDE	512

static void charge(struct zcopy_user *user, size_t size)
{
	zcopy_user_charge_anyway(user, ZCOPY_USE_TRANSFERS, 1);
	zcopy_user_charge_anyway(user, ZCOPY_USE_MEMORY, size);
}

static void uncharge(struct zcopy_user *user, size_t size)
{
	zcopy_user_uncharge(user, ZCOPY_USE_TRANSFERS, 1);
	zcopy_user_uncharge(user, ZCOPY_USE_MEMORY, size);
}

/**
 * zcopy_xfer_create - a transfer without a target and without ranges
 * @submitter: whose it is
 * @ops:       whom to tell what happens to it
 * @nr:        ranges that it may get
 *
 * Return: the transfer, in use by the caller; or NULL, there is no memory.
 */
struct zcopy_xfer *zcopy_xfer_create(struct zcopy_submitter *submitter,
				     const struct zcopy_xfer_ops *ops,
				     unsigned int nr)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_xfer *xfer;
	size_t size = struct_size(xfer, ranges, nr);

	xfer = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!xfer)
		return NULL;
	xfer->charged = kmalloc_size_roundup(size) + BESIDE;
	charge(submitter->user, xfer->charged);
	refcount_inc(&submitter->crew.refs);
	atomic_inc(&submitter->crew.load);
	xfer->ops = ops;
	xfer->submitter = submitter;
	xfer->context = context;
	atomic_set(&xfer->uses, 1);
	INIT_LIST_HEAD(&xfer->link);
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

/**
 * zcopy_xfer_get_file - one more reference on a file of a transfer
 * @xfer:  with a use of it by the caller
 * @range: a file's
 *
 * Return: the file; or NULL, the transfer lost it.
 */
struct file *zcopy_xfer_get_file(struct zcopy_xfer *xfer, unsigned int range)
{
	struct file *file = NULL;

	spin_lock(&xfer->context->lock);
	if (!xfer->stripped)
		file = get_file(xfer->ranges[range].file);
	spin_unlock(&xfer->context->lock);
	return file;
}

/* Give back what takes a process, which may be before its release. May sleep. */
void zcopy_xfer_strip(struct zcopy_xfer *xfer)
{
	unsigned int i;

	might_sleep();
	zcopy_xfer_leave_target(xfer);
	WARN_ON_ONCE(xfer->stream || xfer->leases || xfer->stretch);
	spin_lock(&xfer->context->lock);
	xfer->stripped = true;
	spin_unlock(&xfer->context->lock);
	for (i = 0; i < xfer->nr; i++) {
		struct zcopy_range *range = &xfer->ranges[i];

		if (range->file)
			fput(range->file);
		else
			zcopy_memory_put(range->memory);
	}
	if (xfer->cred)
		put_cred(xfer->cred);
}

/* Enters what a transfer that was stripped counted. Any but hard interrupt. */
void zcopy_xfer_free(struct zcopy_xfer *xfer)
{
	struct zcopy_submitter *submitter = xfer->submitter;

	zcopy_account_end(&xfer->context->account, &xfer->counts);
	uncharge(submitter->user, xfer->charged);
	/* The network's receivers hold the RCU lock, under which vfree() cannot sleep. */
	if (is_vmalloc_addr(xfer))
		kvfree_rcu(xfer, rcu);
	else
		kfree(xfer);
	zcopy_crew_done(&submitter->crew);
	zcopy_submitter_put(submitter);
}

/* Drops every reference. May sleep. */
void zcopy_xfer_destroy(struct zcopy_xfer *xfer)
{
	zcopy_xfer_strip(xfer);
	zcopy_xfer_free(xfer);
}
