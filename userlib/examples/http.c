// SPDX-License-Identifier: GPL-2.0-only
/* The little HTTP that both example servers speak: GET of files, keep-alive. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "http.h"

/*
 * A descriptor that connections cannot have, so that there is one for the file of
 * a request; -1 while it is used for that.
 */
static int spare = -1;

static void keep_spare(void)
{
	if (spare < 0)
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int http_listen(const char *port)
{
	struct addrinfo hints = {
		.ai_family = AF_INET6,	/* and IPv4 with it */
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *address;
	int failed, fd, on = 1;

	failed = getaddrinfo(NULL, port, &hints, &address);
	if (failed)
		errx(1, "port %s: %s", port, gai_strerror(failed));
	fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen))
		err(1, "bind");
	if (listen(fd, SOMAXCONN))
		err(1, "listen");
	freeaddrinfo(address);
	keep_spare();
	return fd;
}

static bool is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	       error == ENOMEM;
}

enum http_accept http_accept_failed(int error)
{
	if (is_short(error))
		return ACCEPT_LATER;
	/* All others are said of the connection: see accept(2). */
	return error == EBADF || error == EINVAL || error == ENOTSOCK ?
	       ACCEPT_NEVER : ACCEPT_NEXT;
}

/* A regular file below root; no link and no ".." leads out of it. */
static int open_below(int root, const char *path, struct stat *status)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH,
	};
	int fd;

	while (*path == '/')
		path++;
	if (!*path)
		path = ".";
	fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	if (fd < 0 && is_short(errno) && spare >= 0) {
		close(spare);
		spare = -1;
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	}
	if (fd < 0) {
		const int error = errno;

		keep_spare();
		errno = error;
		return -1;
	}
	if (!fstat(fd, status) && S_ISREG(status->st_mode))
		return fd;
	http_close(fd);
	errno = ENOENT;
	return -1;
}

void http_close(int file)
{
	if (file >= 0)
		close(file);
	keep_spare();
}

int http_answer(int root, const char *data, size_t length,
		struct response *response)
{
	const char *end = memmem(data, length, "\r\n\r\n", 4);
	char request[REQUEST_MAX + 1], path[REQUEST_MAX], version[16];
	struct stat status;
	size_t size;

	if (!end)
		return length < REQUEST_MAX ? 0 : -1;
	size = end + 4 - data;
	if (size > REQUEST_MAX)
		return -1;
	memcpy(request, data, size);
	request[size] = '\0';
	if (sscanf(request, "GET %4095s HTTP/%15[0-9.]", path, version) != 2)
		return -1;

	response->close = !strcmp(version, "1.0") ||
			  strcasestr(request, "\r\nConnection: close");
	response->fd = open_below(root, path, &status);
	/* EAGAIN: somebody has a lease that he is just losing. */
	response->busy = response->fd < 0 && (is_short(errno) || errno == EAGAIN);
	response->size = response->fd < 0 ? 0 : status.st_size;
	response->header_length =
		snprintf(response->header, RESPONSE_MAX,
			 "HTTP/1.1 %s\r\nContent-Length: %llu\r\n%s\r\n",
			 response->fd >= 0 ? "200 OK" :
			 response->busy ? "503 Service Unavailable" :
					  "404 Not Found",
			 response->size,
			 response->close ? "Connection: close\r\n" : "");
	return size;
}
