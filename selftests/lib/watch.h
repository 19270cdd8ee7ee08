/* SPDX-License-Identifier: GPL-2.0-only */
/* Nothing may be left behind: descriptors, folios, kernel messages. */
#ifndef WATCH_H
#define WATCH_H

#include "common.h"

struct watch {
	int descriptors;
	int kmsg;
};

void watch_begin(struct watch *watch);
const char *watch_end(struct watch *watch);

#endif /* WATCH_H */
