// SPDX-License-Identifier: GPL-2.0-only
/* What a queued transfer costs the kernel, and who pays for it. */
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED		331U
#define SIZE		MIB
#define SMALL		(64 * 1024)	/* of a socket buffer */
#define TRANSFERS	8000
#define MOST		1024		/* bytes a transfer */
#define PEERS		40
#define ROOT		"/sys/fs/cgroup"
#define GROUP		ROOT "/zcopy_memory"

FIXTURE(memory)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	bool controlled;	/* the memory controller was on before */
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("write %s to %s", text, path);
	close(fd);
}

static bool is_controlled(void)
{
	return !system("grep -qw memory " ROOT "/cgroup.subtree_control");
}

/* A figure of a file of the group's that has many. */
static int64_t figure_in(const char *file, const char *wanted)
{
	char path[100], name[64];
	long long value, found = -1;
	FILE *stat;

	snprintf(path, sizeof(path), GROUP "/%s", file);
	stat = fopen(path, "re");
	if (!stat)
		die("open %s", path);
	while (fscanf(stat, "%63s %lld", name, &value) == 2)
		if (!strcmp(name, wanted))
			found = value;
	fclose(stat);
	if (found < 0)
		die("no %s in %s", wanted, file);
	return found;
}

/* In bytes. */
static int64_t figure(const char *wanted)
{
	return figure_in("memory.stat", wanted);
}

FIXTURE_SETUP(memory)
{
	watch_begin(&self->watch);
	self->controlled = is_controlled();
	write_file(ROOT "/cgroup.subtree_control", "+memory");
	ASSERT_EQ(0, mkdir(GROUP, 0755));
	file_make(&self->file, TMPFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
	self->part = of_file(&self->file, 0, 0);
}

FIXTURE_TEARDOWN(memory)
{
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_EQ(0, rmdir(GROUP));
	if (!self->controlled)
		write_file(ROOT "/cgroup.subtree_control", "-memory");
	EXPECT_STREQ("", watch_end(&self->watch));
}

struct cost {
	int64_t kernel;
	int64_t slab;
	int64_t left;		/* of the kernel's, when all is closed */
};

/* Queues the transfers, all but the first of which wait; in the group. */
static void measure(FIXTURE_DATA(memory) *self, struct cost *cost)
{
	static struct zcopy_transfer transfers[TRANSFERS];
	struct cost before;
	int device;
	size_t i;

	write_file(GROUP "/cgroup.procs", "0");
	for (i = 0; i < TRANSFERS; i++)
		transfers[i] = transfer_of(self->pair.tx, &self->part, 1, i);
	/* What the first ones alone need is not counted to the others. */
	device = device_open();
	submit_all(device, transfers, 10);
	before.kernel = figure("kernel");
	before.slab = figure("slab");
	submit_all(device, transfers, TRANSFERS);
	cost->kernel = figure("kernel") - before.kernel;
	cost->slab = figure("slab") - before.slab;
	close(device);
	await_active(0);
	cost->left = figure("kernel") - before.kernel;
}

TEST_F(memory, of_a_queued_transfer)
{
	struct cost *cost = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long long most = MOST;
	pid_t child;
	int status;

	ASSERT_NE(MAP_FAILED, cost);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		measure(self, cost);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	TH_LOG("%lld bytes of kernel memory a queued transfer (%lld of slabs)",
	       (long long)cost->kernel / TRANSFERS,
	       (long long)cost->slab / TRANSFERS);
	/* A debug kernel puts zones around each object that nobody may touch. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		most *= 2;
	EXPECT_GE(most, cost->kernel / TRANSFERS);
	/* Not for nothing: else somebody else pays. */
	EXPECT_LE(128, cost->slab / TRANSFERS);
	/* Slabs are given back in pages and not at once. */
	EXPECT_GT(cost->kernel / 4, cost->left);
	munmap(cost, PAGE);
}

/* A group's limit stops a program, not the machine, and breaks no promise. */
static void queue_until_refused(FIXTURE_DATA(memory) *self)
{
	struct zcopy_submit submit;
	struct zcopy_transfer transfer;
	int device = device_open();
	size_t accepted = 0, cancelled;

	write_file(GROUP "/memory.max", "24M");
	write_file(GROUP "/memory.swap.max", "0");
	write_file(GROUP "/cgroup.procs", "0");
	transfer = transfer_of(self->pair.tx, &self->part, 1, 0);
	do {
		submit = submit_of(&transfer, 1);
		if (submit_call(device, &submit))
			die("submit");
		accepted += submit.accepted;
	} while (submit.accepted);
	cancelled = cancel_all(device);
	if (submit.error != -ENOMEM && submit.error != -EAGAIN)
		die("error %d", submit.error);
	if (cancelled != accepted)
		die("%zu of %zu cancelled", cancelled, accepted);
	close(device);
	_exit(0);
}

TEST_F(memory, at_the_limit_of_the_group)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child)
		queue_until_refused(self);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* What sockets have of a peer who does not read, and what it is said to take. */
