/* SPDX-License-Identifier: GPL-2.0-only */
/* Somebody who wants to change a file that is leased. */
#ifndef BREAKER_H
#define BREAKER_H

#include "content.h"

enum breaking { TRUNCATE, OPEN_WRITE, OPEN_TRUNCATE, BREAKINGS };

/* One that waits as long as it has to, on a thread of its own. */
struct breaker {
	pthread_t thread;
	const struct file *file;
	enum breaking how;
	pid_t tid;		/* atomic */
	int result;		/* 0 or -errno */
	bool done;		/* atomic */
};

void breaker_start(struct breaker *breaker, const struct file *file,
		   enum breaking how);
/* True when it has come to wait; false if it ended instead. */
bool breaker_waits(struct breaker *breaker);
bool breaker_ended(struct breaker *breaker);
/* Its result. */
int breaker_finish(struct breaker *breaker);
/* One that does not wait: 0 or -errno. */
int open_nonblocking(const struct file *file, int flags);

/* From now on nobody has the file open for writing. */
void file_seal(struct file *file);

#define BREAK_LONG	3600	/* seconds that no test lasts */

/* fs.lease-break-time, in seconds; what it was before. */
unsigned int break_time(unsigned int seconds);
/* BREAK_LONG until the program ends. */
void break_time_long(void);

#endif /* BREAKER_H */
