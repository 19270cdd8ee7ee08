// SPDX-License-Identifier: GPL-2.0-only
/* The end of the file: offsets beyond it, and files that change on the way. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/overlay.h"
#include "lib/watch.h"

#define SEED	51U
#define OTHER	52U
#define SIZE	(8 * MIB)
#define BUFFER	(64 * 1024)	/* of the sockets, much less than SIZE */

FIXTURE(truncate)
{
	struct watch watch;
	struct zcopy_info info;
	struct file file;
	struct pair pair;
	int device;
};

FIXTURE_VARIANT(truncate)
{
	enum filesystem filesystem;
	enum transport transport;
};

FIXTURE_VARIANT_ADD(truncate, ext4_tcp4)
{
	.filesystem = EXT4,
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(truncate, xfs_wire4)
{
	.filesystem = XFS,
	.transport = WIRE4,
};

FIXTURE_VARIANT_ADD(truncate, tmpfs_tcp6)
{
	.filesystem = TMPFS,
	.transport = TCP6,
};

FIXTURE_VARIANT_ADD(truncate, ext4_unix)
{
	.filesystem = EXT4,
	.transport = UNIX,
};

FIXTURE_VARIANT_ADD(truncate, overlay_tcp4)
{
	.filesystem = OVERLAY,
	.transport = TCP4,
};

FIXTURE_SETUP(truncate)
{
	watch_begin(&self->watch);
	self->device = device_open();
	device_info(self->device, &self->info);
	pair_open(&self->pair, variant->transport, BUFFER);
	file_make(&self->file, variant->filesystem, SIZE, SEED);
}

FIXTURE_TEARDOWN(truncate)
{
	pair_close(&self->pair);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(truncate, offset_beyond_end)
{
	const struct {
		uint64_t offset;
		uint64_t len;
		uint32_t flags;
	} rows[] = {
		{ SIZE, 0, 0 },
		{ SIZE + 1, 0, 0 },
		{ SIZE + 4096, 0, 0 },
		{ 5 * GIB, 0, 0 },
		{ INT64_MAX, 0, 0 },
		{ SIZE - 100, 0, 0 },
		{ SIZE - 100, 100, 0 },
		{ SIZE - 100, 101, ZCOPY_C_TRUNCATED },
		{ SIZE - 100, INT64_MAX - SIZE + 100, ZCOPY_C_TRUNCATED },
		{ SIZE, 1, ZCOPY_C_TRUNCATED },
		{ SIZE + 1, 4096, ZCOPY_C_TRUNCATED },
		{ 5 * GIB, 5 * GIB, ZCOPY_C_TRUNCATED },
		{ INT64_MAX - 1, 1, ZCOPY_C_TRUNCATED },
	};
	struct zcopy_completion completion;
	struct part parts[3];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		parts[0] = of_memory(0, 50);
		parts[1] = of_file(&self->file, rows[i].offset, rows[i].len);
		parts[2] = of_memory(50, 50);
		EXPECT_STREQ("", deliver(self->device, variant->transport,
					 parts, 3, 0, &completion)) {
			TH_LOG("row %zu", i);
		}
		EXPECT_EQ(parts_total(parts, 3), completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(rows[i].flags, completion.flags & ~ZCOPY_C_COPIED) {
			TH_LOG("row %zu", i);
		}
	}
	EXPECT_STREQ("", file_intact(&self->file));
}

/* A transfer of header, file and trailer that is stuck on the way. */
static void stall(struct __test_metadata *_metadata,
		  FIXTURE_DATA(truncate) *self, struct sender *sender,
		  struct part *parts, uint64_t len)
{
	parts[0] = of_memory(0, 50);
	parts[1] = of_file(&self->file, 0, len);
	parts[2] = of_memory(50, 50);
	*sender = (struct sender){
		.device = self->device, .socket = self->pair.tx,
		.parts = parts, .nr = 3, .shut = true,
	};
	sender_start(sender);
	ASSERT_TRUE(sender_blocked(sender));
}

/* Let go what is stuck, and compare all of it. */
static const char *drain(FIXTURE_DATA(truncate) *self, struct sender *sender,
			 const struct part *parts, size_t nr)
{
	struct reader reader;

	reader_start(&reader, self->pair.rx, parts, nr);
	sender_finish(sender);
	return reader_finish(&reader, sender->completion.bytes);
}

/* What comes until the end of the stream. */
static size_t read_all_into(int fd, char *buffer, size_t size)
{
	size_t got = 0;
	ssize_t n;

	do {
		n = recv(fd, buffer + got, size - got, 0);
		got += n > 0 ? n : 0;
	} while (n > 0);
	return got;
}

/*
 * The new end is well beyond what a batch may have gathered before, so it is
 * met exactly.
 */
static void shrink_ahead(struct __test_metadata *_metadata,
			 FIXTURE_DATA(truncate) *self, uint64_t len,
			 uint32_t flags)
{
	const uint64_t end = 6 * MIB + 123;
	struct part parts[3], want[3];
	struct sender sender;

	ASSERT_GE(4 * MIB, self->info.batch_bytes);
	stall(_metadata, self, &sender, parts, len);
	ASSERT_EQ(0, ftruncate(self->file.rw, end));
	self->file.size = end;
	memcpy(want, parts, sizeof(want));
	want[1].want.len = end;
	EXPECT_STREQ("", drain(self, &sender, want, 3));
	EXPECT_EQ(0, sender.result);
	EXPECT_EQ(end + 100, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(flags, sender.completion.flags & ~ZCOPY_C_COPIED);
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(truncate, shrinks)
{
	shrink_ahead(_metadata, self, SIZE, ZCOPY_C_TRUNCATED);
}

/* To the end, wherever that is: nothing is missing. */
TEST_F(truncate, shrinks_without_length)
{
	shrink_ahead(_metadata, self, 0, 0);
}

/*
 * Below what has gone already. Pages that were gathered before are sent as
 * they are: their old bytes, or zeros where the kernel cleared them.
 */
static void shrink_behind(struct __test_metadata *_metadata,
			  FIXTURE_DATA(truncate) *self, uint64_t end)
{
	static char seen[SIZE], good[SIZE];
	struct part parts[3];
	struct sender sender;
	uint64_t got, file, i;

	stall(_metadata, self, &sender, parts, SIZE);
	ASSERT_EQ(0, ftruncate(self->file.rw, end));
	self->file.size = end;
	got = read_all_into(self->pair.rx, seen, sizeof(seen));
	sender_finish(&sender);

	EXPECT_EQ(0, sender.result);
	EXPECT_EQ(got, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, sender.completion.flags & ~ZCOPY_C_COPIED);
	ASSERT_LE(100, got);
	file = got - 100;
	EXPECT_GE(self->info.batch_bytes + 4 * BUFFER, file);
	pattern(good, file, SEED, 0);
	EXPECT_EQ(0, memcmp(seen, memory(0, 50), 50));
	EXPECT_EQ(0, memcmp(seen + 50 + file, memory(50, 50), 50));
	EXPECT_EQ(0, memcmp(seen + 50, good, end < file ? end : file));
	for (i = end; i < file; i++) {
		ASSERT_TRUE(seen[50 + i] == good[i] || !seen[50 + i]) {
			TH_LOG("byte %ju", (uintmax_t)i);
		}
	}
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(truncate, shrinks_to_nothing)
{
	shrink_behind(_metadata, self, 0);
}

TEST_F(truncate, shrinks_behind)
{
	shrink_behind(_metadata, self, 5000);
}

TEST_F(truncate, grows)
{
	struct part parts[3], want[3];
	struct sender sender;

	stall(_metadata, self, &sender, parts, 0);
	file_write(&self->file, SIZE, MIB + 77, SEED);
	self->file.size += MIB + 77;
	memcpy(want, parts, sizeof(want));
	want[1].want.len = self->file.size;
	EXPECT_STREQ("", drain(self, &sender, want, 3));
	EXPECT_EQ(0, sender.result);
	EXPECT_EQ(self->file.size + 100, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(0, sender.completion.flags & ~ZCOPY_C_COPIED);
	EXPECT_STREQ("", file_intact(&self->file));
}

/* Of a file that grows no more goes than was asked for. */
TEST_F(truncate, grows_beyond_length)
{
	struct part parts[3];
	struct sender sender;

	stall(_metadata, self, &sender, parts, SIZE);
	file_write(&self->file, SIZE, MIB + 77, SEED);
	self->file.size += MIB + 77;
	EXPECT_STREQ("", drain(self, &sender, parts, 3));
	EXPECT_EQ(SIZE + 100, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(0, sender.completion.flags & ~ZCOPY_C_COPIED);
}

/*
 * Written to on the way: each byte is the old or the new one, their number and
 * their order are as if nothing had happened.
 */
TEST_F(truncate, rewritten)
{
	static char seen[SIZE + 100], old[SIZE], new[SIZE];
	struct part parts[3];
	struct sender sender;
	uint64_t i;
	char *map;

	stall(_metadata, self, &sender, parts, SIZE);
	file_write(&self->file, 0, SIZE / 2, OTHER);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   self->file.rw, 0);
	ASSERT_NE(MAP_FAILED, map);
	pattern(map + SIZE / 2, SIZE / 2, OTHER, SIZE / 2);
	ASSERT_EQ(sizeof(seen), read_all_into(self->pair.rx, seen,
					      sizeof(seen)));
	sender_finish(&sender);
	munmap(map, SIZE);
	EXPECT_EQ(sizeof(seen), sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(0, sender.completion.flags & ~ZCOPY_C_COPIED);
	EXPECT_EQ(0, memcmp(seen, memory(0, 50), 50));
	EXPECT_EQ(0, memcmp(seen + 50 + SIZE, memory(50, 50), 50));
	pattern(old, SIZE, SEED, 0);
	pattern(new, SIZE, OTHER, 0);
	for (i = 0; i < SIZE; i++) {
		ASSERT_TRUE(seen[50 + i] == old[i] || seen[50 + i] == new[i]) {
			TH_LOG("byte %ju", (uintmax_t)i);
		}
	}
	/* What was gathered late is the new. */
	EXPECT_EQ(0, memcmp(seen + 50 + 6 * MIB, new + 6 * MIB, 2 * MIB));
	self->file.seed = OTHER;
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(truncate, hole_punched)
{
	struct part parts[5], want[5];
	struct sender sender;

	stall(_metadata, self, &sender, parts, SIZE);
	ASSERT_EQ(0, fallocate(self->file.rw,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       6 * MIB, MIB));
	want[0] = parts[0];
	want[1] = of_file(&self->file, 0, 6 * MIB);
	want[2].want = (struct stretch){ ZEROS, 0, MIB };
	want[3] = of_file(&self->file, 7 * MIB, 0);
	want[4] = parts[2];
	EXPECT_STREQ("", drain(self, &sender, want, 5));
	EXPECT_EQ(SIZE + 100, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	EXPECT_EQ(0, sender.completion.flags & ~ZCOPY_C_COPIED);
}

int main(int argc, char **argv)
{
	overlay_make();
	return test_harness_run(argc, argv);
}
