// SPDX-License-Identifier: GPL-2.0-only
/* The few calls and shared words that an io_uring consists of. */
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ring.h"

static unsigned int *word(const struct ring *ring, uint32_t offset)
{
	return (unsigned int *)((char *)ring->rings + offset);
}

static void *map_part(int fd, size_t size, off_t what)
{
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, fd, what);

	if (area == MAP_FAILED)
		die("mmap a ring");
	return area;
}

static size_t sqe_size(const struct ring *ring)
{
	return sizeof(struct io_uring_sqe) <<
	       !!(ring->flags & IORING_SETUP_SQE128);
}

static size_t cqe_size(const struct ring *ring)
{
	return sizeof(struct io_uring_cqe) <<
	       !!(ring->flags & IORING_SETUP_CQE32);
}

int ring_try(struct ring *ring, unsigned int entries, unsigned int flags)
{
	struct io_uring_params *params = &ring->params;

	*ring = (struct ring){ .flags = flags };
	params->flags = flags;
	params->sq_thread_idle = 10;
	ring->fd = syscall(SYS_io_uring_setup, entries, params);
	if (ring->fd < 0)
		return -errno;
	if (!(params->features & IORING_FEAT_SINGLE_MMAP) ||
	    !(params->features & IORING_FEAT_EXT_ARG))
		die("an io_uring of old");
	/* The larger of the two halves of the one area. */
	ring->rings_size = params->cq_off.cqes +
			   params->cq_entries * cqe_size(ring);
	if (ring->rings_size < params->sq_off.array + params->sq_entries * 4)
		ring->rings_size = params->sq_off.array +
				   params->sq_entries * 4;
	ring->rings = map_part(ring->fd, ring->rings_size, IORING_OFF_SQ_RING);
	ring->sqes_size = params->sq_entries * sqe_size(ring);
	ring->sqes = map_part(ring->fd, ring->sqes_size, IORING_OFF_SQES);
	return 0;
}

void ring_open(struct ring *ring, unsigned int entries, unsigned int flags)
{
	errno = -ring_try(ring, entries, flags);
	if (errno)
		die("io_uring_setup");
}

void ring_close(struct ring *ring)
{
	munmap(ring->sqes, ring->sqes_size);
	munmap(ring->rings, ring->rings_size);
	close(ring->fd);
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
	const struct io_sqring_offsets *at = &ring->params.sq_off;
	unsigned int tail = *word(ring, at->tail) + ring->pending;
	unsigned int head = __atomic_load_n(word(ring, at->head),
					    __ATOMIC_ACQUIRE);
	unsigned int index = tail & *word(ring, at->ring_mask);
	void *sqe = (char *)ring->sqes + index * sqe_size(ring);

	if (tail - head >= ring->params.sq_entries)
		die("no SQE is free");
	word(ring, at->array)[index] = index;
	ring->pending++;
	return memset(sqe, 0, sqe_size(ring));
}

struct io_uring_sqe *ring_send(struct ring *ring, int device,
			       const struct zcopy_transfer *transfer,
			       struct zcopy_completion *completion,
			       uint64_t user_data)
{
	const struct zcopy_uring request = {
		.transfer = (uintptr_t)transfer,
		.completion = (uintptr_t)completion,
	};
	struct io_uring_sqe *sqe = ring_sqe(ring);

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = device;
	sqe->cmd_op = ZCOPY_URING_SEND;
	sqe->user_data = user_data;
	memcpy(sqe->cmd, &request, sizeof(request));
	return sqe;
}

static long enter(struct ring *ring, unsigned int submit, unsigned int wait,
		  unsigned int flags)
{
	struct __kernel_timespec patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct io_uring_getevents_arg argument = { .ts = (uintptr_t)&patience };
	bool waits = flags & IORING_ENTER_GETEVENTS;

	return syscall(SYS_io_uring_enter, ring->fd, submit, wait,
		       flags | (waits ? IORING_ENTER_EXT_ARG : 0),
		       waits ? &argument : NULL, waits ? sizeof(argument) : 0);
}

void ring_submit(struct ring *ring)
{
	unsigned int *tail = word(ring, ring->params.sq_off.tail);
	unsigned int nr = ring->pending;
	unsigned int flags = 0;

	__atomic_store_n(tail, *tail + nr, __ATOMIC_RELEASE);
	ring->pending = 0;
	if (ring->flags & IORING_SETUP_SQPOLL) {
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!(__atomic_load_n(word(ring, ring->params.sq_off.flags),
				      __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP))
			return;
		flags = IORING_ENTER_SQ_WAKEUP;
	}
	if (enter(ring, nr, 0, flags) != nr)
		die("io_uring_enter");
}

bool ring_peek(struct ring *ring, struct answer *answer)
{
	const struct io_cqring_offsets *at = &ring->params.cq_off;
	unsigned int *head = word(ring, at->head);
	unsigned int tail = __atomic_load_n(word(ring, at->tail),
					    __ATOMIC_ACQUIRE);
	const struct io_uring_cqe *cqe;

	if (*head == tail)
		return false;
	cqe = (void *)((char *)ring->rings + at->cqes +
		       (*head & *word(ring, at->ring_mask)) * cqe_size(ring));
	*answer = (struct answer){ cqe->user_data, cqe->res, cqe->flags, {} };
	if (ring->flags & IORING_SETUP_CQE32)
		memcpy(answer->extra, cqe->big_cqe, sizeof(answer->extra));
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

bool ring_next(struct ring *ring, struct answer *answer)
{
	while (!ring_peek(ring, answer))
		if (enter(ring, 0, 1, IORING_ENTER_GETEVENTS) < 0 &&
		    errno != EINTR)
			return false;
	return true;
}
