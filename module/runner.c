// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who runs a stream: the thread that submitted goes on until the transfer has to
 * wait, a worker from then on. No thread waits for room in the target: its wake-up
 * queues the stream for the process's workers. The disk is waited for by others of
 * these, so that a stream which needs no disk never stands behind one that does.
 */
#include <linux/cred.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "context.h"
#include "mark.h"
#include "read.h"
#include "run.h"
#include "runner.h"
#include "sink.h"
#include "source.h"
#include "stream.h"
#include "submitter.h"
#include "transfer.h"

/* Bytes after which a stream gives way to the others. */
#define SLICE	SZ_1M

static void hot_work(struct zcopy_work *work);
static void cold_work(struct zcopy_work *work);

static struct zcopy_crew *crew_of(const struct zcopy_stream *stream)
{
	return &stream->submitter->crew;
}

/*
 * There is no worker for what is left of a stream, and why: the head ends with
 * that, unless its turn comes later. Returns true when the stream is no longer
 * the caller's.
 */
static bool lacks_worker(struct zcopy_stream *stream, struct zcopy_xfer *xfer,
			 int err)
{
	switch (err) {
	case -ERESTARTNOINTR:
		stream->work.run = hot_work;
		if (!fatal_signal_pending(current) &&
		    zcopy_crew_later(crew_of(stream), &stream->work))
			return true;
		fallthrough;
	case -EINTR:	/* with the process */
	case -ESRCH:
		WRITE_ONCE(xfer->cancelled, true);
		return false;
	}
	xfer->failed = err;
	return false;
}

/* Does it say of clone(2) that there will be no worker, while all else goes on? */
static bool is_no_worker(int err)
{
	return err && err != -ERESTARTNOINTR && err != -EINTR && err != -ESRCH;
}

/*
 * Others have their turn, if anybody is there to go on with this stream after them.
 * Returns true when it is not the caller's.
 */
static bool pass_on(struct zcopy_stream *stream, struct zcopy_xfer *xfer,
		    size_t *slice)
{
	int err = zcopy_crew_hire(crew_of(stream));

	/* What need not wait needs no worker. */
	if (is_no_worker(err) && !*slice) {
		*slice = SLICE;
		return false;
	}
	stream->work.run = hot_work;
	if (!err && !zcopy_crew_hot(crew_of(stream), &stream->work))
		err = -ESRCH;
	return !err || lacks_worker(stream, xfer, err);
}

/*
 * A transfer ended that was not to be sent, and more may follow. Returns true when
 * the stream is no longer the caller's.
 */
static bool give_way(struct zcopy_stream *stream, size_t *slice)
{
	*slice -= min_t(size_t, *slice, PAGE_SIZE);
	cond_resched();
	return !*slice &&
	       pass_on(stream, list_first_entry(&stream->queue, struct zcopy_xfer,
						link), slice);
}

/*
 * What must be slept for before a transfer goes on. @sleep: starting to read is
 * not enough.
 */
static unsigned long place_of(const struct zcopy_stream *stream,
			      const struct zcopy_xfer *xfer, bool sleep)
{
	const struct zcopy_range *range = &xfer->ranges[xfer->next];
	const bool written = zcopy_sink_is_file(stream->target);
	unsigned long how = ZCOPY_HANGS;
	struct file *file = stream->target;

	/* Of a server's file, or one that is written to, nobody knows. */
	if (range->file && (!range->cached || !written)) {
		file = range->file;
		/* Nor of who is asked whether a file may be read. */
		if (range->cached && !zcopy_source_is_unchecked(xfer))
			how = sleep || !zcopy_source_can_start(xfer) ?
				      0 : ZCOPY_STARTS;
	}
	return (unsigned long)file_inode(file)->i_sb | how;
}

/* Is the head to end? */
static bool is_over(const struct zcopy_work *work)
{
	const struct zcopy_stream *stream;
	const struct zcopy_xfer *xfer;

	stream = container_of(work, struct zcopy_stream, work);
	xfer = list_first_entry(&stream->queue, struct zcopy_xfer, link);
	return READ_ONCE(xfer->cancelled) || READ_ONCE(xfer->expired);
}

/* Ditto, and it will be one that may sleep for files. */
static bool pass_on_cold(struct zcopy_stream *stream, struct zcopy_xfer *xfer,
			 bool sleep)
{
	int err;

	stream->work.run = cold_work;
	err = zcopy_crew_cold(crew_of(stream), &stream->work,
			      place_of(stream, xfer, sleep), is_over);
	return !err || lacks_worker(stream, xfer, err);
}

