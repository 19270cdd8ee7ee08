// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long after the peer has acknowledged the last byte of a transfer its
 * release is told. Both ends are in this machine, on the two cards of its wire.
 *
 *   release FOLDER KIB TRANSFERS
 *
 * Prints "release KIB TRANSFERS MEDIAN P90 P99 MAX", times in microseconds. The
 * last ACK is seen by asking again and again, so that a time is too short by up
 * to one such call, and 0 if the release was seen first.
 */
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zcopy/queue.h>

#include "hot.h"

#define ADDRESS	"10.9.0.2"
#define PORT	7000

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void enter(const char *namespace)
{
	int fd = open(namespace, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", namespace);
	close(fd);
}

static int listen_on_wire(const struct sockaddr_in *address)
{
	int fd;

	enter("/run/netns/right");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) ||
	    listen(fd, 1))
		err(1, "listen");
	return fd;
}

/* A child reads all that comes, and dies with its parent. */
static void start_reader(int listener)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = accept(listener, NULL, NULL);
	while (recv(fd, NULL, 1 << 20, MSG_TRUNC) > 0)
		;
	exit(0);
}

static int connect_over_wire(const struct sockaddr_in *address)
{
	int fd;

	enter("/run/netns/left");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		err(1, "connect");
	return fd;
}

static int take(struct zcopy *zcopy, struct zcopy_completion *completion)
{
	int ret = zcopy_peek_completions(zcopy, completion, 1);

	if (ret < 0 || (ret && completion->error))
		errx(1, "completion: %d", ret < 0 ? ret : completion->error);
	return ret;
}

static int64_t measure(struct zcopy *zcopy, const struct zcopy_transfer *transfer)
{
	struct zcopy_completion completion;
	int64_t acknowledged;
	int ret, left;

	ret = zcopy_submit(zcopy, transfer, 1, NULL);
	if (ret != 1)
		errx(1, "zcopy_submit: %d", ret);
	do {
		if (ioctl(transfer->socket, SIOCOUTQ, &left))
			err(1, "SIOCOUTQ");
	} while (left || !take(zcopy, &completion));
	acknowledged = now();
	if (!(completion.flags & ZCOPY_C_MORE))
		return 0;
	while (!take(zcopy, &completion))
		;
	if (!(completion.flags & ZCOPY_C_RELEASED))
		errx(1, "the last completion says %#x", completion.flags);
	return now() - acknowledged;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
	};
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	struct zcopy *zcopy;
	int ret, file, socket;
	int64_t *times;
	size_t size;
	int i, count;

	if (argc != 4)
		errx(2, "usage: release FOLDER KIB TRANSFERS");
	size = strtoul(argv[2], NULL, 10) << 10;
	count = atoi(argv[3]);
	if (!size || count < 1)
		errx(2, "KIB and TRANSFERS must be 1 or more");
	times = calloc(count, sizeof(*times));
	if (!times)
		err(1, "%d times", count);
	file = make_file(argv[1], "release", size);
	warm_file(file, size);
	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);

	inet_pton(AF_INET, ADDRESS, &address.sin_addr);
	start_reader(listen_on_wire(&address));
	socket = connect_over_wire(&address);
	zcopy_prep_file(&transfer, &segment, socket, file, 0, size, 0);
	transfer.flags |= ZCOPY_NOTIFY;
	for (i = 0; i < count; i++)
		times[i] = measure(zcopy, &transfer);

	qsort(times, count, sizeof(*times), compare);
	printf("release %zu %d %.0f %.0f %.0f %.0f\n", size >> 10, count,
	       times[count / 2] / 1e3, times[count * 9 / 10] / 1e3,
	       times[count * 99 / 100] / 1e3, times[count - 1] / 1e3);
	zcopy_close(zcopy);
	return 0;
}
