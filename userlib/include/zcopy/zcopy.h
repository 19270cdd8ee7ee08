/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file zcopy/zcopy.h
 * @brief libzcopy: files and headers to a stream socket, a pipe or a file
 * through /dev/zcopy.
 *
 * The structures and flags are those of <linux/zcopy.h>, the contract of the
 * module, which this header includes.
 *
 * Every function that can fail returns 0 or a negative errno value; errno
 * itself means nothing after them. None of them raises a signal, or keeps a
 * pointer it was given after it has returned. The library has no thread; the module
 * may give the process some, see "Threads" in zcopy(4).
 *
 * A struct zcopy does not change between zcopy_open() and zcopy_close(), so
 * any number of threads may use one at the same time, two transfers to two
 * sockets included. Who calls zcopy_close() makes sure that nobody else uses
 * it any more. A child made by fork() may use and close its copy. None of the
 * functions may be called from a signal handler, except zcopy_fd().
 */
#ifndef ZCOPY_ZCOPY_H
#define ZCOPY_ZCOPY_H

#include <stddef.h>
#include <stdint.h>
#include <linux/zcopy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library this header belongs to. */
#define LIBZCOPY_VERSION	"0.1.0"

/** Where the module's device is. */
#define ZCOPY_DEVICE		"/dev/zcopy"

/**
 * @brief Make @p segment a range of a file.
 *
 * @param segment  filled whole
 * @param fd       a regular file or shared-memory object open for reading; it
 *                 stays the caller's, and its file position is left alone. A
 *                 negative number, whichever, gets -EBADF from zcopy_send().
 * @param offset   of the first byte, in bytes, 0 to 2^63 - 1
 * @param length   in bytes; 0 means to the end of the file, wherever that is
 *                 when the transfer gets there
 */
static inline void zcopy_segment_file(struct zcopy_segment *segment, int fd,
				      __u64 offset, __u64 length)
{
	segment->addr = offset;
	segment->len = length;
	/* No file is ever taken for ZCOPY_MEMORY, which is negative. */
	segment->fd = fd < 0 ? -1 : fd;
	segment->flags = 0;
}

/**
 * @brief Make @p segment a range of memory, such as a header.
 *
 * @param segment  filled whole
 * @param base     first byte. The bytes are read by zcopy_send(), not before;
 *                 after it has returned the memory is the caller's again.
 * @param length   in bytes; 0 sends nothing
 */
static inline void zcopy_segment_memory(struct zcopy_segment *segment,
					const void *base, size_t length)
{
	segment->addr = (uintptr_t)base;
	segment->len = length;
	segment->fd = ZCOPY_MEMORY;
	segment->flags = 0;
}

/**
 * @brief Make @p transfer one that sends @p segments to @p target.
 *
 * user_data, flags, readahead and offset are 0 afterwards; set them as needed.
 *
 * @param transfer  filled whole
 * @param target    a connected stream socket, or a pipe or regular file open
 *                  for writing; it stays the caller's
 * @param segments  array of @p count segments, sent in order. Its address is
 *                  kept in @p transfer, so it must live until zcopy_send()
 *                  has returned.
 * @param count     1 to zcopy_info.max_segments
 */
static inline void zcopy_transfer_init(struct zcopy_transfer *transfer,
				       int target,
				       const struct zcopy_segment *segments,
				       unsigned int count)
{
	transfer->user_data = 0;
	transfer->segments = (uintptr_t)segments;
	transfer->nr_segments = count;
	transfer->target = target;
	transfer->flags = 0;
	transfer->readahead = 0;
	transfer->offset = 0;
	transfer->reserved = 0;
}

#pragma GCC visibility push(default)

/** A context: one open file description of /dev/zcopy. */
struct zcopy;

/**
 * @brief Open a context.
 *
 * The descriptor is close-on-exec.
 *
 * @param out  set to the context on success, which is the caller's to free
 *             with zcopy_close(); untouched on failure
 *
 * @retval 0
 * @retval -ENOENT   there is no /dev/zcopy: the module is not loaded
 * @retval -ENXIO    the device node is there and the module is not; also
 *                   -ENODEV
 * @retval -EACCES   no permission to open the device
 * @retval -ENOTTY   /dev/zcopy is not the module's device
 * @retval -EMFILE   the process has too many open descriptors, or the user
 *                   max_user_contexts contexts
 * @retval -ENFILE   the system has
 * @retval -ENOMEM   no memory
 */
int zcopy_open(struct zcopy **out);

/**
 * @brief Close a context and free it.
 *
 * What the context's queue holds is cancelled, and its completions discarded,
 * unless a child made by fork() still has its copy.
 *
 * @param zcopy  a context nobody uses any more, or NULL, which does nothing
 */
void zcopy_close(struct zcopy *zcopy);

/**
 * @brief The descriptor of a context.
 *
 * @param zcopy  a context
 * @return the descriptor, which stays the context's: do not close it
 */
int zcopy_fd(const struct zcopy *zcopy);

/**
 * @brief Ask the module for its version, features and limits.
 *
 * The limits are parameters of the module, which an administrator may change
 * at any time.
 *
 * @param zcopy  a context
 * @param info   filled on success, else untouched
 *
 * @retval 0
 * @retval -EBADF   the program has closed the context's descriptor
 * @retval -ENOTTY  the program has closed the context's descriptor, and its
 *                  number now belongs to something else
 * @retval -ENOMEM  no memory
 */
int zcopy_info(struct zcopy *zcopy, struct zcopy_info *info);

