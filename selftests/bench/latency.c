// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long clients of small hot files wait for a server of one thread: alone,
 * while another client pulls a file that must come from a slow disk, and while
 * another user's transfers wait for a filesystem that answers nothing.
 *
 *   latency HOT-FOLDER COLD-FILE SECONDS REPEATS
 *
 * Prints lines "latency METHOD alone|beside-cold|beside-hung RESPONSES MEDIAN P99
 * MAX COLD-KIB", times in microseconds.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/zcopy.h>
#include <sys/ioctl.h>

#include "../lib/hung.h"
#include "hot.h"
#include "responder.h"

#define HOT_SIZE	(16 << 10)
#define CLIENTS		8

/* A client asks again so long after it got its response. */
#define PAUSE		20000000LL

/* Not counted, so that the connections are warm. */
#define WARM_UP		1000000000LL

#define MAX_SAMPLES	(1 << 20)

struct client {
	int64_t since;		/* of the request; idle: when to send the next */
	size_t left;		/* of the response; 0: idle */
};

/* Transfers of the other user, each to a socket of its own. */
#define HUNG		300
#define NOBODY		65534

enum beside { ALONE, COLD, HUNG_MOUNT, BESIDES };

static struct content hot, cold;
static uint64_t *cold_bytes;	/* shared with the cold client */
static int64_t samples[MAX_SAMPLES];

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int listen_anywhere(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length) ||
	    listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		err(1, "listen");
	return fd;
}

static int connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		err(1, "connect");
	return fd;
}

/* Runs a child that dies with its parent. Returns 0 in the child. */
static pid_t start_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid && prctl(PR_SET_PDEATHSIG, SIGKILL))
		err(1, "prctl");
	return pid;
}

static void end_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		errx(1, "a child ended by itself");
}

/* Pull the cold file, again and again, each time from the disk. */
static void pull_cold(const struct sockaddr_in *address)
{
	int fd = connect_to(address);

	for (;;) {
		size_t left = HEADER + cold.size;

		if (posix_fadvise(cold.fd, 0, 0, POSIX_FADV_DONTNEED))
			errx(1, "the cold file cannot be dropped from memory");
		if (send(fd, (char []) { REQUEST_COLD }, 1, 0) != 1)
			err(1, "request");
		while (left) {
			ssize_t n = recv(fd, NULL, left, MSG_TRUNC);

			if (n <= 0)
				err(1, "cold response");
			left -= n;
			__atomic_add_fetch(cold_bytes, n, __ATOMIC_RELAXED);
		}
	}
}

static void request_hot(struct client *client, int fd)
{
	client->left = HEADER + HOT_SIZE;
	client->since = now();
	if (send(fd, (char []) { REQUEST_HOT }, 1, 0) != 1)
		err(1, "request");
}

