// SPDX-License-Identifier: GPL-2.0-only
/*
 * The way of the data, for every door: source -> batch -> sink, again and
 * again until the ranges are empty, something failed, or the transfer would
 * have to wait for what the caller does not wait for.
 */
#include <linux/fsnotify.h>
#include <linux/sched/signal.h>

#include "batch.h"
#include "context.h"
#include "release.h"
#include "run.h"
#include "sink.h"
#include "source.h"
#include "submitter.h"
#include "trace.h"
#include "transfer.h"

/* Leave all ranges before @next behind. */
static void move_to(struct zcopy_xfer *xfer, unsigned int next)
{
	for (; xfer->next < next; xfer->next++) {
		const struct zcopy_range *range = &xfer->ranges[xfer->next];

		if (range->file && range->len && range->len != ZCOPY_TO_EOF)
			xfer->result.flags |= ZCOPY_C_TRUNCATED;
	}
}

/* @n bytes of a transfer's first range have gone. */
static void take_off(struct zcopy_xfer *xfer, u64 n)
{
	struct zcopy_range *range = &xfer->ranges[xfer->next];

	xfer->result.bytes += n;
	xfer->offset += n;
	range->pos += n;
	if (range->len != ZCOPY_TO_EOF)
		range->len -= n;
	if (!range->file)
		xfer->counts.bytes_memory += n;
}

/*
 * The target accepted up to @sent bytes of part @p, whose transfer they are taken
 * off. Returns how many, and in @bytes how many the part has.
 */
static size_t advance(const struct zcopy_batch *batch, unsigned int p,
		      size_t sent, size_t *bytes)
{
	const struct zcopy_part *part = &batch->parts[p];
	unsigned int i = part->first, end = zcopy_batch_end(batch, p);
	struct zcopy_xfer *xfer = part->xfer;
	unsigned int folios = 0;
	size_t left = sent;

	*bytes = 0;
	while (i < end) {
		unsigned int range = batch->range[i];
		size_t n = 0;

		for (; i < end && batch->range[i] == range; i++) {
			n += batch->vecs[i].bv_len;
			folios += batch->kind[i] != ZCOPY_ELEMENT_MEMORY;
		}
		*bytes += n;
		n = min(n, left);
		if (n) {
			move_to(xfer, range);
			take_off(xfer, n);
			left -= n;
		}
	}
	xfer->counts.folios += folios;
	sent -= left;
	if (sent == *bytes)
		move_to(xfer, part->next);
	return sent;
}

/*
 * The target accepted the first @sent bytes of @batch: take them off the
 * transfers. @more: it may hold back a last partial packet of them.
 */
static void advance_all(const struct zcopy_batch *batch, size_t sent, bool more,
			bool copied)
{
	unsigned int p;

	for (p = 0; p < batch->nr_parts; p++) {
		const struct zcopy_part *part = &batch->parts[p];
		struct zcopy_xfer *xfer = part->xfer;
		size_t bytes, n = advance(batch, p, sent, &bytes);

		trace_zcopy_batch(xfer, zcopy_batch_end(batch, p) - part->first,
				  bytes, more, n);

		xfer->corked = more;
		xfer->tail = xfer->tail && more;
		if (copied && n) {
			xfer->counts.bytes_copied += n;
			xfer->result.flags |= ZCOPY_C_COPIED;
		}
		sent -= n;
		if (n < bytes)
			break;
	}
}

/* @side: ZCOPY_C_FILE_ERROR, ZCOPY_C_TARGET_ERROR, or 0: it is to end. */
static void fail(struct zcopy_xfer *xfer, int err, u32 side)
{
	switch (err) {
	case -EAGAIN:
	case -EINTR:
	case -ERESTARTSYS:
	case -ENOMEM:
	case -ENOBUFS:
		side = 0;	/* nobody's fault */
	}
	/* Signals are for who waits. What else says so means something else. */
	if (xfer->queued && (err == -EINTR || err == -ERESTARTSYS))
		err = -EIO;
	xfer->result.error = err;
	xfer->result.flags |= side;
}

/*
 * May the target put the thread to sleep until there is room? Not if it is to
 * be told of a broken lease meanwhile: then zcopy_sink_wait() does.
 */
static bool may_block(const struct zcopy_xfer *xfer, unsigned int may)
{
	return (may & ZCOPY_MAY_WAIT) && !(xfer->flags & ZCOPY_LEASE) &&
	       zcopy_sink_blocks(xfer->target);
}

/*
 * Give @batch to the target and move its transfers along. *@probe turns true
 * when a blocking socket took less than all of it: a signal, a time-out or an
 * error is why, and asking once more without waiting tells which.
 */
