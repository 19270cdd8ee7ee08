// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why a process may have no worker, each cause at each door: what has to wait ends
 * with the error of clone(2) and the bytes that went, what wants to hear of its
 * release is refused, and when the cause is gone all goes on as before.
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
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/setting.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	413U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534
#define ROOT	"/sys/fs/cgroup"
#define GROUP	ROOT "/none"	/* the kernel's log names it */

/* RLIMIT_NPROC, which is no limit for root. */
static void limit_user(bool on)
{
	const struct rlimit limit = { on ? 1 : 100, 100 };

	if ((on && setresuid(NOBODY, NOBODY, NOBODY)) ||
	    setrlimit(RLIMIT_NPROC, &limit))
		die("limit the user");
}

/* The limit of a control group. */
static void limit_group(bool on)
{
	if (!write_text(GROUP "/pids.max", on ? "1" : "max") ||
	    !write_text(GROUP "/cgroup.procs", "0"))
		die("limit the group");
}

/* Nobody may have one more, root included. */
static void limit_machine(bool on)
{
	if (on)
		setting_set("1");
	else
		setting_restore();
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

static void return_to_namespace(void)
{
	int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWPID))
		die("return to the namespace");
	close(fd);
}

/* Its children shall be in a namespace that is yet to be begun ... */
static void leave_namespace(bool on)
{
	if (!on)
		return_to_namespace();
	else if (unshare(CLONE_NEWPID))
		die("unshare");
}

/* ... or in one that somebody else has begun. */
static void join_namespace(bool on)
{
	static pid_t other;
	char path[40];
	int fd;

	if (!on) {
		return_to_namespace();
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
		return;
	}
	other = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", other);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (other < 0 || fd < 0 || setns(fd, CLONE_NEWPID))
		die("join a namespace");
	close(fd);
}

FIXTURE(no_worker)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
	enum door door;
	void (*hinder)(bool on);
};

FIXTURE_VARIANT(no_worker)
{
	void (*hinder)(bool on);
	int error;
};

#define CAUSE(name, what, says)						\
	FIXTURE_VARIANT_ADD(no_worker, name)				\
	{								\
		.hinder = what, .error = says,				\
	}

CAUSE(user, limit_user, EAGAIN);
CAUSE(group, limit_group, EAGAIN);
CAUSE(machine, limit_machine, EAGAIN);
/* What the processor is set aside for makes no other threads. */
CAUSE(deadline, be_in_time, EAGAIN);
/* Nobody shares what another thread is about to leave. */
CAUSE(executes, begin_to_execute, EAGAIN);
CAUSE(unshare, leave_namespace, EINVAL);
CAUSE(setns, join_namespace, EINVAL);

FIXTURE_SETUP(no_worker)
{
	disk_resume();		/* if a test before this one was killed */
	setting_restore();
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
	self->hinder = variant->hinder;
	ASSERT_TRUE(write_text(ROOT "/cgroup.subtree_control", "+pids"));
	ASSERT_EQ(0, mkdir(GROUP, 0755));
}

