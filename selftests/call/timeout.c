// SPDX-License-Identifier: GPL-2.0-only
/*
 * SO_SNDTIMEO: a call waits so long and no longer, whatever happens to the socket
 * meanwhile, and sleeps while it does. Nor does a signal begin the time anew.
 */
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/door.h"
#include "lib/setting.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	641U
#define SIZE	(4 * MIB)
#define SOME	(512 * KIB)	/* where each page of it may have to wait */
#define BUFFER	(64 * 1024)
#define LOOKS	200	/* gather lists of a call that sleeps while it waits */

FIXTURE(timeout)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct cursor cursor;
	struct sender sender;
	int device;
};

FIXTURE_VARIANT(timeout)
{
	enum transport transport;
	uint32_t flags;
};

#define ROW(name, over, with)						\
	FIXTURE_VARIANT_ADD(timeout, name)				\
	{								\
		.transport = over, .flags = with,			\
	}

ROW(tcp4, TCP4, 0);
ROW(wire4, WIRE4, 0);
ROW(tcp4_lease, TCP4, ZCOPY_LEASE);
ROW(wire6_lease, WIRE6, ZCOPY_LEASE);
ROW(unix_lease, UNIX, ZCOPY_LEASE);

static void count(int number)
{
	(void)number;
}

static void handle(int flags)
{
	const struct sigaction action = {
		.sa_handler = count, .sa_flags = flags,
	};

	if (sigaction(SIGUSR1, &action, NULL))
		die("sigaction");
}

static void set_timeout(int fd, unsigned int milliseconds)
{
	const struct timeval time = {
		.tv_sec = milliseconds / 1000,
		.tv_usec = milliseconds % 1000 * 1000,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)))
		die("SO_SNDTIMEO");
}

FIXTURE_SETUP(timeout)
{
	setting_restore();
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	file_seal(&self->file);
	pair_open(&self->pair, variant->transport, BUFFER);
	self->part = of_file(&self->file, 0, 0);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	self->sender = (struct sender){
		.device = self->device, .socket = self->pair.tx,
		.parts = &self->part, .nr = 1, .flags = variant->flags,
	};
}

FIXTURE_TEARDOWN(timeout)
{
	pair_close(&self->pair);
	/* A lease ends with the release. */
	EXPECT_TRUE(await_active(0));
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The bytes that went. */
static uint64_t time_out(struct __test_metadata *_metadata,
			 FIXTURE_DATA(timeout) *self,
			 const FIXTURE_VARIANT(timeout) *variant)
{
	struct zcopy_completion done;

	set_timeout(self->pair.tx, 200);
	EXPECT_EQ(0, send_parts(self->device, self->pair.tx, &self->part, 1,
				variant->flags, &done));
	EXPECT_EQ(-EAGAIN, done.error);
	EXPECT_GT(SIZE, done.bytes);
	EXPECT_GT(LOOKS, stats_of(self->device, ZCOPY_STATS_CONTEXT).batches);
	return done.bytes;
}

static void take(struct __test_metadata *_metadata, FIXTURE_DATA(timeout) *self,
		 uint64_t bytes)
{
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, bytes));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, bytes));
}

static void expect_timed_out(struct __test_metadata *_metadata,
			     FIXTURE_DATA(timeout) *self,
			     const FIXTURE_VARIANT(timeout) *variant)
{
	take(_metadata, self, time_out(_metadata, self, variant));
}

/* All that is left goes where there is room. */
static void expect_rest(struct __test_metadata *_metadata,
			FIXTURE_DATA(timeout) *self)
{
	struct part rest = self->part;
	struct reader reader;

	ASSERT_EQ(1, parts_skip(&rest, 1, self->cursor.got));
	set_timeout(self->pair.tx, PATIENCE_MS);
	reader_continue(&reader, self->pair.rx, &self->cursor);
	self->sender.parts = &rest;
	self->sender.shut = true;
	sender_start(&self->sender);
	sender_finish(&self->sender);
	EXPECT_EQ(0, self->sender.result);
	EXPECT_EQ(0, self->sender.completion.error);
	EXPECT_EQ(rest.want.len, self->sender.completion.bytes);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
}

TEST_F(timeout, ends)
{
	expect_timed_out(_metadata, self, variant);
	expect_rest(_metadata, self);
}

