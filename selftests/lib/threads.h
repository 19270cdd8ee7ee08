/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads of a process, the module's workers among them. */
#ifndef THREADS_H
#define THREADS_H

#include "common.h"

#define HOT_WORKER	"zcopy"
#define COLD_WORKER	"zcopy-disk"

/* How many of this name a process has; of any, if that is NULL. */
unsigned int threads(pid_t process, const char *name);
/* Is it a thread of the process, of this name? */
bool is_thread(pid_t process, pid_t thread, const char *name);
/* How many of this name, in any process, sleep for a disk or a server. */
unsigned int threads_at_disk(const char *name);
/* True when the process comes to have so many. */
bool await_threads(pid_t process, const char *name, unsigned int nr);
/* A thread of this name, or 0. */
pid_t thread_of(pid_t process, const char *name);
/* True when the thread comes to be in a state of proc_pid_stat(5) ... */
bool await_state(pid_t thread, char state);
/* ... and when all threads of the process do. */
bool await_all(pid_t process, char state);

#endif /* THREADS_H */
