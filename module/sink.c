// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where gather lists go: which targets are served, and by which sink. Sockets
 * have two. The splice sink has the stack take page references of its own. The
 * tracked sink (flight.c) keeps those of the gather list until the network lets
 * go. Both mark the fragments as shared, so that nobody downstream writes to
 * them. Pipes (pipe.c) and files (copy.c) have one each.
 */
#include <linux/moduleparam.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/dst.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "batch.h"
#include "copy.h"
#include "flight.h"
#include "pipe.h"
#include "probe.h"
#include "release.h"
#include "sink.h"
#include "tls.h"
#include "transfer.h"

static bool is_inet(const struct sock *sk)
{
	return sk->sk_family == AF_INET || sk->sk_family == AF_INET6;
}

/* Plain TCP, or TCP under kernel TLS; other protocols on top are not known. */
static bool is_known_tcp(struct sock *sk)
{
	bool known;

	if (!READ_ONCE(inet_csk(sk)->icsk_ulp_ops))
		return true;
	lock_sock(sk);
	known = !inet_csk_has_ulp(sk) || zcopy_tls_is_on(sk);
	release_sock(sk);
	return known;
}

/*
 * Only protocols whose way out leaves shared fragments alone: page-cache pages
 * are read-only to all that is downstream.
 */
static bool is_served(struct sock *sk)
{
	if (sk->sk_type != SOCK_STREAM)
		return false;
	if (is_inet(sk))
		return sk->sk_protocol == IPPROTO_MPTCP ||
		       (sk->sk_protocol == IPPROTO_TCP && is_known_tcp(sk));
	return sk->sk_family == AF_UNIX || sk->sk_family == AF_VSOCK;
}

/* Was it ever connected, or is about to be? Newer AF_UNIX tells its sock alone. */
static bool is_connected(const struct socket *socket)
{
	const struct sock *sk = socket->sk;

	if (sk->sk_family == AF_UNIX)
		return READ_ONCE(sk->sk_state) == TCP_ESTABLISHED;
	return READ_ONCE(socket->state) != SS_UNCONNECTED;
}

static int check_socket(const struct socket *socket)
{
	if (!is_served(socket->sk))
		return -EPROTONOSUPPORT;
	return is_connected(socket) ? 0 : -ENOTCONN;
}

/* Is it of a kind that can be a target at all? */
bool zcopy_sink_knows(struct file *target)
{
	return sock_from_file(target) || zcopy_pipe_of(target) ||
	       zcopy_sink_is_file(target);
}

/* May open files wait in it for a receiver, so that it keeps them open? */
bool zcopy_sink_holds_files(struct file *target)
{
	const struct socket *socket = target ? sock_from_file(target) : NULL;

	return socket && socket->sk->sk_family == AF_UNIX;
}

/**
 * zcopy_sink_check - can transfers go to an open file?
 * @target: any
 * @offset: where the first byte is to go
 *
 * Context: process; may sleep for a socket's lock.
 * Return: 0, -ENOTSOCK, -EBADF, -EPROTONOSUPPORT, -ENOTCONN or -EINVAL.
 */
int zcopy_sink_check(struct file *target, loff_t offset)
{
	const struct socket *socket = sock_from_file(target);
	int err;

	if (!zcopy_sink_knows(target))
		return -ENOTSOCK;
	if (zcopy_sink_is_file(target))
		return zcopy_copy_check(target);
	err = socket ? check_socket(socket) : zcopy_pipe_check(target);
	if (!err && offset)
		return -EINVAL;
	return err;
}

/* The card that a socket's packets go to, as far as it is known. */
struct route {
	bool gathers;	/* it gathers and checksums, so nothing is copied */
	bool returns;	/* it hands them to a receiver on this machine */
};

static struct route route_of(struct sock *sk)
{
	netdev_features_t checksum = NETIF_F_HW_CSUM;
	struct route route = {};
	struct dst_entry *dst;

	rcu_read_lock();
	dst = rcu_dereference(sk->sk_dst_cache);
	/* A transformation such as IPsec copies what it may not write to. */
	if (dst && !dst_xfrm(dst)) {
		netdev_features_t features = READ_ONCE(dst->dev->features);

		checksum |= dst->ops->family == AF_INET6 ? NETIF_F_IPV6_CSUM :
							   NETIF_F_IP_CSUM;
		route.gathers = (features & NETIF_F_SG) && (features & checksum);
		route.returns = READ_ONCE(dst->dev->flags) & IFF_LOOPBACK;
	}
	rcu_read_unlock();
	return route;
}

/*
 * Gather lists from so many bytes on go to the tracked sink: it puts them on packets
 * in whole stretches, where the splice sink goes from page to page. Below that a
 * flight costs as much.
 */
