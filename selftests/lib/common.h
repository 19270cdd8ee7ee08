/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every other helper stands on: how to wait, and how to give up.
 *
 * kselftest_harness.h may be included once in a program, so no object of this
 * folder uses it. A helper that judges returns a text, "" when all is well, for
 * EXPECT_STREQ(); one that cannot go on says why and aborts the test.
 */
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* On an emulated processor of a busy machine all takes its time. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	200
#endif

#define KIB	1024ULL
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)
#define PAGE	4096ULL

#define ALL_OF(array)	(array), sizeof(array) / sizeof((array)[0])

/* How many times slower than usual the kernel is, as the runner says. */
int slowdown(void);

/* Longest wait for something that must happen; ends only tests that fail. */
#define PATIENCE_MS	(60000 * slowdown())

#define die(format, ...) do {						\
	printf("# %s:%d: " format " (errno: %s)\n", __FILE__, __LINE__,	\
	       ##__VA_ARGS__, strerror(errno));				\
	fflush(stdout);							\
	abort();							\
} while (0)

/* Between two looks at a condition: a moment, or false when it took too long. */
bool patience(uint64_t *since);

/* True when the event came in time. */
bool await(int fd, short events);
/* True while the process or thread sleeps and can be interrupted ... */
bool sleeps(pid_t tid);
/* ... or when it comes to. */
bool await_sleep(pid_t tid);

/* 0 when the shell command ran and succeeded. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* False when the file, one of the kernel's own, does not take it. */
bool write_text(const char *path, const char *text);

/* The file of a descriptor, opened anew; or -1. */
int open_again(int fd, int flags);

/* Allow this process so many descriptors. */
void descriptors_allow(size_t nr);

/* Runs in a process of its own; its exit status, or -1. */
int as_child(int (*work)(void *argument), void *argument);
/* From now on the process is that user's, and of no other group. */
void become(uid_t user);
/* The same, of a user. */
int as_user(uid_t user, int (*work)(void *argument), void *argument);

/*
 * How often something is tried that is tried so often usually: less in a slow
 * kernel, and ten times that in a full run.
 */
unsigned int how_often(unsigned int usual);

#endif /* COMMON_H */
