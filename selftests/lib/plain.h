/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A send(2) on a thread of its own, of more than there is room for: over kernel TLS
 * it has a lock all the while that sending needs.
 */
#ifndef PLAIN_H
#define PLAIN_H

#include "common.h"

struct plain {
	pthread_t thread;
	pid_t tid;		/* atomic; 0 before it is about to send */
	int socket;
	const char *bytes;
	size_t len;
	ssize_t sent;		/* what the call returned */
};

void plain_start(struct plain *plain, int socket, const char *bytes, size_t len);
/* True when it has come to wait for room. */
bool plain_blocked(struct plain *plain);
void plain_finish(struct plain *plain);

#endif /* PLAIN_H */
