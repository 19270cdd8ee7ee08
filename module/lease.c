// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: from its submission to its release nobody changes the files of a
 * transfer that asked for that, or the transfer is told in time.
 */
#include <linux/file.h>
#include <linux/filelock.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/timer.h>

#include "compat.h"
#include "context.h"
#include "lease.h"
#include "submitter.h"
#include "transfer.h"
#include "user.h"

/*
 * A transfer stops so long before the time of a broken lease runs out: what
 * the socket has then may still get to the peer, and be released.
 */
#define MARGIN	(HZ / 4)

/**
 * struct zcopy_lease - a transfer's lease on one of its files
 * @next:     the transfer's next one
 * @refs:     the transfer, and @deadline or @work while they are under way
 * @file:     its own, as a lease belongs to an open file and the program may
 *            have one on its own
 * @submitter: whose it is; a reference
 * @ops:      the transfer's
 * @xfer:     the transfer, NULL once the lease is dropped; under
 *            zcopy_context.lock
 * @broken:   somebody waits for it; set under the inode's lock of leases
 * @deadline: when the time runs out
 * @work:     ends the transfer then
 */
struct zcopy_lease {
	struct zcopy_lease *next;
	refcount_t refs;
	struct file *file;
	struct zcopy_submitter *submitter;
	const struct zcopy_xfer_ops *ops;
	struct zcopy_xfer *xfer;
	bool broken;
	struct timer_list deadline;
	struct zcopy_work work;
};

/* A lease, and the open file that it is on; as much as that takes, about. */
#define MEMORY	(sizeof(struct zcopy_lease) + 512)

static void uncharge(struct zcopy_user *user)
{
	zcopy_user_uncharge(user, ZCOPY_USE_LEASES, 1);
	zcopy_user_uncharge(user, ZCOPY_USE_MEMORY, MEMORY);
}

static void lease_put(struct zcopy_lease *lease)
{
	struct zcopy_submitter *submitter = lease->submitter;

	if (!refcount_dec_and_test(&lease->refs))
		return;
	uncharge(submitter->user);
	kfree(lease);
	zcopy_submitter_put(submitter);
}

static void expire(struct zcopy_work *work)
{
	struct zcopy_lease *lease = container_of(work, struct zcopy_lease, work);

	lease->ops->expire(lease->submitter->context, &lease->xfer);
	lease_put(lease);
}

/* The time is over: the submitter's worker has to end the transfer. Softirq. */
static void deadline(struct timer_list *timer)
{
	struct zcopy_lease *lease;

	lease = container_of(timer, struct zcopy_lease, deadline);
	/* If nobody takes work any more, the transfer has ended. */
	if (!zcopy_crew_hot(&lease->submitter->crew, &lease->work))
		lease_put(lease);
}

/* Somebody wants to change the file; called once, under a spinlock. */
static bool lease_break(struct file_lease *file_lease)
{
	struct zcopy_lease *lease = file_lease->c.flc_owner;
	unsigned long now = jiffies, end = file_lease->fl_break_time, delay = 0;

	WRITE_ONCE(lease->broken, true);
	if (end && time_after(end, now + MARGIN))
		delay = end - now - MARGIN;
	refcount_inc(&lease->refs);
	/* Not set before; and if it was, the transfer has a reference. */
	if (WARN_ON_ONCE(mod_timer(&lease->deadline, now + delay)))
		refcount_dec(&lease->refs);
	/* It goes when the pages are released, or when its time is over. */
	return false;
}

/* Who has the file open for writing keeps it, as fcntl(F_SETLEASE) has it. */
static int __maybe_unused lease_conflict(struct file *file, int type)
{
	return inode_is_open_for_write(file_inode(file)) ? -EAGAIN : 0;
}

static const struct lease_manager_operations lease_operations = {
	.lm_break = lease_break,
	.lm_change = lease_modify,
	ZCOPY_COMPAT_LEASE_CONFLICT(lease_conflict)
};

