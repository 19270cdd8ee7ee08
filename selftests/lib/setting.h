/* SPDX-License-Identifier: GPL-2.0-only */
/* A setting of the kernel's that is another one for a while; one in a program. */
#ifndef SETTING_H
#define SETTING_H

#include "common.h"

/* By main(): it is what it was when the program exits, whatever becomes of a test. */
void setting_keep(const char *path);
/* From now on it is this ... */
void setting_set(const char *text);
/* ... until now. */
void setting_restore(void);

#endif /* SETTING_H */
