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
#include <linux/cpumask.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>

#include "worker.h"

/*
 * Of them one superblock has at most a half, and what may hang for as long as
 * somebody likes three quarters, so that no mount stops another one.
 */
static unsigned int max_cold = 16;
module_param_named(cold_workers, max_cold, uint, 0644);
MODULE_PARM_DESC(cold_workers,
		 "Threads of a process that may wait for disks and servers, by open of the device (default 16, at least 4)");

/* Another hot worker joins when the oldest work has waited for so long. */
#define STILL	DIV_ROUND_UP(HZ, 100)

/**
 * struct zcopy_worker - a thread of a crew
 * @link:     in zcopy_crew.workers
 * @crew:     a reference
 * @task:     the thread
 * @cold:     it may sleep for what others do
 * @busy:     it has work, was just woken, or closes files: not idle
 * @place:    of its work
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
	unsigned long place;
	bool stopping;
	struct work_struct reap;
};

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

#define HANGS	1UL	/* in a place */

static struct zcopy_work *to_work(struct rb_node *node)
{
	return rb_entry(node, struct zcopy_work, node);
}

static bool is_less(struct rb_node *a, const struct rb_node *b)
{
	const struct zcopy_work *x = to_work(a);
	const struct zcopy_work *y = rb_entry(b, struct zcopy_work, node);

	return x->place != y->place ? x->place < y->place :
				      x->number < y->number;
}

/* The oldest cold work of the first place from @place on, or NULL. */
static struct zcopy_work *first_from(const struct zcopy_crew *crew,
				     unsigned long place)
{
	struct rb_node *node = crew->cold.rb_node;
	struct zcopy_work *first = NULL;

	while (node) {
		if (to_work(node)->place < place) {
			node = node->rb_right;
			continue;
		}
		first = to_work(node);
		node = node->rb_left;
	}
	return first;
}

/* May one more worker sleep there? */
static bool may_sleep(const struct zcopy_crew *crew, unsigned long place)
{
	unsigned int max = max(READ_ONCE(max_cold), 4U);
	unsigned int there = 0, hanging = 0;
	const struct zcopy_worker *worker;

	list_for_each_entry(worker, &crew->workers, link) {
		there += (worker->place & ~HANGS) == (place & ~HANGS);
		hanging += worker->place & HANGS;
	}
	return there < max / 2 && (!(place & HANGS) || hanging < max - max / 4);
}

/* The place that comes next has its turn. */
static struct zcopy_work *take_cold(struct zcopy_crew *crew)
{
	unsigned long from = crew->served + 1;
	struct zcopy_work *work;
	bool again = false;

	lockdep_assert_held(&crew->lock);
	for (;;) {
		work = first_from(crew, from);
		if (again && (!work || work->place > crew->served))
			return NULL;
		if (work && may_sleep(crew, work->place))
			break;
		again |= !work;
		from = work ? work->place + 1 : 0;
	}
	rb_erase(&work->node, &crew->cold);
	crew->served = work->place;
	return work;
}

static struct zcopy_work *take_hot(struct zcopy_crew *crew)
{
	struct zcopy_work *work;

	lockdep_assert_held(&crew->lock);
	work = list_first_entry_or_null(&crew->hot, struct zcopy_work, link);
	if (work)
		list_del(&work->link);
	return work;
}

static struct zcopy_worker *find_idle(const struct zcopy_crew *crew, bool cold)
{
	struct zcopy_worker *worker;

	lockdep_assert_held(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link)
		if (worker->cold == cold && !worker->busy)
			return worker;
	return NULL;
}

static void wake_idle(struct zcopy_crew *crew, bool cold)
{
	struct zcopy_worker *worker = find_idle(crew, cold);

	if (!worker)
		return;
	worker->busy = true;
	vhost_task_wake(worker->task);
}

void zcopy_crew_put(struct zcopy_crew *crew)
{
	const struct zcopy_crew_ops *ops = crew->ops;
	struct pid *tgid = crew->tgid;

	if (!refcount_dec_and_test(&crew->refs))
		return;
	WARN_ON_ONCE(!list_empty(&crew->workers) || !list_empty(&crew->hot) ||
		     !RB_EMPTY_ROOT(&crew->cold) || atomic_read(&crew->load));
	put_pid(crew->asker);
	put_pid(tgid);
	mutex_destroy(&crew->hiring);
	ops->free(crew);
}

/* The process is gone, or about to: end all that it left. */
static void die(struct zcopy_crew *crew)
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
		work = take_hot(crew);
		if (!work && !RB_EMPTY_ROOT(&crew->cold)) {
			work = to_work(rb_first(&crew->cold));
			rb_erase(&work->node, &crew->cold);
		}
		crew->closed = !work;
		spin_unlock_irq(&crew->lock);
		if (work)
			work->run(work);
		cond_resched();
	} while (work);
}

