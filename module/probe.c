// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP's probes for a larger MTU. A probe is made of the pages of packets that were
 * not sent yet, with references of its own, and these packets are dropped: who
 * waits for them to go waits for too little. A connection probes from its beginning
 * (net.ipv4.tcp_mtu_probing = 2), or, while that is not 0, once it seems to be a
 * black hole; and never stops.
 */
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "probe.h"

/* Does TCP probe on this connection, from now on at the latest? */
bool zcopy_probe_is_on(const struct sock *sk)
{
	return inet_csk(sk)->icsk_mtup.enabled;
}

/**
 * zcopy_probe_begin - all that a socket has taken may come to be in a probe
 * @probe: to be passed to zcopy_probe_end()
 * @sk:    TCP's
 */
void zcopy_probe_begin(struct zcopy_probe *probe, struct sock *sk)
{
	sock_hold(sk);
	probe->sk = sk;
	probe->end = READ_ONCE(tcp_sk(sk)->write_seq);
	probe->acked = false;
}

/* Some of it is still to be acknowledged by the peer. */
static bool is_on_its_way(const struct zcopy_probe *probe, u32 unacked)
{
	/* If it was not written at all, the socket has another connection now. */
	return after(probe->end, unacked) &&
	       !after(probe->end, READ_ONCE(tcp_sk(probe->sk)->write_seq));
}

/**
 * zcopy_probe_may_hold - may a probe still have the pages of what was sent?
 * @probe: of packets that are gone
 *
 * TCP drops a probe when the peer has its bytes. One that it sent once more just
 * before may wait for the card until then: until nothing of the socket does, or what
 * was sent behind it has arrived.
 */
bool zcopy_probe_may_hold(struct zcopy_probe *probe)
{
	const struct sock *sk = probe->sk;
	u32 unacked;

	if (!sk || !zcopy_probe_is_on(sk))
		return false;
	unacked = READ_ONCE(tcp_sk(sk)->snd_una);
	if (READ_ONCE(sk->sk_state) != TCP_CLOSE && !probe->acked) {
		if (is_on_its_way(probe, unacked))
			return true;
		probe->acked = true;
		probe->end = READ_ONCE(tcp_sk(sk)->snd_nxt);
	}
	return sk_wmem_alloc_get(sk) && !after(unacked, probe->end);
}

/* Nobody waits for them any more. Any context but hard interrupt. */
void zcopy_probe_end(struct zcopy_probe *probe)
{
	if (probe->sk)
		sock_put(probe->sk);
	probe->sk = NULL;
}
