// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rosters: the workers that a crew has, what each is at, and who of them is to wake
 * for what. What they do is in worker.c.
 */
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/vhost_task.h>

#include "roster.h"

/*
 * Of them one superblock has at most a half, and what may hang for as long as
 * somebody likes three quarters, so that no mount stops another one. A few are
 * enough to start a superblock's reads: they sleep while its disk takes no more.
 */
#define STARTERS	2U
static unsigned int max_cold = 16;
module_param_named(cold_workers, max_cold, uint, 0644);
MODULE_PARM_DESC(cold_workers,
		 "Threads of a process that may wait for disks and servers, by open of the device (default 16, at least 4)");

/* The hot worker in reserve joins when the oldest work has waited for so long. */
#define STILL	DIV_ROUND_UP(HZ, 100)

static unsigned int most_cold(void)
{
	return max(READ_ONCE(max_cold), 4U);
}

/* May one more worker sleep there? */
static bool may_sleep(const void *data, unsigned long place)
{
	const struct zcopy_crew *crew = data;
	unsigned int max = most_cold();
	unsigned int there = 0, hanging = 0;
	const struct zcopy_worker *worker;

	list_for_each_entry(worker, &crew->workers, link) {
		there += (worker->place & ~ZCOPY_HANGS) == (place & ~ZCOPY_HANGS);
		hanging += worker->place & ZCOPY_HANGS;
	}
	if (place & ZCOPY_STARTS)
		return there < STARTERS;
	return there < max / 2 &&
	       (!(place & ZCOPY_HANGS) || hanging < max - max / 4);
}

struct zcopy_worker *zcopy_roster_find_idle(const struct zcopy_crew *crew, bool cold)
{
	struct zcopy_worker *worker;

	lockdep_assert_held(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link)
		if (worker->cold == cold && !worker->busy)
			return worker;
	return NULL;
}

/* Is a worker there that has no work? */
bool zcopy_roster_has_idle(const struct zcopy_crew *crew)
{
	return zcopy_roster_find_idle(crew, false) || zcopy_roster_find_idle(crew, true);
}

static void wake(struct zcopy_worker *worker, unsigned long place)
{
	worker->busy = true;
	worker->woken = true;
	worker->since = jiffies;
	worker->place = place;
	vhost_task_wake(worker->task);
}

/* @place: of the work that one is to find, or 0 */
void zcopy_roster_wake_cold(struct zcopy_crew *crew, unsigned long place)
{
	struct zcopy_worker *worker = zcopy_roster_find_idle(crew, true);

	if (worker)
		wake(worker, place);
}

/*
 * There is hot work. While others are at it one stays in reserve: what they do may
 * take no time at all, or, if they sleep for a lock, as long as somebody likes. Who
 * is kept already is not at it.
 */
void zcopy_roster_wake_hot(struct zcopy_crew *crew)
{
	struct zcopy_worker *worker, *idle = NULL;
	unsigned int nr_idle = 0, nr_at_it = 0;

	lockdep_assert_held(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link) {
		if (worker->cold)
			continue;
		if (!worker->busy) {
			idle = worker;
			nr_idle++;
		} else {
			nr_at_it += time_before(jiffies, worker->since + STILL);
		}
	}
	if (nr_idle > 1 || (idle && !nr_at_it))
		wake(idle, 0);
	/* A debugger may hold the one that was woken: there is another one. */
	if (crew->nr_hot && (nr_idle != 1 || nr_at_it) && !timer_pending(&crew->overdue))
		mod_timer(&crew->overdue, jiffies + STILL);
}

/* So many are closing files, who are not there for work; not more than that. */
static unsigned int nr_closing(const struct zcopy_crew *crew, bool cold)
{
	const struct zcopy_worker *worker;
	unsigned int nr = 0;

	lockdep_assert_held(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link)
		nr += worker->cold == cold && worker->closing;
	return min(nr, most_cold());
}

/**
 * zcopy_roster_overdue - hot work was there when all but the reserve had other work
 * @timer: zcopy_crew.overdue
 */
