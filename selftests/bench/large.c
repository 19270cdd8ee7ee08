// SPDX-License-Identifier: GPL-2.0-only
/*
 * One large file that is in memory, over one connection, with each method in
 * turn. The window is open from the first call until the client has said that
 * it has everything, so acknowledgements count too.
 *
 *   large FOLDER MIB REPEATS
 *
 * The last method sends the same file as overlayfs shows it.
 *
 * Prints, in the order of the windows: "window METHOD UNITS", a unit being
 * 64 KiB.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <zcopy/zcopy.h>

#include "hot.h"
#include "peer.h"
#include "window.h"

/* Sent over each new connection first, so that its window is open. */
#define WARM_UP	(4 << 20)

#define UNIT	(64 << 10)

static struct zcopy *zcopy;

static void send_read_write(int socket, int file, uint64_t offset, size_t size)
{
	static char buffer[1 << 16];

	while (size) {
		ssize_t n = pread(file, buffer, sizeof(buffer) < size ?
				  sizeof(buffer) : size, offset);

		if (n <= 0 || write(socket, buffer, n) != n)
			err(1, "read and write");
		offset += n;
		size -= n;
	}
}

static void send_sendfile(int socket, int file, uint64_t offset, size_t size)
{
	off_t position = offset;

	while (size) {
		ssize_t n = sendfile(socket, file, &position, size);

		if (n <= 0)
			err(1, "sendfile");
		size -= n;
	}
}

static void send_zcopy(int socket, int file, uint64_t offset, size_t size)
{
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	int ret;

	zcopy_segment_file(&segment, file, offset, size);
	zcopy_transfer_init(&transfer, socket, &segment, 1);
	ret = zcopy_send(zcopy, &transfer, &completion);
	ret = ret ? ret : completion.error;
	if (ret || completion.bytes != size)
		errx(1, "zcopy_send: %d after %llu bytes", ret,
		     (unsigned long long)completion.bytes);
}

static const struct method {
	const char *name;
	void (*send)(int socket, int file, uint64_t offset, size_t size);
} methods[] = {
	{ "read+write", send_read_write },
	{ "sendfile", send_sendfile },
	{ "zcopy", send_zcopy },
	{ "zcopy-overlay", send_zcopy },
	{ NULL, NULL },
};

/* The file of a folder, as an overlay of that shows it. */
static int open_overlaid(const char *folder, const char *name)
{
	char empty[] = "/tmp/empty.XXXXXX", place[] = "/tmp/overlay.XXXXXX";
	char options[200], path[200];
	int file;

	if (!mkdtemp(empty) || !mkdtemp(place))
		err(1, "make folders");
	snprintf(options, sizeof(options), "lowerdir=%s:%s", folder, empty);
	if (mount("none", place, "overlay", MS_RDONLY, options))
		err(1, "mount an overlay of %s", folder);
	snprintf(path, sizeof(path), "%s/%s", place, name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		err(1, "open %s", path);
	return file;
}

static void measure(const struct method *method, int listener, int control,
		    int file, size_t size)
{
	int socket;

	peer_open(listener, control, &socket, 1, 0);
	peer_read(control, WARM_UP, WARM_UP);
	method->send(socket, file, 0, WARM_UP);
	peer_wait(control);

	peer_read(control, size, size);
	window_begin();
	method->send(socket, file, 0, size);
	peer_wait(control);
	window_end();
	printf("window %s %zu\n", method->name, size / UNIT);
	close(socket);
}

int main(int argc, char **argv)
{
	const struct method *method;
	int listener, control, file, overlaid, ret, repeats;
	size_t size;

	if (argc != 4)
		errx(2, "usage: large FOLDER MIB REPEATS");
	size = strtoul(argv[2], NULL, 10) << 20;
	repeats = atoi(argv[3]);
	if (size < WARM_UP || repeats < 1)
		errx(2, "MIB must be 4 or more, REPEATS 1 or more");

	ret = zcopy_open(&zcopy);
	if (ret)
		errx(1, "zcopy_open: %d", ret);
	file = make_file(argv[1], "large", size);
	warm_file(file, size);
	overlaid = open_overlaid(argv[1], "large");

	listener = peer_listen();
	control = peer_meet(listener);
	while (repeats--)
		for (method = methods; method->name; method++)
			measure(method, listener, control,
				strcmp(method->name, "zcopy-overlay") ?
					file : overlaid, size);
	zcopy_close(zcopy);
	return 0;
}
