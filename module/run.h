/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_RUN_H
#define ZCOPY_RUN_H

#include <linux/bits.h>
#include <linux/jiffies.h>
#include <linux/types.h>

struct zcopy_read;
struct zcopy_xfer;

/* What a run of a transfer may do. */
#define ZCOPY_MAY_START		BIT(0)	/* start to read from the disk */
#define ZCOPY_MAY_READ		BIT(1)	/* sleep for the disk */
#define ZCOPY_MAY_WAIT		BIT(2)	/* sleep for room in the target */
#define ZCOPY_MAY_WRITE		BIT(3)	/* sleep for the target's disk */

/*
 * In jiffies, the longest time between two looks at a socket that lags behind
 * what it took: it gets rid of that by itself, and tells nobody.
 */
#define ZCOPY_LAG_TIME		((long)HZ / 16)

/* Why zcopy_xfer_run() came back. */
enum zcopy_run {
	ZCOPY_RUN_DONE,		/* the result is final */
	ZCOPY_RUN_DISK,		/* a disk must be waited for, and that was not allowed */
	ZCOPY_RUN_SPACE,	/* the target is full, and waiting was not allowed */
	ZCOPY_RUN_SLICE,	/* others have their turn now */
	ZCOPY_RUN_READ,		/* a page is being read */
	ZCOPY_RUN_SLEEP,	/* only a thread that sleeps can read the page */
};

enum zcopy_run zcopy_xfer_run(struct zcopy_xfer *xfer, unsigned int may,
			      size_t *slice);
enum zcopy_run zcopy_xfer_start(struct zcopy_xfer *xfer, struct zcopy_read *read);
enum zcopy_run zcopy_xfer_wait(struct zcopy_xfer *xfer);
void zcopy_xfer_cancel(struct zcopy_xfer *xfer);

#endif /* ZCOPY_RUN_H */
