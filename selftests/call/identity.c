// SPDX-License-Identifier: GPL-2.0-only
/* A file arrives as it is: every filesystem, every transport, hot and cold. */
#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SEED	11U

static const uint64_t sizes[] = {
	0, 1, 4095, 4096, 4097, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB + 1,
};

FIXTURE(identity)
{
	struct watch watch;
	int device;
};

FIXTURE_VARIANT(identity)
{
	enum filesystem filesystem;
	enum transport transport;
	bool cold;
};

#define ROW(name, fs, over, chilled)					\
	FIXTURE_VARIANT_ADD(identity, name)				\
	{								\
		.filesystem = fs, .transport = over, .cold = chilled,	\
	}

ROW(ext4_tcp4, EXT4, TCP4, false);
ROW(ext4_tcp6, EXT4, TCP6, false);
ROW(ext4_wire4, EXT4, WIRE4, false);
ROW(ext4_wire6, EXT4, WIRE6, false);
ROW(ext4_unix, EXT4, UNIX, false);
ROW(xfs_tcp4, XFS, TCP4, false);
ROW(xfs_tcp6, XFS, TCP6, false);
ROW(xfs_wire4, XFS, WIRE4, false);
ROW(xfs_wire6, XFS, WIRE6, false);
ROW(xfs_unix, XFS, UNIX, false);
ROW(tmpfs_tcp4, TMPFS, TCP4, false);
ROW(tmpfs_tcp6, TMPFS, TCP6, false);
ROW(tmpfs_wire4, TMPFS, WIRE4, false);
ROW(tmpfs_wire6, TMPFS, WIRE6, false);
ROW(tmpfs_unix, TMPFS, UNIX, false);
ROW(memfd_tcp4, MEMFD, TCP4, false);
ROW(memfd_tcp6, MEMFD, TCP6, false);
ROW(memfd_wire4, MEMFD, WIRE4, false);
ROW(memfd_wire6, MEMFD, WIRE6, false);
ROW(memfd_unix, MEMFD, UNIX, false);
ROW(ext4_tcp4_cold, EXT4, TCP4, true);
ROW(ext4_wire4_cold, EXT4, WIRE4, true);
ROW(ext4_unix_cold, EXT4, UNIX, true);
ROW(xfs_tcp4_cold, XFS, TCP4, true);
ROW(xfs_wire4_cold, XFS, WIRE4, true);
ROW(xfs_unix_cold, XFS, UNIX, true);

FIXTURE_SETUP(identity)
{
	watch_begin(&self->watch);
	self->device = device_open();
}

FIXTURE_TEARDOWN(identity)
{
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void whole_files(struct __test_metadata *_metadata,
			FIXTURE_DATA(identity) *self,
			const FIXTURE_VARIANT(identity) *variant,
			bool by_length)
{
	struct zcopy_completion completion;
	struct file file;
	struct part part;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		file_make(&file, variant->filesystem, sizes[i], SEED);
		part = of_file(&file, 0, by_length ? sizes[i] : 0);
		if (variant->cold)
			file_chill(&file);
		EXPECT_STREQ("", deliver(self->device, variant->transport,
					 &part, 1, 0, &completion)) {
			TH_LOG("a file of %ju bytes", (uintmax_t)sizes[i]);
		}
		EXPECT_EQ(sizes[i], completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(0, completion.flags & ~ZCOPY_C_COPIED);
		EXPECT_STREQ("", file_intact(&file));
		EXPECT_EQ(0, lseek(file.fd, 0, SEEK_CUR));
		file_close(&file);
	}
}

TEST_F(identity, to_its_end)
{
	whole_files(_metadata, self, variant, false);
}

TEST_F(identity, by_its_length)
{
	whole_files(_metadata, self, variant, true);
}

TEST_HARNESS_MAIN
