// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracked sink: what a gather list referenced stays referenced until the
 * network has let go of the last skb made of it. The fragments have references
 * of their own: who is told too early that the network has let go frees nothing.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/timer.h>
#include <net/sock.h>

#include "batch.h"
#include "context.h"
#include "flight.h"
#include "pagecache.h"
#include "probe.h"
#include "release.h"
#include "submitter.h"
#include "transfer.h"

/*
 * A flight may share an skb with those behind it, and then ends with them. It
 * shares with no more than so many bytes, so that no memory waits for long.
 */
#define CHAIN_BYTES	ZCOPY_BATCH_BYTES

/**
 * struct zcopy_leg - what one transfer has in a flight
 * @xfer:  the transfer, with a use of it, if its release is waited for; or NULL
 * @range: the transfer's range that it brought folios in for
 * @end:   index behind its last folio
 */
struct zcopy_leg {
	struct zcopy_xfer *xfer;
	unsigned int range;
	unsigned int end;
};

/**
 * struct zcopy_flight - a gather list on its way through the network
 * @ubuf:     what the skbs refer to; its references are those of the skbs, of
 *            the flights that share one with this flight, and of the sender
 * @head:     the flight that all it shares skbs with end with; itself, if none
 * @next:     the next one of those, from the head on
 * @chain:    head only: bytes of all of them
 * @bytes:    bytes the target accepted
 * @watched:  the release of a transfer waits for it: nothing behind it shares
 *            an skb with it
 * @copied:   the kernel had to copy; set in any context
 * @counted:  that is in the books already
 * @context:  whose it is; a reference
 * @submitter: whose it is, if it has bytes of a transfer whose release is waited
 *            for, which keeps it; else NULL
 * @route:    see known_to_copy
 * @sk:       the socket, while it is sent to; under its lock
 * @starved:  it had no memory for what was to be attached
 * @work:     ends it, if there is a @submitter, where that may sleep
 * @probe:    what may keep its pages when the skbs are gone, if it is @watched
 * @again:    when that is looked at once more
 * @delay:    so long after the last time, in jiffies
 * @dropping: the superblock of folios that may have to leave the page cache, or
 *            NULL
 * @held:     of @folios, how many are page-cache folios
 * @nr_legs:  elements of @legs
 * @legs:     the transfers, if it is @watched
 * @folios:   each with a reference; zcopy_element in the lowest bits
 *
 * @head, @next, @chain and @watched are written under the socket's lock.
 */
struct zcopy_flight {
	struct ubuf_info ubuf;
	struct zcopy_flight *head;
	struct zcopy_flight *next;
	size_t chain;
	size_t bytes;
	bool watched;
	bool copied;
	bool counted;
	struct zcopy_context *context;
	struct zcopy_submitter *submitter;
	unsigned long route;
	struct sock *sk;
	bool starved;
	struct zcopy_work work;
	struct zcopy_probe probe;
	struct timer_list again;
	unsigned long delay;
	struct super_block *dropping;
	unsigned int held;
	unsigned int nr_legs;
	struct zcopy_leg legs[ZCOPY_BATCH_PARTS];
	unsigned long folios[];
};

#define KIND_MASK	3UL

/*
 * Sockets from which packets come back to this machine, so that the kernel
 * copies them; forgotten when another one falls on their place. A new socket
 * at the address of an old one may be taken for that: it is only less quick.
 */
#define ROUTE_BITS	10
static unsigned long known_to_copy[1 << ROUTE_BITS];

static unsigned long route_of(const struct socket *socket)
{
	return (unsigned long)socket->sk ^ socket->sk->sk_hash;
}

bool zcopy_flight_known_to_copy(const struct socket *socket)
{
	unsigned long route = route_of(socket);

	return READ_ONCE(known_to_copy[hash_long(route, ROUTE_BITS)]) == route;
}

/*
 * Shall this folio, one that the transfer brought in, leave the page cache?
 * @end: page offset behind it.
 */
