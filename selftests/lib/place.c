// SPDX-License-Identifier: GPL-2.0-only
/* Filesystems to send files from, made and mounted for the test alone. */
#include <fcntl.h>
#include <linux/fscrypt.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "place.h"

const struct place places[PLACES] = {
	[PLACE_NFS] = { "nfs", "nfs4", .writable = true },
	[PLACE_EXT4] = { "ext4", "ext4", .cached = true, .writable = true },
	[PLACE_EXT4_ENCRYPTED] = { "ext4-encrypted", "ext4", .cached = true },
	[PLACE_EXT4_DIRECT] = { "ext4-direct", "ext4", .direct = true },
	[PLACE_XFS] = { "xfs", "xfs", .cached = true, .writable = true },
	[PLACE_XFS_DIRECT] = { "xfs-direct", "xfs", .direct = true },
	[PLACE_TMPFS] = { "tmpfs", "tmpfs", .cached = true, .writable = true },
	[PLACE_RAMFS] = { "ramfs", "ramfs", .cached = true, .writable = true },
	[PLACE_BTRFS] = { "btrfs", "btrfs", .cached = true, .writable = true },
	[PLACE_BTRFS_COMPRESSED] = { "btrfs-compressed", "btrfs", .cached = true,
				     .writable = true },
	[PLACE_VFAT] = { "vfat", "vfat", .cached = true },
	[PLACE_ISO9660] = { "iso9660", "iso9660", .cached = true },
	[PLACE_SQUASHFS] = { "squashfs", "squashfs", .cached = true },
	[PLACE_EROFS] = { "erofs", "erofs", .cached = true },
	[PLACE_OVERLAY_UPPER] = { "overlay-upper", "overlay", .cached = true,
				  .writable = true },
	[PLACE_OVERLAY_LOWER] = { "overlay-lower", "overlay", .cached = true,
				  .writable = true },
	[PLACE_FUSE] = { "fuse", "fuse", .writable = true },
	[PLACE_9P] = { "9p", "9p", .writable = true },
};

static pid_t maker;
static bool made[PLACES];
static uint64_t sizes[PLACES];
static uint32_t seeds[PLACES];
static char base[200];

/* Have the script make a place, or undo it. */
static int script(enum place_id id, const char *verb)
{
	return run("./lib/place.sh %s %s %s %s/source", verb,
		   places[id].name, base, directory(XFS));
}

static void must(bool done, const char *what, const char *name)
{
	if (!done)
		die("cannot %s %s", what, name);
}

static void remove_all(void)
{
	int id;

	if (getpid() != maker)
		return;
	for (id = PLACES; id--; ) {
		if (!made[id])
			continue;
		must(!run("umount %s/%s/place", base, places[id].name) &&
		     !script(id, "undo"), "undo", places[id].name);
	}
	must(!run("umount %s/stage && rm -r %s %s/source", base, base,
		  directory(XFS)), "remove", base);
}

static void prepare(void)
{
	maker = getpid();
	snprintf(base, sizeof(base), "%s/source", directory(EXT4));
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a mount namespace");
	must(!run("modprobe -q loop; mkdir -p %s/stage %s/source && mount -t tmpfs none %s/stage",
		  base, directory(XFS), base), "make", base);
	if (atexit(remove_all))
		die("arrange for the end");
}

static bool kernel_has(enum place_id id)
{
	const char *filesystem = places[id].filesystem;

	return !run("modprobe -q %s; grep -qw %s /proc/filesystems", filesystem,
		    filesystem) &&
	       (id != PLACE_EXT4_ENCRYPTED ||
		!access("/sys/fs/ext4/features/encryption", F_OK));
}

/* The folder's new files are encrypted from now on. */
static void encrypt(const char *folder)
{
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};
	struct {
		struct fscrypt_add_key_arg argument;
		char key[64];
	} add = {
		.argument = {
			.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
			.raw_size = sizeof(add.key),
		},
		.key = "no secret",
	};
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, &add))
		die("add a key to %s", folder);
	memcpy(policy.master_key_identifier,
	       add.argument.key_spec.u.identifier,
	       sizeof(policy.master_key_identifier));
	if (ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy))
		die("make %s an encrypted folder", folder);
	close(fd);
}

const char *place_missing(enum place_id id)
{
	static char text[100];

	if (made[id])
		return "";
	snprintf(text, sizeof(text), "this kernel has no %s", places[id].name);
	return text;
}

const char *place_make(enum place_id id, uint64_t size, uint32_t seed)
{
	const struct place *place = &places[id];
	struct file content = { .filesystem = MEMFD };
	char path[300];

	if (!maker)
		prepare();
	if (!kernel_has(id))
		return place_missing(id);
	snprintf(path, sizeof(path), "%s/stage/content", base);
	content.rw = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (content.rw < 0)
		die("make %s", path);
	file_write(&content, 0, size, seed);
	close(content.rw);

	must(!run("mkdir -p %s/%s/place", base, place->name) && !script(id, "make"),
	     "make", place->name);
	made[id] = true;
	sizes[id] = size;
	seeds[id] = seed;
	if (id == PLACE_EXT4_ENCRYPTED) {
		snprintf(path, sizeof(path), "%s/%s/place/folder", base,
			 place->name);
		must(!run("mkdir %s", path), "make", path);
		encrypt(path);
		must(!run("cp %s/stage/content %s/", base, path), "fill", path);
	}
	must(!run("sync && echo 3 >/proc/sys/vm/drop_caches"), "chill",
	     place->name);
	return "";
}

const char *place_path(enum place_id id)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s/place/%scontent", base,
		 places[id].name, id == PLACE_EXT4_ENCRYPTED ? "folder/" : "");
	return path;
}

struct file place_open(enum place_id id)
{
	const int direct = places[id].direct ? O_DIRECT : 0;
	struct file file = {
		.filesystem = MEMFD, .seed = seeds[id], .size = sizes[id],
		.rw = -1,
	};

	file.fd = open(place_path(id), O_RDONLY | O_CLOEXEC | direct);
	if (file.fd < 0)
		die("open %s", place_path(id));
	return file;
}

struct file place_create(enum place_id id)
{
	struct file file = { .filesystem = MEMFD, .seed = seeds[id] };
	char path[300];

	/* Who serves files over NFS makes them beside it. */
	must(!run("umask 0 && : >%s/%s/%s/created-%d", base, places[id].name,
		  id == PLACE_NFS ? "export" : "place", getpid()),
	     "make a file in", places[id].name);
	snprintf(path, sizeof(path), "%s/%s/place/created-%d", base,
		 places[id].name, getpid());
	file.rw = open(path, O_RDWR | O_CLOEXEC);
	file.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file.rw < 0 || file.fd < 0)
		die("open %s", path);
	return file;
}

void place_close(struct file *file)
{
	close(file->fd);
	if (file->rw >= 0)
		close(file->rw);
}
