// SPDX-License-Identifier: GPL-2.0-only
/*
 * The client of the measured servers: opens connections and reads what comes
 * from them, without looking at it, as the server orders.
 *
 *   client ADDRESS
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

static struct sockaddr_in server = { .sin_family = AF_INET };
static int *connections;
static unsigned int nr_connections;

static void set_bytes(int fd, int option, unsigned int bytes)
{
	if (bytes && setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes)))
		err(1, "socket option %d", option);
}

/* Returns -1 when the server is not there yet. */
static int connect_one(const struct peer_order *order)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		err(1, "socket");
	set_bytes(fd, SO_RCVBUF, order->receive_buffer);
	if (!connect(fd, (struct sockaddr *)&server, sizeof(server)))
		return fd;
	if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ETIMEDOUT)
		err(1, "connect");
	close(fd);
	return -1;
}

/* The server's machine may still be booting. */
static int connect_control(void)
{
	struct peer_order plain = { 0 };
	int fd;

	while ((fd = connect_one(&plain)) < 0)
		usleep(100 * 1000);
	return fd;
}

static void open_connections(const struct peer_order *order)
{
	unsigned int i;

	for (i = 0; i < nr_connections; i++)
		close(connections[i]);
	nr_connections = order->count;
	connections = reallocarray(connections, nr_connections,
				   sizeof(*connections));
	if (!connections)
		err(1, "%u connections", nr_connections);

	for (i = 0; i < nr_connections; i++) {
		connections[i] = connect_one(order);
		if (connections[i] < 0)
			errx(1, "connection %u was refused", i);
	}
}

/* Read once from a connection, without copying. Return: bytes. */
static uint64_t read_some(int fd, uint64_t most)
{
	ssize_t n = recv(fd, NULL, most, MSG_TRUNC);

	if (n < 0)
		err(1, "recv");
	if (!n)
		errx(1, "the server closed early");
	return n;
}

/*
 * One connection after the other: how a connection fares does not depend on how
 * many others wait.
 */
static void read_all(const struct peer_order *order, int control)
{
	uint64_t step = order->step;
	unsigned int i;

	for (i = 0; i < nr_connections; i++) {
		uint64_t left = order->bytes;

		while (left) {
			uint64_t n = read_some(connections[i],
					       left < step ? left : step);

			left -= n;
			step -= n;
			if (step)
				continue;
			step = order->step;
			if (write(control, "", 1) != 1)
				err(1, "answer");
		}
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = { 1 << 20, 1 << 20 };
	struct peer_order order;
	ssize_t n;
	int control;

	if (argc != 2 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1)
		errx(2, "usage: client ADDRESS");
	server.sin_port = htons(PEER_PORT);
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");

	control = connect_control();
	while ((n = recv(control, &order, sizeof(order), MSG_WAITALL)) ==
	       sizeof(order)) {
		if (order.what == PEER_OPEN)
			open_connections(&order);
		else
			read_all(&order, control);
	}
	if (n)
		err(1, "control connection");
	return 0;
}
