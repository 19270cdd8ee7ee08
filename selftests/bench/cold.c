// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many files that are not in memory, each to a socket of its own: by one thread and
 * the queue, and by threads that read and send. Their peer compares what arrives.
 *
 *   cold make FOLDER FILES	makes them
 *   cold FOLDER FILES REPEATS
 *
 * Prints "cold METHOD MILLISECONDS THREADS REQUESTS": the most threads that the
 * process had, and the most requests that the folder's disk had under way.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zcopy/zcopy.h>

#include "../lib/common.h"

#define SIZE	(64 << 10)	/* of a file */
#define WORDS	(SIZE / sizeof(uint32_t))
#define SENDERS	64		/* threads that read and send */
#define BATCH	512		/* transfers a call */

static unsigned int nr;
static int *files;
static int (*pairs)[2];		/* what is sent to, and what is read */

/* What the process that watches found. */
struct seen {
	atomic_uint threads;
	atomic_uint requests;
};

static struct seen *seen;

static uint32_t word_of(unsigned int file, unsigned int word)
{
	return (file * WORDS + word) * 2654435761U;
}

static void make_files(const char *folder)
{
	static uint32_t words[WORDS];
	unsigned int i, k;
	char path[200];
	int fd;

	for (i = 0; i < nr; i++) {
		for (k = 0; k < WORDS; k++)
			words[k] = word_of(i, k);
		snprintf(path, sizeof(path), "%s/%u", folder, i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, words, SIZE) != SIZE || close(fd))
			err(1, "make %s", path);
	}
}

static void open_files(const char *folder)
{
	unsigned int i;
	char path[200];

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%u", folder, i);
		files[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (files[i] < 0)
			err(1, "open %s", path);
	}
}

static void chill(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "1", 1) != 1)
		err(1, "drop_caches");
	close(fd);
}

/* The last line that fits the format has the number. */
static unsigned int read_number(const char *path, const char *format)
{
	FILE *file = fopen(path, "re");
	unsigned int found = 0;
	char line[200];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, format, &found);
	if (file)
		fclose(file);
	return found;
}

static void raise_to(atomic_uint *most, unsigned int value)
{
	if (value > *most)
		*most = value;
}

/* In a process of its own. */
static void watch(pid_t whom, dev_t disk)
{
	char status[40], counters[60];

	snprintf(status, sizeof(status), "/proc/%d/status", whom);
	snprintf(counters, sizeof(counters), "/sys/dev/block/%u:%u/stat",
		 major(disk), minor(disk));
	for (;;) {
		raise_to(&seen->threads, read_number(status, "Threads: %u"));
		raise_to(&seen->requests,
			 read_number(counters, "%*u %*u %*u %*u %*u %*u %*u %*u %u"));
		usleep(5000);
	}
}

/* In a process of its own: reads all that comes, and ends when all came right. */
static void receive(void)
{
	unsigned int *got = calloc(nr, sizeof(*got));
	int poller = epoll_create1(EPOLL_CLOEXEC);
	static uint32_t words[WORDS];
	unsigned int left = nr, i;

	if (poller < 0 || !got)
		err(1, "epoll_create1");
	for (i = 0; i < nr; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };

		if (epoll_ctl(poller, EPOLL_CTL_ADD, pairs[i][1], &event))
			err(1, "epoll_ctl");
	}
	while (left) {
		struct epoll_event events[64];
		int count = epoll_wait(poller, events, 64, -1), e;

		for (e = 0; e < count; e++) {
			unsigned int file = events[e].data.u32, k;
			ssize_t n = recv(pairs[file][1], words,
					 SIZE - got[file], MSG_WAITALL | MSG_DONTWAIT);

			if (n < 0 || n % sizeof(*words))
				errx(1, "%zd bytes of file %u", n, file);
			for (k = 0; k < n / sizeof(*words); k++)
				if (words[k] != word_of(file, got[file] /
							sizeof(*words) + k))
					errx(1, "file %u is wrong at %zu", file,
					     got[file] + k * sizeof(*words));
			got[file] += n;
			if (n && got[file] == SIZE) {
				left--;
				epoll_ctl(poller, EPOLL_CTL_DEL, pairs[file][1], NULL);
			}
		}
	}
	exit(0);
}

