/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file zcopy/queue.h
 * @brief The queue: many transfers, no thread blocked.
 *
 * A program prepares transfers, submits any number of them in one call, and
 * collects their completions, each exactly once: with the call that submits,
 * with zcopy_wait_completions() and its kin, or when zcopy_fd() is readable in
 * its epoll loop. Transfers to one target, a socket, pipe or file, keep their
 * order; targets do not wait for each other.
 *
 * Thread rules: every function here may be called by any number of threads at
 * the same time on one context. A completion goes to one of them. Transfers
 * that two threads submit to the same socket at the same time have an
 * undefined order. Nothing is buffered in the library: a child made by fork()
 * shares the context, its completions and its limits. What it submits is its own:
 * in no order with what its parent does, and over when it ends.
 *
 * Files and sockets are taken by the call that submits, and memory segments are
 * copied by it: the program may close and reuse all of it when the call has
 * returned. Closing the context cancels what is under way.
 *
 * A socket or pipe that a transfer to it failed on, or was cancelled, has a gap:
 * nothing that the process submits there is sent behind that, but completes with
 * -ECANCELED, until it says that it knows, by ZCOPY_RESUME in the flags of the next
 * transfer or by zcopy_cancel_socket(). So a client never gets bytes of one response
 * for those of another. A server that closes the connection need not say so.
 *
 * The content of a file may be changed at the release, when the network no
 * longer uses its pages. With ZCOPY_SYNC in its flags a transfer completes then.
 * With ZCOPY_NOTIFY it completes twice: when all is sent, with ZCOPY_C_MORE, and
 * at the release, with ZCOPY_C_RELEASED; each counts for the limits as if it were
 * a transfer of its own, and the second one may go beyond them. Completions of one
 * socket's transfers that come at the release come in the order of release, the
 * others in the order of submission.
 *
 * Errors are negative errno values; errno itself means nothing after them.
 */
#ifndef ZCOPY_QUEUE_H
#define ZCOPY_QUEUE_H

#include <zcopy/zcopy.h>

