// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users: what one user can make the kernel hold is limited over all his opens of
 * the device and all his processes. What is used in a user namespace is also used
 * by the owner of each namespace around it, who could make himself any number of
 * users else.
 */
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/poll.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "limits.h"
#include "user.h"

static DEFINE_HASHTABLE(users, 10);
static DEFINE_SPINLOCK(users_lock);	/* irq-safe */
static DEFINE_SPINLOCK(starving_lock);	/* zcopy_user.starving and .starved; irq-safe */

/* What a CPU may know of a counter that the others do not. */
static s32 batch_of(enum zcopy_use use)
{
	return use == ZCOPY_USE_MEMORY ? 16 * PAGE_SIZE : 16;
}

static s64 limit_of(enum zcopy_use use)
{
	switch (use) {
	case ZCOPY_USE_CONTEXTS:
		return zcopy_max_user_contexts();
	case ZCOPY_USE_TRANSFERS:
		return zcopy_max_user_transfers();
	case ZCOPY_USE_MEMORY:
		return (s64)zcopy_max_user_pages() << PAGE_SHIFT;
	case ZCOPY_USE_READS:
		return zcopy_max_user_reads();
	case ZCOPY_USE_LEASES:
		/* Each is an open file, of the user's own. */
		return rlimit(RLIMIT_NOFILE);
	default:
		break;
	}
	return S64_MAX;
}

/* One user may own any number of namespaces, and be in all of them. */
static unsigned long key_of(kuid_t uid, const struct user_namespace *ns)
{
	return __kuid_val(uid) ^ (unsigned long)ns;
}

static struct zcopy_user *find(kuid_t uid, const struct user_namespace *ns)
{
	struct zcopy_user *user;

	lockdep_assert_held(&users_lock);
	hash_for_each_possible(users, user, node, key_of(uid, ns))
		if (uid_eq(user->uid, uid) && user->ns == ns)
			return user;
	return NULL;
}

/* Who found room after all, as he was about to starve, is still there. */
static void forget_starving(struct zcopy_user *user)
{
	struct zcopy_starver *starver, *tmp;
	unsigned long flags;

	spin_lock_irqsave(&starving_lock, flags);
	list_for_each_entry_safe(starver, tmp, &user->starving, link)
		list_del_init(&starver->link);
	spin_unlock_irqrestore(&starving_lock, flags);
}

static void destroy(struct zcopy_user *user)
{
	int use;

	for (use = 0; use < ZCOPY_NR_USES; use++)
		WARN_ON_ONCE(percpu_counter_sum(&user->used[use]));
	forget_starving(user);
	percpu_counter_destroy_many(user->used, ZCOPY_NR_USES);
	put_user_ns(user->ns);
	kfree(user);
}

static struct zcopy_user *create(kuid_t uid, struct user_namespace *ns,
				 struct zcopy_user *up)
{
	struct zcopy_user *user = kzalloc(sizeof(*user), GFP_KERNEL_ACCOUNT);

	if (!user)
		return NULL;
	if (percpu_counter_init_many(user->used, 0, GFP_KERNEL_ACCOUNT,
				     ZCOPY_NR_USES)) {
		kfree(user);
		return NULL;
	}
	user->uid = uid;
	user->ns = get_user_ns(ns);
	user->up = up;
	refcount_set(&user->refs, 1);
	INIT_LIST_HEAD(&user->starving);
	return user;
}

/* Him, with a reference; takes over that on @up. */
static struct zcopy_user *get(kuid_t uid, struct user_namespace *ns,
			      struct zcopy_user *up)
{
	struct zcopy_user *user, *fresh = NULL;

	for (;;) {
		spin_lock_irq(&users_lock);
		user = find(uid, ns);
		if (user || fresh)
			break;
		spin_unlock_irq(&users_lock);
		fresh = create(uid, ns, up);
		if (!fresh) {
			zcopy_user_put(up);
			return NULL;
		}
	}
	if (user) {
		refcount_inc(&user->refs);
	} else {
		user = fresh;
		fresh = NULL;
		up = NULL;
		hash_add(users, &user->node, key_of(uid, ns));
	}
	spin_unlock_irq(&users_lock);
	if (fresh)
		destroy(fresh);
	zcopy_user_put(up);
	return user;
}

/* The owner of a namespace, in that around it; or NULL for the first one. */
static struct zcopy_user *get_owner(struct user_namespace *ns, bool *failed)
{
	struct user_namespace *chain[34], *around;	/* 32 are the most */
	struct zcopy_user *user = NULL;
	int nr = 0;

	for (; ns != &init_user_ns && nr < ARRAY_SIZE(chain); ns = ns->parent)
		chain[nr++] = ns;
	*failed = WARN_ON_ONCE(ns != &init_user_ns);
	while (nr-- && !*failed) {
		around = chain[nr]->parent;
		user = get(chain[nr]->owner, around, user);
		*failed = !user;
	}
	return user;
}

/**
 * zcopy_user_get - who pays for what is done with some credentials
 * @cred: they
 *
 * Return: him, with a reference; or NULL, there is no memory.
 */
struct zcopy_user *zcopy_user_get(const struct cred *cred)
{
	struct zcopy_user *owner;
	bool failed;

