// SPDX-License-Identifier: GPL-2.0-only
/* The page cache: what is read, what is not, and how far ahead. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/overlay.h"
#include "lib/watch.h"

#define SEED	81U
#define SIZE	(4 * MIB)
#define HEADER	50

#ifndef SYS_cachestat
#define SYS_cachestat	451	/* newer than the headers of some C libraries */
#endif

FIXTURE(cache)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(cache)
{
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(cache, ext4)
{
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(cache, xfs)
{
	.filesystem = XFS,
};

FIXTURE_VARIANT_ADD(cache, overlay)
{
	.filesystem = OVERLAY_LOWER,
};

FIXTURE_SETUP(cache)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
}

FIXTURE_TEARDOWN(cache)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Bring exactly the first pages in, without any readahead. */
static void warm(struct __test_metadata *_metadata,
		 const struct file *file, size_t pages)
{
	static char bytes[PAGE];
	size_t i;

	file_chill(file);
	ASSERT_EQ(0, posix_fadvise(file->rw, 0, 0, POSIX_FADV_RANDOM));
	for (i = 0; i < pages; i++)
		ASSERT_EQ(PAGE, pread(file->rw, bytes, PAGE, i * PAGE));
	ASSERT_EQ(pages, file_resident(file, 0, SIZE));
}

/* What the receiver of a transfer that ended early must have got. */
static const char *prefix(FIXTURE_DATA(cache) *self, const struct part *parts,
			  size_t nr, uint32_t flags,
			  struct zcopy_completion *completion)
{
	return deliver(self->device, TCP4, parts, nr, flags, completion);
}

TEST_F(cache, no_disk_io)
{
	const size_t cached[] = { 0, 1, 2, 16, 300 };
	const struct part parts[] = {
		of_memory(0, HEADER),
		of_file(&self->file, 0, 0),
		of_memory(HEADER, HEADER),
	};
	struct zcopy_completion completion;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cached); i++) {
		warm(_metadata, &self->file, cached[i]);
		EXPECT_STREQ("", prefix(self, parts, 3, ZCOPY_NODISKIO,
					&completion));
		EXPECT_EQ(HEADER + cached[i] * PAGE, completion.bytes);
		EXPECT_EQ(-EBUSY, completion.error);
		EXPECT_EQ(0, completion.flags);
		EXPECT_EQ(cached[i], file_resident(&self->file, 0, SIZE));
	}
}

/* Pages in the page cache, those not read yet included. */
static uint64_t pages_cached(const struct file *file)
{
	const struct {
		uint64_t offset;
		uint64_t len;
	} range = { 0, SIZE };
	uint64_t counts[5];		/* struct cachestat */

	/* Overlayfs does not hand it on. */
	if (syscall(SYS_cachestat, file->rw, &range, counts, 0))
		die("cachestat");
	return counts[0];
}

