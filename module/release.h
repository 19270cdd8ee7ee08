/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_RELEASE_H
#define ZCOPY_RELEASE_H

#include "transfer.h"

/* The flags whose promise is about the release. */
#define ZCOPY_FLAGS_RELEASE	(ZCOPY_SYNC | ZCOPY_NOTIFY | ZCOPY_NOCACHE | \
				 ZCOPY_LEASE)

/* Must it be known when the network lets go of the transfer's pages? */
static inline bool zcopy_release_wanted(const struct zcopy_xfer *xfer)
{
	return xfer->flags & ZCOPY_FLAGS_RELEASE;
}

void zcopy_release_get(struct zcopy_xfer *xfer);
void zcopy_release_put(struct zcopy_xfer *xfer, bool copied);
void zcopy_release_leave(struct zcopy_xfer *xfer);
void zcopy_release_lose(struct zcopy_submitter *submitter);
int zcopy_release_wait(struct zcopy_xfer *xfer);
struct zcopy_completion zcopy_release_result(struct zcopy_xfer *xfer,
					     bool released);

#endif /* ZCOPY_RELEASE_H */
