// SPDX-License-Identifier: GPL-2.0-only
/* The other end: addresses, connections, and the end of a connection. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "command.h"

/* Milliseconds from one look to the next. */
#define ACKNOWLEDGE_POLL	5
#define ACCEPT_POLL		100

/* HOST:PORT or [HOST]:PORT, cut in place. */
bool parse_address(char *text, struct address *address)
{
	char *colon;

	if (*text == '[') {
		address->host = text + 1;
		colon = strchr(text, ']');
		if (!colon)
			return false;
		*colon++ = '\0';
		if (*colon != ':')
			return false;
	} else {
		address->host = text;
		colon = strrchr(text, ':');
		/* Two colons and no brackets: where would the port begin? */
		if (!colon || strchr(text, ':') != colon)
			return false;
	}
	*colon = '\0';
	address->port = colon + 1;
	return *address->host && *address->port;
}

static struct addrinfo *resolve(const char *host, const char *port, int flags,
				int family)
{
	struct addrinfo hints = {
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags,
	};
	struct addrinfo *list;
	__u64 number;
	int error;

	/* getaddrinfo() takes a larger number modulo 65536. */
	if (parse_count(port, &number) && number > UINT16_MAX) {
		warnx("port %s: there is no such port", port);
		return NULL;
	}
	error = getaddrinfo(host, port, &hints, &list);
	if (!error)
		return list;
	warnx("%s%s%s: %s", host ? host : "", host ? ":" : "port ", port,
	      error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	return NULL;
}

static int stream_socket(const struct addrinfo *address)
{
	return socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC,
		      address->ai_protocol);
}

/* An address that cannot be reached is no reason to give up on the others. */
int peer_connect(const struct address *address)
{
	struct addrinfo *list, *one;
	int socket = -1;
	int error = 0;

	list = resolve(address->host, address->port, AI_ADDRCONFIG, AF_UNSPEC);
	if (!list)
		return -1;
	for (one = list; one; one = one->ai_next) {
		socket = stream_socket(one);
		if (socket >= 0 &&
		    !connect(socket, one->ai_addr, one->ai_addrlen))
			break;
		error = errno;
		if (socket >= 0)
			close(socket);
		socket = -1;
	}
	freeaddrinfo(list);
	if (socket < 0)
		warnx("cannot connect to %s port %s: %s", address->host,
		      address->port, strerror(error));
	return socket;
}

static int listen_at(const struct addrinfo *address)
{
	int on = 1, off = 0;
	int socket, error;

	socket = stream_socket(address);
	if (socket < 0)
		return -1;
	/* One socket for both families; where there is no IPv6, this fails. */
	if (address->ai_family == AF_INET6)
		setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (!setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	    !bind(socket, address->ai_addr, address->ai_addrlen) &&
	    !listen(socket, 1))
		return socket;
	error = errno;
	close(socket);
	errno = error;
	return -1;
}

static unsigned int bound_port(int socket)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(socket, (struct sockaddr *)&address, &size))
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* Without a host: at all addresses, of IPv6 and IPv4 if the system has both. */
int peer_listen(const char *host, const char *port, unsigned int *bound)
{
	static const int families[] = { AF_INET6, AF_INET };
	struct addrinfo *list;
	int socket = -1;
	size_t i;

	for (i = 0; i < 2 && socket < 0; i++) {
		list = resolve(host, port, AI_PASSIVE,
			       host ? AF_UNSPEC : families[i]);
		if (!list)
			return -1;
		socket = listen_at(list);
		freeaddrinfo(list);
		if (host || errno != EAFNOSUPPORT)
			break;
	}
	if (socket < 0) {
		warnx("cannot listen at %s%sport %s: %s", host ? host : "",
		      host ? " " : "", port, strerror(errno));
		return -1;
	}
	*bound = bound_port(socket);
	return socket;
}

int peer_accept(int listener)
{
	int socket;

	while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
		switch (errno) {
		case EBADF:
		case EINVAL:
		case EMFILE:
		case ENOTSOCK:
			warnx("cannot accept a connection: %s", strerror(errno));
			return -1;
		case ENFILE:
		case ENOBUFS:
		case ENOMEM:
			/* Other programs have them all, and the client waits. */
			poll(NULL, 0, ACCEPT_POLL);
			break;
		default:
			/* A client that gave up, or its network: see accept(2). */
			break;
		}
	}
	return socket;
}

/* The error that broke the connection, negative, if it is broken. */
static int connection_error(int socket)
{
	socklen_t size = sizeof(int);
	int error;

	if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

/*
 * Close the sending half, and wait until the peer's machine has acknowledged
 * everything, the end of the stream included. Only then is it known that the
 * bytes arrived: send calls succeed when the local kernel has them. It does
 * not wait for the peer to close, which many a peer does only much later.
 * Returns 0 or a negative errno.
 */
int peer_finish(int socket)
{
	struct pollfd input = { .fd = socket, .events = POLLIN };
	char ignored[4096];
	ssize_t length;
	int waiting, error;

	error = connection_error(socket);
	if (!error && shutdown(socket, SHUT_WR))
		error = -errno;
	while (!error) {
		if (ioctl(socket, SIOCOUTQ, &waiting))
			return -errno;
		if (!waiting)
			return 0;
		/* No event says "acknowledged", so it is asked for in turns. */
		if (poll(&input, 1, ACKNOWLEDGE_POLL) > 0) {
			length = recv(socket, ignored, sizeof(ignored),
				      MSG_DONTWAIT);
			if (length < 0 && errno != EAGAIN)
				return -errno;
			if (!length)
				input.fd = -1;	/* readable for ever: just wait */
		}
		error = connection_error(socket);
	}
	return error;
}
