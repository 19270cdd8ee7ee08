// SPDX-License-Identifier: GPL-2.0-only
/* Disks that fail, peers that go, files that shrink: which side, and how far. */
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	321U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define HEADER	100ULL

FIXTURE(failure)
{
	struct watch watch;
	struct file file;
	struct file hot;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(failure)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	file_make(&self->hot, TMPFS, SIZE, SEED + 1);
	pair_open(&self->pair, TCP4, 0);
}

FIXTURE_TEARDOWN(failure)
{
	disk_mend();
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	file_close(&self->hot);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The page at the offset cannot be read: all before it arrives, and its error. */
static void read_up_to(struct __test_metadata *_metadata,
		       FIXTURE_DATA(failure) *self, uint64_t bad)
{
	struct part parts[] = {
		of_memory(0, HEADER),
		of_file(&self->file, 0, 0),
		of_memory(HEADER, HEADER),	/* does not go */
	};
	const struct part after = of_memory(7, 500);
	const struct part wanted[] = {
		parts[0], of_file(&self->file, 0, bad),
	};
	struct cursor cursor = { .parts = wanted, .nr = 2 };
	const uint64_t total = HEADER + bad;
	struct zcopy_transfer transfers[2];
	struct zcopy_stats stats;

	file_chill(&self->file);
	disk_break(&self->file, bad);
	transfers[0] = transfer_of(self->pair.tx, parts, 3, 1);
	transfers[1] = transfer_of(self->pair.tx, &after, 1, 2);
	submit_all(self->device, transfers, 2);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", completes(self->device, 1, HEADER + bad, -EIO,
				   ZCOPY_C_FILE_ERROR));
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(1, stats.file_errors);
	EXPECT_EQ(0, stats.socket_errors);
	disk_mend();
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(failure, disk_at_the_start)
{
	read_up_to(_metadata, self, PAGE);
}

TEST_F(failure, disk_in_the_middle)
{
	read_up_to(_metadata, self, 150 * PAGE);
}

TEST_F(failure, disk_at_the_end)
{
	read_up_to(_metadata, self, SIZE - PAGE);
}

/* The first page at once, on several sockets, beside one that is well. */
TEST_F(failure, disk_for_many)
{
	const struct part bad = of_file(&self->file, 0, 0);
	const struct part good = of_file(&self->hot, 0, 20 * KIB);
	struct zcopy_completion done[8];
	struct pair pairs[8];
	size_t i;

	file_chill(&self->file);
	disk_break(&self->file, 0);
	for (i = 0; i < 8; i++) {
		pair_open(&pairs[i], i & 2 ? UNIX : TCP4, 0);
		submit_one(self->device, pairs[i].tx, i % 2 ? &bad : &good, i);
	}
	ASSERT_EQ(8, reap(self->device, done, 8));
	for (i = 0; i < 8; i++) {
		bool failed = done[i].user_data % 2;

		EXPECT_EQ(failed ? -EIO : 0, done[i].error);
		EXPECT_EQ(failed ? ZCOPY_C_FILE_ERROR : 0, done[i].flags);
		EXPECT_EQ(failed ? 0 : 20 * KIB, done[i].bytes);
	}
	for (i = 0; i < 8; i++)
		pair_close(&pairs[i]);
}

/* Three transfers that do not fit: the first one is told, the others do not go. */
static void fail_socket(struct __test_metadata *_metadata,
			FIXTURE_DATA(failure) *self, enum transport transport,
			void (*end)(struct pair *pair), int first)
{
	const struct part part = of_file(&self->hot, 0, 0);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct zcopy_completion done;
	struct zcopy_stats stats;
	struct pair pair;
	size_t i;

	pair_open(&pair, transport, SMALL);
	for (i = 0; i < 3; i++)
		submit_one(self->device, pair.tx, &part, i);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 1000));
	EXPECT_STREQ("", cursor_verdict(&cursor, 1000));
	end(&pair);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(i, done.user_data);
		EXPECT_EQ(i ? -ECANCELED : first, done.error);
		EXPECT_EQ(i ? ZCOPY_C_CANCELLED : ZCOPY_C_TARGET_ERROR, done.flags);
		if (i) {
			EXPECT_EQ(0, done.bytes);
		} else {
			EXPECT_LE(1000, done.bytes);
			EXPECT_GT(SIZE, done.bytes);
		}
	}
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(1, stats.socket_errors);
	EXPECT_EQ(0, stats.file_errors);
	pair_close(&pair);
}

