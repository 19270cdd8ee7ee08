// SPDX-License-Identifier: GPL-2.0-only
/*
 * The synchronous transfer: on the thread that asks for it, past the queue but
 * for the notice of its release.
 */
#include <linux/sched/xacct.h>

#include "context.h"
#include "queue.h"
#include "release.h"
#include "request.h"
#include "run.h"
#include "send.h"
#include "submitter.h"
#include "transfer.h"

static bool is_interrupted(const struct zcopy_completion *completion)
{
	return completion->error == -ERESTARTSYS || completion->error == -EINTR;
}

/* A transfer is over: its completion, of the release if that is wanted. */
static struct zcopy_completion wait_as_asked(struct zcopy_xfer *xfer)
{
	struct zcopy_completion completion;
	int err = 0;

	zcopy_xfer_leave_target(xfer);
	if (xfer->flags & ZCOPY_SYNC)
		err = zcopy_release_wait(xfer);
	if (!xfer->result.error)
		xfer->result.error = err;

	completion = zcopy_release_result(xfer, (xfer->flags & ZCOPY_SYNC) && !err);
	if (is_interrupted(&completion) && !completion.bytes)
		zcopy_queue_forget_notice(xfer);
	else if (is_interrupted(&completion))
		xfer->result.error = -EINTR;
	if (xfer->notice)
		completion.flags |= ZCOPY_C_MORE;
	zcopy_release_leave(xfer);
	return completion;
}

/**
 * zcopy_send_now - one transfer on the calling thread
 * @context:    whose it is
 * @transfer:   the request, already in kernel memory
 * @completion: set to what became of it, unless it was refused
 *
 * Context: the submitter's; sleeps for the disk, for room in the target and,
 * with %ZCOPY_SYNC, for the release.
 * Return: 0; an errno of ZCOPY_IOC_SEND's list: it was refused; or -ERESTARTSYS,
 * -ERESTARTNOINTR or -EINTR: a signal came before the first byte.
 */
int zcopy_send_now(struct zcopy_context *context,
		   const struct zcopy_transfer *transfer,
		   struct zcopy_completion *completion)
{
	struct zcopy_submitter *submitter;
	size_t slice = SIZE_MAX;
	struct zcopy_xfer *xfer;
	int err = 0;

	submitter = zcopy_submitter_get(context);
	if (!submitter)
		return -ENOMEM;
	/* What is left of it may wait for its release for long, and be told then. */
	if ((transfer->flags & (ZCOPY_NOTIFY | ZCOPY_NOCACHE | ZCOPY_LEASE) &&
	     !zcopy_user_await_room(submitter->user, &submitter->starver)) ||
	    (transfer->flags & ZCOPY_NOTIFY &&
	     !zcopy_user_await_room(context->user, &context->starver))) {
		zcopy_submitter_put(submitter);
		return -EAGAIN;
	}
	xfer = zcopy_request_build(submitter, transfer, &zcopy_queue_ops, false);
	if (IS_ERR(xfer)) {
		zcopy_submitter_put(submitter);
		return PTR_ERR(xfer);
	}
	/* Somebody has to see to it that it is released. */
	if (zcopy_release_wanted(xfer))
		err = zcopy_crew_hire(&submitter->crew);
	zcopy_submitter_put(submitter);
	if (!err && (xfer->flags & ZCOPY_NOTIFY))
		err = zcopy_queue_expect_notice(xfer);
	if (err) {
		zcopy_request_refuse(xfer, err);
		return err == -ESRCH ? -EINTR : err;
	}
	zcopy_xfer_run(xfer, ZCOPY_MAY_START | ZCOPY_MAY_READ | ZCOPY_MAY_WAIT |
		       ZCOPY_MAY_WRITE, &slice);
	*completion = wait_as_asked(xfer);

	add_rchar(current, completion->bytes);
	add_wchar(current, completion->bytes);
	inc_syscr(current);
	inc_syscw(current);

	/* Interrupted before the first byte: as if it had not been called. */
	if (is_interrupted(completion)) {
		if (!completion->bytes)
			err = completion->error;
		completion->error = -EINTR;
	}
	return err;
}
