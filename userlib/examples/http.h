/* SPDX-License-Identifier: GPL-2.0-only */
/* The little HTTP that both example servers speak: GET of files, keep-alive. */
#ifndef EXAMPLE_HTTP_H
#define EXAMPLE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define REQUEST_MAX	4096	/* bytes of a request's header */
#define RESPONSE_MAX	256	/* bytes of a response's header */

/*
 * A response: a header, then size bytes of a file. The size is promised in the
 * header, so it is what is sent even if the file has grown since.
 */
struct response {
	char header[RESPONSE_MAX];
	size_t header_length;
	int fd;			/* the caller has http_close() it; -1: no file */
	bool busy;		/* as there is no descriptor for it */
	unsigned long long size;
	bool close;		/* the connection ends behind it */
};

/* Listen on a TCP port of all addresses; exits with a message on failure. */
int http_listen(const char *port);

/* What to do when accept() has failed, by its errno. */
enum http_accept {
	ACCEPT_NEXT,	/* a client that is gone, or its network: the next one */
	ACCEPT_LATER,	/* descriptors or memory are short: clients can wait */
	ACCEPT_NEVER,
};

#define HTTP_LATER	100	/* milliseconds to the next try */

enum http_accept http_accept_failed(int error);

/*
 * Answer the first request in data[0..length): files below the folder root.
 * Returns the bytes of that request, 0 if it is not complete yet, -1 if it is
 * none.
 */
int http_answer(int root, const char *data, size_t length,
		struct response *response);
void http_close(int file);

#endif /* EXAMPLE_HTTP_H */