/* One byte arrived, and something is in the error queue that nobody reads. */
static void expect_unread(struct __test_metadata *_metadata,
			  FIXTURE_DATA(timeout) *self)
{
	char byte;

	ASSERT_TRUE(receive(self->pair.rx, &byte, 1));
	ASSERT_TRUE(await(self->pair.tx, POLLERR));
}

/* Time stamps of what was sent. */
TEST_F(timeout, unread_stamps)
{
	const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE |
			   SOF_TIMESTAMPING_SOFTWARE;
	char byte = 0;

	if (variant->transport == UNIX)
		return;
	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_TIMESTAMPING,
				&stamps, sizeof(stamps)));
	ASSERT_EQ(1, send(self->pair.tx, &byte, 1, 0));
	expect_unread(_metadata, self);
	expect_timed_out(_metadata, self, variant);
	expect_rest(_metadata, self);
}

/* Notices of the program's own MSG_ZEROCOPY. */
TEST_F(timeout, unread_notices)
{
	const int on = 1;
	char byte = 0;

	if (variant->transport == UNIX)
		return;
	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_ZEROCOPY, &on,
				sizeof(on)));
	ASSERT_EQ(1, send(self->pair.tx, &byte, 1, MSG_ZEROCOPY));
	expect_unread(_metadata, self);
	expect_timed_out(_metadata, self, variant);
	expect_rest(_metadata, self);
}

/* There is room in the socket, and no memory for TCP. */
TEST_F(timeout, no_memory)
{
	struct pair hog;
	uint64_t bytes;

	if (variant->transport == UNIX)
		return;
	hog_open(&hog);
	setting_set("1 1 1");
	bytes = time_out(_metadata, self, variant);
	EXPECT_GT(BUFFER, bytes);
	setting_restore();
	pair_close(&hog);
	take(_metadata, self, bytes);
	expect_rest(_metadata, self);
}

/* Who has no time-out waits for it, with the first byte and in the middle. */
TEST_F(timeout, no_memory_now_and_then)
{
	const struct part some = of_file(&self->file, 0, SOME);
	struct reader reader;
	struct pair hog;

	if (variant->transport == UNIX)
		return;
	hog_open(&hog);
	setting_set("1 1 1");
	self->sender.parts = &some;
	self->sender.flags |= ZCOPY_SYNC;
	self->sender.shut = true;
	sender_start(&self->sender);
	EXPECT_TRUE(sender_blocked(&self->sender));
	reader_start(&reader, self->pair.rx, &some, 1);
	while (!__atomic_load_n(&self->sender.done, __ATOMIC_ACQUIRE)) {
		setting_restore();
		sched_yield();
		setting_set("1 1 1");
	}
	setting_restore();
	sender_finish(&self->sender);
	pair_close(&hog);
	EXPECT_EQ(0, self->sender.result);
	EXPECT_EQ(0, self->sender.completion.error);
	EXPECT_EQ(SOME, self->sender.completion.bytes);
	EXPECT_STREQ("", reader_finish(&reader, self->sender.completion.bytes));
}

/* Full to the brim, but for what the peer's window may still let in. */
static void fill(int fd)
{
	const char *bytes = memory(0, 64 * KIB);

	while (send(fd, bytes, 64 * KIB, MSG_DONTWAIT) > 0 ||
	       send(fd, bytes, 1, MSG_DONTWAIT) > 0)
		;
}

/* Interrupt a call that found no room, once it sleeps. */
static void interrupt(struct __test_metadata *_metadata,
		      FIXTURE_DATA(timeout) *self)
{
	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	ASSERT_EQ(0, pthread_kill(self->sender.thread, SIGUSR1));
	sender_finish(&self->sender);
}

/* So does sendfile(2), which signal(7) says of any call with a time-out. */
TEST_F(timeout, no_restart)
{
	const struct zcopy_completion *done = &self->sender.completion;

	handle(SA_RESTART);
	fill(self->pair.tx);
	/* Begun anew it would end as if there had been no signal. */
	set_timeout(self->pair.tx, 20000 * slowdown());
	interrupt(_metadata, self);
	EXPECT_EQ(-EINTR, self->sender.result ?: done->error) {
		TH_LOG("%llu bytes", done->bytes);
	}
}

int main(int argc, char **argv)
{
	setting_keep("/proc/sys/net/ipv4/tcp_mem");	/* pages */
	return test_harness_run(argc, argv);
}
