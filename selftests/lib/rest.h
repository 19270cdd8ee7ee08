/* SPDX-License-Identifier: GPL-2.0-only */
/* How often the module looks at what waits, as its trace events tell. */
#ifndef REST_H
#define REST_H

#include "common.h"

/* From here on waits are counted; for the whole machine. */
void rest_begin(void);
void rest_end(void);
/*
 * True when nr transfers that wait come to rest: hardly one of them is looked at
 * in half a second, once it has been seen some times that nothing has changed.
 */
bool comes_to_rest(unsigned int nr);
/* The same, but none of them is looked at twice in so many milliseconds. */
bool rests(unsigned int nr, unsigned int window);

#endif /* REST_H */
