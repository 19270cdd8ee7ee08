// SPDX-License-Identifier: GPL-2.0-only
/* Kernel TLS above a full socket. */
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tls.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "records.h"

#define RECEIVED	8192	/* what the receiver has room for */
#define SENT	(8 * RECEIVED)	/* so that its steps give the sender little */

/* Nothing is on its way: what it holds waits until the receiver has room. */
static bool is_settled(int fd)
{
	int queued, unsent;

	if (ioctl(fd, SIOCOUTQ, &queued) || ioctl(fd, SIOCOUTQNSD, &unsent))
		die("ask the socket");
	return queued && queued == unsent;
}

/* As many bytes as go, until no more do. */
static void fill(int fd)
{
	static const char bytes[512];
	uint64_t since = 0;
	bool full = false;

	while (!full || !is_settled(fd)) {
		ssize_t sent = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			die("send");
		full = sent < 0;
		if (!patience(&since))
			die("the socket does not become full");
	}
}

/* Of its memory it may use a byte or two more. */
static void leave_little_room(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t len = sizeof(memory);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len))
		die("SO_MEMINFO");
	set_send_buffer(fd, memory[SK_MEMINFO_WMEM_QUEUED] / 2 + 1);
}

void records_open(struct pair *pair)
{
	pair_open(pair, TCP4, RECEIVED);
	set_send_buffer(pair->tx, SENT);
	fill(pair->tx);
	leave_little_room(pair->tx);
	if (tls_start(pair->tx, TLS_TX, TLS))
		die("kernel TLS");
	set_nonblocking(pair->rx);
}
