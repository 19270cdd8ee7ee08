/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the preload shim share. */
#ifndef ZCOPY_PRELOAD_H
#define ZCOPY_PRELOAD_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * What programs see. <sys/sendfile.h> gives one of the two the other's name
 * where off_t has 64 bits, so it cannot be used.
 */
#pragma GCC visibility push(default)
ssize_t sendfile(int out, int in, off_t *offset, size_t count);
ssize_t sendfile64(int out, int in, off_t *offset, size_t count);
#pragma GCC visibility pop

/* summary.c; all but the first may be called from anywhere */
void summary_begin(void);
void summary_call(void);
/* The target took so many bytes through the device. */
void summary_sent(size_t bytes, bool copied);
/* For this errno the call went to the system call, which returned that. */
void summary_fell_back(int reason, ssize_t result);

/* mount.c; from anywhere. Is it a file of FUSE, or nobody says? */
bool mount_may_be_fuse(int fd);

#endif /* ZCOPY_PRELOAD_H */