/* Returns true when the response is there whole. */
static bool read_hot(struct client *client, int fd)
{
	ssize_t n = recv(fd, NULL, client->left, MSG_TRUNC | MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		err(1, "hot response");
	client->left -= n;
	return !client->left;
}

/*
 * Let the clients ask until @end. Returns the samples taken since @from. Who
 * still waits at the end has waited at least so long.
 */
static unsigned int run_clients(const struct sockaddr_in *address, int64_t from,
				int64_t end)
{
	struct client clients[CLIENTS] = { 0 };
	struct pollfd polls[CLIENTS];
	unsigned int i, count = 0;
	int64_t time;

	for (i = 0; i < CLIENTS; i++) {
		polls[i].fd = connect_to(address);
		polls[i].events = POLLIN;
		/* Spread, so that they do not all ask at once. */
		clients[i].since = now() + PAUSE * i / CLIENTS;
	}
	while ((time = now()) < end) {
		int64_t next = end;
		struct timespec wait;

		for (i = 0; i < CLIENTS; i++) {
			if (!clients[i].left && clients[i].since <= time)
				request_hot(&clients[i], polls[i].fd);
			else if (!clients[i].left && clients[i].since < next)
				next = clients[i].since;
		}
		wait.tv_sec = (next - time) / 1000000000;
		wait.tv_nsec = (next - time) % 1000000000;
		if (ppoll(polls, CLIENTS, &wait, NULL) < 0)
			err(1, "ppoll");
		for (i = 0; i < CLIENTS; i++) {
			if (!polls[i].revents || !read_hot(&clients[i], polls[i].fd))
				continue;
			time = now();
			if (clients[i].since >= from && count < MAX_SAMPLES)
				samples[count++] = time - clients[i].since;
			clients[i].since = time + PAUSE;
		}
	}
	for (i = 0; i < CLIENTS; i++) {
		if (clients[i].left && count < MAX_SAMPLES)
			samples[count++] = time - clients[i].since;
		close(polls[i].fd);
	}
	return count;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Another user waits for what never comes; *@report hears when he does. */
static void wait_for_hung(int report)
{
	struct zcopy_segment segment = { .len = 4096 };
	struct zcopy_transfer transfers[HUNG];
	struct zcopy_submit submit = {
		.transfers = (uintptr_t)transfers,
		.nr_transfers = HUNG,
		.transfer_size = sizeof(transfers[0]),
	};
	struct hung hung;
	int device, i;

	descriptors_allow(3 * HUNG);
	hung_make(&hung);
	if (setresuid(NOBODY, NOBODY, NOBODY))
		err(1, "setresuid");
	device = open("/dev/zcopy", O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(1, "/dev/zcopy");
	segment.fd = hung.fd;
	for (i = 0; i < HUNG; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			err(1, "socketpair");
		transfers[i] = (struct zcopy_transfer) {
			.segments = (uintptr_t)&segment,
			.nr_segments = 1,
			.target = pair[0],
		};
	}
	if (ioctl(device, ZCOPY_IOC_SUBMIT, &submit) || submit.accepted != HUNG)
		err(1, "submit");
	if (!hung_await(&hung, 1))
		errx(1, "nobody waits");
	if (write(report, "", 1) != 1)
		err(1, "report");
	for (;;)
		pause();
}

static pid_t start_hung(void)
{
	int report[2];
	pid_t pid;
	char byte;

	if (pipe(report))
		err(1, "pipe");
	pid = start_child();
	if (!pid)
		wait_for_hung(report[1]);
	close(report[1]);
	if (read(report[0], &byte, 1) != 1)
		errx(1, "the other user does not come to wait");
	close(report[0]);
	return pid;
}

static const char *const besides[BESIDES] = {
	[ALONE] = "alone",
	[COLD] = "beside-cold",
	[HUNG_MOUNT] = "beside-hung",
};

static const char *const names[METHODS] = {
	[SENDFILE_WHOLE] = "sendfile",
	[SENDFILE_TURNS] = "sendfile-2MiB-turns",
	[QUEUE] = "zcopy-queue",
};

static void measure(enum method method, enum beside beside, int seconds)
{
	struct sockaddr_in address;
	int listener = listen_anywhere(&address);
	pid_t server, other = 0;
	unsigned int count;
	int64_t from;

	server = start_child();
	if (!server)
		respond(listener, hot, cold, method);
	*cold_bytes = 0;
	if (beside == COLD) {
		other = start_child();
		if (!other)
			pull_cold(&address);
	} else if (beside == HUNG_MOUNT) {
		other = start_hung();
	}

	from = now() + WARM_UP;
	count = run_clients(&address, from, from + seconds * 1000000000LL);
	if (other)
		end_child(other);
	end_child(server);
	close(listener);
	if (!count || (beside == COLD && !*cold_bytes))
		errx(1, "nothing was served");

	qsort(samples, count, sizeof(samples[0]), compare);
	printf("latency %s %s %u %.0f %.0f %.0f %.0f\n",
	       names[method], besides[beside], count,
	       samples[count / 2] / 1e3, samples[count * 99ULL / 100] / 1e3,
	       samples[count - 1] / 1e3, *cold_bytes / 1024.0);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int seconds, repeats;
	struct stat status;

	if (argc != 5)
		errx(2, "usage: latency HOT-FOLDER COLD-FILE SECONDS REPEATS");
	seconds = atoi(argv[3]);
	repeats = atoi(argv[4]);
	if (seconds < 1 || repeats < 1)
		errx(2, "SECONDS and REPEATS must be 1 or more");

	hot.size = HOT_SIZE;
	hot.fd = make_file(argv[1], "hot", HOT_SIZE);
	warm_file(hot.fd, HOT_SIZE);
	cold.fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (cold.fd < 0 || fstat(cold.fd, &status))
		err(1, "%s", argv[2]);
	cold.size = status.st_size;
	cold_bytes = mmap(NULL, sizeof(*cold_bytes), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cold_bytes == MAP_FAILED)
		err(1, "mmap");

	while (repeats--)
		for (int method = 0; method < METHODS; method++)
			for (int beside = 0; beside < BESIDES; beside++)
				/* What hangs in the queue is nothing to others. */
				if (beside != HUNG_MOUNT || method == QUEUE)
					measure(method, beside, seconds);
	return 0;
}
