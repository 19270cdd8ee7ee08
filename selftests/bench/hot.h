/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOT_H
#define HOT_H

#include <stddef.h>

/* hot.c: each ends the program when something fails. */
int make_file(const char *folder, const char *name, size_t size);
void warm_file(int fd, size_t size);

#endif /* HOT_H */
