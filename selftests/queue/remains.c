// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process leaves behind that ends, or executes another program: nothing that
 * others come to wait for, though no worker of its hears of the end, or the one that
 * does is kept.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/child.h"
#include "lib/door.h"
#include "lib/late.h"
#include "lib/plain.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	417U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534
#define MANY	16		/* sockets */

FIXTURE(remains)
{
	struct watch watch;
	struct file file;
	struct part part;
	int device;
};

FIXTURE_SETUP(remains)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	self->device = device_open();
}

FIXTURE_TEARDOWN(remains)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void say(int report)
{
	if (write(report, "", 1) != 1)
		die("report");
}

static bool hears(int report)
{
	char byte;

	return await(report, POLLIN) && read(report, &byte, 1) == 1;
}

/* What has come of a transfer that was cut short, and the end behind it. */
static bool ends(int fd)
{
	static char buffer[64 * 1024];
	ssize_t got;

	do {
		if (!await(fd, POLLIN))
			return false;
		got = read(fd, buffer, sizeof(buffer));
	} while (got > 0);
	return !got;
}

static struct late late;

/* Keeps the lock of a socket until the memory comes. */
static void *hold(void *socket)
{
	recv(*(int *)socket, late.memory, 1, 0);
	return NULL;
}

/* In a process of its own: a transfer to each of them, and no more. */
static pid_t submit_to_all(FIXTURE_DATA(remains) *self, const struct pair *pairs)
{
	int report[2], i;
	pid_t child;

	if (pipe(report))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		for (i = 0; i < MANY; i++)
			submit_one(self->device, pairs[i].tx, &self->part, i);
		say(report[1]);
		for (;;)
			pause();
	}
	if (!hears(report[0]))
		die("the child does not submit");
	close(report[0]);
	close(report[1]);
	for (i = 1; i < MANY; i++)
		close(pairs[i].tx);
	return child;
}

/* All but the first one's sockets are at their end, and the process is. */
static bool all_end(pid_t child, const struct pair *pairs)
{
	int status, i;

	for (i = 1; i < MANY; i++) {
		if (!ends(pairs[i].rx))
			return false;
		close(pairs[i].rx);
	}
	return await_end(child, &status);
}

/* One of the sockets is locked by another process: the others end all the same. */
TEST_F(remains, beside_a_lock)
{
	struct zcopy_completion done[MANY];
	struct pair pairs[MANY];
	pthread_t holder;
	pid_t child;
	int i;

	for (i = 0; i < MANY; i++)
		pair_open(&pairs[i], TCP4, SMALL);
	child = submit_to_all(self, pairs);
	/* No acknowledgment makes room, for which a worker would come for the lock. */
	set_send_buffer(pairs[0].tx, 1);
	late_make(&late, PAGE);
	ASSERT_EQ(1, send(pairs[0].rx, "", 1, 0));
	ASSERT_TRUE(await(pairs[0].tx, POLLIN));
	/* What the byte may have set free is filled again. */
	ASSERT_TRUE(await_all(child, 'S'));
	ASSERT_EQ(0, pthread_create(&holder, NULL, hold, &pairs[0].tx));
	ASSERT_TRUE(late_await(&late, 1));
	ASSERT_EQ(0, kill(child, SIGKILL));

	EXPECT_EQ(MANY, reap(self->device, done, MANY));
	EXPECT_TRUE(all_end(child, pairs));
	late_come(&late);
	ASSERT_EQ(0, pthread_join(holder, NULL));
	close(pairs[0].tx);
	EXPECT_TRUE(ends(pairs[0].rx));
	close(pairs[0].rx);
	late_close(&late);
}

/* The bytes of a transfer that was cut short; of all of them. */
static uint64_t bytes_of(const struct zcopy_completion *done, uint64_t user_data)
{
	while (done->user_data != user_data)
		done++;
	return done->bytes;
}

