// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that must be read from the disk, on a disk whose reads can be held up:
 * what needs no disk is complete before the disk has answered.
 */
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	211U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */

FIXTURE(cold)
{
	struct watch watch;
	struct file cold;
	struct file hot;
	int device;
};

FIXTURE_SETUP(cold)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->cold, EXT4, SIZE, SEED);
	file_make(&self->hot, XFS, SIZE, SEED + 1);
	file_chill(&self->cold);
}

FIXTURE_TEARDOWN(cold)
{
	disk_resume();
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->cold));
	EXPECT_STREQ("", file_intact(&self->hot));
	file_close(&self->cold);
	file_close(&self->hot);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Hot transfers to sockets of their own, some of them larger than a turn. */
static void send_hot(struct __test_metadata *_metadata,
		     FIXTURE_DATA(cold) *self)
{
	const struct part parts[] = {
		of_file(&self->hot, 3, 16 * KIB),
		of_file(&self->hot, 0, 0),
		of_file(&self->hot, 4097, 100 * KIB),
	};
	struct reader readers[4];
	struct pair pairs[4];
	size_t i, k;

	for (i = 0; i < 4; i++) {
		pair_open(&pairs[i], TCP4, SMALL);
		reader_start(&readers[i], pairs[i].rx, ALL_OF(parts));
		for (k = 0; k < 3; k++)
			submit_one(self->device, pairs[i].tx, &parts[k],
				   100 + i);
	}
	for (k = 0; k < 12; k++) {
		struct zcopy_completion done;

		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_LE(100, done.user_data);
		EXPECT_EQ(0, done.error);
	}
	for (i = 0; i < 4; i++) {
		shutdown(pairs[i].tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&readers[i],
					       parts_total(ALL_OF(parts))));
		pair_close(&pairs[i]);
	}
}

TEST_F(cold, hot_ones_do_not_wait)
{
	const struct part part = of_file(&self->cold, 0, 0);
	struct zcopy_completion none;
	struct reader readers[3];
	struct pair pairs[3];
	size_t i;

	disk_suspend();
	for (i = 0; i < 3; i++) {
		pair_open(&pairs[i], TCP4, 0);
		reader_start(&readers[i], pairs[i].rx, &part, 1);
		submit_one(self->device, pairs[i].tx, &part, i);
	}
	ASSERT_TRUE(disk_await_readers(1));
	send_hot(_metadata, self);
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	EXPECT_EQ(3, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);

	disk_resume();
	for (i = 0; i < 3; i++) {
		struct zcopy_completion done;

		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_GT(3, done.user_data);
		EXPECT_EQ(SIZE, done.bytes);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(0, done.flags);
	}
	for (i = 0; i < 3; i++) {
		shutdown(pairs[i].tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&readers[i], SIZE));
		pair_close(&pairs[i]);
	}
	EXPECT_LE(3, stats_of(self->device, ZCOPY_STATS_CONTEXT).disk_waits);
}

#define MANY	400
#define COLD_WORKERS	16	/* the module's parameter */

/* Not even when more wait for the disk than the process has workers for that. */
TEST_F(cold, more_cold_ones_than_workers)
{
	static struct pair pairs[MANY];
	static struct part parts[MANY];
	struct cursor cursor;
	size_t i;

	descriptors_allow(2 * MANY + 100);
	disk_suspend();
	for (i = 0; i < MANY; i++) {
		pair_open(&pairs[i], UNIX, 0);
		parts[i] = of_file(&self->cold, i * PAGE, PAGE);
		submit_one(self->device, pairs[i].tx, &parts[i], i);
	}
	/* All that a filesystem may have of them. */
	ASSERT_TRUE(disk_await_readers(COLD_WORKERS / 2));
	send_hot(_metadata, self);
	EXPECT_EQ(MANY, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);

	disk_resume();
	for (i = 0; i < MANY; i++) {
		struct zcopy_completion done;

		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(PAGE, done.bytes);
		EXPECT_EQ(0, done.error);
	}
	for (i = 0; i < MANY; i++) {
		cursor = (struct cursor){ .parts = &parts[i], .nr = 1 };
		ASSERT_TRUE(cursor_take(&cursor, pairs[i].rx, PAGE));
		ASSERT_STREQ("", cursor_verdict(&cursor, PAGE));
		pair_close(&pairs[i]);
	}
}

