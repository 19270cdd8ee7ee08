// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many transfers under way at once, each to a socket of its own whose client
 * does not read until all of them are queued. The same number of transfers is
 * done with few and with many at once.
 *
 *   concurrent FOLDER FEW MANY REPEATS
 *
 * Prints, in the order of the windows: "window CONCURRENT-at-once TRANSFERS".
 */
#include <err.h>
#include <stdbool.h>
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

/* More than the two buffers below take: none ends before the client reads. */
#define SIZE		(64 << 10)
#define SEND_BUFFER	(8 << 10)
#define RECEIVE_BUFFER	(16 << 10)

#define COMPLETIONS	256

static struct zcopy *zcopy;
static struct zcopy_transfer *transfers;
static struct zcopy_segment *segments;
static int *sockets;

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		err(1, "%zu elements", count);
	return memory;
}

static void submit(int file, unsigned int count)
{
	unsigned int i;
	int ret, error;

	for (i = 0; i < count; i++)
		zcopy_prep_file(&transfers[i], &segments[i], sockets[i], file, 0,
				SIZE, i);
	ret = zcopy_submit(zcopy, transfers, count, &error);
	if (ret != (int)count)
		errx(1, "zcopy_submit: %d of %u accepted, error %d", ret, count,
		     error);
}

static void collect(unsigned int count)
{
	struct zcopy_completion completions[COMPLETIONS];

	while (count) {
		int i, n;

		n = zcopy_wait_completions(zcopy, completions, COMPLETIONS, 1,
					   ZCOPY_FOREVER);
		if (n <= 0)
			errx(1, "zcopy_wait_completions: %d", n);
		for (i = 0; i < n; i++)
			if (completions[i].error || completions[i].bytes != SIZE)
				errx(1, "completion: %d after %llu bytes",
				     completions[i].error,
				     (unsigned long long)completions[i].bytes);
		count -= n;
	}
}

/* All are queued, then the client reads, and all of them end. */
static void run_round(int control, int file, unsigned int count, bool check)
{
	struct zcopy_stats stats;

	submit(file, count);
	if (check && zcopy_stats(zcopy, ZCOPY_STATS_CONTEXT, &stats))
		errx(1, "zcopy_stats");
	if (check && stats.active != count)
		errx(1, "only %llu of %u transfers are under way at once",
		     (unsigned long long)stats.active, count);
	peer_read(control, SIZE, (uint64_t)SIZE * count);
	collect(count);
	peer_wait(control);
}

/*
 * New connections each time: a connection that has been through more rounds
 * knows its client's window better and needs fewer packets.
 */
static void measure(int listener, int control, int file, unsigned int at_once)
{
	int buffer = SEND_BUFFER;
	unsigned int i;

	peer_open(listener, control, sockets, at_once, RECEIVE_BUFFER);
	for (i = 0; i < at_once; i++)
		if (setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &buffer,
			       sizeof(buffer)))
			err(1, "SO_SNDBUF");
	run_round(control, file, at_once, true);

	window_begin();
	run_round(control, file, at_once, false);
	window_end();
	printf("window %u-at-once %u\n", at_once, at_once);
	for (i = 0; i < at_once; i++)
		close(sockets[i]);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 1 << 20, 1 << 20 };
	int listener, control, file, ret, repeats;
	unsigned int few, many, done;

	if (argc != 5)
		errx(2, "usage: concurrent FOLDER FEW MANY REPEATS");
	few = strtoul(argv[2], NULL, 10);
	many = strtoul(argv[3], NULL, 10);
	repeats = atoi(argv[4]);
	if (!few || many < few || repeats < 1)
		errx(2, "FEW and REPEATS must be 1 or more, MANY FEW or more");

	if (setrlimit(RLIMIT_NOFILE, &files))
		err(1, "RLIMIT_NOFILE");
	transfers = allocate(many, sizeof(*transfers));
	segments = allocate(many, sizeof(*segments));
	sockets = allocate(many, sizeof(*sockets));
	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);
	file = make_file(argv[1], "concurrent", SIZE);
	warm_file(file, SIZE);

	listener = peer_listen();
	control = peer_meet(listener);
	while (repeats--) {
		for (done = 0; done < many; done += few)
			measure(listener, control, file, few);
		measure(listener, control, file, many);
	}
	zcopy_close(zcopy);
	return 0;
}
