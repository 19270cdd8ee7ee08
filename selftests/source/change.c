// SPDX-License-Identifier: GPL-2.0-only
/* Files that are changed while they are sent, and files with holes. */
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/place.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED		(COARSE | 11)
#define BUFFER		(64 * (int)KIB)
#define USER_DATA	4321
#define SIZE		(MIB + 5)	/* of the file of each place */

FIXTURE(source_change)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct sender sender;
	struct part part;
	struct zcopy_completion completion;
	int device;
};

FIXTURE_VARIANT(source_change)
{
	enum place_id id;
	bool queue;
};

#define ROW(name, ...) \
	FIXTURE_VARIANT_ADD(source_change, name) { __VA_ARGS__ }
ROW(ext4, PLACE_EXT4);
ROW(ext4_queue, PLACE_EXT4, true);
ROW(xfs, PLACE_XFS);
ROW(xfs_queue, PLACE_XFS, true);
ROW(tmpfs, PLACE_TMPFS);
ROW(tmpfs_queue, PLACE_TMPFS, true);
ROW(btrfs, PLACE_BTRFS_COMPRESSED);
ROW(btrfs_queue, PLACE_BTRFS_COMPRESSED, true);
ROW(overlay, PLACE_OVERLAY_LOWER);
ROW(overlay_queue, PLACE_OVERLAY_LOWER, true);
ROW(nfs, PLACE_NFS);
ROW(nfs_queue, PLACE_NFS, true);
ROW(fuse, PLACE_FUSE);
ROW(fuse_queue, PLACE_FUSE, true);
ROW(9p, PLACE_9P);
ROW(9p_queue, PLACE_9P, true);

FIXTURE_SETUP(source_change)
{
	if (*place_missing(variant->id))
		SKIP(return, "%s", place_missing(variant->id));
	watch_begin(&self->watch);
	self->device = device_open();
	self->file = place_create(variant->id);
	pair_open(&self->pair, TCP4, BUFFER);
}

