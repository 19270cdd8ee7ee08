// SPDX-License-Identifier: GPL-2.0-only
/* What one open of the device owns. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "context.h"

/* Those of closed files included, which their last streams keep. */
static atomic_t nr_contexts = ATOMIC_INIT(0);

/* No file is open any more: wait for what its transfers still hold. */
void zcopy_context_exit(void)
{
	wait_var_event(&nr_contexts, !atomic_read(&nr_contexts));
}

struct zcopy_context *zcopy_context_create(void)
{
	struct zcopy_context *context;

	context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	if (!context)
		return NULL;
	atomic_inc(&nr_contexts);
	refcount_set(&context->refs, 1);
	zcopy_account_init(&context->account);
	mutex_init(&context->memory_lock);
	spin_lock_init(&context->lock);
	context->streams = RB_ROOT;
	context->by_user_data = RB_ROOT;
	INIT_LIST_HEAD(&context->owned);
	INIT_LIST_HEAD(&context->done);
	mutex_init(&context->reader);
	init_waitqueue_head(&context->wait);
	return context;
}

/* Whoever drops the last reference frees it; nothing runs in it any more. */
void zcopy_context_put(struct zcopy_context *context)
{
	if (!refcount_dec_and_test(&context->refs))
		return;
	WARN_ON_ONCE(atomic_long_read(&context->account.active));
	WARN_ON_ONCE(atomic_long_read(&context->account.folios_held));
	WARN_ON_ONCE(!RB_EMPTY_ROOT(&context->streams) ||
		     !RB_EMPTY_ROOT(&context->by_user_data) ||
		     !list_empty(&context->owned));
	WARN_ON_ONCE(!list_empty(&context->done) || context->nr_queued ||
		     context->memory_queued);
	if (context->memory.page)
		put_page(context->memory.page);
	mutex_destroy(&context->reader);
	mutex_destroy(&context->memory_lock);
	kfree(context);
	if (atomic_dec_and_test(&nr_contexts))
		wake_up_var(&nr_contexts);
}