/* Off the list of those who work. */
static void take_off(struct zcopy_worker *worker)
{
	struct zcopy_crew *crew = worker->crew;

	lockdep_assert_held(&crew->lock);
	list_del(&worker->link);
	if (worker->cold)
		crew->nr_cold--;
	else
		crew->nr_hot--;
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
		take_off(worker);
	spin_unlock_irq(&crew->lock);
	die(crew);
	if (!stopping)
		queue_work(reaper_wq, &worker->reap);
}

/* End the idle workers. Context: a thread of the program. */
static void stop_idle(struct zcopy_crew *crew)
{
	struct zcopy_worker *worker;

	for (;;) {
		bool needless;

		spin_lock_irq(&crew->lock);
		/* Nothing else is certain not to need one in a moment. */
		needless = crew->closed ||
			   (crew->leaving && !atomic_read(&crew->load));
		worker = find_idle(crew, true) ?: find_idle(crew, false);
		if (worker && needless) {
			worker->stopping = true;
			take_off(worker);
		} else {
			worker = NULL;
		}
		spin_unlock_irq(&crew->lock);
		if (!worker)
			break;
		end(worker);
	}
}

/*
 * Run hot work on a thread of the program, as long as it has no worker. What
 * would have to wait for one lies there again if a signal comes first.
 */
static void help(struct zcopy_crew *crew)
{
	struct zcopy_work *work;

	do {
		spin_lock_irq(&crew->lock);
		work = crew->leaving || !crew->nr_hot ? take_hot(crew) : NULL;
		spin_unlock_irq(&crew->lock);
		if (work)
			work->run(work);
	} while (work && (READ_ONCE(crew->leaving) || !signal_pending(current)));
}

static bool is_program(const struct task_struct *task)
{
	return !(task->flags & (PF_USER_WORKER | PF_KTHREAD | PF_EXITING));
}

/* Begin a visit, unless there is one. The caller sees to it that it happens. */
static bool begin_visit(struct zcopy_crew *crew)
{
	lockdep_assert_held(&crew->lock);
	if (crew->visiting)
		return false;
	crew->visiting = true;
	refcount_inc(&crew->refs);
	return true;
}

/* Find the thread that is to be visited. If there is one the crew may be gone. */
static bool send_visit(struct zcopy_crew *crew)
{
	struct task_struct *leader, *task;
	bool sent = false;

	rcu_read_lock();
	leader = pid_task(crew->tgid, PIDTYPE_TGID);
	task = pid_task(crew->asker, PIDTYPE_PID);
	if (task && is_program(task))
		sent = !task_work_add(task, &crew->visit, TWA_RESUME);
	if (leader && !sent) {
		for_each_thread(leader, task) {
			if (is_program(task) &&
			    !task_work_add(task, &crew->visit, TWA_RESUME)) {
				sent = true;
				break;
			}
		}
	}
	rcu_read_unlock();
	return sent;
}

/*
 * Have a thread of the program come by. If none is left, workers keep a process
 * alive that is over: as by a signal. And without any it is over in fact.
 */
static void ask(struct zcopy_crew *crew)
{
	if (send_visit(crew))
		return;
	if (READ_ONCE(crew->nr_hot) || READ_ONCE(crew->nr_cold))
		kill_pid(crew->tgid, SIGKILL, 1);
	else
		die(crew);
	spin_lock_irq(&crew->lock);
	crew->visiting = false;
	spin_unlock_irq(&crew->lock);
	zcopy_crew_put(crew);
}

static void ask_later(struct work_struct *work)
{
	ask(container_of(to_delayed_work(work), struct zcopy_crew, later));
}

/* On a thread of the program, on its way to user mode or at its end. */
static void visited(struct callback_head *head)
{
	struct zcopy_crew *crew = container_of(head, struct zcopy_crew, visit);
	bool again, later;

	do {
		if (!(current->flags & PF_EXITING))
			help(crew);
		stop_idle(crew);
		spin_lock_irq(&crew->lock);
		/* Who became idle meanwhile has not asked. */
		again = crew->leaving && !atomic_read(&crew->load) &&
			(find_idle(crew, false) || find_idle(crew, true));
		later = !again && !crew->nr_hot && !list_empty(&crew->hot);
		crew->visiting = again || later;
		spin_unlock_irq(&crew->lock);
	} while (again);
	if (later)
		queue_delayed_work(reaper_wq, &crew->later, 1);
	else
		zcopy_crew_put(crew);
}

