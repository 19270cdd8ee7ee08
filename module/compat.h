/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels zcopy supports; no other file asks for a
 * version.
 */
#ifndef ZCOPY_COMPAT_H
#define ZCOPY_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "zcopy needs Linux 6.12 or newer"
#endif

#ifndef CONFIG_VHOST_TASK
#error "zcopy needs a kernel with CONFIG_VHOST_TASK, as any with KVM or vhost has it"
#endif

#ifndef CONFIG_64BIT
#error "zcopy needs a 64-bit kernel: its counters are 64-bit words"
#endif

#endif /* ZCOPY_COMPAT_H */
