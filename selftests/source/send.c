// SPDX-License-Identifier: GPL-2.0-only
/* Files of every filesystem: what arrives is what they hold, by every door. */
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/place.h"
#include "lib/submit.h"
#include "lib/watch.h"

/* More than two of the stretches that the universal source reads. */
#define SIZE		700001ULL
#define SEED		(COARSE | 9)
#define POSITION	5
#define USER_DATA	321

FIXTURE(source_send)
{
	struct watch watch;
	struct file file;
	struct part parts[10];
	uint64_t total;
	int device;
};

FIXTURE_VARIANT(source_send)
{
	enum place_id id;
};

#define PLACE(name, place) \
	FIXTURE_VARIANT_ADD(source_send, name) { .id = (place) }
PLACE(ext4, PLACE_EXT4);
PLACE(ext4_encrypted, PLACE_EXT4_ENCRYPTED);
PLACE(ext4_direct, PLACE_EXT4_DIRECT);
PLACE(xfs, PLACE_XFS);
PLACE(xfs_direct, PLACE_XFS_DIRECT);
PLACE(tmpfs, PLACE_TMPFS);
PLACE(ramfs, PLACE_RAMFS);
PLACE(btrfs, PLACE_BTRFS);
PLACE(btrfs_compressed, PLACE_BTRFS_COMPRESSED);
PLACE(vfat, PLACE_VFAT);
PLACE(iso9660, PLACE_ISO9660);
PLACE(squashfs, PLACE_SQUASHFS);
PLACE(erofs, PLACE_EROFS);
PLACE(overlay_upper, PLACE_OVERLAY_UPPER);
PLACE(overlay_lower, PLACE_OVERLAY_LOWER);
PLACE(nfs, PLACE_NFS);
PLACE(fuse, PLACE_FUSE);
PLACE(9p, PLACE_9P);

FIXTURE_SETUP(source_send)
{
	const uint64_t odd[][2] = {
		{ 0, 1 }, { 4095, 2 }, { 65535, 65538 }, { 3, 500009 },
		{ SIZE - 5, 0 }, { SIZE, 0 }, { SIZE + 7, 0 }, { 1, 0 },
	};
	size_t i;

	if (*place_missing(variant->id))
		SKIP(return, "%s", place_missing(variant->id));
	watch_begin(&self->watch);
	self->device = device_open();
	self->file = place_open(variant->id);
	ASSERT_EQ(POSITION, lseek(self->file.fd, POSITION, SEEK_SET));

	self->parts[0] = of_memory(0, 100);
	for (i = 0; i < ARRAY_SIZE(odd); i++)
		self->parts[i + 1] = of_file(&self->file, odd[i][0], odd[i][1]);
	self->parts[i + 1] = of_memory(100, 3);
	self->total = parts_total(self->parts, ARRAY_SIZE(self->parts));
}

FIXTURE_TEARDOWN(source_send)
{
	EXPECT_EQ(POSITION, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));
	place_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The parts through ZCOPY_IOC_SEND; "" when they arrived and it says so. */
static const char *sent(FIXTURE_DATA(source_send) *self,
			enum transport transport, uint32_t flags,
			uint32_t answers)
{
	static char text[128];
	struct zcopy_completion completion;
	const char *verdict = deliver(self->device, transport, self->parts,
				      ARRAY_SIZE(self->parts), flags,
				      &completion);

	if (*verdict || (completion.bytes == self->total && !completion.error &&
			 (completion.flags & ~ZCOPY_C_COPIED) == answers))
		return verdict;
	snprintf(text, sizeof(text), "bytes %llu, error %d, flags %#x",
		 (unsigned long long)completion.bytes, completion.error,
		 completion.flags);
	return text;
}

/* The same through the queue. */
static const char *queued(FIXTURE_DATA(source_send) *self,
			  enum transport transport)
{
	struct zcopy_transfer queue[2];
	struct part twice[2 * ARRAY_SIZE(self->parts)];
	const char *verdict, *answer;
	struct reader reader;
	struct pair pair;
	size_t i;

