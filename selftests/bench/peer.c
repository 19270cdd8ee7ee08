// SPDX-License-Identifier: GPL-2.0-only
/* The measured server's side of its talk with the client. */
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

static int accept_one(int listener)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		err(1, "accept");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		err(1, "TCP_NODELAY");
	return fd;
}

int peer_listen(void)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_port = htons(PEER_PORT),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		err(1, "SO_REUSEADDR");
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		err(1, "listen");
	return fd;
}

/* The client connects its control connection first. */
int peer_meet(int listener)
{
	return accept_one(listener);
}

static void give_order(int control, const struct peer_order *order)
{
	if (write(control, order, sizeof(*order)) != sizeof(*order))
		err(1, "order to the client");
}

/*
 * Have the client open @count connections, which take the place of those it
 * had; closing their server side is the caller's.
 */
void peer_open(int listener, int control, int *sockets, unsigned int count,
	       unsigned int receive_buffer)
{
	struct peer_order order = {
		.what = PEER_OPEN,
		.count = count,
		.receive_buffer = receive_buffer,
	};
	unsigned int i;

	give_order(control, &order);
	for (i = 0; i < count; i++)
		sockets[i] = accept_one(listener);
}

/*
 * Have the client read @bytes from each connection, one after the other; until
 * then it reads none.
 * It answers whenever it has read another @step bytes of all of them together.
 */
void peer_read(int control, uint64_t bytes, uint64_t step)
{
	struct peer_order order = {
		.what = PEER_READ,
		.bytes = bytes,
		.step = step,
	};

	give_order(control, &order);
}

/* Wait for one answer. */
void peer_wait(int control)
{
	char answer;

	if (read(control, &answer, 1) != 1)
		errx(1, "the client is gone");
}
