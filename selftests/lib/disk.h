/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk whose reads can be held up or fail: ext4 on a device of the device
 * mapper, one for the whole program, made by its main() and removed when it
 * exits. Files are made on it as EXT4 files.
 */
#ifndef DISK_H
#define DISK_H

#include "content.h"

void disk_make(void);
/* From now on reads wait ... */
void disk_suspend(void);
/* ... until now. */
void disk_resume(void);
/* From now on the page of the file at the offset cannot be read ... */
void disk_break(const struct file *file, uint64_t offset);
/* ... until now. */
void disk_mend(void);
/* True when nr reads of transfers come to wait for the disk, with a thread or not. */
bool disk_await_readers(unsigned int nr);

#endif /* DISK_H */
