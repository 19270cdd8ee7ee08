/* SPDX-License-Identifier: GPL-2.0-only */
/* Every kind of descriptor that a program may give to sendfile(). */
#ifndef ENDS_H
#define ENDS_H

#include "common.h"

/* A descriptor to call with, and one where its bytes come out, or -1. */
struct end {
	int fd;
	int far;
};

/* What is sent from, and to; {} ends the lists. */
struct kind {
	const char *name;
	void (*make)(struct end *end);
	bool served;	/* by the device, if the other side is too */
	bool usual;	/* to be tried with all there are on the other side */
};

#define END_SIZE	20011	/* of files to send from */
#define END_BYTES	1000	/* pipes and sockets to send from have so many */

extern const struct kind preload_ins[], preload_outs[];
const struct kind *kind_named(const struct kind *kinds, const char *name);
void ends_begin(void);
/* "" when the files that were sent from are as they were. */
const char *ends_finish(void);

#endif /* ENDS_H */