static void reset(struct pair *pair)
{
	const struct linger linger = { .l_onoff = 1 };

	if (setsockopt(pair->rx, SOL_SOCKET, SO_LINGER, &linger,
		       sizeof(linger)))
		die("SO_LINGER");
	close(pair->rx);
	pair->rx = -1;
}

static void shut_here(struct pair *pair)
{
	shutdown(pair->tx, SHUT_WR);
}

static void shut_there(struct pair *pair)
{
	shutdown(pair->rx, SHUT_RD);
}

TEST_F(failure, reset_by_peer)
{
	fail_socket(_metadata, self, TCP4, reset, -ECONNRESET);
}

TEST_F(failure, shut_down_here)
{
	fail_socket(_metadata, self, TCP4, shut_here, -EPIPE);
}

TEST_F(failure, unix_peer_closes)
{
	fail_socket(_metadata, self, UNIX, reset, -EPIPE);
}

TEST_F(failure, unix_shut_down_here)
{
	fail_socket(_metadata, self, UNIX, shut_here, -EPIPE);
}

TEST_F(failure, unix_shut_down_there)
{
	fail_socket(_metadata, self, UNIX, shut_there, -EPIPE);
}

TEST_F(failure, shorter_than_asked)
{
	const struct part parts[] = {
		of_memory(0, HEADER),
		of_file(&self->hot, SIZE - 50, 100),
		of_memory(HEADER, HEADER),
	};
	struct cursor cursor = { .parts = parts, .nr = 3 };
	struct zcopy_transfer transfer;

	transfer = transfer_of(self->pair.tx, parts, 3, 6);
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 6, 2 * HEADER + 50, 0,
				   ZCOPY_C_TRUNCATED));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 2 * HEADER + 50));
	EXPECT_STREQ("", cursor_verdict(&cursor, 2 * HEADER + 50));
}

/* The size counts when its turn has come, not when it was submitted. */
TEST_F(failure, size_changes_in_the_queue)
{
	struct part parts[] = {
		of_file(&self->hot, 0, 0),
		of_file(&self->file, 0, SIZE),	/* shrinks */
		of_file(&self->file, 0, 0),	/* too: to its end */
	};
	const uint64_t left = 5 * PAGE + 17;
	struct reader reader;
	struct pair pair;
	size_t i;

	pair_open(&pair, TCP4, SMALL);
	for (i = 0; i < 3; i++)
		submit_one(self->device, pair.tx, &parts[i], i);
	ASSERT_EQ(0, ftruncate(self->file.rw, left));
	parts[1].want.len = left;
	parts[2].want.len = left;
	reader_start(&reader, pair.rx, parts, 3);
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, left, 0,
				   ZCOPY_C_TRUNCATED));
	EXPECT_STREQ("", completes(self->device, 2, left, 0, 0));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE + 2 * left));
	pair_close(&pair);
}

TEST_F(failure, file_grows_in_the_queue)
{
	struct part parts[] = {
		of_file(&self->hot, 0, 0),
		of_file(&self->file, SIZE - 10, 0),
	};
	struct reader reader;
	struct pair pair;

	pair_open(&pair, TCP4, SMALL);
	submit_one(self->device, pair.tx, &parts[0], 0);
	submit_one(self->device, pair.tx, &parts[1], 1);
	file_write(&self->file, SIZE, 3000, SEED);
	parts[1].want.len += 3000;
	reader_start(&reader, pair.rx, parts, 2);
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, 3010, 0, 0));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE + 3010));
	pair_close(&pair);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
