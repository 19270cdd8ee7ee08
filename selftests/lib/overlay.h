/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mount of overlayfs, one for the whole program, made by its main() and removed
 * when it exits. Files are made there as OVERLAY files, which are in its upper
 * layer, or as OVERLAY_LOWER files, which are in the lower one and never copied
 * up. Both layers are where EXT4 files are made.
 */
#ifndef OVERLAY_H
#define OVERLAY_H

#include "content.h"

/* After disk_make(), if there is that. */
void overlay_make(void);

#endif /* OVERLAY_H */
