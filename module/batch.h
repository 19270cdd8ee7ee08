/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_BATCH_H
#define ZCOPY_BATCH_H

#include <linux/bvec.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/types.h>

struct zcopy_xfer;

/* Elements of one gather list: 1 MiB of single pages. */
#define ZCOPY_BATCH_VECS	256

/* A list is full at so many bytes even if large folios leave elements over. */
#define ZCOPY_BATCH_BYTES	SZ_1M

/* Transfers whose bytes may share one gather list. */
#define ZCOPY_BATCH_PARTS	16

/**
 * struct zcopy_part - what one transfer has in a gather list
 * @xfer:   the transfer
 * @first:  index of its first element; its last one is before the next part's
 * @next:   its range to go on with once all of these elements are sent; its
 *          number of ranges if nothing is left of it then
 */
struct zcopy_part {
	struct zcopy_xfer *xfer;
	unsigned int first;
	unsigned int next;
};

/* What an element is; zcopy_batch.kind. */
enum zcopy_element {
	ZCOPY_ELEMENT_MEMORY,	/* no folio of a page cache */
	ZCOPY_ELEMENT_CACHED,	/* one that anybody may have brought there */
	ZCOPY_ELEMENT_BROUGHT,	/* one that the transfer did, and is to drop */
	ZCOPY_ELEMENT_PART,	/* ditto, once its other bytes are sent too */
};

/**
 * struct zcopy_batch - a gather list and the references that keep it alive
 * @nr:       elements in use
 * @given:    the first so many of them have given their reference away
 * @nr_parts: parts in use
 * @bytes:    sum of the lengths of @vecs
 * @limit:    most that @bytes may become
 * @folios:   elements that are folios of a page cache, and not given away
 * @parts:    whose the elements are; a transfer that stands behind another one
 *            of its stream may follow it in the same list
 * @range:    the transfer's range each element belongs to
 * @kind:     enum zcopy_element, of each element
 * @vecs:     the elements; each owns one reference on its folio and lies
 *            within it
 *
 * A batch belongs to the thread that runs the transfer, from fill to release.
 */
struct zcopy_batch {
	unsigned int nr;
	unsigned int given;
	unsigned int nr_parts;
	size_t bytes;
	size_t limit;
	unsigned int folios;
	struct zcopy_part parts[ZCOPY_BATCH_PARTS];
	u16 range[ZCOPY_BATCH_VECS];
	u8 kind[ZCOPY_BATCH_VECS];
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

/* Index behind the last element of part @p. */
static inline unsigned int zcopy_batch_end(const struct zcopy_batch *batch,
					   unsigned int p)
{
	return p + 1 < batch->nr_parts ? batch->parts[p + 1].first : batch->nr;
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
static inline void zcopy_batch_add(struct zcopy_batch *batch,
				   unsigned int range, enum zcopy_element kind,
				   struct folio *folio, size_t offset,
				   size_t len)
{
	unsigned int i = batch->nr;

	WARN_ON_ONCE(!len || len > zcopy_batch_room(batch) ||
		     offset + len > folio_size(folio));
	bvec_set_folio(&batch->vecs[i], folio, len, offset);
	batch->range[i] = range;
	batch->kind[i] = kind;
	batch->folios += kind != ZCOPY_ELEMENT_MEMORY;
	batch->nr++;
	batch->bytes += len;
}

struct zcopy_part *zcopy_batch_begin(struct zcopy_batch *batch,
				     struct zcopy_xfer *xfer);
void zcopy_batch_give(struct zcopy_batch *batch, unsigned int nr,
		      unsigned int folios);
void zcopy_batch_release(struct zcopy_batch *batch);

#endif /* ZCOPY_BATCH_H */
