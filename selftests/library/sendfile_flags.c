// SPDX-License-Identifier: GPL-2.0-only
/* FreeBSD's sendfile(): its flags. */
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/disk.h"
#include "lib/door.h"
#include "lib/sendfile.h"

#define OTHER	142U

TEST_F(sendfile, busy)
{
	struct iovec header = { memory(0, 10), 10 };
	struct sf_hdtr hdtr = { &header, 1, NULL, 0 };
	off_t bytes = UNSET;
	char seen[20];

	file_chill(&self->file);
	EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, &hdtr,
				     &bytes, SF_NODISKIO));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(10, bytes);
	EXPECT_TRUE(await(self->pair.rx, POLLIN));
	EXPECT_EQ(10, recv(self->pair.rx, seen, sizeof(seen), 0));
}

/*
 * SF_NODISKIO does not wait for a disk, not even one that does not answer, and
 * who tries again, and does nothing else, comes to the end.
 */
TEST_F(sendfile, busy_and_again)
{
	const struct part whole = of_file(&self->file, 0, 0);
	const int flags[] = {
		SF_NODISKIO,
		SF_FLAGS(0, SF_NODISKIO | SF_USER_READAHEAD),
		SF_FLAGS(16, SF_NODISKIO | SF_USER_READAHEAD),
	};
	struct reader reader;
	off_t done, bytes;
	struct pair pair;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		uint64_t since = 0;

		file_chill(&self->file);
		pair_open(&pair, TCP4, 0);
		reader_start(&reader, pair.rx, &whole, 1);
		disk_suspend();
		EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, pair.tx, 0, 0, NULL,
					     &bytes, flags[i]));
		EXPECT_EQ(EBUSY, errno);
		EXPECT_EQ(0, bytes);
		disk_resume();
		for (done = 0; done < (off_t)SIZE; done += bytes) {
			if (!zcopy_sendfile(self->file.fd, pair.tx, done, 0,
					    NULL, &bytes, flags[i]))
				continue;
			ASSERT_EQ(EBUSY, errno);
			if (bytes)
				since = 0;
			ASSERT_TRUE(patience(&since));
		}
		shutdown(pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, SIZE));
		pair_close(&pair);
	}
}

/* What who tries again finds in memory is as much as he said, and no more. */
TEST_F(sendfile, busy_reads_ahead)
{
	const unsigned int pages[] = { 0, 16 };
	uint64_t since = 0;
	off_t bytes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		const int flags = SF_FLAGS(pages[i],
					   SF_NODISKIO | SF_USER_READAHEAD);

		file_chill(&self->file);
		EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0,
					     NULL, &bytes, flags));
		EXPECT_EQ(EBUSY, errno);
		while (file_resident(&self->file, 0, SIZE) < 1 + pages[i])
			ASSERT_TRUE(patience(&since));
		EXPECT_EQ(1 + pages[i], file_resident(&self->file, 0, SIZE));
	}
}

/* Send all of the file to a socket that takes it, and overwrite it at once. */
static void overwrite(struct __test_metadata *_metadata,
		      FIXTURE_DATA(sendfile) *self, enum transport transport,
		      int flags, uint32_t expected)
{
	static char seen[32 * KIB], want[32 * KIB];
	char *map = file_map(&self->file);
	struct pair pair;
	off_t bytes = UNSET;

	pair_open(&pair, transport, 0);
	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, pair.tx, 0, sizeof(seen),
				    NULL, &bytes, flags));
	pattern(map, sizeof(seen), OTHER, 0);
	EXPECT_EQ(sizeof(seen), bytes);
	EXPECT_TRUE(receive(pair.rx, seen, sizeof(seen)));
	pattern(want, sizeof(want), expected, 0);
	EXPECT_EQ(0, memcmp(want, seen, sizeof(want)));
	pattern(map, sizeof(seen), SEED, 0);
	munmap(map, self->file.size);
	pair_close(&pair);
}

/* After it the file may be changed; without it the receiver would see that. */
TEST_F(sendfile, sync)
{
	overwrite(_metadata, self, UNIX, SF_SYNC, SEED);
	overwrite(_metadata, self, UNIX, 0, OTHER);
	overwrite(_metadata, self, WIRE4, SF_SYNC, SEED);
}

/* It is no guarantee of delivery: nobody has read a byte. */
TEST_F(sendfile, sync_before_delivery)
{
	off_t bytes = UNSET;
	char byte;

	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 4000, NULL,
				    &bytes, SF_SYNC));
	EXPECT_EQ(4000, bytes);
	EXPECT_EQ(1, recv(self->pair.rx, &byte, 1, 0));
}

/*
 * Pages of the cold file that are in memory when all of it was received, and so many
 * have come: those that are read ahead may still be on their way.
 */
static size_t left_in_memory(struct __test_metadata *_metadata,
			     FIXTURE_DATA(sendfile) *self, off_t nbytes,
			     int flags, size_t least)
{
	const struct part part = of_file(&self->file, 0, nbytes);
	uint64_t since = 0;

	file_chill(&self->file);
	sends(_metadata, self, 0, nbytes, NULL, &part, 1, flags);
	while (file_resident(&self->file, 0, SIZE) < least && patience(&since))
		;
	return file_resident(&self->file, 0, SIZE);
}

TEST_F(sendfile, nocache)
{
	EXPECT_EQ(0, left_in_memory(_metadata, self, SIZE,
				    SF_NOCACHE | SF_SYNC, 0));
	EXPECT_LT(0, left_in_memory(_metadata, self, SIZE, SF_SYNC, 0));
}

TEST_F(sendfile, readahead)
{
	const size_t pages = (SIZE + PAGE - 1) / PAGE;
	const struct {
		int flags;
		size_t pages;
	} rows[] = {
		{ SF_USER_READAHEAD, 1 },
		{ SF_FLAGS(16, SF_USER_READAHEAD), 17 },
		{ SF_FLAGS(0xffff, SF_USER_READAHEAD), pages },
	};
	size_t own, i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		EXPECT_EQ(rows[i].pages,
			  left_in_memory(_metadata, self, 1, rows[i].flags,
					 rows[i].pages));
	/* Without the flag: the larger of the number and the kernel's own. */
	own = left_in_memory(_metadata, self, 64 * KIB, 0, 64 * KIB / PAGE);
	EXPECT_LE(own, left_in_memory(_metadata, self, 64 * KIB,
				      SF_FLAGS(1, 0), own));
	EXPECT_LT(own, left_in_memory(_metadata, self, 64 * KIB,
				      SF_FLAGS(512, 0), own + 1));
}

/* The number and the flags do not get into each other's way. */
TEST_F(sendfile, flags_macro)
{
	EXPECT_EQ(0x00100000 | SF_NOCACHE, SF_FLAGS(16, SF_NOCACHE));
	EXPECT_EQ(SF_NODISKIO, SF_FLAGS(0, SF_NODISKIO));
	EXPECT_EQ(0xffff0000, (unsigned int)SF_FLAGS(0xffff, 0));
	EXPECT_EQ(0, (SF_NODISKIO | SF_NOCACHE | SF_SYNC | SF_USER_READAHEAD) &
		     ~0xffff);
}

int main(int argc, char **argv)
{
	disk_make();
	overlay_make();
	return test_harness_run(argc, argv);
}
