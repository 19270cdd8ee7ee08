// SPDX-License-Identifier: GPL-2.0-only
/* One queue, many hands: dup(), fork(), and the device sent over a socket. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	241U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */

FIXTURE(share)
{
	struct watch watch;
	struct file file;
	struct part parts[2];
	struct pair pair;
	int device;
};

FIXTURE_SETUP(share)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
	self->parts[0] = of_file(&self->file, 0, 0);
	self->parts[1] = of_file(&self->file, 333, 4000);
}

FIXTURE_TEARDOWN(share)
{
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void submit_both(FIXTURE_DATA(share) *self, int device)
{
	submit_one(device, self->pair.tx, &self->parts[0], 0);
	submit_one(device, self->pair.tx, &self->parts[1], 1);
}

/* Everything arrives, and both completions are there for one who asks. */
static void receive_both(struct __test_metadata *_metadata,
			 FIXTURE_DATA(share) *self, int device)
{
	struct cursor cursor = { .parts = self->parts, .nr = 2 };

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE + 4000));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE + 4000));
	EXPECT_STREQ("", completes(device, 0, SIZE, 0, 0));
	EXPECT_STREQ("", completes(device, 1, 4000, 0, 0));
}

/* Runs in a process of its own; 0 when it came to its end. */
static int in_child(void (*work)(FIXTURE_DATA(share) *self, int device),
		    FIXTURE_DATA(share) *self, int device)
{
	pid_t child = fork();
	int status;

	if (!child) {
		work(self, device);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		die("run a child");
	return status;
}

TEST_F(share, dup)
{
	int copy = dup(self->device);

	submit_both(self, self->device);
	/* The context lives as long as one of its descriptors. */
	close(self->device);
	EXPECT_EQ(2, stats_of(copy, ZCOPY_STATS_CONTEXT).active);
	receive_both(_metadata, self, copy);
	self->device = copy;
}

/* A child submits as itself: what it has under way ends with it, and is told. */
TEST_F(share, child_submits)
{
	struct zcopy_completion done[2];

	EXPECT_EQ(0, in_child(submit_both, self, self->device));
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	ASSERT_EQ(2, reap_now(self->device, done, 2));
	EXPECT_EQ(-ECANCELED, done[0].error);
	EXPECT_EQ(-ECANCELED, done[1].error);
	EXPECT_EQ(ZCOPY_C_CANCELLED, done[0].flags & ZCOPY_C_CANCELLED);
	EXPECT_LT(done[0].bytes + done[1].bytes, SIZE);
}

static void submit_and_wait(FIXTURE_DATA(share) *self, int device)
{
	submit_both(self, device);
	if (!await_active(0))
		_exit(1);
}

/* Everything arrived, and both completions are there; a pair for the teardown. */
static void expect_both(struct __test_metadata *_metadata,
			FIXTURE_DATA(share) *self, struct reader *reader)
{
	close(self->pair.tx);
	EXPECT_STREQ("", reader_finish(reader, SIZE + 4000));
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, 4000, 0, 0));
	close(self->pair.rx);
	pair_open(&self->pair, TCP4, SMALL);
}

/* And until then its transfers are the context's, like everybody's. */
TEST_F(share, child_submits_and_waits)
{
	struct reader reader;

	reader_start(&reader, self->pair.rx, self->parts, 2);
	EXPECT_EQ(0, in_child(submit_and_wait, self, self->device));
	expect_both(_metadata, self, &reader);
}

static void reap_both(FIXTURE_DATA(share) *self, int device)
{
	struct zcopy_completion done[2];
	struct cursor cursor = { .parts = self->parts, .nr = 2 };

	if (!cursor_take(&cursor, self->pair.rx, SIZE + 4000) ||
	    reap(device, done, 2) != 2 || done[0].bytes != SIZE ||
	    done[1].bytes != 4000)
		_exit(1);
}

TEST_F(share, child_collects)
{
	struct zcopy_completion none;

	submit_both(self, self->device);
	EXPECT_EQ(0, in_child(reap_both, self, self->device));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
}

static void cancel_both(FIXTURE_DATA(share) *self, int device)
{
	if (cancel_socket(device, self->pair.tx) != 2)
		_exit(1);
}

TEST_F(share, child_cancels)
{
	struct zcopy_completion done[2];

	submit_both(self, self->device);
	EXPECT_EQ(0, in_child(cancel_both, self, self->device));
	ASSERT_EQ(2, reap(self->device, done, 2));
	EXPECT_EQ(-ECANCELED, done[0].error);
	EXPECT_EQ(-ECANCELED, done[1].error);
}

/* A child that ends, or closes what it inherited, ends nothing. */
static void do_nothing(FIXTURE_DATA(share) *self, int device)
{
	close(device);
	close(self->pair.tx);
}

