// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers: threads of the process that submitted, which go on with what no call
 * of it runs. They are in its control groups, count for its limits, stop, freeze
 * and die with it. Hot ones never wait for a disk, cold ones do.
 *
 * A thread like this cannot end by itself: somebody has to wait for it. A worker
 * that was killed is waited for by the reaper, for the few instructions that it
 * has left. One that is to leave is waited for by a thread of its own program,
 * which stops and freezes together with it.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>

#include "worker.h"

static struct workqueue_struct *reaper_wq;

int zcopy_worker_init(void)
{
	reaper_wq = alloc_workqueue("zcopy_reaper", WQ_UNBOUND, 0);
	return reaper_wq ? 0 : -ENOMEM;
}

/*
 * No crew is left. Who dropped the last one may still be about to return: a task
 * work, or an skb's last user from a flight.
 */
void zcopy_worker_exit(void)
{
	destroy_workqueue(reaper_wq);
	synchronize_rcu_tasks();
	synchronize_rcu();
}

void zcopy_crew_put(struct zcopy_crew *crew)
{
	const struct zcopy_crew_ops *ops = crew->ops;
	struct pid *tgid = crew->tgid;

	if (!refcount_dec_and_test(&crew->refs))
		return;
	WARN_ON_ONCE(!list_empty(&crew->workers) || atomic_read(&crew->load) ||
		     !zcopy_work_is_none(&crew->work));
	timer_shutdown_sync(&crew->overdue);
	put_pid(crew->asker);
	put_pid(tgid);
	mutex_destroy(&crew->hiring);
	ops->free(crew);
}

/* The process is gone, or about to: end all that it left. */
void zcopy_worker_die(struct zcopy_crew *crew)
{
	struct zcopy_work *work;
	bool first;

	spin_lock_irq(&crew->lock);
	first = !crew->dead;
	crew->dead = true;
	spin_unlock_irq(&crew->lock);
	if (!first)
		return;
	crew->ops->died(crew);
	/* Whoever made himself a runner meanwhile has queued what he runs. */
	synchronize_rcu();
	do {
		spin_lock_irq(&crew->lock);
		work = zcopy_work_take_any(&crew->work);
		crew->closed = !work;
		spin_unlock_irq(&crew->lock);
		if (work)
			work->run(work);
		cond_resched();
	} while (work);
}

/**
 * zcopy_worker_reap - have something done that needs no process
 * @work: does it; is waited for when the module leaves
 *
 * Context: any, hard interrupts too.
 */
void zcopy_worker_reap(struct work_struct *work)
{
	queue_work(reaper_wq, work);
}

/* Wait for the end of a worker that has no more than that to do. */
static void end(struct zcopy_worker *worker)
{
	struct zcopy_crew *crew = worker->crew;

	vhost_task_stop(worker->task);
	kfree(worker);
	zcopy_crew_put(crew);
}

static void reap(struct work_struct *work)
{
	end(container_of(work, struct zcopy_worker, reap));
}

/* Called in a worker that was killed, with its process, on its way out. */
static void killed(void *data)
{
	struct zcopy_worker *worker = data;
	struct zcopy_crew *crew = worker->crew;
	bool stopping;

	spin_lock_irq(&crew->lock);
	stopping = worker->stopping;
	if (!stopping)
		zcopy_roster_remove(worker);
	spin_unlock_irq(&crew->lock);
	zcopy_worker_die(crew);
	if (!stopping)
		zcopy_worker_reap(&worker->reap);
}

/* Is it a thread of the program, which is to live on? */
bool zcopy_worker_is_program(const struct task_struct *task)
{
	return !(task->flags & (PF_USER_WORKER | PF_KTHREAD | PF_EXITING));
}

/* Begin a visit, unless there is one. The caller sees to it that it happens. */
bool zcopy_worker_begin_visit(struct zcopy_crew *crew)
{
	lockdep_assert_held(&crew->lock);
	if (crew->visiting)
		return false;
	crew->visiting = true;
	refcount_inc(&crew->refs);
	return true;
}

static bool send_to(struct zcopy_crew *crew, struct task_struct *task,
		    enum task_work_notify_mode how)
{
	/* One that is frozen would only say that it is, again and again. */
	if (READ_ONCE(task->jobctl) & JOBCTL_TRAP_FREEZE)
		how = TWA_RESUME;
	return !task_work_add(task, &crew->visit, how);
}

/* To a thread of the program's, without these flags. */
static bool send_to_any(struct zcopy_crew *crew, struct task_struct *leader,
			unsigned int unless, enum task_work_notify_mode how)
{
	struct task_struct *task;

	for_each_thread(leader, task)
		if (!(task->flags & (PF_USER_WORKER | PF_KTHREAD | unless)) &&
		    send_to(crew, task, how))
			return true;
	return false;
}

