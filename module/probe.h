/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_PROBE_H
#define ZCOPY_PROBE_H

#include <linux/types.h>

struct sock;

/**
 * struct zcopy_probe - bytes of TCP that a probe may have a copy of
 * @sk:    whose; a reference. NULL: none may
 * @end:   sequence number behind them; once they are @acked, behind what had been
 *         sent then
 * @acked: the peer has them
 */
struct zcopy_probe {
	struct sock *sk;
	u32 end;
	bool acked;
};

bool zcopy_probe_is_on(const struct sock *sk);
void zcopy_probe_begin(struct zcopy_probe *probe, struct sock *sk);
bool zcopy_probe_may_hold(struct zcopy_probe *probe);
void zcopy_probe_end(struct zcopy_probe *probe);

#endif /* ZCOPY_PROBE_H */
