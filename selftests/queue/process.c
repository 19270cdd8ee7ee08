// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers are threads of the process that submits: when they come and go, whose
 * they are to the rest of the machine, and who else may share the memory.
 */
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	411U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534

FIXTURE(process)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(process)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
}

FIXTURE_TEARDOWN(process)
{
	if (self->device >= 0)
		close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* All arrives, and is told. */
static void receive_all(struct __test_metadata *_metadata,
			FIXTURE_DATA(process) *self)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
}

TEST_F(process, none_for_what_is_sent_at_once)
{
	const struct part part = of_file(&self->file, 5, 10000);
	struct cursor cursor = { .parts = &part, .nr = 1 };

	submit_one(self->device, self->pair.tx, &part, 1);
	EXPECT_STREQ("", completes(self->device, 1, 10000, 0, 0));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 10000));
	EXPECT_EQ(0, threads(getpid(), HOT_WORKER));
	EXPECT_EQ(0, threads(getpid(), COLD_WORKER));
}

TEST_F(process, leave_with_the_context)
{
	unsigned int before = threads(getpid(), NULL);

	submit_one(self->device, self->pair.tx, &self->part, 0);
	EXPECT_EQ(1, threads(getpid(), HOT_WORKER));
	receive_all(_metadata, self);
	/* The next one finds it there. */
	EXPECT_LE(1, threads(getpid(), HOT_WORKER));
	close(self->device);
	/* They may still be listed, on their last steps. */
	EXPECT_TRUE(await_threads(getpid(), HOT_WORKER, 0));
	EXPECT_TRUE(await_threads(getpid(), NULL, before));
	self->device = -1;
}

TEST_F(process, leave_when_all_has_ended)
{
	struct file cold, copy;
	struct part part;

	disk_resume();
	file_make(&cold, EXT4, SIZE, SEED + 1);
	file_make(&copy, XFS, PAGE, SEED + 2);
	file_chill(&cold);
	part = of_file(&cold, 0, 0);
	disk_suspend();
	/* Who writes a file waits for what it reads. */
	submit_one(self->device, copy.rw, &part, 1);
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(1, threads(getpid(), HOT_WORKER));
	EXPECT_EQ(1, threads(getpid(), COLD_WORKER));
	close(self->device);
	self->device = -1;
	/* It is waited for by nobody. */
	EXPECT_EQ(1, threads(getpid(), COLD_WORKER));
	disk_resume();
	EXPECT_TRUE(await_threads(getpid(), COLD_WORKER, 0));
	EXPECT_TRUE(await_threads(getpid(), HOT_WORKER, 0));
	file_close(&copy);
	file_close(&cold);
}

/* What a thread submits. */
struct task {
	FIXTURE_DATA(process) *self;
	int socket;
	uint64_t user_data;
	uid_t user;
};

/* One alone: setresuid() of the C library would ask all of them. */
static void *submit_as_another(void *argument)
{
	const struct task *task = argument;

	if (task->user && syscall(SYS_setresuid, task->user, task->user,
				  task->user))
		die("setresuid");
	submit_one(task->self->device, task->socket, &task->self->part,
		   task->user_data);
	return NULL;
}

static void run_thread(void *(*work)(void *argument), void *argument)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, work, argument);
	if (errno || pthread_join(thread, NULL))
		die("run a thread");
}

/* Bytes and the user who sent them, to the end of the part. */
static void receive_from(struct __test_metadata *_metadata,
			 FIXTURE_DATA(process) *self, int fd, pid_t process,
			 uid_t user)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	while (cursor.got < SIZE && !cursor.wrong) {
		static char buffer[64 * KIB];
		char control[CMSG_SPACE(sizeof(struct ucred))];
		struct iovec data = { buffer, sizeof(buffer) };
		struct msghdr message = {
			.msg_iov = &data, .msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, 0);
		struct ucred cred;

		ASSERT_LT(0, n);
		memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(cred));
		ASSERT_EQ(process, cred.pid);
		ASSERT_EQ(user, cred.uid);
		cursor_compare(&cursor, buffer, n);
	}
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
}