/* Does the hot work lie there, with all who do it stuck? */
static bool is_still(struct zcopy_crew *crew)
{
	const struct zcopy_work *oldest;
	bool still = false;

	if (list_empty(&crew->hot))
		return false;
	spin_lock_irq(&crew->lock);
	oldest = list_first_entry_or_null(&crew->hot, struct zcopy_work, link);
	if (oldest && crew->nr_hot < cpumask_weight(current->cpus_ptr))
		still = time_after(jiffies, oldest->since + STILL) &&
			!find_idle(crew, false);
	spin_unlock_irq(&crew->lock);
	return still;
}

static int hire(struct zcopy_crew *crew, bool cold);

/*
 * This worker closes files now, sockets that linger say, which may take long: the
 * hot work is not to wait for that.
 */
static void leave_another(struct zcopy_crew *crew)
{
	bool lacks;

	spin_lock_irq(&crew->lock);
	lacks = crew->nr_hot <= cpumask_weight(current->cpus_ptr) &&
		!find_idle(crew, false);
	spin_unlock_irq(&crew->lock);
	if (lacks && mutex_trylock(&crew->hiring)) {
		hire(crew, false);
		mutex_unlock(&crew->hiring);
	}
}

/* Work that comes, or none is to come and a worker is to leave. */
static bool go_on(void *data)
{
	struct zcopy_worker *worker = data;
	struct zcopy_crew *crew = worker->crew;
	struct zcopy_work *work;
	bool leave = false;

	spin_lock_irq(&crew->lock);
	worker->place = 0;
	work = worker->cold ? take_cold(crew) : take_hot(crew);
	if (work && worker->cold)
		worker->place = work->place;
	worker->busy = work;
	/* With its last place it may have kept another one from theirs. */
	if (work && worker->cold && !RB_EMPTY_ROOT(&crew->cold))
		wake_idle(crew, true);
	if (!work && crew->leaving && !atomic_read(&crew->load))
		leave = begin_visit(crew);
	spin_unlock_irq(&crew->lock);
	if (!work && !leave)
		return false;

	/* It was called on its way to sleep. */
	__set_current_state(TASK_RUNNING);
	if (leave) {
		ask(crew);
		return true;
	}
	if (!worker->cold && is_still(crew) && mutex_trylock(&crew->hiring)) {
		hire(crew, false);
		mutex_unlock(&crew->hiring);
	}
	work->run(work);
	/* Files that had their last use here are closed on the way around. */
	if (task_work_pending(current)) {
		if (!worker->cold)
			leave_another(crew);
		set_thread_flag(TIF_NOTIFY_SIGNAL);
	}
	return true;
}

/* Make a worker; with @hiring held. */
static int hire(struct zcopy_crew *crew, bool cold)
{
	struct zcopy_worker *worker;
	struct vhost_task *task;
	sigset_t mask, old;

	lockdep_assert_held(&crew->hiring);
	if (READ_ONCE(crew->dead))
		return -ESRCH;
	if (current->flags & PF_EXITING)
		return -ERESTARTNOINTR;
	if (WARN_ON_ONCE(task_tgid(current) != crew->tgid))
		return -ESRCH;
	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return -ENOMEM;
	worker->crew = crew;
	worker->cold = cold;
	worker->busy = true;
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
	list_add(&worker->link, &crew->workers);
	if (cold)
		crew->nr_cold++;
	else
		crew->nr_hot++;
	spin_unlock_irq(&crew->lock);
	vhost_task_start(task);
	return 0;
}

/**
 * zcopy_crew_init - a crew without workers
 * @crew: all zero; with a reference for the caller
 * @ops:  its owner's
 * @tgid: the process
 */
void zcopy_crew_init(struct zcopy_crew *crew, const struct zcopy_crew_ops *ops,
		     struct pid *tgid)
{
	crew->ops = ops;
	crew->tgid = get_pid(tgid);
	refcount_set(&crew->refs, 1);
	mutex_init(&crew->hiring);
	spin_lock_init(&crew->lock);
	INIT_LIST_HEAD(&crew->hot);
	crew->cold = RB_ROOT;
	INIT_LIST_HEAD(&crew->workers);
	init_task_work(&crew->visit, visited);
	INIT_DELAYED_WORK(&crew->later, ask_later);
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
	int err = 0;

	if (READ_ONCE(crew->nr_hot) && !is_still(crew))
		return 0;
	if (mutex_lock_killable(&crew->hiring))
		return -EINTR;
	if (!READ_ONCE(crew->nr_hot) || is_still(crew))
		err = hire(crew, false);
	mutex_unlock(&crew->hiring);
	return READ_ONCE(crew->nr_hot) ? 0 : err;
}

/**
 * zcopy_crew_hot - queue work that needs no disk
 * @crew: has a hot worker
 * @work: with zcopy_work.run set; its own until it is run
 *
 * Context: any.
 * Return: false: the process is over, and nobody takes work.
 */
