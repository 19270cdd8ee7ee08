// SPDX-License-Identifier: GPL-2.0-only
/*
 * Crews: what a process has its workers do, from the first one to the last, and
 * what its own threads do for them. Those come by when a worker is to be made or
 * to leave, which workers cannot do themselves.
 */
#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "crew.h"

/*
 * Run hot work on a thread of the program, as long as it has no worker. What
 * would have to wait for one lies there again if a signal comes first.
 */
static void help(struct zcopy_crew *crew)
{
	struct zcopy_work *work;

	do {
		spin_lock_irq(&crew->lock);
		work = crew->leaving || !crew->nr_hot ?
			       zcopy_work_take_hot(&crew->work) : NULL;
		spin_unlock_irq(&crew->lock);
		if (work)
			work->run(work);
	} while (work && (READ_ONCE(crew->leaving) || !signal_pending(current)));
}

/* Has the calling process no other thread than this one and workers? */
static bool is_last(void)
{
	const struct task_struct *task;
	bool last = true;

	rcu_read_lock();
	for_each_thread(current, task)
		last = last && (task == current || !zcopy_worker_is_program(task));
	rcu_read_unlock();
	return last;
}

static bool has_workers(const struct zcopy_crew *crew)
{
	return READ_ONCE(crew->nr_hot) || READ_ONCE(crew->nr_cold);
}

/*
 * Is the calling thread to be stopped, frozen or ended first? In a control group that
 * is frozen it sleeps without the mark of a signal, and yet runs what it is given.
 */
static bool is_called_away(void)
{
	/* A thread that runs task work still has its own. */
	struct sighand_struct *sighand =
		rcu_dereference_protected(current->sighand, true);

	spin_lock_irq(&sighand->siglock);
	recalc_sigpending();
	spin_unlock_irq(&sighand->siglock);
	return signal_pending(current);
}

/* On a thread of the program, on its way to user mode or at its end. */
static void visited(struct callback_head *head)
{
	struct zcopy_crew *crew = container_of(head, struct zcopy_crew, visit);
	const bool ends = current->flags & PF_EXITING;
	bool idle, again, later;

	do {
		if (crew->program != current->self_exec_id ||
		    (ends && is_last() && !has_workers(crew)))
			/* Nobody else is left who could end what there is. */
			zcopy_worker_die(crew);
		else if (!ends && !is_called_away())
			help(crew);
		zcopy_worker_stop_idle(crew);
		spin_lock_irq(&crew->lock);
		/* Who became idle meanwhile has not asked. */
		idle = zcopy_roster_is_needless(crew) &&
		       zcopy_roster_has_idle(crew);
		again = idle && !signal_pending(current);
		later = !again && (idle || (!crew->nr_hot &&
					    !list_empty(&crew->work.hot)));
		crew->visiting = again || later;
		spin_unlock_irq(&crew->lock);
	} while (again);
	if (later)
		zcopy_worker_ask_later(crew);
	else
		zcopy_crew_put(crew);
}

static void later(struct work_struct *work)
{
	zcopy_worker_ask(container_of(to_delayed_work(work), struct zcopy_crew,
				      later));
}

/**
 * zcopy_crew_init - a crew without workers, for the calling process
 * @crew: all zero; with a reference for the caller
 * @ops:  its owner's
 */
void zcopy_crew_init(struct zcopy_crew *crew, const struct zcopy_crew_ops *ops)
{
	crew->ops = ops;
	crew->tgid = get_pid(task_tgid(current));
	crew->program = current->self_exec_id;
	refcount_set(&crew->refs, 1);
	mutex_init(&crew->hiring);
	spin_lock_init(&crew->lock);
	zcopy_work_init(&crew->work);
	INIT_LIST_HEAD(&crew->workers);
	crew->hire_again = jiffies;
	timer_setup(&crew->overdue, zcopy_roster_overdue, 0);
	init_task_work(&crew->visit, visited);
	INIT_DELAYED_WORK(&crew->later, later);
}

/**
 * zcopy_crew_hire - see to it that there is a hot worker
 * @crew: the calling process's
 *
 * Whatever is to go on behind the call's back needs one, if only to hear of the
 * process's end.
 *
 * Context: a thread of the process; may sleep.
 * Return: 0; -ERESTARTNOINTR, signals or a freezer come first; -EINTR or -ESRCH,
 * the process ends; else no thread can be made: -EAGAIN, a limit; -EINVAL, the
 * process has left its namespace of process ids; -ENOMEM.
 */
