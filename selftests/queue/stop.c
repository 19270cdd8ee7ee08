// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stops a process stops its workers, in whatever they are at: a signal, a
 * control group, a debugger. Its transfers stand still, and go on.
 */
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/child.h"
#include "lib/disk.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	411U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define GROUP	"/sys/fs/cgroup/zcopy_stop"

FIXTURE(stop)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(stop)
{
	disk_resume();		/* if a test before this one was killed */
	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
}

FIXTURE_TEARDOWN(stop)
{
	disk_resume();
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static bool is_frozen(void)
{
	return !system("grep -qx 'frozen 1' " GROUP "/cgroup.events");
}

/* Ctrl-Z, or a control group that is frozen: a process is to stand still ... */
static void halt(pid_t child, bool freezes)
{
	char text[20];

	if (!freezes) {
		if (kill(child, SIGSTOP))
			die("stop the child");
		return;
	}
	snprintf(text, sizeof(text), "%d", child);
	if (mkdir(GROUP, 0755) || !write_text(GROUP "/cgroup.procs", text) ||
	    !write_text(GROUP "/cgroup.freeze", "1"))
		die("freeze the child");
}

/* ... and comes to, with all its threads ... */
static bool await_halt(pid_t child, bool freezes)
{
	uint64_t since = 0;

	if (!freezes)
		return await_all(child, 'T');
	while (!is_frozen())
		if (!patience(&since))
			return false;
	return true;
}

/* ... and goes on, up to its end. */
static const char *finish(pid_t child, struct cursor *cursor, int fd, bool freezes)
{
	const char *verdict;

	if (freezes ? !write_text(GROUP "/cgroup.freeze", "0") :
		      kill(child, SIGCONT))
		die("have the child go on");
	verdict = child_finish(child, cursor, fd);
	if (freezes && rmdir(GROUP))
		die("remove the group");
	return verdict;
}

/* What stands still sends nothing, and its transfer has not ended. */
static bool stands_still(int device, struct cursor *cursor, int fd)
{
	child_drain(cursor, fd, SIZE);
	return cursor->got < SIZE && stats_of(device, ZCOPY_STATS_CONTEXT).active == 1;
}

/* Transfers that wait for room; kernel TLS has a queue of its own above it. */
TEST_F(stop, at_a_full_socket)
{
	int i;

	for (i = 0; i < 4; i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };
		const bool freezes = i & 1;
		struct pair pair;
		pid_t child;

		pair_open(&pair, i & 2 ? TLS : TCP4, SMALL);
		child = child_start(self->device, pair.tx, &self->part);
		halt(child, freezes);
		ASSERT_TRUE(await_halt(child, freezes));
		EXPECT_TRUE(stands_still(self->device, &cursor, pair.rx));
		EXPECT_LT(0, cursor.got);
		EXPECT_STREQ("", finish(child, &cursor, pair.rx, freezes));
		pair_close(&pair);
	}
}

/* The page comes while nobody is there who could send it. */
TEST_F(stop, at_a_suspended_disk)
{
	int freezes;

	for (freezes = 0; freezes < 2; freezes++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };
		pid_t child;

		file_chill(&self->file);
		disk_suspend();
		child = child_fork(self->device, self->pair.tx, &self->part);
		ASSERT_TRUE(disk_await_readers(1));
		halt(child, freezes);
		ASSERT_TRUE(await_halt(child, freezes));
		disk_resume();
		EXPECT_TRUE(stands_still(self->device, &cursor, self->pair.rx));
		EXPECT_EQ(0, cursor.got);
		EXPECT_STREQ("", finish(child, &cursor, self->pair.rx, freezes));
	}
}

/* Who has asked a server that does not answer stands still when that does. */
TEST_F(stop, at_a_server)
{
	static struct hung hung;
	struct part part = of_file(&self->file, 0, 64 * KIB);
	int freezes;

	hung_make_lying(&hung, GIB, GIB, false, true, false);
	part.segment.fd = hung.fd;
	part.want.seed = HUNG_SEED;
	for (freezes = 0; freezes < 2; freezes++) {
		struct cursor cursor = { .parts = &part, .nr = 1 };
		const unsigned int asked = hung.asked;
		pid_t child, worker;

		hung_answer(&hung, false);
		child = child_fork(self->device, self->pair.tx, &part);
		ASSERT_TRUE(hung_await(&hung, asked + 1));
		worker = thread_of(child, COLD_WORKER);
		ASSERT_LT(0, worker);
		halt(child, freezes);
		/* It was called away, and may not come before the answer. */
		ASSERT_TRUE(await_state(worker, 'D'));
		hung_answer_late(&hung);
		ASSERT_TRUE(await_halt(child, freezes));
		EXPECT_TRUE(stands_still(self->device, &cursor, self->pair.rx));
		EXPECT_EQ(0, cursor.got);
		EXPECT_STREQ("", finish(child, &cursor, self->pair.rx, freezes));
	}
	hung_end(&hung);
}

