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
#include "sink.h"
#include "source.h"
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

/* The socket accepted the first @sent bytes of @batch: they are off the list. */
static void advance(struct zcopy_xfer *xfer, const struct zcopy_batch *batch,
		    size_t sent)
{
	bool whole = sent == batch->bytes;
	unsigned int i;

	xfer->result.bytes += sent;
	for (i = 0; sent; i++) {
		size_t n = min_t(size_t, sent, batch->vecs[i].bv_len);
		struct zcopy_range *range;

		move_to(xfer, batch->range[i]);
		range = &xfer->ranges[xfer->next];
		range->pos += n;
		if (range->len != ZCOPY_TO_EOF)
			range->len -= n;
		if (!range->file)
			xfer->counts.bytes_memory += n;
		sent -= n;
	}
	if (whole)
		move_to(xfer, batch->next);
}

static void fail(struct zcopy_xfer *xfer, int err, u32 side)
{
	switch (err) {
	case -EAGAIN:
	case -EINTR:
	case -ERESTARTSYS:
	case -EBUSY:
	case -ECANCELED:
	case -ENOMEM:
	case -ENOBUFS:
		side = 0;	/* nobody's fault */
	}
	xfer->result.error = err;
	xfer->result.flags |= side;
}

/*
 * Give @batch to the socket and move the transfer along. *@probe turns true
 * when a blocking socket took less than all of it: a signal, a time-out or an
 * error is why, and asking once more without waiting tells which.
 */
static int send_batch(struct zcopy_xfer *xfer, struct zcopy_batch *batch,
		      unsigned int may, bool *probe)
{
	bool more = batch->next < xfer->nr || xfer->followed ||
		    (xfer->flags & ZCOPY_MORE);
	bool wait = (may & ZCOPY_MAY_WAIT) && !*probe;
	ssize_t sent;

	sent = zcopy_sink_send(xfer->socket, batch, more, wait);
	trace_zcopy_batch(xfer, batch, more, sent);
	xfer->counts.batches++;
	xfer->counts.folios += batch->folios;
	if (sent <= 0)
		return sent ?: -EIO;

	if (zcopy_sink_copies(xfer->socket)) {
		xfer->counts.bytes_copied += sent;
		xfer->result.flags |= ZCOPY_C_COPIED;
	}
	xfer->corked = more;
	xfer->tail = xfer->tail && more;
	*probe = sent < batch->bytes;
	advance(xfer, batch, sent);
	return 0;
}

/* One turn: fill, send, release. -EAGAIN with *@disk set: a page is missing. */
static int turn(struct zcopy_xfer *xfer, struct zcopy_batch *batch,
		unsigned int may, bool *probe, bool *disk)
{
	struct zcopy_account *account = &xfer->context->account;
	bool may_read = (may & ZCOPY_MAY_READ) && !(xfer->flags & ZCOPY_NODISKIO);
	int err;

	if (!(may & ZCOPY_MAY_WAIT)) {
		batch->limit = zcopy_sink_room(xfer->socket);
		*disk = false;
		if (!batch->limit)
			return -EAGAIN;
	}
	err = zcopy_source_fill(xfer, may_read, batch);
	if (batch->bytes) {
		/* What the source could give goes first, its error waits. */
		zcopy_account_hold(account, batch->folios);
		*disk = false;
		err = send_batch(xfer, batch, may, probe);
		zcopy_account_hold(account, -(long)batch->folios);
	} else {
		*disk = true;
		move_to(xfer, batch->next);
	}
	zcopy_batch_release(batch);
	return err;
}

/* Set free what the socket holds back. */
static void push(struct zcopy_xfer *xfer)
{
	zcopy_sink_push(xfer->socket);
	xfer->corked = false;
	xfer->tail = false;
}

/* The transfer is over: account for it, and let nothing lie in the socket. */
static void finish(struct zcopy_xfer *xfer)
{
	struct zcopy_completion *result = &xfer->result;
	union zcopy_counts *counts = &xfer->counts;
	unsigned int i;

	if (xfer->flags & ZCOPY_MORE && !result->error)
		xfer->corked = false;	/* as the program wants it */
	if (xfer->corked && !xfer->followed)
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
	counts->socket_errors = !!(result->flags & ZCOPY_C_SOCKET_ERROR);
	trace_zcopy_end(xfer);
}

/**
 * zcopy_xfer_cancel - end a transfer that was never run
 * @xfer: in no queue
 */
void zcopy_xfer_cancel(struct zcopy_xfer *xfer)
{
	xfer->result.flags |= ZCOPY_C_CANCELLED;
	fail(xfer, -ECANCELED, 0);
	finish(xfer);
}

/* Has somebody asked the transfer to end? */
static int interrupted(struct zcopy_xfer *xfer, unsigned int may)
{
	if (READ_ONCE(xfer->cancelled)) {
		xfer->result.flags |= ZCOPY_C_CANCELLED;
		return -ECANCELED;
	}
	/* Signals are for who waits; who queued a transfer does not. */
	if ((may & ZCOPY_MAY_WAIT) && signal_pending(current))
		return -ERESTARTSYS;
	return 0;
}

/**
 * zcopy_xfer_run - move a transfer along as far as it goes
 * @xfer:  of zcopy_xfer_create(), run by nobody else
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
	struct zcopy_batch *batch;
	int err = 0;

	batch = zcopy_batch_alloc();
	if (!batch)
		fail(xfer, -ENOMEM, 0);

	while (batch && xfer->next < xfer->nr) {
		u64 before = xfer->result.bytes;

		err = interrupted(xfer, may);
		if (!err && !*slice) {
			why = ZCOPY_RUN_SLICE;
			break;
		}
		if (!err)
			err = turn(xfer, batch, may, &probe, &disk);
		*slice -= min_t(u64, *slice, xfer->result.bytes - before);

		if (err == -EAGAIN && disk && (xfer->flags & ZCOPY_NODISKIO))
			err = -EBUSY;
		if (err == -EAGAIN && disk) {
			xfer->cold = true;
			xfer->counts.disk_waits++;
			/* Who is done shall not wait for this one's disk. */
			if (xfer->tail)
				push(xfer);
			trace_zcopy_wait(xfer, true);
			if (!(may & ZCOPY_MAY_READ)) {
				why = ZCOPY_RUN_DISK;
				break;
			}
			err = zcopy_source_read(xfer);
		} else if (err == -EAGAIN && !(may & ZCOPY_MAY_WAIT)) {
			trace_zcopy_wait(xfer, false);
			why = ZCOPY_RUN_SPACE;
			break;
		}
		if (err) {
			fail(xfer, err, disk ? ZCOPY_C_FILE_ERROR :
					       ZCOPY_C_SOCKET_ERROR);
			break;
		}
		cond_resched();
	}
	if (batch)
		zcopy_batch_free(batch);
	if (why == ZCOPY_RUN_DONE)
		finish(xfer);
	return why;
}
