// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records: completions that are to come, and how they get to the program. There is
 * one for each before its transfer is accepted.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "context.h"
#include "limits.h"
#include "mark.h"
#include "record.h"
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

/* One completion less is to come: who waits for it must not, and has room. */
static void expect_less(struct zcopy_context *context, u32 memory)
{
	spin_lock(&context->lock);
	context->nr_queued--;
	context->memory_queued -= memory;
	spin_unlock(&context->lock);
	if (wq_has_sleeper(&context->wait))
		zcopy_starver_wake_all(&context->wait);
}

/* The completion to come is counted. */
static struct zcopy_record *create(struct zcopy_context *context)
{
	struct zcopy_record *record;

	record = kzalloc(sizeof(*record), GFP_KERNEL_ACCOUNT);
	if (!record) {
		expect_less(context, 0);
		return ERR_PTR(-ENOMEM);
	}
	zcopy_user_charge_anyway(context->user, ZCOPY_USE_MEMORY, sizeof(*record));
	return record;
}

/* A record for one completion to come, or an ERR_PTR. @marks: see has_room(). */
struct zcopy_record *zcopy_record_expect(struct zcopy_context *context, bool marks)
{
	LIST_HEAD(gone);
	bool room;

	spin_lock(&context->lock);
	/* A few each time: who closes a target wakes nobody. */
	zcopy_mark_sweep(context, 2, &gone);
	room = has_room_if_swept(context, marks, &gone);
	context->nr_queued += room;
	spin_unlock(&context->lock);
	zcopy_mark_free_all(&gone);
	return room ? create(context) : ERR_PTR(-EAGAIN);
}

/*
 * A record for the second completion of a transfer, or an ERR_PTR. It was let in while
 * there was room, and may go beyond the limit: poll(2) knows of no room for two.
 */
struct zcopy_record *zcopy_record_expect_another(struct zcopy_context *context)
{
	spin_lock(&context->lock);
	context->nr_queued++;
	spin_unlock(&context->lock);
	return create(context);
}

/* A record is about to be freed: nobody pays for it any more. */
void zcopy_record_uncharge(struct zcopy_context *context)
{
	zcopy_user_uncharge(context->user, ZCOPY_USE_MEMORY,
			    sizeof(struct zcopy_record));
}

static void free_record(struct zcopy_context *context,
			struct zcopy_record *record)
{
	zcopy_record_uncharge(context);
	kfree(record);
}

/* It does not come after all. */
void zcopy_record_forget(struct zcopy_context *context, struct zcopy_record *record)
{
	expect_less(context, record->memory);
	free_record(context, record);
}

/*
 * A transfer's memory counts until its last completion, which is this one. It
 * was let in while there was room, and may go beyond the limit.
 */
void zcopy_record_charge(struct zcopy_record *record, struct zcopy_context *context,
			 u32 memory)
{
	if (!memory)
		return;
	record->memory = memory;
	spin_lock(&context->lock);
	context->memory_queued += memory;
	spin_unlock(&context->lock);
}

/* Give a completion, which is in its record, to the program. */
void zcopy_record_deliver(struct zcopy_context *context, struct zcopy_record *record)
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

/* So many are taken off together: those are for nobody else. */
#define TOGETHER	16U

/* None if they are less than @min, and more are to come. */
static void take(struct zcopy_context *context, unsigned int max,
		 unsigned int min, struct list_head *taken)
{
	struct zcopy_record *record, *tmp;

	spin_lock(&context->lock);
	if (context->nr_unread < min && context->nr_queued)
		max = 0;
	list_for_each_entry_safe(record, tmp, &context->done, link) {
		if (!max--)
			break;
		list_move_tail(&record->link, taken);
		context->nr_unread--;
	}
	spin_unlock(&context->lock);
}

/* They could not be written. Others may have waited in vain meanwhile. */
static void put_back(struct zcopy_context *context, struct list_head *taken)
{
	unsigned int nr = list_count_nodes(taken);

	spin_lock(&context->lock);
	list_splice(taken, &context->done);
	context->nr_unread += nr;
	spin_unlock(&context->lock);
	if (wq_has_sleeper(&context->wait))
		wake_up_interruptible_poll(&context->wait, EPOLLIN);
}

