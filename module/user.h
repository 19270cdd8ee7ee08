/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_USER_H
#define ZCOPY_USER_H

#include <linux/list.h>
#include <linux/percpu_counter.h>
#include <linux/poll.h>
#include <linux/refcount.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

struct cred;
struct user_namespace;

/* What a user can make the kernel hold. */
enum zcopy_use {
	ZCOPY_USE_CONTEXTS,
	ZCOPY_USE_TRANSFERS,	/* not released yet */
	ZCOPY_USE_MEMORY,	/* bytes, of all that is allocated for him */
	ZCOPY_USE_READS,	/* struct zcopy_read */
	ZCOPY_USE_LEASES,
	ZCOPY_NR_USES,
};

/**
 * struct zcopy_user - what one user has, by all opens and processes of his
 * @node:     in the hash of users
 * @uid:      who, in the first user namespace's numbers
 * @ns:       the namespace that he is in; a reference
 * @up:       the owner of that namespace, who pays too; a reference, or NULL
 * @refs:     each context, submitter, read and piece of memory
 * @used:     by enum zcopy_use
 * @starving: zcopy_starver.link
 * @starved:  @starving is not empty; read without the lock too
 */
struct zcopy_user {
	struct hlist_node node;
	kuid_t uid;
	struct user_namespace *ns;
	struct zcopy_user *up;
	refcount_t refs;
	struct percpu_counter used[ZCOPY_NR_USES];
	struct list_head starving;
	bool starved;
};

/**
 * struct zcopy_starver - who waits for a user's limits to have room
 * @link: in zcopy_user.starving
 * @wait: woken once with EPOLLOUT when there may be room
 */
struct zcopy_starver {
	struct list_head link;
	wait_queue_head_t *wait;
};

struct zcopy_user *zcopy_user_get(const struct cred *cred);
struct zcopy_user *zcopy_user_hold(struct zcopy_user *user);
void zcopy_user_put(struct zcopy_user *user);

bool zcopy_user_charge(struct zcopy_user *user, enum zcopy_use use, long n);
void zcopy_user_charge_anyway(struct zcopy_user *user, enum zcopy_use use, long n);
void zcopy_user_uncharge(struct zcopy_user *user, enum zcopy_use use, long n);
u64 zcopy_user_uses(struct zcopy_user *user, enum zcopy_use use);

void zcopy_starver_init(struct zcopy_starver *starver, wait_queue_head_t *wait);
bool zcopy_user_await_room(struct zcopy_user *user,
			   struct zcopy_starver *starver);
void zcopy_starver_leave(struct zcopy_starver *starver);

/*
 * There may be room. Of who waits for it all look, those by EPOLLEXCLUSIVE too: what is
 * room for one process is none for another.
 */
static inline void zcopy_starver_wake_all(wait_queue_head_t *wait)
{
	__wake_up(wait, TASK_INTERRUPTIBLE, 0, poll_to_key(EPOLLOUT));
}

/* Is it to be woken? It may just have been. */
static inline bool zcopy_starver_waits(const struct zcopy_starver *starver)
{
	return !list_empty_careful(&starver->link);
}

#endif /* ZCOPY_USER_H */
