// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of a context: what is accepted, and what becomes of it. Streams do the
 * work in between, and records get completions to the program.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "cancel.h"
#include "context.h"
#include "lease.h"
#include "queue.h"
#include "record.h"
#include "release.h"
#include "request.h"
#include "sink.h"
#include "source.h"
#include "stream.h"
#include "submitter.h"
#include "transfer.h"
#include "user.h"

/* Does a program that sends this free itself of a target that failed? */
static bool counts_marks(u32 flags, bool has_target)
{
	return has_target && !(flags & ZCOPY_RESUME);
}

/*
 * Prepare for the completion at the release. Return: 0, -EAGAIN unless it is the
 * second one of a transfer in the queue, or -ENOMEM.
 */
int zcopy_queue_expect_notice(struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_record *record;

	record = xfer->record ? zcopy_record_expect_another(context) :
				zcopy_record_expect(context,
						    counts_marks(xfer->flags,
								 xfer->target));
	if (IS_ERR(record))
		return PTR_ERR(record);
	xfer->notice = record;
	zcopy_record_charge(record, xfer->context, xfer->memory);
	return 0;
}

void zcopy_queue_forget_notice(struct zcopy_xfer *xfer)
{
	if (xfer->notice)
		zcopy_record_forget(xfer->context, xfer->notice);
	xfer->notice = NULL;
}

/**
 * zcopy_queue_add - accept a transfer
 * @submitter: the calling process
 * @transfer:  already in kernel memory
 * @complete:  see struct zcopy_record
 * @ready:     see zcopy_stream_enqueue()
 *
 * Return: its record, which is the caller's to look at only with @complete; or an
 * ERR_PTR: -EAGAIN, a limit is reached; -EINTR, signals come first; of
 * zcopy_crew_hire() or zcopy_request_build().
 */
struct zcopy_record *zcopy_queue_add(struct zcopy_submitter *submitter,
				     const struct zcopy_transfer *transfer,
				     void (*complete)(struct zcopy_record *record),
				     struct list_head *ready)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_record *record;
	struct zcopy_xfer *xfer;
	bool marks;
	int err;

	/*
	 * Who submits pays for the transfer, who opened the device for completions. Who
	 * is refused may wait for the next edge without a look at what is there now.
	 */
	if (!zcopy_user_await_room(submitter->user, &submitter->starver) ||
	    (context->user != submitter->user &&
	     !zcopy_user_await_room(context->user, &context->starver)))
		return ERR_PTR(-EAGAIN);
	marks = counts_marks(transfer->flags, transfer->target != ZCOPY_LOAD);
	record = zcopy_record_expect(context, marks);
	if (IS_ERR(record))
		return record;
	xfer = zcopy_request_build(submitter, transfer, &zcopy_queue_ops, true);
	if (IS_ERR(xfer)) {
		err = PTR_ERR(xfer);
		goto forget_record;
	}
	xfer->record = record;
	/* It may all be sent at once: only its release is sure to come later. */
	err = zcopy_release_wanted(xfer) ? zcopy_crew_hire(&submitter->crew) : 0;
	if (err)
		goto refuse_xfer;
	if (xfer->flags & ZCOPY_NOTIFY) {
		err = zcopy_queue_expect_notice(xfer);
		if (err)
			goto refuse_xfer;
	} else {
		zcopy_record_charge(record, xfer->context, xfer->memory);
	}
	record->complete = complete;
	record->xfer = xfer;
	xfer->cred = get_current_cred();

	err = zcopy_stream_enqueue(xfer, ready);
	if (err)
		goto forget_notice;
	return record;

forget_notice:
	zcopy_queue_forget_notice(xfer);
refuse_xfer:
	zcopy_request_refuse(xfer, err);
forget_record:
	zcopy_record_forget(context, record);
	return ERR_PTR(err == -ERESTARTNOINTR || err == -ESRCH ? -EINTR : err);
}

/*
 * A transfer is over: tell the program, if it is time. What became of it at the
 * release is told then.
 */
