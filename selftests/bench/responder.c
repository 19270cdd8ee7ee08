// SPDX-License-Identifier: GPL-2.0-only
/*
 * One epoll loop that serves files to many connections, either with
 * sendfile(2) on sockets that do not block, or with zcopy's queue.
 */
#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcopy/queue.h>

#include "responder.h"

/* The most of one response in a turn, so that others get theirs. */
#define TURN	(2 << 20)

struct connection {
	int fd;
	bool is_watched;	/* for room in the socket */
	const struct content *content;	/* NULL: waits for a request */
	size_t header_left;
	off_t position;
};

static struct content hot_content, cold_content;
static struct zcopy *zcopy;
static char header[HEADER];
static size_t turn;
static int poller;

static void watch(struct connection *connection, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = connection };

	if (epoll_ctl(poller, operation, connection->fd, &event))
		err(1, "epoll_ctl");
}

static void drop(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

/* Send until the socket is full or it is the turn of others. False: broken. */
static bool send_some(struct connection *connection)
{
	size_t left = connection->content->size - connection->position;
	ssize_t n;

	while (connection->header_left) {
		n = send(connection->fd, header, connection->header_left,
			 MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		connection->header_left -= n;
	}
	n = sendfile(connection->fd, connection->content->fd,
		     &connection->position, left < turn ? left : turn);
	if (n < 0)
		return errno == EAGAIN;
	if (connection->position == (off_t)connection->content->size)
		connection->content = NULL;
	return true;
}

static void serve_sendfile(struct connection *connection)
{
	bool unfinished;

	if (!send_some(connection)) {
		drop(connection);
		return;
	}
	unfinished = connection->content;
	if (unfinished == connection->is_watched)
		return;
	connection->is_watched = unfinished;
	watch(connection, EPOLL_CTL_MOD, unfinished ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void serve_queued(struct connection *connection)
{
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer;
	int ret;

	zcopy_prep_response(&transfer, segments, connection->fd, header, HEADER,
			    connection->content->fd, 0,
			    connection->content->size, (uintptr_t)connection);
	ret = zcopy_submit(zcopy, &transfer, 1, NULL);
	if (ret != 1)
		errx(1, "zcopy_submit: %d", ret);
}

static void take_completions(void)
{
	struct zcopy_completion completions[64];
	int i, count;

	count = zcopy_peek_completions(zcopy, completions, 64);
	if (count < 0)
		errx(1, "zcopy_peek_completions: %d", count);
	for (i = 0; i < count; i++) {
		struct connection *connection;

		connection = (void *)(uintptr_t)completions[i].user_data;
		connection->content = NULL;
		if (completions[i].error)
			drop(connection);
	}
}

static void take_connection(int listener)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		err(1, "connection");
	connection->fd = accept4(listener, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (connection->fd < 0)
		err(1, "accept");
	watch(connection, EPOLL_CTL_ADD, EPOLLIN);
}

/* Returns false when the connection has nothing to be served. */
static bool take_request(struct connection *connection)
{
	char request;

	if (connection->content)
		return true;
	if (recv(connection->fd, &request, 1, MSG_DONTWAIT) != 1) {
		drop(connection);
		return false;
	}
	connection->content = request == REQUEST_HOT ? &hot_content : &cold_content;
	connection->header_left = HEADER;
	connection->position = 0;
	return true;
}

void respond(int listener, struct content hot, struct content cold,
	     enum method method)
{
	const bool queued = method == QUEUE;
	struct connection for_listener = { .fd = listener };
	struct connection for_queue;
	int ret;

	hot_content = hot;
	cold_content = cold;
	turn = method == SENDFILE_TURNS ? TURN : SIZE_MAX;
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		err(1, "epoll_create1");
	watch(&for_listener, EPOLL_CTL_ADD, EPOLLIN);
	if (queued) {
		ret = zcopy_open(&zcopy);
		if (ret)
			errx(1, "zcopy_open: %d", ret);
		for_queue.fd = zcopy_fd(zcopy);
		watch(&for_queue, EPOLL_CTL_ADD, EPOLLIN);
	}

	for (;;) {
		struct epoll_event events[64];
		int i, count = epoll_wait(poller, events, 64, -1);

		if (count < 0)
			err(1, "epoll_wait");
		for (i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;

			if (connection == &for_listener)
				take_connection(listener);
			else if (connection == &for_queue || !take_request(connection))
				continue;
			else if (queued)
				serve_queued(connection);
			else
				serve_sendfile(connection);
		}
		if (queued)
			take_completions();
	}
}
