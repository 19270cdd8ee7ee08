// SPDX-License-Identifier: GPL-2.0-only
/*
 * O_APPEND, set on a target when a transfer to it is under way: the bytes go where
 * they belong, or the transfer says that they do not.
 */
#include <fcntl.h>

#include "kselftest_harness.h"

#include "lib/disk.h"
#include "lib/call.h"
#include "lib/target.h"
#include "lib/watch.h"

#define SIZE	(2 * MIB)
#define HALF	(SIZE / 2)
#define OFFSET	PAGE
#define ROUNDS	5

FIXTURE(append)
{
	struct watch watch;
	struct file from;
	struct file to;
	int device;
};

FIXTURE_VARIANT(append)
{
	enum filesystem from;
	enum filesystem to;
};

#define WAY(name, a, b) \
	FIXTURE_VARIANT_ADD(append, name) { .from = a, .to = b }

WAY(ext4_xfs, EXT4, XFS);
WAY(ext4_tmpfs, EXT4, TMPFS);
WAY(ext4_ext4, EXT4, EXT4);
/* Blocks are shared. */
WAY(xfs_xfs, XFS, XFS);

FIXTURE_SETUP(append)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->from, variant->from, SIZE, SEED);
	file_make(&self->to, variant->to, SIZE, OTHER);
}

FIXTURE_TEARDOWN(append)
{
	EXPECT_STREQ("", file_intact(&self->from));
	close(self->device);
	file_close(&self->from);
	file_close(&self->to);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void set_append(int fd, bool append)
{
	if (fcntl(fd, F_SETFL, append ? O_APPEND : 0))
		die("set O_APPEND");
}

static void submit_copy(FIXTURE_DATA(append) *self, const struct part *part)
{
	struct zcopy_transfer transfer = transfer_of(self->to.rw, part, 1, 7);

	transfer.offset = OFFSET;
	submit_all(self->device, &transfer, 1);
}

/* What the completion says is where it should be, and nothing else is. */
static void expect_place(struct __test_metadata *_metadata,
			 FIXTURE_DATA(append) *self, uint64_t bytes)
{
	struct part part = of_file(&self->from, 0, bytes);
	const uint64_t end = OFFSET + bytes;

	EXPECT_EQ(end > SIZE ? end : SIZE, size_of(&self->to));
	EXPECT_STREQ("", file_holds(&self->to, 0,
				    (struct stretch){ OTHER, 0, OFFSET }));
	part.want.len = bytes;
	EXPECT_STREQ("", holds_parts(&self->to, OFFSET, &part, 1));
	if (end < SIZE)
		EXPECT_STREQ("", file_holds(&self->to, end,
					    (struct stretch){ OTHER, end,
							      SIZE - end }));
}

/* Each call looks again. */
TEST_F(append, between_calls)
{
	const struct part part = of_file(&self->from, 0, PAGE);
	struct zcopy_completion done;

	ASSERT_EQ(0, copy_parts(self->device, self->to.rw, OFFSET, &part, 1, 0,
				&done));
	set_append(self->to.rw, true);
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, OFFSET, &part,
				      1, 0, &done));
	set_append(self->to.rw, false);
	ASSERT_EQ(0, copy_parts(self->device, self->to.rw, OFFSET, &part, 1, 0,
				&done));
	expect_place(_metadata, self, PAGE);
}

/* Half of it is written; the other half waits for the disk. */
TEST_F(append, half_way)
{
	const struct part part = of_file(&self->from, 0, HALF + PAGE);
	struct zcopy_completion done;
	static char bytes[HALF];

	if (variant->from != EXT4)
		return;
	file_chill(&self->from);
	/* Without readahead, which may be under way yet and is not dropped then. */
	ASSERT_EQ(0, posix_fadvise(self->from.rw, 0, 0, POSIX_FADV_RANDOM));
	ASSERT_EQ(HALF, pread(self->from.rw, bytes, HALF, 0));
	ASSERT_EQ(0, file_resident(&self->from, HALF, HALF));
	disk_suspend();
	submit_copy(self, &part);
	EXPECT_TRUE(disk_await_readers(1));
	set_append(self->to.rw, true);
	disk_resume();
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-EINVAL, done.error);
	EXPECT_EQ(ZCOPY_C_TARGET_ERROR, done.flags & ~ZCOPY_C_COPIED);
	EXPECT_EQ(HALF, done.bytes);
	set_append(self->to.rw, false);
	expect_place(_metadata, self, done.bytes);
}

/* At any moment. */
TEST_F(append, meanwhile)
{
	const struct part part = of_file(&self->from, 0, 0);
	struct zcopy_completion done;
	unsigned int i;

	for (i = 0; i < how_often(ROUNDS); i++) {
		file_write(&self->to, 0, SIZE, OTHER);
		ASSERT_EQ(0, ftruncate(self->to.rw, SIZE));
		submit_copy(self, &part);
		if (i % 4)
			sched_yield();
		set_append(self->to.rw, true);
		ASSERT_EQ(1, reap(self->device, &done, 1));
		set_append(self->to.rw, false);
		EXPECT_EQ(done.bytes == SIZE ? 0 : -EINVAL, done.error);
		expect_place(_metadata, self, done.bytes);
	}
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
