// SPDX-License-Identifier: GPL-2.0-only
/*
 * The splice sink: a gather list becomes page references on the socket's skbs.
 * The stack takes references of its own, and marks the fragments as shared, so
 * that nobody downstream writes to them.
 */
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/dst.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "batch.h"
#include "sink.h"

static bool is_inet(const struct sock *sk)
{
	return sk->sk_family == AF_INET || sk->sk_family == AF_INET6;
}

/* Plain TCP, or TCP under kernel TLS; other protocols on top are not known. */
static bool is_known_tcp(struct sock *sk)
{
	bool known = true;

	if (!READ_ONCE(inet_csk(sk)->icsk_ulp_ops))
		return true;
	lock_sock(sk);
	if (inet_csk_has_ulp(sk))
		known = !strcmp(inet_csk(sk)->icsk_ulp_ops->name, "tls");
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

/**
 * zcopy_sink_check - can transfers go to a socket?
 * @socket: any socket
 *
 * Context: process; may sleep for the socket's lock.
 * Return: 0, -EPROTONOSUPPORT or -ENOTCONN.
 */
int zcopy_sink_check(struct socket *socket)
{
	if (!is_served(socket->sk))
		return -EPROTONOSUPPORT;
	if (READ_ONCE(socket->state) == SS_UNCONNECTED)
		return -ENOTCONN;
	return 0;
}

/**
 * zcopy_sink_send - hand a gather list to a socket
 * @socket: passed zcopy_sink_check()
 * @batch:  not empty; keeps its own references
 * @more:   more follows: hold back a last partial packet
 * @wait:   sleep for room, if the socket is a blocking one
 *
 * Return: bytes accepted, at least 1, or the socket's error.
 */
ssize_t zcopy_sink_send(struct socket *socket, struct zcopy_batch *batch,
			bool more, bool wait)
{
	struct msghdr msg = { .msg_flags = MSG_SPLICE_PAGES | MSG_NOSIGNAL };

	if (more)
		msg.msg_flags |= MSG_MORE;
	if (!wait || (READ_ONCE(socket->file->f_flags) & O_NONBLOCK))
		msg.msg_flags |= MSG_DONTWAIT;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, batch->vecs, batch->nr,
		      batch->bytes);
	return sock_sendmsg(socket, &msg);
}

/**
 * zcopy_sink_room - what a socket may take without waiting
 * @socket: passed zcopy_sink_check()
 *
 * An estimate from above, so that no folios are looked up that will not be
 * taken: TCP accepts an skb as long as anything is left of its send buffer.
 *
 * Return: bytes, 0 if there is no room.
 */
size_t zcopy_sink_room(struct socket *socket)
{
	struct sock *sk = socket->sk;

	/* One that will only give its error takes anything. */
	if (!sk_is_tcp(sk) || READ_ONCE(sk->sk_err) ||
	    (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN))
		return ZCOPY_BATCH_BYTES;
	if (!sk_stream_memory_free(sk))
		return 0;
	return min_t(size_t, sk_stream_wspace(sk) + GSO_LEGACY_MAX_SIZE,
		     ZCOPY_BATCH_BYTES);
}

/* Can the card the socket sends through gather and checksum? */
static bool route_gathers(struct sock *sk)
{
	netdev_features_t checksum = NETIF_F_HW_CSUM;
	netdev_features_t features = 0;
	struct dst_entry *dst;

	rcu_read_lock();
	dst = rcu_dereference(sk->sk_dst_cache);
	/* A transformation such as IPsec copies what it may not write to. */
	if (dst && !dst_xfrm(dst)) {
		checksum |= dst->ops->family == AF_INET6 ? NETIF_F_IPV6_CSUM :
							   NETIF_F_IP_CSUM;
		features = READ_ONCE(dst->dev)->features;
	}
	rcu_read_unlock();
	return (features & NETIF_F_SG) && (features & checksum);
}

/**
 * zcopy_sink_copies - does the kernel copy what this socket is given?
 * @socket: passed zcopy_sink_check(), and was just sent to
 *
 * MPTCP and vsock take no page references on the kernels served. TCP does
 * always, but the skbs are merged behind it where the card cannot gather.
 */
bool zcopy_sink_copies(struct socket *socket)
{
	struct sock *sk = socket->sk;

	if (sk->sk_family == AF_UNIX)
		return false;
	return !sk_is_tcp(sk) || !route_gathers(sk);
}

/* Set free what was held back for bytes that do not come after all. */
void zcopy_sink_push(struct socket *socket)
{
	const struct proto_ops *ops = READ_ONCE(socket->ops);

	if (ops->splice_eof)
		ops->splice_eof(socket);
}
