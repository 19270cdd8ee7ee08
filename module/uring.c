// SPDX-License-Identifier: GPL-2.0-only
/*
 * The io_uring door: an SQE becomes a transfer of the queue, its completion a
 * CQE. A request is completed in one place, finish_cmd().
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "context.h"
#include "queue.h"
#include "record.h"
#include "runner.h"
#include "submitter.h"
#include "uring.h"

/* What a request that went asynchronous keeps in its own space. */
struct uring_pdu {
	struct zcopy_record *record;
};

static struct zcopy_record **pdu_record(struct io_uring_cmd *cmd)
{
	return &io_uring_cmd_to_pdu(cmd, struct uring_pdu)->record;
}

/* The submitter's context, or that of a ring that is going away: @dead. */
static void finish_cmd(struct io_uring_cmd *cmd, struct zcopy_record *record,
		       unsigned int issue_flags, bool dead)
{
	const struct zcopy_completion *completion = &record->completion;
	u64 bytes = completion->bytes;
	ssize_t res = completion->error ?: (ssize_t)min_t(u64, bytes, INT_MAX);

	/* Of a dead task there is no memory to write to. */
	if (!dead &&
	    copy_to_user(u64_to_user_ptr(record->answer), completion,
			 sizeof(*completion)))
		res = -EFAULT;
	zcopy_record_uncharge(cmd->file->private_data);
	/* The context may be gone now. */
	zcopy_compat_cmd_done(cmd, res, bytes, issue_flags);
	/* Not before: a cancellation looks at it until the request is done. */
	kfree(record);
}

static void finish_in_turn(struct io_uring_cmd *cmd, unsigned int issue_flags,
			   bool dead)
{
	finish_cmd(cmd, *pdu_record(cmd), issue_flags, dead);
}

ZCOPY_COMPAT_TASK_WORK(finish_in_task, finish_in_turn)

/* A transfer whose request went asynchronous ended. Any process context. */
static void complete_cmd(struct zcopy_record *record)
{
	io_uring_cmd_complete_in_task(record->cmd, finish_in_task);
}

/*
 * Is what lies in an SQE's place this request's? Kernels that do not copy it read it
 * from there when the turn of one comes that is linked behind another or drained,
 * and by then the place is the program's again.
 */
static bool is_own(struct io_uring_cmd *cmd)
{
	const struct io_kiocb *req = cmd_to_io_kiocb(cmd);
	const struct io_uring_sqe *sqe = cmd->sqe;

	return READ_ONCE(sqe->opcode) == IORING_OP_URING_CMD &&
	       READ_ONCE(sqe->user_data) == req->cqe.user_data &&
	       READ_ONCE(sqe->fd) == req->cqe.fd &&
	       READ_ONCE(sqe->cmd_op) == cmd->cmd_op &&
	       READ_ONCE(sqe->uring_cmd_flags) == cmd->flags;
}

/* Read the SQE once: it is not stable after the first return. */
static int read_sqe(struct io_uring_cmd *cmd, struct zcopy_transfer *transfer,
		    u64 *answer)
{
	const struct zcopy_uring *sqe = zcopy_compat_sqe_cmd(cmd->sqe, struct zcopy_uring);
	bool own = is_own(cmd);
	u64 from;

	/* Who writes another one there meanwhile writes what tells them apart. */
	smp_rmb();
	from = READ_ONCE(sqe->transfer);
	*answer = READ_ONCE(sqe->completion);
	/* As above. */
	smp_rmb();
	if (!own || !is_own(cmd))
		return -EBADR;
	if (cmd->cmd_op != ZCOPY_URING_SEND)
		return -ENOTTY;
	if (copy_from_user(transfer, u64_to_user_ptr(from), sizeof(*transfer)))
		return -EFAULT;
	return 0;
}

/* An answer that cannot be given is found out before the first byte. */
static bool can_answer(u64 answer)
{
	struct zcopy_completion probe;

	return !copy_from_user(&probe, u64_to_user_ptr(answer), sizeof(probe)) &&
	       !copy_to_user(u64_to_user_ptr(answer), &probe, sizeof(probe));
}

int zcopy_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct zcopy_context *context = cmd->file->private_data;
	struct zcopy_submitter *submitter;
	struct zcopy_transfer transfer;
	struct zcopy_record *record;
	LIST_HEAD(ready);
	bool issued;
	u64 answer;
	int err;

	if (issue_flags & IO_URING_F_CANCEL) {
		zcopy_queue_cancel_record(context, *pdu_record(cmd));
		return 0;
	}

	err = read_sqe(cmd, &transfer, &answer);
	if (err)
		return err;
	submitter = zcopy_submitter_get(context);
	if (!submitter)
		return -ENOMEM;
	record = can_answer(answer) ?
			 zcopy_queue_add(submitter, &transfer, complete_cmd, &ready) :
			 ERR_PTR(-EFAULT);
	/* SQEs behind this one may be for the same target. */
	if (IS_ERR(record))
		zcopy_queue_leave_gap(submitter, &transfer);
	zcopy_submitter_put(submitter);
	if (IS_ERR(record)) {
		err = PTR_ERR(record);
		if (err != -EAGAIN)
			return err;
		/* Returned, it would only be tried again by another thread. */
		zcopy_compat_cmd_done(cmd, err, 0, issue_flags);
		return -EIOCBQUEUED;
	}
	record->cmd = cmd;
	record->answer = answer;
	*pdu_record(cmd) = record;
	zcopy_runner_run_ready(&ready);

	/* Pairs with deliver(): what ended has its completion. */
	if (!smp_load_acquire(&record->ended)) {
		io_uring_cmd_mark_cancelable(cmd, issue_flags);
		spin_lock(&context->lock);
		issued = !record->ended;
		record->issued = issued;
		spin_unlock(&context->lock);
		if (issued)	/* may be complete by now, and gone */
			return -EIOCBQUEUED;
	}
	finish_cmd(cmd, record, issue_flags, false);
	return -EIOCBQUEUED;
}
