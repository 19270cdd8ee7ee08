/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Addresses that a system call would report with EFAULT, where a function of a
 * library gets a segmentation fault. The kernel is made to look.
 */
#ifndef ZCOPY_ADDRESS_H
#define ZCOPY_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Can all of it be read? At least 8 bytes. */
bool zcopy_is_readable(const void *address, size_t size);
/* Can all of it, 4 or 8 bytes, be written? What was there may be lost. */
bool zcopy_is_writable(void *address, size_t size);

#endif /* ZCOPY_ADDRESS_H */