int zcopy_crew_hire(struct zcopy_crew *crew)
{
	int err;

	/* Pairs with zcopy_worker_stop_idle(): the caller's transfer is in the load. */
	smp_mb();
	if (READ_ONCE(crew->nr_hot)) {
		zcopy_worker_hire_spare(crew);
		return 0;
	}
	if (mutex_lock_killable(&crew->hiring))
		return -EINTR;
	err = READ_ONCE(crew->nr_hot) ? 0 : zcopy_worker_hire(crew, 0);
	mutex_unlock(&crew->hiring);
	return err;
}

/**
 * zcopy_crew_hot - queue work that needs no disk
 * @crew: anybody's
 * @work: with zcopy_work.run set; its own until it is run
 *
 * Where there is no hot worker, as for the lease of a transfer that is still being
 * read from a program, a thread of the program does it on its way.
 *
 * Context: any.
 * Return: false: the process is over, and nobody takes work.
 */
bool zcopy_crew_hot(struct zcopy_crew *crew, struct zcopy_work *work)
{
	bool closed, visit = false;
	unsigned long flags;

	spin_lock_irqsave(&crew->lock, flags);
	closed = crew->closed;
	if (!closed) {
		zcopy_work_add_hot(&crew->work, work);
		zcopy_roster_wake_hot(crew);
		visit = !crew->nr_hot && zcopy_worker_begin_visit(crew);
	}
	spin_unlock_irqrestore(&crew->lock, flags);
	if (visit)
		zcopy_worker_ask_later(crew);
	return !closed;
}

/**
 * zcopy_crew_cold - queue work that may sleep for others
 * @crew:    the calling process's
 * @work:    with zcopy_work.run set; its own until it is run
 * @place:   what it may sleep for, see struct zcopy_work
 * @is_over: told that it need not be waited for after all? Or NULL
 *
 * Context: a thread of the process; may sleep.
 * Return: 0, or an error of zcopy_crew_hire(): it is not queued.
 */
int zcopy_crew_cold(struct zcopy_crew *crew, struct zcopy_work *work,
		    unsigned long place,
		    bool (*is_over)(const struct zcopy_work *work))
{
	int err = zcopy_crew_hire(crew);

	if (err)
		return err;
	if (zcopy_roster_lacks_cold(crew, place)) {
		if (mutex_lock_killable(&crew->hiring))
			return -EINTR;
		if (zcopy_roster_lacks_cold(crew, place))
			err = zcopy_worker_hire(crew, place);
		mutex_unlock(&crew->hiring);
		/* Who was to make one has found this thread at it. */
		zcopy_worker_hire_spare(crew);
		if (err && (err == -ERESTARTNOINTR ||
			    !zcopy_roster_has_cold(crew)))
			return err;
	}
	err = 0;
	spin_lock_irq(&crew->lock);
	if (crew->closed) {
		err = -ESRCH;
	} else if (is_over && is_over(work)) {
		/* Who said so looked for it here, to recall it, and has gone. */
		work->place = 0;
		zcopy_work_add_hot(&crew->work, work);
		zcopy_roster_wake_hot(crew);
	} else {
		zcopy_work_add_cold(&crew->work, work, place);
		zcopy_roster_wake_cold(crew, place);
	}
	spin_unlock_irq(&crew->lock);
	return err;
}

/**
 * zcopy_crew_recall - cold work that still waits needs no disk any more
 * @crew: has a hot worker
 * @work: anybody's
 * @run:  what it is to do instead
 *
 * Context: any.
 */
void zcopy_crew_recall(struct zcopy_crew *crew, struct zcopy_work *work,
		       void (*run)(struct zcopy_work *work))
{
	unsigned long flags;

	spin_lock_irqsave(&crew->lock, flags);
	if (zcopy_work_recall(&crew->work, work)) {
		work->run = run;
		zcopy_roster_wake_hot(crew);
	}
	spin_unlock_irqrestore(&crew->lock, flags);
}

/* One of this thread, rather than of any. */
static bool begin_visit_here(struct zcopy_crew *crew)
{
	if (!zcopy_worker_begin_visit(crew))
		return false;
	put_pid(crew->asker);
	crew->asker = get_pid(task_pid(current));
	return true;
}

/**
 * zcopy_crew_later - queue hot work when zcopy_crew_hire() said -ERESTARTNOINTR
 * @crew: the calling process's
 * @work: with zcopy_work.run set; its own until it is run
 *
 * A worker runs it, if there is one, or this thread, when it is through with its
 * signals.
 *
 * Context: a thread of the process.
 * Return: false: the process is over, and nobody takes work.
 */