/* Who receives sees the program, and the user who submitted. */
static void expect_credentials(struct __test_metadata *_metadata,
			       FIXTURE_DATA(process) *self, bool by_a_thread)
{
	struct pair pairs[2];
	pid_t child;
	int i, status;

	for (i = 0; i < 2; i++) {
		pair_open(&pairs[i], UNIX, SMALL);
		ASSERT_EQ(0, setsockopt(pairs[i].rx, SOL_SOCKET, SO_PASSCRED,
					&(int){ 1 }, sizeof(int)));
	}
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct task task = { self, pairs[1].tx, 1, NOBODY };
		struct zcopy_completion done[2];

		submit_one(self->device, pairs[0].tx, &self->part, 0);
		/* After the first worker was made. */
		if (by_a_thread) {
			run_thread(submit_as_another, &task);
		} else {
			if (setresuid(NOBODY, NOBODY, NOBODY))
				die("setresuid");
			task.user = 0;
			submit_as_another(&task);
		}
		_exit(reap(self->device, done, 2) == 2 && !done[0].error &&
		      !done[1].error ? 0 : 1);
	}
	for (i = 0; i < 2; i++)
		receive_from(_metadata, self, pairs[i].rx, child,
			     i ? NOBODY : 0);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}

TEST_F(process, credentials)
{
	expect_credentials(_metadata, self, false);
}

TEST_F(process, credentials_of_a_thread)
{
	expect_credentials(_metadata, self, true);
}

/* A file server is asked by who submitted, not by who made the worker. */
static void *submit_for_the_server(void *argument)
{
	const struct task *task = argument;

	syscall(SYS_setfsuid, task->user);
	submit_one(task->self->device, task->socket, &task->self->part, 1);
	return NULL;
}

static void ask_the_server(FIXTURE_DATA(process) *self)
{
	struct part part = of_file(&self->file, 0, 64 * KIB);
	struct task task = { .self = self, .user = NOBODY };
	struct hung hung;
	struct pair pair;

	/* This one makes the worker that will be idle. */
	hung_make(&hung);
	file_chill(&self->file);
	pair_open(&pair, UNIX, 0);
	submit_one(self->device, pair.tx, &part, 0);
	if (*completes(self->device, 0, part.want.len, 0, 0) ||
	    !await_state(thread_of(getpid(), COLD_WORKER), 'S'))
		die("there is no worker for files");
	self->part.segment = (struct zcopy_segment){ .fd = hung.fd, .len = PAGE };
	task.socket = pair.tx;
	run_thread(submit_for_the_server, &task);
	if (!hung_await_user(&hung, NOBODY))
		die("the server is not asked by the thread's user");
	/* Nobody has read this yet, or asked for it. */
	self->part.segment.addr = GIB / 2;
	pair_open(&pair, UNIX, 0);
	submit_one(self->device, pair.tx, &self->part, 2);
	if (!hung_await_user(&hung, 0))
		die("the server is not asked by this user");
}

TEST_F(process, user_of_a_file_server)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		ask_the_server(self);
		/* With two workers that wait for it. */
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(await_active(0));
}

#define MANY	8	/* threads */

/* A worker in reserve may come and go meanwhile. */
static bool await_no_others(unsigned int before)
{
	uint64_t since = 0;

	while (threads(getpid(), NULL) != before + threads(getpid(), HOT_WORKER))
		if (!patience(&since))
			return false;
	return true;
}

/* A thread that submits may leave; what it made goes on for the others. */
TEST_F(process, threads_come_and_go)
{
	struct zcopy_completion done[MANY];
	unsigned int before = threads(getpid(), NULL), seen = 0;
	struct pair pairs[MANY];
	struct task task = { .self = self };
	uint64_t i;

	for (i = 0; i < MANY; i++) {
		pair_open(&pairs[i], TCP4, SMALL);
		task.socket = pairs[i].tx;
		task.user_data = i;
		run_thread(submit_as_another, &task);
	}
	/* None of them is left, but what works for them. */
	EXPECT_TRUE(await_no_others(before));
	EXPECT_EQ(MANY, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	for (i = 0; i < MANY; i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };

		EXPECT_TRUE(cursor_take(&cursor, pairs[i].rx, SIZE));
		EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
		pair_close(&pairs[i]);
	}
	ASSERT_EQ(MANY, reap(self->device, done, MANY));
	for (i = 0; i < MANY; i++) {
		seen |= 1U << done[i].user_data;
		EXPECT_EQ(SIZE, done[i].bytes);
		EXPECT_EQ(0, done[i].error);
	}
	EXPECT_EQ((1U << MANY) - 1, seen);
}

