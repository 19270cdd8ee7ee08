// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cancelling a transfer among few and among many that are queued: by its
 * user_data, with all those of a target, and with all there are.
 *
 *   cancel FOLDER FEW MANY REPEATS
 *
 * Prints, in the order of the windows: "window WHAT-of-QUEUED CANCELLED", where
 * WHAT is user_data, target and all.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcopy/queue.h>

#include "hot.h"
#include "peer.h"
#include "window.h"

#define SIZE		4096
#define A_SOCKET	64	/* transfers to each */
#define CANCELLED	128	/* by user_data */

static struct zcopy *zcopy;

/* A socket with no room, so that all that is queued for it waits. */
static void fill(int pair[2])
{
	static char bytes[64 << 10];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		err(1, "socketpair");
	while (write(pair[0], bytes, sizeof(bytes)) > 0)
		;
}

static void submit(int file, int socket, uint64_t first)
{
	struct zcopy_transfer transfers[A_SOCKET];
	struct zcopy_segment segments[A_SOCKET];
	int ret, error;
	uint64_t i;

	for (i = 0; i < A_SOCKET; i++)
		zcopy_prep_file(&transfers[i], &segments[i], socket, file, 0,
				SIZE, first + i);
	ret = zcopy_submit(zcopy, transfers, A_SOCKET, &error);
	if (ret != A_SOCKET)
		errx(1, "zcopy_submit: %d accepted, error %d", ret, error);
}

static void expect(int cancelled, int wanted)
{
	if (cancelled != wanted)
		errx(1, "%d cancelled instead of %d", cancelled, wanted);
}

static void collect(unsigned int count)
{
	struct zcopy_completion completions[256];

	while (count) {
		int n = zcopy_wait_completions(zcopy, completions, 256, 1,
					       ZCOPY_FOREVER);

		if (n <= 0)
			errx(1, "zcopy_wait_completions: %d", n);
		count -= n;
	}
}

static void measure(int file, unsigned int queued)
{
	const unsigned int sockets = queued / A_SOCKET, others = sockets - 1;
	int (*pairs)[2] = calloc(sockets, sizeof(*pairs));
	unsigned int i;

	if (!pairs)
		err(1, "%u sockets", sockets);
	for (i = 0; i < sockets; i++) {
		fill(pairs[i]);
		submit(file, pairs[i][0], i * A_SOCKET);
	}
	/* None of the last socket, and none the first of another. */
	window_begin();
	for (i = 0; i < CANCELLED; i++)
		expect(zcopy_cancel(zcopy, i % others * A_SOCKET + A_SOCKET - 1 -
				    i / others), 1);
	window_end();
	printf("window user_data-of-%u %u\n", queued, CANCELLED);

	window_begin();
	expect(zcopy_cancel_socket(zcopy, pairs[others][0]), A_SOCKET);
	window_end();
	printf("window target-of-%u %u\n", queued, A_SOCKET);

	i = queued - CANCELLED - A_SOCKET;
	window_begin();
	expect(zcopy_cancel_all(zcopy), i);
	window_end();
	printf("window all-of-%u %u\n", queued, i);
	collect(queued);
	for (i = 0; i < sockets; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	free(pairs);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 1 << 20, 1 << 20 };
	unsigned int few, many;
	int file, ret, repeats;

	if (argc != 5)
		errx(2, "usage: cancel FOLDER FEW MANY REPEATS");
	few = strtoul(argv[2], NULL, 10);
	many = strtoul(argv[3], NULL, 10);
	repeats = atoi(argv[4]);
	if (few < CANCELLED + 2 * A_SOCKET || many < few || few % A_SOCKET ||
	    many % A_SOCKET || repeats < 1)
		errx(2, "FEW must be %u or more, MANY no less, both a multiple of %u",
		     CANCELLED + 2 * A_SOCKET, A_SOCKET);

	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);
	file = make_file(argv[1], "cancel", SIZE);
	warm_file(file, SIZE);

	/* It has nothing to do but to be there. */
	peer_meet(peer_listen());
	while (repeats--) {
		measure(file, few);
		measure(file, many);
	}
	zcopy_close(zcopy);
	return 0;
}
