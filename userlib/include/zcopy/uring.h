/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file zcopy/uring.h
 * @brief Transfers as requests of an io_uring.
 *
 * For programs that have a ring already, with liburing or without. What a CQE
 * says is described at struct zcopy_uring in <linux/zcopy.h>.
 *
 * With ZCOPY_SYNC the CQE comes at the release. If the request is cancelled
 * while it waits for that, the CQE comes at once, and ZCOPY_C_RELEASED is not
 * set in the completion. With ZCOPY_NOTIFY the CQE is the first completion; the
 * second one comes from zcopy_wait_completions() and its kin on the context, see
 * <zcopy/queue.h>.
 */
#ifndef ZCOPY_URING_H
#define ZCOPY_URING_H

#include <string.h>
#include <linux/io_uring.h>
#include <zcopy/zcopy.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @brief Make an SQE a transfer.
 *
 * @param sqe         of io_uring_get_sqe(), say; filled whole, user_data is 0
 *                    and may be set afterwards. One that is linked behind another
 *                    needs IOSQE_ASYNC, which is set afterwards too: without that
 *                    Linux 6.12 may end it with -EBADR, see struct zcopy_uring
 * @param zcopy       a context; open until the CQE has come
 * @param transfer    with the segments and memory it names it must live until
 *                    the SQE was submitted; in a ring with IORING_SETUP_SQPOLL,
 *                    or if the SQE is linked or drained, until the CQE has come
 * @param completion  must live until the CQE has come; filled before that, unless
 *                    the thread that submitted has exited; -EFAULT: it cannot be
 *                    read or written, and nothing was sent, or, if it could be at
 *                    first, not any more
 */
static inline void zcopy_prep_sqe(struct io_uring_sqe *sqe,
				  const struct zcopy *zcopy,
				  const struct zcopy_transfer *transfer,
				  struct zcopy_completion *completion)
{
	struct zcopy_uring request;

	request.transfer = (uintptr_t)transfer;
	request.completion = (uintptr_t)completion;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = zcopy_fd(zcopy);
	sqe->cmd_op = ZCOPY_URING_SEND;
	memcpy(sqe->cmd, &request, sizeof(request));
}

#ifdef __cplusplus
}
#endif

#endif /* ZCOPY_URING_H */
