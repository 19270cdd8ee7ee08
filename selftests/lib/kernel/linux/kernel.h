/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdbool.h>
#include <stdio.h>

#endif /* KERNEL_KERNEL_H */