struct held {
	int64_t queued;		/* bytes that are not acknowledged */
	int64_t tcp;		/* memory of TCP's that they are charged for */
	int64_t group;		/* by memory.stat */
};

/* Of both ends; the sum in sockstat leaves out what each processor keeps back. */
static int64_t tcp_memory(const struct pair *pairs)
{
	int64_t sum = 0;
	int i;

	for (i = 0; i < 2 * PEERS; i++) {
		const int fd = i % 2 ? pairs[i / 2].rx : pairs[i / 2].tx;
		uint32_t memory[SK_MEMINFO_VARS];
		socklen_t len = sizeof(memory);

		if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len))
			die("SO_MEMINFO");
		sum += memory[SK_MEMINFO_WMEM_QUEUED];
		sum += memory[SK_MEMINFO_RMEM_ALLOC];
		sum += memory[SK_MEMINFO_FWD_ALLOC];
	}
	return sum;
}

static int64_t queued_by(const struct pair *pairs)
{
	int64_t sum = 0;
	int i, bytes;

	for (i = 0; i < PEERS; i++) {
		if (ioctl(pairs[i].tx, SIOCOUTQ, &bytes))
			die("SIOCOUTQ");
		sum += bytes;
	}
	return sum;
}

static void fill_by_sendfile(FIXTURE_DATA(memory) *self, const struct pair *pairs)
{
	off_t offset;
	int i;

	for (i = 0; i < PEERS; i++) {
		set_nonblocking(pairs[i].tx);
		offset = 0;
		while (sendfile(pairs[i].tx, self->file.fd, &offset, SIZE) > 0)
			;
	}
}

/* Sends to peers that do not read, until nothing moves any more; in the group. */
static void hold(FIXTURE_DATA(memory) *self, bool queue, struct held *held)
{
	struct pair pairs[PEERS];
	int64_t before;
	int64_t queued = -1;
	int device, i, still = 0;

	write_file(GROUP "/cgroup.procs", "0");
	device = device_open();
	for (i = 0; i < PEERS; i++)
		pair_open(&pairs[i], WIRE4, SMALL);
	before = figure("sock");
	for (i = 0; queue && i < PEERS; i++)
		submit_one(device, pairs[i].tx, &self->part, i);
	/*
	 * A card and its interrupts are between the sockets, and the group's figures are
	 * brought up to date every two seconds.
	 */
	for (i = 0; still < 300 && i < 2000 * slowdown(); i++) {
		if (!queue)
			fill_by_sendfile(self, pairs);
		held->queued = queued_by(pairs);
		still = held->queued == queued ? still + 1 : 0;
		queued = held->queued;
		poll(NULL, 0, 10);
	}
	held->tcp = tcp_memory(pairs);
	held->group = figure("sock") - before;
}

/*
 * Pages of the page cache that a socket has are its memory, whoever sent them: who
 * limits that limits both.
 */
