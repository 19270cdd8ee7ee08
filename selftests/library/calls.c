// SPDX-License-Identifier: GPL-2.0-only
/* libzcopy: the thin calls. */
#include <fcntl.h>
#include <sys/socket.h>
#include <zcopy/zcopy.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SIZE	(MIB + 9)

FIXTURE(library)
{
	struct watch watch;
	struct file file;
	struct pair pair;
};

FIXTURE_SETUP(library)
{
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, 141);
	pair_open(&self->pair, TCP4, 0);
}

FIXTURE_TEARDOWN(library)
{
	EXPECT_EQ(0, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(library, open_and_close)
{
	struct zcopy *zcopy = NULL, *other = NULL;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	ASSERT_EQ(0, zcopy_open(&other));
	EXPECT_NE(zcopy, other);
	EXPECT_NE(zcopy_fd(zcopy), zcopy_fd(other));
	EXPECT_EQ(FD_CLOEXEC, fcntl(zcopy_fd(zcopy), F_GETFD));
	zcopy_close(zcopy);
	zcopy_close(other);
	zcopy_close(NULL);
}

TEST_F(library, info)
{
	struct zcopy_info library, module;
	int device = device_open();
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	memset(&library, 0xa5, sizeof(library));
	EXPECT_EQ(0, zcopy_info(zcopy, &library));
	device_info(device, &module);
	EXPECT_EQ(0, memcmp(&library, &module, sizeof(module)));
	zcopy_close(zcopy);
	close(device);
}

TEST_F(library, send_and_stats)
{
	const struct part parts[] = {
		of_memory(0, 300),
		of_file(&self->file, 5, 1000),
		of_file(&self->file, 4096, 0),
	};
	const uint64_t total = parts_total(parts, 3);
	struct zcopy_completion completion;
	struct zcopy_segment segments[3];
	struct zcopy_transfer transfer;
	struct zcopy_stats stats;
	struct reader reader;
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	zcopy_segment_memory(&segments[0], memory(0, 300), 300);
	zcopy_segment_file(&segments[1], self->file.fd, 5, 1000);
	zcopy_segment_file(&segments[2], self->file.fd, 4096, 0);
	zcopy_transfer_init(&transfer, self->pair.tx, segments, 3);
	transfer.user_data = 99;
	reader_start(&reader, self->pair.rx, parts, 3);
	EXPECT_EQ(0, zcopy_send(zcopy, &transfer, &completion));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, total));
	EXPECT_EQ(99, completion.user_data);
	EXPECT_EQ(total, completion.bytes);
	EXPECT_EQ(0, completion.error);

	EXPECT_EQ(0, zcopy_stats(zcopy, ZCOPY_STATS_CONTEXT, &stats));
	EXPECT_EQ(1, stats.transfers);
	EXPECT_EQ(total, stats.bytes);
	EXPECT_EQ(300, stats.bytes_memory);
	EXPECT_EQ(0, zcopy_stats(zcopy, ZCOPY_STATS_MODULE, &stats));
	EXPECT_LE(1, stats.transfers);
	zcopy_close(zcopy);
}

/* The errno comes back as it is, negative, and errno is left alone. */
TEST_F(library, errors)
{
	struct zcopy_completion completion, untouched;
	struct zcopy_segment segment = of_memory(0, 10).segment;
	struct zcopy_transfer transfer;
	struct zcopy_stats stats;
	struct zcopy_info info;
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	memset(&completion, 0xa5, sizeof(completion));
	untouched = completion;
	zcopy_transfer_init(&transfer, -1, &segment, 1);
	EXPECT_EQ(-EBADF, zcopy_send(zcopy, &transfer, &completion));
	transfer.target = zcopy_fd(zcopy);
	EXPECT_EQ(-ENOTSOCK, zcopy_send(zcopy, &transfer, &completion));
	transfer.target = self->file.fd;
	EXPECT_EQ(-EBADF, zcopy_send(zcopy, &transfer, &completion));
	transfer.flags = ZCOPY_SYNC | ZCOPY_NOTIFY;
	EXPECT_EQ(-EINVAL, zcopy_send(zcopy, &transfer, &completion));
	transfer.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, zcopy_send(zcopy, &transfer, &completion));
	EXPECT_EQ(0, memcmp(&completion, &untouched, sizeof(untouched)));
	EXPECT_EQ(-EINVAL, zcopy_stats(zcopy, 2, &stats));
	close(zcopy_fd(zcopy));
	EXPECT_EQ(-EBADF, zcopy_info(zcopy, &info));
	EXPECT_EQ(-EBADF, zcopy_stats(zcopy, 0, &stats));
	zcopy_close(zcopy);
}

TEST_HARNESS_MAIN