/* As zcopy_record_read(); if they are to be @min and are not, none. */
static ssize_t move_to(struct zcopy_context *context,
		       struct zcopy_completion __user *to, unsigned int max,
		       unsigned int min)
{
	struct zcopy_record *record, *tmp;
	ssize_t given = 0;
	LIST_HEAD(taken);
	int err = 0;

	while (given < max && READ_ONCE(context->nr_unread)) {
		take(context, min(max - (unsigned int)given, max(min, TOGETHER)),
		     min, &taken);
		if (list_empty(&taken))
			break;
		min = 0;
		list_for_each_entry_safe(record, tmp, &taken, link) {
			if (copy_to_user(&to[given], &record->completion,
					 sizeof(record->completion)))
				break;
			list_del(&record->link);
			free_record(context, record);
			given++;
		}
		if (!list_empty(&taken)) {
			put_back(context, &taken);
			err = -EFAULT;
			break;
		}
	}
	if (given && wq_has_sleeper(&context->wait))
		zcopy_starver_wake_all(&context->wait);
	return given ?: err;
}

/**
 * zcopy_record_read - move completions to a program, each exactly once
 * @context: whose they are
 * @to:      room for @max
 * @max:     completions
 *
 * A program may have them written to a file's pages, for which others do not wait.
 *
 * Return: how many; or if none: 0, there are none; or -EFAULT.
 */
ssize_t zcopy_record_read(struct zcopy_context *context,
			  struct zcopy_completion __user *to,
			  unsigned int max)
{
	return move_to(context, to, max, 0);
}

/* Until so many are there, or none can come: 0, -ETIME or -ERESTARTSYS. */
static int wait_for(struct zcopy_context *context, unsigned int min,
		    ktime_t timeout)
{
	return wait_event_interruptible_hrtimeout(context->wait,
			is_wait_over(context, min), timeout);
}

static bool is_nothing_left(struct zcopy_context *context)
{
	bool is;

	spin_lock(&context->lock);
	is = !context->nr_unread && !context->nr_queued;
	spin_unlock(&context->lock);
	return is;
}

/**
 * zcopy_record_wait_and_read - sleep until completions can be delivered, and do that
 * @context: whose they are
 * @to:      room for @max
 * @max:     completions
 * @min:     wait for so many, unless none can come: with no transfer under way it
 *           returns
 * @timeout: for so long; KTIME_MAX: for ever
 * @err:     set to why it did not go on waiting: 0, -ETIME, or -ERESTARTSYS
 *
 * While it waits it has none that others could have.
 *
 * Return: as zcopy_record_read().
 */
ssize_t zcopy_record_wait_and_read(struct zcopy_context *context,
				   struct zcopy_completion __user *to,
				   unsigned int max, unsigned int min,
				   ktime_t timeout, int *err)
{
	const ktime_t end = ktime_add_safe(ktime_get(), timeout);
	ssize_t given;

	*err = 0;
	for (;;) {
		if (min)
			*err = wait_for(context, min, timeout);
		given = move_to(context, to, max, *err ? 0 : min);
		if (given || *err || !min || is_nothing_left(context))
			return given;
		/* Another thread waited for them, too, and has them. */
		if (timeout != KTIME_MAX)
			timeout = max(ktime_sub(end, ktime_get()), 0);
		if (!timeout)
			*err = -ETIME;
		else if (signal_pending(current))
			*err = -ERESTARTSYS;
		if (*err)
			return 0;
	}
}

/* What poll(2) says of completions, and of room for them. @room: elsewhere. */
__poll_t zcopy_record_events(struct zcopy_context *context, bool room)
{
	__poll_t events = 0;
	LIST_HEAD(gone);

	spin_lock(&context->lock);
	if (context->nr_unread)
		events |= EPOLLIN | EPOLLRDNORM;
	if (room && has_room_if_swept(context, true, &gone))
		events |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock(&context->lock);
	zcopy_mark_free_all(&gone);
	return events;
}

/* Nobody is left to be told anything. */
void zcopy_record_close(struct zcopy_context *context)
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
}