static void read_wake(void *stream)
{
	zcopy_stream_kick(stream);
}

/* A page that the head needs is asked for already. */
static bool is_reading(const struct zcopy_stream *stream)
{
	return stream->read && zcopy_read_is_armed(stream->read);
}

/* The head does not wait for its page any more. */
static void stop_reading(struct zcopy_stream *stream)
{
	if (stream->read)
		zcopy_read_leave(stream->read);
	stream->read = NULL;
}

/* Have the head's page read, without a thread that waits for it. */
static enum zcopy_run start_reading(struct zcopy_stream *stream,
				    struct zcopy_xfer *xfer)
{
	stop_reading(stream);
	stream->read = zcopy_read_create(stream->submitter, read_wake, stream);
	return zcopy_xfer_start(xfer, stream->read);
}

/* Wait for that page. Returns as wait_for_space() does. */
static bool wait_for_read(struct zcopy_stream *stream, struct zcopy_xfer *xfer)
{
	enum zcopy_event event = ZCOPY_EVENT_WAIT;

	WRITE_ONCE(stream->reading, true);
	stream->work.run = hot_work;
	/* From here on a wake-up is not lost. */
	zcopy_state_move(&stream->state, ZCOPY_EVENT_ARM);
	if (READ_ONCE(xfer->cancelled) || READ_ONCE(xfer->expired) ||
	    !is_reading(stream))
		event = ZCOPY_EVENT_GO_ON;
	if (zcopy_state_move(&stream->state, event) == ZCOPY_STATE_ARM &&
	    event == ZCOPY_EVENT_WAIT)
		return false;
	/* Room counts again. */
	WRITE_ONCE(stream->reading, false);
	return true;
}

struct space_table {
	poll_table table;
	struct zcopy_stream *stream;
};

static void space_add(struct file *file, wait_queue_head_t *head,
		      poll_table *table)
{
	struct zcopy_stream *stream;

	stream = container_of(table, struct space_table, table)->stream;
	/* A pipe that is open for both ways has one for its readers too. */
	if (!zcopy_sink_wakes(file, head) || WARN_ON_ONCE(stream->head))
		return;
	stream->head = head;
	add_wait_queue(head, &stream->space);
}

/*
 * Do the stream's own transfers keep the target from being closed, and may the
 * context wait in it to be received? It is an AF_UNIX socket which nobody else
 * has open, and its process has closed a descriptor of the context: each would
 * keep the other for as long as the process lives, and the kernel, which looks
 * for sockets that only hold each other, knows nothing of transfers.
 */
static bool is_lost(struct zcopy_stream *stream)
{
	return READ_ONCE(stream->submitter->parted) &&
	       zcopy_sink_holds_files(stream->target) &&
	       file_count(stream->target) <= READ_ONCE(stream->nr);
}

/* Longest time between two attempts at a target that tells nobody of its room. */
#define AGAIN_TIME	(4UL * HZ)

/*
 * Nobody may wake the stream for what it waits for. A target says that there is
 * room, and yet it took nothing: it lacks memory, or somebody has its lock and
 * sleeps. Or it is closed.
 */
static void try_again(struct zcopy_stream *stream, unsigned long longest)
{
	stream->delay = clamp(2 * stream->delay, 1UL, longest);
	stream->timed = true;
	mod_timer(&stream->again, jiffies + stream->delay);
}

/*
 * Wait for room. @in_vain: nothing was taken since the last wait. Returns false
 * when the stream waits and is no longer the caller's, true when there is a
 * reason to go on at once.
 */