TEST_F(share, child_ends)
{
	submit_both(self, self->device);
	EXPECT_EQ(0, in_child(do_nothing, self, self->device));
	EXPECT_EQ(2, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	receive_both(_metadata, self, self->device);
}

/* The numbers of the process that submits count, not the opener's. */
TEST_F(share, sent_over_a_socket)
{
	struct reader reader;
	struct pair way;
	pid_t child;
	int status;

	pair_open(&way, UNIX, 0);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct pair pair = self->pair;
		struct file file = self->file;
		int device;

		close(self->device);
		device = receive_descriptor(way.rx);
		/* The parent has nothing there. */
		file.fd = fcntl(self->file.fd, F_DUPFD, 200);
		pair.tx = fcntl(self->pair.tx, F_DUPFD, 300);
		self->parts[0] = of_file(&file, 0, 0);
		self->parts[1] = of_file(&file, 333, 4000);
		self->pair = pair;
		submit_and_wait(self, device);
		_exit(0);
	}
	reader_start(&reader, self->pair.rx, self->parts, 2);
	send_descriptor(way.tx, self->device);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	expect_both(_metadata, self, &reader);
	pair_close(&way);
}

/* In flight in a socket it is open too; when that is gone, all is. */
TEST_F(share, lost_in_a_socket)
{
	struct cursor cursor = { .parts = self->parts, .nr = 2 };
	struct pair way;

	pair_open(&way, UNIX, 0);
	submit_both(self, self->device);
	send_descriptor(way.tx, self->device);
	close(self->device);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, MIB));
	EXPECT_TRUE(await_active(2));
	pair_close(&way);
	EXPECT_TRUE(await_active(0));
	EXPECT_STREQ("", cursor_verdict(&cursor, MIB));
	self->device = device_open();
}

/* A queue to an AF_UNIX socket which the device itself waits in. */
static void lose_in_the_target(FIXTURE_DATA(share) *self, int device)
{
	struct pair pair;

	close(device);
	device = device_open();
	pair_open(&pair, UNIX, SMALL);
	submit_one(device, pair.tx, &self->parts[0], 0);
	send_descriptor(pair.rx, device);
	send_descriptor(pair.rx, pair.rx);
	close(device);
	pair_close(&pair);
}

/* Nobody can have it any more, and no process has to end for that. */
TEST_F(share, lost_in_its_target_by_the_living)
{
	lose_in_the_target(self, dup(self->device));
	EXPECT_TRUE(await_active(0));
}

TEST_F(share, lost_in_its_target)
{
	EXPECT_EQ(0, in_child(lose_in_the_target, self, self->device));
	EXPECT_TRUE(await_active(0));
}

#define TRIES	10000

/* One thread submits, another closes the descriptor: whatever comes first. */
struct race {
	pthread_t thread;
	const struct part *part;
	unsigned int tries;
	int device;
	int target;
	unsigned int begun;	/* atomic: tries */
	unsigned int done;	/* atomic: ditto */
};

static void spin(unsigned int times)
{
	while (times--)
		__asm__ volatile("");
}

static void *submit_meanwhile(void *argument)
{
	struct race *race = argument;
	unsigned int i;

	for (i = 1; i <= race->tries; i++) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		/* Workers want a processor too. */
		while (__atomic_load_n(&race->begun, __ATOMIC_ACQUIRE) != i)
			sched_yield();
		transfer = transfer_of(race->target, race->part, 1, i);
		submit = submit_of(&transfer, 1);
		spin(i % 97 * 4);
		submit_call(race->device, &submit);
		__atomic_store_n(&race->done, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The call itself may be who has the device last, and must see that. */
TEST_F(share, lost_in_its_target_while_it_submits)
{
	struct race race = { .part = &self->parts[0],
			     .tries = how_often(TRIES) };
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&race.thread, NULL, submit_meanwhile,
				    &race));
	for (i = 1; i <= race.tries; i++) {
		struct pair pair;

		race.device = device_open();
		pair_open(&pair, UNIX, 0);
		race.target = pair.tx;
		send_descriptor(pair.rx, race.device);
		send_descriptor(pair.rx, pair.rx);
		__atomic_store_n(&race.begun, i, __ATOMIC_RELEASE);
		spin(rand() % 2000);
		close(race.device);
		while (__atomic_load_n(&race.done, __ATOMIC_ACQUIRE) != i)
			sched_yield();
		pair_close(&pair);
	}
	pthread_join(race.thread, NULL);
	EXPECT_TRUE(await_active(0));
}

static void submit_second(FIXTURE_DATA(share) *self, int device)
{
	submit_one(device, self->pair.tx, &self->parts[1], 6);
}

/* What two processes have for one socket ends with each of them, and no other. */
TEST_F(share, ends_with_its_process)
{
	const enum transport transports[] = { TCP4, UNIX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transports); i++) {
		struct cursor cursor = { .parts = self->parts, .nr = 1 };

		pair_close(&self->pair);
		pair_open(&self->pair, transports[i], SMALL);
		submit_one(self->device, self->pair.tx, &self->parts[0], 5);
		close(dup(self->device));
		EXPECT_EQ(0, in_child(do_nothing, self, self->device));
		/* An acknowledgment that is late makes no room for what is small. */
		set_send_buffer(self->pair.tx, 1);
		EXPECT_EQ(0, in_child(submit_second, self, self->device));
		EXPECT_STREQ("", completes(self->device, 6, 0, -ECANCELED,
					   ZCOPY_C_CANCELLED));
		EXPECT_EQ(1, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
		set_send_buffer(self->pair.tx, SMALL);
		EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
		EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
		EXPECT_STREQ("", completes(self->device, 5, SIZE, 0, 0));
	}
}

TEST_HARNESS_MAIN