static int set_lease(struct zcopy_lease *lease)
{
	struct file_lease *file_lease = locks_alloc_lease();
	int err;

	if (!file_lease)
		return -ENOMEM;
	locks_init_lease(file_lease);
	file_lease->fl_lmops = &lease_operations;
	file_lease->c.flc_flags = FL_LEASE;
	file_lease->c.flc_type = F_RDLCK;
	file_lease->c.flc_owner = lease;
	file_lease->c.flc_pid = current->tgid;
	file_lease->c.flc_file = lease->file;
	/* The rules of fcntl(F_SETLEASE): whose files, which security module. */
	err = vfs_setlease(lease->file, F_RDLCK, &file_lease, NULL);
	if (file_lease)
		locks_free_lease(file_lease);
	return err == -EINVAL ? -ENOLCK : err;
}

/**
 * zcopy_lease_take - take a lease for a transfer
 * @xfer: not in any queue yet
 * @file: one of its files
 *
 * Context: the submitter's.
 * Return: 0; -EAGAIN, it is open for writing or somebody waits for that, or
 * somebody has a lease to write;
 * -EACCES, another user's; -EMFILE, the user has as many as he may have open files;
 * -ENOLCK, there are no leases, or they would not help; -ENOMEM, or what the
 * filesystem or a security module says.
 */
int zcopy_lease_take(struct zcopy_xfer *xfer, struct file *file)
{
	struct zcopy_user *user = xfer->submitter->user;
	struct zcopy_lease *lease;
	int err;

	/* What can be written to without being opened cannot be guarded. */
	if (file_inode(file)->i_sb->s_flags & SB_NOUSER)
		return -ENOLCK;
	if (zcopy_user_charge(user, ZCOPY_USE_LEASES, 1))
		;
	else if (capable(CAP_SYS_RESOURCE))
		zcopy_user_charge_anyway(user, ZCOPY_USE_LEASES, 1);
	else
		return -EMFILE;
	zcopy_user_charge_anyway(user, ZCOPY_USE_MEMORY, MEMORY);
	err = -ENOMEM;
	lease = kzalloc(sizeof(*lease), GFP_KERNEL_ACCOUNT);
	if (!lease)
		goto uncharge;
	/* Who has a lease to write is told, and not waited for. */
	lease->file = dentry_open(&file->f_path,
				  O_RDONLY | O_LARGEFILE | O_NONBLOCK, file->f_cred);
	if (IS_ERR(lease->file)) {
		err = PTR_ERR(lease->file);
		goto free;
	}
	refcount_set(&lease->refs, 1);
	lease->submitter = xfer->submitter;
	lease->ops = xfer->ops;
	lease->xfer = xfer;
	lease->work.run = expire;
	timer_setup(&lease->deadline, deadline, 0);

	err = set_lease(lease);
	if (err)
		goto close;
	refcount_inc(&lease->submitter->crew.refs);
	lease->next = xfer->leases;
	xfer->leases = lease;
	return 0;

close:
	fput(lease->file);
free:
	kfree(lease);
uncharge:
	uncharge(user);
	return err;
}

/* Does somebody wait for a lease of the transfer? */
bool zcopy_lease_broken(const struct zcopy_xfer *xfer)
{
	const struct zcopy_lease *lease;

	for (lease = xfer->leases; lease; lease = lease->next)
		if (READ_ONCE(lease->broken))
			return true;
	return false;
}

/**
 * zcopy_lease_drop - let those who wait go on
 * @xfer:   whose leases are no longer needed
 * @lapsed: set to true if the time of one ran out before, else left alone
 *
 * Context: process; may sleep.
 * Return: somebody did wait.
 */
bool zcopy_lease_drop(struct zcopy_xfer *xfer, bool *lapsed)
{
	struct zcopy_lease *lease;
	bool broken = false;

	while ((lease = xfer->leases)) {
		void *owner = lease;

		xfer->leases = lease->next;
		spin_lock(&xfer->context->lock);
		lease->xfer = NULL;
		spin_unlock(&xfer->context->lock);
		/* None is left of one whose time ran out. */
		if (kernel_setlease(lease->file, F_UNLCK, NULL, &owner))
			*lapsed = true;
		broken |= lease->broken;
		fput(lease->file);
		if (timer_delete(&lease->deadline))
			lease_put(lease);
		lease_put(lease);
	}
	return broken;
}