static bool is_to_drop(const struct zcopy_leg *leg, unsigned long kind,
		       const struct folio *folio, pgoff_t end)
{
	const struct zcopy_range *range;

	if (zcopy_pagecache_used(folio))
		return false;
	if (kind == ZCOPY_ELEMENT_BROUGHT)
		return true;
	/* If not yet, then the flight with its last bytes does it. */
	range = &leg->xfer->ranges[leg->range];
	return READ_ONCE(leg->xfer->next) > leg->range ||
	       READ_ONCE(range->pos) >> PAGE_SHIFT >= end;
}

/*
 * Drop the references of a leg's folios, from @i on, and the folios that the
 * transfer brought in and nobody else used.
 */
static unsigned int drop_leg(const struct zcopy_flight *flight,
			     const struct zcopy_leg *leg, unsigned int i)
{
	struct file *file = NULL;
	pgoff_t first = 0, end = 0;

	if (leg->xfer && flight->dropping)
		file = zcopy_xfer_get_file(leg->xfer, leg->range);

	for (; i < leg->end; i++) {
		unsigned long kind = flight->folios[i] & KIND_MASK;
		struct folio *folio = (void *)(flight->folios[i] & ~KIND_MASK);
		pgoff_t index, next;
		bool drop;

		if (kind < ZCOPY_ELEMENT_BROUGHT || !file) {
			folio_put(folio);
			continue;
		}
		index = folio->index;
		next = folio_next_index(folio);
		drop = is_to_drop(leg, kind, folio, next);
		folio_put(folio);
		if (!drop)
			continue;
		if (index != end) {
			zcopy_pagecache_drop(file, first, end);
			first = index;
		}
		end = next;
	}
	if (file) {
		zcopy_pagecache_drop(file, first, end);
		fput(file);
	}
	return i;
}

/*
 * Nobody refers to the folios any more but this flight. Context: process, if
 * folios are to be dropped or a transfer of it may need that.
 */
static void land(struct zcopy_flight *flight)
{
	struct zcopy_context *context = flight->context;
	unsigned int i = 0, leg;

	if (flight->copied) {
		if (!flight->counted)
			zcopy_account_copied(&context->account, flight->bytes);
		WRITE_ONCE(known_to_copy[hash_long(flight->route, ROUTE_BITS)],
			   flight->route);
	}
	for (leg = 0; leg < flight->nr_legs; leg++)
		i = drop_leg(flight, &flight->legs[leg], i);
	zcopy_account_hold(&context->account, -(long)flight->held);

	for (leg = 0; leg < flight->nr_legs; leg++)
		if (flight->legs[leg].xfer)
			zcopy_release_put(flight->legs[leg].xfer, flight->copied);
	zcopy_probe_end(&flight->probe);
	kfree(flight);
	zcopy_context_put(context);
}

static void land_cold(struct zcopy_work *work)
{
	land(container_of(work, struct zcopy_flight, work));
}

static struct zcopy_crew *crew_of(const struct zcopy_flight *flight)
{
	return &flight->submitter->crew;
}

/* Longest time between two looks at what may have the pages, in jiffies. */
#define LOOK_TIME	(HZ / 4)

static void look_again(struct timer_list *timer)
{
	struct zcopy_flight *flight;

	flight = container_of(timer, struct zcopy_flight, again);
	rcu_read_lock();
	/* If its submitter is gone, only the folios are left of it. */
	if (!zcopy_crew_hot(crew_of(flight), &flight->work)) {
		flight->dropping = NULL;
		land(flight);
	}
	rcu_read_unlock();
}

/* In a hot worker, or whoever stands in for it: nothing is dropped there. */
static void land_hot(struct zcopy_work *work)
{
	struct zcopy_flight *flight;

	flight = container_of(work, struct zcopy_flight, work);
	if (zcopy_probe_may_hold(&flight->probe)) {
		flight->delay = clamp(2 * flight->delay, 1UL, LOOK_TIME + 0UL);
		mod_timer(&flight->again, jiffies + flight->delay);
		return;
	}
	flight->work.run = land_cold;
	if (!flight->dropping ||
	    zcopy_crew_cold(crew_of(flight), &flight->work,
			    (unsigned long)flight->dropping, NULL)) {
		flight->dropping = NULL;
		land(flight);
	}
}

