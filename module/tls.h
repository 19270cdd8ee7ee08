/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_TLS_H
#define ZCOPY_TLS_H

#include <linux/types.h>

struct sock;

bool zcopy_tls_is_on(const struct sock *sk);
bool zcopy_tls_lags(struct sock *sk);
bool zcopy_tls_may_push(struct sock *sk, bool last);

#endif /* ZCOPY_TLS_H */
