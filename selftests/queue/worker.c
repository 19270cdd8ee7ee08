// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers that cannot be made just now: some of them at a limit, or any while there
 * are signals. Nothing is lost, and there is one as soon as there can be one.
 */
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	411U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/few"	/* the kernel's log names it */

FIXTURE(worker)
{
	struct watch watch;
	struct file file;
	struct file cold;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(worker)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	file_make(&self->cold, EXT4, SIZE, SEED + 1);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
	ASSERT_TRUE(write_text(ROOT "/cgroup.subtree_control", "+pids"));
	ASSERT_EQ(0, mkdir(GROUP, 0755));
}

FIXTURE_TEARDOWN(worker)
{
	disk_resume();
	EXPECT_EQ(0, rmdir(GROUP));
	EXPECT_TRUE(write_text(ROOT "/cgroup.subtree_control", "-pids"));
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", file_intact(&self->cold));
	file_close(&self->file);
	file_close(&self->cold);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void enter_group(const char *max)
{
	if (!write_text(GROUP "/pids.max", max) ||
	    !write_text(GROUP "/cgroup.procs", "0"))
		die("enter the group");
}

#define TARGETS	5
#define FEW	(64 * KIB)	/* has room in all of them */

/* Submits a cold file for each of them, and waits for those that complete. */
static int send_cold(FIXTURE_DATA(worker) *self, size_t nr)
{
	const struct part part = of_file(&self->cold, 0, FEW);
	struct zcopy_completion done[TARGETS];
	struct pair pairs[TARGETS];
	size_t i;

	file_chill(&self->cold);
	disk_suspend();
	for (i = 0; i < nr; i++) {
		pair_open(&pairs[i], UNIX, 0);
		submit_one(self->device, pairs[i].tx, &part, i);
	}
	if (threads(getpid(), COLD_WORKER) == 1 && !disk_await_readers(1))
		return 104;
	disk_resume();
	if (reap(self->device, done, nr) != nr)
		return 105;
	for (i = 0; i < nr; i++) {
		struct cursor cursor = { .parts = &part, .nr = 1 };

		if (done[i].error != done[0].error || done[i].flags ||
		    done[i].bytes != (done[i].error ? 0 : FEW))
			return 106;
		if (!cursor_take(&cursor, pairs[done[i].user_data].rx,
				 done[i].bytes) ||
		    *cursor_verdict(&cursor, done[i].bytes))
			return 107;
	}
	for (i = 0; i < nr; i++)
		pair_close(&pairs[i]);
	return -done[0].error;
}

static int with_a_hot_one(void *argument)
{
	FIXTURE_DATA(worker) *self = argument;
	int error;

	enter_group("2");
	error = send_cold(self, 1);
	if (threads(getpid(), NULL) != 2)
		return 102;
	/* It is the limit, and nothing else. */
	enter_group("max");
	return send_cold(self, 2) ? 103 : error;
}

/* Who needs no disk has a worker; who does ends with why not. */
TEST_F(worker, none_for_the_disk)
{
	EXPECT_EQ(EAGAIN, as_child(with_a_hot_one, self));
	EXPECT_TRUE(await_active(0));
}

static int with_one_of_each(void *argument)
{
	FIXTURE_DATA(worker) *self = argument;
	int error;

	enter_group("3");
	error = send_cold(self, TARGETS);
	return threads(getpid(), NULL) == 3 ? error : 102;
}

/* One that comes back for more is enough for all. */
TEST_F(worker, one_for_the_disk)
{
	EXPECT_EQ(0, as_child(with_one_of_each, self));
	EXPECT_TRUE(await_active(0));
}

static void ignore(int number)
{
	(void)number;
}

/* Makes the first worker of a context, a hundred times; 0 when all went well. */
static int begin_often(FIXTURE_DATA(worker) *self)
{
	int i;

	for (i = 0; i < 100; i++) {
		struct zcopy_completion done;
		int device = device_open();
		struct pair pair;

		pair_open(&pair, TCP4, SMALL);
		submit_one(device, pair.tx, &self->part, i);
		if (cancel_all(device) != 1 || reap(device, &done, 1) != 1 ||
		    done.error != -ECANCELED)
			return 1;
		close(device);
		pair_close(&pair);
	}
	return 0;
}

/* Signals that are pending keep no thread from being made, and nothing is lost. */
TEST_F(worker, signals_all_the_time)
{
	const struct sigaction action = { .sa_handler = ignore,
					  .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval never = {};
	struct itimerval before;
	struct sigaction old;

	ASSERT_EQ(0, sigaction(SIGPROF, &action, &old));
	ASSERT_EQ(0, setitimer(ITIMER_PROF, &often, &before));
	EXPECT_EQ(0, begin_often(self));
	ASSERT_EQ(0, setitimer(ITIMER_PROF, &never, NULL));
	ASSERT_EQ(0, sigaction(SIGPROF, &old, NULL));
	EXPECT_TRUE(await_threads(getpid(), HOT_WORKER, 0));
}

/* Nor is anything lost when the process is stopped just then. */
TEST_F(worker, stopped_all_the_time)
{
	pid_t child = fork();
	int rounds = 0, status = 0;

	ASSERT_LE(0, child);
	if (!child)
		_exit(begin_often(self));
	do {
		ASSERT_EQ(0, kill(child, SIGSTOP));
		ASSERT_EQ(child, waitpid(child, &status, WUNTRACED));
		if (!WIFSTOPPED(status))
			break;
		ASSERT_EQ(0, kill(child, SIGCONT));
		/* It is to get on, if only a little. */
		poll(NULL, 0, ++rounds % 30 * slowdown());
	} while (!waitpid(child, &status, WNOHANG));
	TH_LOG("stopped %d times", rounds);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_TRUE(await_active(0));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