/* On one socket the order counts more than what could be sent. */
TEST_F(cold, hot_ones_behind_on_its_socket_wait)
{
	const struct part parts[] = {
		of_file(&self->hot, 0, 5000),
		of_file(&self->cold, PAGE, 9000),
		of_memory(7, 300),
		of_file(&self->hot, 77, 5000),
	};
	struct cursor cursor = { .parts = parts, .nr = 4 };
	struct zcopy_completion none;
	struct pair pair;
	size_t i;

	pair_open(&pair, TCP4, 0);
	disk_suspend();
	for (i = 0; i < 4; i++)
		submit_one(self->device, pair.tx, &parts[i], i);
	EXPECT_STREQ("", completes(self->device, 0, 5000, 0, 0));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 5000));
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));

	disk_resume();
	for (i = 1; i < 4; i++)
		EXPECT_STREQ("", completes(self->device, i, parts[i].want.len,
					   0, 0));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 9000 + 300 + 5000));
	EXPECT_STREQ("", cursor_verdict(&cursor, parts_total(ALL_OF(parts))));
	pair_close(&pair);
}

/* What comes before the missing page goes before the disk has answered. */
TEST_F(cold, header_goes_ahead)
{
	const struct part parts[] = {
		of_memory(0, 250),
		of_file(&self->hot, 0, 20 * KIB),
		of_file(&self->cold, 100, 0),
	};
	const uint64_t ahead = 250 + 20 * KIB;
	struct cursor cursor = { .parts = parts, .nr = 3 };
	struct zcopy_transfer transfer;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	transfer = transfer_of(pair.tx, ALL_OF(parts), 9);
	disk_suspend();
	submit_all(self->device, &transfer, 1);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, ahead));
	ASSERT_TRUE(disk_await_readers(1));
	disk_resume();
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE - 100));
	EXPECT_STREQ("", cursor_verdict(&cursor, ahead + SIZE - 100));
	EXPECT_STREQ("", completes(self->device, 9, ahead + SIZE - 100, 0, 0));
	pair_close(&pair);
}

TEST_F(cold, no_disk_io_does_not_wait)
{
	const struct part parts[] = {
		of_memory(0, 100),
		of_file(&self->cold, 0, 0),
	};
	struct cursor cursor = { .parts = parts, .nr = 1 };
	struct zcopy_transfer transfer;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	transfer = transfer_of(pair.tx, ALL_OF(parts), 5);
	transfer.flags = ZCOPY_NODISKIO;
	disk_suspend();
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 5, 100, -EBUSY, 0));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 100));
	EXPECT_EQ(0, file_resident(&self->cold, 0, SIZE));
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).disk_waits);
	disk_resume();
	pair_close(&pair);
}

/* Cold files of all sorts at once, on a disk that answers. */
TEST_F(cold, many_at_once)
{
	struct file files[4];
	struct part parts[4][4];
	struct zcopy_completion done[16];
	struct reader readers[4];
	struct pair pairs[4];
	size_t i, k;

	for (i = 0; i < 4; i++)
		file_make(&files[i], i % 2 ? XFS : EXT4, SIZE, 300 + i);
	for (i = 0; i < 4; i++)
		file_chill(&files[i]);
	for (i = 0; i < 4; i++) {
		pair_open(&pairs[i], i % 2 ? UNIX : TCP4, 64 * 1024);
		for (k = 0; k < 4; k++) {
			parts[i][k] = of_file(&files[(i + k) % 4], i * 12345,
					      k % 2 ? 0 : 700 * KIB);
			submit_one(self->device, pairs[i].tx, &parts[i][k], i);
		}
		reader_start(&readers[i], pairs[i].rx, ALL_OF(parts[i]));
	}
	ASSERT_EQ(16, reap(self->device, done, 16));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, done[i].error);
	for (i = 0; i < 4; i++) {
		shutdown(pairs[i].tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&readers[i],
					       parts_total(ALL_OF(parts[i]))));
		pair_close(&pairs[i]);
	}
	for (i = 0; i < 4; i++) {
		EXPECT_STREQ("", file_intact(&files[i]));
		file_close(&files[i]);
	}
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
