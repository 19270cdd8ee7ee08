/* SPDX-License-Identifier: GPL-2.0-only */
/* Parameters of the module. */
#ifndef PARAMETER_H
#define PARAMETER_H

#include "common.h"

/* 0 or -errno. */
int parameter_set_text(const char *name, const char *text);
int parameter_set(const char *name, unsigned int value);
unsigned int parameter_get(const char *name);

#endif /* PARAMETER_H */
