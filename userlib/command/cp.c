// SPDX-License-Identifier: GPL-2.0-only
/* zcopy cp */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"

/* Bytes of one call, many enough to share blocks, few enough for the bar. */
#define SLICE	(32ULL << 20)

static const char help[] =
	"Usage: zcopy cp [OPTION]... SOURCE TARGET\n"
	"\n"
	"Copy the file SOURCE to TARGET, a file, a folder or a FIFO. Where the\n"
	"filesystem can, the copy shares its blocks with SOURCE.\n"
	"\n"
	"  --nocache         drop from memory what had to be read from the disk\n"
	"  --stats           print a line of figures when done\n"
	"  --quiet           no progress bar\n"
	"  --help            print this\n";

struct options {
	const char *source;
	const char *target;	/* never a folder */
	__u32 flags;
	bool stats;
	bool quiet;
};

struct copy {
	struct zcopy *zcopy;
	int source;
	int target;
	bool is_file;		/* the target */
	__u64 size;		/* of the source, at the start */
	__u64 at;		/* next byte */
	__u64 bytes;		/* copied; holes are not */
	__u64 calls;
	struct progress progress;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "nocache", no_argument, NULL, 'n' },
		{ "stats", no_argument, NULL, 's' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "q", names, NULL)) >= 0) {
		switch (c) {
		case 'n':
			options->flags |= ZCOPY_NOCACHE;
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
	if (argc - optind != 2) {
		warnx("SOURCE and TARGET are needed, and nothing else");
		return usage_hint();
	}
	options->source = argv[optind];
	options->target = argv[optind + 1];
	return -1;
}

static int fail(const char *path)
{
	warn("%s", path);
	return STATUS_FAILED;
}

/* A file goes into a folder under its own name. */
static int look_into_folder(struct options *options)
{
	struct stat status;
	char *source, *path;

	if (stat(options->target, &status) || !S_ISDIR(status.st_mode))
		return STATUS_OK;
	source = strdup(options->source);
	if (!source || asprintf(&path, "%s/%s", options->target,
				basename(source)) < 0)
		return fail(options->target);
	free(source);
	options->target = path;
	return STATUS_OK;
}

static int open_source(const struct options *options, struct copy *copy,
		       struct stat *status)
{
	/* O_NONBLOCK: opening a FIFO, to be refused below, must not wait. */
	copy->source = open(options->source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (copy->source < 0 || fstat(copy->source, status))
		return fail(options->source);
	if (!S_ISREG(status->st_mode)) {
		warnx("%s: not a regular file", options->source);
		return STATUS_FAILED;
	}
	copy->size = status->st_size;
	return STATUS_OK;
}

/* It is emptied only when it is known to be another file. */
static int open_target(const struct options *options, struct copy *copy,
		       const struct stat *source)
{
	struct stat status;

	copy->target = open(options->target, O_WRONLY | O_CREAT | O_CLOEXEC,
			    source->st_mode & 0777);
	if (copy->target < 0 || fstat(copy->target, &status))
		return fail(options->target);
	if (status.st_dev == source->st_dev && status.st_ino == source->st_ino) {
		warnx("'%s' and '%s' are the same file", options->source,
		      options->target);
		return STATUS_FAILED;
	}
	copy->is_file = S_ISREG(status.st_mode);
	if (!copy->is_file && !S_ISFIFO(status.st_mode)) {
		warnx("%s: neither a file nor a FIFO", options->target);
		return STATUS_FAILED;
	}
	if (copy->is_file && ftruncate(copy->target, 0))
		return fail(options->target);
	return STATUS_OK;
}

/*
 * Go to the next byte that is no hole, if the target can have holes. Returns
 * how many follow it, at most a slice; 0 at the end.
 */
static __u64 find_data(struct copy *copy)
{
	off_t start, end;

	if (!copy->is_file)
		return SLICE;
	start = lseek(copy->source, copy->at, SEEK_DATA);
	/* Some filesystems do not tell: the end is where a call finds it. */
	if (start < 0)
		return errno == ENXIO ? 0 : SLICE;
	end = lseek(copy->source, start, SEEK_HOLE);
	copy->at = start;
	return end > start && (__u64)(end - start) < SLICE ?
	       (__u64)(end - start) : SLICE;
}

static int complain(const struct options *options, const struct copy *copy,
		    int error, bool source)
{
	warnx("the %s failed: %s: %s (%llu bytes copied)",
	      source ? "source" : "target",
	      source ? options->source : options->target, strerror(error),
	      copy->bytes);
	return STATUS_FAILED;
}

/* Which side a transfer is refused for. */
static bool is_refused_source(int error)
{
	return error == EOPNOTSUPP || error == ESPIPE || error == EACCES ||
	       error == EPERM;
}

/* A hole at the end is made by the size alone. */
static int finish(const struct options *options, struct copy *copy)
{
	struct stat source, target;

	if (copy->is_file &&
	    (fstat(copy->source, &source) || fstat(copy->target, &target) ||
	     (source.st_size > target.st_size &&
	      ftruncate(copy->target, source.st_size))))
		return complain(options, copy, errno, false);
	/* Some filesystems write only now. */
	if (close(copy->target))
		return complain(options, copy, errno, false);
	return STATUS_OK;
}

static int copy_all(const struct options *options, struct copy *copy)
{
	struct zcopy_completion completion = { 0 };
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	__u64 length;
	int error;

	while (!(completion.flags & ZCOPY_C_TRUNCATED)) {
		length = find_data(copy);
		if (!length)
			break;
		zcopy_segment_file(&segment, copy->source, copy->at, length);
		zcopy_transfer_init(&transfer, copy->target, &segment, 1);
		transfer.flags = options->flags;
		transfer.offset = copy->is_file ? copy->at : 0;
		copy->calls++;
		error = -zcopy_send(copy->zcopy, &transfer, &completion);
		if (error == EINTR)
			continue;
		if (error)
			return complain(options, copy, error,
					is_refused_source(error));
		copy->at += completion.bytes;
		copy->bytes += completion.bytes;
		/* Only stopping and continuing the process interrupts it. */
		if (completion.error && completion.error != -EINTR)
			return complain(options, copy, -completion.error,
					completion.flags & ZCOPY_C_FILE_ERROR);
		progress_update(&copy->progress, copy->at);
	}
	return finish(options, copy);
}

static int print_stats(const struct copy *copy, double seconds)
{
	struct zcopy_stats stats;
	int error;

	print_figures("zcopy", copy->bytes, seconds, copy->calls);
	error = zcopy_stats(copy->zcopy, ZCOPY_STATS_CONTEXT, &stats);
	if (error) {
		putchar('\n');
		return device_error(-error);
	}
	printf(" copied=%llu\n", stats.bytes_copied);
	return STATUS_OK;
}

int command_cp(int argc, char **argv)
{
	struct options options = { 0 };
	struct copy copy = { 0 };
	struct stat source;
	double seconds;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	status = zcopy_open(&copy.zcopy);
	if (status)
		return device_error(-status);
	status = look_into_folder(&options);
	if (!status)
		status = open_source(&options, &copy, &source);
	if (!status)
		status = open_target(&options, &copy, &source);
	if (status)
		return status;

	progress_start(&copy.progress, !options.quiet, copy.size);
	seconds = now();
	status = copy_all(&options, &copy);
	seconds = now() - seconds;
	progress_finish(&copy.progress, copy.at);
	if (!status && options.stats)
		status = print_stats(&copy, seconds);
	zcopy_close(copy.zcopy);
	return status;
}
