// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that does not read: what ends a queued transfer to it, what does not,
 * and what becomes of a socket whose descriptor is closed meanwhile.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	401U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define MS	1000000LL

FIXTURE(stalled)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(stalled)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
}

FIXTURE_TEARDOWN(stalled)
{
	close(self->pair.rx);
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* How many completions come within 50 times the socket's time-out. */
static int wait_longer(int device)
{
	struct zcopy_completion done;
	struct zcopy_submit wait = {
		.completions = (uintptr_t)&done,
		.transfer_size = sizeof(struct zcopy_transfer),
		.max_completions = 1,
		.min_completions = 1,
		.timeout = 50 * MS,
	};

	return submit_call(device, &wait) ? -1 : (int)wait.completed;
}

TEST_F(stalled, send_timeout)
{
	const struct timeval soon = { .tv_usec = 1000 };
	struct reader reader;

	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_SNDTIMEO, &soon,
				sizeof(soon)));
	submit_one(self->device, self->pair.tx, &self->part, 1);
	EXPECT_EQ(0, wait_longer(self->device));
	reader_start(&reader, self->pair.rx, &self->part, 1);
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	close(self->pair.tx);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
}

TEST_F(stalled, user_timeout)
{
	const unsigned int soon = 200;	/* ms */
	struct zcopy_completion done;

	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_TCP, TCP_USER_TIMEOUT, &soon,
				sizeof(soon)));
	submit_one(self->device, self->pair.tx, &self->part, 1);
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-ETIMEDOUT, done.error);
	EXPECT_EQ(ZCOPY_C_TARGET_ERROR, done.flags);
	EXPECT_LT(0, done.bytes);
	EXPECT_GT(SIZE, done.bytes);
	close(self->pair.tx);
}

static int events_of(int poller)
{
	struct epoll_event event;

	return epoll_wait(poller, &event, 1, 0);
}

/* The transfer keeps the socket, and so does epoll, up to the completion. */
TEST_F(stalled, closed)
{
	struct epoll_event event = { .events = EPOLLIN };
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct reader reader;

	ASSERT_LE(0, poller);
	ASSERT_EQ(0, epoll_ctl(poller, EPOLL_CTL_ADD, self->pair.tx, &event));
	submit_one(self->device, self->pair.tx, &self->part, 1);
	EXPECT_EQ(0, events_of(poller));
	close(self->pair.tx);
	ASSERT_EQ(0, shutdown(self->pair.rx, SHUT_WR));
	EXPECT_TRUE(await(poller, POLLIN));
	EXPECT_EQ(1, events_of(poller));

	/* Who would cancel it now has to know its user_data. */
	EXPECT_EQ(-EBADF, cancel_socket(self->device, self->pair.tx));
	reader_start(&reader, self->pair.rx, &self->part, 1);
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
	EXPECT_EQ(0, events_of(poller));
	close(poller);
}

/* Removed before, it says nothing; cancelled after that, it is gone at once. */
TEST_F(stalled, removed_and_closed)
{
	struct epoll_event event = { .events = EPOLLIN };
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct zcopy_completion done;

	ASSERT_LE(0, poller);
	ASSERT_EQ(0, epoll_ctl(poller, EPOLL_CTL_ADD, self->pair.tx, &event));
	submit_one(self->device, self->pair.tx, &self->part, 1);
	ASSERT_EQ(0, epoll_ctl(poller, EPOLL_CTL_DEL, self->pair.tx, NULL));
	close(self->pair.tx);
	ASSERT_EQ(0, shutdown(self->pair.rx, SHUT_WR));
	EXPECT_EQ(0, events_of(poller));

	EXPECT_EQ(1, cancel_user_data(self->device, 1));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-ECANCELED, done.error);
	close(poller);
}

TEST_HARNESS_MAIN