static unsigned int track_from = SZ_8K;
module_param(track_from, uint, 0644);
MODULE_PARM_DESC(track_from,
		 "Bytes at once from which on pages are tracked until the network has let go of them (default 8192)");

enum way {
	WAY_SPLICE,	/* only the fragments have references */
	WAY_TRACK,	/* a flight has them, too; TCP only */
	WAY_COPY,	/* the socket copies, and a flight ends at once */
};

/*
 * Can a flight tell when the network has let go of a socket's packets? TCP that
 * probes for a larger MTU makes the probe of pages of packets that it has not sent,
 * with references of its own, and drops those packets. And a program that sends
 * with MSG_ZEROCOPY itself cannot do so behind a packet of ours that waits: ENOBUFS.
 */
static bool can_track(const struct socket *socket)
{
	const struct sock *sk = socket->sk;

	return sk_is_tcp(sk) && test_bit(SOCK_SUPPORT_ZC, &socket->flags) &&
	       !sock_flag(sk, SOCK_ZEROCOPY) && !zcopy_probe_is_on(sk);
}

/*
 * The one place that chooses between the sinks. Who waits for the release gets
 * it: of the bytes, or where nobody could tell, of a copy. Others get what is
 * least work; where packets come back, tracking would have the kernel copy.
 */
static enum way choose(const struct socket *socket,
		       const struct zcopy_batch *batch,
		       const struct route *route)
{
	const struct zcopy_part *last = &batch->parts[batch->nr_parts - 1];

	/* Nothing follows one that waits for its release. */
	if (zcopy_release_wanted(last->xfer))
		return can_track(socket) ? WAY_TRACK : WAY_COPY;
	if (batch->bytes >= READ_ONCE(track_from) && route->gathers &&
	    !route->returns && can_track(socket) &&
	    !zcopy_flight_known_to_copy(socket))
		return WAY_TRACK;
	return WAY_SPLICE;
}

static ssize_t splice(struct socket *socket, struct zcopy_batch *batch,
		      unsigned int flags)
{
	struct msghdr msg = { .msg_flags = flags | MSG_SPLICE_PAGES };

	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, batch->vecs, batch->nr,
		      batch->bytes);
	return sock_sendmsg(socket, &msg);
}

/*
 * Many small parts fill an skb long before a packet is full. TCP then sends that
 * small packet, and Nagle's algorithm holds the rest until it is acknowledged,
 * which receivers put off for 40 ms. The program handed all of it over at once:
 * let the rest go; while the card is busy TCP may gather it first, as ever. Bytes
 * of which none was sent yet wait as those of send(2) do.
 */
static bool has_rest(const struct sock *sk, u32 start)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	/* TCP_NODELAY or TCP_CORK: it is as the program wants it. */
	return !tp->nonagle && READ_ONCE(sk->sk_send_head) &&
	       after(READ_ONCE(tp->snd_nxt), start);
}

static void send_rest(struct socket *socket, u32 start)
{
	struct sock *sk = socket->sk;
	bool rest;

	/* Mostly not, and that is seen without the lock. */
	if (!has_rest(sk, start))
		return;
	lock_sock(sk);
	rest = has_rest(sk, start);
	if (rest)
		tcp_sk(sk)->nonagle |= TCP_NAGLE_PUSH;	/* until more is queued */
	release_sock(sk);
	/* A cork that another thread sets from here on stays, and holds nothing. */
	if (rest)
		tcp_prot.splice_eof(socket);
}

static ssize_t send_socket(struct file *target, struct zcopy_batch *batch,
			   bool more, bool wait, bool *copied)
{
	struct socket *socket = sock_from_file(target);
	struct sock *sk = socket->sk;
	unsigned int flags = MSG_NOSIGNAL;
	struct route route = {};
	ssize_t sent;
	enum way way;
	u32 start = 0;

	if (more)
		flags |= MSG_MORE;
	if (!wait || (READ_ONCE(target->f_flags) & O_NONBLOCK))
		flags |= MSG_DONTWAIT;
	if (sk_is_tcp(sk)) {
		route = route_of(sk);
		start = READ_ONCE(tcp_sk(sk)->write_seq);
	}
	way = choose(socket, batch, &route);
	*copied = way == WAY_COPY ||
		  (sk->sk_family != AF_UNIX && !route.gathers);
	if (way == WAY_SPLICE)
		sent = splice(socket, batch, flags);
	else
		sent = zcopy_flight_send(socket, batch, flags, way == WAY_COPY,
					 *copied);
	if (sent > 0 && !more && sk_is_tcp(sk))
		send_rest(socket, start);
	/* TCP_FASTOPEN_CONNECT connects with the first byte, if that cannot go along. */
	if (sent == -EINPROGRESS || sent == -EALREADY)
		return -EAGAIN;
	return sent;
}