bool zcopy_crew_later(struct zcopy_crew *crew, struct zcopy_work *work)
{
	bool visit;

	spin_lock_irq(&crew->lock);
	if (crew->closed) {
		spin_unlock_irq(&crew->lock);
		return false;
	}
	zcopy_work_add_hot(&crew->work, work);
	zcopy_roster_wake_hot(crew);
	visit = begin_visit_here(crew);
	spin_unlock_irq(&crew->lock);
	if (visit)
		zcopy_worker_ask_later(crew);
	return true;
}

/* Nothing is to be done: have a thread of the program see the workers out. */
static void dismiss(struct zcopy_crew *crew)
{
	const bool here = zcopy_worker_is_program(current) &&
			  task_tgid(current) == crew->tgid;
	bool visit = false;

	/* See zcopy_crew_done(). */
	smp_mb();
	spin_lock_irq(&crew->lock);
	if (!atomic_read(&crew->load) && !list_empty(&crew->workers))
		visit = here ? begin_visit_here(crew) : zcopy_worker_begin_visit(crew);
	spin_unlock_irq(&crew->lock);
	if (visit)
		zcopy_worker_ask(crew);
}

/**
 * zcopy_crew_done - a transfer that may have needed a worker is over
 * @crew: anybody's
 *
 * Workers that have come to sleep before do not look whether it was the last one.
 *
 * Context: any but hard interrupt.
 */
void zcopy_crew_done(struct zcopy_crew *crew)
{
	unsigned long flags;
	bool visit = false;

	/* Pairs with dismiss() and zcopy_worker_stop_idle(): one sees the other. */
	if (!atomic_dec_and_test(&crew->load) ||
	    !(READ_ONCE(crew->parting) || READ_ONCE(crew->leaving)))
		return;
	spin_lock_irqsave(&crew->lock, flags);
	if (zcopy_roster_is_needless(crew) && zcopy_roster_has_idle(crew))
		visit = zcopy_worker_begin_visit(crew);
	spin_unlock_irqrestore(&crew->lock, flags);
	if (visit)
		zcopy_worker_ask_later(crew);
}

/**
 * zcopy_crew_leave - no work is to come
 * @crew: anybody's
 *
 * What is under way ends, and the workers leave. Waits for idle ones alone.
 *
 * Context: process; may sleep.
 */
void zcopy_crew_leave(struct zcopy_crew *crew)
{
	spin_lock_irq(&crew->lock);
	crew->leaving = true;
	spin_unlock_irq(&crew->lock);
	if (!(current->flags & (PF_USER_WORKER | PF_KTHREAD)) &&
	    task_tgid(current) == crew->tgid) {
		help(crew);
		zcopy_worker_stop_idle(crew);
	}
	dismiss(crew);
}

/**
 * zcopy_crew_part - the process closes one of its descriptors
 * @crew: the calling process's
 *
 * It may have been the last one: if what is under way has ended, and nothing new has
 * come, no worker keeps the process from ending.
 *
 * Context: process; may sleep.
 */
void zcopy_crew_part(struct zcopy_crew *crew)
{
	const bool able = zcopy_worker_is_program(current);

	WRITE_ONCE(crew->parting, true);
	if (able)
		zcopy_worker_stop_idle(crew);
	/*
	 * A thread of io_uring's cannot, nor can who is to hear a signal first. For the
	 * last one see below.
	 */
	if (able ? signal_pending(current) :
		   !(current->flags & PF_EXITING) || !is_last())
		dismiss(crew);
}

/**
 * zcopy_crew_abandon - a thread of the process closes its descriptors
 * @crew: the calling process's
 *
 * If that is because the last thread of the program ends by itself, and workers
 * are left, the process would never end. So it has ended, for them. And where there
 * is no worker, nobody else hears of the end, whatever its cause.
 *
 * Context: process; may sleep.
 */
void zcopy_crew_abandon(struct zcopy_crew *crew)
{
	if (!(current->flags & PF_EXITING) || !is_last())
		return;
	if (READ_ONCE(current->signal->flags) & SIGNAL_GROUP_EXIT &&
	    (has_workers(crew) || !atomic_read(&crew->load)))
		return;
	zcopy_worker_die(crew);
	zcopy_worker_stop_idle(crew);
	/* One that sleeps for somebody else hears of it only so. */
	if (has_workers(crew))
		kill_pid(crew->tgid, SIGKILL, 1);
}
