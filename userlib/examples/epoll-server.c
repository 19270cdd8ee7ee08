// SPDX-License-Identifier: GPL-2.0-only
/*
 * An HTTP file server in one thread that never blocks, neither for a slow
 * client nor for a slow disk: responses go through the queue of /dev/zcopy,
 * whose descriptor stands in the epoll set beside the sockets.
 *
 *	epoll-server PORT FOLDER
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcopy/queue.h>
#include "http.h"

#define EVENTS		64
#define COMPLETIONS	256
/* Responses of one connection under way; what more it asks for waits. */
#define PIPELINE	16

struct connection {
	int fd;
	unsigned int pending;	/* transfers submitted and not complete */
	bool closing;		/* no more requests: close when none pends */
	size_t used;
	char data[REQUEST_MAX];	/* requests that are not answered yet */
};

static struct zcopy *queue;
static int poller, listener, root;
static bool clients_wait;	/* there was no descriptor for the next one */

static bool watch(int fd, void *data)
{
	/* Edge-triggered: each socket is added once and read until empty. */
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
		.data.ptr = data,
	};

	return !epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

/* Frees the connection once nothing of it is under way. */
static bool finish(struct connection *connection)
{
	if (!connection->closing || connection->pending)
		return false;
	close(connection->fd);
	free(connection);
	return true;
}

static void send_response(struct connection *connection,
			  const struct response *response)
{
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer;
	int error;

	zcopy_prep_response(&transfer, segments, connection->fd,
			    response->header, response->header_length,
			    response->fd, 0, response->size,
			    (uintptr_t)connection);
	if (!response->size)
		transfer.nr_segments = 1;	/* length 0 would mean all */

	/* The queue takes its own references: the file can be closed. */
	if (zcopy_submit(queue, &transfer, 1, &error) == 1)
		connection->pending++;
	else
		connection->closing = true;
	http_close(response->fd);
	connection->closing |= response->close;
}

static void answer(struct connection *connection)
{
	struct response response;
	int size;

	while (!connection->closing && connection->pending < PIPELINE) {
		size = http_answer(root, connection->data, connection->used,
				   &response);
		if (size < 0)
			connection->closing = true;
		if (size <= 0)
			return;
		connection->used -= size;
		memmove(connection->data, connection->data + size,
			connection->used);
		send_response(connection, &response);
	}
}

/* Read and answer until there is nothing to read or enough is under way. */
static void serve(struct connection *connection)
{
	while (!connection->closing && connection->pending < PIPELINE) {
		ssize_t n = recv(connection->fd,
				 connection->data + connection->used,
				 REQUEST_MAX - connection->used, MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			connection->closing = true;
			break;
		}
		connection->used += n;
		answer(connection);
	}
	finish(connection);
}

static void accept_one(int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection)
		connection->fd = fd;
	if (connection && watch(fd, connection))
		return;
	free(connection);
	close(fd);
}

/* Who cannot be accepted now waits; no edge will tell of him again. */
static void accept_all(void)
{
	int fd;

	clients_wait = false;
	while (!clients_wait) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			accept_one(fd);
			continue;
		}
		if (errno == EAGAIN)
			break;
		switch (http_accept_failed(errno)) {
		case ACCEPT_NEXT:
			break;
		case ACCEPT_LATER:
			clients_wait = true;
			break;
		case ACCEPT_NEVER:
			err(1, "accept");
		}
	}
}

static void complete_all(void)
{
	struct zcopy_completion done[COMPLETIONS];
	struct connection *connection;
	int count, i;

	do {
		count = zcopy_peek_completions(queue, done, COMPLETIONS);
		for (i = 0; i < count; i++) {
			connection = (void *)(uintptr_t)done[i].user_data;
			connection->pending--;
			if (done[i].error)
				fprintf(stderr, "%s failed after %llu bytes: %s\n",
					done[i].flags & ZCOPY_C_FILE_ERROR ?
					"file" : "client",
					(unsigned long long)done[i].bytes,
					strerror(-done[i].error));
			/*
			 * Less than the header promised, and nothing that is
			 * queued behind it is sent: no way to go on.
			 */
			if (done[i].error)
				connection->closing = true;
			if (finish(connection))
				continue;
			/* It may have been waiting for its turn. */
			answer(connection);
			serve(connection);
		}
	} while (count == COMPLETIONS);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int count, failed, i;

	if (argc != 3)
		errx(2, "usage: %s PORT FOLDER", argv[0]);
	root = open(argv[2], O_DIRECTORY | O_PATH | O_CLOEXEC);
	if (root < 0)
		err(1, "%s", argv[2]);
	failed = zcopy_open(&queue);
	if (failed)
		errx(1, "%s: %s", ZCOPY_DEVICE, strerror(-failed));
	listener = http_listen(argv[1]);
	if (fcntl(listener, F_SETFL, O_NONBLOCK))
		err(1, "fcntl");
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		err(1, "epoll_create1");
	if (!watch(listener, &listener) || !watch(zcopy_fd(queue), &queue))
		err(1, "epoll_ctl");

	for (;;) {
		count = epoll_wait(poller, events, EVENTS,
				   clients_wait ? HTTP_LATER : -1);
		if (count < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (i = 0; i < count; i++) {
			void *what = events[i].data.ptr;

			/* Completions last: they may free a connection. */
			if (what == &listener)
				accept_all();
			else if (what != &queue)
				serve(what);
		}
		complete_all();
		if (clients_wait)
			accept_all();
	}
}
