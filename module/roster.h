/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_ROSTER_H
#define ZCOPY_ROSTER_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "work.h"

struct pid;
struct task_struct;
struct vhost_task;
struct zcopy_crew;

/**
 * struct zcopy_crew_ops - whom a crew belongs to
 * @died: the process ends, or executes another program: end what it has
 *        submitted. Called once; what is queued meanwhile is run afterwards.
 *        Context: process, one of its threads unless none is left
 * @free: nobody refers to the crew any more. Any context but hard interrupt
 */
struct zcopy_crew_ops {
	void (*died)(struct zcopy_crew *crew);
	void (*free)(struct zcopy_crew *crew);
};

/**
 * struct zcopy_crew - the threads of a process that work for it
 * @ops:      its owner's
 * @tgid:     the process; a reference
 * @program:  task_struct.self_exec_id of the process: which of the programs that it
 *            executes one after the other
 * @refs:     each worker, a visit, and whoever else needs it
 * @load:     transfers that may need a worker
 * @hiring:   held while a worker is made: there are no more than wanted
 * @lock:     guards what is below; any context, a leaf
 * @work:     what is to be done
 * @workers:  zcopy_worker.link of those that are not on their way out
 * @nr_hot:   how many of @workers do the hot work
 * @nr_cold:  how many do the cold
 * @hire_again: when the next spare may be asked for, as there was none to be had;
 *            written under @hiring
 * @overdue:  has the hot worker in reserve look whether the others get to the work;
 *            started under @lock
 * @dead:     the process ends
 * @closed:   and nobody takes work any more
 * @leaving:  no transfer is to come: workers stop when there is none
 * @parting:  the process has closed a descriptor, and begun no call since that
 *            submits: ditto, as it may end without another one to close. Written
 *            without @lock, by the process's own threads
 * @visiting: @visit or @later is under way
 * @asker:    the thread to visit, if it lives; a reference, or NULL: any
 * @visit:    has a thread of the program do what no worker can
 * @later:    has @visit done when the thread's signals are through
 *
 * What is counted is read without the lock too, by those who may be wrong.
 */
struct zcopy_crew {
	const struct zcopy_crew_ops *ops;
	struct pid *tgid;
	u64 program;
	refcount_t refs;
	atomic_t load;
	struct mutex hiring;		/* sleeps; no waker takes it */
	spinlock_t lock;		/* irq-safe */
	struct zcopy_work_lists work;
	struct list_head workers;
	unsigned int nr_hot;
	unsigned int nr_cold;
	unsigned long hire_again;
	struct timer_list overdue;
	bool dead;
	bool closed;
	bool leaving;
	bool parting;
	bool visiting;
	struct pid *asker;
	struct callback_head visit;
	struct delayed_work later;
};

/**
 * struct zcopy_worker - a thread of a crew
 * @link:     in zcopy_crew.workers
 * @crew:     a reference
 * @task:     the thread
 * @cold:     it may sleep for what others do
 * @busy:     it has work, was just woken, or closes files: not idle
 * @woken:    for work that it has not yet taken
 * @since:    when that began, in jiffies
 * @closing:  it closes files, which no transfer stands for any more
 * @place:    of its work, or of what it was woken for
 * @stopping: a thread of the program waits for its end, and frees it
 * @reap:     else this does
 *
 * But for @crew, @task and @cold under zcopy_crew.lock.
 */
struct zcopy_worker {
	struct list_head link;
	struct zcopy_crew *crew;
	struct vhost_task *task;
	bool cold;
	bool busy;
	bool woken;
	unsigned long since;
	bool closing;
	unsigned long place;
	bool stopping;
	struct work_struct reap;
};

struct zcopy_worker *zcopy_roster_find_idle(const struct zcopy_crew *crew, bool cold);
bool zcopy_roster_has_idle(const struct zcopy_crew *crew);
void zcopy_roster_wake_cold(struct zcopy_crew *crew, unsigned long place);
void zcopy_roster_wake_hot(struct zcopy_crew *crew);
void zcopy_roster_overdue(struct timer_list *timer);
void zcopy_roster_add(struct zcopy_worker *worker);
void zcopy_roster_remove(struct zcopy_worker *worker);
bool zcopy_roster_lacks_spare(const struct zcopy_crew *crew);
bool zcopy_roster_is_needless(const struct zcopy_crew *crew);
bool zcopy_roster_has_cold(struct zcopy_crew *crew);
bool zcopy_roster_lacks_cold(struct zcopy_crew *crew, unsigned long place);
struct zcopy_work *zcopy_roster_take_cold(struct zcopy_crew *crew);
unsigned long zcopy_roster_place_ahead(struct zcopy_crew *crew);

#endif /* ZCOPY_ROSTER_H */
