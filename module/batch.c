// SPDX-License-Identifier: GPL-2.0-only
/* The gather list between a source and a sink. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "batch.h"

static struct kmem_cache *batch_cache;

/*
 * Batches are free in the state they are allocated in. Without a constructor
 * kernels that clear what they allocate would clear 4 KiB for each transfer.
 * They are not charged to anybody: only a running thread has one, as it has a
 * stack.
 */
static void construct(void *object)
{
	struct zcopy_batch *batch = object;

	batch->nr = 0;
	batch->given = 0;
	zcopy_batch_release(batch);
}

int zcopy_batch_init(void)
{
	batch_cache = kmem_cache_create("zcopy_batch",
					sizeof(struct zcopy_batch), 0, 0,
					construct);
	return batch_cache ? 0 : -ENOMEM;
}

void zcopy_batch_exit(void)
{
	kmem_cache_destroy(batch_cache);
}

/* An empty batch, or NULL. */
struct zcopy_batch *zcopy_batch_alloc(void)
{
	return kmem_cache_alloc(batch_cache, GFP_KERNEL);
}

void zcopy_batch_free(struct zcopy_batch *batch)
{
	WARN_ON_ONCE(batch->nr || batch->nr_parts ||
		     batch->limit != ZCOPY_BATCH_BYTES);
	kmem_cache_free(batch_cache, batch);
}

/* Begin a transfer's part; what is added from now on is its. */
struct zcopy_part *zcopy_batch_begin(struct zcopy_batch *batch,
				     struct zcopy_xfer *xfer)
{
	struct zcopy_part *part = &batch->parts[batch->nr_parts++];

	WARN_ON_ONCE(batch->nr_parts > ZCOPY_BATCH_PARTS);
	part->xfer = xfer;
	part->first = batch->nr;
	part->next = 0;
	return part;
}

/* The first @nr references, @folios of them on page-cache folios, are the caller's. */
void zcopy_batch_give(struct zcopy_batch *batch, unsigned int nr,
		      unsigned int folios)
{
	WARN_ON_ONCE(batch->given || nr > batch->nr || folios > batch->folios);
	batch->given = nr;
	batch->folios -= folios;
}

/* Drop every reference and leave the batch empty. */
void zcopy_batch_release(struct zcopy_batch *batch)
{
	unsigned int i;

	for (i = batch->given; i < batch->nr; i++)
		folio_put(page_folio(batch->vecs[i].bv_page));
	batch->nr = 0;
	batch->given = 0;
	batch->nr_parts = 0;
	batch->bytes = 0;
	batch->limit = ZCOPY_BATCH_BYTES;
	batch->folios = 0;
}