static int send_batch(struct zcopy_xfer *xfer, struct zcopy_batch *batch,
		      unsigned int may, bool *probe, size_t *slice)
{
	const struct zcopy_part *last = &batch->parts[batch->nr_parts - 1];
	bool more = last->next < last->xfer->nr || last->xfer->behind ||
		    (last->xfer->flags & ZCOPY_MORE);
	bool wait = may_block(xfer, may) && !*probe;
	bool copied;
	ssize_t sent;

	sent = zcopy_sink_send(xfer->target, batch, more, wait, &copied);
	xfer->counts.batches++;
	/* Some protocols call a lack of memory so. */
	if (sent == -ENOBUFS)
		return -ENOMEM;
	if (sent <= 0)
		return sent ?: -EIO;

	advance_all(batch, sent, more, copied);
	*probe = sent < batch->bytes;
	*slice -= min_t(size_t, *slice, sent);
	return 0;
}

/*
 * Put what stands behind a transfer on the same gather list, if all that is
 * left of it went there. Their errors are for their own turn.
 */
static void fill_behind(struct zcopy_xfer *xfer, enum zcopy_ahead ahead,
			struct zcopy_batch *batch)
{
	/* A release that is waited for is not put off by what comes behind. */
	while (batch->parts[batch->nr_parts - 1].next == xfer->nr &&
	       batch->nr_parts < ZCOPY_BATCH_PARTS &&
	       !zcopy_release_wanted(xfer)) {
		xfer = xfer->behind;
		if (!xfer || READ_ONCE(xfer->cancelled) ||
		    !zcopy_batch_room(batch))
			break;
		if (zcopy_source_fill(xfer, ahead, batch))
			break;
	}
}

/* Have the target take bytes that never become a gather list; how many. */
static size_t share(struct zcopy_xfer *xfer, size_t *slice)
{
	size_t n = zcopy_sink_share(xfer);

	if (!n)
		return 0;
	take_off(xfer, n);
	trace_zcopy_batch(xfer, 0, n, false, n);
	*slice -= min(*slice, n);
	if (!xfer->ranges[xfer->next].len)
		move_to(xfer, xfer->next + 1);
	return n;
}

/* One turn: fill, send, release. -EAGAIN with *@disk set: a page is missing. */
static int turn(struct zcopy_xfer *xfer, struct zcopy_batch *batch,
		unsigned int may, bool *probe, bool *disk, size_t *slice)
{
	struct zcopy_account *account = &xfer->context->account;
	const enum zcopy_ahead ahead = may & ZCOPY_MAY_START ?
					       ZCOPY_AHEAD_NOW :
					       ZCOPY_AHEAD_LATER;
	int err;

	*disk = false;
	if (share(xfer, slice))
		return 0;
	if (!(may & ZCOPY_MAY_WAIT) || !zcopy_sink_blocks(xfer->target)) {
		size_t room = zcopy_sink_room(xfer->target);

		if (!room)
			return -EAGAIN;
		batch->limit = room;
	}
	err = zcopy_source_fill(xfer, ahead, batch);
	if (!err)
		fill_behind(xfer, ahead, batch);
	if (batch->bytes) {
		/* What the source could give goes first, its error waits. */
		zcopy_account_hold(account, batch->folios);
		err = send_batch(xfer, batch, may, probe, slice);
		/* But for those that the network keeps. */
		zcopy_account_hold(account, -(long)batch->folios);
	} else {
		*disk = true;
		move_to(xfer, batch->parts[0].next);
		if (err == -ENODATA)
			xfer->result.flags |= ZCOPY_C_TRUNCATED;
	}
	zcopy_batch_release(batch);
	return err;
}

/* Set free what the target holds back. */
static void push(struct zcopy_xfer *xfer)
{
	zcopy_sink_push(xfer->target, zcopy_submitter_is_over(xfer->submitter));
	xfer->corked = false;
	xfer->tail = false;
}

/* The transfer is over: account for it, and let nothing lie in the target. */
static void finish(struct zcopy_xfer *xfer)
{
	struct zcopy_completion *result = &xfer->result;
	union zcopy_counts *counts = &xfer->counts;
	unsigned int i;

	if (xfer->flags & ZCOPY_MORE && !result->error)
		xfer->corked = false;	/* as the program wants it */
	if (xfer->corked && !xfer->behind && xfer->target)
		push(xfer);

	for (i = 0; result->bytes && i < min(xfer->next + 1, xfer->nr); i++) {
		struct file *file = xfer->ranges[i].file;

		if (file) {
			file_accessed(file);
			fsnotify_access(file);
		}
	}

	counts->transfers = 1;
	counts->bytes = result->bytes;
	counts->file_errors = !!(result->flags & ZCOPY_C_FILE_ERROR);
	counts->socket_errors = !!(result->flags & ZCOPY_C_TARGET_ERROR);
	trace_zcopy_end(xfer);
}

