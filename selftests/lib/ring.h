/* SPDX-License-Identifier: GPL-2.0-only */
/* An io_uring as the kernel has it, without a library in between. */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <linux/zcopy.h>

#include "common.h"

struct ring {
	int fd;
	unsigned int flags;		/* IORING_SETUP_* */
	unsigned int pending;		/* SQEs not submitted yet */
	struct io_uring_params params;
	void *rings;
	size_t rings_size;
	void *sqes;
	size_t sqes_size;
};

/* 0 or -errno. */
int ring_try(struct ring *ring, unsigned int entries, unsigned int flags);
void ring_open(struct ring *ring, unsigned int entries, unsigned int flags);
void ring_close(struct ring *ring);

/* An SQE all zero; the test ends if there is none. */
struct io_uring_sqe *ring_sqe(struct ring *ring);
/* One that sends the transfer; returned for more to be set. */
struct io_uring_sqe *ring_send(struct ring *ring, int device,
			       const struct zcopy_transfer *transfer,
			       struct zcopy_completion *completion,
			       uint64_t user_data);
/* Hands over what was prepared. */
void ring_submit(struct ring *ring);

/* What a CQE says. */
struct answer {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
	uint64_t extra[2];		/* IORING_SETUP_CQE32 */
};

/* The next CQE, taken off the ring; false if there is none now ... */
bool ring_peek(struct ring *ring, struct answer *answer);
/* ... or none comes. */
bool ring_next(struct ring *ring, struct answer *answer);

#endif /* RING_H */
