// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of a context: what is accepted, and how completions get to the
 * program. Streams do the work in between.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "cancel.h"
#include "context.h"
#include "lease.h"
#include "limits.h"
#include "mark.h"
#include "queue.h"
#include "release.h"
#include "request.h"
#include "sink.h"
#include "source.h"
#include "stream.h"
#include "submitter.h"
#include "transfer.h"
#include "user.h"

/* Marks that are looked at in one go where there is no room. */
#define SWEEP	64

/* @marks: targets that failed count, too. */
static bool has_room(struct zcopy_context *context, bool marks)
{
	unsigned int completions = context->nr_queued + context->nr_unread;

	if (marks)
		completions += context->nr_marks;
	return context->nr_queued < zcopy_max_transfers() &&
	       completions < zcopy_max_completions() &&
	       context->memory_queued < zcopy_max_queued_memory();
}

/* Ditto, once more if there is none: targets that failed may be closed by now. */
static bool has_room_if_swept(struct zcopy_context *context, bool marks,
			      struct list_head *gone)
{
	if (has_room(context, marks))
		return true;
	zcopy_mark_sweep(context, SWEEP, gone);
	return has_room(context, marks);
}

/* Does a program that sends this free itself of a target that failed? */
static bool counts_marks(u32 flags, bool has_target)
{
	return has_target && !(flags & ZCOPY_RESUME);
}

/* One completion less is to come: who waits for it must not, and has room. */
static void expect_less(struct zcopy_context *context, u32 memory)
{
	spin_lock(&context->lock);
	context->nr_queued--;
	context->memory_queued -= memory;
	spin_unlock(&context->lock);
	if (wq_has_sleeper(&context->wait))
		wake_up_interruptible_poll(&context->wait, EPOLLOUT);
}

/* A record for one completion to come, or an ERR_PTR. @marks: see has_room(). */
static struct zcopy_record *expect(struct zcopy_context *context, bool marks)
{
	struct zcopy_record *record;
	LIST_HEAD(gone);
	bool room;

	spin_lock(&context->lock);
	/* A few each time: who closes a target wakes nobody. */
	zcopy_mark_sweep(context, 2, &gone);
	room = has_room_if_swept(context, marks, &gone);
	context->nr_queued += room;
	spin_unlock(&context->lock);
	zcopy_mark_free_all(&gone);
	if (!room)
		return ERR_PTR(-EAGAIN);

	record = kzalloc(sizeof(*record), GFP_KERNEL_ACCOUNT);
	if (!record) {
		expect_less(context, 0);
		return ERR_PTR(-ENOMEM);
	}
	zcopy_user_charge_anyway(context->user, ZCOPY_USE_MEMORY, sizeof(*record));
	return record;
}

/* A record is about to be freed: nobody pays for it any more. */
void zcopy_queue_forget_record(struct zcopy_context *context)
{
	zcopy_user_uncharge(context->user, ZCOPY_USE_MEMORY,
			    sizeof(struct zcopy_record));
}

static void free_record(struct zcopy_context *context,
			struct zcopy_record *record)
{
	zcopy_queue_forget_record(context);
	kfree(record);
}

/* It does not come after all. */
static void forget(struct zcopy_context *context, struct zcopy_record *record)
{
	expect_less(context, record->memory);
	free_record(context, record);
}

/*
 * A transfer's memory counts until its last completion, which is this one. It
 * was let in while there was room, and may go beyond the limit.
 */
static void charge(struct zcopy_xfer *xfer, struct zcopy_record *record)
{
	if (!xfer->memory)
		return;
	record->memory = xfer->memory;
	spin_lock(&xfer->context->lock);
	xfer->context->memory_queued += xfer->memory;
	spin_unlock(&xfer->context->lock);
}

/* Prepare for the completion at the release. Return: 0, -EAGAIN or -ENOMEM. */
int zcopy_queue_expect_notice(struct zcopy_xfer *xfer)
{
	struct zcopy_record *record;

	record = expect(xfer->context, counts_marks(xfer->flags, xfer->target));
	if (IS_ERR(record))
		return PTR_ERR(record);
	xfer->notice = record;
	charge(xfer, record);
	return 0;
}

void zcopy_queue_forget_notice(struct zcopy_xfer *xfer)
{
	if (xfer->notice)
		forget(xfer->context, xfer->notice);
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
	int err;

	/* Who submits pays for the transfer, who opened the device for completions. */
	if (!zcopy_user_has_room(submitter->user) ||
	    (context->user != submitter->user &&
	     !zcopy_user_has_room(context->user)))
		return ERR_PTR(-EAGAIN);
	record = expect(context, counts_marks(transfer->flags,
					      transfer->target != ZCOPY_LOAD));
	if (IS_ERR(record))
		return record;
	xfer = zcopy_request_build(submitter, transfer, &zcopy_queue_ops, true);
	if (IS_ERR(xfer)) {
		err = PTR_ERR(xfer);
		goto forget_record;
	}
	/* It may all be sent at once: only its release is sure to come later. */
	err = zcopy_release_wanted(xfer) ? zcopy_crew_hire(&submitter->crew) : 0;
	if (err)
		goto refuse_xfer;
	if (xfer->flags & ZCOPY_NOTIFY) {
		err = zcopy_queue_expect_notice(xfer);
		if (err)
			goto refuse_xfer;
	} else {
		charge(xfer, record);
	}
	record->complete = complete;
	record->xfer = xfer;
	xfer->record = record;
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
	forget(context, record);
	return ERR_PTR(err == -ERESTARTNOINTR || err == -ESRCH ? -EINTR : err);
}

