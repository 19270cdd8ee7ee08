// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TLS on top of TCP: what it keeps between its own lock and the socket's.
 */
#include <linux/string.h>
#include <net/inet_connection_sock.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/tls.h>

#include "tls.h"

/* Is it on top of a TCP socket? Under the socket's lock, or not to be relied on. */
bool zcopy_tls_is_on(const struct sock *sk)
{
	return inet_csk_has_ulp(sk) &&
	       !strcmp(inet_csk(sk)->icsk_ulp_ops->name, "tls");
}

/**
 * zcopy_tls_lags - does it hold records that the socket had no room for?
 * @sk: TCP's
 *
 * Context: process; may sleep for the socket's lock.
 */
bool zcopy_tls_lags(struct sock *sk)
{
	bool lags = false;

	if (!READ_ONCE(inet_csk(sk)->icsk_ulp_ops))
		return false;
	lock_sock(sk);
	if (zcopy_tls_is_on(sk) && !sk->sk_err &&
	    !(sk->sk_shutdown & SEND_SHUTDOWN)) {
		const struct tls_context *tls = tls_get_ctx(sk);

		lags = tls && tls->tx_conf == TLS_SW &&
		       !list_empty(&tls_sw_ctx_tx(tls)->tx_list);
	}
	release_sock(sk);
	return lags;
}

/**
 * zcopy_tls_may_push - are there bytes held back, and can they be set free?
 * @sk:   with kernel TLS
 * @last: without any wait. Else who has its lock is waited for, until the caller is
 *        killed
 *
 * Who sleeps for room in the socket has given back the socket's lock, but not that of
 * kernel TLS, which splice_eof waits for deaf to signals; and mostly for no byte, as
 * those that did not go into the socket are still his. Those that are held back go
 * with what is sent next.
 *
 * Context: process.
 */
bool zcopy_tls_may_push(struct sock *sk, bool last)
{
	struct tls_context *tls = tls_get_ctx(sk);

	if (!tls || (tls->tx_conf == TLS_SW &&
		     !READ_ONCE(tls->pending_open_record_frags)))
		return false;
	if (last)
		return !sock_owned_by_user_nocheck(sk) &&
		       !mutex_is_locked(&tls->tx_lock);
	if (mutex_lock_killable(&tls->tx_lock))
		return false;
	mutex_unlock(&tls->tx_lock);
	return true;
}
