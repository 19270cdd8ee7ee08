// SPDX-License-Identifier: GPL-2.0-only
/*
 * A piece of a file server as one writes it on FreeBSD: nothing in it knows of
 * zcopy or of Linux. It is valid C and C++.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "freebsd_server.h"

static void wait_until_writable(int s)
{
	struct pollfd pfd;

	pfd.fd = s;
	pfd.events = POLLOUT;
	pfd.revents = 0;
	poll(&pfd, 1, -1);
}

/* Take what was sent off the front of a vector; the rest of it comes back. */
static off_t skip(struct iovec **iov, int *count, off_t sent)
{
	while (*count > 0 && (size_t)sent >= (*iov)->iov_len) {
		sent -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	if (*count > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + sent;
		(*iov)->iov_len -= sent;
		sent = 0;
	}
	return sent;
}

/* In the manual's words, another context: here it is this thread itself. */
static void read_it_ourselves(int fd, off_t offset)
{
	char buffer[65536];

	if (pread(fd, buffer, sizeof(buffer), offset) < 0)
		poll(NULL, 0, 1);
}

int serve(int s, int fd, off_t offset, off_t left, struct iovec *head,
	  int head_count, struct iovec *tail, int tail_count,
	  enum when_busy when_busy, struct tally *tally)
{
	struct sf_hdtr hdtr;
	off_t sent, part;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (left == 0 || left > st.st_size - offset)
		left = st.st_size - offset;
	for (;;) {
		/* When the file is through, trailers may be left. */
		if (left == 0)
			offset = st.st_size;
		hdtr.headers = head_count ? head : NULL;
		hdtr.hdr_cnt = head_count;
		hdtr.trailers = tail_count ? tail : NULL;
		hdtr.trl_cnt = tail_count;
		if (sendfile(fd, s, offset, left, &hdtr, &sent,
			     SF_FLAGS(16, SF_NODISKIO)) == 0) {
			tally->sent += sent;
			return 0;
		}
		tally->sent += sent;

		sent = skip(&head, &head_count, sent);
		part = sent < left ? sent : left;
		offset += part;
		left -= part;
		skip(&tail, &tail_count, sent - part);

		switch (errno) {
		case EAGAIN:
			tally->again++;
			wait_until_writable(s);
			break;
		case EBUSY:
			tally->busy++;
			if (when_busy == READ_IT)
				read_it_ourselves(fd, offset);
			else
				poll(NULL, 0, 1);
			break;
		case EINTR:
			break;
		default:
			return -1;
		}
	}
}
