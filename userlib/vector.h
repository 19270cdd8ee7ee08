/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vector of segments on its way to one socket, through any limits. */
#ifndef ZCOPY_VECTOR_H
#define ZCOPY_VECTOR_H

#include <stdbool.h>
#include <zcopy/zcopy.h>

struct zcopy_vector {
	struct zcopy_segment *segments;	/* not sent yet; may be changed */
	unsigned int count;		/* of them */
	struct zcopy_transfer transfer;	/* its socket, flags and readahead */
	__u64 bytes;			/* the socket accepted so far */
	int error;			/* negative errno that ended a transfer */
	bool truncated;			/* a file ended before its segment */
	bool corked;			/* a partial packet was held back */
};

/*
 * The first segments in one transfer; @more: others follow. Both return a
 * negative errno when the module refused a transfer, else 0; then error tells.
 */
int zcopy_vector_send(struct zcopy_vector *vector, unsigned int count,
		      bool more);
/* All, after -EMSGSIZE, in as few transfers as the module's limits allow. */
int zcopy_vector_split(struct zcopy_vector *vector, unsigned int count,
		       bool more);
/* No more follows after all. */
void zcopy_vector_push(struct zcopy_vector *vector);

#endif /* ZCOPY_VECTOR_H */
