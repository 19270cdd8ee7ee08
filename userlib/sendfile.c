// SPDX-License-Identifier: LGPL-2.1-or-later
/* The sendfile() of FreeBSD. */
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zcopy/sendfile.h>
#include <zcopy/zcopy.h>
#include "context.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* A vector up to this size needs no allocation. */
#define FEW_SEGMENTS	16

#define OFFSET_MAX	INT64_MAX

/*
 * The context of the process: -1, or a descriptor of /dev/zcopy that is never
 * closed here. An atomic word instead of a lock is what makes fork() safe.
 */
static atomic_int process_fd = -1;

static int process_context(struct zcopy *zcopy)
{
	int none = -1;
	int error;

	zcopy->fd = atomic_load(&process_fd);
	if (zcopy->fd >= 0)
		return 0;

	error = zcopy_open_device(zcopy);
	if (error)
		return error;
	if (!atomic_compare_exchange_strong(&process_fd, &none, zcopy->fd)) {
		/* Another thread was faster: use its descriptor. */
		close(zcopy->fd);
		zcopy->fd = none;
	}
	return 0;
}

/*
 * Did the program close the descriptor, as daemons do with all they have? It
 * may be another file by now, so it is forgotten and not closed.
 */
static bool context_lost(struct zcopy *zcopy)
{
	struct zcopy_info info;
	int fd = zcopy->fd;

	if (!zcopy_info(zcopy, &info))
		return false;
	atomic_compare_exchange_strong(&process_fd, &fd, -1);
	return true;
}

static int send_transfer(const struct zcopy_transfer *transfer,
			 struct zcopy_completion *completion)
{
	struct zcopy zcopy;
	int error;

	error = process_context(&zcopy);
	if (error)
		return error;
	error = zcopy_send(&zcopy, transfer, completion);
	if (!error || !context_lost(&zcopy))
		return error;

	error = process_context(&zcopy);
	if (error)
		return error;
	return zcopy_send(&zcopy, transfer, completion);
}

static int transfer_flags(int flags, struct zcopy_transfer *transfer)
{
	static const struct {
		unsigned int from;
		unsigned int to;
	} names[] = {
		{ SF_NODISKIO, ZCOPY_NODISKIO },
		{ SF_NOCACHE, ZCOPY_NOCACHE },
		{ SF_SYNC, ZCOPY_SYNC },
		{ SF_USER_READAHEAD, ZCOPY_USER_READAHEAD },
	};
	unsigned int left = (unsigned int)flags & 0xffff;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (left & names[i].from)
			transfer->flags |= names[i].to;
		left &= ~names[i].from;
	}
	transfer->readahead = (unsigned int)flags >> 16;
	return left ? -EINVAL : 0;
}

static struct zcopy_segment *add_vector(struct zcopy_segment *segment,
					const struct iovec *vector, int count)
{
	int i;

	for (i = 0; i < count; i++)
		zcopy_segment_memory(segment++, vector[i].iov_base,
				     vector[i].iov_len);
	return segment;
}

/* Here errors are the module's; bytes is set in success and failure. */
static int send_file(int fd, int s, off_t offset, size_t nbytes,
		     const struct sf_hdtr *hdtr, int flags, off_t *bytes)
{
	struct zcopy_segment few[FEW_SEGMENTS], *segments = few, *segment;
	struct zcopy_completion completion = { 0 };
	struct zcopy_transfer transfer;
	int headers = 0, trailers = 0;
	__u64 length = nbytes;
	int error;

	if (hdtr && hdtr->headers)
		headers = hdtr->hdr_cnt;
	if (hdtr && hdtr->trailers)
		trailers = hdtr->trl_cnt;
	if (headers < 0 || headers > IOV_MAX ||
	    trailers < 0 || trailers > IOV_MAX || offset < 0)
		return -EINVAL;
	/* A length that reaches beyond the largest file is no error. */
	if (length > (__u64)(OFFSET_MAX - offset))
		length = OFFSET_MAX - offset;

	/* The module knows more targets. What is not open is left to it. */
	if (!isfdtype(s, S_IFSOCK))
		return -ENOTSOCK;

	zcopy_transfer_init(&transfer, s, NULL, headers + 1 + trailers);
	error = transfer_flags(flags, &transfer);
	if (error)
		return error;

	if (transfer.nr_segments > FEW_SEGMENTS) {
		segments = calloc(transfer.nr_segments, sizeof(*segments));
		if (!segments)
			return -ENOMEM;
	}
	transfer.segments = (uintptr_t)segments;
	segment = segments;
	if (headers)
		segment = add_vector(segment, hdtr->headers, headers);
	zcopy_segment_file(segment++, fd, offset, length);
	if (trailers)
		add_vector(segment, hdtr->trailers, trailers);

	error = send_transfer(&transfer, &completion);
	if (!error) {
		*bytes = completion.bytes;
		error = completion.error;
	}
	if (segments != few)
		free(segments);
	return error;
}

/* What FreeBSD reports where the module tells more. */
static int freebsd_error(int error)
{
	switch (error) {
	case -ESPIPE:
	case -EPROTONOSUPPORT:
		return -EINVAL;
	case -ENOMEM:
		return -ENOBUFS;
	default:
		return error;
	}
}

/*
 * Can all of it be written to? The kernel is asked to write two words there,
 * because it reports a bad address, where the processor raises a signal.
 */
static bool is_writable(off_t *sbytes)
{
	unsigned int *word = (unsigned int *)(void *)sbytes;

	return !syscall(SYS_getcpu, word, word + 1, NULL) || errno != EFAULT;
}

int zcopy_sendfile(int fd, int s, off_t offset, size_t nbytes,
		   struct sf_hdtr *hdtr, off_t *sbytes, int flags)
{
	off_t bytes = 0;
	int error;

	if (sbytes && !is_writable(sbytes))
		return -1;	/* errno is EFAULT */

	error = send_file(fd, s, offset, nbytes, hdtr, flags, &bytes);
	if (sbytes)
		*sbytes = bytes;
	if (!error)
		return 0;
	errno = -freebsd_error(error);
	return -1;
}
