/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_CONTEXT_H
#define ZCOPY_CONTEXT_H

#include <linux/mm_types.h>
#include <linux/mutex.h>

#include "stats.h"

/* Bytes of memory segments a transfer; they are headers, not payload. */
#define ZCOPY_MAX_MEMORY	(64U << 10)

/**
 * struct zcopy_context - what one open of /dev/zcopy owns
 * @account:     its counters
 * @memory_lock: guards @memory
 * @memory:      page that memory segments are copied to, shared by the
 *               transfers of the context; each part in use holds a reference
 *
 * Lives from open to the release of the last descriptor; a call that runs
 * holds the file, so a context outlives every transfer of it.
 */
struct zcopy_context {
	struct zcopy_account account;
	struct mutex memory_lock;	/* for copying in alone */
	struct page_frag memory;
};

struct zcopy_context *zcopy_context_create(void);
void zcopy_context_destroy(struct zcopy_context *context);

#endif /* ZCOPY_CONTEXT_H */