/* The kernel's mark on a page that readahead goes on from there is left. */
TEST_F(cache, no_disk_io_marked)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	static char bytes[32 * KIB];
	size_t cached;

	file_chill(&self->file);
	ASSERT_EQ(0, posix_fadvise(self->file.rw, 0, 0, POSIX_FADV_NORMAL));
	ASSERT_EQ(sizeof(bytes), pread(self->file.rw, bytes, sizeof(bytes), 0));
	/* Until all that was read ahead is there. */
	do {
		cached = file_resident(&self->file, 0, SIZE);
	} while (cached != pages_cached(&self->file));
	ASSERT_LT(sizeof(bytes) / PAGE, cached);
	ASSERT_EQ(cached, file_resident(&self->file, 0, cached * PAGE));
	EXPECT_STREQ("", prefix(self, &part, 1, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(cached * PAGE, completion.bytes);
	EXPECT_EQ(-EBUSY, completion.error);
	EXPECT_EQ(cached, file_resident(&self->file, 0, SIZE));
}

TEST_F(cache, no_disk_io_unaligned)
{
	const struct part part = of_file(&self->file, PAGE + 7, 5 * PAGE);
	struct zcopy_completion completion;

	warm(_metadata, &self->file, 4);
	EXPECT_STREQ("", prefix(self, &part, 1, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(3 * PAGE - 7, completion.bytes);
	EXPECT_EQ(-EBUSY, completion.error);

	/* What is cached suffices. */
	warm(_metadata, &self->file, 7);
	EXPECT_STREQ("", prefix(self, &part, 1, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(5 * PAGE, completion.bytes);
	EXPECT_EQ(0, completion.error);
}

TEST_F(cache, no_disk_io_hot)
{
	const struct part parts[] = {
		of_memory(0, HEADER),
		of_file(&self->file, 0, 0),
		of_memory(HEADER, HEADER),
	};
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", prefix(self, parts, 3, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(SIZE + 2 * HEADER, completion.bytes);
	EXPECT_EQ(0, completion.error);
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(0, stats.disk_waits);
}

/* The end of the file is known without reading it. */
TEST_F(cache, no_disk_io_beyond_end)
{
	const struct part parts[] = {
		of_file(&self->file, SIZE, 0),
		of_file(&self->file, SIZE + 1, 10),
		of_memory(0, HEADER),
	};
	struct zcopy_completion completion;

	file_chill(&self->file);
	EXPECT_STREQ("", prefix(self, parts, 3, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(HEADER, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, completion.flags);
}

/* Pages that come in when a cold file gives len bytes from its start. */
static size_t brought_in(struct __test_metadata *_metadata,
			 FIXTURE_DATA(cache) *self, uint64_t len,
			 uint32_t flags, uint32_t readahead)
{
	const struct part part = of_file(&self->file, 0, len);
	struct zcopy_segment segment = part.segment;
	struct zcopy_send send = {
		.transfer = {
			.segments = (uintptr_t)&segment,
			.nr_segments = 1,
			.flags = flags,
			.readahead = readahead,
		},
	};
	struct reader reader;
	struct pair pair;
	uint64_t since = 0;
	size_t resident;

	file_chill(&self->file);
	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, &part, 1);
	send.transfer.socket = pair.tx;
	EXPECT_EQ(0, ioctl(self->device, ZCOPY_IOC_SEND, &send));
	EXPECT_EQ(len, send.completion.bytes);
	EXPECT_EQ(0, send.completion.error);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, len));
	pair_close(&pair);
	/* What was asked for behind it may still be on its way from the disk. */
	do {
		resident = file_resident(&self->file, 0, SIZE);
	} while (resident != pages_cached(&self->file) && patience(&since));
	return resident;
}

TEST_F(cache, exact_readahead)
{
	const struct {
		uint64_t len;
		uint32_t readahead;
		size_t pages;
	} rows[] = {
		{ 1, 0, 1 },
		{ PAGE, 0, 1 },
		{ PAGE + 1, 0, 2 },
		{ 100 * PAGE, 0, 100 },
		{ 1, 1, 2 },
		{ PAGE, 16, 17 },
		{ 3 * PAGE, 200, 203 },
		{ PAGE, SIZE / PAGE, SIZE / PAGE },
		{ PAGE, ZCOPY_MAX_READAHEAD, SIZE / PAGE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(rows[i].pages,
			  brought_in(_metadata, self, rows[i].len,
				     ZCOPY_USER_READAHEAD,
				     rows[i].readahead)) {
			TH_LOG("row %zu", i);
		}
	}
}

/* The larger of the two: never less than the number, or than the kernel's. */
TEST_F(cache, least_readahead)
{
	const uint64_t len = 64 * KIB;
	size_t by_kernel = brought_in(_metadata, self, len, 0, 0);

	EXPECT_LE(len / PAGE, by_kernel);
	EXPECT_LE(by_kernel, brought_in(_metadata, self, len, 0, 1));
	/* More than the kernel would read ahead of its own accord. */
	EXPECT_LT(by_kernel, brought_in(_metadata, self, len, 0, 512));
}

TEST_F(cache, disk_waits_are_counted)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	file_chill(&self->file);
	EXPECT_STREQ("", prefix(self, &part, 1, 0, &completion));
	EXPECT_EQ(SIZE, completion.bytes);
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_LT(0, stats.disk_waits);
	/* The page cache keeps it, for the next one. */
	EXPECT_EQ(SIZE / PAGE, file_resident(&self->file, 0, SIZE));
}

int main(int argc, char **argv)
{
	overlay_make();
	return test_harness_run(argc, argv);
}