/* Why a transfer ends that somebody asked to. */
static int stopped(struct zcopy_xfer *xfer)
{
	if (READ_ONCE(xfer->expired))
		return -ESTALE;
	xfer->result.flags |= ZCOPY_C_CANCELLED;
	return -ECANCELED;
}

/**
 * zcopy_xfer_cancel - end a transfer that was never run
 * @xfer: in no queue
 */
void zcopy_xfer_cancel(struct zcopy_xfer *xfer)
{
	fail(xfer, stopped(xfer), 0);
	finish(xfer);
}

/*
 * A worker is to come by where its process stops, freezes or ends: what it waits
 * for then ends early, and is asked for once more. Nobody sent it that signal.
 */
static bool is_called_away(int err)
{
	return (err == -EINTR || err == -ERESTARTSYS) && signal_pending(current);
}

/*
 * The runner is about to wait for a file, or did: in between it leaves the target
 * alone, and it may be taken. Returns false when the submitter is gone.
 */
static bool be_asleep(struct zcopy_xfer *xfer, bool asleep)
{
	bool dead;

	spin_lock(&xfer->context->lock);
	dead = xfer->submitter->dead;
	xfer->asleep = asleep && !dead;
	spin_unlock(&xfer->context->lock);
	return !dead;
}

/* The file failed, or the transfer is to end for another reason. */
static enum zcopy_run fail_read(struct zcopy_xfer *xfer)
{
	zcopy_source_drop(xfer);
	finish(xfer);
	return ZCOPY_RUN_DONE;
}

/**
 * zcopy_xfer_start - have the page read that a transfer came back for
 * @xfer: zcopy_xfer_run() returned %ZCOPY_RUN_DISK for it, and
 *        zcopy_source_can_start()
 * @read: is to tell when it is there; not armed, or NULL: there is no memory for
 *        it
 *
 * Context: a worker; may sleep for what it takes to ask the disk.
 * Return: %ZCOPY_RUN_READ, @read is armed; %ZCOPY_RUN_SLICE to run it again;
 * %ZCOPY_RUN_SLEEP when only zcopy_xfer_wait() can do it; %ZCOPY_RUN_DONE when the
 * page cannot be read, or the submitter is gone.
 */
enum zcopy_run zcopy_xfer_start(struct zcopy_xfer *xfer, struct zcopy_read *read)
{
	int err = -EAGAIN;

	if (read && be_asleep(xfer, true))
		err = zcopy_source_start(xfer, read);
	if (!be_asleep(xfer, false)) {
		fail(xfer, stopped(xfer), 0);
		return fail_read(xfer);
	}
	if (err == -EIOCBQUEUED)
		return ZCOPY_RUN_READ;
	if (err == -EAGAIN)
		return ZCOPY_RUN_SLEEP;
	if (!err || is_called_away(err))
		return ZCOPY_RUN_SLICE;
	fail(xfer, err, ZCOPY_C_FILE_ERROR);
	return fail_read(xfer);
}

/**
 * zcopy_xfer_wait - wait for the page that a transfer came back for
 * @xfer: zcopy_xfer_run() returned %ZCOPY_RUN_DISK for it, and was allowed to
 *        write
 *
 * Context: a worker; sleeps for the disk.
 * Return: %ZCOPY_RUN_SLICE to run it again; %ZCOPY_RUN_DONE when the page cannot
 * be read, or the submitter is gone: the transfer has ended, with its final
 * result.
 */
enum zcopy_run zcopy_xfer_wait(struct zcopy_xfer *xfer)
{
	int err = 0;

	if (be_asleep(xfer, true))
		err = zcopy_source_wait(xfer);
	if (!be_asleep(xfer, false))
		fail(xfer, stopped(xfer), 0);
	else if (err && !is_called_away(err))
		fail(xfer, err, ZCOPY_C_FILE_ERROR);
	else
		return ZCOPY_RUN_SLICE;
	return fail_read(xfer);
}

/* Does a call wait for as long as it takes? */
static bool is_patient(struct file *target)
{
	return zcopy_sink_patience(target) == MAX_SCHEDULE_TIMEOUT;
}

/* Has somebody asked the transfer to end? */
static int interrupted(struct zcopy_xfer *xfer, unsigned int may)
{
	if (READ_ONCE(xfer->expired) || READ_ONCE(xfer->cancelled))
		return stopped(xfer);
	if (xfer->failed)
		return xfer->failed;
	/* Signals are for who waits; who queued a transfer does not. */
	if ((may & ZCOPY_MAY_WAIT) && signal_pending(current))
		return zcopy_sink_restarts(xfer->target) ? -ERESTARTSYS : -EINTR;
	return 0;
}

/*
 * All is accepted: see it out of what lies above a socket's own queue, so that
 * a program may close the socket at the completion. Who does not want to
 * wait, or waits no longer, has what send(2) would have left.
 */