/* The same, of a socket that is full; the other process's bytes follow. */
TEST_F(remains, beside_a_lock_of_tls)
{
	struct zcopy_completion done[MANY] = {};
	struct plain sender;
	struct pair pairs[MANY];
	struct reader reader;
	struct part parts[2];
	pid_t child;
	int i;

	ASSERT_EQ(0, run("modprobe tls"));
	for (i = 0; i < MANY; i++)
		pair_open(&pairs[i], i ? TCP4 : TLS, SMALL);
	child = submit_to_all(self, pairs);
	ASSERT_TRUE(await_full(pairs[0].tx));
	ASSERT_TRUE(await_all(child, 'S'));
	plain_start(&sender, pairs[0].tx, memory(0, SIZE), SIZE);
	ASSERT_TRUE(plain_blocked(&sender));
	ASSERT_EQ(0, kill(child, SIGKILL));

	ASSERT_EQ(MANY, reap(self->device, done, MANY));
	EXPECT_TRUE(all_end(child, pairs));
	parts[0] = of_file(&self->file, 0, bytes_of(done, 0));
	parts[1] = of_memory(0, SIZE);
	reader_start(&reader, pairs[0].rx, parts, 2);
	plain_finish(&sender);
	EXPECT_EQ(SIZE, sender.sent);
	close(pairs[0].tx);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(parts, 2)));
	close(pairs[0].rx);
}

static void keep_open(int fd)
{
	if (fcntl(fd, F_SETFD, 0))
		die("FD_CLOEXEC");
}

/* What the next program does with what it has inherited; its exit status. */
static int next_program(int device, int socket)
{
	const struct part byte = of_memory(1, 1), much = of_memory(2, 40000);
	struct zcopy_completion done;
	struct zcopy_info info;
	int i;

	/* It knows of no failure, and nothing of another program's holds it back. */
	submit_one(device, socket, &byte, 1);
	if (reap(device, &done, 1) != 1 || done.error || done.bytes != 1)
		return 1;
	/* And it pays for itself. */
	for (i = 0; i < MANY; i++)
		submit_one(device, socket, &much, 2);
	device_info(device, &info);
	return info.user_transfers ? 0 : 2;
}

/* Without a worker, which would have ended with the first program. */
TEST_F(remains, nothing_for_the_next_program)
{
	struct pair pair;
	int status;
	pid_t child;

	pair_open(&pair, TCP4, SMALL);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		const struct part more = of_file(&self->file, SIZE - 100, 200);
		struct zcopy_transfer transfer;
		struct zcopy_completion done;
		char device[20], socket[20];
		char *const arguments[] = { "remains", "next", device, socket, NULL };
		int program;

		transfer = transfer_of(pair.tx, &more, 1, 1);
		transfer.flags = ZCOPY_EXACT;
		submit_all(self->device, &transfer, 1);
		if (reap(self->device, &done, 1) != 1 || done.error != -ENODATA)
			die("the transfer does not fall short");
		if (threads(getpid(), HOT_WORKER))
			die("there is a worker");
		keep_open(self->device);
		keep_open(pair.tx);
		snprintf(device, sizeof(device), "%d", self->device);
		snprintf(socket, sizeof(socket), "%d", pair.tx);
		program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		become(NOBODY);
		fexecve(program, arguments, environ);
		die("exec");
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status) {
		TH_LOG("%#x", status);
	}
	pair_close(&pair);
	EXPECT_TRUE(await_active(0));
}

/* What a thread of the kernel closes, for whomever: does it come to be closed? */
static bool kernel_closes(void)
{
	struct ring ring;
	int ends[2];
	bool closed;

	if (pipe(ends))
		die("pipe");
	ring_open(&ring, 1, 0);
	if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &ends[1], 1))
		die("register a file");
	close(ends[1]);
	ring_close(&ring);
	closed = await(ends[0], POLLIN);
	close(ends[0]);
	return closed;
}

/* What a child that is traced submits to, and does then. */
struct traced {
	const FIXTURE_DATA(remains) *self;
	struct pair pair;
	void (*and_then)(const FIXTURE_DATA(remains) *self);
	int order;		/* a byte there: another thread is to execute; or 0 */
};

