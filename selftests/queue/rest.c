// SPDX-License-Identifier: GPL-2.0-only
/*
 * What waits costs nothing: nobody looks again and again whether there is room
 * where that cannot have changed.
 */
#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/rest.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	241U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define PAIRS	8

FIXTURE(rest)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct part parts[2];	/* a byte before it */
	struct pair pairs[PAIRS];
	int device;
};

FIXTURE_VARIANT(rest)
{
	enum transport transport;
	bool errors;		/* in the error queue, and nobody reads them */
};

FIXTURE_VARIANT_ADD(rest, tcp4) { .transport = TCP4 };
FIXTURE_VARIANT_ADD(rest, unix) { .transport = UNIX };
FIXTURE_VARIANT_ADD(rest, tls) { .transport = TLS };
FIXTURE_VARIANT_ADD(rest, tcp4_errors) { .transport = TCP4, .errors = true };
FIXTURE_VARIANT_ADD(rest, tcp6_errors) { .transport = TCP6, .errors = true };
FIXTURE_VARIANT_ADD(rest, wire4_errors) { .transport = WIRE4, .errors = true };

/* A byte is sent, and when it left is told where nobody asks. */
static void leave_error(int fd)
{
	const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE |
			   SOF_TIMESTAMPING_SOFTWARE;

	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)))
		die("SO_TIMESTAMPING");
	if (send(fd, memory(0, 1), 1, 0) != 1 || !await(fd, POLLERR))
		die("there is no time stamp");
}

FIXTURE_SETUP(rest)
{
	size_t i;

	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	file_seal(&self->file);		/* for a lease */
	self->part = of_file(&self->file, 0, 0);
	self->parts[0] = of_memory(0, 1);
	self->parts[1] = self->part;
	for (i = 0; i < PAIRS; i++) {
		pair_open(&self->pairs[i], variant->transport, SMALL);
		if (variant->errors)
			leave_error(self->pairs[i].tx);
	}
	rest_begin();
}

FIXTURE_TEARDOWN(rest)
{
	size_t i;

	rest_end();
	for (i = 0; i < PAIRS; i++)
		pair_close(&self->pairs[i]);
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(rest, queue)
{
	const size_t nr = variant->errors ? 2 : 1;
	const uint64_t total = SIZE + nr - 1;
	struct zcopy_completion done;
	size_t i;

	for (i = 0; i < PAIRS; i++)
		submit_one(self->device, self->pairs[i].tx, &self->part, i);
	EXPECT_TRUE(comes_to_rest(PAIRS));
	/* And they go on as soon as somebody reads. */
	for (i = 0; i < PAIRS; i++) {
		struct cursor cursor = { .parts = &self->parts[2 - nr],
					 .nr = nr };

		EXPECT_TRUE(cursor_take(&cursor, self->pairs[i].rx, total));
		EXPECT_STREQ("", cursor_verdict(&cursor, total));
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(i, done.user_data);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(SIZE, done.bytes);
	}
}

static uint64_t microseconds(struct timeval time)
{
	return time.tv_sec * 1000000ULL + time.tv_usec;
}

/* The calling thread's time-out runs, and it takes no processor meanwhile. */
TEST_F(rest, call)
{
	const uint32_t flags[] = { 0, ZCOPY_LEASE };
	const struct timeval second = { .tv_sec = 1 };
	struct timeval before, after;
	struct rusage start, end;
	size_t i;

	for (i = 0; i < 2; i++) {
		struct zcopy_completion done;
		int tx = self->pairs[i].tx;

		ASSERT_EQ(0, setsockopt(tx, SOL_SOCKET, SO_SNDTIMEO, &second,
					sizeof(second)));
		gettimeofday(&before, NULL);
		getrusage(RUSAGE_THREAD, &start);
		EXPECT_EQ(0, send_parts(self->device, tx, &self->part, 1,
					flags[i], &done));
		getrusage(RUSAGE_THREAD, &end);
		gettimeofday(&after, NULL);
		EXPECT_EQ(-EAGAIN, done.error);
		EXPECT_LT(0, done.bytes);
		EXPECT_GT(SIZE, done.bytes);
		EXPECT_GT((microseconds(after) - microseconds(before)) / 2,
			  microseconds(end.ru_stime) -
			  microseconds(start.ru_stime));
	}
}

#define STREAMS	(1000 / slowdown())
#define TINY	4096		/* of a socket buffer */
#define SELDOM	3500		/* ms; less than from one look to the next */

FIXTURE(many)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair *pairs;
	int device;
};

FIXTURE_SETUP(many)
{
	int i;

	watch_begin(&self->watch);
	descriptors_allow(2 * STREAMS + 200);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	self->pairs = calloc(STREAMS, sizeof(*self->pairs));
	ASSERT_NE(NULL, self->pairs);
	for (i = 0; i < STREAMS; i++)
		pair_open(&self->pairs[i], i % 2 ? UNIX : TCP4, TINY);
	rest_begin();
}

FIXTURE_TEARDOWN(many)
{
	int i;

	rest_end();
	close(self->device);
	for (i = 0; i < STREAMS; i++)
		pair_close(&self->pairs[i]);
	free(self->pairs);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/*
 * When the process has closed a descriptor, the AF_UNIX sockets are looked at now
 * and then, as they might hold the context; the others never.
 */
TEST_F(many, queue)
{
	int i;

	for (i = 0; i < STREAMS; i++)
		submit_one(self->device, self->pairs[i].tx, &self->part, i);
	EXPECT_TRUE(comes_to_rest(0));
	close(dup(self->device));
	EXPECT_TRUE(rests(STREAMS / 2, SELDOM));
	EXPECT_EQ(STREAMS, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
}

TEST_HARNESS_MAIN
