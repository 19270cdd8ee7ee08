/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places that files are sent from: one for each filesystem, or way to open a
 * file, that the documentation has a row for. They are mounted for this process
 * and its children alone.
 */
#ifndef PLACE_H
#define PLACE_H

#include "content.h"

enum place_id {
	PLACE_NFS,	/* first: its server lets nobody open a file for 10 s */
	PLACE_EXT4,
	PLACE_EXT4_ENCRYPTED,
	PLACE_EXT4_DIRECT,
	PLACE_XFS,
	PLACE_XFS_DIRECT,
	PLACE_TMPFS,
	PLACE_RAMFS,
	PLACE_BTRFS,
	PLACE_BTRFS_COMPRESSED,
	PLACE_VFAT,
	PLACE_ISO9660,
	PLACE_SQUASHFS,
	PLACE_EROFS,
	PLACE_OVERLAY_UPPER,
	PLACE_OVERLAY_LOWER,
	PLACE_FUSE,
	PLACE_9P,
	PLACES,
};

/**
 * struct place - where a file is sent from
 * @name:       for place.sh and people
 * @filesystem: as /proc/filesystems calls it
 * @cached:     the page-cache source serves its files, not the universal one
 * @writable:   files there can be made and changed
 * @direct:     its files are opened with O_DIRECT
 */
struct place {
	const char *name;
	const char *filesystem;
	bool cached;
	bool writable;
	bool direct;
};

extern const struct place places[PLACES];

/*
 * Make a place with a file that holds size bytes of the pattern and is not in
 * the page cache. "", or why this kernel has no such place; aborts if it should
 * have one. To be called before the test harness; undone when the process ends.
 */
const char *place_make(enum place_id id, uint64_t size, uint32_t seed);
/* What place_make() said of it. */
const char *place_missing(enum place_id id);
/* The path of its file, for as long as nobody asks for the next one. */
const char *place_path(enum place_id id);
/* Its file, open for reading. */
struct file place_open(enum place_id id);
/* Another, empty file in a writable place, open for both. */
struct file place_create(enum place_id id);
void place_close(struct file *file);

#endif /* PLACE_H */
