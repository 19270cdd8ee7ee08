// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control groups: what the module does for a process is the process's, as what
 * sendfile(2) does for it is.
 */
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	431U
#define SIZE	(16 * MIB)
#define RATE	(4 * MIB)	/* bytes a second */
#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/zcopy_cgroup"

FIXTURE(cgroup)
{
	struct watch watch;
	struct file file;
	struct part part;
	double *seconds;	/* that a child took */
	bool made;
};

FIXTURE_SETUP(cgroup)
{
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	self->seconds = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->seconds);
	self->made = write_text(ROOT "/cgroup.subtree_control", "+io +cpu") &&
		     !mkdir(GROUP, 0755);
}

FIXTURE_TEARDOWN(cgroup)
{
	if (self->made)
		EXPECT_EQ(0, rmdir(GROUP));
	write_text(ROOT "/cgroup.subtree_control", "-io -cpu");
	munmap(self->seconds, PAGE);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* The figure of this name in a file of the group. */
static double figure(const char *file, const char *name)
{
	char path[100], line[300];
	double found = 0;
	FILE *stream;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	stream = fopen(path, "re");
	if (!stream)
		die("open %s", path);
	while (fgets(line, sizeof(line), stream)) {
		const char *at = strstr(line, name);

		if (at)
			found += strtod(at + strlen(name) + 1, NULL);
	}
	fclose(stream);
	return found;
}

/* Runs in a process of the group; how long it took, and "" when all was well. */
static double in_group(struct __test_metadata *_metadata,
		       FIXTURE_DATA(cgroup) *self,
		       const char *(*work)(FIXTURE_DATA(cgroup) *self, int way),
		       int way)
{
	pid_t child = fork();
	int status;

	if (!child) {
		const char *verdict;
		double since;

		if (!write_text(GROUP "/cgroup.procs", "0"))
			die("enter the group");
		since = now();
		verdict = work(self, way);
		*self->seconds = now() - since;
		if (*verdict)
			die("%s", verdict);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	return *self->seconds;
}

static const char *by_sendfile(FIXTURE_DATA(cgroup) *self, int way)
{
	struct reader reader;
	struct pair pair;
	off_t pos = 0;

	(void)way;
	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, &self->part, 1);
	while (pos < (off_t)SIZE)
		if (sendfile(pair.tx, self->file.fd, &pos, SIZE - pos) <= 0)
			die("sendfile");
	shutdown(pair.tx, SHUT_WR);
	return reader_finish(&reader, SIZE);
}

static const struct {
	const char *name;
	enum door door;
	uint32_t flags;
} ways[] = {
	{ "send", SEND, 0 },
	{ "submit", SUBMIT, 0 },
	{ "io_uring", URING, 0 },
	{ "send, nocache", SEND, ZCOPY_NOCACHE },
	{ "submit, nocache", SUBMIT, ZCOPY_NOCACHE },
	{ "io_uring, nocache", URING, ZCOPY_NOCACHE },
};

static const char *by_zcopy(FIXTURE_DATA(cgroup) *self, int way)
{
	struct zcopy_completion done;

	return carry(ways[way].door, device_open(), TCP4, &self->part, 1,
		     ways[way].flags, &done);
}

/*
 * The limit alone takes a known time. A group has some of it in advance; and where the
 * machine is held up, it takes longer.
 */
static void expect_limited(struct __test_metadata *_metadata, double seconds)
{
	EXPECT_LT(0.8 * SIZE / RATE, seconds);
	EXPECT_GT(PATIENCE_MS / 1000, seconds);
}

/* The disk gives a group no more than it may have, and counts it. */
TEST_F(cgroup, reads_are_the_group_s)
{
	double reference, seconds, before;
	struct stat stat;
	char limit[100];
	size_t i;

	ASSERT_EQ(0, fstat(self->file.fd, &stat));
	snprintf(limit, sizeof(limit), "%u:%u rbps=%llu", major(stat.st_dev),
		 minor(stat.st_dev), RATE);
	if (!self->made || !write_text(GROUP "/io.max", limit))
		SKIP(return, "the kernel has no control group with io.max");
	file_chill(&self->file);
	reference = in_group(_metadata, self, by_sendfile, 0);
	expect_limited(_metadata, reference);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		file_chill(&self->file);
		before = figure("io.stat", "rbytes");
		seconds = in_group(_metadata, self, by_zcopy, i);
		TH_LOG("%s: %.1f s, sendfile: %.1f s", ways[i].name, seconds,
		       reference);
		EXPECT_LE(SIZE, figure("io.stat", "rbytes") - before);
		expect_limited(_metadata, seconds);
	}
}

#define TIMES	200	/* so many times the file */

static const char *send_much(FIXTURE_DATA(cgroup) *self, int way)
{
	static struct zcopy_transfer transfers[TIMES];
	int device = device_open();
	struct pair pair;
	uint64_t since = 0, got = 0;
	pid_t reader;
	size_t i;

	(void)way;
	pair_open(&pair, TCP4, 0);
	reader = fork();
	if (!reader) {
		/* Who receives is not in the group. */
		if (!write_text(ROOT "/cgroup.procs", "0"))
			die("leave the group");
		close(pair.tx);
		while (got < TIMES * SIZE) {
			ssize_t n = recv(pair.rx, NULL, MIB, MSG_TRUNC);

			if (n <= 0)
				_exit(1);
			got += n;
		}
		_exit(0);
	}
	for (i = 0; i < TIMES; i++)
		transfers[i] = transfer_of(pair.tx, &self->part, 1, i);
	submit_all(device, transfers, TIMES);
	/* Whoever looked all the time would himself be all that is held up. */
	while (figure("cpu.stat", "nr_throttled") < 20) {
		poll(NULL, 0, 200);
		if (!patience(&since))
			return "it is not held up";
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	return "";
}

/* So does the processor. */
TEST_F(cgroup, work_is_the_group_s)
{
	double seconds, before, used, since;

	if (!self->made || !write_text(GROUP "/cpu.max", "10000 100000"))
		SKIP(return, "the kernel has no control group with cpu.max");
	before = figure("cpu.stat", "usage_usec");
	since = now();
	in_group(_metadata, self, send_much, 0);
	seconds = now() - since;
	used = (figure("cpu.stat", "usage_usec") - before) / 1e6;
	TH_LOG("%.2f s of the processor in %.2f s", used, seconds);
	/* What it was given, and what a tick is late. */
	EXPECT_GT(seconds / 10 * 2 + 0.2 * slowdown(), used);
	/* It would have had more. */
	EXPECT_LT(seconds / 10 / 3, used);
}

TEST_HARNESS_MAIN