static void by_queue(void)
{
	static struct zcopy_segment segments[BATCH];
	static struct zcopy_transfer transfers[BATCH];
	static struct zcopy_completion done[BATCH];
	unsigned int sent = 0, ended = 0;
	struct zcopy *zcopy;
	int ret = zcopy_open(&zcopy);

	if (ret)
		errx(1, "zcopy_open: %d", ret);
	while (ended < nr) {
		struct zcopy_submit submit = {
			.transfers = (uintptr_t)transfers,
			.transfer_size = sizeof(transfers[0]),
			.completions = (uintptr_t)done,
			.max_completions = BATCH,
			.min_completions = 0,
			.timeout = -1,
		};
		unsigned int i;

		for (i = 0; i < BATCH && sent + i < nr; i++) {
			zcopy_segment_file(&segments[i], files[sent + i], 0, SIZE);
			zcopy_transfer_init(&transfers[i], pairs[sent + i][0],
					    &segments[i], 1);
		}
		submit.nr_transfers = i;
		submit.min_completions = i ? 0 : 1;
		if (ioctl(zcopy_fd(zcopy), ZCOPY_IOC_SUBMIT, &submit))
			err(1, "submit");
		if (submit.accepted != i)
			errx(1, "submit: %d", submit.error);
		sent += submit.accepted;
		for (i = 0; i < submit.completed; i++)
			if (done[i].error || done[i].bytes != SIZE)
				errx(1, "error %d after %llu bytes", done[i].error,
				     (unsigned long long)done[i].bytes);
		ended += submit.completed;
	}
	zcopy_close(zcopy);
}

static atomic_uint next_file;

static void *read_and_send(void *unused)
{
	static _Thread_local char buffer[SIZE];
	unsigned int i;

	(void)unused;
	while ((i = next_file++) < nr)
		if (pread(files[i], buffer, SIZE, 0) != SIZE ||
		    send(pairs[i][0], buffer, SIZE, 0) != SIZE)
			err(1, "read and send");
	return NULL;
}

static void by_threads(void)
{
	pthread_t threads[SENDERS];
	int i;

	next_file = 0;
	for (i = 0; i < SENDERS; i++)
		if (pthread_create(&threads[i], NULL, read_and_send, NULL))
			errx(1, "make a thread");
	for (i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
}

static pid_t start(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "fork");
	if (!child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static void measure(const char *name, void (*send_all)(void), dev_t disk)
{
	struct timespec from, to;
	pid_t receiver, watcher, self = getpid();
	unsigned int i;
	int status;

	for (i = 0; i < nr; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]))
			err(1, "socketpair");
	chill();
	seen->threads = 0;
	seen->requests = 0;
	receiver = start();
	if (!receiver)
		receive();
	watcher = start();
	if (!watcher)
		watch(self, disk);

	clock_gettime(CLOCK_MONOTONIC, &from);
	send_all();
	if (waitpid(receiver, &status, 0) != receiver || status)
		errx(1, "what arrived is wrong");
	clock_gettime(CLOCK_MONOTONIC, &to);

	kill(watcher, SIGKILL);
	waitpid(watcher, NULL, 0);
	printf("cold %s %lld %u %u\n", name,
	       (to.tv_sec - from.tv_sec) * 1000LL +
		       (to.tv_nsec - from.tv_nsec) / 1000000,
	       seen->threads, seen->requests);
	fflush(stdout);
	for (i = 0; i < nr; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

int main(int argc, char **argv)
{
	struct stat stat;
	int repeats;

	if (argc != 4)
		errx(2, "usage: cold FOLDER FILES REPEATS | make FOLDER FILES");
	if (!strcmp(argv[1], "make")) {
		nr = atoi(argv[3]);
		make_files(argv[2]);
		return 0;
	}
	nr = atoi(argv[2]);
	repeats = atoi(argv[3]);
	if (!nr || repeats < 1)
		errx(2, "FILES and REPEATS must be 1 or more");
	descriptors_allow(3 * nr + 100);
	files = calloc(nr, sizeof(*files));
	pairs = calloc(nr, sizeof(*pairs));
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!files || !pairs || seen == MAP_FAILED)
		err(1, "allocate");
	open_files(argv[1]);
	if (fstat(files[0], &stat))
		err(1, "fstat");
	/* One after the other, so that both have the same host. */
	for (repeats *= 2; repeats > 0; repeats--) {
		measure("zcopy-queue", by_queue, stat.st_dev);
		measure("64-threads", by_threads, stat.st_dev);
	}
	return 0;
}
