// SPDX-License-Identifier: GPL-2.0-only
/* zcopy warm */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zcopy/queue.h>
#include "command.h"

/* Loads under way, and bytes of each: enough for a disk, few enough for the bar. */
#define LOADS	16
#define SLICE	(4ULL << 20)

static const char help[] =
	"Usage: zcopy warm [OPTION]... FILE...\n"
	"\n"
	"Bring the FILEs into memory, so that nobody who sends them waits for a disk.\n"
	"\n"
	"  --check           bring nothing in: say which of them are there\n"
	"  --stats           print a line of figures when done\n"
	"  --quiet           no progress bar\n"
	"  --help            print this\n";

struct options {
	bool check;
	bool stats;
	bool quiet;
};

struct wanted {
	const char *path;
	int fd;			/* -1: there is nothing to load of it */
	__u64 size;		/* 0: it is known when all of it is loaded */
	__u64 at;		/* where the next load begins */
	bool asked;		/* for all of it */
	bool failed;
	bool missing;		/* --check: not all of it is in memory */
};

struct warming {
	struct zcopy *zcopy;
	struct wanted *sources;
	unsigned int count;
	unsigned int next;	/* of @sources */
	unsigned int under_way;
	__u64 bytes;
	__u64 calls;
	__u32 flags;
	int status;
	struct progress progress;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "stats", no_argument, NULL, 's' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "q", names, NULL)) >= 0) {
		switch (c) {
		case 'c':
			options->check = true;
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
	if (optind == argc) {
		warnx("no FILE given");
		return usage_hint();
	}
	return -1;
}

/* What is wrong with one file is said, and the others go on. */
static void fail(struct warming *warming, struct wanted *source, const char *why)
{
	if (!source->failed)
		warnx("%s: %s", source->path, why);
	source->failed = true;
	source->asked = true;
	warming->status = STATUS_FAILED;
}

/* Open the file that is next; its bytes count for the bar. */
static void open_wanted(struct warming *warming, struct wanted *source)
{
	struct stat status;

	/* Asked before: opening a FIFO would wait. */
	if (stat(source->path, &status)) {
		fail(warming, source, strerror(errno));
		return;
	}
	if (S_ISREG(status.st_mode)) {
		source->fd = open(source->path, O_RDONLY | O_CLOEXEC);
		if (source->fd < 0)
			fail(warming, source, strerror(errno));
	} else {
		fail(warming, source, "not a regular file");
	}
	source->size = status.st_size;
}

static void close_wanted(struct wanted *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
}

/* The next load of a file, if there is one that has something to load. */
static bool prepare(struct warming *warming, struct zcopy_transfer *transfer,
		    struct zcopy_segment *segment)
{
	while (warming->next < warming->count) {
		struct wanted *source = &warming->sources[warming->next];
		__u64 length = SLICE;

		if (source->fd < 0 && !source->asked)
			open_wanted(warming, source);
		if (source->asked) {
			close_wanted(source);
			warming->next++;
			continue;
		}
		/* The last one goes as far as there is something. */
		if (source->size <= source->at + SLICE) {
			length = 0;
			source->asked = true;
		}
		zcopy_prep_load(transfer, segment, source->fd, source->at, length,
				(uintptr_t)source);
		transfer->flags = warming->flags;
		source->at += SLICE;
		return true;
	}
	return false;
}

static void complete(struct warming *warming,
		     const struct zcopy_completion *completion)
{
	struct wanted *source = (struct wanted *)(uintptr_t)completion->user_data;

	warming->under_way--;
	warming->bytes += completion->bytes;
	if (completion->error == -EBUSY)
		source->missing = true;
	else if (completion->error)
		fail(warming, source, strerror(-completion->error));
	progress_update(&warming->progress, warming->bytes);
}

/* What the user has elsewhere is in the way. */
static void wait_for_room(const struct zcopy *zcopy)
{
	struct pollfd poller = { .fd = zcopy_fd(zcopy), .events = POLLOUT };

	poll(&poller, 1, -1);
}

/* Returns 0, or why the device is of no use. */
static int load_all(struct warming *warming)
{
	struct zcopy_completion completions[LOADS];
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	bool ready = false;
	int count, error, i;

	for (;;) {
		while (warming->under_way < LOADS) {
			if (!ready && !prepare(warming, &transfer, &segment))
				break;
			ready = true;
			warming->calls++;
			count = zcopy_submit(warming->zcopy, &transfer, 1, &error);
			/* A limit: it goes when something has ended. */
			if (count < 0 && error == -EAGAIN) {
				if (warming->under_way)
					break;
				wait_for_room(warming->zcopy);
				continue;
			}
			if (count < 0)
				fail(warming, (void *)(uintptr_t)transfer.user_data,
				     strerror(-error));
			else
				warming->under_way++;
			ready = false;
		}
		if (!warming->under_way)
			return 0;
		warming->calls++;
		count = zcopy_wait_completions(warming->zcopy, completions, LOADS, 1,
					       ZCOPY_FOREVER);
		if (count < 0 && count != -EINTR)
			return count;
		for (i = 0; i < count; i++)
			complete(warming, &completions[i]);
	}
}

/* What the bar is to reach, as far as is known before. */
static __u64 total_size(const struct warming *warming)
{
	struct stat status;
	__u64 total = 0;
	unsigned int i;

	for (i = 0; i < warming->count; i++)
		if (!stat(warming->sources[i].path, &status) &&
		    S_ISREG(status.st_mode))
			total += status.st_size;
	return total;
}

static int report(const struct warming *warming)
{
	int status = warming->status;
	unsigned int i;

	for (i = 0; i < warming->count; i++) {
		const struct wanted *source = &warming->sources[i];

		if (source->failed)
			continue;
		printf("%s: %s\n", source->path,
		       source->missing ? "not all in memory" : "in memory");
		if (source->missing)
			status = STATUS_FAILED;
	}
	return status;
}

int command_warm(int argc, char **argv)
{
	struct options options = { 0 };
	struct warming warming = { 0 };
	double seconds;
	unsigned int i;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	warming.count = argc - optind;
	warming.flags = options.check ? ZCOPY_NODISKIO : 0;
	warming.sources = calloc(warming.count, sizeof(*warming.sources));
	if (!warming.sources)
		err(STATUS_FAILED, "%u files", warming.count);
	for (i = 0; i < warming.count; i++)
		warming.sources[i] = (struct wanted){
			.path = argv[optind + i], .fd = -1,
		};
	status = zcopy_open(&warming.zcopy);
	if (status)
		return device_error(-status);

	progress_start(&warming.progress, !options.quiet && !options.check,
		       total_size(&warming));
	seconds = now();
	status = load_all(&warming);
	seconds = now() - seconds;
	progress_finish(&warming.progress, warming.bytes);
	if (status)
		return device_error(-status);
	status = options.check ? report(&warming) : warming.status;
	if (options.stats) {
		print_figures("zcopy", warming.bytes, seconds, warming.calls);
		putchar('\n');
	}
	zcopy_close(warming.zcopy);
	free(warming.sources);
	return status;
}
