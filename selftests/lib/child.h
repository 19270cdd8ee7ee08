/* SPDX-License-Identifier: GPL-2.0-only */
/* A process whose transfer is under way, for who stops it in between. */
#ifndef CHILD_H
#define CHILD_H

#include "peer.h"

/* Submits the part, and waits for all of it to be told. */
pid_t child_fork(int device, int socket, const struct part *part);
/* The same, of a part that waits for room by now. */
pid_t child_start(int device, int socket, const struct part *part);
/* Runs in a process that is traced, and stands before the ioctl that submits. */
pid_t child_trace(void (*run)(void *argument), void *argument);
/*
 * Reads until nothing is left, as one that stands still cannot fill it up again;
 * or until so many bytes have come.
 */
void child_drain(struct cursor *cursor, int fd, uint64_t most);
/* The rest of the part arrives, and the child is told so, and ends; or why not. */
const char *child_finish(pid_t child, struct cursor *cursor, int fd);
/* True when any process comes to its end; if not it is killed. */
bool await_end(pid_t process, int *status);

#endif /* CHILD_H */
