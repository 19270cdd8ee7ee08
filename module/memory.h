/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_MEMORY_H
#define ZCOPY_MEMORY_H

#include <linux/refcount.h>
#include <linux/types.h>

struct page;
struct zcopy_user;

/**
 * struct zcopy_memory - pages that memory segments are copied to
 * @refs: each range that has bytes there, and the context that fills it
 * @page: the first of them
 * @size: bytes
 * @user: who pays for all of it, for as long as one byte is in use; a reference
 */
struct zcopy_memory {
	refcount_t refs;
	struct page *page;
	unsigned int size;
	struct zcopy_user *user;
};

struct zcopy_memory *zcopy_memory_create(struct zcopy_user *user);
struct zcopy_memory *zcopy_memory_get(struct zcopy_memory *memory);
void zcopy_memory_put(struct zcopy_memory *memory);

#endif /* ZCOPY_MEMORY_H */
