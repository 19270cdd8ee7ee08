// SPDX-License-Identifier: GPL-2.0-only
/* A mount of overlayfs, with both layers on ext4. */
#include "overlay.h"

#define LAYERS	"lowerdir=lower,upperdir=upper,workdir=work"

static pid_t maker;
static char place[200];

static void overlay_remove(void)
{
	if (getpid() == maker && run("umount %s/merged && rm -r %s", place, place))
		die("remove the overlay");
}

void overlay_make(void)
{
	snprintf(place, sizeof(place), "%s/overlay", directory(EXT4));
	if (run("mkdir %s && cd %s && mkdir lower upper work merged", place, place) ||
	    run("cd %s && mount -t overlay none merged -o " LAYERS, place))
		die("mount an overlay");
	maker = getpid();
	if (setenv("ZCOPY_TESTDIR_OVERLAY", place, 1) || atexit(overlay_remove))
		die("arrange for the overlay");
}
