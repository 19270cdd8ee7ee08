// SPDX-License-Identifier: GPL-2.0-only
/* Every shape of a segment vector. */
#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

FIXTURE(vector)
{
	struct watch watch;
	struct zcopy_info info;
	struct file a;
	struct file b;
	struct file empty;
	int device;
};

FIXTURE_VARIANT(vector)
{
	enum filesystem filesystem;
	enum transport transport;
};

FIXTURE_VARIANT_ADD(vector, ext4_tcp4)
{
	.filesystem = EXT4,
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(vector, xfs_wire4)
{
	.filesystem = XFS,
	.transport = WIRE4,
};

FIXTURE_VARIANT_ADD(vector, tmpfs_tcp6)
{
	.filesystem = TMPFS,
	.transport = TCP6,
};

FIXTURE_VARIANT_ADD(vector, memfd_unix)
{
	.filesystem = MEMFD,
	.transport = UNIX,
};

FIXTURE_SETUP(vector)
{
	watch_begin(&self->watch);
	self->device = device_open();
	device_info(self->device, &self->info);
	file_make(&self->a, variant->filesystem, 300 * KIB + 7, 21);
	file_make(&self->b, variant->filesystem, 9 * KIB, 22);
	file_make(&self->empty, variant->filesystem, 0, 23);
}

FIXTURE_TEARDOWN(vector)
{
	EXPECT_STREQ("", file_intact(&self->a));
	EXPECT_STREQ("", file_intact(&self->b));
	EXPECT_STREQ("", file_intact(&self->empty));
	file_close(&self->a);
	file_close(&self->b);
	file_close(&self->empty);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void arrives(struct __test_metadata *_metadata,
		    FIXTURE_DATA(vector) *self,
		    const FIXTURE_VARIANT(vector) *variant,
		    const struct part *parts, size_t nr, const char *name)
{
	struct zcopy_completion completion;

	EXPECT_STREQ("", deliver(self->device, variant->transport, parts, nr, 0,
				 &completion)) {
		TH_LOG("shape: %s", name);
	}
	EXPECT_EQ(parts_total(parts, nr), completion.bytes) {
		TH_LOG("shape: %s", name);
	}
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags & ~ZCOPY_C_COPIED);
}

TEST_F(vector, shapes)
{
	const struct file *a = &self->a, *b = &self->b, *e = &self->empty;
	const struct {
		const char *name;
		struct part parts[6];
		size_t nr;
	} rows[] = {
		{ "header only", { of_memory(0, 100) }, 1 },
		{ "one byte", { of_memory(7, 1) }, 1 },
		{ "file, trailer", { of_file(b, 0, 0), of_memory(0, 9) }, 2 },
		{ "header, file", { of_memory(0, 200), of_file(a, 0, 0) }, 2 },
		{ "header, file, trailer",
		  { of_memory(0, 5), of_file(a, 0, 0), of_memory(5, 5) }, 3 },
		{ "header, empty file, trailer",
		  { of_memory(0, 5), of_file(e, 0, 0), of_memory(5, 5) }, 3 },
		{ "two headers, two trailers",
		  { of_memory(0, 1), of_memory(1, 2), of_file(b, 0, 0),
		    of_memory(3, 4), of_memory(9, 8) }, 5 },
		{ "file, file, memory",
		  { of_file(a, 0, 0), of_file(b, 0, 0), of_memory(0, 77) }, 3 },
		{ "ranges of a file, as in multipart",
		  { of_memory(0, 50), of_file(a, 10, 4000), of_memory(50, 50),
		    of_file(a, 200 * KIB, 4097), of_memory(100, 50) }, 5 },
		{ "a file twice", { of_file(a, 0, 0), of_file(a, 0, 0) }, 2 },
		{ "ranges on one page",
		  { of_file(b, 0, 1), of_file(b, 1, 1), of_file(b, 100, 1),
		    of_file(b, 50, 100) }, 4 },
		{ "ranges over a page border",
		  { of_file(b, 4090, 5), of_file(b, 4095, 2),
		    of_file(b, 4000, 4200) }, 3 },
		{ "backwards",
		  { of_file(b, 8 * KIB, KIB), of_file(b, 4 * KIB, 4 * KIB),
		    of_file(b, 0, 4 * KIB) }, 3 },
		{ "unaligned to the end",
		  { of_file(a, 4095, 0), of_file(a, 4097, 0) }, 2 },
		{ "empty memory first", { of_memory(0, 0), of_file(b, 0, 0) },
		  2 },
		{ "empty memory in the middle",
		  { of_file(b, 0, 0), of_memory(0, 0), of_memory(0, 3) }, 3 },
		{ "empty memory last", { of_file(b, 0, 0), of_memory(0, 0) },
		  2 },
		{ "empty memory everywhere",
		  { of_memory(0, 0), of_memory(1, 6), of_memory(0, 0),
		    of_file(b, 7, 0), of_memory(0, 0), of_memory(0, 0) }, 6 },
		{ "nothing", { of_memory(0, 0) }, 1 },
		{ "nothing at all",
		  { of_memory(0, 0), of_file(e, 0, 0), of_memory(0, 0) }, 3 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		arrives(_metadata, self, variant, rows[i].parts, rows[i].nr,
			rows[i].name);
}

/* An empty memory segment has no address that could be wrong. */
TEST_F(vector, empty_memory_anywhere)
{
	const uint64_t addresses[] = { 0, 1, UINT64_MAX, 1ULL << 63 };
	struct part parts[2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		parts[0] = of_memory(0, 0);
		parts[0].segment.addr = addresses[i];
		parts[1] = of_file(&self->b, 0, 0);
		arrives(_metadata, self, variant, parts, 2, "empty memory");
	}
}

TEST_F(vector, as_many_as_allowed)
{
	const size_t nr = self->info.max_segments;
	struct part *parts = calloc(nr, sizeof(*parts));
	size_t i;

	ASSERT_NE(NULL, parts);
	ASSERT_GE(nr, 256);
	for (i = 0; i < nr; i++)
		parts[i] = i % 3 ? of_file(&self->b, i * 7, 1 + i % 50) :
				   of_memory(i, i % 30);
	arrives(_metadata, self, variant, parts, nr, "mixed");

	for (i = 0; i < nr; i++)
		parts[i] = of_memory(i, 2);
	arrives(_metadata, self, variant, parts, nr, "memory");

	for (i = 0; i < nr; i++)
		parts[i] = of_file(&self->a, 290 * i, 1);
	arrives(_metadata, self, variant, parts, nr, "file");
	free(parts);
}

TEST_F(vector, as_much_memory_as_allowed)
{
	const uint64_t most = self->info.max_memory;
	struct part parts[4];

	ASSERT_GE(most, 4096);
	parts[0] = of_memory(3, most);
	parts[1] = of_file(&self->a, 0, 0);
	arrives(_metadata, self, variant, parts, 2, "one segment");
	parts[0] = of_memory(5, most / 2);
	parts[2] = of_memory(0, 0);
	parts[3] = of_memory(most, most - most / 2);
	arrives(_metadata, self, variant, parts, 4, "two segments");
}

/* The buffer is the caller's again; what is in the socket stays as it was. */
TEST_F(vector, memory_is_copied)
{
	struct zcopy_completion completion;
	struct cursor cursor = {};
	char *buffer = malloc(4096);
	struct part part;
	struct pair pair;

	ASSERT_NE(NULL, buffer);
	pattern(buffer, 4096, MEMORY, 0);
	part = of_memory(0, 4096);
	part.segment.addr = (uintptr_t)buffer;
	cursor.parts = &part;
	cursor.nr = 1;
	pair_open(&pair, variant->transport, 0);
	ASSERT_EQ(0, send_parts(self->device, pair.tx, &part, 1, 0,
				&completion));
	memset(buffer, 0, 4096);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 4096));
	EXPECT_STREQ("", cursor_verdict(&cursor, 4096));
	pair_close(&pair);
	free(buffer);
}

TEST_HARNESS_MAIN
