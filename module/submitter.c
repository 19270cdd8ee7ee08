// SPDX-License-Identifier: GPL-2.0-only
/*
 * Submitters: a context may be open in several processes, by fork() or over a
 * socket. Each is one of its own, from the first transfer to its end, or until it
 * executes another program.
 */
#include <linux/cred.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "context.h"
#include "submitter.h"

static struct zcopy_submitter *of_crew(struct zcopy_crew *crew)
{
	return container_of(crew, struct zcopy_submitter, crew);
}

/* The process is gone: end what it submitted. */
static void died(struct zcopy_crew *crew)
{
	struct zcopy_submitter *submitter = of_crew(crew);
	struct zcopy_context *context = submitter->context;
	bool linked;

	spin_lock(&context->lock);
	submitter->dead = true;
	linked = !list_empty(&submitter->link);
	list_del_init(&submitter->link);
	spin_unlock(&context->lock);
	context->ops->died(submitter);
	/* Not the last one: the worker that hears of it has one. */
	if (linked)
		zcopy_submitter_put(submitter);
}

static void release(struct zcopy_crew *crew)
{
	struct zcopy_submitter *submitter = of_crew(crew);
	struct zcopy_context *context = submitter->context;

	WARN_ON_ONCE(!list_empty(&submitter->flying));
	zcopy_starver_leave(&submitter->starver);
	zcopy_user_put(submitter->user);
	kfree(submitter);
	zcopy_context_put(context);
}

static const struct zcopy_crew_ops submitter_crew_ops = {
	.died = died,
	.free = release,
};

static struct zcopy_submitter *create(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter;

	submitter = kzalloc(sizeof(*submitter), GFP_KERNEL_ACCOUNT);
	if (!submitter)
		return NULL;
	submitter->user = zcopy_user_get(current_cred());
	if (!submitter->user) {
		kfree(submitter);
		return NULL;
	}
	zcopy_crew_init(&submitter->crew, &submitter_crew_ops);
	submitter->context = context;
	refcount_inc(&context->refs);
	zcopy_starver_init(&submitter->starver, &context->wait);
	INIT_LIST_HEAD(&submitter->flying);
	return submitter;
}

/*
 * The calling process's submitter, or NULL. Without a worker nobody has told of
 * another program that it executes: what the one before it has left is over then.
 * With zcopy_context.lock held, which is given back in between.
 */
static struct zcopy_submitter *find(struct zcopy_context *context)
	__must_hold(&context->lock)
{
	struct zcopy_submitter *submitter;

again:
	lockdep_assert_held(&context->lock);
	list_for_each_entry(submitter, &context->submitters, link) {
		if (submitter->crew.tgid != task_tgid(current))
			continue;
		if (submitter->crew.program == current->self_exec_id)
			return submitter;
		list_del_init(&submitter->link);
		spin_unlock(&context->lock);
		zcopy_worker_die(&submitter->crew);
		zcopy_submitter_put(submitter);
		spin_lock(&context->lock);
		goto again;
	}
	return NULL;
}

/* Nobody uses it, nor is its process, if that is still there, to hear of room. */
static bool is_useless(const struct zcopy_submitter *submitter)
{
	bool gone;

	if (refcount_read(&submitter->crew.refs) > 1)
		return false;
	rcu_read_lock();
	gone = !pid_task(submitter->crew.tgid, PIDTYPE_TGID);
	rcu_read_unlock();
	return gone || !zcopy_starver_waits(&submitter->starver);
}

/* One that would stay after its process. */
static struct zcopy_submitter *find_useless(const struct zcopy_context *context)
{
	struct zcopy_submitter *submitter;

	lockdep_assert_held(&context->lock);
	list_for_each_entry(submitter, &context->submitters, link)
		if (is_useless(submitter))
			return submitter;
	return NULL;
}

/**
 * zcopy_submitter_get - what the calling process is to a context, for a new transfer
 * @context: open in it
 *
 * Return: it, with a reference for the caller; or NULL, there is no memory.
 */
struct zcopy_submitter *zcopy_submitter_get(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter, *useless = NULL, *fresh = NULL;

	for (;;) {
		spin_lock(&context->lock);
		submitter = find(context);
		if (submitter || fresh)
			break;
		spin_unlock(&context->lock);
		fresh = create(context);
		if (!fresh)
			return NULL;
	}
	if (!submitter) {
		/* One comes, one goes: there are no more than live ones and one. */
		useless = find_useless(context);
		if (useless)
			list_del_init(&useless->link);
		submitter = fresh;
		fresh = NULL;
		list_add(&submitter->link, &context->submitters);
	}
	refcount_inc(&submitter->crew.refs);
	spin_unlock(&context->lock);
	/* It goes on. Not when a worker is made: a close may have come before that. */
	if (READ_ONCE(submitter->crew.parting))
		WRITE_ONCE(submitter->crew.parting, false);
	if (useless)
		zcopy_submitter_put(useless);
	if (fresh)
		zcopy_submitter_put(fresh);
	return submitter;
}

/**
 * zcopy_submitter_find - what the calling process is to a context by now
 * @context: open in it
 *
 * Return: it, with a reference for the caller; or NULL, it has submitted nothing.
 */
struct zcopy_submitter *zcopy_submitter_find(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter;

	spin_lock(&context->lock);
	submitter = find(context);
	if (submitter)
		refcount_inc(&submitter->crew.refs);
	spin_unlock(&context->lock);
	return submitter;
}

/* The last descriptor of the context is gone, and its transfers are to end. */
void zcopy_submitter_leave_all(struct zcopy_context *context)
{
	struct zcopy_submitter *submitter;

	for (;;) {
		spin_lock(&context->lock);
		submitter = list_first_entry_or_null(&context->submitters,
						     struct zcopy_submitter, link);
		if (submitter)
			list_del_init(&submitter->link);
		spin_unlock(&context->lock);
		if (!submitter)
			break;
		zcopy_crew_leave(&submitter->crew);
		zcopy_submitter_put(submitter);
	}
}
