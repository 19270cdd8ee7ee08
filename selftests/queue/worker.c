// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeps workers from being made, after bytes were sent: nothing is lost, and
 * the next transfer has its worker as soon as there can be one.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
#define NOBODY	65534
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

/* Runs in a process of its own; what it says comes back. */
static int as_another(int (*work)(FIXTURE_DATA(worker) *self),
		      FIXTURE_DATA(worker) *self)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(work(self));
	if (child < 0 || waitpid(child, &status, 0) != child)
		die("run a child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

/* Submits what has to wait; what it ends with, after some bytes. */
static int ends_with(FIXTURE_DATA(worker) *self, struct cursor *cursor)
{
	struct zcopy_completion done;

	submit_one(self->device, self->pair.tx, &self->part, 3);
	if (reap(self->device, &done, 1) != 1)
		return 100;
	/* As many as it says, and those. */
	if (!done.bytes || done.bytes >= SIZE || done.flags ||
	    !cursor_take(cursor, self->pair.rx, done.bytes) ||
	    *cursor_verdict(cursor, done.bytes))
		return 101;
	return -done.error;
}

/* And what keeps it from that ends, too: the same connection goes on. */
static int ends_with_once(FIXTURE_DATA(worker) *self, void (*hinder)(bool on))
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct zcopy_transfer transfer;
	struct part rest;
	int error;

	hinder(true);
	error = ends_with(self, &cursor);
	hinder(false);
	if (cursor.got >= SIZE)
		return error;
	rest = of_file(&self->file, cursor.got, 0);
	transfer = transfer_of(self->pair.tx, &rest, 1, 4);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	if (threads(getpid(), HOT_WORKER) != 1)
		return 102;
	if (!cursor_take(&cursor, self->pair.rx, rest.want.len) ||
	    *cursor_verdict(&cursor, SIZE) ||
	    *completes(self->device, 4, rest.want.len, 0, 0))
		return 103;
	return error;
}

static void limit_user(bool on)
{
	const struct rlimit limit = { on ? 1 : 100, 100 };

	if ((on && setresuid(NOBODY, NOBODY, NOBODY)) ||
	    setrlimit(RLIMIT_NPROC, &limit))
		die("limit the user");
}

static int at_the_user_s_limit(FIXTURE_DATA(worker) *self)
{
	return ends_with_once(self, limit_user);
}

TEST_F(worker, none_at_the_limit)
{
	EXPECT_EQ(EAGAIN, as_another(at_the_user_s_limit, self));
	EXPECT_TRUE(await_active(0));
}

/* What need not wait needs no thread, though it be more than one turn. */
static int sends_at_the_user_s_limit(FIXTURE_DATA(worker) *self)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	const int room = 8 * MIB;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	if (setsockopt(pair.tx, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)))
		return 100;
	limit_user(true);
	submit_one(self->device, pair.tx, &self->part, 5);
	if (*completes(self->device, 5, SIZE, 0, 0))
		return 101;
	return cursor_take(&cursor, pair.rx, SIZE) && !*cursor_verdict(&cursor, SIZE) ?
		       0 : 102;
}

TEST_F(worker, none_is_needed)
{
	EXPECT_EQ(0, as_another(sends_at_the_user_s_limit, self));
}

static void enter_group(const char *max)
{
	if (!write_text(GROUP "/pids.max", max) ||
	    !write_text(GROUP "/cgroup.procs", "0"))
		die("enter the group");
}

static void limit_group(bool on)
{
	enter_group(on ? "1" : "max");
}

static int at_the_group_s_limit(FIXTURE_DATA(worker) *self)
{
	return ends_with_once(self, limit_group);
}

TEST_F(worker, none_at_the_limit_of_the_group)
{
	EXPECT_EQ(EAGAIN, as_another(at_the_group_s_limit, self));
	EXPECT_TRUE(await_active(0));
}

/* The kernel's header goes with no header of the C library. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;	/* nanoseconds, like the others */
	uint64_t deadline;
	uint64_t period;
};