void zcopy_roster_overdue(struct timer_list *timer)
{
	struct zcopy_crew *crew = container_of(timer, struct zcopy_crew, overdue);
	const struct zcopy_work *oldest;
	struct zcopy_worker *idle;
	unsigned long flags, at;

	spin_lock_irqsave(&crew->lock, flags);
	oldest = zcopy_work_oldest(&crew->work);
	idle = zcopy_roster_find_idle(crew, false);
	if (oldest && idle) {
		at = oldest->since + STILL;
		if (time_after_eq(jiffies, at)) {
			wake(idle, 0);
			at = jiffies + STILL;
		}
		mod_timer(timer, at);
	}
	spin_unlock_irqrestore(&crew->lock, flags);
}

/* On the list of those who work. */
void zcopy_roster_add(struct zcopy_worker *worker)
{
	struct zcopy_crew *crew = worker->crew;

	lockdep_assert_held(&crew->lock);
	list_add(&worker->link, &crew->workers);
	if (worker->cold)
		crew->nr_cold++;
	else
		crew->nr_hot++;
}

/* Off the list of those who work. */
void zcopy_roster_remove(struct zcopy_worker *worker)
{
	struct zcopy_crew *crew = worker->crew;

	lockdep_assert_held(&crew->lock);
	list_del(&worker->link);
	if (worker->cold)
		crew->nr_cold--;
	else
		crew->nr_hot--;
}

/*
 * Is every hot worker busy, and may that keep transfers from going on? One that was
 * woken and is about to look for work looks for a reserve, too.
 */
bool zcopy_roster_lacks_spare(const struct zcopy_crew *crew)
{
	unsigned int closing = nr_closing(crew, false);
	const struct zcopy_worker *worker;

	list_for_each_entry(worker, &crew->workers, link)
		if (!worker->cold &&
		    (!worker->busy ||
		     (worker->woken && time_before(jiffies, worker->since + STILL))))
			return false;
	return crew->nr_hot - closing <= cpumask_weight(current->cpus_ptr) &&
	       (closing || (atomic_read(&crew->load) > 1 &&
			    time_after_eq(jiffies, crew->hire_again)));
}

/* May one more cold worker be made? */
static bool may_have_cold(const struct zcopy_crew *crew)
{
	return crew->nr_cold - nr_closing(crew, true) < most_cold() &&
	       !zcopy_roster_find_idle(crew, true);
}

/*
 * Is none needed any more? Whoever submits has counted his transfer before he looks
 * for a worker.
 */
bool zcopy_roster_is_needless(const struct zcopy_crew *crew)
{
	lockdep_assert_held(&crew->lock);
	return crew->closed || ((crew->leaving || READ_ONCE(crew->parting)) &&
				!atomic_read(&crew->load));
}

/* Is a cold worker there who comes back for more, be it a while? */
bool zcopy_roster_has_cold(struct zcopy_crew *crew)
{
	const struct zcopy_worker *worker;
	bool has = false;

	spin_lock_irq(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link)
		has = has || (worker->cold && !worker->closing &&
			      !(worker->place & ZCOPY_HANGS));
	spin_unlock_irq(&crew->lock);
	return has;
}

/* Must, and can, one more cold worker be made for a place? */
bool zcopy_roster_lacks_cold(struct zcopy_crew *crew, unsigned long place)
{
	bool lacks;

	spin_lock_irq(&crew->lock);
	lacks = may_have_cold(crew) && may_sleep(crew, place);
	spin_unlock_irq(&crew->lock);
	return lacks;
}

/* The cold work that is next, no longer listed; or NULL. */
struct zcopy_work *zcopy_roster_take_cold(struct zcopy_crew *crew)
{
	lockdep_assert_held(&crew->lock);
	return zcopy_work_take_cold(&crew->work, may_sleep, crew);
}

/* The place of cold work that is there, if one more worker is to be made for it. */
unsigned long zcopy_roster_place_ahead(struct zcopy_crew *crew)
{
	if (!may_have_cold(crew))
		return 0;
	return zcopy_work_place_ahead(&crew->work, may_sleep, crew);
}
