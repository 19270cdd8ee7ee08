// SPDX-License-Identifier: GPL-2.0-only
/* Cancelling a transfer in every state it can be in. */
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	221U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */

FIXTURE(cancel)
{
	struct watch watch;
	struct file file;
	struct file cold;
	struct pair pair;
	struct part parts[4];	/* one that does not fit in the socket, 3 more */
	int device;
};

FIXTURE_SETUP(cancel)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	file_make(&self->cold, EXT4, SIZE, SEED + 1);
	file_chill(&self->cold);
	pair_open(&self->pair, TCP4, SMALL);
	self->parts[0] = of_file(&self->file, 0, 0);
	self->parts[1] = of_file(&self->file, 1000, 5000);
	self->parts[2] = of_memory(10, 900);
	self->parts[3] = of_file(&self->file, 9, 70 * KIB);
}

FIXTURE_TEARDOWN(cancel)
{
	disk_resume();
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", file_intact(&self->cold));
	file_close(&self->file);
	file_close(&self->cold);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Nobody reads: the first one waits for space, the others for it. */
static void submit_parts(FIXTURE_DATA(cancel) *self)
{
	size_t i;

	for (i = 0; i < 4; i++)
		submit_one(self->device, self->pair.tx, &self->parts[i],
			   10 + i);
}

/* The receiver gets these parts, then the end. */
static void receive(struct __test_metadata *_metadata,
		    FIXTURE_DATA(cancel) *self, const struct part *parts,
		    size_t nr)
{
	struct cursor cursor = { .parts = parts, .nr = nr };
	const uint64_t total = parts_total(parts, nr);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
}

TEST_F(cancel, queued_behind_another)
{
	struct reader reader;
	struct zcopy_completion none;

	submit_parts(self);
	EXPECT_EQ(1, cancel_user_data(self->device, 12));
	/* It has its completion at once, those before it go on waiting. */
	EXPECT_STREQ("", completes(self->device, 12, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	EXPECT_EQ(0, cancel_user_data(self->device, 12));

	reader_start(&reader, self->pair.rx, self->parts, 2);
	EXPECT_STREQ("", completes(self->device, 10, SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 11, 5000, 0, 0));
	/* What stands behind it does not follow. */
	EXPECT_STREQ("", completes(self->device, 13, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE + 5000));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
}

TEST_F(cancel, waiting_for_space)
{
	struct zcopy_completion done;
	int i;

	submit_parts(self);
	EXPECT_EQ(1, cancel_user_data(self->device, 10));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(10, done.user_data);
	EXPECT_EQ(-ECANCELED, done.error);
	EXPECT_EQ(ZCOPY_C_CANCELLED, done.flags);
	EXPECT_LT(0, done.bytes);
	EXPECT_GT(SIZE, done.bytes);

	/* Exactly so many bytes of it, and none of those behind it. */
	for (i = 11; i < 14; i++)
		EXPECT_STREQ("", completes(self->device, i, 0, -ECANCELED,
					   ZCOPY_C_CANCELLED));
	self->parts[0].want.len = done.bytes;
	receive(_metadata, self, self->parts, 1);
}

/* The same where the socket is not full when the cancellation comes. */
TEST_F(cancel, running)
{
	int round;

	for (round = 0; round < 20; round++) {
		struct zcopy_completion done;
		struct reader reader;
		struct pair pair;

		pair_open(&pair, round % 2 ? UNIX : TCP4, SMALL);
		reader_start(&reader, pair.rx, self->parts, 1);
		submit_one(self->device, pair.tx, self->parts, round);
		cancel_user_data(self->device, round);
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(round, done.user_data);
		if (done.error) {
			EXPECT_EQ(-ECANCELED, done.error);
			EXPECT_EQ(ZCOPY_C_CANCELLED, done.flags);
		} else {
			EXPECT_EQ(SIZE, done.bytes);
			EXPECT_EQ(0, done.flags);
		}
		shutdown(pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, done.bytes));
		pair_close(&pair);
	}
}

TEST_F(cancel, waiting_for_disk)
{
	const struct part parts[] = {
		of_memory(0, 250),
		of_file(&self->cold, 0, 0),
	};
	struct zcopy_transfer transfer;

	transfer = transfer_of(self->pair.tx, parts, 2, 20);
	disk_suspend();
	submit_all(self->device, &transfer, 1);
	submit_one(self->device, self->pair.tx, &self->parts[1], 21);
	submit_one(self->device, self->pair.tx, &self->parts[2], 22);
	ASSERT_TRUE(disk_await_readers(1));
	/* Behind it: at once. */
	EXPECT_EQ(1, cancel_user_data(self->device, 21));
	EXPECT_STREQ("", completes(self->device, 21, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	/* Itself, whatever its read does. */
	EXPECT_EQ(1, cancel_user_data(self->device, 20));
	EXPECT_STREQ("", completes(self->device, 20, 250, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_STREQ("", completes(self->device, 22, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	EXPECT_EQ(1, stats_of(self->device, ZCOPY_STATS_CONTEXT).reads);
	disk_resume();
	receive(_metadata, self, parts, 1);
}

TEST_F(cancel, done)
{
	submit_one(self->device, self->pair.tx, &self->parts[1], 30);
	/* Complete, and not read. */
	EXPECT_TRUE(await(self->device, POLLIN));
	EXPECT_EQ(0, cancel_user_data(self->device, 30));
	EXPECT_EQ(0, cancel_socket(self->device, self->pair.tx));
	EXPECT_EQ(0, cancel_all(self->device));
	EXPECT_STREQ("", completes(self->device, 30, 5000, 0, 0));
	/* Read. */
	EXPECT_EQ(0, cancel_user_data(self->device, 30));
	EXPECT_EQ(0, cancel_all(self->device));
	receive(_metadata, self, &self->parts[1], 1);
}

TEST_F(cancel, by_user_data)
{
	struct zcopy_completion done[3];
	struct pair other;
	size_t i;

	pair_open(&other, UNIX, SMALL);
	submit_one(self->device, self->pair.tx, &self->parts[0], 1);
	submit_one(self->device, self->pair.tx, &self->parts[1], 7);
	submit_one(self->device, self->pair.tx, &self->parts[2], 0);
	submit_one(self->device, self->pair.tx, &self->parts[3], 7);
	submit_one(self->device, other.tx, &self->parts[0], 7);
	EXPECT_EQ(0, cancel_user_data(self->device, 6));
	EXPECT_EQ(0, cancel_user_data(self->device, 7ULL << 32));
	EXPECT_EQ(3, cancel_user_data(self->device, 7));
	ASSERT_EQ(3, reap(self->device, done, 3));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(7, done[i].user_data);
		EXPECT_EQ(-ECANCELED, done[i].error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, done[i].flags);
	}
	/* 0 is a name as any other. */
	EXPECT_EQ(1, cancel_user_data(self->device, 0));
	EXPECT_STREQ("", completes(self->device, 0, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(1, cancel_all(self->device));
	EXPECT_EQ(1, reap(self->device, done, 1));
	pair_close(&other);
}

TEST_F(cancel, by_socket)
{
	struct zcopy_completion done[4], none;
	int copy = dup(self->pair.tx);
	int other = device_open();
	struct pair pair;
	uint64_t bytes;
	size_t i;

	pair_open(&pair, TCP4, SMALL);
	submit_parts(self);
	submit_one(self->device, pair.tx, &self->parts[0], 50);
	/* Another context's are not ours, nor is its socket. */
	EXPECT_EQ(0, cancel_socket(other, self->pair.tx));
	EXPECT_EQ(0, cancel_all(other));
	EXPECT_EQ(0, cancel_socket(self->device, pair.rx));
	/* The socket counts, not the descriptor. */
	EXPECT_EQ(4, cancel_socket(self->device, copy));
	ASSERT_EQ(4, reap(self->device, done, 4));
	for (i = 0, bytes = 0; i < 4; i++) {
		EXPECT_LE(10, done[i].user_data);
		EXPECT_GE(13, done[i].user_data);
		EXPECT_EQ(-ECANCELED, done[i].error);
		/* Only the first one had begun. */
		EXPECT_TRUE(done[i].user_data == 10 || !done[i].bytes);
		bytes += done[i].bytes;
	}
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	self->parts[0].want.len = bytes;
	receive(_metadata, self, self->parts, 1);
	EXPECT_EQ(1, cancel_socket(self->device, pair.tx));
	EXPECT_EQ(1, reap(self->device, &none, 1));
	close(copy);
	close(other);
	pair_close(&pair);
}

TEST_F(cancel, all_of_them)
{
	struct zcopy_completion done[50];
	bool seen[50] = {};
	struct pair pairs[10];
	size_t i;

	for (i = 0; i < 10; i++)
		pair_open(&pairs[i], i % 2 ? UNIX : TCP4, SMALL);
	for (i = 0; i < 50; i++)
		submit_one(self->device, pairs[i % 10].tx, &self->parts[0], i);
	EXPECT_EQ(50, cancel_all(self->device));
	ASSERT_EQ(50, reap(self->device, done, 50));
	for (i = 0; i < 50; i++) {
		ASSERT_GT(50, done[i].user_data);
		EXPECT_FALSE(seen[done[i].user_data]);
		seen[done[i].user_data] = true;
		EXPECT_EQ(-ECANCELED, done[i].error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, done[i].flags);
		if (done[i].user_data < 10)
			self->parts[0].want.len = done[i].bytes;
		else
			EXPECT_EQ(0, done[i].bytes);
		if (done[i].user_data < 10) {
			struct pair *pair = &pairs[done[i].user_data];
			struct cursor cursor = { .parts = self->parts,
						 .nr = 1 };

			EXPECT_TRUE(cursor_take(&cursor, pair->rx,
						done[i].bytes));
			shutdown(pair->tx, SHUT_WR);
			EXPECT_TRUE(at_end(pair->rx));
			EXPECT_STREQ("", cursor_verdict(&cursor,
							done[i].bytes));
		}
	}
	EXPECT_EQ(0, cancel_all(self->device));
	for (i = 0; i < 10; i++)
		pair_close(&pairs[i]);
}

#define LONG	300		/* more than are cancelled at a time */
#define ANSWER	(8 * KIB)

enum way { BY_USER_DATA, BY_SOCKET, ALL, WAYS };

/* How many were asked to end. */
static int cancel_by(enum way way, int device, int socket)
{
	switch (way) {
	case BY_USER_DATA:
		return cancel_user_data(device, 0);
	case BY_SOCKET:
		return cancel_socket(device, socket);
	default:
		return cancel_all(device);
	}
}

/*
 * A long queue is cancelled while its socket is read. It is done piece by piece,
 * and yet what the client gets is always the beginning of what was queued: no
 * answer follows one of which something is missing.
 */
TEST_F(cancel, long_queue)
{
	struct zcopy_completion done[LONG];
	struct part parts[LONG];
	struct reader reader;
	enum way way;
	int round;

	for (round = 0; round < 30; round++) {
		uint64_t total = 0, bytes = 0;
		int cancelled, ended = 0;
		struct pair pair;
		size_t i;

		way = round % WAYS;
		pair_open(&pair, round % 2 ? UNIX : TCP4, SMALL);
		for (i = 0; i < LONG; i++) {
			parts[i] = of_file(&self->file, i * PAGE, ANSWER);
			submit_one(self->device, pair.tx, &parts[i],
				   way == BY_USER_DATA ? 0 : i);
		}
		reader_start(&reader, pair.rx, parts, LONG);
		cancelled = cancel_by(way, self->device, pair.tx);
		EXPECT_EQ(0, cancel_by(way, self->device, pair.tx));
		ASSERT_EQ(LONG, reap(self->device, done, LONG));
		for (i = 0; i < LONG; i++) {
			EXPECT_EQ(done[i].error ? -ECANCELED : 0, done[i].error);
			EXPECT_TRUE(done[i].error || done[i].bytes == ANSWER);
			ended += !!done[i].error;
			bytes += done[i].bytes;
		}
		EXPECT_LE(ended, cancelled);
		/* Where the names tell them apart: nothing behind the first gap. */
		for (i = 0; way != BY_USER_DATA && i < LONG; i++)
			if (done[i].bytes)
				total = total > done[i].user_data + 1 ? total :
					done[i].user_data + 1;
		for (i = 0; way != BY_USER_DATA && i < LONG; i++)
			if (done[i].user_data + 1 < total) {
				EXPECT_EQ(0, done[i].error) {
					TH_LOG("%ju of %ju", (uintmax_t)
					       done[i].user_data,
					       (uintmax_t)total);
				}
			}
		shutdown(pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, bytes));
		pair_close(&pair);
	}
}

struct canceller {
	pthread_t thread;
	int device;
	int socket;
	enum way way;
	int cancelled;
	bool stop;		/* atomic */
};

static void *canceller_main(void *arg)
{
	struct canceller *canceller = arg;

	while (!__atomic_load_n(&canceller->stop, __ATOMIC_RELAXED))
		canceller->cancelled += cancel_by(canceller->way,
						  canceller->device,
						  canceller->socket);
	return NULL;
}

/* Several cancel what others submit: each completes once, none is asked twice. */
TEST_F(cancel, by_several_threads)
{
	struct zcopy_completion done[LONG];
	struct canceller cancellers[WAYS];
	struct pair pairs[WAYS];
	bool seen[LONG] = {};
	uint64_t since = 0;
	int i, asked = 0;

	for (i = 0; i < WAYS; i++) {
		pair_open(&pairs[i], i ? UNIX : TCP4, SMALL);
		cancellers[i] = (struct canceller){
			.device = self->device, .socket = pairs[i].tx, .way = i,
		};
		ASSERT_EQ(0, pthread_create(&cancellers[i].thread, NULL,
					    canceller_main, &cancellers[i]));
	}
	/* The names are unlike but for every third, which are all 0. */
	for (i = 0; i < LONG; i++)
		submit_one(self->device, pairs[i % WAYS].tx, &self->parts[0],
			   i % 3 ? i : 0);
	/* They are asked by and by, while others are. */
	while (stats_of(self->device, ZCOPY_STATS_CONTEXT).active)
		ASSERT_TRUE(patience(&since));
	for (i = 0; i < WAYS; i++) {
		__atomic_store_n(&cancellers[i].stop, true, __ATOMIC_RELAXED);
		ASSERT_EQ(0, pthread_join(cancellers[i].thread, NULL));
		TH_LOG("way %d: %d", i, cancellers[i].cancelled);
		asked += cancellers[i].cancelled;
	}
	/* Others end since one before them did. */
	EXPECT_GE(LONG, asked);
	EXPECT_LT(0, asked);
	ASSERT_EQ(LONG, reap(self->device, done, LONG));
	for (i = 0; i < LONG; i++) {
		ASSERT_GT(LONG, done[i].user_data);
		EXPECT_EQ(-ECANCELED, done[i].error);
		EXPECT_TRUE(!done[i].user_data || !seen[done[i].user_data]);
		seen[done[i].user_data] = true;
	}
	for (i = 0; i < LONG; i++)
		EXPECT_TRUE(seen[i] || i % 3 == 0);
	EXPECT_EQ(0, cancel_all(self->device));
	for (i = 0; i < WAYS; i++)
		pair_close(&pairs[i]);
}

/* One that has begun is asked once. */
TEST_F(cancel, asked_before)
{
	const struct part cold = of_file(&self->cold, 0, 0);

	disk_suspend();
	submit_one(self->device, self->pair.tx, &cold, 5);
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(1, cancel_user_data(self->device, 5));
	EXPECT_EQ(0, cancel_user_data(self->device, 5));
	EXPECT_EQ(0, cancel_socket(self->device, self->pair.tx));
	EXPECT_EQ(0, cancel_all(self->device));
	disk_resume();
	EXPECT_STREQ("", completes(self->device, 5, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
}

TEST_F(cancel, errors)
{
	const struct {
		struct zcopy_cancel cancel;
		int error;
	} rows[] = {
		{ { .what = 3 }, -EINVAL },
		{ { .what = ~0U }, -EINVAL },
		{ { .reserved = 1, .what = ZCOPY_CANCEL_ALL }, -EINVAL },
		{ { .reserved = 1U << 31, .what = ZCOPY_CANCEL_USER_DATA },
		  -EINVAL },
		{ { .user_data = 1, .what = ZCOPY_CANCEL_ALL }, -EINVAL },
		{ { .socket = 1, .what = ZCOPY_CANCEL_ALL }, -EINVAL },
		{ { .socket = 1, .what = ZCOPY_CANCEL_USER_DATA }, -EINVAL },
		{ { .user_data = 1, .socket = self->pair.tx,
		    .what = ZCOPY_CANCEL_SOCKET }, -EINVAL },
		{ { .socket = -1, .what = ZCOPY_CANCEL_SOCKET }, -EBADF },
		{ { .socket = 1 << 20, .what = ZCOPY_CANCEL_SOCKET }, -EBADF },
		{ { .target = self->device, .what = ZCOPY_CANCEL_TARGET },
		  -ENOTSOCK },
		/* What came in does not matter. */
		{ { .cancelled = 99, .what = ZCOPY_CANCEL_ALL }, 0 },
	};
	struct {
		struct zcopy_cancel cancel;
		char tail[8];
	} larger = { .cancel.what = ZCOPY_CANCEL_ALL };
	const unsigned long number = ZCOPY_IOC_CANCEL & ~IOCSIZE_MASK;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct zcopy_cancel cancel = rows[i].cancel;

		EXPECT_EQ(rows[i].error, cancel_call(self->device, &cancel)) {
			TH_LOG("row %zu", i);
		}
		if (rows[i].error) {
			EXPECT_EQ(0, memcmp(&cancel, &rows[i].cancel,
					    sizeof(cancel)));
		} else {
			EXPECT_EQ(0, cancel.cancelled);
		}
	}
	EXPECT_EQ(-EFAULT, cancel_call(self->device, NULL));
	EXPECT_EQ(-1, ioctl(self->device, number | 23 << IOCSIZE_SHIFT,
			    &larger));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, ioctl(self->device, number | 32 << IOCSIZE_SHIFT,
			   &larger));
	larger.tail[7] = 1;
	EXPECT_EQ(-1, ioctl(self->device, number | 32 << IOCSIZE_SHIFT,
			    &larger));
	EXPECT_EQ(E2BIG, errno);
	/* A tail that does not belong to it is not looked at. */
	EXPECT_EQ(0, ioctl(self->device, ZCOPY_IOC_CANCEL, &larger));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