static void submit_and_stay(void *argument)
{
	FIXTURE_DATA(stop) *self = argument;

	submit_one(self->device, self->pair.tx, &self->part, 1);
	for (;;)
		pause();
}

/* It has no worker yet; what a thread of the program does in its place waits, too. */
TEST_F(stop, frozen_before_a_worker)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	pid_t child = child_trace(submit_and_stay, self);

	halt(child, true);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, child, NULL, NULL));
	/* It stood before it was frozen, too. */
	ASSERT_TRUE(await_active(1));
	ASSERT_TRUE(await_halt(child, true));
	EXPECT_TRUE(stands_still(self->device, &cursor, self->pair.rx));
	EXPECT_EQ(0, threads(child, HOT_WORKER));
	ASSERT_TRUE(write_text(GROUP "/cgroup.freeze", "0"));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE - cursor.got));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(0, rmdir(GROUP));
}

/* A debugger takes hold of a thread, in either way. */
static void seize(pid_t thread, bool attaches)
{
	if (attaches ? ptrace(PTRACE_ATTACH, thread, NULL, NULL) :
		       ptrace(PTRACE_SEIZE, thread, NULL, NULL) ||
		       ptrace(PTRACE_INTERRUPT, thread, NULL, NULL))
		die("take hold of thread %d", thread);
}

static void await_stop(pid_t thread)
{
	int status;

	if (waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status))
		die("thread %d does not stop", thread);
}

static void let_go(pid_t thread)
{
	if (ptrace(PTRACE_DETACH, thread, NULL, NULL))
		die("let go of thread %d", thread);
}

/* A debugger that knows of no other threads than the program's. */
TEST_F(stop, debugged)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	pid_t child = child_start(self->device, self->pair.tx, &self->part);

	seize(child, false);
	await_stop(child);
	/* The worker is not the debugger's: it goes on. */
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	let_go(child);
	EXPECT_STREQ("", child_finish(child, &cursor, self->pair.rx));
}

/* One that has found the worker, and maybe all of them. */
TEST_F(stop, worker_debugged)
{
	int i;

	for (i = 0; i < 4; i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };
		const bool attaches = i & 1, all = i & 2;
		pid_t child = child_start(self->device, self->pair.tx,
					  &self->part);
		pid_t worker = thread_of(child, HOT_WORKER);

		ASSERT_LT(0, worker);
		seize(worker, attaches);
		await_stop(worker);
		if (all) {
			seize(child, attaches);
			await_stop(child);
		}
		child_drain(&cursor, self->pair.rx, SIZE);
		EXPECT_GT(SIZE, cursor.got);
		EXPECT_EQ(1, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
		if (all)
			let_go(child);
		let_go(worker);
		EXPECT_STREQ("", child_finish(child, &cursor, self->pair.rx));
	}
}

/* While the worker sends, to whatever has a way of its own to be interrupted. */
TEST_F(stop, debugged_again_and_again)
{
	const enum transport transports[] = { TCP4, UNIX, TLS };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transports); i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };
		struct pair pair;
		pid_t child, worker;

		pair_open(&pair, transports[i], SMALL);
		child = child_start(self->device, pair.tx, &self->part);
		worker = thread_of(child, HOT_WORKER);
		ASSERT_LT(0, worker);
		seize(worker, false);
		await_stop(worker);
		while (cursor.got < SIZE / 2) {
			ASSERT_EQ(0, ptrace(PTRACE_CONT, worker, NULL, NULL));
			ASSERT_TRUE(cursor_take(&cursor, pair.rx, 16 * KIB));
			ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, worker, NULL,
					    NULL));
			await_stop(worker);
		}
		let_go(worker);
		EXPECT_STREQ("", child_finish(child, &cursor, pair.rx));
		pair_close(&pair);
	}
}

