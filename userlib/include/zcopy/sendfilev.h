/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file zcopy/sendfilev.h
 * @brief The sendfilev() of illumos and Solaris on top of /dev/zcopy.
 *
 * A program written for their <sys/sendfile.h> needs this header instead.
 */
#ifndef ZCOPY_SENDFILEV_H
#define ZCOPY_SENDFILEV_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Value of sfv_fd for bytes of memory. */
#define SFV_FD_SELF	(-2)

/** One part of what is to be sent. */
typedef struct sendfilevec {
	int sfv_fd;		/**< a file open for reading, or SFV_FD_SELF */
	unsigned int sfv_flag;	/**< must be 0 */
	off_t sfv_off;		/**< offset in the file, or address, in bytes */
	size_t sfv_len;		/**< bytes; 0 sends nothing of the file either */
} sendfilevec_t;

#pragma GCC visibility push(default)

/**
 * @brief Send a vector of files and memory ranges to a stream socket.
 *
 * The parts go in order, in as few transfers as the module's limits allow,
 * and share packets. It blocks for the disk and, unless @p fildes is
 * O_NONBLOCK, for room in the socket. The file positions of the parts are
 * neither used nor moved. Who may call it, and what it costs to close all
 * descriptors, is as told at zcopy_sendfile() in <zcopy/sendfile.h>.
 *
 * What stands before a part with an error is sent, and *xferred is exact: it
 * tells which part that was. The one exception: when a file becomes shorter
 * during the call, parts behind it may have been sent before that was noticed;
 * the error is EINVAL then, too.
 *
 * @param fildes   a connected stream socket; files are no targets here
 * @param vec      array of @p sfvcnt parts; not changed
 * @param sfvcnt   1 to INT_MAX
 * @param xferred  set to the bytes that were sent, in success and failure
 *                 alike; left alone only where it is itself the EFAULT
 *
 * @return the bytes that were sent, or -1 with errno set:
 *
 * EACCES, EPERM: a security module refused, or /dev/zcopy may not be opened.
 *
 * EAFNOSUPPORT: @p fildes is a socket of a family that is not served.
 *
 * EAGAIN: @p fildes is O_NONBLOCK, or SO_SNDTIMEO ran out, and its buffer is
 * full.
 *
 * EBADF: @p fildes is not open, or an sfv_fd is not open for reading.
 *
 * EFAULT: @p vec, the memory of a part, or @p xferred, NULL included, is a bad
 * address. The last one is noticed before anything is sent.
 *
 * EINTR: a signal arrived. If nothing had been sent, its handler was installed
 * with SA_RESTART and the socket has no SO_SNDTIMEO, the call goes on instead.
 *
 * EINVAL: @p sfvcnt is not positive; @p fildes is no socket; or of a part:
 * sfv_flag is not 0, sfv_len is over SSIZE_MAX or makes the sum so, sfv_fd is
 * neither a regular file nor shared memory, sfv_off of a file is negative, or
 * the file ends before sfv_off + sfv_len (what there is of it is sent).
 *
 * EIO: a file could not be read.
 *
 * ENOMEM: no memory.
 *
 * ENOTCONN: @p fildes is not connected.
 *
 * EOPNOTSUPP: the kernel has no way to send a file, see zcopy(4).
 *
 * EPIPE: @p fildes was shut down for sending, here or by the peer. SIGPIPE is
 * raised in the calling thread, as there.
 *
 * EPROTOTYPE: @p fildes is another kind of socket than a stream of TCP,
 * MPTCP, AF_UNIX or AF_VSOCK.
 *
 * ECONNRESET, ETIMEDOUT, ...: the pending error of @p fildes.
 *
 * ENOENT, ENXIO, ENODEV, ENOTTY, EMFILE, ENFILE: /dev/zcopy cannot be opened,
 * for the reasons given at zcopy_open().
 */
ssize_t zcopy_sendfilev(int fildes, const struct sendfilevec *vec, int sfvcnt,
			size_t *xferred);

#pragma GCC visibility pop

/** @brief zcopy_sendfilev() by its own name. */
static inline ssize_t sendfilev(int fildes, const struct sendfilevec *vec,
				int sfvcnt, size_t *xferred)
{
	return zcopy_sendfilev(fildes, vec, sfvcnt, xferred);
}

/* An error here means: compile with -D_FILE_OFFSET_BITS=64. */
extern char zcopy_needs_64_bits_in_off_t[sizeof(off_t) == 8 ? 1 : -1];

#ifdef __cplusplus
}
#endif

#endif /* ZCOPY_SENDFILEV_H */