FIXTURE_TEARDOWN(source_change)
{
	pair_close(&self->pair);
	place_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Begin to send the file to who does not read. */
static void stall(struct __test_metadata *_metadata,
		  FIXTURE_DATA(source_change) *self, bool queue, uint64_t len)
{
	self->part = of_file(&self->file, 0, len);
	if (queue) {
		submit_one(self->device, self->pair.tx, &self->part, USER_DATA);
		return;
	}
	self->sender = (struct sender){
		.device = self->device, .socket = self->pair.tx,
		.parts = &self->part, .nr = 1,
	};
	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
}

/* Read to the end; "" when these wants are what arrived. */
static const char *drain(FIXTURE_DATA(source_change) *self, bool queue,
			 const struct part *wants, size_t nr)
{
	struct reader reader;

	reader_start(&reader, self->pair.rx, wants, nr);
	if (queue) {
		if (reap(self->device, &self->completion, 1) != 1)
			die("no completion");
	} else {
		sender_finish(&self->sender);
		if (self->sender.result)
			die("refused");
		self->completion = self->sender.completion;
	}
	shutdown(self->pair.tx, SHUT_WR);
	return reader_finish(&reader, self->completion.bytes);
}

/* What is appended meanwhile goes too. */
TEST_F(source_change, grows)
{
	const bool lower = variant->id == PLACE_OVERLAY_LOWER;
	const uint64_t after = 2 * MIB + 77;
	struct part want = { .want = { SEED, 0, after } };

	if (lower) {
		place_close(&self->file);
		self->file = place_open(variant->id);
	} else {
		file_write(&self->file, 0, SIZE, SEED);
		self->file.size = SIZE;
	}
	stall(_metadata, self, variant->queue, 0);
	/* This copies the file to the upper layer. */
	if (lower)
		self->file.rw = open(place_path(variant->id),
				     O_RDWR | O_CLOEXEC);
	file_write(&self->file, SIZE, after - SIZE, SEED);
	EXPECT_STREQ("", drain(self, variant->queue, &want, 1));
	EXPECT_EQ(after, self->completion.bytes);
	EXPECT_EQ(0, self->completion.error);
	EXPECT_EQ(0, self->completion.flags);
}

/* A file that is cut off ends the transfer early, and that is no error. */
TEST_F(source_change, shrinks)
{
	const uint64_t before = 6 * MIB, after = 192 * KIB;
	const struct part wants[] = {
		{ .want = { SEED, 0, after } },
		/* What is on its way may be kept or cleared. */
		{ .want = { UNCHECKED, 0, before - after } },
	};

	file_write(&self->file, 0, before, SEED);
	self->file.size = before;
	stall(_metadata, self, variant->queue, before);
	ASSERT_EQ(0, ftruncate(self->file.rw, after));
	EXPECT_STREQ("", drain(self, variant->queue, wants, 2));
	EXPECT_LE(after, self->completion.bytes);
	EXPECT_GT(before, self->completion.bytes);
	EXPECT_EQ(0, self->completion.error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, self->completion.flags);
}

/* Holes are zeros, and offsets have more than 32 bits. */
TEST_F(source_change, sparse)
{
	const uint64_t data = 5 * GIB - 50001, len = 100003, hole = 70007;
	const int fd = self->file.fd;
	const struct part parts[] = {
		{ { .addr = data - hole, .len = hole, .fd = fd },
		  { ZEROS, 0, hole } },
		{ { .addr = data, .len = len, .fd = fd }, { SEED, data, len } },
		of_memory(0, 10),
		{ { .addr = 1, .len = 3, .fd = fd }, { ZEROS, 0, 3 } },
		{ { .addr = data + len, .len = 0, .fd = fd },
		  { ZEROS, 0, hole } },
	};
	const uint64_t total = parts_total(parts, ARRAY_SIZE(parts));
	struct zcopy_transfer transfer;
	struct reader reader;

	ASSERT_EQ(0, ftruncate(self->file.rw, data + len + hole));
	file_write(&self->file, data, len, SEED);
	if (!variant->queue) {
		EXPECT_STREQ("", deliver(self->device, TCP4, parts,
					 ARRAY_SIZE(parts), 0,
					 &self->completion));
		EXPECT_EQ(total, self->completion.bytes);
		EXPECT_EQ(0, self->completion.flags);
		return;
	}
	transfer = transfer_of(self->pair.tx, parts, ARRAY_SIZE(parts),
			       USER_DATA);
	reader_start(&reader, self->pair.rx, parts, ARRAY_SIZE(parts));
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, USER_DATA, total, 0, 0));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, total));
}

/* What was only reserved is zeros, and what was written there since is not. */
TEST_F(source_change, reserved)
{
	const uint64_t start = 2 * MIB, len = 6 * PAGE;
	const int fd = self->file.fd;
	const struct part parts[] = {
		{ { .addr = start, .len = 2 * PAGE, .fd = fd }, { ZEROS, 0, 2 * PAGE } },
		{ { .addr = start + 2 * PAGE, .len = PAGE, .fd = fd },
		  { SEED, start + 2 * PAGE, PAGE } },
		{ { .addr = start + 3 * PAGE, .len = 3 * PAGE, .fd = fd },
		  { ZEROS, 0, 3 * PAGE } },
	};

	/* Where the filesystem cannot, the library writes. */
	ASSERT_EQ(0, posix_fallocate(self->file.rw, start, len));
	file_write(&self->file, start + 2 * PAGE, PAGE, SEED);
	EXPECT_STREQ("", carry(variant->queue ? SUBMIT : SEND, self->device, TCP4, parts,
			       ARRAY_SIZE(parts), 0, &self->completion));
	EXPECT_EQ(len, self->completion.bytes);
	EXPECT_EQ(0, self->completion.error);
}

int main(int argc, char **argv)
{
	static const enum place_id used[] = {
		PLACE_NFS, PLACE_EXT4, PLACE_XFS, PLACE_TMPFS,
		PLACE_BTRFS_COMPRESSED, PLACE_OVERLAY_LOWER, PLACE_FUSE,
		PLACE_9P,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(used); i++)
		place_make(used[i], SIZE, SEED);
	return test_harness_run(argc, argv);
}