/* Find the thread that is to be visited. If there is one the crew may be gone. */
static bool send_visit(struct zcopy_crew *crew)
{
	struct task_struct *leader, *task;
	enum task_work_notify_mode how = TWA_RESUME;
	bool sent = false;

	/* Work that nobody does: the thread may sleep until that is done. */
	spin_lock_irq(&crew->lock);
	if (crew->asker && !crew->nr_hot && !list_empty(&crew->work.hot))
		how = TWA_SIGNAL;
	spin_unlock_irq(&crew->lock);

	rcu_read_lock();
	leader = pid_task(crew->tgid, PIDTYPE_TGID);
	task = pid_task(crew->asker, PIDTYPE_PID);
	if (task && zcopy_worker_is_program(task))
		sent = send_to(crew, task, how);
	if (leader && !sent)
		sent = send_to_any(crew, leader, PF_EXITING, how);
	/* One on its way out is better than nobody. */
	if (leader && !sent && !READ_ONCE(crew->nr_hot) && !READ_ONCE(crew->nr_cold))
		sent = send_to_any(crew, leader, 0, how);
	rcu_read_unlock();
	return sent;
}

/*
 * Have a thread of the program come by. If none is left, workers keep a process
 * alive that is over: as by a signal. And without any it is over in fact.
 */
void zcopy_worker_ask(struct zcopy_crew *crew)
{
	if (send_visit(crew))
		return;
	if (READ_ONCE(crew->nr_hot) || READ_ONCE(crew->nr_cold))
		kill_pid(crew->tgid, SIGKILL, 1);
	else
		zcopy_worker_die(crew);
	spin_lock_irq(&crew->lock);
	crew->visiting = false;
	spin_unlock_irq(&crew->lock);
	zcopy_crew_put(crew);
}

/* Ditto, when the signals are through that keep workers from being made. */
void zcopy_worker_ask_later(struct zcopy_crew *crew)
{
	queue_delayed_work(reaper_wq, &crew->later, 1);
}

static bool lacks_spare_now(struct zcopy_crew *crew)
{
	bool lacks;

	spin_lock_irq(&crew->lock);
	lacks = zcopy_roster_lacks_spare(crew);
	spin_unlock_irq(&crew->lock);
	return lacks;
}

/**
 * zcopy_worker_hire_spare - see to it that one hot worker has nothing to do
 * @crew: the calling process's
 *
 * If there are several transfers, or others than the transfers are worked for. He
 * goes on where the others are kept: by a socket's lock that somebody has, or by
 * files that they close, sockets that linger say.
 *
 * Context: a thread of the process; may sleep.
 */
void zcopy_worker_hire_spare(struct zcopy_crew *crew)
{
	int err;

	if (!lacks_spare_now(crew) || !mutex_trylock(&crew->hiring))
		return;
	if (lacks_spare_now(crew)) {
		err = zcopy_worker_hire(crew, 0);
		/* It is a limit, mostly, and asking costs. */
		if (err && err != -ERESTARTNOINTR)
			WRITE_ONCE(crew->hire_again, jiffies + HZ);
	}
	mutex_unlock(&crew->hiring);
}

/* Reads that are started in a row, and given to the disk together. */
#define TOGETHER	64

static void run(struct zcopy_worker *worker, struct zcopy_work *work)
{
	struct zcopy_crew *crew = worker->crew;
	const unsigned long place = worker->place;
	unsigned int nr = 0;
	struct blk_plug plug;

	if (!(place & ZCOPY_STARTS)) {
		work->run(work);
		return;
	}
	blk_start_plug(&plug);
	do {
		work->run(work);
		work = NULL;
		if (++nr == TOGETHER || signal_pending(current) ||
		    task_work_pending(current))
			break;
		spin_lock_irq(&crew->lock);
		work = zcopy_work_take_from(&crew->work, place);
		spin_unlock_irq(&crew->lock);
	} while (work);
	blk_finish_plug(&plug);
}

/* Make a cold worker, unless somebody is about to. @place: of its work; 0: none. */
static void hire_cold(struct zcopy_crew *crew, unsigned long place)
{
	if (!place || !mutex_trylock(&crew->hiring))
		return;
	zcopy_worker_hire(crew, place);
	mutex_unlock(&crew->hiring);
	/* Who was to make one has found this thread at it. */
	zcopy_worker_hire_spare(crew);
}

/*
 * The worker is about to close files, which may take as long as a socket lingers. The
 * work that it was there for is for others meanwhile.
 */
