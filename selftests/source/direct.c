// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of FUSE whose server says that there is no page cache: their bytes are those
 * that read(2) gives, each time, whatever their size says.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define ROUNDS	3

FIXTURE(direct)
{
	struct watch watch;
	struct hung hung;
	int device;
};

FIXTURE_VARIANT(direct)
{
	uint64_t says;
	uint64_t has;
};

#define ROW(name, size, bytes)						\
	FIXTURE_VARIANT_ADD(direct, name) { .says = size, .has = bytes }

ROW(no_size, 0, 100);
ROW(no_size_large, 0, 300 * KIB + 7);
ROW(too_large, MIB, 4096 + 100);
ROW(too_small, 100, 70 * KIB);
ROW(as_it_says, 70000, 70000);
ROW(empty, 0, 0);

FIXTURE_SETUP(direct)
{
	watch_begin(&self->watch);
	hung_make_fresh(&self->hung, variant->says, variant->has);
	self->device = device_open();
}

FIXTURE_TEARDOWN(direct)
{
	close(self->device);
	hung_end(&self->hung);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The file, opened once more: a part of it, to its end or of a length. */
static struct part open_part(FIXTURE_DATA(direct) *self,
			     const FIXTURE_VARIANT(direct) *variant,
			     uint64_t offset, uint64_t len)
{
	struct file file = { .fd = hung_open(), .size = variant->has };

	file.seed = hung_seed(&self->hung);
	return of_file(&file, offset, len);
}

TEST_F(direct, to_the_end)
{
	struct zcopy_completion done;
	struct part part;
	int door, i;

	for (door = 0; door < DOORS; door++) {
		for (i = 0; i < ROUNDS; i++) {
			part = open_part(self, variant, 0, 0);
			EXPECT_STREQ("", carry(door, self->device, TCP4, &part,
					       1, 0, &done));
			EXPECT_EQ(0, done.error);
			EXPECT_EQ(variant->has, done.bytes);
			EXPECT_EQ(0, done.flags & ZCOPY_C_TRUNCATED);
			close(part.segment.fd);
		}
	}
}

/* From within, and more than there is; with what stands around it. */
TEST_F(direct, parts)
{
	struct zcopy_completion done;
	struct part parts[3];
	int door;

	for (door = 0; door < DOORS; door++) {
		parts[0] = of_memory(1, 200);
		parts[1] = open_part(self, variant, 13, 2 * MIB);
		parts[2] = of_memory(2, 100);
		EXPECT_STREQ("", carry(door, self->device, UNIX, parts, 3, 0,
				       &done));
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(parts_total(parts, 3), done.bytes);
		EXPECT_EQ(ZCOPY_C_TRUNCATED, done.flags & ZCOPY_C_TRUNCATED);
		close(parts[1].segment.fd);
	}
}

/* What sendfile(2) has left in memory is not what is read. */
TEST_F(direct, others_have_it_in_memory)
{
	struct zcopy_completion done;
	struct part part;
	struct pair pair;
	int door;

	for (door = 0; door < DOORS; door++) {
		part = open_part(self, variant, 0, 0);
		pair_open(&pair, UNIX, MIB);
		EXPECT_LE(0, sendfile(pair.tx, part.segment.fd, NULL, 64 * KIB));
		pair_close(&pair);
		close(part.segment.fd);

		part = open_part(self, variant, 0, 0);
		EXPECT_STREQ("", carry(door, self->device, UNIX, &part, 1, 0,
				       &done));
		EXPECT_EQ(variant->has, done.bytes);
		close(part.segment.fd);
	}
}

TEST_HARNESS_MAIN
