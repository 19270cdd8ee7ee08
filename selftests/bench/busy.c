// SPDX-License-Identifier: GPL-2.0-only
/*
 * What two threads of a process send in a second that have always more to send:
 * each with calls that wait, and each by the queue of one context.
 *
 *   busy FOLDER SECONDS REPEATS
 *
 * Prints lines "busy METHOD MIB", MiB a second of both.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zcopy/queue.h>

#include "hot.h"

#define SIZE		(1 << 20)	/* of a transfer, more than a socket takes */
#define THREADS		2
#define CONNECTIONS	4		/* of each */

struct server {
	pthread_t thread;
	int sockets[CONNECTIONS];
	bool queues;
	uint64_t sent;		/* bytes */
};

static struct zcopy *zcopy;
static int file;
static bool over;		/* atomic */

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* A child reads all that comes, and dies with its parent. */
static int connect_to_reader(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);
	pid_t pid;

	if (listener < 0 || fd < 0 ||
	    bind(listener, (struct sockaddr *)&address, length) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(fd, (struct sockaddr *)&address, length))
		err(1, "connect");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd);
		fd = accept(listener, NULL, NULL);
		while (recv(fd, NULL, SIZE, MSG_TRUNC) > 0)
			;
		_exit(0);
	}
	close(listener);
	return fd;
}

static void send_all(struct server *server, unsigned int i)
{
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	int ret;

	zcopy_prep_file(&transfer, &segment, server->sockets[i], file, 0, SIZE, i);
	ret = zcopy_send(zcopy, &transfer, &done);
	if (ret || done.error || done.bytes != SIZE)
		errx(1, "zcopy_send: %d", ret ? ret : done.error);
	server->sent += done.bytes;
}

static void queue(struct server *server)
{
	struct zcopy_transfer transfers[CONNECTIONS];
	struct zcopy_segment segments[CONNECTIONS];
	struct zcopy_completion done[CONNECTIONS];
	unsigned int i;
	int n, left;

	for (i = 0; i < CONNECTIONS; i++)
		zcopy_prep_file(&transfers[i], &segments[i], server->sockets[i],
				file, 0, SIZE, i);
	n = zcopy_submit(zcopy, transfers, CONNECTIONS, NULL);
	if (n != CONNECTIONS)
		errx(1, "zcopy_submit: %d", n);
	/* Whoever's they are: each takes as many as it has submitted. */
	for (left = CONNECTIONS; left; left -= n) {
		n = zcopy_wait_completions(zcopy, done, left, 1, ZCOPY_FOREVER);
		if (n <= 0)
			errx(1, "zcopy_wait_completions: %d", n);
		for (i = 0; i < (unsigned int)n; i++) {
			if (done[i].error || done[i].bytes != SIZE)
				errx(1, "completion: %d", done[i].error);
			server->sent += done[i].bytes;
		}
	}
}

static void *serve(void *argument)
{
	struct server *server = argument;
	unsigned int i;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		if (server->queues)
			queue(server);
		else
			for (i = 0; i < CONNECTIONS; i++)
				send_all(server, i);
	}
	return NULL;
}

static void measure(struct server *servers, const char *method, int seconds)
{
	const double since = now();
	uint64_t sent = 0;
	int i, ret;

	over = false;
	for (i = 0; i < THREADS; i++) {
		servers[i].queues = *method == 'q';
		servers[i].sent = 0;
		ret = pthread_create(&servers[i].thread, NULL, serve, &servers[i]);
		if (ret)
			errx(1, "pthread_create: %d", ret);
	}
	sleep(seconds);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++) {
		pthread_join(servers[i].thread, NULL);
		sent += servers[i].sent;
	}
	printf("busy %s %.1f\n", method, sent / (now() - since) / (1 << 20));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct server servers[THREADS];
	int ret, seconds, repeats, i, j;

	if (argc != 4)
		errx(2, "usage: busy FOLDER SECONDS REPEATS");
	seconds = atoi(argv[2]);
	repeats = atoi(argv[3]);
	if (seconds < 1 || repeats < 1)
		errx(2, "SECONDS and REPEATS must be 1 or more");
	for (i = 0; i < THREADS; i++)
		for (j = 0; j < CONNECTIONS; j++)
			servers[i].sockets[j] = connect_to_reader();
	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);
	file = make_file(argv[1], "busy", SIZE);
	warm_file(file, SIZE);
	while (repeats--) {
		measure(servers, "zcopy-send", seconds);
		measure(servers, "queue", seconds);
	}
	zcopy_close(zcopy);
	return 0;
}
