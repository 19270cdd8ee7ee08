/* SPDX-License-Identifier: GPL-2.0-only */
/* responder.c: a server of one thread, for latency.c. */
#ifndef RESPONDER_H
#define RESPONDER_H

#include <stddef.h>

/* A request is one of these bytes; the response a header and the file. */
#define REQUEST_HOT	'h'
#define REQUEST_COLD	'c'
#define HEADER		256

struct content {
	int fd;
	size_t size;
};

/* sendfile(2) is asked for all that is left of a file, or for 2 MiB a turn. */
enum method { SENDFILE_WHOLE, SENDFILE_TURNS, QUEUE, METHODS };

/* Serves until it is killed. */
_Noreturn void respond(int listener, struct content hot, struct content cold,
		       enum method method);

#endif /* RESPONDER_H */