static void *execute_when_told(void *traced)
{
	char *const arguments[] = { "remains", "stay", NULL };

	if (!hears(((struct traced *)traced)->order))
		die("nobody says so");
	execv("/proc/self/exe", arguments);
	die("exec");
}

static void be_traced(void *argument)
{
	struct traced *traced = argument;
	pthread_t thread;

	if (traced->order && pthread_create(&thread, NULL, execute_when_told, traced))
		die("make a thread");
	submit_one(traced->self->device, traced->pair.tx, &traced->self->part, 1);
	traced->and_then(traced->self);
}

/* About to submit to a socket that lingers. */
static pid_t start_traced(struct traced *traced)
{
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	pid_t child;

	pair_open(&traced->pair, TCP4, SMALL);
	if (setsockopt(traced->pair.tx, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)))
		die("SO_LINGER");
	child = child_trace(be_traced, traced);
	close(traced->pair.tx);
	return child;
}

/*
 * Who ends the transfer, and closes the socket, is neither a thread of the kernel,
 * which all would wait for, nor nobody.
 */
static void expect_over(struct __test_metadata *_metadata, FIXTURE_DATA(remains) *self,
			const struct pair *pair)
{
	struct zcopy_completion done;

	EXPECT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-ECANCELED, done.error);
	EXPECT_TRUE(kernel_closes());
	EXPECT_TRUE(ends(pair->rx));
	close(pair->rx);
	EXPECT_TRUE(await_active(0));
}

static void stay(const FIXTURE_DATA(remains) *self)
{
	(void)self;
	for (;;)
		pause();
}

/* It was stopped before it could have a thread, and is killed. */
TEST_F(remains, killed_before_a_worker)
{
	struct traced traced = { .self = self, .and_then = stay };
	pid_t child = start_traced(&traced);
	int status;

	ASSERT_EQ(0, kill(child, SIGSTOP));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, child, 0, 0));
	ASSERT_TRUE(await_state(child, 'T'));
	EXPECT_EQ(0, threads(child, HOT_WORKER));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_TRUE(await_end(child, &status));
	expect_over(_metadata, self, &traced.pair);
}

static void leave(const FIXTURE_DATA(remains) *self)
{
	close(self->device);
	_exit(0);
}

/* The same, but it goes on, and has ended before it is asked for a thread again. */
TEST_F(remains, ends_before_a_worker)
{
	struct traced traced = { .self = self, .and_then = leave };
	int status, i;
	pid_t child;

	for (i = 0; i < 20; i++) {
		child = start_traced(&traced);
		ASSERT_EQ(0, kill(child, SIGSTOP));
		ASSERT_EQ(0, ptrace(PTRACE_CONT, child, 0, 0));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_TRUE(WIFSTOPPED(status));
		ASSERT_EQ(0, ptrace(PTRACE_DETACH, child, 0, 0));
		ASSERT_TRUE(await_end(child, &status));
		EXPECT_EQ(0, status);
		expect_over(_metadata, self, &traced.pair);
	}
}

/*
 * The thread that has to make a worker later is held by a debugger, until another one
 * executes a program: that has none made.
 */
TEST_F(remains, no_worker_of_the_next_program)
{
	struct traced traced = { .self = self, .and_then = stay };
	int orders[2], status;
	pid_t child;

	ASSERT_EQ(0, pipe(orders));
	traced.order = orders[0];
	child = start_traced(&traced);
	ASSERT_EQ(0, syscall(SYS_tgkill, child, child, SIGSTOP));
	ASSERT_EQ(0, ptrace(PTRACE_SYSCALL, child, 0, 0));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	say(orders[1]);
	expect_over(_metadata, self, &traced.pair);
	EXPECT_EQ(0, threads(child, HOT_WORKER));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_TRUE(await_end(child, &status));
	close(orders[0]);
	close(orders[1]);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "next"))
		return next_program(atoi(argv[2]), atoi(argv[3]));
	if (argc == 2 && !strcmp(argv[1], "stay"))
		stay(NULL);
	return test_harness_run(argc, argv);
}