/* No skb refers to a flight or to those it shared one with. */
static void land_chain(struct zcopy_flight *head)
{
	struct zcopy_flight *flight, *next;
	bool copied = false;

	/* Of an skb that had to copy only one of its flights was told. */
	for (flight = head; flight; flight = flight->next)
		copied |= READ_ONCE(flight->copied);
	for (flight = head; flight; flight = next) {
		next = flight->next;
		flight->copied = copied;
		/* If its submitter is gone, only the folios are left of it. */
		if (flight->submitter &&
		    zcopy_crew_hot(crew_of(flight), &flight->work))
			continue;
		flight->dropping = NULL;
		land(flight);
	}
}

/*
 * An skb is gone (or the sender done: @skb is NULL), and had to copy if not
 * @success. Any context but hard interrupt.
 */
static void skb_gone(struct sk_buff *skb, struct ubuf_info *ubuf, bool success)
{
	struct zcopy_flight *flight = container_of(ubuf, struct zcopy_flight, ubuf);

	rcu_read_lock();
	for (;;) {
		if (!success)
			WRITE_ONCE(flight->copied, true);
		if (!refcount_dec_and_test(&flight->ubuf.refcnt))
			goto out;
		if (flight->head == flight)
			break;
		/* Its own reference to the one it ends with. */
		flight = flight->head;
	}
	land_chain(flight);
out:
	rcu_read_unlock();
}

static const struct ubuf_info_ops flight_ops;

/*
 * May @skb, which the socket has not sent yet, get fragments of this flight?
 * It can belong to one flight only: this one then ends with that. Under the
 * socket's lock.
 */
static int link_skb(struct sk_buff *skb, struct ubuf_info *ubuf)
{
	struct zcopy_flight *flight = container_of(ubuf, struct zcopy_flight, ubuf);
	struct ubuf_info *other = skb_zcopy(skb);
	struct zcopy_flight *before;

	if (!other) {
		skb_zcopy_set(skb, ubuf, NULL);
		return 0;
	}
	if (other == ubuf)
		return 0;
	/* A fresh skb, please. */
	if (other->ops != &flight_ops || flight->head != flight || flight->next)
		return -EEXIST;
	before = container_of(other, struct zcopy_flight, ubuf);
	if (before->watched || before->context != flight->context ||
	    before->head->chain + flight->chain > CHAIN_BYTES)
		return -EEXIST;

	flight->head = before->head;
	flight->next = before->next;
	before->next = flight;
	flight->head->chain += flight->chain;
	net_zcopy_get(&flight->head->ubuf);
	return 0;
}

static const struct ubuf_info_ops flight_ops = {
	.complete = skb_gone,
	.link_skb = link_skb,
};

/*
 * TCP calls an skb of nothing but MSG_ZEROCOPY's fragments pure, and charges the
 * socket nothing for it: who sends that has pinned memory of his own and paid for
 * it. These are pages of the page cache, which count as sendfile(2)'s do: have the
 * socket's memory for them reserved, and the skb an ordinary one. Under the socket's
 * lock. Returns how many of @len bytes there is memory for.
 */
static size_t reserve(struct sk_buff *skb, size_t len)
{
	struct ubuf_info *ubuf = skb_zcopy(skb);
	struct zcopy_flight *flight = container_of(ubuf, struct zcopy_flight, ubuf);
	struct sock *sk = flight->sk;

	/* Of one with bytes TCP has asked itself. */
	if (skb->len || !skb_zcopy_pure(skb))
		return len;
	if (!sk_wmem_schedule(sk, len))
		len = clamp_t(long, sk->sk_forward_alloc, 0, len);
	if (len)
		skb_shinfo(skb)->flags &= ~SKBFL_PURE_ZEROCOPY;
	else
		flight->starved = true;
	return len;
}