static bool wait_for_space(struct zcopy_stream *stream, struct zcopy_xfer *xfer,
			   bool in_vain)
{
	struct space_table space = { .stream = stream };
	/* All is accepted, and some of it lies above the socket's own queue. */
	bool lags = xfer->next == xfer->nr;
	bool ready;

	if (!in_vain)
		stream->delay = 0;
	/* From here on a wake-up is not lost. */
	stream->work.run = hot_work;
	zcopy_state_move(&stream->state, ZCOPY_EVENT_ARM);

	init_poll_funcptr(&space.table, stream->head ? NULL : space_add);
	space.table._key = EPOLLOUT | EPOLLERR | EPOLLHUP;
	ready = zcopy_sink_ready(stream->target, &space.table);

	if (is_lost(stream))
		WRITE_ONCE(xfer->cancelled, true);
	if (READ_ONCE(xfer->cancelled) || (ready && !in_vain)) {
		zcopy_state_move(&stream->state, ZCOPY_EVENT_GO_ON);
		return true;
	}
	/* That it lags is over soon, unless the peer keeps the socket full. */
	if (ready && lags)
		try_again(stream, ZCOPY_LAG_TIME);
	else if (ready || lags || (READ_ONCE(stream->submitter->parted) &&
				   zcopy_sink_holds_files(stream->target)))
		try_again(stream, AGAIN_TIME);
	return zcopy_state_move(&stream->state, ZCOPY_EVENT_WAIT) !=
	       ZCOPY_STATE_ARM;
}

/* So many transfers are begun together; one more than share a gather list. */
#define TRAIN	(ZCOPY_BATCH_PARTS + 1)

/* Begin the head, and what can go out with it. */
static void couple(struct zcopy_stream *stream, struct zcopy_xfer *head)
{
	struct zcopy_xfer *last = head, *xfer;
	unsigned int nr = 1;

	if (head->behind)
		return;
	spin_lock(&stream->context->lock);
	head->begun = true;
	xfer = head;
	/* Each has its own place in a file. */
	if (zcopy_sink_is_file(stream->target))
		nr = TRAIN;
	list_for_each_entry_continue(xfer, &stream->queue, link) {
		/* They are sent with the head's credentials. */
		if (nr++ == TRAIN || xfer->cred != head->cred || xfer->gap)
			break;
		xfer->begun = true;
		last->behind = xfer;
		last = xfer;
	}
	spin_unlock(&stream->context->lock);
}

/* The head has to wait: who stands behind it has sent nothing, let them go. */
static void uncouple(struct zcopy_stream *stream, struct zcopy_xfer *head)
{
	struct zcopy_xfer *xfer, *behind;
	LIST_HEAD(cancelled);

	spin_lock(&stream->context->lock);
	for (xfer = head; xfer->behind; xfer = behind) {
		behind = xfer->behind;
		xfer->behind = NULL;
		behind->begun = false;
		if (behind->cancelled) {
			zcopy_stream_take_off(behind, true);
			list_add_tail(&behind->link, &cancelled);
		}
	}
	spin_unlock(&stream->context->lock);
	zcopy_stream_end_cancelled(&cancelled);
}

/*
 * Have what the head needs read, if this is the place for that; and leave the rest to
 * others. Who starts a superblock's reads has no time for sockets.
 */
static enum zcopy_run start_head(struct zcopy_stream *stream,
				 struct zcopy_xfer *xfer, unsigned long place)
{
	const struct cred *cred;
	enum zcopy_run why;

	if (READ_ONCE(xfer->cancelled) || READ_ONCE(xfer->expired) ||
	    is_reading(stream) || place_of(stream, xfer, false) != place)
		return ZCOPY_RUN_SLICE;
	cred = override_creds(xfer->cred);
	why = start_reading(stream, xfer);
	revert_creds(cred);
	return why;
}

/*
 * Run the head until it is done or waits. @place: what this thread may sleep for,
 * see struct zcopy_work; or 0.
 */
static enum zcopy_run run_head(struct zcopy_stream *stream,
			       struct zcopy_xfer *xfer, unsigned long place,
			       size_t *slice)
{
	const struct cred *cred;
	unsigned int may = place ? ZCOPY_MAY_START | ZCOPY_MAY_WRITE : 0;
	bool slept = false;
	enum zcopy_run why;

	if (place & ZCOPY_STARTS)
		return start_head(stream, xfer, place);
	cred = override_creds(xfer->cred);

	if (stream->corked) {
		xfer->corked = true;
		xfer->tail = true;
		stream->corked = false;
	}
	for (;;) {
		couple(stream, xfer);
		why = zcopy_xfer_run(xfer, may, slice);
		if (why == ZCOPY_RUN_DONE)
			break;
		uncouple(stream, xfer);
		if (why == ZCOPY_RUN_DISK && is_reading(stream))
			why = ZCOPY_RUN_READ;
		/* It was slept for once: to have the next page read may do. */
		if (why != ZCOPY_RUN_DISK || !place ||
		    place_of(stream, xfer, !slept) != place)
			break;
		why = zcopy_xfer_wait(xfer);
		if (why != ZCOPY_RUN_SLICE || signal_pending(current))
			break;
		slept = true;
	}
	revert_creds(cred);
	return why;
}

