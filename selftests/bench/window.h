/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The marks around what is measured: long NOPs whose unused displacement no
 * compiler would write. counter.c finds them in the code of the measured
 * program; without the plugin they do nothing.
 */
#ifndef WINDOW_H
#define WINDOW_H

#define WINDOW_BEGIN	0x7a630001
#define WINDOW_END	0x7a630002

/* nopl displacement(%rax,%rax): four bytes, then the displacement. */
#define WINDOW_OPCODE	0x00841f0f

/* A displacement must be known when this is compiled, so it is a macro. */
#define window_mark(which) ({						\
	__asm__ volatile(".long %c0, %c1"				\
			 : : "i" (WINDOW_OPCODE), "i" (which) : "memory"); \
})

static inline void window_begin(void)
{
	window_mark(WINDOW_BEGIN);
}

static inline void window_end(void)
{
	window_mark(WINDOW_END);
}

#endif /* WINDOW_H */
