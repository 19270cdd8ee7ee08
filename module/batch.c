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
	WARN_ON_ONCE(batch->nr);
	kmem_cache_free(batch_cache, batch);
}

/* Begin a transfer's part; what is added from now on is its. */
struct zcopy_part *zcopy_batch_begin(struct zcopy_batch *batch,
				     struct zcopy_xfer *xfer)
{
	struct zcopy_part *part = &batch->parts[batch->nr_parts++];

	WARN_ON_ONCE(batch->nr_parts > ZCOPY_BATCH_PARTS);
	part->xfer = xfer;
	part->end = batch->nr;
	part->next = 0;
	return part;
}

/**
 * zcopy_batch_add - append a part of a folio
 * @batch:  with room for @len, and a part begun
 * @range:  the transfer's range the bytes belong to
 * @kind:   what @folio is
 * @folio:  the caller's reference on it passes to the batch
 * @offset: of the part, in bytes from the start of @folio
 * @len:    of the part, in bytes, not 0
 */
void zcopy_batch_add(struct zcopy_batch *batch, unsigned int range,
		     enum zcopy_element kind, struct folio *folio,
		     size_t offset, size_t len)
{
	WARN_ON_ONCE(!len || len > zcopy_batch_room(batch) ||
		     offset + len > folio_size(folio));
	bvec_set_folio(&batch->vecs[batch->nr], folio, len, offset);
	batch->range[batch->nr] = range;
	batch->kind[batch->nr] = kind;
	batch->folios += kind != ZCOPY_ELEMENT_MEMORY;
	batch->nr++;
	batch->parts[batch->nr_parts - 1].end = batch->nr;
	batch->bytes += len;
}

/* The first reference that was not given away yet is the caller's now. */
struct folio *zcopy_batch_give(struct zcopy_batch *batch)
{
	unsigned int i = batch->given++;

	WARN_ON_ONCE(i >= batch->nr);
	batch->folios -= batch->kind[i] != ZCOPY_ELEMENT_MEMORY;
	return page_folio(batch->vecs[i].bv_page);
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
