// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that holds a lease, and is stopped while somebody wants to change the
 * file. It cannot end its transfer then: the lease lasts for as long as the kernel
 * lets it, and no longer.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	711U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define SHORT	1

FIXTURE(lease_stop)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct cursor cursor;
	struct zcopy_completion *done;	/* the child's, shared */
	struct breaker breaker;
	pid_t child;
	int device;
};

FIXTURE_VARIANT(lease_stop)
{
	enum door door;
	bool sent;		/* the socket has all of it, the peer has not */
};

#define HOLDS(name, by, all)						\
	FIXTURE_VARIANT_ADD(lease_stop, name)				\
	{								\
		.door = by, .sent = all,				\
	}

HOLDS(submit_space, SUBMIT, false);
HOLDS(submit_sent, SUBMIT, true);
HOLDS(uring_space, URING, false);
HOLDS(uring_sent, URING, true);

/* A child that waits for the release. */
FIXTURE_SETUP(lease_stop)
{
	break_time(BREAK_LONG);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	file_seal(&self->file);
	if (variant->sent)
		roomy_open(&self->pair, WIRE4);
	else
		pair_open(&self->pair, TCP4, SMALL);
	self->part = of_file(&self->file, 0, 0);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	self->done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->done);
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		struct zcopy_transfer transfer;

		transfer = transfer_of(self->pair.tx, &self->part, 1, 6);
		transfer.flags = ZCOPY_LEASE | ZCOPY_SYNC;
		_exit(fly(variant->door, self->device, &transfer, self->done) ?
			      1 : 0);
	}
	if (variant->sent)
		ASSERT_TRUE(await_accepted(self->pair.tx, SIZE));
	ASSERT_TRUE(await_threads(self->child, HOT_WORKER, 1));
	ASSERT_TRUE(await_all(self->child, 'S'));
}

FIXTURE_TEARDOWN(lease_stop)
{
	pair_close(&self->pair);
	EXPECT_TRUE(await_active(0));
	close(self->device);
	munmap(self->done, PAGE);
	EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* It is stopped, and there is somebody who wants to write. */
static void stop(struct __test_metadata *_metadata, FIXTURE_DATA(lease_stop) *self)
{
	ASSERT_EQ(0, kill(self->child, SIGSTOP));
	ASSERT_TRUE(await_all(self->child, 'T'));
	EXPECT_EQ(-EWOULDBLOCK, open_nonblocking(&self->file, O_WRONLY));
	breaker_start(&self->breaker, &self->file, OPEN_WRITE);
}

/* It goes on, the rest of what was sent arrives, and the child is told. */
static void go_on(struct __test_metadata *_metadata, FIXTURE_DATA(lease_stop) *self)
{
	struct pollfd rx = { .fd = self->pair.rx, .events = POLLIN };
	uint64_t since = 0;
	int status;

	ASSERT_EQ(0, kill(self->child, SIGCONT));
	while (!waitpid(self->child, &status, WNOHANG)) {
		ASSERT_TRUE(patience(&since));
		if (poll(&rx, 1, 0) == 1)
			ASSERT_LT(0, cursor_read(&self->cursor, rx.fd, SIZE));
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(6, self->done->user_data);
	EXPECT_TRUE(cursor_take(&self->cursor, rx.fd,
				self->done->bytes - self->cursor.got));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, self->done->bytes));
}

/* Who waits has the file when the time is over, and the child hears of it later. */
TEST_F(lease_stop, lapses)
{
	break_time(SHORT);
	stop(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	/* None is left that would keep anybody else. */
	EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
	EXPECT_EQ(1, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	EXPECT_TRUE(await_all(self->child, 'T'));

	go_on(_metadata, self);
	EXPECT_EQ(variant->sent ? 0 : -ESTALE, self->done->error);
	EXPECT_EQ(variant->sent, self->done->bytes == SIZE);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN, self->done->flags & ~ZCOPY_C_COPIED);
}

/* If it goes on before that, nothing is amiss. */
TEST_F(lease_stop, goes_on_in_time)
{
	stop(_metadata, self);
	EXPECT_TRUE(breaker_waits(&self->breaker));
	go_on(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	EXPECT_EQ(0, self->done->error);
	EXPECT_EQ(SIZE, self->done->bytes);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN | flags_released(variant->sent ? WIRE4 : TCP4),
		  self->done->flags);
}

/* A stopped process that is killed keeps nobody waiting. */
TEST_F(lease_stop, ends_with_the_process)
{
	int status;

	stop(_metadata, self);
	EXPECT_TRUE(breaker_waits(&self->breaker));
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	ASSERT_EQ(self->child, waitpid(self->child, &status, 0));
	EXPECT_EQ(SIGKILL, status);
}

int main(int argc, char **argv)
{
	break_time_long();
	return test_harness_run(argc, argv);
}
