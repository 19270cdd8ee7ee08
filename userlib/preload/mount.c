// SPDX-License-Identifier: LGPL-2.1-or-later
/* The filesystem of a file, looked up once for each mount. */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include "preload.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE	0x4000U	/* Linux 6.8 */
#endif

#define MOUNTS	64U

/* Each has the number of a mount, which no other one ever gets, and the answer. */
static atomic_ulong known[MOUNTS];

/* 1, 0, or -1: it does not say, as a server of FUSE need not. */
static int ask(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) ? -1 : fs.f_type == FUSE_SUPER_MAGIC;
}

bool mount_may_be_fuse(int fd)
{
	atomic_ulong *place;
	struct statx stat;
	unsigned long before;
	int answer;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_MNT_ID_UNIQUE, &stat) < 0 ||
	    !(stat.stx_mask & STATX_MNT_ID_UNIQUE))
		return ask(fd);
	place = &known[stat.stx_mnt_id % MOUNTS];
	before = atomic_load_explicit(place, memory_order_relaxed);
	if (before >> 1 == stat.stx_mnt_id)
		return before & 1;
	answer = ask(fd);
	if (answer >= 0)
		atomic_store_explicit(place, stat.stx_mnt_id << 1 | (unsigned int)answer,
				      memory_order_relaxed);
	return answer;
}