static void over(struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_record *record = xfer->record;

	if (current->flags & PF_KTHREAD)
		zcopy_sink_close_by_nobody(xfer->target);
	zcopy_xfer_leave_target(xfer);
	if (!record) {
		/* Its request did not wait for this. */
	} else if (xfer->flags & ZCOPY_SYNC) {
		spin_lock(&context->lock);
		record->parked = true;
		spin_unlock(&context->lock);
	} else if (zcopy_release_wanted(xfer)) {
		record->completion = zcopy_release_result(xfer, false);
		if (xfer->notice)
			record->completion.flags |= ZCOPY_C_MORE;
		spin_lock(&context->lock);
		xfer->record = NULL;
		record->xfer = NULL;
		spin_unlock(&context->lock);
		zcopy_record_deliver(context, record);
	}
	zcopy_release_leave(xfer);
}

/* The last completion of a transfer is due: its record, if somebody waits. */
static struct zcopy_record *last_record(struct zcopy_xfer *xfer)
{
	struct zcopy_record *record = xfer->notice;

	if (record)
		return record;
	spin_lock(&xfer->context->lock);
	record = xfer->record;
	if (record) {
		record->xfer = NULL;
		record->parked = false;
	}
	xfer->record = NULL;
	spin_unlock(&xfer->context->lock);
	return record;
}

/*
 * The network let go of a transfer. Files, leases and pages are given back
 * first. A file that nobody else has open is closed on the way back to user
 * mode, or by a worker before its next work, as fput() does it.
 */
static void finish_release(struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_completion result;
	struct zcopy_record *record;

	result = zcopy_release_result(xfer, true);
	record = last_record(xfer);
	zcopy_xfer_destroy(xfer);
	if (record) {
		record->completion = result;
		zcopy_record_deliver(context, record);
	}
}

static void forget_cold(struct zcopy_work *work)
{
	struct zcopy_xfer *xfer = container_of(work, struct zcopy_xfer, work);

	if (!READ_ONCE(xfer->submitter->dead))
		zcopy_source_forget(xfer);
	finish_release(xfer);
}

static void released(struct zcopy_xfer *xfer)
{
	/* A call that waits does it all. */
	bool here = !xfer->queued && !(current->flags & PF_USER_WORKER);
	struct super_block *sb;

	/* Nothing but its memory is left. */
	if (READ_ONCE(xfer->stripped)) {
		zcopy_xfer_free(xfer);
		return;
	}
	if (zcopy_release_wanted(xfer)) {
		spin_lock(&xfer->context->lock);
		list_del_init(&xfer->link);
		spin_unlock(&xfer->context->lock);
	}
	/* To drop pages may take as long as to read them. */
	sb = zcopy_source_keeps(xfer);
	xfer->work.run = forget_cold;
	if (sb && !here &&
	    !zcopy_crew_cold(&xfer->submitter->crew, &xfer->work,
			     (unsigned long)sb, NULL))
		return;
	if (sb && here)
		zcopy_source_forget(xfer);
	finish_release(xfer);
}

/* The process is gone. Of its transfers those who share the context still hear. */
static void lost(struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_completion result;
	struct zcopy_record *record;
	bool lapsed = false;

	result = zcopy_release_result(xfer, false);
	zcopy_lease_drop(xfer, &lapsed);
	record = last_record(xfer);
	zcopy_xfer_strip(xfer);
	if (record) {
		record->completion = result;
		zcopy_record_deliver(context, record);
	}
}

/*
 * Is there room below the limits of who asks, as far as he has submitted, and of who
 * opened the device? If not, who polls is woken when there is.
 */
static bool has_room_as_user(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter = zcopy_submitter_find(context);
	bool room = true;

	if (submitter) {
		room = zcopy_user_await_room(submitter->user, &submitter->starver);
		zcopy_submitter_put(submitter);
	}
	return room && zcopy_user_await_room(context->user, &context->starver);
}

__poll_t zcopy_queue_poll(struct zcopy_context *context, struct file *file,
			  poll_table *wait)
{
	poll_wait(file, &context->wait, wait);
	return zcopy_record_events(context, has_room_as_user(context));
}

