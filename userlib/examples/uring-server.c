// SPDX-License-Identifier: GPL-2.0-only
/*
 * An HTTP file server on one io_uring: accepting, receiving and sending files
 * through /dev/zcopy are all requests of the same ring.
 *
 *	uring-server PORT FOLDER
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zcopy/queue.h>
#include <zcopy/uring.h>
#include "http.h"

#define ENTRIES		1024

/* One request of the ring at a time: receive, send, receive, ... */
struct connection {
	int fd;
	bool sending;
	bool closing;
	size_t used;
	char data[REQUEST_MAX];		/* requests that are not answered yet */
	struct response response;
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
};

static struct io_uring ring;
static struct zcopy *queue;
static int listener, root;
/* Of requests in the ring, which has references of its own once it has them. */
static int files[ENTRIES];
static unsigned int nr_files;

static struct io_uring_sqe *get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (!sqe)
		errx(1, "the ring takes nothing");
	return sqe;
}

static void close_files(void)
{
	while (nr_files && !io_uring_sq_ready(&ring))
		http_close(files[--nr_files]);
}

static void start_accept(void)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, NULL);
}

/* A client that cannot be accepted waits. */
static void start_later(void)
{
	static struct __kernel_timespec later = {
		.tv_nsec = HTTP_LATER * 1000000,
	};
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_timeout(sqe, &later, 0, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void start_receive(struct connection *connection)
{
	struct io_uring_sqe *sqe = get_sqe();

	connection->sending = false;
	io_uring_prep_recv(sqe, connection->fd,
			   connection->data + connection->used,
			   REQUEST_MAX - connection->used, 0);
	io_uring_sqe_set_data(sqe, connection);
}

static void start_send(struct connection *connection)
{
	struct response *response = &connection->response;
	struct io_uring_sqe *sqe = get_sqe();

	connection->sending = true;
	zcopy_prep_response(&connection->transfer, connection->segments,
			    connection->fd, response->header,
			    response->header_length, response->fd, 0,
			    response->size, 0);
	if (!response->size)
		connection->transfer.nr_segments = 1;
	zcopy_prep_sqe(sqe, queue, &connection->transfer, &connection->done);
	io_uring_sqe_set_data(sqe, connection);
	if (response->fd >= 0)
		files[nr_files++] = response->fd;
}

static void end(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

static int answer(struct connection *connection)
{
	return http_answer(root, connection->data, connection->used,
			   &connection->response);
}

/* Answer the next request, or get more of it. */
static void go_on(struct connection *connection)
{
	int size = 0;

	if (!connection->closing)
		size = answer(connection);
	/* There are descriptors again once the ring has taken the files. */
	if (size > 0 && (connection->response.busy || nr_files == ENTRIES)) {
		http_close(connection->response.fd);
		io_uring_submit(&ring);
		close_files();
		if (nr_files == ENTRIES)
			errx(1, "the ring takes nothing");
		size = answer(connection);
	}
	if (size < 0 || connection->closing) {
		end(connection);
	} else if (!size) {
		start_receive(connection);
	} else {
		connection->used -= size;
		memmove(connection->data, connection->data + size,
			connection->used);
		connection->closing = connection->response.close;
		start_send(connection);
	}
}

static void accepted(int fd)
{
	struct connection *connection;

	/* A timeout ends so. */
	if (fd < 0 && fd != -ETIME) {
		switch (http_accept_failed(-fd)) {
		case ACCEPT_NEXT:
			break;
		case ACCEPT_LATER:
			start_later();
			return;
		case ACCEPT_NEVER:
			errx(1, "accept: %s", strerror(-fd));
		}
	}
	start_accept();
	if (fd < 0)
		return;
	connection = calloc(1, sizeof(*connection));
	if (!connection) {
		close(fd);
		return;
	}
	connection->fd = fd;
	start_receive(connection);
}

static void received(struct connection *connection, int bytes)
{
	if (bytes <= 0) {
		end(connection);
		return;
	}
	connection->used += bytes;
	go_on(connection);
}

static void sent(struct connection *connection, int result)
{
	if (result < 0)
		fprintf(stderr, "%s failed after %llu bytes: %s\n",
			connection->done.flags & ZCOPY_C_FILE_ERROR ? "file" :
								      "client",
			(unsigned long long)connection->done.bytes,
			strerror(-result));
	/* Less than the header promised: no way to go on. */
	if (result < 0)
		end(connection);
	else
		go_on(connection);
}

int main(int argc, char **argv)
{
	struct io_uring_cqe *cqe;
	int failed;

	if (argc != 3)
		errx(2, "usage: %s PORT FOLDER", argv[0]);
	root = open(argv[2], O_DIRECTORY | O_PATH | O_CLOEXEC);
	if (root < 0)
		err(1, "%s", argv[2]);
	failed = zcopy_open(&queue);
	if (failed)
		errx(1, "%s: %s", ZCOPY_DEVICE, strerror(-failed));
	failed = io_uring_queue_init(ENTRIES, &ring, 0);
	if (failed)
		errx(1, "io_uring: %s", strerror(-failed));
	listener = http_listen(argv[1]);
	start_accept();

	for (;;) {
		struct connection *connection;
		int result;

		failed = io_uring_submit_and_wait(&ring, 1);
		if (failed < 0 && failed != -EINTR)
			errx(1, "io_uring: %s", strerror(-failed));
		close_files();
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			connection = io_uring_cqe_get_data(cqe);
			result = cqe->res;
			io_uring_cqe_seen(&ring, cqe);
			if (!connection)
				accepted(result);
			else if (connection->sending)
				sent(connection, result);
			else
				received(connection, result);
		}
	}
}
