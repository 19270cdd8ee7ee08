/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel that module/compat.h is compiled for here is one that it takes. */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

#define KERNEL_VERSION(a, b, c)	\
	(((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE	KERNEL_VERSION(6, 12, 255)
#define CONFIG_VHOST_TASK	1
#define CONFIG_64BIT		1

#endif /* KERNEL_VERSION_H */