/* Put what comes next of the gather list on an skb; as much as goes in. */
static int attach(struct sk_buff *skb, struct iov_iter *from, size_t length)
{
	struct skb_shared_info *shared = skb_shinfo(skb);
	const size_t wanted = reserve(skb, min(length, iov_iter_count(from)));
	const struct bio_vec *vec = from->bvec;
	size_t skip = from->iov_offset;
	unsigned int nr = shared->nr_frags;
	size_t left = wanted;

	/* The only error that ends the call. */
	if (!wanted)
		return -EFAULT;

	while (left) {
		skb_frag_t *last = nr ? &shared->frags[nr - 1] : NULL;
		size_t offset = vec->bv_offset + skip;
		size_t n = min(left, vec->bv_len - skip);

		if (last && skb_frag_page(last) == vec->bv_page &&
		    skb_frag_off(last) + skb_frag_size(last) == offset) {
			skb_frag_size_add(last, n);
		} else if (nr < MAX_SKB_FRAGS) {
			__skb_fill_page_desc_noacc(shared, nr++, vec->bv_page,
						   offset, n);
			get_page(vec->bv_page);
		} else {
			break;
		}
		left -= n;
		skip += n;
		if (skip == vec->bv_len) {
			vec++;
			skip = 0;
		}
	}
	shared->nr_frags = nr;
	from->nr_segs -= vec - from->bvec;
	from->bvec = vec;
	from->iov_offset = skip;
	from->count -= wanted - left;
	skb->data_len += wanted - left;
	skb->len += wanted - left;
	/* What the socket is charged: the bytes, whatever the folio's size. */
	skb->truesize += wanted - left;
	return left ? -EMSGSIZE : 0;
}

static struct zcopy_flight *create(const struct zcopy_batch *batch)
{
	struct zcopy_context *context = batch->parts[0].xfer->context;
	struct zcopy_flight *flight;
	unsigned int leg;

	flight = kmalloc(struct_size(flight, folios, batch->nr),
			 GFP_KERNEL_ACCOUNT);
	if (!flight)
		return NULL;
	flight->ubuf.ops = &flight_ops;
	flight->ubuf.flags = SKBFL_ZEROCOPY_FRAG | SKBFL_DONT_ORPHAN;
	refcount_set(&flight->ubuf.refcnt, 1);
	flight->head = flight;
	flight->next = NULL;
	flight->chain = batch->bytes;
	flight->bytes = 0;
	flight->watched = false;
	flight->copied = false;
	flight->context = context;
	flight->route = 0;
	flight->sk = NULL;
	flight->starved = false;
	flight->held = 0;
	flight->nr_legs = 0;
	for (leg = 0; leg < batch->nr_parts; leg++)
		flight->watched |= zcopy_release_wanted(batch->parts[leg].xfer);
	flight->dropping = NULL;
	flight->submitter = NULL;
	flight->work.run = land_hot;
	flight->probe.sk = NULL;
	flight->delay = 0;
	if (flight->watched)
		timer_setup(&flight->again, look_again, 0);
	/* The network may keep it long after the last descriptor is closed. */
	refcount_inc(&context->refs);
	return flight;
}

/* Is the last byte of an element its folio's last one? */
static bool ends_folio(const struct bio_vec *vec, struct folio *folio)
{
	size_t page = folio_page_idx(folio, vec->bv_page) * PAGE_SIZE;

	return page + vec->bv_offset + vec->bv_len == folio_size(folio);
}

static struct super_block *sb_of(const struct zcopy_leg *leg)
{
	return file_inode(leg->xfer->ranges[leg->range].file)->i_sb;
}