/**
 * zcopy_sink_share - have a target take bytes without a gather list
 * @xfer: with ranges left
 *
 * Return: bytes of the first range that are in the target now; or 0, it cannot.
 */
size_t zcopy_sink_share(struct zcopy_xfer *xfer)
{
	return zcopy_sink_is_file(xfer->target) ? zcopy_copy_share(xfer) : 0;
}

/**
 * zcopy_sink_send - hand a gather list to its target
 * @target: passed zcopy_sink_check()
 * @batch:  not empty; the target may get references from it
 * @more:   more follows: hold back a last partial packet
 * @wait:   sleep for room, if the target zcopy_sink_blocks()
 * @copied: set to whether the kernel is known to copy what it takes. MPTCP and
 *          vsock take no page references on the kernels served. TCP does
 *          always, but the skbs are merged where the card cannot gather
 *
 * Return: bytes accepted, at least 1, or the target's error.
 */
ssize_t zcopy_sink_send(struct file *target, struct zcopy_batch *batch,
			bool more, bool wait, bool *copied)
{
	const struct zcopy_part *last = &batch->parts[batch->nr_parts - 1];
	bool released = zcopy_release_wanted(last->xfer);
	bool file = zcopy_sink_is_file(target);

	*copied = false;
	if (!target)
		return batch->bytes;
	if (sock_from_file(target))
		return send_socket(target, batch, more, wait, copied);
	/* Who reads a pipe lets go of a page when he likes, and tells nobody. */
	*copied = file || released;
	if (released)
		return zcopy_flight_copy(batch, file ? zcopy_copy_write :
						       zcopy_pipe_copy);
	return file ? zcopy_copy_write(batch) : zcopy_pipe_send(batch);
}

/**
 * zcopy_sink_ready - is there room in a target, or an error that it will give?
 * @target: passed zcopy_sink_check()
 * @table:  as for vfs_poll()
 *
 * An error queue that nobody reads, of time stamps say, is neither.
 */
bool zcopy_sink_ready(struct file *target, poll_table *table)
{
	const struct socket *socket = sock_from_file(target);
	__poll_t events = vfs_poll(target, table);

	if (socket && !READ_ONCE(socket->sk->sk_err) &&
	    !(READ_ONCE(socket->sk->sk_shutdown) & SEND_SHUTDOWN))
		events &= ~EPOLLERR;
	return events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
}

/* For how long a blocking target waits for room, in jiffies; else 0. */
long zcopy_sink_patience(struct file *target)
{
	const struct socket *socket;

	if (!target || READ_ONCE(target->f_flags) & O_NONBLOCK)
		return 0;
	socket = sock_from_file(target);
	return socket ? READ_ONCE(socket->sk->sk_sndtimeo) :
			MAX_SCHEDULE_TIMEOUT;
}

/*
 * May a call that waited for a target, and was interrupted before its first byte,
 * begin anew? Not if its time would begin anew, too: see signal(7).
 */
bool zcopy_sink_restarts(struct file *target)
{
	long patience = zcopy_sink_patience(target);

	return !patience || patience == MAX_SCHEDULE_TIMEOUT;
}

/* Who waits for room in a socket or pipe sleeps there. */
static wait_queue_head_t *sleepers(struct file *target)
{
	struct pipe_inode_info *pipe = zcopy_pipe_of(target);

	return pipe ? &pipe->wr_wait : sk_sleep(sock_from_file(target)->sk);
}

/*
 * Who does not want to wait may go by the next edge. Of what has room and took
 * nothing, as somebody has its lock or memory is missing, there would be none.
 */
static void tell_of_room(struct file *target)
{
	if (target && !zcopy_sink_is_file(target) && zcopy_sink_ready(target, NULL))
		wake_up_interruptible_poll(sleepers(target),
					   EPOLLOUT | EPOLLWRNORM);
}

/**
 * zcopy_sink_wait - sleep until there may be room in a socket or pipe
 * @target:   passed zcopy_sink_check()
 * @patience: jiffies left, of zcopy_sink_patience()
 * @in_vain:  how often in a row this was called and the target took nothing
 *            then; it may say that there is room where only memory is missing
 *
 * Comes back for a signal too, and now and then, for the caller to look
 * whether it is to go on.
 *
 * Return: 0, or -EAGAIN when no patience is left.
 */
