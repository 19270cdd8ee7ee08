/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file zcopy/sendfile.h
 * @brief The sendfile() of FreeBSD on top of /dev/zcopy.
 *
 * A program written for FreeBSD needs this header, included by the compiler's
 * option -include if its source shall not change, and nothing else: the name
 * sendfile, called with FreeBSD's arguments, means zcopy_sendfile(). Called
 * with Linux's, it means Linux's, whose <sys/sendfile.h> may be included
 * before this header, after it, or not at all. Only the function's address is
 * not to be had by that name in C: take that of zcopy_sendfile().
 */
#ifndef ZCOPY_SENDFILE_H
#define ZCOPY_SENDFILE_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of memory to send before and after the file. */
struct sf_hdtr {
	struct iovec *headers;	/**< sent first; NULL for none */
	int hdr_cnt;		/**< elements of headers, 0 to 1024 */
	struct iovec *trailers;	/**< sent last; NULL for none */
	int trl_cnt;		/**< elements of trailers, 0 to 1024 */
};

/**
 * Do not wait for the disk: EBUSY at the first page that is not in memory. The
 * disk is asked for it, so that another call, a little later, gets further.
 */
#define SF_NODISKIO		0x00000001
/**
 * Return when the network no longer references the pages of the file, so that
 * it may be changed. A signal ends the wait too, with EINTR.
 */
#define SF_SYNC			0x00000004
/** Read ahead exactly the number of pages given with SF_FLAGS(). */
#define SF_USER_READAHEAD	0x00000008
/**
 * Do not keep in memory what had to be read from the disk. What the disk was
 * asked for by a call with SF_NODISKIO stays.
 */
#define SF_NOCACHE		0x00000010

/** Flags together with a readahead of 0 to 65535 pages. */
#define SF_FLAGS(readahead, flags) \
	((int)((((unsigned int)(readahead) & 0xffffU) << 16) | \
	       (unsigned int)(flags)))

#pragma GCC visibility push(default)

/**
 * @brief Send headers, a range of a file, and trailers to a stream socket.
 *
 * It blocks for the disk (unless SF_NODISKIO is set) and, unless @p s is
 * O_NONBLOCK, for room in the socket. It never raises SIGPIPE (FreeBSD does
 * where a trailer meets a closed connection, and only there) and does not
 * move the file position of @p fd. A file that ends early is no error: what
 * there is of it is sent, then the trailers.
 *
 * Any thread may call it at any time, two of them at once included, and so may
 * a child made by fork(); a signal handler may not. The first call opens
 * /dev/zcopy for the whole process. That descriptor is close-on-exec and is
 * never closed; a program that closes it, as with closefrom(), costs the next
 * call one more open(). An open() that fails is tried again by the next call.
 *
 * A bad address is reported as EFAULT, never by a signal: of @p hdtr, of an
 * array in it, of the memory of an iovec, and of @p sbytes, which is tested
 * with a system call (getcpu(2), which writes to it) before anything is sent.
 *
 * Headers and trailers that are more than one transfer takes (see max_memory
 * and max_segments in struct zcopy_info) are sent in several; only then a bad
 * address of an iovec may show when what is before it was sent.
 *
 * @param fd      a regular file or shared-memory object open for reading
 * @param s       a connected stream socket
 * @param offset  of the first byte of the file to send, in bytes
 * @param nbytes  of the file to send; 0 means to its end, and what is beyond
 *                its end counts for nothing
 * @param hdtr    headers and trailers, or NULL; a NULL array in it is left
 *                out, whatever its count. Not changed.
 * @param sbytes  NULL, or set to the bytes of headers, file and trailers that
 *                were sent, in success and failure alike; 0 if the call was
 *                refused. Left alone only where it is itself the EFAULT.
 * @param flags   SF_* flags, SF_FLAGS()
 *
 * @return 0, or -1 with errno set:
 *
 * EAGAIN: @p s is O_NONBLOCK, or SO_SNDTIMEO ran out, and its buffer is full.
 *
 * EBADF: @p fd is not open for reading, or @p s is not open.
 *
 * EBUSY: SF_NODISKIO is set, and a page was not in memory. Try again from
 * there, after a moment or after read(2) has brought it in. (In shared memory
 * that was swapped out, and on a disk that fails, only read(2) helps: the one
 * brings it in, the other tells the error.)
 *
 * EFAULT: a bad address, as told above.
 *
 * EINTR: a signal arrived. If nothing had been sent, its handler was installed
 * with SA_RESTART and the socket has no SO_SNDTIMEO, the call goes on instead. With
 * SF_SYNC all may have been sent, as @p sbytes tells, and only the wait for the
 * release was ended.
 *
 * EINVAL: @p fd is neither a regular file nor shared memory; @p s is not a
 * stream socket of TCP, MPTCP, AF_UNIX or AF_VSOCK; @p offset is negative; a
 * count in @p hdtr is negative or over 1024; or a flag is unknown.
 *
 * EIO: the file could not be read.
 *
 * ENOBUFS: no memory; or, with SF_SYNC or SF_NOCACHE, a limit of the user's threads,
 * transfers or of the kernel's memory for them.
 *
 * ENOTCONN: @p s is not connected.
 *
 * ENOTSOCK: @p s is not a socket.
 *
 * EOPNOTSUPP: the kernel has no way to send the file; see zcopy(4).
 *
 * EPIPE: @p s was shut down for sending, here or by the peer.
 *
 * ECONNRESET, ETIMEDOUT, ...: the pending error of @p s.
 *
 * EACCES, EPERM: a security module refused, or /dev/zcopy may not be opened.
 *
 * ENOENT, ENXIO, ENODEV, ENOTTY, EMFILE, ENFILE: /dev/zcopy cannot be opened,
 * for the reasons given at zcopy_open().
 */
int zcopy_sendfile(int fd, int s, off_t offset, size_t nbytes,
		   struct sf_hdtr *hdtr, off_t *sbytes, int flags);

#pragma GCC visibility pop

#ifndef __cplusplus

/*
 * Five arguments or more are FreeBSD's: in a macro, the commas of a compound
 * literal make more of them.
 */
#define ZCOPY_17TH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, name, ...) \
	name
#define sendfile(...) ZCOPY_17TH(__VA_ARGS__, zcopy_sendfile, \
	zcopy_sendfile, zcopy_sendfile, zcopy_sendfile, zcopy_sendfile, \
	zcopy_sendfile, zcopy_sendfile, zcopy_sendfile, zcopy_sendfile, \
	zcopy_sendfile, zcopy_sendfile, zcopy_sendfile, \
	sendfile, sendfile, sendfile, sendfile, unused)(__VA_ARGS__)

#endif

/* An error here means: compile with -D_FILE_OFFSET_BITS=64. */
extern char zcopy_needs_64_bits_in_off_t[sizeof(off_t) == 8 ? 1 : -1];

#ifdef __cplusplus
}

/** @brief zcopy_sendfile() by FreeBSD's name. */
inline int sendfile(int fd, int s, off_t offset, size_t nbytes,
		    struct sf_hdtr *hdtr, off_t *sbytes, int flags)
{
	return zcopy_sendfile(fd, s, offset, nbytes, hdtr, sbytes, flags);
}
#endif

#endif /* ZCOPY_SENDFILE_H */