/* The only one that is left, after the first of them. */
static void *stay(void *argument)
{
	FIXTURE_DATA(process) *self = argument;
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	if (!await_state(getpid(), 'Z'))
		die("the first thread stays");
	submit_one(self->device, self->pair.tx, &self->part, 1);
	if (!cursor_take(&cursor, self->pair.rx, SIZE) ||
	    *cursor_verdict(&cursor, SIZE) ||
	    *completes(self->device, 0, SIZE, 0, 0))
		_exit(1);
	cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	if (!cursor_take(&cursor, self->pair.rx, SIZE) ||
	    *cursor_verdict(&cursor, SIZE) ||
	    *completes(self->device, 1, SIZE, 0, 0))
		_exit(1);
	_exit(0);
}

TEST_F(process, first_thread_leaves)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		pthread_t thread;

		submit_one(self->device, self->pair.tx, &self->part, 0);
		if (pthread_create(&thread, NULL, stay, self))
			die("make a thread");
		syscall(SYS_exit, 0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(await_active(0));
}

/*
 * Nothing of the context is left that the last thread of its program could close. It
 * does not call exit_group(2), as the C library's exit() does.
 */
static void expect_end(struct __test_metadata *_metadata, FIXTURE_DATA(process) *self,
		       bool under_way)
{
	pid_t child = fork();
	uint64_t since = 0;
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };

		submit_one(self->device, self->pair.tx, &self->part, 0);
		if (under_way)
			close(self->device);
		if (!cursor_take(&cursor, self->pair.rx, SIZE))
			die("it does not arrive");
		if (!under_way) {
			if (*completes(self->device, 0, SIZE, 0, 0))
				die("it does not complete");
			close(self->device);
		}
		syscall(SYS_exit, 0);
	}
	while (waitpid(child, &status, WNOHANG) != child) {
		if (!patience(&since)) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			ASSERT_TRUE(false);
		}
	}
	/* A worker that ends with it is killed. */
	EXPECT_TRUE(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
	if (under_way)
		EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	EXPECT_TRUE(await_active(0));
}

TEST_F(process, last_thread_leaves)
{
	expect_end(_metadata, self, false);
}

TEST_F(process, last_thread_leaves_before)
{
	expect_end(_metadata, self, true);
}

/* What a child does that has its parent's memory, and its parent has to wait. */
struct borrower {
	FIXTURE_DATA(process) *self;
	int socket;
	bool executes;
	const char *wrong;	/* what it has seen, or "" */
};

static int borrow(void *argument)
{
	FIXTURE_DATA(process) *self = ((struct borrower *)argument)->self;
	struct borrower *borrower = argument;
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	/* As itself: its threads are its own. */
	submit_one(self->device, borrower->socket, &self->part, 1);
	if (!threads(getpid(), HOT_WORKER))
		borrower->wrong = "it has no worker";
	else if (!threads(getppid(), HOT_WORKER))
		borrower->wrong = "its parent has none";
	else if (stats_of(self->device, ZCOPY_STATS_CONTEXT).active != 2)
		borrower->wrong = "not both are under way";
	/* The parent's go on, though no thread of its program does. */
	else if (!cursor_take(&cursor, self->pair.rx, SIZE))
		borrower->wrong = "the parent's bytes do not come";
	else
		borrower->wrong = cursor_verdict(&cursor, SIZE);
	if (!*borrower->wrong)
		borrower->wrong = completes(self->device, 0, SIZE, 0, 0);
	if (borrower->executes)
		execl("/bin/true", "true", NULL);
	_exit(0);
}

/* Between vfork() and what follows it the memory is two processes'. */
TEST_F(process, shared_memory)
{
	static char stack[256 * KIB] __attribute__((aligned(16)));
	int i;

	for (i = 0; i < 2; i++) {
		struct borrower borrower = { .self = self, .executes = i };
		struct zcopy_completion done;
		struct pair pair;
		pid_t child;
		int status;

		pair_open(&pair, TCP4, SMALL);
		borrower.socket = pair.tx;
		submit_one(self->device, self->pair.tx, &self->part, 0);
		child = clone(borrow, stack + sizeof(stack),
			      CLONE_VM | CLONE_VFORK | SIGCHLD, &borrower);
		ASSERT_LE(0, child);
		EXPECT_STREQ("", borrower.wrong);
		/* What the child had under way ends with it, or its program. */
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(1, done.user_data);
		EXPECT_EQ(-ECANCELED, done.error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, done.flags);
		EXPECT_LT(0, done.bytes);
		EXPECT_GT(SIZE, done.bytes);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status);
		pair_close(&pair);
		/* And nothing of the parent's. */
		EXPECT_LE(1, threads(getpid(), HOT_WORKER));
		submit_one(self->device, self->pair.tx, &self->part, 0);
		receive_all(_metadata, self);
	}
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
