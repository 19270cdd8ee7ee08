/* SPDX-License-Identifier: GPL-2.0-only */
/* A piece of a file server written for FreeBSD. */
#ifndef FREEBSD_SERVER_H
#define FREEBSD_SERVER_H

#include <sys/types.h>
#include <sys/uio.h>

/* What to do when a page is not in memory. */
enum when_busy { TRY_AGAIN, READ_IT };

struct tally {
	off_t sent;
	unsigned int again;	/* times the socket was full */
	unsigned int busy;	/* times a page was not in memory */
};

/*
 * Send headers, so many bytes of the file from the offset on (0: to its end)
 * and trailers. Changes the vectors. 0 or -1.
 */
int serve(int s, int fd, off_t offset, off_t left, struct iovec *head,
	  int head_count, struct iovec *tail, int tail_count,
	  enum when_busy when_busy, struct tally *tally);

#endif /* FREEBSD_SERVER_H */
