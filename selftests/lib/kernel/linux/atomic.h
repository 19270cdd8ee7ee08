/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What module/state.h asks of the kernel, for programs: atomic operations that
 * let the program say what happens before each of them.
 */
#ifndef KERNEL_ATOMIC_H
#define KERNEL_ATOMIC_H

#include <stdbool.h>

struct atomic {
	int counter;
};

#define atomic_t	struct atomic

/* The program's: before each operation; and when one takes place that is ordered. */
void atomic_step(void);
void atomic_order(void);

static inline int atomic_read(const atomic_t *v)
{
	atomic_step();
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

/* Ordered as in the kernel: fully if it took place, else not at all. */
static inline bool atomic_try_cmpxchg(atomic_t *v, int *old, int new)
{
	atomic_step();
	if (__atomic_load_n(&v->counter, __ATOMIC_RELAXED) == *old)
		atomic_order();
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

#endif /* KERNEL_ATOMIC_H */
