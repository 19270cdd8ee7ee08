/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that is late in coming: who touches it sleeps, with all that he holds.
 */
#ifndef LATE_H
#define LATE_H

#include "common.h"

struct late {
	int fd;			/* a userfaultfd */
	char *memory;
	size_t size;
};

/* By a process that has the rights to hold up the kernel; whole pages. */
void late_make(struct late *late, size_t size);
/* True when so many more pages come to be waited for. */
bool late_await(struct late *late, unsigned int nr);
/* Here it is, all zero. */
void late_come(struct late *late);
void late_close(struct late *late);

#endif /* LATE_H */
