// SPDX-License-Identifier: GPL-2.0-only
/* What one open of the device owns. */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "context.h"
#include "memory.h"

/**
 * zcopy_context_create - what an open of the device owns
 * @ops: whom to tell what happens to it
 *
 * Return: it, the caller's up to zcopy_context_put(); or an ERR_PTR: -EMFILE, the
 * user has as many as he may; -ENOMEM.
 */
struct zcopy_context *
zcopy_context_create(const struct zcopy_context_ops *ops)
{
	struct zcopy_user *user = zcopy_user_get(current_cred());
	struct zcopy_context *context;

	if (!user)
		return ERR_PTR(-ENOMEM);
	if (!zcopy_user_charge(user, ZCOPY_USE_CONTEXTS, 1)) {
		zcopy_user_put(user);
		return ERR_PTR(-EMFILE);
	}
	context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	if (!context) {
		zcopy_user_uncharge(user, ZCOPY_USE_CONTEXTS, 1);
		zcopy_user_put(user);
		return ERR_PTR(-ENOMEM);
	}
	zcopy_user_charge_anyway(user, ZCOPY_USE_MEMORY, sizeof(*context));
	context->user = user;
	/* Whatever of it is left when its file is closed, a flight or a worker. */
	__module_get(THIS_MODULE);
	context->ops = ops;
	refcount_set(&context->refs, 1);
	zcopy_account_init(&context->account);
	mutex_init(&context->memory_lock);
	spin_lock_init(&context->lock);
	context->streams = RB_ROOT;
	context->by_user_data = RB_ROOT;
	INIT_LIST_HEAD(&context->marks);
	INIT_LIST_HEAD(&context->blind);
	INIT_LIST_HEAD(&context->submitters);
	INIT_LIST_HEAD(&context->done);
	init_waitqueue_head(&context->wait);
	zcopy_starver_init(&context->starver, &context->wait);
	return context;
}

/*
 * Whoever drops the last reference frees it; nothing runs in it any more. The
 * caller is one whom the module's exit waits for: a system call on an open file,
 * the reaper, a task work, or an RCU reader.
 */
void zcopy_context_put(struct zcopy_context *context)
{
	if (!refcount_dec_and_test(&context->refs))
		return;
	WARN_ON_ONCE(atomic_long_read(&context->account.active));
	WARN_ON_ONCE(atomic_long_read(&context->account.folios_held));
	WARN_ON_ONCE(atomic_long_read(&context->account.reads));
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&context->streams) ||
		     !RB_EMPTY_ROOT(&context->by_user_data) ||
		     !list_empty(&context->submitters));
	WARN_ON_ONCE(!list_empty(&context->done) || context->nr_queued ||
		     context->memory_queued);
	zcopy_starver_leave(&context->starver);
	zcopy_memory_put(context->memory);
	zcopy_user_uncharge(context->user, ZCOPY_USE_MEMORY, sizeof(*context));
	zcopy_user_uncharge(context->user, ZCOPY_USE_CONTEXTS, 1);
	zcopy_user_put(context->user);
	mutex_destroy(&context->memory_lock);
	kfree(context);
	module_put(THIS_MODULE);
}
