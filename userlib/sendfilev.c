// SPDX-License-Identifier: LGPL-2.1-or-later
/* The sendfilev() of illumos and Solaris. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <zcopy/sendfilev.h>
#include <zcopy/zcopy.h>
#include "address.h"
#include "vector.h"

/* Parts that are made segments at once. */
#define MANY_PARTS	1024

/* A vector up to this size needs no allocation. */
#define FEW_PARTS	16

/*
 * The segment of a part. -EINVAL: what is left of it, or the segment without a
 * length, is to be sent, and nothing behind it.
 */
static int make_segment(const struct sendfilevec *part, __u64 total,
			struct zcopy_segment *segment)
{
	size_t length = part->sfv_len;
	struct stat stat;

	zcopy_segment_memory(segment, NULL, 0);
	if (part->sfv_flag || length > SSIZE_MAX || length > SSIZE_MAX - total)
		return -EINVAL;
	/* To the module, no bytes of a file are all of them. */
	if (!length)
		return 0;
	if (part->sfv_fd == SFV_FD_SELF) {
		zcopy_segment_memory(segment, (void *)(intptr_t)part->sfv_off,
				     length);
		return 0;
	}
	if (part->sfv_off < 0)
		return -EINVAL;
	zcopy_segment_file(segment, part->sfv_fd, part->sfv_off, length);
	/* What is not open or no file is refused by the module. */
	if (fstat(part->sfv_fd, &stat) || !S_ISREG(stat.st_mode))
		return 0;
	if (part->sfv_off < stat.st_size &&
	    length <= (__u64)(stat.st_size - part->sfv_off))
		return 0;
	if (part->sfv_off >= stat.st_size)
		zcopy_segment_memory(segment, NULL, 0);
	else
		segment->len = stat.st_size - part->sfv_off;
	return -EINVAL;
}

/* Is it the fault of one of the segments that a transfer was refused? */
static bool is_of_segment(int error)
{
	switch (error) {
	case -EACCES:
	case -EBADF:
	case -EFAULT:
	case -EINVAL:
	case -EOPNOTSUPP:
	case -EOVERFLOW:
	case -EPERM:
	case -ESPIPE:
		return true;
	default:
		return false;
	}
}

/*
 * All segments of the vector. A transfer is refused whole, but what stands
 * before the bad segment is to be sent: it is found by halves.
 */
static int send_segments(struct zcopy_vector *vector, bool more)
{
	unsigned int count = vector->count;
	bool rest;
	int error;

	while (vector->count) {
		if (count > vector->count)
			count = vector->count;
		rest = more || count < vector->count;
		error = zcopy_vector_send(vector, count, rest);
		if (error == -EMSGSIZE)
			error = zcopy_vector_split(vector, count, rest);
		if (is_of_segment(error) && count > 1) {
			count /= 2;
			continue;
		}
		if (error || vector->error)
			return error ? error : vector->error;
		if (vector->truncated)
			return -EINVAL;
	}
	return 0;
}

/* Here errors are the module's; vector->bytes is set in any case. */
static int send_parts(struct zcopy_vector *vector,
		      const struct sendfilevec *part, int left)
{
	struct zcopy_segment few[FEW_PARTS], *segments = few;
	const int many = left < MANY_PARTS ? left : MANY_PARTS;
	int error = 0, sent_error;
	__u64 total = 0;

	if (left <= 0)
		return -EINVAL;
	if (many > FEW_PARTS) {
		segments = calloc(many, sizeof(*segments));
		if (!segments)
			return -ENOMEM;
	}
	while (left && !error) {
		const int round = left < many ? left : many;
		int n = 0;

		if (!zcopy_is_readable(part, round * sizeof(*part))) {
			error = -EFAULT;
			break;
		}
		while (n < round && !error) {
			error = make_segment(&part[n], total, &segments[n]);
			total += segments[n++].len;
		}
		part += n;
		left -= n;
		vector->segments = segments;
		vector->count = n;
		sent_error = send_segments(vector, left && !error);
		if (sent_error)
			error = sent_error;
	}
	if (error)
		zcopy_vector_push(vector);
	if (segments != few)
		free(segments);
	return error;
}

/* What illumos reports where the module tells something else. */
static int illumos_error(int error, int fildes)
{
	int family = AF_UNSPEC;
	socklen_t size = sizeof(family);

	switch (error) {
	case -ENOTSOCK:
	case -ESPIPE:
	case -EOVERFLOW:
		return -EINVAL;
	case -EPROTONOSUPPORT:
		getsockopt(fildes, SOL_SOCKET, SO_DOMAIN, &family, &size);
		switch (family) {
		case AF_INET:
		case AF_INET6:
		case AF_UNIX:
		case AF_VSOCK:
			return -EPROTOTYPE;
		default:
			return -EAFNOSUPPORT;
		}
	default:
		return error;
	}
}

ssize_t zcopy_sendfilev(int fildes, const struct sendfilevec *vec, int sfvcnt,
			size_t *xferred)
{
	struct zcopy_vector vector = { 0 };
	int error;

	if (!xferred || !zcopy_is_writable(xferred, sizeof(*xferred))) {
		errno = EFAULT;
		return -1;
	}
	zcopy_transfer_init(&vector.transfer, fildes, NULL, 0);
	/* The module may know other targets. What is not open is left to it. */
	if (isfdtype(fildes, S_IFSOCK))
		error = send_parts(&vector, vec, sfvcnt);
	else
		error = -ENOTSOCK;
	*xferred = vector.bytes;
	if (!error)
		return vector.bytes;
	if (error == -EPIPE)
		raise(SIGPIPE);
	errno = -illumos_error(error, fildes);
	return -1;
}