	owner = get_owner(cred->user_ns, &failed);
	return failed ? NULL : get(cred->uid, cred->user_ns, owner);
}

struct zcopy_user *zcopy_user_hold(struct zcopy_user *user)
{
	refcount_inc(&user->refs);
	return user;
}

/* Any context but hard interrupt. */
void zcopy_user_put(struct zcopy_user *user)
{
	struct zcopy_user *up;
	unsigned long flags;
	bool last;

	while (user && !refcount_dec_not_one(&user->refs)) {
		spin_lock_irqsave(&users_lock, flags);
		last = refcount_dec_and_test(&user->refs);
		if (last)
			hash_del(&user->node);
		spin_unlock_irqrestore(&users_lock, flags);
		if (!last)
			break;
		up = user->up;
		destroy(user);
		user = up;
	}
}

/* Is the user below his own limit? */
static bool has_some(struct zcopy_user *user, enum zcopy_use use)
{
	return __percpu_counter_compare(&user->used[use], limit_of(use),
					batch_of(use)) < 0;
}

/*
 * Root of the first namespace pays for the namespaces that he made, as for others'
 * who do not know of each other; but his limit is none of theirs.
 */
static bool is_limited(const struct zcopy_user *who, const struct zcopy_user *user)
{
	return who == user || who->ns != &init_user_ns ||
	       !uid_eq(who->uid, GLOBAL_ROOT_UID);
}

void zcopy_user_charge_anyway(struct zcopy_user *user, enum zcopy_use use, long n)
{
	for (; user; user = user->up)
		percpu_counter_add_batch(&user->used[use], n, batch_of(use));
}

/**
 * zcopy_user_charge - a user is to use something
 * @user: who
 * @use:  what
 * @n:    how much of it
 *
 * He is let in while he is below his limit, and may go beyond it with that.
 *
 * Context: process; with %ZCOPY_USE_LEASES the user's own.
 * Return: true; or false, his limit or that of one who pays for him is reached.
 */
bool zcopy_user_charge(struct zcopy_user *user, enum zcopy_use use, long n)
{
	struct zcopy_user *who;

	for (who = user; who; who = who->up)
		if (is_limited(who, user) && !(who != user && use == ZCOPY_USE_LEASES) &&
		    !has_some(who, use))
			return false;
	zcopy_user_charge_anyway(user, use, n);
	return true;
}

static bool has_room(struct zcopy_user *user)
{
	return has_some(user, ZCOPY_USE_TRANSFERS) &&
	       has_some(user, ZCOPY_USE_MEMORY) &&
	       has_some(user, ZCOPY_USE_READS);
}

/* So many are woken under the lock. */
#define AT_ONCE	32

static void wake_starving(struct zcopy_user *user)
{
	struct zcopy_starver *starver, *tmp;
	unsigned long flags;
	unsigned int nr;
	bool more;

	do {
		/* Who is told too early asks in vain. */
		if (!has_room(user))
			return;
		nr = 0;
		spin_lock_irqsave(&starving_lock, flags);
		list_for_each_entry_safe(starver, tmp, &user->starving, link) {
			list_del_init(&starver->link);
			zcopy_starver_wake_all(starver->wait);
			if (++nr == AT_ONCE)
				break;
		}
		more = !list_empty(&user->starving);
		WRITE_ONCE(user->starved, more);
		spin_unlock_irqrestore(&starving_lock, flags);
	} while (more);
}

/* Any context but hard interrupt. */
void zcopy_user_uncharge(struct zcopy_user *user, enum zcopy_use use, long n)
{
	for (; user; user = user->up) {
		percpu_counter_add_batch(&user->used[use], -n, batch_of(use));
		/* Pairs with zcopy_user_await_room(): one sees the other. */
		smp_mb();
		if (READ_ONCE(user->starved))
			wake_starving(user);
	}
}

u64 zcopy_user_uses(struct zcopy_user *user, enum zcopy_use use)
{
	return percpu_counter_sum_positive(&user->used[use]);
}

void zcopy_starver_init(struct zcopy_starver *starver, wait_queue_head_t *wait)
{
	INIT_LIST_HEAD(&starver->link);
	starver->wait = wait;
}

/* Nobody is to be woken any more. */
void zcopy_starver_leave(struct zcopy_starver *starver)
{
	unsigned long flags;

	spin_lock_irqsave(&starving_lock, flags);
	list_del_init(&starver->link);
	spin_unlock_irqrestore(&starving_lock, flags);
}

/**
 * zcopy_user_await_room - is one more transfer accepted of a user?
 * @user:    who
 * @starver: is woken when it may be, if not
 *
 * All that it takes is charged anyway then: who finds room by poll(2) is not refused
 * because he wants more than is left.
 *
 * Context: process.
 */
bool zcopy_user_await_room(struct zcopy_user *user,
			   struct zcopy_starver *starver)
{
	const struct zcopy_user *asks = user;

	for (; user; user = user->up) {
		if (!is_limited(user, asks) || has_room(user))
			continue;
		spin_lock_irq(&starving_lock);
		list_move(&starver->link, &user->starving);
		WRITE_ONCE(user->starved, true);
		spin_unlock_irq(&starving_lock);
		/* Pairs with zcopy_user_uncharge(). */
		smp_mb();
		if (!has_room(user))
			return false;
	}
	return true;
}
