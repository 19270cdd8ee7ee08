// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bursts of responses of a header and a small file that is in memory, over one
 * connection, with each method in turn. The window is open from the first call
 * until the client has said that it has everything.
 *
 *   small FOLDER KIB RESPONSES REPEATS
 *
 * Prints, in the order of the windows: "window METHOD RESPONSES".
 */
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zcopy/queue.h>

#include "hot.h"
#include "peer.h"
#include "window.h"

#define HEADER	256
#define BURST	16	/* responses a submit; every method sends so many */

static char header[HEADER];
static struct zcopy *zcopy;
static size_t size;

static void cork(int socket, int on)
{
	if (setsockopt(socket, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		err(1, "TCP_CORK");
}

static void send_body(int socket, int file)
{
	off_t position = 0;

	if (sendfile(socket, file, &position, size) != (ssize_t)size)
		err(1, "sendfile");
}

static void burst_cork(int socket, int file)
{
	for (unsigned int i = 0; i < BURST; i++) {
		cork(socket, 1);
		if (write(socket, header, HEADER) != HEADER)
			err(1, "write");
		send_body(socket, file);
		cork(socket, 0);
	}
}

static void burst_more(int socket, int file)
{
	for (unsigned int i = 0; i < BURST; i++) {
		if (send(socket, header, HEADER, MSG_MORE) != HEADER)
			err(1, "send");
		send_body(socket, file);
	}
}

static void check(const struct zcopy_completion *completion)
{
	if (completion->error || completion->bytes != HEADER + size)
		errx(1, "completion: %d after %llu bytes", completion->error,
		     (unsigned long long)completion->bytes);
}

static void burst_send(int socket, int file)
{
	for (unsigned int i = 0; i < BURST; i++) {
		struct zcopy_completion completion;
		struct zcopy_transfer transfer;
		struct zcopy_segment segments[2];
		int ret;

		zcopy_prep_response(&transfer, segments, socket, header, HEADER,
				    file, 0, size, i);
		ret = zcopy_send(zcopy, &transfer, &completion);
		if (ret)
			errx(1, "zcopy_send: %d", ret);
		check(&completion);
	}
}

static void burst_submit(int socket, int file)
{
	struct zcopy_completion completions[BURST];
	struct zcopy_transfer transfers[BURST];
	struct zcopy_segment segments[BURST][2];
	int ret;

	for (unsigned int i = 0; i < BURST; i++)
		zcopy_prep_response(&transfers[i], segments[i], socket, header,
				    HEADER, file, 0, size, i);
	ret = zcopy_submit_and_wait(zcopy, transfers, BURST, completions, BURST,
				    BURST, ZCOPY_FOREVER, NULL, NULL);
	if (ret != BURST)
		errx(1, "zcopy_submit_and_wait: %d", ret);
	for (unsigned int i = 0; i < BURST; i++)
		check(&completions[i]);
}

static const struct method {
	const char *name;
	void (*burst)(int socket, int file);
	bool untracked;		/* packets have references of their own */
} methods[] = {
	{ "cork+write+sendfile+uncork", burst_cork, false },
	{ "send(MSG_MORE)+sendfile", burst_more, false },
	{ "zcopy-send", burst_send, false },
	{ "zcopy-send-untracked", burst_send, true },
	{ "zcopy-submit-16", burst_submit, false },
	{ NULL, NULL, false }
};

#define TRACK_FROM	"/sys/module/zcopy/parameters/track_from"

/* Set the module's parameter; returns what it was. */
static unsigned int track_from(unsigned int bytes)
{
	unsigned int before;
	FILE *file = fopen(TRACK_FROM, "r+e");

	if (!file || fscanf(file, "%u", &before) != 1)
		err(1, "read %s", TRACK_FROM);
	rewind(file);
	if (fprintf(file, "%u", bytes) < 0 || fclose(file))
		err(1, "write %s", TRACK_FROM);
	return before;
}

/* The client tells of each burst when it has it, so all start on an idle wire. */
static void run(void (*burst)(int socket, int file), int control, int socket,
		int file, unsigned int bursts)
{
	while (bursts--) {
		burst(socket, file);
		peer_wait(control);
	}
}

static void measure(const struct method *method, int listener, int control,
		    int file, unsigned int bursts)
{
	uint64_t burst_bytes = BURST * (HEADER + size);
	unsigned int usual = 0;
	int socket;

	if (method->untracked)
		usual = track_from(UINT32_MAX);
	peer_open(listener, control, &socket, 1, 0);
	peer_read(control, burst_bytes * bursts * 2, burst_bytes);
	run(method->burst, control, socket, file, bursts);
	window_begin();
	run(method->burst, control, socket, file, bursts);
	window_end();
	printf("window %s %u\n", method->name, bursts * BURST);
	close(socket);
	if (method->untracked)
		track_from(usual);
}

int main(int argc, char **argv)
{
	const struct method *method;
	int listener, control, file, ret, repeats;
	unsigned int bursts;

	if (argc != 5)
		errx(2, "usage: small FOLDER KIB RESPONSES REPEATS");
	size = strtoul(argv[2], NULL, 10) << 10;
	bursts = strtoul(argv[3], NULL, 10) / BURST;
	repeats = atoi(argv[4]);
	if (!size || !bursts || repeats < 1)
		errx(2, "KIB and REPEATS must be 1 or more, RESPONSES %d", BURST);

	memset(header, 'h', HEADER);
	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);
	file = make_file(argv[1], "small", size);
	warm_file(file, size);

	listener = peer_listen();
	control = peer_meet(listener);
	while (repeats--)
		for (method = methods; method->name; method++)
			measure(method, listener, control, file, bursts);
	zcopy_close(zcopy);
	return 0;
}