bool zcopy_crew_hot(struct zcopy_crew *crew, struct zcopy_work *work)
{
	unsigned long flags;
	bool closed;

	spin_lock_irqsave(&crew->lock, flags);
	closed = crew->closed;
	if (!closed) {
		work->since = jiffies;
		list_add_tail(&work->link, &crew->hot);
		wake_idle(crew, false);
	}
	spin_unlock_irqrestore(&crew->lock, flags);
	return !closed;
}

/* Is a cold worker there who comes back for more, be it a while? */
static bool has_cold(struct zcopy_crew *crew)
{
	const struct zcopy_worker *worker;
	bool has = false;

	spin_lock_irq(&crew->lock);
	list_for_each_entry(worker, &crew->workers, link)
		has = has || (worker->cold && !(worker->place & HANGS));
	spin_unlock_irq(&crew->lock);
	return has;
}

/* Must, and can, one more cold worker be made? */
static bool lacks_cold(struct zcopy_crew *crew)
{
	bool lacks;

	spin_lock_irq(&crew->lock);
	lacks = crew->nr_cold < max(READ_ONCE(max_cold), 4U) &&
		!find_idle(crew, true);
	spin_unlock_irq(&crew->lock);
	return lacks;
}

/**
 * zcopy_crew_cold - queue work that may sleep for others
 * @crew:  the calling process's
 * @work:  with zcopy_work.run set; its own until it is run
 * @sb:    what it may sleep for
 * @hangs: for as long as somebody likes: a server, a lock
 *
 * Context: a thread of the process; may sleep.
 * Return: 0, or an error of zcopy_crew_hire(): it is not queued.
 */
int zcopy_crew_cold(struct zcopy_crew *crew, struct zcopy_work *work,
		    const struct super_block *sb, bool hangs)
{
	int err = zcopy_crew_hire(crew);

	if (err)
		return err;
	if (lacks_cold(crew)) {
		if (mutex_lock_killable(&crew->hiring))
			return -EINTR;
		err = lacks_cold(crew) ? hire(crew, true) : 0;
		mutex_unlock(&crew->hiring);
		if (err && (err == -ERESTARTNOINTR || !has_cold(crew)))
			return err;
	}
	err = 0;
	spin_lock_irq(&crew->lock);
	if (crew->closed) {
		err = -ESRCH;
	} else {
		work->place = (unsigned long)sb | hangs;
		work->number = crew->arrived++;
		rb_add(&work->node, &crew->cold, is_less);
		wake_idle(crew, true);
	}
	spin_unlock_irq(&crew->lock);
	return err;
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
	work->since = jiffies;
	list_add_tail(&work->link, &crew->hot);
	wake_idle(crew, false);
	visit = begin_visit(crew);
	if (visit) {
		put_pid(crew->asker);
		crew->asker = get_pid(task_pid(current));
	}
	spin_unlock_irq(&crew->lock);
	if (visit)
		queue_delayed_work(reaper_wq, &crew->later, 1);
	return true;
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
	bool visit = false;

	spin_lock_irq(&crew->lock);
	crew->leaving = true;
	spin_unlock_irq(&crew->lock);
	if (!(current->flags & (PF_USER_WORKER | PF_KTHREAD)) &&
	    task_tgid(current) == crew->tgid) {
		help(crew);
		stop_idle(crew);
	}
	spin_lock_irq(&crew->lock);
	if (!atomic_read(&crew->load) && !list_empty(&crew->workers))
		visit = begin_visit(crew);
	spin_unlock_irq(&crew->lock);
	if (visit)
		ask(crew);
}

/* Has the calling process no other thread than this one and workers? */
static bool is_last(void)
{
	const struct task_struct *task;
	bool last = true;

	rcu_read_lock();
	for_each_thread(current, task)
		last = last && (task == current || !is_program(task));
	rcu_read_unlock();
	return last;
}

/**
 * zcopy_crew_abandon - a thread of the process closes its descriptors
 * @crew: the calling process's
 *
 * If that is because the last thread of the program ends by itself, and workers
 * are left, the process would never end. So it has ended, for them.
 *
 * Context: process; may sleep.
 */
void zcopy_crew_abandon(struct zcopy_crew *crew)
{
	if (!(current->flags & PF_EXITING) || !is_last() ||
	    READ_ONCE(current->signal->flags) & SIGNAL_GROUP_EXIT)
		return;
	die(crew);
	stop_idle(crew);
	/* One that sleeps for somebody else hears of it only so. */
	if (READ_ONCE(crew->nr_hot) || READ_ONCE(crew->nr_cold))
		kill_pid(crew->tgid, SIGKILL, 1);
}