TEST_F(memory, of_the_network)
{
	struct held *held = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i, status;

	ASSERT_NE(MAP_FAILED, held);
	for (i = 0; i < 2; i++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child) {
			hold(self, i, &held[i]);
			_exit(0);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_EQ(0, status);
		EXPECT_TRUE(await_active(0));
		TH_LOG("%s: %lld KiB queued, %lld of TCP, %lld of the group",
		       i ? "zcopy" : "sendfile", (long long)held[i].queued / 1024,
		       (long long)held[i].tcp / 1024,
		       (long long)held[i].group / 1024);
	}
	/* Of what is queued, be it more or less. */
	EXPECT_LT(PEERS * SMALL / 4, held[0].queued);
	EXPECT_LT(PEERS * SMALL / 4, held[1].queued);
	EXPECT_LT(held[0].tcp * 0.9 / held[0].queued,
		  (double)held[1].tcp / held[1].queued);
	EXPECT_LT(held[0].group * 0.9 / held[0].queued,
		  (double)held[1].group / held[1].queued);
	munmap(held, PAGE);
}

#define LARGE	(16 * MIB)	/* of a file that is not in memory */
#define SLACK	MIB		/* what the figures lag behind, and much more */

static const char *by_sendfile(const struct part *part)
{
	const uint64_t len = part->want.len;
	struct reader reader;
	struct pair pair;
	off_t pos = 0;

	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, part, 1);
	while (pos < (off_t)len)
		if (sendfile(pair.tx, part->segment.fd, &pos, len - pos) <= 0)
			die("sendfile");
	shutdown(pair.tx, SHUT_WR);
	return reader_finish(&reader, len);
}

static const char *by_submit(const struct part *part)
{
	struct zcopy_completion done;

	return carry(SUBMIT, device_open(), TCP4, part, 1, 0, &done);
}

static const char *by_uring(const struct part *part)
{
	struct zcopy_completion done;

	return carry(URING, device_open(), TCP4, part, 1, 0, &done);
}

static const struct {
	const char *name;
	const char *(*send)(const struct part *part);
} ways[] = {
	{ "sendfile", by_sendfile },
	{ "submit", by_submit },
	{ "io_uring", by_uring },
};

/* A cold file, in a process of the group. */
static void send_cold(struct __test_metadata *_metadata, const struct file *file,
		      int way)
{
	const struct part part = of_file(file, 0, 0);
	pid_t child;
	int status;

	file_chill(file);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		const char *verdict;

		write_file(GROUP "/cgroup.procs", "0");
		verdict = ways[way].send(&part);
		if (*verdict)
			die("%s", verdict);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status) {
		TH_LOG("%s", ways[way].name);
	}
}

/* What a worker brings into the page cache is charged to who submitted. */
TEST_F(memory, of_a_cold_file)
{
	struct file file;
	size_t i;

	file_make(&file, EXT4, LARGE, SEED + 1);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		int64_t before, after;

		file_chill(&file);
		before = figure("file");
		send_cold(_metadata, &file, i);
		after = figure("file");
		TH_LOG("%s: %lld KiB", ways[i].name,
		       (long long)(after - before) / 1024);
		EXPECT_LE(LARGE - SLACK, after - before);
	}
	file_close(&file);
}

/* And the group's limit holds: what it brought in before has to go. */
TEST_F(memory, of_a_cold_file_at_the_limit)
{
	struct file file;
	size_t i;

	file_make(&file, EXT4, LARGE, SEED + 1);
	write_file(GROUP "/memory.max", "8M");
	write_file(GROUP "/memory.swap.max", "0");
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		int64_t before = figure_in("memory.events", "max");

		send_cold(_metadata, &file, i);
		EXPECT_LT(before, figure_in("memory.events", "max"));
		EXPECT_GE(8 * MIB + SLACK, file_resident(&file, 0, LARGE) * PAGE);
		EXPECT_EQ(0, figure_in("memory.events", "oom_kill"));
	}
	file_close(&file);
}

TEST_HARNESS_MAIN