#ifdef __cplusplus
extern "C" {
#endif

/** zcopy_submit_and_wait() and zcopy_wait_completions(): no time-out. */
#define ZCOPY_FOREVER	(-1LL)

/**
 * @brief Prepare a transfer of any segments.
 *
 * @param transfer   filled whole; flags and readahead are 0, set them as needed
 * @param socket     where it goes, see zcopy_transfer_init()
 * @param segments   array of @p count segments, in the order to send them; must
 *                   live until the transfer is submitted
 * @param count      1 to zcopy_info.max_segments
 * @param user_data  any value; comes back in the completion
 */
static inline void zcopy_prep_segments(struct zcopy_transfer *transfer,
				       int socket,
				       const struct zcopy_segment *segments,
				       unsigned int count, __u64 user_data)
{
	zcopy_transfer_init(transfer, socket, segments, count);
	transfer->user_data = user_data;
}

/**
 * @brief Prepare a transfer of a range of a file.
 *
 * @param transfer   filled whole
 * @param segment    room for its one segment; must live until the transfer is
 *                   submitted
 * @param socket     where it goes, see zcopy_transfer_init()
 * @param fd         a regular file or shared-memory object open for reading
 * @param offset     of the first byte
 * @param length     in bytes; 0 means to the end of the file
 * @param user_data  any value; comes back in the completion
 */
static inline void zcopy_prep_file(struct zcopy_transfer *transfer,
				   struct zcopy_segment *segment, int socket,
				   int fd, __u64 offset, __u64 length,
				   __u64 user_data)
{
	zcopy_segment_file(segment, fd, offset, length);
	zcopy_prep_segments(transfer, socket, segment, 1, user_data);
}

/**
 * @brief Prepare a transfer of a header and a range of a file behind it.
 *
 * The header has told the peer how many bytes follow. So, unless the length is 0,
 * the transfer is ZCOPY_EXACT: with a file that gives less it fails, with -ENODATA
 * and ZCOPY_C_TRUNCATED, and nothing follows on it.
 *
 * @param transfer       filled whole
 * @param segments       room for its two segments; must live until the transfer
 *                       is submitted
 * @param socket         where it goes, see zcopy_transfer_init()
 * @param header         copied when the transfer is submitted
 * @param header_length  in bytes
 * @param fd             as for zcopy_prep_file(); so are the rest
 * @param offset         of the first byte
 * @param length         in bytes; 0 means to the end of the file
 * @param user_data      any value; comes back in the completion
 */
static inline void zcopy_prep_response(struct zcopy_transfer *transfer,
				       struct zcopy_segment segments[2],
				       int socket, const void *header,
				       size_t header_length, int fd,
				       __u64 offset, __u64 length,
				       __u64 user_data)
{
	zcopy_segment_memory(&segments[0], header, header_length);
	zcopy_segment_file(&segments[1], fd, offset, length);
	zcopy_prep_segments(transfer, socket, segments, 2, user_data);
	if (length)
		transfer->flags = ZCOPY_EXACT;
}

/**
 * @brief Prepare a transfer that brings a range of a file into memory.
 *
 * It goes nowhere, and completes when the bytes are there, or says why they cannot
 * be: what readahead(2) starts, with an answer. Send it when ZCOPY_NODISKIO said
 * -EBUSY, and when it completes what that one did not send, with ZCOPY_RESUME.
 *
 * @param transfer   filled whole
 * @param segment    room for its one segment; must live until the transfer is
 *                   submitted
 * @param fd         a regular file open for reading
 * @param offset     of the first byte
 * @param length     in bytes; 0 means to the end of the file
 * @param user_data  any value; comes back in the completion
 */
static inline void zcopy_prep_load(struct zcopy_transfer *transfer,
				   struct zcopy_segment *segment, int fd,
				   __u64 offset, __u64 length, __u64 user_data)
{
	zcopy_segment_file(segment, fd, offset, length);
	zcopy_prep_segments(transfer, ZCOPY_LOAD, segment, 1, user_data);
}

#pragma GCC visibility push(default)

/**
 * @brief Queue transfers. Waits neither for what a disk has to read nor for room
 * in a target.
 *
 * Transfers are accepted in order up to the first that is refused; those
 * before it run, it and those behind it have had no effect.
 *
 * @param zcopy      a context
 * @param transfers  array of @p count transfers, with the segments and memory
 *                   they name; the program's again when the call returns
 * @param count      transfers
 * @param error      NULL, or set to why the transfer behind the accepted ones
 *                   was refused: a value of zcopy_send()'s list, or -EAGAIN (a
 *                   limit is reached: collect completions, or wait for POLLOUT
 *                   on zcopy_fd(), then submit the rest; with ZCOPY_LEASE also
 *                   the causes that zcopy_send() names; with a flag about the
 *                   release that the process may have no more threads); 0 if all were accepted
 *
 * @return how many were accepted, or if none was, the error; 0 only if
 * @p count is 0
 */
int zcopy_submit(struct zcopy *zcopy, const struct zcopy_transfer *transfers,
		 unsigned int count, int *error);

/**
 * @brief Queue transfers and collect completions in the same call.
 *
 * @param zcopy        a context
 * @param transfers    as for zcopy_submit()
 * @param count        as for zcopy_submit()
 * @param completions  filled with what is there, not only with those of
 *                     @p transfers
 * @param max          elements of @p completions
 * @param min          wait until so many are there, or none can come because
 *                     no transfer is under way; 0 to @p max
 * @param timeout      nanoseconds to wait at most, or ZCOPY_FOREVER
 * @param accepted     NULL, or set to how many transfers were accepted
 * @param error        as for zcopy_submit()
 *
 * @return how many completions were filled, perhaps fewer than @p min if the
 * time ran out or a signal arrived
 *
 * @retval -EINTR   a signal arrived whose handler was not installed with
 *                  SA_RESTART; nothing was accepted, nothing filled
 * @retval -EFAULT  @p completions cannot be written; nothing was accepted. If
 *                  something was, it returns 0, and the completions wait.
 * @retval -EINVAL  @p min is over @p max
 */
int zcopy_submit_and_wait(struct zcopy *zcopy,
			  const struct zcopy_transfer *transfers,
			  unsigned int count,
			  struct zcopy_completion *completions,
			  unsigned int max, unsigned int min,
			  long long timeout, unsigned int *accepted,
			  int *error);

/**
 * @brief Collect the completions that are there, without waiting.
 *
 * @return how many were filled, 0 to @p max; or -EFAULT
 */
int zcopy_peek_completions(struct zcopy *zcopy,
			   struct zcopy_completion *completions,
			   unsigned int max);

/**
 * @brief Collect completions, waiting for them.
 *
 * Parameters and result as for zcopy_submit_and_wait().
 */
int zcopy_wait_completions(struct zcopy *zcopy,
			   struct zcopy_completion *completions,
			   unsigned int max, unsigned int min,
			   long long timeout);

/** @brief One completion if there is one: 1 or 0, or -EFAULT. */
static inline int zcopy_peek_completion(struct zcopy *zcopy,
					struct zcopy_completion *completion)
{
	return zcopy_peek_completions(zcopy, completion, 1);
}

/** @brief Wait for one completion: 1, 0 if none can come, or -EINTR. */
static inline int zcopy_wait_completion(struct zcopy *zcopy,
					struct zcopy_completion *completion)
{
	return zcopy_wait_completions(zcopy, completion, 1, 1, ZCOPY_FOREVER);
}

/**
 * @brief End the transfers with this user_data early.
 *
 * Each still has its completions: with ZCOPY_C_CANCELLED and the bytes that
 * went, or what it would have had anyway if it ended first. One whose bytes are
 * all sent and that waits for its release only has ended: it is not asked.
 *
 * @return how many were asked to end, 0 included; one that was asked before is not
 * counted again
 */
int zcopy_cancel(struct zcopy *zcopy, __u64 user_data);

/**
 * @brief End the transfers to this target early; see zcopy_cancel().
 *
 * Those of this process that it ends leave no gap that the program would not know
 * of, and those that failed before are none any more.
 *
 * @retval -EBADF     @p socket is not an open descriptor
 * @retval -ENOTSOCK  it is neither a socket, a pipe nor a regular file
 */
int zcopy_cancel_socket(struct zcopy *zcopy, int socket);

/** @brief End all transfers of the context early; see zcopy_cancel(). */
int zcopy_cancel_all(struct zcopy *zcopy);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* ZCOPY_QUEUE_H */
