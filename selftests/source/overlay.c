// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of overlayfs: whichever file has their bytes, these arrive; from the page
 * cache where that can be, and by asking where not.
 */
#include <fcntl.h>
#include <linux/fsverity.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SIZE	300007ULL
#define SEED	(COARSE | 12)
#define BUFFER	(64 * (int)KIB)

/* Merged over what is below, with "upper" and "work" beside it. */
#define OVER(options)	\
	"mount -t overlay none merged -o upperdir=upper,workdir=work," options
#define META	",metacopy=on,redirect_dir=on"
#define IN_UPPER "lowerdir=lower,upperdir=upper/upper,workdir=upper/work"

static const struct kind {
	const char *name;
	/* In the folder of the case, with the file at lower/file. */
	const char *make[7];
	const char *file;	/* in merged, if it is another one */
	uint64_t size;		/* if it is another one */
	bool direct;
	bool verity;
	bool memory;		/* it has no disk */
	bool asked;		/* each time, for its bytes */
} kinds[] = {
	{ .name = "lower", .make = { OVER("lowerdir=lower") } },
	{ .name = "upper", .make = { "mv lower/file upper", OVER("lowerdir=lower") } },
	{ .name = "copied up",
	  .make = { OVER("lowerdir=lower"), ": >>merged/file" } },
	{ .name = "metacopy",
	  .make = { OVER("lowerdir=lower" META), "chmod 600 merged/file" } },
	{ .name = "metacopy, copied up",
	  .make = { OVER("lowerdir=lower" META), "chmod 600 merged/file",
		    ": >>merged/file" } },
	{ .name = "redirected",
	  .make = { "mkdir lower/folder", "mv lower/file lower/folder",
		    OVER("lowerdir=lower,redirect_dir=on"),
		    "mv merged/folder merged/other" },
	  .file = "other/file" },
	{ .name = "overlay below",
	  .make = { "mkdir first empty",
		    "mount -t overlay none first -o lowerdir=lower:empty",
		    OVER("lowerdir=first") } },
	{ .name = "tmpfs above",
	  .make = { "mount -t tmpfs none upper", "mkdir upper/upper upper/work",
		    "mount -t overlay none merged -o " IN_UPPER,
		    ": >>merged/file" },
	  .memory = true },
	{ .name = "verity",
	  .make = { "truncate -s 16M image",
		    "mkfs.ext4 -q -b 4096 -O verity image", "mkdir verity",
		    "mount -o loop image verity", "mv lower/file verity",
		    OVER("lowerdir=verity") },
	  .verity = true },
	{ .name = "O_DIRECT", .make = { OVER("lowerdir=lower") }, .direct = true,
	  .asked = true },
	{ .name = "FUSE below",
	  .make = { "mkdir fuse", "bindfs lower fuse", OVER("lowerdir=fuse") },
	  .asked = true },
};

FIXTURE(overlay)
{
	struct watch watch;
	char folder[200];
	int device;
};

static void in_folder(FIXTURE_DATA(overlay) *self, const char *what)
{
	if (run("cd %s && { %s; }", self->folder, what))
		die("%s", what);
}

FIXTURE_SETUP(overlay)
{
	watch_begin(&self->watch);
	self->device = device_open();
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a mount namespace");
	snprintf(self->folder, sizeof(self->folder), "%s/overlay", directory(EXT4));
}

FIXTURE_TEARDOWN(overlay)
{
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void chill(void)
{
	if (run("sync; echo 1 > /proc/sys/vm/drop_caches"))
		die("drop_caches");
}

/* The file, as a server would have it. */
static struct file make_file(FIXTURE_DATA(overlay) *self, const struct kind *kind)
{
	struct file file = {
		.filesystem = MEMFD, .seed = SEED, .size = kind->size ?: SIZE,
	};
	char path[300];
	size_t i;

	if (run("mkdir %s", self->folder))
		die("mkdir");
	in_folder(self, "mkdir lower upper work merged");
	snprintf(path, sizeof(path), "%s/lower/file", self->folder);
	file.rw = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file.rw < 0)
		die("make a file");
	file_write(&file, 0, file.size, SEED);
	close(file.rw);
	for (i = 0; kind->make[i]; i++)
		in_folder(self, kind->make[i]);
	snprintf(path, sizeof(path), "%s/merged/%s", self->folder, kind->file ?: "file");
	file.fd = open(path, O_RDONLY | O_CLOEXEC |
			     (kind->direct ? O_DIRECT : 0));
	if (file.fd < 0)
		die("open %s", path);
	file.rw = -1;
	return file;
}

static void undo(FIXTURE_DATA(overlay) *self, struct file *file)
{
	const char *const places[] = { "merged", "fuse", "first", "verity", "upper" };
	size_t i;

	close(file->fd);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (run("cd %s && { ! mountpoint -q %s || umount %s; }",
			self->folder, places[i], places[i]))
			die("unmount %s", places[i]);
	in_folder(self, "while pgrep -x bindfs; do sleep 0.1; done");
	if (run("rm -r %s", self->folder))
		die("rm");
}