static bool is_out(struct zcopy_xfer *xfer, unsigned int may, long patience)
{
	long delay = 1;

	/* One without a byte sets free what one before it held back. */
	if ((xfer->corked || !xfer->result.bytes) && !xfer->behind &&
	    !(xfer->flags & ZCOPY_MORE))
		push(xfer);
	while (!xfer->behind && !xfer->failed && !READ_ONCE(xfer->cancelled) &&
	       !READ_ONCE(xfer->expired) && zcopy_sink_lags(xfer->target)) {
		if (!(may & ZCOPY_MAY_WAIT))
			return false;
		if (!patience || signal_pending(current))
			break;
		/* Nobody is told when it has got rid of them. */
		delay = min(delay, patience);
		schedule_timeout_interruptible(delay);
		if (patience != MAX_SCHEDULE_TIMEOUT)
			patience -= delay;
		delay = min(2 * delay, ZCOPY_LAG_TIME);
	}
	return true;
}

/**
 * zcopy_xfer_run - move a transfer along as far as it goes
 * @xfer:  of zcopy_request_build(), run by nobody else; those behind it are moved
 *         along too as far as they fit, and their own run finds them so
 * @may:   ZCOPY_MAY_* bits: what to sleep for
 * @slice: bytes that may be sent before others have their turn; what was sent
 *         is taken off
 *
 * Context: process. With %ZCOPY_MAY_WAIT a pending signal of the caller ends
 * the transfer; the error is then -ERESTARTSYS, which the door turns into what
 * its caller knows.
 * Return: %ZCOPY_RUN_DONE with the final result in @xfer->result, or what the
 * transfer waits for; it then holds no folios and is to be run again.
 */
enum zcopy_run zcopy_xfer_run(struct zcopy_xfer *xfer, unsigned int may,
			      size_t *slice)
{
	bool probe = false, disk = false;
	enum zcopy_run why = ZCOPY_RUN_DONE;
	long patience = zcopy_sink_patience(xfer->target);
	struct zcopy_batch *batch = NULL;
	unsigned int in_vain = 0;
	bool asked = false;
	int err = 0;

	while (!err && xfer->next < xfer->nr) {
		err = interrupted(xfer, may);
		if (err) {
			asked = true;
			break;
		}
		if (!*slice) {
			why = ZCOPY_RUN_SLICE;
			break;
		}
		if (!(may & ZCOPY_MAY_WRITE) && zcopy_sink_is_file(xfer->target)) {
			trace_zcopy_wait(xfer, true);
			why = ZCOPY_RUN_DISK;
			break;
		}
		if (!batch)
			batch = zcopy_batch_alloc();
		if (!batch) {
			err = -ENOMEM;
			break;
		}
		err = turn(xfer, batch, may, &probe, &disk, slice);
		if (err == -EAGAIN && disk && (xfer->flags & ZCOPY_NODISKIO) &&
		    !zcopy_source_is_unchecked(xfer)) {
			asked = true;
			err = -EBUSY;
		} else if (err == -EAGAIN && disk) {
			xfer->counts.disk_waits++;
			/* Who is done shall not wait for this one's disk. */
			if (xfer->tail)
				push(xfer);
			trace_zcopy_wait(xfer, true);
			if (!(may & ZCOPY_MAY_READ)) {
				why = ZCOPY_RUN_DISK;
				break;
			}
			err = zcopy_source_wait(xfer);
		} else if ((err == -EAGAIN || err == -ENOSR) &&
			   !(may & ZCOPY_MAY_WAIT)) {
			trace_zcopy_wait(xfer, false);
			why = ZCOPY_RUN_SPACE;
			break;
		} else if (err == -ENOSR ||
			   (err == -EAGAIN && (!may_block(xfer, may) ||
					       is_patient(xfer->target)))) {
			/* Who has no time-out was asked without waiting, see @probe. */
			err = zcopy_sink_wait(xfer->target, &patience, in_vain++);
		} else if (!(may & ZCOPY_MAY_WAIT) && is_called_away(err)) {
			why = ZCOPY_RUN_SLICE;
			break;
		} else if (!err) {
			in_vain = 0;
			patience = zcopy_sink_patience(xfer->target);
		}
		cond_resched();
	}
	if (batch)
		zcopy_batch_free(batch);
	zcopy_source_drop(xfer);
	if (why == ZCOPY_RUN_DONE && !err && !is_out(xfer, may, patience)) {
		trace_zcopy_wait(xfer, false);
		why = ZCOPY_RUN_SPACE;
	}
	if (why == ZCOPY_RUN_DONE) {
		if (err)
			fail(xfer, err, asked ? 0 :
				   disk ? ZCOPY_C_FILE_ERROR :
					  ZCOPY_C_TARGET_ERROR);
		finish(xfer);
	}
	return why;
}