FIXTURE_TEARDOWN(no_worker)
{
	disk_resume();
	setting_restore();
	EXPECT_EQ(0, rmdir(GROUP));
	EXPECT_TRUE(write_text(ROOT "/cgroup.subtree_control", "-pids"));
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Hands in what has to wait; what it ends with, after some bytes. */
static int ends_with(FIXTURE_DATA(no_worker) *self, struct cursor *cursor)
{
	const struct zcopy_transfer transfer = transfer_of(self->pair.tx, &self->part,
							   1, 3);
	struct zcopy_completion done;

	if (fly(self->door, self->device, &transfer, &done))
		return 100;
	/* As many as it says, and those. */
	if (!done.bytes || done.bytes >= SIZE || done.flags ||
	    !cursor_take(cursor, self->pair.rx, done.bytes) ||
	    *cursor_verdict(cursor, done.bytes))
		return 101;
	return -done.error;
}

/* And what keeps it from that ends, too: the same connection goes on. */
static int ends_with_once(void *argument)
{
	FIXTURE_DATA(no_worker) *self = argument;
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct zcopy_transfer transfer;
	struct part rest;
	int error;

	self->hinder(true);
	error = ends_with(self, &cursor);
	self->hinder(false);
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

TEST_F(no_worker, queue)
{
	self->door = SUBMIT;
	EXPECT_EQ(variant->error, as_child(ends_with_once, self));
	EXPECT_TRUE(await_active(0));
}

TEST_F(no_worker, ring)
{
	self->door = URING;
	EXPECT_EQ(variant->error, as_child(ends_with_once, self));
	EXPECT_TRUE(await_active(0));
}

/* What need not wait needs no thread, though it be more than one turn. */
static int sends_at_once(void *argument)
{
	FIXTURE_DATA(no_worker) *self = argument;
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct pair pair;
	int result = 0;

	roomy_open(&pair, TCP4);
	self->hinder(true);
	submit_one(self->device, pair.tx, &self->part, 5);
	if (*completes(self->device, 5, SIZE, 0, 0))
		result = 101;
	self->hinder(false);
	if (!cursor_take(&cursor, pair.rx, SIZE) || *cursor_verdict(&cursor, SIZE))
		result = 102;
	pair_close(&pair);
	return result;
}

TEST_F(no_worker, none_is_needed)
{
	EXPECT_EQ(0, as_child(sends_at_once, self));
}

/* Nor does a call that waits by itself. */
static int calls(void *argument)
{
	FIXTURE_DATA(no_worker) *self = argument;
	struct zcopy_completion done;
	int error;

	self->hinder(true);
	error = send_parts(self->device, self->pair.tx, &self->part, 1, 0, &done);
	self->hinder(false);
	return error || done.error || done.bytes != SIZE ? 101 : 0;
}

TEST_F(no_worker, call)
{
	struct reader reader;

	reader_start(&reader, self->pair.rx, &self->part, 1);
	EXPECT_EQ(0, as_child(calls, self));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
}

/* A transfer of a few bytes, whose caller need not be a thread of its own. */
static int hand_in(FIXTURE_DATA(no_worker) *self, enum door door, uint32_t flags,
		   struct zcopy_completion *done)
{
	const struct part part = of_memory(0, 10);
	struct zcopy_transfer transfer = transfer_of(self->pair.tx, &part, 1, 6);

	if (door == SEND)
		return send_parts(self->device, self->pair.tx, &part, 1, flags, done);
	transfer.flags = flags;
	return fly(door, self->device, &transfer, done);
}

/* What all that want to hear of their release are refused with, at every door. */
static int refused_with(FIXTURE_DATA(no_worker) *self)
{
	const uint32_t flags[] = { ZCOPY_SYNC, ZCOPY_NOTIFY, ZCOPY_NOCACHE };
	struct zcopy_completion done;
	int error, first = 0;
	enum door door;
	size_t i;

	for (door = SEND; door < DOORS; door++) {
		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			error = hand_in(self, door, flags[i], &done);
			first = first ?: error;
			if (!error || error != first)
				return 100;
		}
	}
	return -first;
}

static int is_refused(void *argument)
{
	FIXTURE_DATA(no_worker) *self = argument;
	struct pollfd poller = { .fd = self->pair.rx, .events = POLLIN };
	struct zcopy_completion done;
	enum door door;
	int error;

	self->hinder(true);
	error = refused_with(self);
	self->hinder(false);
	/* Nothing of them was sent. */
	if (poll(&poller, 1, 0) ||
	    stats_of(self->device, ZCOPY_STATS_CONTEXT).active)
		return 101;
	/* Rings that were closed interrupt who would wait in a call. */
	for (door = SEND; door < DOORS; door++) {
		if (hand_in(self, door, ZCOPY_NOTIFY | ZCOPY_RESUME, &done) ||
		    done.error || done.bytes != 10)
			return 102;
		if (reap(self->device, &done, 1) != 1 || done.error ||
		    !(done.flags & ZCOPY_C_RELEASED))
			return 103;
	}
	return error;
}

TEST_F(no_worker, release)
{
	EXPECT_EQ(variant->error, as_child(is_refused, self));
	EXPECT_TRUE(await_active(0));
}

int main(int argc, char **argv)
{
	disk_make();
	setting_keep("/proc/sys/kernel/threads-max");
	return test_harness_run(argc, argv);
}