/* What is told of a transfer that is to end and goes on untold until then. */
static struct zcopy_completion cut_short(const struct zcopy_xfer *xfer)
{
	return (struct zcopy_completion){
		.user_data = xfer->result.user_data,
		.bytes = READ_ONCE(xfer->result.bytes),
		.error = -ECANCELED,
		.flags = ZCOPY_C_CANCELLED | (xfer->notice ? ZCOPY_C_MORE : 0),
	};
}

/*
 * The io_uring request of a record waits no longer: its transfer is to end, if
 * it has not. Where that takes time, for a disk or for the release, it does so
 * untold from now on, as io_uring asks again and again until the request is
 * complete. What a transfer sends at this moment may then not be counted.
 */
void zcopy_queue_cancel_record(struct zcopy_context *context,
			       struct zcopy_record *record)
{
	struct zcopy_xfer *xfer, *untold = NULL;
	LIST_HEAD(cancelled);

	spin_lock(&context->lock);
	xfer = record->xfer;
	if (xfer && xfer->stream) {
		zcopy_stream_cancel(xfer, &cancelled);
		/* Still there: somebody has begun it. Or a worker ends it. */
		if (xfer->stream || current->flags & PF_KTHREAD) {
			untold = xfer;
			record->completion = cut_short(untold);
		}
	} else if (record->parked) {
		untold = xfer;
		record->parked = false;
		record->completion = zcopy_release_result(untold, false);
	}
	if (untold) {
		untold->record = NULL;
		record->xfer = NULL;
	}
	spin_unlock(&context->lock);
	zcopy_stream_end_cancelled(&cancelled);
	if (untold)
		zcopy_record_deliver(context, record);
}

/* The time of a broken lease is over: end its transfer. */
static void expire(struct zcopy_context *context, struct zcopy_xfer **place)
{
	struct zcopy_xfer *xfer;
	LIST_HEAD(cancelled);

	spin_lock(&context->lock);
	xfer = *place;
	if (xfer) {
		WRITE_ONCE(xfer->expired, true);
		/* Outside of a queue its own thread looks for itself. */
		if (xfer->stream)
			zcopy_stream_cancel(xfer, &cancelled);
	}
	spin_unlock(&context->lock);
	zcopy_stream_end_cancelled(&cancelled);
}

/*
 * What was to be sent is not: what comes behind it must not be taken for it. Who
 * waits for it himself hears of that first.
 */
static void refused(struct zcopy_xfer *xfer)
{
	if (xfer->queued)
		zcopy_stream_leave_gap(xfer->submitter, xfer->target);
}

const struct zcopy_xfer_ops zcopy_queue_ops = {
	.over = over,
	.lost = lost,
	.released = released,
	.expire = expire,
	.refused = refused,
};

/**
 * zcopy_queue_leave_gap - a transfer was refused, and more of its door is under way
 * @submitter: whose
 * @transfer:  the request, already in kernel memory
 *
 * For doors which go on with what is behind before the program knows.
 */
void zcopy_queue_leave_gap(struct zcopy_submitter *submitter,
			   const struct zcopy_transfer *transfer)
{
	struct file *target = fget(transfer->target);

	if (!target)
		return;
	if (!zcopy_sink_check(target, 0))
		zcopy_stream_leave_gap(submitter, target);
	fput(target);
}

/* A process is gone: end what it submitted. */
static void died(struct zcopy_submitter *submitter)
{
	zcopy_cancel_submitter(submitter);
	zcopy_release_lose(submitter);
}

const struct zcopy_context_ops zcopy_queue_context_ops = {
	.died = died,
};

/*
 * The calling process closes one of its descriptors. It may be about to submit,
 * too, in another thread.
 */
void zcopy_queue_part(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter;

	if (current->flags & PF_EXITING)
		submitter = zcopy_submitter_find(context);
	else
		submitter = zcopy_submitter_get(context);
	if (!submitter)
		return;
	WRITE_ONCE(submitter->parted, true);
	zcopy_cancel_wake(submitter);
	zcopy_crew_part(&submitter->crew);
	zcopy_crew_abandon(&submitter->crew);
	zcopy_submitter_put(submitter);
}

/* The last descriptor is gone: end all transfers, forget all completions. */
void zcopy_queue_close(struct zcopy_context *context)
{
	zcopy_record_close(context);
	zcopy_cancel_all(context, true);
}
