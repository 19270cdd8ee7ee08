/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_WORKER_H
#define ZCOPY_WORKER_H

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
 * @parting:  the process has closed a descriptor, and submitted nothing since: ditto,
 *            as it may end without another one to close. Written without @lock, by
 *            the process's own threads
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

int zcopy_worker_init(void);
void zcopy_worker_exit(void);

void zcopy_worker_reap(struct work_struct *work);

void zcopy_crew_put(struct zcopy_crew *crew);

int zcopy_worker_hire(struct zcopy_crew *crew, unsigned long place);
void zcopy_worker_hire_spare(struct zcopy_crew *crew);
bool zcopy_worker_has_idle(const struct zcopy_crew *crew);
bool zcopy_worker_has_cold(struct zcopy_crew *crew);
bool zcopy_worker_lacks_cold(struct zcopy_crew *crew, unsigned long place);
void zcopy_worker_wake_cold(struct zcopy_crew *crew, unsigned long place);
void zcopy_worker_wake_hot(struct zcopy_crew *crew);
void zcopy_worker_overdue(struct timer_list *timer);
bool zcopy_worker_is_needless(const struct zcopy_crew *crew);
void zcopy_worker_stop_idle(struct zcopy_crew *crew);
bool zcopy_worker_is_program(const struct task_struct *task);
bool zcopy_worker_begin_visit(struct zcopy_crew *crew);
void zcopy_worker_ask(struct zcopy_crew *crew);
void zcopy_worker_ask_later(struct zcopy_crew *crew);
void zcopy_worker_die(struct zcopy_crew *crew);

#endif /* ZCOPY_WORKER_H */
