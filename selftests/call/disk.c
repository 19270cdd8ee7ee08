// SPDX-License-Identifier: GPL-2.0-only
/* A disk that fails: the device mapper puts a bad block under a file. */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define NAME	"selftest-disk"
#define SECTORS	(400 * MIB / 512)
#define SIZE	MIB
#define BAD	(500 * KIB)	/* offset in the file of the bad page */
#define HEADER	100

FIXTURE(disk)
{
	struct watch watch;
	struct file file;
	char loop[64];
	char folder[64];
	int device;
};

FIXTURE_VARIANT(disk)
{
	const char *type;
};

FIXTURE_VARIANT_ADD(disk, ext4)
{
	.type = "ext4",
};

FIXTURE_VARIANT_ADD(disk, xfs)
{
	.type = "xfs",
};

static void make_disk(FIXTURE_DATA(disk) *self)
{
	char image[256];
	FILE *output;

	snprintf(image, sizeof(image), "%s/" NAME, directory(EXT4));
	if (run("modprobe -a loop dm-mod") ||
	    run("truncate -s %llu %s", SECTORS * 512, image))
		die("make a disk image");
	if (run("losetup -f --show %s >%s.loop", image, image))
		die("losetup");
	strcat(image, ".loop");
	output = fopen(image, "re");
	if (!output || !fgets(self->loop, sizeof(self->loop), output))
		die("the name of the loop device");
	fclose(output);
	self->loop[strcspn(self->loop, "\n")] = 0;
	if (run("dmsetup --noudevsync create %s --table '0 %llu linear %s 0'",
		NAME, SECTORS, self->loop) ||
	    run("dmsetup --noudevsync mknodes " NAME))
		die("dmsetup");
}

/* The disk as it is, or with a bad page at a sector. */
static void break_disk(FIXTURE_DATA(disk) *self, unsigned long long sector)
{
	FILE *table = popen("dmsetup --noudevsync reload " NAME, "we");
	unsigned long long from = 0;

	if (!table)
		die("dmsetup reload");
	if (sector) {
		from = sector + PAGE / 512;
		fprintf(table, "0 %llu linear %s 0\n", sector,
			self->loop);
		fprintf(table, "%llu %llu error\n", sector,
			from - sector);
	}
	fprintf(table, "%llu %llu linear %s %llu\n", from, SECTORS - from,
		self->loop, from);
	if (pclose(table) || run("dmsetup --noudevsync resume " NAME))
		die("change the disk");
}

/* The first sector of a page of the file. */
static uint64_t sector_of(const struct file *file, uint64_t offset)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} request = {
		.map = {
			.fm_start = offset,
			.fm_length = PAGE,
			.fm_flags = FIEMAP_FLAG_SYNC,
			.fm_extent_count = 1,
		},
	};

	if (ioctl(file->rw, FS_IOC_FIEMAP, &request) ||
	    request.map.fm_mapped_extents != 1)
		die("find the blocks of a file");
	return (request.extent.fe_physical + offset -
		request.extent.fe_logical) / 512;
}

FIXTURE_SETUP(disk)
{
	make_disk(self);
	ASSERT_EQ(0, run("mkfs.%s -q /dev/mapper/" NAME, variant->type));
	/* Mounted for this process alone: the mount goes with it. */
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(self->folder, sizeof(self->folder), "/tmp/selftest-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->folder));
	ASSERT_EQ(0, mount("/dev/mapper/" NAME, self->folder, variant->type, 0,
			   NULL));
	ASSERT_EQ(0, setenv("ZCOPY_TESTDIR_EXT4", self->folder, 1));
	file_make(&self->file, EXT4, SIZE, 131);

	watch_begin(&self->watch);
	self->device = device_open();
	break_disk(self, sector_of(&self->file, BAD));
	file_chill(&self->file);
}

/* In the parent, where nothing keeps the mount alive any more. */
FIXTURE_TEARDOWN_PARENT(disk)
{
	EXPECT_EQ(0, run("dmsetup --noudevsync remove --retry " NAME));
	EXPECT_EQ(0, run("losetup -d %s", self->loop));
	EXPECT_EQ(0, run("rm %s/" NAME "*", directory(EXT4)));
	EXPECT_EQ(0, rmdir(self->folder));
}

/* header, file, trailer, and one of the file behind them */
static const char *fails(FIXTURE_DATA(disk) *self, uint32_t flags,
			 struct zcopy_completion *completion)
{
	const struct part parts[] = {
		of_memory(0, HEADER),
		of_file(&self->file, 0, 0),
		of_memory(HEADER, HEADER),
		of_file(&self->file, 0, 0),
	};

	return deliver(self->device, TCP4, parts, 4, flags, completion);
}

/* Errors are the file's alone, and go when the disk is whole again. */
static void mended(struct __test_metadata *_metadata,
		   FIXTURE_DATA(disk) *self, uint64_t failures)
{
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(failures, stats.file_errors);
	EXPECT_EQ(0, stats.socket_errors);

	break_disk(self, 0);
	EXPECT_STREQ("", fails(self, 0, &completion));
	EXPECT_EQ(2 * SIZE + 2 * HEADER, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags);
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(disk, bad_page)
{
	struct zcopy_completion completion;

	/* What is not read cannot fail. */
	EXPECT_STREQ("", fails(self, ZCOPY_NODISKIO, &completion));
	EXPECT_EQ(HEADER, completion.bytes);
	EXPECT_EQ(-EBUSY, completion.error);
	EXPECT_EQ(0, completion.flags);
	EXPECT_EQ(0, file_resident(&self->file, 0, SIZE));

	/* Page by page: all that is in front of the bad one arrives. */
	EXPECT_STREQ("", fails(self, ZCOPY_USER_READAHEAD, &completion));
	EXPECT_EQ(HEADER + BAD, completion.bytes);
	EXPECT_EQ(-EIO, completion.error);
	EXPECT_EQ(ZCOPY_C_FILE_ERROR, completion.flags);
	file_chill(&self->file);

	/* A filesystem with large folios fails as much at a time. */
	EXPECT_STREQ("", fails(self, 0, &completion));
	EXPECT_LE(HEADER, completion.bytes);
	EXPECT_GE(HEADER + BAD, completion.bytes);
	if (!strcmp(variant->type, "ext4"))
		EXPECT_EQ(HEADER + BAD, completion.bytes);
	EXPECT_EQ(-EIO, completion.error);
	EXPECT_EQ(ZCOPY_C_FILE_ERROR, completion.flags);

	mended(_metadata, self, 2);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
	file_close(&self->file);
}

TEST_HARNESS_MAIN
