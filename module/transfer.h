/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_TRANSFER_H
#define ZCOPY_TRANSFER_H

#include <linux/fs.h>
#include <linux/zcopy.h>

#include "batch.h"
#include "stats.h"

struct socket;
struct zcopy_context;

/* Segments a transfer. */
#define ZCOPY_MAX_SEGMENTS	1024U

/* The transfer flags this module serves, and those it knows. */
#define ZCOPY_FLAGS_SERVED	(ZCOPY_NODISKIO | ZCOPY_USER_READAHEAD | ZCOPY_MORE)
#define ZCOPY_FLAGS_KNOWN	(ZCOPY_FLAGS_SERVED | ZCOPY_NOCACHE | ZCOPY_SYNC | \
				 ZCOPY_NOTIFY | ZCOPY_LEASE)

/* zcopy_range.len of a file range that ends where the file ends. */
#define ZCOPY_TO_EOF		U64_MAX

/**
 * struct zcopy_range - the bytes of a segment still to be sent
 * @file: where they come from; the range owns a reference. NULL: memory
 * @page: memory only: the page allocation; the range owns a reference
 * @pos:  next byte: offset in @file, or in @page's folio
 * @len:  bytes left, or %ZCOPY_TO_EOF
 *
 * A memory segment that spans page allocations is several ranges.
 */
struct zcopy_range {
	struct file *file;
	struct page *page;
	u64 pos;
	u64 len;
};

/**
 * struct zcopy_xfer - a transfer in the kernel
 * @context:   its books; outlives the transfer
 * @socket:    where it goes; the transfer owns a reference on its file
 * @user_data: for the completion
 * @flags:     ZCOPY_* transfer flags
 * @readahead: pages
 * @result:    the completion, growing as the transfer goes
 * @counts:    what it counted so far
 * @corked:    the socket holds bytes back that only a push sets free
 * @ra_range:  the range @ra is about, or @nr
 * @ra:        readahead state; the file's own is left to its readers
 * @next:      first range with bytes left
 * @nr:        ranges
 * @ranges:    what is left to send
 *
 * One thread at a time runs a transfer; nothing in here needs a lock.
 */
struct zcopy_xfer {
	struct zcopy_context *context;
	struct socket *socket;
	u64 user_data;
	u32 flags;
	u32 readahead;
	struct zcopy_completion result;
	union zcopy_counts counts;
	bool corked;
	unsigned int ra_range;
	struct file_ra_state ra;
	unsigned int next;
	unsigned int nr;
	struct zcopy_range ranges[] __counted_by(nr);
};

/* transfer.c */
struct zcopy_xfer *zcopy_xfer_create(struct zcopy_context *context,
				     const struct zcopy_transfer *transfer);
void zcopy_xfer_destroy(struct zcopy_xfer *xfer);

/* run.c */

/* What may be slept for while a transfer runs. */
#define ZCOPY_MAY_READ		BIT(0)	/* the disk */
#define ZCOPY_MAY_WAIT		BIT(1)	/* room in the socket */

/* Why zcopy_xfer_run() came back. */
enum zcopy_run {
	ZCOPY_RUN_DONE,		/* the result is final */
	ZCOPY_RUN_DISK,		/* a page must be read, and that was not allowed */
	ZCOPY_RUN_SPACE,	/* the socket is full, and waiting was not allowed */
};

enum zcopy_run zcopy_xfer_run(struct zcopy_xfer *xfer, unsigned int may);

#endif /* ZCOPY_TRANSFER_H */
