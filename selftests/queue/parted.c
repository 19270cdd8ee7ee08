// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that has closed its device, which others have open, too: no worker of its
 * stays that has nothing to do, and keeps it from its end.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/child.h"
#include "lib/door.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	419U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define FIRST	1000		/* of the descriptors that are closed in one go ... */
#define LAST	50000		/* ... and the last one, the device */

FIXTURE(parted)
{
	struct watch watch;
	struct file file;
	struct part part;
	int device;
};

FIXTURE_SETUP(parted)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	self->device = device_open();
}

FIXTURE_TEARDOWN(parted)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Closes the process's device, and ends the thread that the process consists of. */
static void end_with_an_idle_worker(const FIXTURE_DATA(parted) *self, int socket,
				    void (*close_device)(const FIXTURE_DATA(parted) *self,
							 int device))
{
	const struct rlimit many = { LAST + 1, LAST + 1 };
	struct zcopy_completion done;
	pid_t worker;

	if (setrlimit(RLIMIT_NOFILE, &many) || dup2(self->device, LAST) < 0)
		die("move the device");
	close(self->device);
	submit_one(LAST, socket, &self->part, 0);
	worker = thread_of(getpid(), HOT_WORKER);
	if (cancel_all(LAST) != 1 || reap(LAST, &done, 1) != 1 ||
	    !await_sleep(worker))
		die("have a worker that is idle");
	close_device(self, LAST);
	if (!await_threads(getpid(), HOT_WORKER, 0))
		die("the worker stays");
	syscall(SYS_exit, 0);
}

static void expect_no_worker(struct __test_metadata *_metadata,
			     const FIXTURE_DATA(parted) *self,
			     void (*close_device)(const FIXTURE_DATA(parted) *self,
						  int device))
{
	struct pair pair;
	pid_t child;
	int status;

	pair_open(&pair, TCP4, SMALL);
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		end_with_an_idle_worker(self, pair.tx, close_device);
	EXPECT_TRUE(await_end(child, &status));
	EXPECT_EQ(0, status);
	pair_close(&pair);
}

/* By a thread of io_uring's, which can end no worker. */
static void close_by_a_ring(const FIXTURE_DATA(parted) *self, int device)
{
	struct io_uring_sqe *sqe;
	struct answer answer;
	struct ring ring;

	(void)self;
	ring_open(&ring, 8, 0);
	sqe = ring_sqe(&ring);
	sqe->opcode = IORING_OP_CLOSE;
	sqe->fd = device;
	ring_submit(&ring);
	if (!ring_next(&ring, &answer) || answer.res)
		die("close the device");
}

TEST_F(parted, closed_by_a_ring)
{
	expect_no_worker(_metadata, self, close_by_a_ring);
}

static void *signal_when_closed(void *argument)
{
	const pthread_t *closer = argument;

	while (fcntl(FIRST, F_GETFD) >= 0)
		;
	if (pthread_kill(*closer, SIGUSR1))
		die("send a signal");
	return NULL;
}

static void hear(int number)
{
	(void)number;
}

/* By a thread with a signal to hear, which comes first: it stops no worker before. */
static void close_beside_a_signal(const FIXTURE_DATA(parted) *self, int device)
{
	pthread_t closer = pthread_self(), other;
	int fd;

	(void)self;
	if (signal(SIGUSR1, hear) == SIG_ERR)
		die("prepare for a signal");
	/* What is closed before the device takes a while. */
	for (fd = FIRST; fd < device; fd++)
		if (dup2(STDOUT_FILENO, fd) != fd)
			die("dup2");
	if (pthread_create(&other, NULL, signal_when_closed, &closer))
		die("make a thread");
	if (close_range(FIRST, device, 0) || pthread_join(other, NULL))
		die("close the device");
}

TEST_F(parted, closed_beside_a_signal)
{
	expect_no_worker(_metadata, self, close_beside_a_signal);
}

/* What another thread is in the middle of. */
struct call {
	const struct part *part;
	int device, socket;
	pid_t tid;		/* atomic */
};

static void *send_for_long(void *argument)
{
	struct call *call = argument;
	struct zcopy_completion done;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	if (send_parts(call->device, call->socket, call->part, 1, 0, &done) ||
	    !done.error)
		die("the call does not fail");
	return NULL;
}

/* The worker is of no use to that call, but it may come to need one. */
static void close_beside_a_call(const FIXTURE_DATA(parted) *self, int device)
{
	struct call call = { .part = &self->part, .device = device };
	struct pair pair;
	pthread_t other;

	pair_open(&pair, TCP4, SMALL);
	call.socket = pair.tx;
	if (pthread_create(&other, NULL, send_for_long, &call))
		die("make a thread");
	while (!__atomic_load_n(&call.tid, __ATOMIC_ACQUIRE))
		;
	if (!await_sleep(call.tid) || !await_full(pair.tx))
		die("the call does not wait");
	close(device);
	close(pair.rx);
	if (pthread_join(other, NULL))
		die("join");
}

TEST_F(parted, closed_beside_a_call)
{
	expect_no_worker(_metadata, self, close_beside_a_call);
}

TEST_HARNESS_MAIN