/* The target accepted @sent bytes: take over the references of @batch's folios. */
static void load(struct zcopy_flight *flight, struct zcopy_batch *batch,
		 size_t sent)
{
	unsigned int i = 0, held = 0, p;
	size_t left = sent;

	for (p = 0; left; p++) {
		const unsigned int end = zcopy_batch_end(batch, p);
		struct zcopy_xfer *xfer = batch->parts[p].xfer;
		struct zcopy_leg *leg = &flight->legs[p];

		leg->xfer = NULL;
		if (zcopy_release_wanted(xfer)) {
			leg->xfer = xfer;
			leg->range = xfer->brought.range;
			flight->submitter = xfer->submitter;
			zcopy_release_get(xfer);
		}
		for (; left && i < end; i++) {
			const struct bio_vec *vec = &batch->vecs[i];
			struct folio *folio = page_folio(vec->bv_page);
			enum zcopy_element kind = batch->kind[i];

			held += kind != ZCOPY_ELEMENT_MEMORY;
			if (kind == ZCOPY_ELEMENT_BROUGHT &&
			    (left < vec->bv_len || !ends_folio(vec, folio)))
				kind = ZCOPY_ELEMENT_PART;
			if (leg->xfer && kind >= ZCOPY_ELEMENT_BROUGHT)
				flight->dropping = sb_of(leg);
			flight->folios[i] = (unsigned long)folio | kind;
			left -= min_t(size_t, left, vec->bv_len);
		}
		leg->end = i;
	}
	flight->bytes = sent;
	flight->nr_legs = p;
	flight->held = held;
	zcopy_batch_give(batch, i, held);
}

/* It was copied, so that nobody refers to it but who runs the transfers. */
static void settle(struct zcopy_flight *flight)
{
	/* A call that waits does it all. */
	if (flight->dropping && flight->legs[flight->nr_legs - 1].xfer->queued)
		land_hot(&flight->work);
	else
		land(flight);
}

/**
 * zcopy_flight_send - hand a gather list to a socket and keep track of it
 * @socket: passed zcopy_sink_check(); one that takes MSG_ZEROCOPY, or @copy
 * @batch:  not empty; what is sent of it gives its references away
 * @flags:  MSG_* flags, for sock_sendmsg()
 * @copy:   have the socket copy the bytes, since it cannot keep track
 * @counted: the caller knows of itself that the kernel copies
 *
 * Return: bytes accepted, at least 1; -ENOMEM; -ENOSR, the socket has room but no
 * memory; or the socket's error.
 */
ssize_t zcopy_flight_send(struct socket *socket, struct zcopy_batch *batch,
			  unsigned int flags, bool copy, bool counted)
{
	struct msghdr msg = { .msg_flags = flags };
	struct zcopy_flight *flight;
	ssize_t sent;

	flight = create(batch);
	if (!flight)
		return -ENOMEM;
	flight->route = route_of(socket);
	flight->sk = socket->sk;
	flight->counted = counted;
	if (!copy) {
		msg.msg_flags |= MSG_ZEROCOPY;
		msg.msg_ubuf = &flight->ubuf;
		msg.sg_from_iter = attach;
	}
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, batch->vecs, batch->nr,
		      batch->bytes);
	sent = sock_sendmsg(socket, &msg);
	if (sent > 0)
		load(flight, batch, sent);
	else if (flight->starved)
		sent = -ENOSR;
	if (sent > 0 && flight->watched && !copy)
		zcopy_probe_begin(&flight->probe, socket->sk);
	if (copy)
		settle(flight);
	else
		skb_gone(NULL, &flight->ubuf, true);
	return sent;
}

/**
 * zcopy_flight_copy - have a target copy a gather list
 * @batch: not empty; what is copied of it gives its references away
 * @copy:  does it, and returns the bytes or an error
 *
 * For who waits for the release: it is here, with all that belongs to it.
 *
 * Return: what @copy returned, or -ENOMEM.
 */
ssize_t zcopy_flight_copy(struct zcopy_batch *batch,
			  ssize_t (*copy)(struct zcopy_batch *batch))
{
	struct zcopy_flight *flight;
	ssize_t sent;

	flight = create(batch);
	if (!flight)
		return -ENOMEM;
	sent = copy(batch);
	if (sent > 0)
		load(flight, batch, sent);
	settle(flight);
	return sent;
}