/* Give a completion, which is in its record, to the program. */
static void deliver(struct zcopy_context *context, struct zcopy_record *record)
{
	const bool waited_for = record->complete;
	bool issued = false, closing;

	spin_lock(&context->lock);
	closing = context->closing;
	context->nr_queued--;
	context->memory_queued -= record->memory;
	if (waited_for) {
		issued = record->issued;
		/*
		 * Unless it was issued, it is the door's from here on, which
		 * looks without the lock.
		 */
		smp_store_release(&record->ended, true);
	} else if (!closing) {
		list_add_tail(&record->link, &context->done);
		context->nr_unread++;
	}
	spin_unlock(&context->lock);

	if (issued)
		record->complete(record);
	else if (!waited_for && closing)
		free_record(context, record);
	if (wq_has_sleeper(&context->wait))
		wake_up_interruptible_poll(&context->wait, EPOLLIN | EPOLLOUT);
}

/*
 * A transfer is over: tell the program, if it is time. What became of it at the
 * release is told then.
 */
static void over(struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = xfer->context;
	struct zcopy_record *record = xfer->record;

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
		deliver(context, record);
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
		deliver(context, record);
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
			     (unsigned long)sb))
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
		deliver(context, record);
	}
}

/*
 * Are there enough completions, or can none come? One that is being delivered
 * must be seen on one side or the other.
 */
static bool is_wait_over(struct zcopy_context *context, unsigned int min)
{
	bool over;

	if (READ_ONCE(context->nr_unread) >= min)
		return true;
	spin_lock(&context->lock);
	over = context->nr_unread >= min || !context->nr_queued;
	spin_unlock(&context->lock);
	return over;
}

/**
 * zcopy_queue_wait - sleep until completions can be delivered
 * @context: anybody's
 * @min:     so many
 * @timeout: for so long; KTIME_MAX: for ever
 *
 * It does not wait for what cannot come: with no transfer under way it returns.
 *
 * Return: 0, -ETIME, or -ERESTARTSYS.
 */
int zcopy_queue_wait(struct zcopy_context *context, unsigned int min,
		     ktime_t timeout)
{
	return wait_event_interruptible_hrtimeout(context->wait,
			is_wait_over(context, min), timeout);
}

/**
 * zcopy_queue_deliver - move completions to a program, each exactly once
 * @context: whose they are
 * @to:      room for @max
 * @max:     completions
 *
 * Return: how many; or if none: 0, there are none; -EFAULT; -EINTR.
 */
ssize_t zcopy_queue_deliver(struct zcopy_context *context,
			    struct zcopy_completion __user *to,
			    unsigned int max)
{
	ssize_t given = 0;
	int err = 0;

	if (!max || !READ_ONCE(context->nr_unread))
		return 0;
	if (mutex_lock_interruptible(&context->reader))
		return -EINTR;
	while (given < max) {
		struct zcopy_record *record;

		spin_lock(&context->lock);
		record = list_first_entry_or_null(&context->done,
						  struct zcopy_record, link);
		spin_unlock(&context->lock);
		if (!record)
			break;
		/* Only who holds @reader takes records off. */
		if (copy_to_user(&to[given], &record->completion,
				 sizeof(record->completion))) {
			err = -EFAULT;
			break;
		}
		spin_lock(&context->lock);
		list_del(&record->link);
		context->nr_unread--;
		spin_unlock(&context->lock);
		free_record(context, record);
		given++;
	}
	mutex_unlock(&context->reader);
	if (given && wq_has_sleeper(&context->wait))
		wake_up_interruptible_poll(&context->wait, EPOLLOUT);
	return given ?: err;
}

/*
 * Is there room below the limits of who asks, as far as he has submitted, and of who
 * opened the device? If not, who polls is woken when there is. Of two users who share
 * a context, and are both at their limits, only the last one to ask is.
 */
static bool has_room_as_user(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter = zcopy_submitter_find(context);
	bool room = true;

	if (submitter) {
		room = zcopy_user_await_room(submitter->user, &context->starver);
		zcopy_submitter_put(submitter);
	}
	return room && zcopy_user_await_room(context->user, &context->starver);
}

__poll_t zcopy_queue_poll(struct zcopy_context *context, struct file *file,
			  poll_table *wait)
{
	__poll_t events = 0;
	LIST_HEAD(gone);
	bool room;

	poll_wait(file, &context->wait, wait);
	room = has_room_as_user(context);
	spin_lock(&context->lock);
	if (context->nr_unread)
		events |= EPOLLIN | EPOLLRDNORM;
	if (room && has_room_if_swept(context, true, &gone))
		events |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock(&context->lock);
	zcopy_mark_free_all(&gone);
	return events;
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
		/* Still there: somebody has begun it. */
		if (xfer->stream) {
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
		deliver(context, record);
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
	zcopy_crew_abandon(&submitter->crew);
	zcopy_submitter_put(submitter);
}

/* The last descriptor is gone: end all transfers, forget all completions. */
void zcopy_queue_close(struct zcopy_context *context)
{
	struct zcopy_record *record, *tmp;
	LIST_HEAD(done);

	spin_lock(&context->lock);
	context->closing = true;
	list_splice_init(&context->done, &done);
	context->nr_unread = 0;
	spin_unlock(&context->lock);

	list_for_each_entry_safe(record, tmp, &done, link)
		free_record(context, record);
	zcopy_cancel_all(context, true);
}