static void be_in_time(bool on)
{
	struct scheduling attr = { .size = sizeof(attr) };

	if (on) {
		attr.policy = 6;	/* SCHED_DEADLINE */
		attr.runtime = 50000000;
		attr.deadline = 100000000;
		attr.period = 100000000;
	}
	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		die("sched_setattr");
}

static int with_a_deadline(FIXTURE_DATA(worker) *self)
{
	return ends_with_once(self, be_in_time);
}

/* What the processor is set aside for makes no other threads. */
TEST_F(worker, none_of_a_thread_with_a_deadline)
{
	EXPECT_EQ(EAGAIN, as_another(with_a_deadline, self));
	EXPECT_TRUE(await_active(0));
}

#define EXECUTES	"executes"	/* name of a thread */

/* Of a file that the disk does not give, and that is no program. */
static void *execute(void *path)
{
	prctl(PR_SET_NAME, EXECUTES);
	execl(path, path, NULL);
	if (errno != ENOEXEC)
		die("run %s", (char *)path);
	return NULL;
}

static void begin_to_execute(bool on)
{
	static pthread_t thread;
	static char path[300], text[PAGE];
	struct file file = { .filesystem = EXT4, .size = PAGE };
	uint64_t since = 0;

	if (!on) {
		disk_resume();
		pthread_join(thread, NULL);
		unlink(path);
		return;
	}
	snprintf(path, sizeof(path), "%s/program", directory(EXT4));
	file.rw = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
	if (file.rw < 0)
		die("make %s", path);
	file.fd = file.rw;
	/* The kernel loads no module to understand what is text. */
	memset(text, 'x', PAGE);
	if (write(file.rw, text, PAGE) != PAGE)
		die("write %s", path);
	file_chill(&file);
	close(file.rw);
	disk_suspend();
	if (pthread_create(&thread, NULL, execute, path))
		die("make a thread");
	while (!threads_at_disk(EXECUTES))
		if (!patience(&since))
			die("no thread executes");
}

static int beside_exec(FIXTURE_DATA(worker) *self)
{
	return ends_with_once(self, begin_to_execute);
}

/* Nobody shares what another thread is about to leave. */
TEST_F(worker, none_while_another_thread_executes)
{
	EXPECT_EQ(EAGAIN, as_another(beside_exec, self));
	EXPECT_TRUE(await_active(0));
}

static int in_no_namespace(FIXTURE_DATA(worker) *self)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	if (unshare(CLONE_NEWPID))
		die("unshare");
	return ends_with(self, &cursor);
}

TEST_F(worker, none_outside_of_its_namespace)
{
	EXPECT_EQ(EINVAL, as_another(in_no_namespace, self));
	EXPECT_TRUE(await_active(0));
}

/* Nor is one that waits for its release taken. */
static int wants_release(FIXTURE_DATA(worker) *self)
{
	const struct part part = of_memory(0, 10);
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;

	if (unshare(CLONE_NEWPID))
		die("unshare");
	transfer = transfer_of(self->pair.tx, &part, 1, 5);
	transfer.flags = ZCOPY_NOTIFY;
	submit = submit_of(&transfer, 1);
	if (submit_call(self->device, &submit) || submit.accepted)
		return 100;
	return -submit.error;
}

TEST_F(worker, none_for_the_release)
{
	EXPECT_EQ(EINVAL, as_another(wants_release, self));
	EXPECT_TRUE(await_active(0));
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

static int with_a_hot_one(FIXTURE_DATA(worker) *self)
{
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
	EXPECT_EQ(EAGAIN, as_another(with_a_hot_one, self));
	EXPECT_TRUE(await_active(0));
}

static int with_one_of_each(FIXTURE_DATA(worker) *self)
{
	int error;

	enter_group("3");
	error = send_cold(self, TARGETS);
	return threads(getpid(), NULL) == 3 ? error : 102;
}

/* One that comes back for more is enough for all. */
TEST_F(worker, one_for_the_disk)
{
	EXPECT_EQ(0, as_another(with_one_of_each, self));
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
