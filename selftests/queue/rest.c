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
#include "lib/door.h"
#include "lib/late.h"
#include "lib/rest.h"
#include "lib/setting.h"
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
#define LOCKED	(100 / slowdown())	/* each by a thread */
#define TINY	4096		/* of a socket buffer */
#define LITTLE	(32 * KIB)	/* bytes that a socket and a pipe have room for */
#define SELDOM	3500		/* ms; less than from one look to the next */

FIXTURE(many)
{
	struct watch watch;
	struct file file;
	struct pair *pairs;
	struct pair hog;
	int device;
	int nr;			/* of them that are open */
};

FIXTURE_SETUP(many)
{
	setting_restore();
	watch_begin(&self->watch);
	descriptors_allow(2 * STREAMS + 200);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	self->pairs = calloc(STREAMS, sizeof(*self->pairs));
	ASSERT_NE(NULL, self->pairs);
	rest_begin();
}

FIXTURE_TEARDOWN(many)
{
	int i;

	rest_end();
	close(self->device);
	for (i = 0; i < self->nr; i++)
		pair_close(&self->pairs[i]);
	free(self->pairs);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void submit_to_each(FIXTURE_DATA(many) *self, uint64_t bytes)
{
	const struct part part = of_file(&self->file, 0, bytes);
	int i;

	for (i = 0; i < self->nr; i++)
		submit_one(self->device, self->pairs[i].tx, &part, i);
}

static uint64_t waiting(FIXTURE_DATA(many) *self)
{
	return stats_of(self->device, ZCOPY_STATS_CONTEXT).active;
}

/* All of them go on, up to their ends. */
static bool all_complete(FIXTURE_DATA(many) *self, uint64_t bytes)
{
	struct zcopy_completion done;
	int i;

	for (i = 0; i < self->nr; i++)
		if (reap(self->device, &done, 1) != 1 || done.error ||
		    done.bytes != bytes)
			return false;
	return true;
}

/*
 * When the process has closed a descriptor, the AF_UNIX sockets are looked at now
 * and then, as they might hold the context; the others never.
 */
TEST_F(many, queue)
{
	for (self->nr = 0; self->nr < STREAMS; self->nr++)
		pair_open(&self->pairs[self->nr], self->nr % 2 ? UNIX : TCP4, TINY);
	submit_to_each(self, 0);
	EXPECT_TRUE(comes_to_rest(0));
	close(dup(self->device));
	EXPECT_TRUE(rests(STREAMS / 2, SELDOM));
	EXPECT_EQ(STREAMS, waiting(self));
}

/* An error that lies there is no reason to look. */
TEST_F(many, errors)
{
	for (self->nr = 0; self->nr < STREAMS; self->nr++) {
		pair_open(&self->pairs[self->nr], TCP4, TINY);
		leave_error(self->pairs[self->nr].tx);
	}
	submit_to_each(self, 0);
	EXPECT_TRUE(rests(0, SELDOM));
	EXPECT_EQ(STREAMS, waiting(self));
}

/* Nobody is told when TCP has memory again. */
TEST_F(many, no_memory)
{
	for (self->nr = 0; self->nr < STREAMS; self->nr++)
		pair_open(&self->pairs[self->nr], TCP4, SMALL);
	hog_open(&self->hog);
	setting_set("1 1 1");
	submit_to_each(self, LITTLE);
	EXPECT_TRUE(rests(STREAMS, SELDOM));
	EXPECT_EQ(STREAMS, waiting(self));
	setting_restore();
	pair_close(&self->hog);
	EXPECT_TRUE(all_complete(self, LITTLE));
}

/* Who writes to a pipe what is late in coming. */
struct writer {
	int fd;
	const char *page;
};

static void *write_late(void *argument)
{
	const struct writer *writer = argument;

	if (write(writer->fd, writer->page, 1) != 1)
		die("write to a pipe");
	return NULL;
}

/* Nor when somebody gives back the lock of a pipe. */
TEST_F(many, locked)
{
	struct writer *writers = calloc(LOCKED, sizeof(*writers));
	pthread_t *threads = calloc(LOCKED, sizeof(*threads));
	struct late late;
	int ends[2], i;

	ASSERT_TRUE(writers && threads);
	late_make(&late, LOCKED * PAGE);
	for (i = 0; i < LOCKED; i++) {
		ASSERT_EQ(0, pipe(ends));
		self->pairs[i] = (struct pair){ .tx = ends[1], .rx = ends[0] };
		writers[i] = (struct writer){ ends[1], late.memory + i * PAGE };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, write_late,
					    &writers[i]));
	}
	self->nr = LOCKED;
	ASSERT_TRUE(late_await(&late, LOCKED));
	submit_to_each(self, LITTLE);
	EXPECT_TRUE(rests(LOCKED, SELDOM));
	EXPECT_EQ(LOCKED, waiting(self));
	late_come(&late);
	EXPECT_TRUE(all_complete(self, LITTLE));
	for (i = 0; i < LOCKED; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	late_close(&late);
	free(threads);
	free(writers);
}

int main(int argc, char **argv)
{
	setting_keep("/proc/sys/net/ipv4/tcp_mem");	/* pages */
	return test_harness_run(argc, argv);
}