static void enable_verity(FIXTURE_DATA(overlay) *self)
{
	struct fsverity_enable_arg argument = {
		.version = 1,
		.hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = PAGE,
	};
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/verity/file", self->folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, FS_IOC_ENABLE_VERITY, &argument))
		die("protect %s", path);
	close(fd);
}

TEST_F(overlay, every_kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];
		struct zcopy_completion done;
		struct file file;
		struct part part;

		if (kind->verity && access("/sys/fs/ext4/features/verity", F_OK)) {
			TH_LOG("this kernel has no fs-verity");
			continue;
		}
		TH_LOG("%s", kind->name);
		file = make_file(self, kind);
		if (kind->verity)
			enable_verity(self);
		part = of_file(&file, 5, SIZE - 5);
		/* Not in memory: a disk has to be asked, and is not. */
		chill();
		EXPECT_STREQ("", deliver(self->device, UNIX, &part, 1,
					 ZCOPY_NODISKIO, &done));
		EXPECT_EQ(kind->memory ? 0 : -EBUSY, done.error);
		EXPECT_STREQ("", deliver(self->device, TCP4, &part, 1, 0, &done));
		EXPECT_EQ(SIZE - 5, done.bytes);
		EXPECT_EQ(0, done.error);
		/* In memory: it is seen without asking. */
		EXPECT_STREQ("", deliver(self->device, UNIX, &part, 1,
					 ZCOPY_NODISKIO, &done));
		EXPECT_EQ(kind->asked ? -EBUSY : 0, done.error);
		EXPECT_EQ(kind->asked ? 0 : SIZE - 5, done.bytes);
		chill();
		{
			struct cursor cursor = { .parts = &part, .nr = 1 };
			struct pair pair;

			pair_open(&pair, TCP4, 0);
			submit_one(self->device, pair.tx, &part, i);
			EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE - 5));
			EXPECT_STREQ("", cursor_verdict(&cursor, SIZE - 5));
			EXPECT_STREQ("", completes(self->device, i, SIZE - 5, 0, 0));
			pair_close(&pair);
		}
		undo(self, &file);
	}
}

/* Who writes through a mapping has nothing open but the file below. */
TEST_F(overlay, lease_beside_a_mapping)
{
	const struct kind kind = { .make = { OVER("lowerdir=lower") } };
	struct zcopy_completion done;
	struct file file = make_file(self, &kind);
	struct part part;
	char path[300];
	char *map;

	snprintf(path, sizeof(path), "%s/merged/file", self->folder);
	file.rw = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, file.rw);
	map = file_map(&file);
	close(file.rw);
	part = of_file(&file, 0, SIZE);
	EXPECT_STREQ("refused: Resource temporarily unavailable",
		     deliver(self->device, UNIX, &part, 1, ZCOPY_LEASE, &done));
	munmap(map, SIZE);
	EXPECT_STREQ("", deliver(self->device, UNIX, &part, 1, ZCOPY_LEASE | ZCOPY_SYNC,
				 &done));
	EXPECT_EQ(SIZE, done.bytes);
	undo(self, &file);
}

/*
 * In the middle of a transfer a file whose pages are sent, as its filesystem is a local
 * one, goes to one that is asked. What is there is written, as that one takes no copy.
 */
TEST_F(overlay, copied_up_to_where_it_is_asked)
{
	static const struct kind kind = {
		.make = { "truncate -s 32M image", "mkfs.minix -3 image >/dev/null",
			  "mount -t minix -o loop image upper", "mkdir upper/upper upper/work",
			  "mount -t overlay none merged -o " IN_UPPER },
		.size = 8 * MIB,
	};
	struct cursor cursor = { .nr = 1 };
	struct zcopy_completion done;
	struct file file;
	struct pair pair;
	struct part part;
	char path[300];

	if (run("modprobe -q minix"))
		SKIP(return, "this kernel has no minix");
	file = make_file(self, &kind);
	part = of_file(&file, 0, kind.size);
	cursor.parts = &part;
	/* Here only who reads makes room: all rests while the file is made anew. */
	pair_open(&pair, UNIX, BUFFER);
	submit_one(self->device, pair.tx, &part, 1);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 1));
	snprintf(path, sizeof(path), "%s/merged/file", self->folder);
	file.rw = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	ASSERT_LE(0, file.rw);
	file_write(&file, 0, kind.size, SEED);
	close(file.rw);
	EXPECT_STREQ("", deliver(self->device, UNIX, &part, 1, ZCOPY_NODISKIO, &done));
	EXPECT_EQ(-EBUSY, done.error);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, kind.size - 1));
	EXPECT_STREQ("", cursor_verdict(&cursor, kind.size));
	EXPECT_STREQ("", completes(self->device, 1, kind.size, 0, 0));
	pair_close(&pair);
	undo(self, &file);
}

TEST_HARNESS_MAIN
