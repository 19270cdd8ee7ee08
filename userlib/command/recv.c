// SPDX-License-Identifier: GPL-2.0-only
/* zcopy recv */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "command.h"

#define BUFFER_SIZE	(256 << 10)
#define DISCARD_SIZE	(16 << 20)

static const char help[] =
	"Usage: zcopy recv [OPTION]... PORT\n"
	"\n"
	"Listen at PORT (0: any free one), accept one connection, and write what comes\n"
	"to standard output until the peer closes.\n"
	"\n"
	"  -o, --output FILE  write to FILE, which is made or emptied\n"
	"  --discard          write nothing: drop the data in the kernel\n"
	"  --bind ADDRESS     listen at ADDRESS only; default: IPv6 and IPv4, all of them\n"
	"  --print-port       print the port number to standard output once listening;\n"
	"                     needs --output or --discard\n"
	"  --stats            print a line of figures when done; needs the same\n"
	"  --quiet            no progress bar and no line that tells the port\n"
	"  --help             print this\n";

struct options {
	const char *output;
	const char *bind;
	const char *port;
	bool discard;
	bool print_port;
	bool stats;
	bool quiet;
};

/* What comes in, and where it goes. */
struct receiver {
	int socket;
	int file;
	const char *file_name;
	char *buffer;		/* NULL: discard */
	__u64 bytes;
	__u64 calls;
	struct progress progress;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "discard", no_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "print-port", no_argument, NULL, 'p' },
		{ "stats", no_argument, NULL, 's' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:q", names, NULL)) >= 0) {
		switch (c) {
		case 'o':
			options->output = optarg;
			break;
		case 'd':
			options->discard = true;
			break;
		case 'b':
			options->bind = optarg;
			break;
		case 'p':
			options->print_port = true;
			break;
		case 's':
			options->stats = true;
			break;
		case 'q':
			options->quiet = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage_hint();
		}
	}
	if (argc - optind != 1) {
		warnx("PORT is needed, and nothing else");
		return usage_hint();
	}
	options->port = argv[optind];
	if (options->output && options->discard) {
		warnx("--output and --discard exclude each other");
		return usage_hint();
	}
	if ((options->print_port || options->stats) &&
	    !options->output && !options->discard) {
		warnx("--print-port and --stats need --output or --discard");
		return usage_hint();
	}
	return -1;
}

static int open_output(const struct options *options, struct receiver *receiver)
{
	if (options->discard)
		return STATUS_OK;

	receiver->file = STDOUT_FILENO;
	receiver->file_name = "standard output";
	if (options->output) {
		receiver->file_name = options->output;
		receiver->file = open(options->output,
				      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	}
	receiver->buffer = malloc(BUFFER_SIZE);
	if (receiver->file >= 0 && receiver->buffer)
		return STATUS_OK;
	warn("%s", receiver->file_name);
	return STATUS_FAILED;
}

/* Returns 0 or a negative errno. */
static int write_all(struct receiver *receiver, size_t length)
{
	const char *from = receiver->buffer;
	ssize_t written;

	while (length) {
		receiver->calls++;
		written = write(receiver->file, from, length);
		if (written < 0)
			return -errno;
		from += written;
		length -= written;
	}
	return 0;
}

static int receive(struct receiver *receiver)
{
	ssize_t length;
	int error = 0;

	do {
		receiver->calls++;
		/* TCP drops what is received with MSG_TRUNC without a copy. */
		if (receiver->buffer)
			length = recv(receiver->socket, receiver->buffer,
				      BUFFER_SIZE, 0);
		else
			length = recv(receiver->socket, NULL, DISCARD_SIZE,
				      MSG_TRUNC);
		if (length < 0) {
			error = errno;
			progress_finish(&receiver->progress, receiver->bytes);
			warnx("the peer failed: %s (%llu bytes received)",
			      strerror(error), receiver->bytes);
			return STATUS_FAILED;
		}
		receiver->bytes += length;
		if (receiver->buffer)
			error = write_all(receiver, length);
		progress_update(&receiver->progress, receiver->bytes);
	} while (length && !error);
	progress_finish(&receiver->progress, receiver->bytes);

	/* Some filesystems tell only now that there was no room. */
	if (!error && receiver->buffer && close(receiver->file))
		error = -errno;
	if (!error)
		return STATUS_OK;
	warnx("the file failed: %s: %s (%llu bytes received)",
	      receiver->file_name, strerror(-error), receiver->bytes);
	return STATUS_FAILED;
}

int command_recv(int argc, char **argv)
{
	struct receiver receiver = { 0 };
	struct options options = { 0 };
	unsigned int port;
	double seconds;
	int listener;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	listener = peer_listen(options.bind, options.port, &port);
	if (listener < 0)
		return STATUS_FAILED;
	status = open_output(&options, &receiver);
	if (status)
		return status;
	if (!options.quiet)
		warnx("listening at port %u", port);
	if (options.print_port) {
		printf("%u\n", port);
		fflush(stdout);
	}
	receiver.socket = peer_accept(listener);
	close(listener);
	if (receiver.socket < 0)
		return STATUS_FAILED;

	progress_start(&receiver.progress, !options.quiet, 0);
	seconds = now();
	status = receive(&receiver);
	seconds = now() - seconds;
	if (!status && options.stats) {
		print_figures("recv", receiver.bytes, seconds, receiver.calls);
		putchar('\n');
	}
	return status;
}