	/* Two, so that the second one stands behind the first one's disk. */
	pair_open(&pair, transport, 0);
	for (i = 0; i < 2; i++) {
		queue[i] = transfer_of(pair.tx, self->parts,
				       ARRAY_SIZE(self->parts), USER_DATA);
		memcpy(&twice[i * ARRAY_SIZE(self->parts)], self->parts,
		       sizeof(self->parts));
	}
	reader_start(&reader, pair.rx, twice, ARRAY_SIZE(twice));
	submit_all(self->device, queue, 2);
	answer = completes(self->device, USER_DATA, self->total, 0, 0);
	if (!*answer)
		answer = completes(self->device, USER_DATA, self->total, 0, 0);
	shutdown(pair.tx, SHUT_WR);
	verdict = reader_finish(&reader, 2 * self->total);
	pair_close(&pair);
	return *answer ? answer : verdict;
}

TEST_F(source_send, bytes)
{
	/* The first one finds nothing in memory. */
	EXPECT_STREQ("", queued(self, TCP4));
	EXPECT_STREQ("", sent(self, TCP4, 0, 0));
	EXPECT_STREQ("", sent(self, UNIX, 0, 0));
	EXPECT_STREQ("", queued(self, UNIX));
}

/* The release is told of whatever the pages are. */
TEST_F(source_send, release)
{
	struct zcopy_completion completion;

	EXPECT_STREQ("", sent(self, TCP4, ZCOPY_SYNC, ZCOPY_C_RELEASED));
	EXPECT_STREQ("", sent(self, UNIX, ZCOPY_SYNC, ZCOPY_C_RELEASED));
	EXPECT_STREQ("", sent(self, TCP4, ZCOPY_NOCACHE, 0));
	EXPECT_STREQ("", sent(self, TCP4, ZCOPY_NOTIFY, ZCOPY_C_MORE));
	ASSERT_EQ(1, reap(self->device, &completion, 1));
	EXPECT_EQ(self->total, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(ZCOPY_C_RELEASED, completion.flags & ~ZCOPY_C_COPIED);
}

/* The two sources differ in what they know without asking anybody. */
TEST_F(source_send, no_disk)
{
	struct zcopy_completion completion;

	/* Now all of it is in memory that can be. */
	EXPECT_STREQ("", sent(self, TCP4, 0, 0));
	if (places[variant->id].cached) {
		EXPECT_STREQ("", sent(self, TCP4, ZCOPY_NODISKIO, 0));
		return;
	}
	/* The header of the vector is all that it takes. */
	EXPECT_STREQ("", deliver(self->device, TCP4, self->parts,
				 ARRAY_SIZE(self->parts), ZCOPY_NODISKIO,
				 &completion));
	EXPECT_EQ(self->parts[0].want.len, completion.bytes);
	EXPECT_EQ(-EBUSY, completion.error);
	EXPECT_EQ(0, completion.flags);
}

/* Ends behind the end of the file, and wholly behind it. */
TEST_F(source_send, too_long)
{
	const struct part parts[] = {
		of_file(&self->file, SIZE - 100, 101),
		of_memory(0, 10),
		of_file(&self->file, SIZE + 100000, 10),
		of_memory(10, 10),
	};
	struct zcopy_completion completion;

	EXPECT_STREQ("", deliver(self->device, TCP4, parts, ARRAY_SIZE(parts),
				 0, &completion));
	EXPECT_EQ(120, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, completion.flags);
}

/* A lease is granted where fcntl() grants one. */
TEST_F(source_send, lease)
{
	int fd = open(place_path(variant->id), O_RDONLY | O_CLOEXEC);
	int error = fcntl(fd, F_SETLEASE, F_RDLCK) ? errno : 0;
	struct zcopy_completion completion;
	struct pair pair;

	ASSERT_LE(0, fd);
	close(fd);
	if (!error) {
		EXPECT_STREQ("", sent(self, TCP4, ZCOPY_LEASE, 0));
		return;
	}
	pair_open(&pair, TCP4, 0);
	EXPECT_EQ(error == EINVAL ? -ENOLCK : -error,
		  send_parts(self->device, pair.tx, self->parts,
			     ARRAY_SIZE(self->parts), ZCOPY_LEASE,
			     &completion));
	pair_close(&pair);
}

int main(int argc, char **argv)
{
	int id;

	for (id = 0; id < PLACES; id++)
		place_make(id, SIZE, SEED);
	return test_harness_run(argc, argv);
}
