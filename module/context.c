// SPDX-License-Identifier: GPL-2.0-only
/* What one open of the device owns. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "context.h"

struct zcopy_context *zcopy_context_create(void)
{
	struct zcopy_context *context;

	context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	if (!context)
		return NULL;
	zcopy_account_init(&context->account);
	mutex_init(&context->memory_lock);
	return context;
}

void zcopy_context_destroy(struct zcopy_context *context)
{
	WARN_ON_ONCE(atomic_long_read(&context->account.active));
	WARN_ON_ONCE(atomic_long_read(&context->account.folios_held));
	if (context->memory.page)
		put_page(context->memory.page);
	mutex_destroy(&context->memory_lock);
	kfree(context);
}