/**
 * @brief Send one transfer on the calling thread.
 *
 * It blocks for the disk (unless ZCOPY_NODISKIO is set) and, unless the target
 * is O_NONBLOCK, for room in the pipe, or in the socket, at most SO_SNDTIMEO
 * each time. It does not raise SIGPIPE. Two transfers to one target at the same
 * time are sent in an undefined order and may mix.
 *
 * Without further flags the network may use the pages of the files after the
 * function has returned. With ZCOPY_SYNC it returns at the release, when that
 * is over; O_NONBLOCK and SO_SNDTIMEO do not shorten this wait, a signal does:
 * then completion->error is -EINTR, all that was sent is in completion->bytes,
 * and ZCOPY_C_RELEASED is not set. With ZCOPY_NOTIFY it returns as without, with
 * ZCOPY_C_MORE set, and the second completion comes at the release, from
 * zcopy_wait_completions() and its kin, see <zcopy/queue.h>. If ZCOPY_C_MORE is
 * not set, or the transfer was refused, there is no second one.
 *
 * There are two ways to fail. A transfer that is refused sends nothing, and
 * the return value says why. A transfer that was accepted returns 0, and
 * completion->error says what ended it (0 if nothing did) after
 * completion->bytes; the values it can have stand at struct zcopy_completion
 * in <linux/zcopy.h>, and completion->flags says whether the file or the
 * target failed.
 *
 * @param zcopy       a context
 * @param transfer    what to send; not changed
 * @param completion  filled when the function returns 0, else untouched
 *
 * @retval 0            accepted, see @p completion
 * @retval -EINVAL      an unknown flag, ZCOPY_SYNC with ZCOPY_NOTIFY,
 *                      ZCOPY_NOCACHE with ZCOPY_LOAD, a reserved word not 0,
 *                      readahead over ZCOPY_MAX_READAHEAD, no segments, a
 *                      segment's flags not 0, a file offset over 2^63 - 1, an
 *                      offset of a target that is no file, a target file that is
 *                      O_APPEND or that a segment reads where it is written; or a
 *                      thread is needed to see to the release, and the process can
 *                      have none since unshare(2) or setns(2) with CLONE_NEWPID
 * @retval -EOPNOTSUPP  the kernel has no way to send a file, or, in the queue,
 *                      its content depends on who reads it; see zcopy(4)
 * @retval -EMSGSIZE    more than zcopy_info.max_segments segments, or more
 *                      than zcopy_info.max_memory bytes in memory segments
 * @retval -EFAULT      the segments or the memory of one cannot be read
 * @retval -EBADF       the target is not an open descriptor, or a pipe or file
 *                      not open for writing, a file is not open for reading,
 *                      or the program has closed the context's descriptor
 * @retval -ENOTSOCK    the target is neither a socket, a pipe nor a regular
 *                      file
 * @retval -EPROTONOSUPPORT  it is not a stream socket of TCP, MPTCP, AF_UNIX
 *                      or AF_VSOCK, or a pipe or file that cannot be served
 * @retval -ENOTCONN    it is neither connected nor about to be
 * @retval -EOVERFLOW   a file segment, or what goes to a target file, ends
 *                      beyond 2^63 - 1
 * @retval -ESPIPE      a file is neither a regular file nor shared memory
 * @retval -EACCES      a security module refused (also -EPERM); or ZCOPY_LEASE,
 *                      and a file belongs to another user and the program has
 *                      no CAP_LEASE
 * @retval -EAGAIN      ZCOPY_LEASE, and a file is open for writing, by whomever,
 *                      on overlayfs also mapped so, or somebody waits for that, or
 *                      has a lease to write; or ZCOPY_NOTIFY, and a limit of the
 *                      queue is reached: collect completions; or that,
 *                      ZCOPY_NOCACHE or ZCOPY_LEASE, and a limit of the user's is;
 *                      or a thread is needed to see to the release, and the process
 *                      may have no more
 * @retval -EMFILE      ZCOPY_LEASE, and the user has as many leases as RLIMIT_NOFILE
 *                      allows open files
 * @retval -ENOLCK      ZCOPY_LEASE, and a file's filesystem grants no leases, or
 *                      fs.leases-enable is 0, or it is a memfd or System V
 *                      shared memory
 * @retval -EINTR       a signal arrived before the first byte, and its handler
 *                      was not installed with SA_RESTART, or the socket has a
 *                      SO_SNDTIMEO
 * @retval -ENOMEM      no memory
 * @retval -ENOTTY      the program has closed the context's descriptor, and
 *                      its number now belongs to something else
 */
int zcopy_send(struct zcopy *zcopy, const struct zcopy_transfer *transfer,
	       struct zcopy_completion *completion);

/**
 * @brief Read counters.
 *
 * @param zcopy  a context
 * @param scope  ZCOPY_STATS_CONTEXT for what went through this context,
 *               ZCOPY_STATS_MODULE for everything since the module was loaded,
 *               for administrators
 * @param stats  filled on success, else untouched
 *
 * @retval 0
 * @retval -EINVAL  unknown @p scope
 * @retval -EPERM   ZCOPY_STATS_MODULE, and the program has neither CAP_SYS_ADMIN
 *                  nor CAP_NET_ADMIN
 * @retval -EBADF   the program has closed the context's descriptor
 * @retval -ENOTTY  the program has closed the context's descriptor, and its
 *                  number now belongs to something else
 */
int zcopy_stats(struct zcopy *zcopy, unsigned int scope,
		struct zcopy_stats *stats);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZCOPY_ZCOPY_H */
