// SPDX-License-Identifier: LGPL-2.1-or-later
/* Addresses, good and bad. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "address.h"

/* No page is smaller. */
#define PAGE_SIZE	4096

/* Of the kernel's signal sets. */
#define SET_SIZE	8

/* It reads the set before it sees that it is not told what to do with it. */
static bool is_readable_word(const char *word)
{
	return !syscall(SYS_rt_sigprocmask, -1, word, NULL, SET_SIZE) ||
	       errno != EFAULT;
}

bool zcopy_is_readable(const void *address, size_t size)
{
	const char *first = address;
	size_t at;

	for (at = 0; at < size - SET_SIZE; at += PAGE_SIZE)
		if (!is_readable_word(first + at))
			return false;
	return is_readable_word(first + size - SET_SIZE);
}

/* getcpu(2) writes two words, or one. */
bool zcopy_is_writable(void *address, size_t size)
{
	unsigned int *word = address;
	unsigned int *second = size > sizeof(*word) ? word + 1 : NULL;

	return !syscall(SYS_getcpu, word, second, NULL) || errno != EFAULT;
}
