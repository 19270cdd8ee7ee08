// SPDX-License-Identifier: GPL-2.0-only
/*
 * The release: the moment the network no longer references any page of a
 * transfer. Until then the transfer is in use: by who runs it, and by each
 * flight that has bytes of it and whose end somebody wants to know.
 */
#include <linux/wait_bit.h>

#include "context.h"
#include "lease.h"
#include "release.h"
#include "submitter.h"
#include "transfer.h"

/* One more use, by a user. */
void zcopy_release_get(struct zcopy_xfer *xfer)
{
	atomic_inc(&xfer->uses);
}

/**
 * zcopy_release_put - one use less; the last one ends the transfer
 * @xfer:   gone, for the caller
 * @copied: this user had to copy
 *
 * Context: process; may sleep. Any but hard interrupt for one that was lost.
 */
void zcopy_release_put(struct zcopy_xfer *xfer, bool copied)
{
	int left;

	if (copied)
		WRITE_ONCE(xfer->copied, true);
	left = atomic_dec_return(&xfer->uses);
	WARN_ON_ONCE(left < 0);
	if (!left)
		xfer->ops->released(xfer);
	else if (left == 1)
		wake_up_var(&xfer->uses);
}

/**
 * zcopy_release_leave - who ran a transfer needs it no longer
 * @xfer: over; gone, for the caller
 *
 * What is waited for is left to the flights that have bytes of it; and to the end
 * of the submitter, if that comes first.
 *
 * Context: process; may sleep.
 */
void zcopy_release_leave(struct zcopy_xfer *xfer)
{
	struct zcopy_submitter *submitter = xfer->submitter;
	bool dead;

	if (zcopy_release_wanted(xfer)) {
		spin_lock(&xfer->context->lock);
		dead = submitter->dead;
		if (!dead)
			list_add_tail(&xfer->link, &submitter->flying);
		spin_unlock(&xfer->context->lock);
		if (dead)
			xfer->ops->lost(xfer);
	}
	zcopy_release_put(xfer, false);
}

/**
 * zcopy_release_lose - the submitter of transfers is gone before their release
 * @submitter: dead
 *
 * Their flights keep the pages, and nothing else of them.
 *
 * Context: process; may sleep.
 */
void zcopy_release_lose(struct zcopy_submitter *submitter)
{
	struct zcopy_context *context = submitter->context;
	struct zcopy_xfer *xfer;
	bool used;

	for (;;) {
		spin_lock(&context->lock);
		xfer = list_first_entry_or_null(&submitter->flying,
						struct zcopy_xfer, link);
		if (xfer) {
			list_del_init(&xfer->link);
			/* If not, somebody is about to release it. */
			used = atomic_inc_not_zero(&xfer->uses);
		}
		spin_unlock(&context->lock);
		if (!xfer)
			break;
		if (!used)
			continue;
		xfer->ops->lost(xfer);
		zcopy_release_put(xfer, false);
	}
}

/**
 * zcopy_release_wait - wait until nobody but the caller uses a transfer
 * @xfer: it is over; the caller's use is the only one that is not a flight's
 *
 * Return: 0 or -ERESTARTSYS.
 */
int zcopy_release_wait(struct zcopy_xfer *xfer)
{
	return wait_var_event_interruptible(&xfer->uses,
					    atomic_read(&xfer->uses) == 1);
}

/**
 * zcopy_release_result - the completion of a transfer that is over
 * @xfer:     with a use of it by the caller
 * @released: nobody else uses it; its leases are dropped
 *
 * Context: process; may sleep if @released.
 * Return: what is known of it now.
 */
struct zcopy_completion zcopy_release_result(struct zcopy_xfer *xfer,
					     bool released)
{
	struct zcopy_completion result = xfer->result;
	bool broken, lapsed = false;

	if (released)
		broken = zcopy_lease_drop(xfer, &lapsed);
	else
		broken = zcopy_lease_broken(xfer);
	if (broken)
		result.flags |= ZCOPY_C_LEASE_BROKEN;
	if (READ_ONCE(xfer->copied))
		result.flags |= ZCOPY_C_COPIED;
	/* Who had a lease relies on the file as it was until now. */
	if (released && zcopy_release_wanted(xfer) && !lapsed)
		result.flags |= ZCOPY_C_RELEASED;
	return result;
}