/* The head is done. Returns false when it was the last: the stream is gone. */
static bool next(struct zcopy_stream *stream, struct zcopy_xfer *xfer)
{
	struct zcopy_context *context = stream->context;
	LIST_HEAD(gone);
	bool last;

	stream->corked = xfer->corked;
	stop_reading(stream);

	spin_lock(&context->lock);
	zcopy_stream_take_off(xfer, xfer->result.error);
	last = list_empty(&stream->queue);
	spin_unlock(&context->lock);

	if (last) {
		/* While @xfer holds the target: none of the stream is left. */
		if (stream->corked && xfer->target)
			zcopy_sink_push(stream->target,
					zcopy_submitter_is_over(stream->submitter));
		stream->corked = false;
		if (stream->head)
			remove_wait_queue(stream->head, &stream->space);
		stream->head = NULL;
	}
	/*
	 * The stream is still the target's, so that a completion is never
	 * overtaken by that of a transfer which comes now.
	 */
	xfer->ops->over(xfer);

	spin_lock(&context->lock);
	last = list_empty(&stream->queue);
	if (last)
		zcopy_stream_retire(stream, &gone);
	spin_unlock(&context->lock);
	zcopy_mark_free_all(&gone);
	return !last;
}

/*
 * Go on with a stream as its runner, until it waits, gives way or is empty.
 * @place: what this thread may sleep for with its head, see struct zcopy_work.
 */
static void run_stream(struct zcopy_stream *stream, unsigned long place)
{
	size_t slice = SLICE;
	bool gone = false;

	WRITE_ONCE(stream->reading, false);
	WRITE_ONCE(stream->go_on, hot_work);
	while (!gone) {
		struct zcopy_xfer *xfer;
		size_t before = slice;
		bool held_back;
		int err;

		/* The head is the runner's: nobody else takes it off. */
		xfer = list_first_entry(&stream->queue, struct zcopy_xfer, link);
		/* With the thread its process ends. Nor does it follow on a gap. */
		held_back = xfer->gap;
		if (fatal_signal_pending(current) || held_back)
			WRITE_ONCE(xfer->cancelled, true);

		switch (run_head(stream, xfer, place, &slice)) {
		case ZCOPY_RUN_DONE:
			gone = !next(stream, xfer);
			/* It takes a while to tell of many. */
			if (held_back && !gone)
				gone = give_way(stream, &slice);
			/* The next one's files are others. */
			if (place)
				slice = 0;
			place = 0;
			break;
		case ZCOPY_RUN_DISK:
			gone = pass_on_cold(stream, xfer, false);
			break;
		case ZCOPY_RUN_SLEEP:
			gone = pass_on_cold(stream, xfer, true);
			break;
		case ZCOPY_RUN_READ:
			/* Who may wake it has nothing but a worker to give it to. */
			err = zcopy_crew_hire(crew_of(stream));
			if (err)
				gone = lacks_worker(stream, xfer, err);
			else
				gone = !wait_for_read(stream, xfer);
			break;
		case ZCOPY_RUN_SLICE:
			gone = pass_on(stream, xfer, &slice);
			break;
		case ZCOPY_RUN_SPACE:
			err = zcopy_crew_hire(crew_of(stream));
			if (err)
				gone = lacks_worker(stream, xfer, err);
			else
				gone = !wait_for_space(stream, xfer,
						       slice == before);
			break;
		}
		/* Nobody takes it, or it need not wait: it is run, not started. */
		if (place & ZCOPY_STARTS)
			place = 0;
	}
}

static void hot_work(struct zcopy_work *work)
{
	run_stream(container_of(work, struct zcopy_stream, work), 0);
}

static void cold_work(struct zcopy_work *work)
{
	run_stream(container_of(work, struct zcopy_stream, work), work->place);
}

/* Run what zcopy_stream_enqueue() left to the caller; waits for no disk and no room. */
void zcopy_runner_run_ready(struct list_head *ready)
{
	while (!list_empty(ready)) {
		struct zcopy_stream *stream;

		stream = list_first_entry(ready, struct zcopy_stream, ready);
		list_del_init(&stream->ready);
		run_stream(stream, 0);
	}
}
