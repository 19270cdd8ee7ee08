/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's coming and going. */
#ifndef LOADING_H
#define LOADING_H

#include "common.h"

/* 0 or -errno; waits for what the module has to wait for. */
int module_unload(void);
/* The same when somebody is about to let go of the device. */
int module_unload_soon(void);
int module_load(void);

#endif /* LOADING_H */
