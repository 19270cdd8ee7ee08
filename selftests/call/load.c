// SPDX-License-Identifier: GPL-2.0-only
/* ZCOPY_LOAD: bytes are brought into memory, and the answer is true. */
#define _GNU_SOURCE
#include <fcntl.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	491U
#define SIZE	(3 * MIB + 17)
#define PAGES	((SIZE + PAGE - 1) / PAGE)

FIXTURE(load)
{
	struct watch watch;
	struct file file;
	struct file hot;
	int device;
};

FIXTURE_VARIANT(load)
{
	enum door door;
};

FIXTURE_VARIANT_ADD(load, send)
{
	.door = SEND,
};

FIXTURE_VARIANT_ADD(load, submit)
{
	.door = SUBMIT,
};

FIXTURE_VARIANT_ADD(load, uring)
{
	.door = URING,
};

FIXTURE_SETUP(load)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	file_make(&self->hot, XFS, SIZE, SEED + 1);
	file_chill(&self->file);
}

FIXTURE_TEARDOWN(load)
{
	disk_mend();
	disk_resume();
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	file_close(&self->hot);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* One range of a file; what became of it, or -errno. */
static int load(FIXTURE_DATA(load) *self, enum door door,
		const struct zcopy_segment *segment, uint32_t flags,
		struct zcopy_completion *completion)
{
	const struct zcopy_transfer transfer = {
		.segments = (uintptr_t)segment,
		.nr_segments = 1,
		.target = ZCOPY_LOAD,
		.flags = flags,
	};

	return fly(door, self->device, &transfer, completion);
}

TEST_F(load, whole)
{
	const struct zcopy_segment all = of_file(&self->file, 0, 0).segment;
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	ASSERT_EQ(0, load(self, variant->door, &all, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(-EBUSY, completion.error);
	ASSERT_EQ(0, load(self, variant->door, &all, 0, &completion));
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags);
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_EQ(PAGES, file_resident(&self->file, 0, SIZE));
	/* It is true of what is there already, and asks no disk. */
	disk_suspend();
	ASSERT_EQ(0, load(self, variant->door, &all, ZCOPY_NODISKIO, &completion));
	disk_resume();
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(SIZE, completion.bytes);
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(0, stats.bytes_copied);
	EXPECT_EQ(0, stats.folios_held);
}

TEST_F(load, part)
{
	const struct zcopy_segment part = of_file(&self->file, MIB + 5, 10).segment;
	struct zcopy_completion completion;

	ASSERT_EQ(0, load(self, variant->door, &part, ZCOPY_USER_READAHEAD,
			  &completion));
	EXPECT_EQ(10, completion.bytes);
	EXPECT_EQ(1, file_resident(&self->file, MIB, PAGE));
	EXPECT_EQ(1, file_resident(&self->file, 0, SIZE));
}

TEST_F(load, disk_failed)
{
	const struct zcopy_segment all = of_file(&self->file, 0, 0).segment;
	struct zcopy_completion completion;

	disk_break(&self->file, MIB);
	ASSERT_EQ(0, load(self, variant->door, &all, 0, &completion));
	EXPECT_EQ(MIB, completion.bytes);
	EXPECT_EQ(-EIO, completion.error);
	EXPECT_EQ(ZCOPY_C_FILE_ERROR, completion.flags);
	disk_mend();
}

TEST_F(load, shorter_than_asked)
{
	const struct zcopy_segment more = of_file(&self->file, 0, SIZE + 1).segment;
	struct zcopy_completion completion;

	ASSERT_EQ(0, load(self, variant->door, &more, 0, &completion));
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, completion.flags);
	ASSERT_EQ(0, load(self, variant->door, &more, ZCOPY_EXACT, &completion));
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_EQ(-ENODATA, completion.error);
}

/* What cannot be kept in memory is not said to be there. */
TEST_F(load, refused)
{
	struct zcopy_segment segment = of_file(&self->file, 0, 0).segment;
	struct zcopy_transfer transfer = {
		.segments = (uintptr_t)&segment,
		.nr_segments = 1,
		.target = ZCOPY_LOAD,
		.offset = 1,
	};
	struct zcopy_completion completion;
	int fd;

	EXPECT_EQ(-EINVAL, fly(variant->door, self->device, &transfer, &completion));
	transfer.offset = 0;
	transfer.flags = ZCOPY_NOCACHE;
	EXPECT_EQ(-EINVAL, fly(variant->door, self->device, &transfer, &completion));
	fd = open_again(self->file.fd, O_RDONLY | O_DIRECT);
	ASSERT_LE(0, fd);
	segment.fd = fd;
	EXPECT_EQ(-EOPNOTSUPP, load(self, variant->door, &segment, 0, &completion));
	close(fd);
	fd = open("/proc/version", O_RDONLY);
	segment.fd = fd;
	EXPECT_EQ(-EOPNOTSUPP, load(self, variant->door, &segment, 0, &completion));
	close(fd);
}

/* A release that is waited for comes at once: nobody else has the pages. */
TEST_F(load, released)
{
	const struct zcopy_segment all = of_file(&self->hot, 0, 0).segment;
	struct zcopy_completion completion;

	ASSERT_EQ(0, load(self, variant->door, &all, ZCOPY_SYNC, &completion));
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_EQ(ZCOPY_C_RELEASED, completion.flags);
}

/* None waits for another, and each can be cancelled. */
TEST_F(load, many)
{
	const struct zcopy_segment cold = of_file(&self->file, 0, 0).segment;
	const struct zcopy_segment hot = of_file(&self->hot, 0, 0).segment;
	struct zcopy_transfer transfers[20];
	struct zcopy_completion done;
	int i;

	if (variant->door != SUBMIT)
		return;
	for (i = 0; i < 20; i++)
		transfers[i] = (struct zcopy_transfer){
			.user_data = i,
			.segments = (uintptr_t)(i % 2 ? &hot : &cold),
			.nr_segments = 1,
			.target = ZCOPY_LOAD,
		};
	disk_suspend();
	submit_all(self->device, ALL_OF(transfers));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(1, done.user_data % 2);
		EXPECT_EQ(SIZE, done.bytes);
	}
	EXPECT_EQ(1, cancel_user_data(self->device, 8));
	EXPECT_STREQ("", completes(self->device, 8, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(9, cancel_all(self->device));
	for (i = 0; i < 9; i++) {
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(-ECANCELED, done.error);
	}
	disk_resume();
	/* One that was cancelled is no reason for the next one not to go. */
	submit_all(self->device, transfers, 2);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(SIZE, done.bytes);
	}
}

/* Through a server, which has to be asked. */
TEST_F(load, fuse)
{
	struct zcopy_segment segment = { .addr = 0, .len = 100 * PAGE };
	struct zcopy_completion completion;
	struct hung hung;

	hung_make(&hung);
	hung_answer(&hung, true);
	segment.fd = hung.fd;
	ASSERT_EQ(0, load(self, variant->door, &segment, 0, &completion));
	EXPECT_EQ(100 * PAGE, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_LT(0, __atomic_load_n(&hung.asked, __ATOMIC_ACQUIRE));
	hung_end(&hung);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
