// SPDX-License-Identifier: GPL-2.0-only
/* Offsets and lengths past 2 and 4 GiB, in sparse files. */
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	12U
#define ISLAND	(64 * KIB + 5)
#define ACROSS	(4 * GIB - ISLAND / 2)	/* an island on both sides of 4 GiB */

static const uint64_t islands[] = {
	0, 2 * GIB - ISLAND / 2, ACROSS, 5 * GIB + 1,
};

static void make_islands(struct file *file, enum filesystem filesystem)
{
	size_t i;

	file_make(file, filesystem, 0, SEED);
	for (i = 0; i < ARRAY_SIZE(islands); i++)
		file_write(file, islands[i], ISLAND, SEED);
	file->size = islands[i - 1] + ISLAND;
}

static const char *islands_intact(const struct file *file)
{
	const char *verdict = "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(islands) && !*verdict; i++)
		verdict = file_holds(file, islands[i],
				     (struct stretch){ SEED, islands[i],
						       ISLAND });
	return verdict;
}

FIXTURE(offsets)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(offsets)
{
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(offsets, ext4)
{
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(offsets, xfs)
{
	.filesystem = XFS,
};

FIXTURE_VARIANT_ADD(offsets, tmpfs)
{
	.filesystem = TMPFS,
};

FIXTURE_VARIANT_ADD(offsets, memfd)
{
	.filesystem = MEMFD,
};

FIXTURE_SETUP(offsets)
{
	watch_begin(&self->watch);
	self->device = device_open();
	make_islands(&self->file, variant->filesystem);
}

FIXTURE_TEARDOWN(offsets)
{
	EXPECT_STREQ("", islands_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(offsets, each_island)
{
	struct zcopy_completion completion;
	struct part parts[2 * ARRAY_SIZE(islands)];
	size_t i, nr = 0;

	/* Each island, and the edge of the hole in front of it. */
	for (i = 0; i < ARRAY_SIZE(islands); i++) {
		if (islands[i]) {
			parts[nr] = of_file(&self->file, islands[i] - 10, 10);
			parts[nr++].want.seed = ZEROS;
		}
		parts[nr++] = of_file(&self->file, islands[i], ISLAND);
	}
	EXPECT_STREQ("", deliver(self->device, TCP4, parts, nr, 0,
				 &completion));
	EXPECT_EQ(parts_total(parts, nr), completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags);
}

/*
 * It is about the counting, so one filesystem is enough: that whose holes take
 * neither memory nor time.
 */
FIXTURE(length)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_SETUP(length)
{
	watch_begin(&self->watch);
	self->device = device_open();
	make_islands(&self->file, TMPFS);
}

FIXTURE_TEARDOWN(length)
{
	EXPECT_STREQ("", islands_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* What is read, in the order of the bytes: to the end of that island. */
static const struct part stretches[] = {
	{ .want = { SEED, 0, ISLAND } },
	{ .want = { UNCHECKED, 0, ACROSS - ISLAND } },
	{ .want = { SEED, ACROSS, ISLAND } },
};

TEST_F(length, over_4_gib)
{
	const uint64_t end = parts_total(stretches, ARRAY_SIZE(stretches));
	struct zcopy_completion completion;
	struct reader reader;
	struct part whole = of_file(&self->file, 0, end);
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, stretches, ARRAY_SIZE(stretches));
	ASSERT_EQ(0, send_parts(self->device, pair.tx, &whole, 1, 0,
				&completion));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, end));
	pair_close(&pair);
	EXPECT_EQ(end, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags);
}

/* More bytes than a CQE's res can say, and than 32 bits can. */
TEST_F(length, in_a_ring)
{
	const uint64_t end = parts_total(stretches, ARRAY_SIZE(stretches));
	struct part whole = of_file(&self->file, 0, end);
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	uint64_t got, last = 0, since = 0;
	struct answer answer;
	struct reader reader;
	struct ring ring;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, stretches, ARRAY_SIZE(stretches));
	transfer = transfer_of(pair.tx, &whole, 1, 1);
	ring_open(&ring, 8, IORING_SETUP_CQE32);
	ring_send(&ring, self->device, &transfer, &done, 1);
	ring_submit(&ring);
	/* It may take long, but it goes on. */
	while (!ring_peek(&ring, &answer)) {
		got = __atomic_load_n(&reader.cursor.got, __ATOMIC_RELAXED);
		if (got != last)
			since = 0;
		last = got;
		ASSERT_TRUE(patience(&since));
	}
	EXPECT_EQ(INT32_MAX, answer.res);
	EXPECT_EQ(end, answer.extra[0]);
	EXPECT_EQ(end, done.bytes);
	EXPECT_EQ(0, done.error);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, end));
	pair_close(&pair);
	ring_close(&ring);
}

TEST_HARNESS_MAIN
