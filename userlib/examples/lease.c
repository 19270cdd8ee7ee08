// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two ways to send a file that must not change meanwhile, so that the peer gets
 * one version of it and no mixture:
 *
 *	lease own PORT FILE	a lease of the program's own: a signal tells
 *				that somebody wants to change the file, ends the
 *				call early, and the program decides what then
 *	lease zcopy PORT FILE	ZCOPY_LEASE: the module holds the lease for the
 *				transfer, and who wants to change the file waits
 *
 * It serves one connection and says what happened. While the other end reads
 * slowly, try ": >FILE" in another shell (truncate(1) does not wait, it fails).
 * Either way the kernel makes nobody wait for longer than
 * /proc/sys/fs/lease-break-time says, and grants a lease only if nobody has the
 * file open for writing.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcopy/zcopy.h>
#include "http.h"

static atomic_bool signalled;

static void lease_is_broken(int number)
{
	(void)number;
	atomic_store(&signalled, true);
}

static void take_lease(int file)
{
	/* Without SA_RESTART, so that it ends a call that has sent nothing. */
	const struct sigaction action = { .sa_handler = lease_is_broken };

	if (sigaction(SIGRTMIN, &action, NULL) ||
	    fcntl(file, F_SETSIG, SIGRTMIN) ||
	    fcntl(file, F_SETLEASE, F_RDLCK))
		err(1, "lease");
}

/* Close the connection so that the peer sees that it did not get all. */
static void reset(int socket)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(socket);
}

/*
 * Send the file and wait until the network has let go of its pages: until then
 * a change of the file would be a change of what the peer gets.
 */
static int send_file(struct zcopy *zcopy, int socket, int file, __u32 flags,
		     struct zcopy_completion *done)
{
	struct zcopy_segment segment;
	struct zcopy_transfer transfer;

	zcopy_segment_file(&segment, file, 0, 0);
	zcopy_transfer_init(&transfer, socket, &segment, 1);
	transfer.flags = ZCOPY_SYNC | flags;
	return zcopy_send(zcopy, &transfer, done);
}

static int accept_one(const char *port)
{
	int listener = http_listen(port);
	int socket;

	while ((socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
		/* Here nobody else gives a descriptor back. */
		if (http_accept_failed(errno) == ACCEPT_NEVER || errno == EMFILE)
			err(1, "accept");
		if (http_accept_failed(errno) == ACCEPT_LATER)
			poll(NULL, 0, HTTP_LATER);
	}
	close(listener);
	return socket;
}

int main(int argc, char **argv)
{
	struct zcopy_completion done = { 0 };
	bool own, broken, whole;
	struct zcopy *zcopy;
	int file, socket, error;

	if (argc != 4 || (strcmp(argv[1], "own") && strcmp(argv[1], "zcopy")))
		errx(2, "usage: %s own|zcopy PORT FILE", argv[0]);
	own = !strcmp(argv[1], "own");
	file = open(argv[3], O_RDONLY | O_CLOEXEC);
	if (file < 0)
		err(1, "%s", argv[3]);
	error = zcopy_open(&zcopy);
	if (error)
		errx(1, "%s: %s", ZCOPY_DEVICE, strerror(-error));
	socket = accept_one(argv[2]);

	if (own)
		take_lease(file);
	error = send_file(zcopy, socket, file, own ? 0 : ZCOPY_LEASE, &done);
	whole = !error && !done.error && done.flags & ZCOPY_C_RELEASED;
	broken = own ? signalled : done.flags & ZCOPY_C_LEASE_BROKEN;
	/* First this: once the lease is gone, the file may change. */
	if (!whole)
		reset(socket);
	/* If it fails, the time was up, and the lease gone before the release. */
	if (own && fcntl(file, F_SETLEASE, F_UNLCK) && whole) {
		reset(socket);
		whole = false;
	}

	printf("%llu bytes were sent.\n", (unsigned long long)done.bytes);
	if (error)
		printf("The transfer was refused: %s.\n", strerror(-error));
	else if (done.error)
		printf("It ended early: %s.\n", strerror(-done.error));
	if (broken)
		puts("Somebody wants to change the file, and had to wait.");
	puts(whole ? "The peer has one version of the file." :
		     "The connection was reset.");
	zcopy_close(zcopy);
	return !whole;
}
