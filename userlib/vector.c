// SPDX-License-Identifier: LGPL-2.1-or-later
/* A vector of segments, sent as one transfer or as several. */
#include "process.h"
#include "vector.h"

int zcopy_vector_send(struct zcopy_vector *vector, unsigned int count,
		      bool more)
{
	struct zcopy_transfer transfer = vector->transfer;
	struct zcopy_completion completion;
	int error;

	transfer.segments = (uintptr_t)vector->segments;
	transfer.nr_segments = count;
	/* A packet that is held back is not released for a long time. */
	more = more && !(transfer.flags & ZCOPY_SYNC);
	if (more)
		transfer.flags |= ZCOPY_MORE;
	error = zcopy_process_send(&transfer, &completion);
	if (error)
		return error;

	vector->segments += count;
	vector->count -= count;
	vector->bytes += completion.bytes;
	vector->error = completion.error;
	if (completion.flags & ZCOPY_C_TRUNCATED)
		vector->truncated = true;
	if (completion.bytes)
		vector->corked = more && !completion.error;
	return 0;
}

/*
 * How many of the segments one transfer takes. If it takes only a part of the
 * last of them, bytes of memory, *part is set to its length.
 */
static unsigned int count_fitting(const struct zcopy_vector *vector,
				  unsigned int max,
				  const struct zcopy_info *limits, __u64 *part)
{
	const struct zcopy_segment *segments = vector->segments;
	__u64 room = limits->max_memory;
	unsigned int n;

	*part = 0;
	if (max > limits->max_segments)
		max = limits->max_segments;
	for (n = 0; n < max; n++) {
		if (segments[n].fd != ZCOPY_MEMORY)
			continue;
		if (segments[n].len > room) {
			*part = room;
			return room ? n + 1 : n;
		}
		room -= segments[n].len;
	}
	return n;
}

int zcopy_vector_split(struct zcopy_vector *vector, unsigned int count,
		       bool more)
{
	struct zcopy_segment *last, whole;
	struct zcopy_info limits;
	unsigned int n;
	__u64 part;
	int error;

	error = zcopy_process_info(&limits);
	while (!error && !vector->error && count) {
		n = count_fitting(vector, count, &limits, &part);
		last = &vector->segments[n - 1];
		whole = *last;
		if (part)
			last->len = part;
		error = zcopy_vector_send(vector, n,
					  more || part || n < count);
		if (error)
			*last = whole;
		if (error || vector->error)
			break;
		count -= n;
		if (!part)
			continue;
		/* What is left of the last one comes first the next time. */
		vector->segments--;
		vector->count++;
		count++;
		last->addr = whole.addr + part;
		last->len = whole.len - part;
	}
	return error;
}

/*
 * Bytes that were held back for others go without them: what has none sets them free,
 * in TCP as in a record of TLS. A program that has corked its socket keeps them.
 */
void zcopy_vector_push(struct zcopy_vector *vector)
{
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct zcopy_segment nothing;

	if (!vector->corked)
		return;
	vector->corked = false;
	zcopy_segment_memory(&nothing, NULL, 0);
	zcopy_transfer_init(&transfer, vector->transfer.socket, &nothing, 1);
	/* Nor is it news that the socket failed. */
	zcopy_process_send(&transfer, &completion);
}
