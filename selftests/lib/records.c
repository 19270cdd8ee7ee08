// SPDX-License-Identifier: GPL-2.0-only
/* Kernel TLS above a full socket. */
#include <linux/tls.h>

#include "call.h"
#include "records.h"

#define BUFFER	8192

void records_open(struct pair *pair)
{
	pair_open(pair, TCP4, BUFFER);
	if (tls_start(pair->tx, TLS_TX, TLS))
		die("kernel TLS");
	set_nonblocking(pair->rx);
}

uint64_t records_taken(int device, const struct part *part)
{
	struct zcopy_completion done;
	struct pair pair;

	records_open(&pair);
	set_nonblocking(pair.tx);
	if (send_parts(device, pair.tx, part, 1, 0, &done) ||
	    done.error != -EAGAIN)
		die("the socket is not full");
	pair_close(&pair);
	return done.bytes;
}
