/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KERNEL_BUG_H
#define KERNEL_BUG_H

#include <stdio.h>
#include <stdlib.h>

/* What the kernel would complain of ends the program. */
#define WARN_ON_ONCE(condition) ({					\
	int complains = !!(condition);					\
									\
	if (complains) {						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
		fflush(stdout);						\
		abort();						\
	}								\
	complains;							\
})

#endif /* KERNEL_BUG_H */