static void close_files(struct zcopy_worker *worker)
{
	struct zcopy_crew *crew = worker->crew;
	unsigned long lacks = 0;

	spin_lock_irq(&crew->lock);
	worker->closing = true;
	worker->place = 0;
	if (worker->cold && !RB_EMPTY_ROOT(&crew->work.cold)) {
		lacks = zcopy_roster_place_ahead(crew);
		zcopy_roster_wake_cold(crew, 0);
	}
	spin_unlock_irq(&crew->lock);
	if (worker->cold)
		hire_cold(crew, lacks);
	else
		zcopy_worker_hire_spare(crew);
}

/* Work that comes, or none is to come and a worker is to leave. */
static bool go_on(void *data)
{
	struct zcopy_worker *worker = data;
	struct zcopy_crew *crew = worker->crew;
	struct zcopy_work *work;
	unsigned long lacks = 0;
	bool leave = false, spare;

	spin_lock_irq(&crew->lock);
	worker->place = 0;
	work = worker->cold ?
		       zcopy_roster_take_cold(crew) :
		       zcopy_work_take_hot(&crew->work);
	if (work && worker->cold)
		worker->place = work->place;
	worker->busy = work;
	worker->woken = false;
	worker->since = jiffies;
	worker->closing = false;
	if (work && worker->cold)
		lacks = zcopy_roster_place_ahead(crew);
	/* With its last place it may have kept another one from theirs. */
	if (work && worker->cold && !RB_EMPTY_ROOT(&crew->work.cold))
		zcopy_roster_wake_cold(crew, 0);
	spare = zcopy_roster_lacks_spare(crew);
	if (!work && !crew->closed && zcopy_roster_is_needless(crew))
		leave = zcopy_worker_begin_visit(crew);
	spin_unlock_irq(&crew->lock);
	if (!work && !leave)
		return false;

	/* It was called on its way to sleep. */
	__set_current_state(TASK_RUNNING);
	if (leave) {
		zcopy_worker_ask(crew);
		return true;
	}
	/* Who was to take other work may have taken this. */
	hire_cold(crew, lacks);
	if (spare)
		zcopy_worker_hire_spare(crew);
	run(worker, work);
	/* Files that had their last use here are closed on the way around. */
	if (task_work_pending(current)) {
		close_files(worker);
		set_thread_flag(TIF_NOTIFY_SIGNAL);
	}
	return true;
}

/*
 * Make a worker; with @hiring held. @place: of the work that it is to find, or 0
 * for a hot one.
 */
int zcopy_worker_hire(struct zcopy_crew *crew, unsigned long place)
{
	const bool cold = place;
	struct zcopy_worker *worker;
	struct vhost_task *task;
	sigset_t mask, old;

	lockdep_assert_held(&crew->hiring);
	if (READ_ONCE(crew->dead))
		return -ESRCH;
	if (current->flags & PF_EXITING)
		return -ERESTARTNOINTR;
	if (WARN_ON_ONCE(task_tgid(current) != crew->tgid) ||
	    crew->program != current->self_exec_id)
		return -ESRCH;
	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return -ENOMEM;
	worker->crew = crew;
	worker->cold = cold;
	worker->busy = true;
	worker->woken = true;
	worker->since = jiffies;
	worker->place = place;
	INIT_WORK(&worker->reap, reap);
	/* A pending signal keeps threads from being made. It can wait that long. */
	siginitsetinv(&mask, sigmask(SIGKILL) | sigmask(SIGSTOP));
	sigprocmask(SIG_BLOCK, &mask, &old);
	task = vhost_task_create(go_on, killed, worker,
				 cold ? "zcopy-disk" : "zcopy");
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (IS_ERR(task)) {
		kfree(worker);
		return PTR_ERR(task);
	}
	worker->task = task;
	refcount_inc(&crew->refs);
	spin_lock_irq(&crew->lock);
	zcopy_roster_add(worker);
	spin_unlock_irq(&crew->lock);
	vhost_task_start(task);
	return 0;
}

/* End the idle workers. Context: a thread of the program. */
void zcopy_worker_stop_idle(struct zcopy_crew *crew)
{
	struct zcopy_worker *worker;

	/*
	 * If this thread is to stop, the worker may have stopped already, and will not
	 * end before it goes on; and nobody is told that the process has stopped.
	 */
	while (!signal_pending(current)) {
		spin_lock_irq(&crew->lock);
		worker = zcopy_roster_find_idle(crew, true) ?: zcopy_roster_find_idle(crew, false);
		if (worker) {
			zcopy_roster_remove(worker);
			/* Pairs with zcopy_crew_hire(): one sees the other. */
			smp_mb();
			worker->stopping = zcopy_roster_is_needless(crew);
			if (!worker->stopping) {
				zcopy_roster_add(worker);
				worker = NULL;
			}
		}
		spin_unlock_irq(&crew->lock);
		if (!worker)
			break;
		end(worker);
	}
}
