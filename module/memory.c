// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of transfers: pages that the segments of several of them share. They are
 * in use, and paid for, as a whole.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "memory.h"
#include "user.h"

/* Large enough that few responses cross from one to the next. */
#define ORDER	get_order(SZ_32K)

/**
 * zcopy_memory_create - pages for memory segments
 * @user: who pays
 *
 * Return: them, the caller's up to zcopy_memory_put(); or NULL, there are none.
 */
struct zcopy_memory *zcopy_memory_create(struct zcopy_user *user)
{
	struct zcopy_memory *memory = kmalloc(sizeof(*memory), GFP_KERNEL_ACCOUNT);
	unsigned int order = ORDER;

	if (!memory)
		return NULL;
	memory->page = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_COMP | __GFP_NOWARN |
				   __GFP_NORETRY, order);
	if (!memory->page) {
		order = 0;
		memory->page = alloc_page(GFP_KERNEL_ACCOUNT);
	}
	if (!memory->page) {
		kfree(memory);
		return NULL;
	}
	refcount_set(&memory->refs, 1);
	memory->size = PAGE_SIZE << order;
	memory->user = zcopy_user_hold(user);
	zcopy_user_charge_anyway(user, ZCOPY_USE_MEMORY, memory->size);
	return memory;
}

struct zcopy_memory *zcopy_memory_get(struct zcopy_memory *memory)
{
	refcount_inc(&memory->refs);
	return memory;
}

/* Packets may refer to the pages yet: that is their socket's. */
void zcopy_memory_put(struct zcopy_memory *memory)
{
	if (!memory || !refcount_dec_and_test(&memory->refs))
		return;
	zcopy_user_uncharge(memory->user, ZCOPY_USE_MEMORY, memory->size);
	zcopy_user_put(memory->user);
	put_page(memory->page);
	kfree(memory);
}
