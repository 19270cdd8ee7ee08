// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk whose reads can be held up or fail: a loop device on a file, the device
 * mapper on top of it, ext4 without a journal on top of that.
 */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "call.h"
#include "disk.h"
#include "threads.h"

#define NAME	"zcopy_disk"
#define NODE	"/dev/mapper/" NAME
#define SIZE	(64 * MIB)
#define SECTOR	512ULL

/* Nobody but dmsetup makes the nodes. */
#define DMSETUP	"dmsetup --noudevsync "

static char loop[64];		/* the loop device */
static char place[200];		/* where the disk is mounted */
static char image[200];

static pid_t maker;
static bool broken;

static void must(bool done, const char *what)
{
	if (!done)
		die("cannot %s", what);
}

static void find_loop(void)
{
	char command[300];
	FILE *output;

	must(!run("modprobe loop && modprobe dm-mod"), "load the drivers");
	snprintf(command, sizeof(command), "losetup --find --show %s", image);
	output = popen(command, "re");
	must(output && fgets(loop, sizeof(loop), output) && !pclose(output),
	     "make a loop device");
	loop[strcspn(loop, "\n")] = 0;
}

static void disk_remove(void)
{
	if (getpid() != maker)
		return;
	disk_resume();
	must(!run("umount %s", place) &&
	     !run(DMSETUP "remove --retry " NAME) &&
	     !run("losetup --detach %s && rm %s && rmdir %s", loop, image,
		  place), "remove the disk");
}

void disk_make(void)
{
	snprintf(image, sizeof(image), "%s/disk", directory(XFS));
	snprintf(place, sizeof(place), "%s/mnt", directory(XFS));
	must(!run("truncate -s %llu %s && mkdir %s", SIZE, image, place),
	     "make the image");
	find_loop();
	must(!run(DMSETUP "create " NAME " --table '0 %llu linear %s 0'",
		  SIZE / SECTOR, loop) && !run(DMSETUP "mknodes " NAME),
	     "make the device");
	/* As the other disks: newer kernels have it read ahead much more. */
	must(!run("echo 128 >/sys/block/$(dmsetup info -c --noheadings -o blkdevname " NAME
		  ")/queue/read_ahead_kb"), "set its readahead");
	must(!run("mkfs.ext4 -q -O ^has_journal -b 4096 " NODE) &&
	     !run("mount -t ext4 -o noatime " NODE " %s", place),
	     "mount the disk");
	maker = getpid();
	if (setenv("ZCOPY_TESTDIR_EXT4", place, 1) || atexit(disk_remove))
		die("arrange for the disk");
}

/* What dmsetup does, without a process each time. */
static void set_suspended(uint32_t flags)
{
	struct dm_ioctl request = {
		.version = { DM_VERSION_MAJOR },
		.data_size = sizeof(request),
		.flags = flags,
		.name = NAME,
	};
	int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	if (control < 0 || ioctl(control, DM_DEV_SUSPEND, &request))
		die("suspend or resume the disk");
	close(control);
}

void disk_suspend(void)
{
	set_suspended(DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

void disk_resume(void)
{
	set_suspended(0);
}

static void load_table(const char *table)
{
	must(!run("printf '%s' | " DMSETUP "load " NAME, table),
	     "change the device");
	disk_suspend();
	disk_resume();		/* with the new table */
}

void disk_mend(void)
{
	char table[200];

	if (!broken)
		return;
	broken = false;
	snprintf(table, sizeof(table), "0 %llu linear %s 0", SIZE / SECTOR,
		 loop);
	load_table(table);
}

/* Where on the disk the page of a file is. */
static uint64_t find_page(const struct file *file, uint64_t offset)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} where = {
		.map = {
			.fm_start = offset,
			.fm_length = PAGE,
			.fm_flags = FIEMAP_FLAG_SYNC,
			.fm_extent_count = 1,
		},
	};

	if (ioctl(file->rw, FS_IOC_FIEMAP, &where) ||
	    where.map.fm_mapped_extents != 1)
		die("find the page at %llu", (unsigned long long)offset);
	return where.extent.fe_physical + offset - where.extent.fe_logical;
}

void disk_break(const struct file *file, uint64_t offset)
{
	uint64_t bad = find_page(file, offset) / SECTOR;
	uint64_t after = bad + PAGE / SECTOR;
	char table[400];

	snprintf(table, sizeof(table),
		 "0 %llu linear %s 0\\n%llu %llu error\\n%llu %llu linear %s %llu\\n",
		 (unsigned long long)bad, loop, (unsigned long long)bad,
		 PAGE / SECTOR, (unsigned long long)after,
		 (unsigned long long)(SIZE / SECTOR - after), loop,
		 (unsigned long long)after);
	broken = true;
	load_table(table);
}

bool disk_await_readers(unsigned int nr)
{
	int device = device_open();
	struct zcopy_stats stats;
	bool reached = false;
	int tries;

	for (tries = 0; tries < PATIENCE_MS / 10 && !reached; tries++) {
		device_stats(device, ZCOPY_STATS_MODULE, &stats);
		reached = stats.reads + threads_at_disk(COLD_WORKER) >= nr;
		if (!reached)
			poll(NULL, 0, 10);
	}
	close(device);
	return reached;
}
