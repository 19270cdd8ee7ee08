/* SPDX-License-Identifier: GPL-2.0-only */
/* A filesystem whose server answers everything but reads and writes. */
#ifndef HUNG_H
#define HUNG_H

#include "common.h"

struct hung {
	int server;		/* descriptor of /dev/fuse, its only one */
	int fd;			/* the open file, of 1 GiB */
	unsigned int asked;	/* atomic; reads and writes that nobody answers */
	pid_t thread;		/* of the last of them, as the server is told ... */
	uid_t user;		/* ... and, atomic, whose it is */
};

/*
 * In a mount namespace of the process's own, served by a thread of it, for as
 * long as the process lives.
 */
void hung_make(struct hung *hung);
/* True when the server comes to have been asked so often to read or write. */
bool hung_await(struct hung *hung, unsigned int nr);
/* ... at least once, the last time by this user. */
bool hung_await_user(struct hung *hung, uid_t user);

#endif /* HUNG_H */
