// SPDX-License-Identifier: GPL-2.0-only
/* ZCOPY_EXACT: a length is given to the last byte, or the transfer fails there. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/watch.h"

#define SEED	481U
#define SIZE	(64 * KIB)	/* that is asked for */
#define HEADER	120ULL
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define SHORT	(ZCOPY_C_TRUNCATED | ZCOPY_C_FILE_ERROR)

FIXTURE(exact)
{
	struct watch watch;
	struct zcopy_completion completion;
	int device;
};

FIXTURE_VARIANT(exact)
{
	enum door door;
};

FIXTURE_VARIANT_ADD(exact, send)
{
	.door = SEND,
};

FIXTURE_VARIANT_ADD(exact, submit)
{
	.door = SUBMIT,
};

FIXTURE_VARIANT_ADD(exact, uring)
{
	.door = URING,
};

FIXTURE_SETUP(exact)
{
	watch_begin(&self->watch);
	self->device = device_open();
}

FIXTURE_TEARDOWN(exact)
{
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Of a file that has so many bytes, between a header and a trailer. */
static void ask(struct __test_metadata *_metadata, FIXTURE_DATA(exact) *self,
		enum door door, enum transport transport, const struct file *file,
		int fd, uint64_t has)
{
	struct part parts[] = {
		of_memory(0, HEADER),
		of_file(file, 0, SIZE),
		of_memory(HEADER, HEADER),
	};
	const bool enough = has >= SIZE;
	const uint64_t bytes = HEADER + (enough ? SIZE + HEADER : has);

	parts[1].segment.fd = fd;
	parts[1].want.len = enough ? SIZE : has;
	EXPECT_STREQ("", carry(door, self->device, transport, parts, enough ? 3 : 2,
			       ZCOPY_EXACT, &self->completion));
	/* The trailer is asked for in any case. */
	if (!enough) {
		struct zcopy_segment segments[] = {
			parts[0].segment, parts[1].segment, parts[2].segment,
		};
		struct zcopy_transfer transfer = {
			.segments = (uintptr_t)segments,
			.nr_segments = 3,
			.flags = ZCOPY_EXACT,
		};
		struct cursor cursor = { .parts = parts, .nr = 2 };
		struct pair pair;

		pair_open(&pair, transport, 0);
		transfer.target = pair.tx;
		ASSERT_EQ(0, fly(door, self->device, &transfer,
				 &self->completion));
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, bytes));
		shutdown(pair.tx, SHUT_WR);
		EXPECT_TRUE(at_end(pair.rx));
		EXPECT_STREQ("", cursor_verdict(&cursor, bytes));
		pair_close(&pair);
	}
	EXPECT_EQ(bytes, self->completion.bytes);
	EXPECT_EQ(enough ? 0 : -ENODATA, self->completion.error);
	EXPECT_EQ(enough ? 0 : SHORT,
		  self->completion.flags & ~ZCOPY_C_COPIED);
}

static const uint64_t cuts[] = {
	0, 1, PAGE - 1, PAGE, PAGE + 1, SIZE - PAGE, SIZE - 1, SIZE, SIZE + 1,
};

TEST_F(exact, every_cut)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct file file;

		file_make(&file, i % 2 ? XFS : TMPFS, cuts[i], SEED);
		ask(_metadata, self, variant->door, i % 3 ? TCP4 : UNIX, &file,
		    file.fd, cuts[i]);
		file_close(&file);
	}
}

/* Where the file is asked for its bytes. */
TEST_F(exact, without_page_cache)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		struct file file;
		int fd;

		file_make(&file, EXT4, cuts[i], SEED);
		fd = open_again(file.fd, O_RDONLY | O_DIRECT);
		ASSERT_LE(0, fd);
		ask(_metadata, self, variant->door, TCP4, &file, fd, cuts[i]);
		close(fd);
		file_close(&file);
	}
}

/* A segment to the end of the file has what there is, nothing included. */
TEST_F(exact, to_the_end)
{
	struct part parts[4];
	struct file file;

	file_make(&file, XFS, SIZE, SEED);
	parts[0] = of_file(&file, SIZE - 100, 0);
	parts[1] = of_memory(0, HEADER);
	parts[2] = of_file(&file, SIZE, 0);
	parts[3] = of_file(&file, 0, SIZE);
	EXPECT_STREQ("", carry(variant->door, self->device, TCP4, parts, 4,
			       ZCOPY_EXACT, &self->completion));
	EXPECT_EQ(100 + HEADER + SIZE, self->completion.bytes);
	EXPECT_EQ(0, self->completion.error);
	EXPECT_EQ(0, self->completion.flags & ~ZCOPY_C_COPIED);
	file_close(&file);
}

/* It shrinks while it is sent. */
TEST_F(exact, on_its_way)
{
	const uint64_t size = 8 * MIB, left = 5 * PAGE + 17;
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer = {
		.segments = (uintptr_t)segments,
		.nr_segments = 2,
		.flags = ZCOPY_EXACT,
	};
	struct part parts[] = {
		{ .want = { SEED, 0, left } },
		/* What is on its way may be kept or cleared. */
		{ .want = { UNCHECKED, 0, size - left } },
	};
	struct flight flight;
	struct reader reader;
	struct pair pair;
	struct file file;

	file_make(&file, XFS, size, SEED);
	segments[0] = of_file(&file, 0, size).segment;
	segments[1] = of_memory(0, HEADER).segment;
	pair_open(&pair, TCP4, SMALL);
	transfer.target = pair.tx;
	flight_start(&flight, variant->door, self->device, &transfer);
	ASSERT_TRUE(flight_waits(&flight));
	ASSERT_EQ(0, ftruncate(file.rw, left));
	reader_start(&reader, pair.rx, parts, 2);
	ASSERT_EQ(0, flight_finish(&flight));
	self->completion = flight.send.completion;
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, self->completion.bytes));
	EXPECT_LE(left, self->completion.bytes);
	EXPECT_GT(size, self->completion.bytes);
	EXPECT_EQ(-ENODATA, self->completion.error);
	EXPECT_EQ(SHORT, self->completion.flags & ~ZCOPY_C_COPIED);
	pair_close(&pair);
	file_close(&file);
}

/* A file as target gets no byte from behind either. */
TEST_F(exact, to_a_file)
{
	struct file from[2], to;
	struct zcopy_segment segments[2];
	struct zcopy_transfer transfer = {
		.segments = (uintptr_t)segments,
		.nr_segments = 2,
		.flags = ZCOPY_EXACT,
	};
	int i;

	for (i = 0; i < 2; i++) {
		file_make(&from[0], i ? XFS : EXT4, 5 * PAGE + 1, SEED);
		file_make(&from[1], XFS, SIZE, SEED + 1);
		file_make(&to, XFS, 0, SEED);
		segments[0] = of_file(&from[0], 0, 6 * PAGE).segment;
		segments[1] = of_file(&from[1], 0, SIZE).segment;
		transfer.target = to.rw;
		ASSERT_EQ(0, fly(variant->door, self->device, &transfer,
				 &self->completion));
		EXPECT_EQ(5 * PAGE + 1, self->completion.bytes);
		EXPECT_EQ(-ENODATA, self->completion.error);
		EXPECT_EQ(SHORT, self->completion.flags & ~ZCOPY_C_COPIED);
		to.size = 5 * PAGE + 1;
		EXPECT_STREQ("", file_intact(&to));
		file_close(&to);
		file_close(&from[1]);
		file_close(&from[0]);
	}
}

TEST_HARNESS_MAIN