/* It stops when the disk has answered. Others may go on with what it has read. */
TEST_F(stop, cold_worker_debugged)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };
		pid_t child, worker;

		file_chill(&self->file);
		disk_suspend();
		child = child_fork(self->device, self->pair.tx, &self->part);
		ASSERT_TRUE(disk_await_readers(1));
		worker = thread_of(child, COLD_WORKER);
		ASSERT_LT(0, worker);
		seize(worker, i);
		disk_resume();
		await_stop(worker);
		child_drain(&cursor, self->pair.rx, SIZE / 2);
		TH_LOG("%llu bytes without it", (unsigned long long)cursor.got);
		let_go(worker);
		EXPECT_STREQ("", child_finish(child, &cursor, self->pair.rx));
	}
}

/* Stops the child, and the worker with it. */
static void hold(pid_t child, pid_t worker, bool by_signal)
{
	if (by_signal) {
		if (kill(child, SIGSTOP) || !await_all(child, 'T'))
			die("the child does not stop");
		return;
	}
	seize(worker, false);
	/* It stops; or another one was quicker, and their process has ended. */
	if (waitpid(worker, NULL, __WALL) != worker)
		die("wait for thread %d", worker);
}

static void go_on(pid_t child, pid_t worker, bool by_signal)
{
	if (by_signal && kill(child, SIGCONT))
		die("continue the child");
	if (by_signal || !ptrace(PTRACE_DETACH, worker, NULL, NULL))
		return;
	/* Ended since, it has to be waited for before its process can be. */
	if (errno != ESRCH || (waitpid(worker, NULL, __WALL) < 0 && errno != ECHILD))
		die("let go of thread %d", worker);
}

/*
 * A file server that is told says so, and so does what waits for it. It is asked
 * once more, and nobody hears of it.
 */
TEST_F(stop, called_away_from_a_server)
{
	static struct hung hung;
	unsigned int asked = 0;
	int i;

	hung_make_listening(&hung);
	for (i = 0; i < 4; i++) {
		const bool writes = i & 1, by_signal = i & 2;
		struct part part = of_file(&self->file, 0, 64 * KIB);
		struct cursor cursor = { .parts = &part, .nr = 1 };
		pid_t child, worker;
		int status;

		if (!writes) {
			part.segment.fd = hung.fd;
			part.want.seed = HUNG_SEED;
		}
		hung_answer(&hung, false);
		child = child_fork(self->device, writes ? hung.fd :
				   self->pair.tx, &part);
		ASSERT_TRUE(hung_await(&hung, asked + 1));
		worker = thread_of(child, COLD_WORKER);
		ASSERT_LT(0, worker);
		/* If it is a debugger that holds it, another worker asks. */
		hung_answer(&hung, true);
		hold(child, worker, by_signal);
		go_on(child, worker, by_signal);
		if (writes) {
			ASSERT_EQ(child, waitpid(child, &status, 0));
			EXPECT_EQ(0, status);
		} else {
			EXPECT_STREQ("", child_finish(child, &cursor,
						      self->pair.rx));
		}
		/* What it had to be asked again. */
		EXPECT_TRUE(hung_await(&hung, asked + 2));
		asked = hung.asked;
	}
	hung_end(&hung);
}

/* In the child: has an idle worker, and closes the device when it is told to. */
static void close_later(FIXTURE_DATA(stop) *self, int order)
{
	struct zcopy_completion done;
	int device = device_open();
	char byte;

	submit_one(device, self->pair.tx, &self->part, 0);
	if (cancel_all(device) != 1 || reap(device, &done, 1) != 1 ||
	    write(order, "", 1) != 1 || read(order, &byte, 1) != 1)
		die("have a worker that is idle");
	close(device);
	_exit(0);
}

/* Who closes waits for the worker's last steps, but no longer than it lives. */
TEST_F(stop, closed_while_debugged)
{
	int i;

	for (i = 0; i < 2; i++) {
		pid_t child, worker;
		struct pair order;
		int status;
		char byte;

		pair_open(&order, UNIX, 0);
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			close_later(self, order.tx);
		ASSERT_EQ(1, read(order.rx, &byte, 1));
		worker = thread_of(child, HOT_WORKER);
		ASSERT_LT(0, worker);
		ASSERT_TRUE(await_sleep(worker));
		seize(worker, false);
		await_stop(worker);
		ASSERT_EQ(1, write(order.rx, "", 1));
		ASSERT_TRUE(await_state(child, 'D'));
		if (i) {
			ASSERT_EQ(0, kill(child, SIGKILL));
			/* It was the debugger's. */
			ASSERT_EQ(worker, waitpid(worker, &status, __WALL));
		} else {
			let_go(worker);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(i ? SIGKILL : 0, status);
		pair_close(&order);
		EXPECT_TRUE(await_active(0));
	}
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
