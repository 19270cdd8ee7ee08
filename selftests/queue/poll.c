// SPDX-License-Identifier: GPL-2.0-only
/* poll(2), select(2) and epoll on the device. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define RECORD	sizeof(struct zcopy_completion)
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */

FIXTURE(poll)
{
	struct watch watch;
	struct pair pair;
	struct part part;
	struct file file;
	int device;
	int poller;
};

FIXTURE_SETUP(poll)
{
	watch_begin(&self->watch);
	self->device = device_open();
	self->poller = epoll_create1(EPOLL_CLOEXEC);
	pair_open(&self->pair, TCP4, 0);
	self->part = of_memory(0, 10);
	file_make(&self->file, TMPFS, SIZE, 271);
}

FIXTURE_TEARDOWN(poll)
{
	run("echo 32768 > /sys/module/zcopy/parameters/max_completions");
	close(self->poller);
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void complete(FIXTURE_DATA(poll) *self)
{
	submit_one(self->device, self->pair.tx, &self->part, 1);
}

static size_t drain(FIXTURE_DATA(poll) *self)
{
	struct zcopy_completion done[100];

	return reap_now(self->device, done, 100);
}

static void add(struct __test_metadata *_metadata, FIXTURE_DATA(poll) *self,
		uint32_t events)
{
	struct epoll_event event = { .events = events };

	ASSERT_EQ(0, epoll_ctl(self->poller, EPOLL_CTL_ADD, self->device,
			       &event));
}

/* The events that are there now, 0 if none. */
static uint32_t now(FIXTURE_DATA(poll) *self)
{
	struct epoll_event event = {};

	return epoll_wait(self->poller, &event, 1, 0) == 1 ? event.events : 0;
}

/* Those that come. */
static uint32_t next(FIXTURE_DATA(poll) *self)
{
	struct epoll_event event = {};

	return epoll_wait(self->poller, &event, 1, PATIENCE_MS) == 1 ?
	       event.events : 0;
}

TEST_F(poll, plain)
{
	struct pollfd poller = {
		.fd = self->device,
		.events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLPRI,
	};
	fd_set in, out;

	EXPECT_EQ(1, poll(&poller, 1, -1));
	EXPECT_EQ(POLLOUT | POLLWRNORM, poller.revents);
	complete(self);
	EXPECT_EQ(1, poll(&poller, 1, -1));
	EXPECT_EQ(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM, poller.revents);

	FD_ZERO(&in);
	FD_SET(self->device, &in);
	out = in;
	EXPECT_EQ(2, select(self->device + 1, &in, &out, NULL, NULL));
	EXPECT_EQ(1, drain(self));
	EXPECT_EQ(1, poll(&poller, 1, -1));
	EXPECT_EQ(POLLOUT | POLLWRNORM, poller.revents);
}

TEST_F(poll, level)
{
	add(_metadata, self, EPOLLIN);
	EXPECT_EQ(0, now(self));
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
	EXPECT_EQ(EPOLLIN, now(self));
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
	EXPECT_EQ(2, drain(self));
	EXPECT_EQ(0, now(self));
}

TEST_F(poll, edge)
{
	add(_metadata, self, EPOLLIN | EPOLLET);
	EXPECT_EQ(0, now(self));
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
	EXPECT_EQ(0, now(self));
	/* A new one is a new edge, whether the first was read or not. */
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
	EXPECT_EQ(0, now(self));
	EXPECT_EQ(2, drain(self));
	EXPECT_EQ(0, now(self));
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
}

TEST_F(poll, one_shot)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };

	add(_metadata, self, event.events);
	complete(self);
	EXPECT_EQ(EPOLLIN, now(self));
	complete(self);
	EXPECT_EQ(0, now(self));
	ASSERT_EQ(0, epoll_ctl(self->poller, EPOLL_CTL_MOD, self->device,
			       &event));
	EXPECT_EQ(EPOLLIN, now(self));
}

/* Room in the queue: it goes with the limit and comes back by reading. */
TEST_F(poll, room)
{
	struct zcopy_completion done;

	ASSERT_EQ(0, run("echo 2 > /sys/module/zcopy/parameters/max_completions"));
	add(_metadata, self, EPOLLOUT | EPOLLET);
	EXPECT_EQ(EPOLLOUT, now(self));
	complete(self);
	while (now(self))
		;
	complete(self);
	EXPECT_EQ(0, now(self));
	EXPECT_FALSE(poll(&(struct pollfd){ self->device, POLLOUT, 0 }, 1, 0));
	EXPECT_EQ(RECORD, read(self->device, &done, RECORD));
	EXPECT_EQ(EPOLLOUT, now(self));
}

struct sleeper {
	FIXTURE_DATA(poll) *self;
	pthread_t thread;
	pid_t tid;		/* atomic */
	uint32_t events;
};

static void *sleep_in_epoll(void *argument)
{
	struct sleeper *sleeper = argument;

	__atomic_store_n(&sleeper->tid, gettid(), __ATOMIC_RELEASE);
	sleeper->events = next(sleeper->self);
	return NULL;
}

static void sleeper_start(struct __test_metadata *_metadata,
			  struct sleeper *sleeper, FIXTURE_DATA(poll) *self)
{
	*sleeper = (struct sleeper){ .self = self };
	ASSERT_EQ(0, pthread_create(&sleeper->thread, NULL, sleep_in_epoll,
				    sleeper));
	while (!__atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(sleeper->tid));
}

/* Who sleeps is woken by a transfer that a worker ends. */
TEST_F(poll, wakes)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct sleeper sleeper;
	struct pair pair;

	pair_open(&pair, TCP4, SMALL);
	add(_metadata, self, EPOLLIN);
	submit_one(self->device, pair.tx, &part, 1);
	sleeper_start(_metadata, &sleeper, self);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE));
	pthread_join(sleeper.thread, NULL);
	EXPECT_EQ(EPOLLIN, sleeper.events);
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	pair_close(&pair);
}

TEST_F(poll, cancel_wakes)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct sleeper sleeper;
	struct pair pair;

	pair_open(&pair, TCP4, SMALL);
	add(_metadata, self, EPOLLIN);
	submit_one(self->device, pair.tx, &part, 1);
	sleeper_start(_metadata, &sleeper, self);
	EXPECT_EQ(1, cancel_all(self->device));
	pthread_join(sleeper.thread, NULL);
	EXPECT_EQ(EPOLLIN, sleeper.events);
	EXPECT_EQ(1, drain(self));
	pair_close(&pair);
}

TEST_HARNESS_MAIN
