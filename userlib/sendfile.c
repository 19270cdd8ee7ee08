// SPDX-License-Identifier: LGPL-2.1-or-later
/* The sendfile() of FreeBSD. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zcopy/sendfile.h>
#include <zcopy/zcopy.h>
#include "address.h"
#include "process.h"
#include "vector.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* A vector up to this size needs no allocation. */
#define FEW_SEGMENTS	16

#define OFFSET_MAX	INT64_MAX

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

static __u64 vector_bytes(const struct iovec *vector, int count)
{
	__u64 bytes = 0;

	while (count--)
		bytes += vector[count].iov_len;
	return bytes;
}

/* Addresses are checked as the module checks those it is given. */
static int check_vector(const struct iovec *vector, int count)
{
	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	if (count && !zcopy_is_readable(vector, count * sizeof(*vector)))
		return -EFAULT;
	return 0;
}

/*
 * Is the file refused, or the socket? Of a file that ends before the range
 * nothing is sent.
 */
static int check_descriptors(int fd, int s)
{
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct zcopy_segment nothing;

	zcopy_segment_file(&nothing, fd, OFFSET_MAX, 0);
	zcopy_transfer_init(&transfer, s, &nothing, 1);
	return zcopy_process_send(&transfer, &completion) ?: completion.error;
}

/*
 * A missing page ended the call after so many bytes of the file. Programs for
 * FreeBSD try again after a while, and nothing but that, so the disk is asked
 * for what is missing; the kernel limits that to what it reads ahead at once.
 * A page whose reading ahead has failed is not asked for again unless it is
 * dropped; one that is just being read is not dropped.
 */
static void read_ahead(int fd, off_t offset, __u64 length, int flags, __u64 sent)
{
	const __u64 page = sysconf(_SC_PAGESIZE);

	/* Here, too, 0 means to the end of the file. */
	if (length)
		length -= sent;
	if (flags & SF_USER_READAHEAD)
		length = page * (1 + ((unsigned int)flags >> 16));
	offset += sent;
	posix_fadvise(fd, offset - offset % page, page, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, offset, length, POSIX_FADV_WILLNEED);
}

/* Here errors are the module's; bytes is set in success and failure. */
static int send_file(int fd, int s, off_t offset, size_t nbytes,
		     const struct sf_hdtr *hdtr, int flags, off_t *bytes)
{
	struct zcopy_segment few[FEW_SEGMENTS], *segments = few, *segment;
	struct zcopy_vector vector = { 0 };
	int headers = 0, trailers = 0;
	__u64 length = nbytes;
	unsigned int count;
	int error;

	if (hdtr && !zcopy_is_readable(hdtr, sizeof(*hdtr)))
		return -EFAULT;
	if (hdtr && hdtr->headers)
		headers = hdtr->hdr_cnt;
	if (hdtr && hdtr->trailers)
		trailers = hdtr->trl_cnt;
	error = (headers ? check_vector(hdtr->headers, headers) : 0) ?:
		(trailers ? check_vector(hdtr->trailers, trailers) : 0);
	if (error)
		return error;
	if (offset < 0)
		return -EINVAL;
	/* A length that reaches beyond the largest file is no error. */
	if (length > (__u64)(OFFSET_MAX - offset))
		length = OFFSET_MAX - offset;

	/* The module may know other targets. What is not open is left to it. */
	if (!isfdtype(s, S_IFSOCK))
		return -ENOTSOCK;

	count = headers + 1 + trailers;
	zcopy_transfer_init(&vector.transfer, s, NULL, 0);
	error = transfer_flags(flags, &vector.transfer);
	if (error)
		return error;

	if (count > FEW_SEGMENTS) {
		segments = calloc(count, sizeof(*segments));
		if (!segments)
			return -ENOMEM;
	}
	segment = segments;
	if (headers)
		segment = add_vector(segment, hdtr->headers, headers);
	zcopy_segment_file(segment++, fd, offset, length);
	if (trailers)
		add_vector(segment, hdtr->trailers, trailers);

	vector.segments = segments;
	vector.count = count;
	error = zcopy_vector_send(&vector, count, false);
	if (error == -EMSGSIZE)
		error = check_descriptors(fd, s) ?:
			zcopy_vector_split(&vector, count, false);
	/* Refused for want of a thread or of room: a socket that is full is no cause. */
	if (error == -EAGAIN)
		error = -ENOBUFS;
	error = error ?: vector.error;
	if (error)
		zcopy_vector_push(&vector);
	if (error == -EBUSY)
		read_ahead(fd, offset, length, flags,
			   vector.bytes - (headers ?
				vector_bytes(hdtr->headers, headers) : 0));
	*bytes = vector.bytes;
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

int zcopy_sendfile(int fd, int s, off_t offset, size_t nbytes,
		   struct sf_hdtr *hdtr, off_t *sbytes, int flags)
{
	off_t bytes = 0;
	int error;

	if (sbytes && !zcopy_is_writable(sbytes, sizeof(*sbytes)))
		return -1;	/* errno is EFAULT */

	error = send_file(fd, s, offset, nbytes, hdtr, flags, &bytes);
	if (sbytes)
		*sbytes = bytes;
	if (!error)
		return 0;
	errno = -freebsd_error(error);
	return -1;
}