int zcopy_sink_wait(struct file *target, long *patience, unsigned int in_vain)
{
	struct pipe_inode_info *pipe = zcopy_pipe_of(target);
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	long slice = min_t(long, *patience, HZ / 2);
	wait_queue_head_t *head;

	if (!*patience) {
		tell_of_room(target);
		return -EAGAIN;
	}
	head = sleepers(target);
	if (pipe) {
		/* There may be room, but somebody have the lock. */
		if (mutex_lock_interruptible(&pipe->mutex))
			return 0;
		mutex_unlock(&pipe->mutex);
	}
	add_wait_queue(head, &wait);
	if (zcopy_sink_ready(target, NULL))
		slice = in_vain ? min(slice, 1L << min(in_vain, 10U)) : 0;
	if (slice) {
		long left = wait_woken(&wait, TASK_INTERRUPTIBLE, slice);

		if (*patience != MAX_SCHEDULE_TIMEOUT)
			*patience -= slice - left;
	}
	remove_wait_queue(head, &wait);
	return 0;
}

/* Are those who wait at @head, one of @target's, woken when there is room? */
bool zcopy_sink_wakes(struct file *target, const wait_queue_head_t *head)
{
	const struct pipe_inode_info *pipe = zcopy_pipe_of(target);

	return !pipe || head == &pipe->wr_wait;
}

/**
 * zcopy_sink_room - what a target may take without waiting
 * @target: passed zcopy_sink_check()
 *
 * An estimate from above, so that no folios are looked up that will not be
 * taken: TCP accepts an skb as long as anything is left of its send buffer.
 *
 * Return: bytes, 0 if there is no room.
 */
size_t zcopy_sink_room(struct file *target)
{
	const struct pipe_inode_info *pipe;
	const struct socket *socket;
	struct sock *sk;

	if (!target)
		return ZCOPY_BATCH_BYTES;
	pipe = zcopy_pipe_of(target);
	if (pipe)
		return zcopy_pipe_room(pipe);
	socket = sock_from_file(target);
	if (!socket)
		return ZCOPY_BATCH_BYTES;
	sk = socket->sk;
	/* One that will only give its error takes anything. */
	if (!sk_is_tcp(sk) || READ_ONCE(sk->sk_err) ||
	    (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		return ZCOPY_BATCH_BYTES;
	if (!sk_stream_memory_free(sk))
		return 0;
	return min_t(size_t, sk_stream_wspace(sk) + GSO_LEGACY_MAX_SIZE,
		     ZCOPY_BATCH_BYTES);
}

/**
 * zcopy_sink_lags - does a socket hold what it took, ahead of its own queue?
 * @target: passed zcopy_sink_check()
 *
 * Kernel TLS accepts bytes before the records made of them go into a full
 * socket, and drops those records when the program then shuts it down or
 * closes it. It gets rid of them by itself as room comes.
 *
 * Context: process; may sleep for the socket's lock.
 */
bool zcopy_sink_lags(struct file *target)
{
	struct socket *socket = target ? sock_from_file(target) : NULL;

	return socket && sk_is_tcp(socket->sk) && zcopy_tls_lags(socket->sk);
}

/**
 * zcopy_sink_push - set free what was held back for bytes that do not come after all
 * @target: passed zcopy_sink_check(), or NULL
 * @last:   the process ends, and what else it has left is not to wait for who has the
 *          socket's lock. TCP sends what it holds back by itself, a little later;
 *          kernel TLS does not
 *
 * Context: process; may sleep for the socket's lock.
 */
void zcopy_sink_push(struct file *target, bool last)
{
	struct socket *socket = target ? sock_from_file(target) : NULL;
	struct sock *sk = socket ? socket->sk : NULL;

	if (!sk || !READ_ONCE(socket->ops)->splice_eof)
		return;
	if (sk_is_tcp(sk) && zcopy_tls_is_on(sk)) {
		if (!zcopy_tls_may_push(sk, last))
			return;
	} else if (last) {
		return;
	}
	READ_ONCE(socket->ops)->splice_eof(socket);
}

/**
 * zcopy_sink_close_by_nobody - a kernel thread is about to drop a target
 * @target: passed zcopy_sink_check(), or NULL
 *
 * As at the end of a process, who closes it last lingers for nobody: all that the
 * kernel closes for others would wait behind that.
 * Whoever else could have the socket's lock for long would have it open.
 *
 * Context: process; may sleep for the socket's lock.
 */
void zcopy_sink_close_by_nobody(struct file *target)
{
	struct socket *socket = target ? sock_from_file(target) : NULL;
	struct sock *sk = socket ? socket->sk : NULL;

	/* With no time at all it is not lingering, but an abort. */
	if (!sk || file_count(target) > 1 || !sock_flag(sk, SOCK_LINGER) ||
	    !READ_ONCE(sk->sk_lingertime))
		return;
	lock_sock(sk);
	sock_reset_flag(sk, SOCK_LINGER);
	release_sock(sk);
}
