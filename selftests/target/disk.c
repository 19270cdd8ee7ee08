// SPDX-License-Identifier: GPL-2.0-only
/*
 * A regular file as target, and the disks below it and below what it gets: who
 * waits for them, and what comes of one that is broken.
 */
#include <pthread.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/target.h"

struct submission {
	pthread_t thread;
	int device;
	int target;
	const struct part *part;
	bool done;		/* atomic */
};

static void *submit_to_file(void *argument)
{
	struct submission *submission = argument;
	struct zcopy_transfer transfer =
		transfer_of(submission->target, submission->part, 1, 7);

	transfer.offset = 1;
	submit_all(submission->device, &transfer, 1);
	__atomic_store_n(&submission->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Who submits does not wait for the target's disk. */
TEST(written_later)
{
	int device = device_open();
	const struct part part = of_memory(0, 100);
	struct submission submission = { .device = device, .part = &part };
	struct zcopy_completion completion;
	uint64_t since = 0;
	struct file to;

	file_make(&to, EXT4, PAGE, OTHER);
	submission.target = to.rw;
	/* A part of a page is written: what is around it must be read. */
	file_chill(&to);
	disk_suspend();
	ASSERT_EQ(0, pthread_create(&submission.thread, NULL, submit_to_file,
				    &submission));
	while (!__atomic_load_n(&submission.done, __ATOMIC_ACQUIRE) &&
	       patience(&since))
		;
	EXPECT_TRUE(__atomic_load_n(&submission.done, __ATOMIC_ACQUIRE));
	EXPECT_EQ(0, reap_now(device, &completion, 1));
	disk_resume();
	pthread_join(submission.thread, NULL);
	EXPECT_STREQ("", completes(device, 7, 100, 0, ZCOPY_C_COPIED));
	EXPECT_STREQ("", holds_parts(&to, 1, &part, 1));
	EXPECT_STREQ("", file_holds(&to, 101,
				    (struct stretch){ OTHER, 101,
						      PAGE - 101 }));
	close(device);
	file_close(&to);
}

/* A transfer that waits for the disk of its source is cancelled. */
TEST(cancelled)
{
	int device = device_open();
	struct file warm, cold, to;
	struct part parts[2];
	struct zcopy_transfer transfer;

	file_make(&warm, XFS, 2 * PAGE, SEED);
	file_make(&cold, EXT4, MIB, SEED);
	file_make(&to, XFS, MIB, OTHER);
	parts[0] = of_file(&warm, 0, 0);
	parts[1] = of_file(&cold, 0, 0);
	file_chill(&cold);
	disk_suspend();
	transfer = transfer_of(to.rw, parts, 2, 5);
	transfer.offset = 10;
	submit_all(device, &transfer, 1);
	submit_one(device, to.rw, parts, 6);
	EXPECT_TRUE(disk_await_readers(1));
	EXPECT_EQ(1, cancel_user_data(device, 6));
	EXPECT_STREQ("", completes(device, 6, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(1, cancel_socket(device, to.rw));
	disk_resume();
	EXPECT_STREQ("", completes(device, 5, 2 * PAGE, -ECANCELED,
				   ZCOPY_C_CANCELLED | ZCOPY_C_COPIED));
	EXPECT_STREQ("", holds_parts(&to, 10, parts, 1));
	EXPECT_STREQ("", file_holds(&to, 10 + 2 * PAGE,
				    (struct stretch){ OTHER, 10 + 2 * PAGE,
						      PAGE }));
	close(device);
	file_close(&warm);
	file_close(&cold);
	file_close(&to);
}

/* The source cannot be read: it is not the target's fault. */
TEST(source_error)
{
	struct zcopy_completion completion;
	int device = device_open();
	struct file from, to;
	struct part part;

	file_make(&from, EXT4, MIB, SEED);
	file_make(&to, XFS, PAGE, OTHER);
	part = of_file(&from, 0, 0);
	file_chill(&from);
	disk_break(&from, 40 * PAGE);
	EXPECT_EQ(0, copy_parts(device, to.rw, 0, &part, 1, 0, &completion));
	EXPECT_EQ(-EIO, completion.error);
	EXPECT_EQ(40 * PAGE, completion.bytes);
	EXPECT_EQ(ZCOPY_C_FILE_ERROR | ZCOPY_C_COPIED, completion.flags);
	disk_mend();
	EXPECT_STREQ("", file_holds(&to, 0,
				    (struct stretch){ SEED, 0, 40 * PAGE }));
	EXPECT_EQ(40 * PAGE, size_of(&to));
	close(device);
	file_close(&from);
	file_close(&to);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
