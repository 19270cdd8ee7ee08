/* SPDX-License-Identifier: GPL-2.0-only */
/* Of the kernel itself the program's compiler is told. */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

#define KERNEL_VERSION(a, b, c)	(((a) << 16) + ((b) << 8) + (c))

#endif /* KERNEL_VERSION_H */
