/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_BATCH_H
#define ZCOPY_BATCH_H

#include <linux/bvec.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct folio;
struct page;

/* Elements of one gather list: 1 MiB of single pages. */
#define ZCOPY_BATCH_VECS	256

/* A list is full at so many bytes even if large folios leave elements over. */
#define ZCOPY_BATCH_BYTES	SZ_1M

/**
 * struct zcopy_batch - a gather list and the references that keep it alive
 * @nr:      elements in use
 * @bytes:   sum of the lengths of @vecs
 * @limit:   most that @bytes may become
 * @folios:  of the elements, how many are page-cache folios
 * @memory:  bytes of memory segments among @bytes
 * @next:    the transfer's range to go on with once all of @bytes are sent;
 *           its number of ranges if nothing comes behind this batch
 * @range:   the transfer's range each element belongs to
 * @vecs:    the elements; each owns one reference on its folio and lies
 *           within it
 *
 * A batch belongs to the thread that runs the transfer, from fill to release.
 */
struct zcopy_batch {
	unsigned int nr;
	unsigned int folios;
	size_t bytes;
	size_t limit;
	size_t memory;
	unsigned int next;
	u16 range[ZCOPY_BATCH_VECS];
	struct bio_vec vecs[ZCOPY_BATCH_VECS];
};

int zcopy_batch_init(void);
void zcopy_batch_exit(void);

struct zcopy_batch *zcopy_batch_alloc(void);
void zcopy_batch_free(struct zcopy_batch *batch);

/* How many more bytes go in; 0 when the batch is full. */
static inline size_t zcopy_batch_room(const struct zcopy_batch *batch)
{
	if (batch->nr == ZCOPY_BATCH_VECS)
		return 0;
	return batch->limit - batch->bytes;
}

void zcopy_batch_add(struct zcopy_batch *batch, unsigned int range,
		     struct folio *folio, size_t offset, size_t len);
void zcopy_batch_release(struct zcopy_batch *batch);

#endif /* ZCOPY_BATCH_H */
