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
#define SLICE		(32ULL << 20)
#define BUFFER_SIZE	(128 << 10)

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
	struct source source;
	int target;
	bool is_file;		/* the target */
	__u64 at;		/* next byte */
	__u64 promised;		/* where the source goes to, as its size says */
	bool ended;		/* the source, as a call has told */
	__u64 bytes;		/* copied; holes are not */
	__u64 read;		/* of these, read and written */
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

static bool is_served(const struct stat *target)
{
	return S_ISREG(target->st_mode) || S_ISFIFO(target->st_mode);
}

static int refuse(const struct options *options)
{
	warnx("%s: neither a file nor a FIFO", options->target);
	return STATUS_FAILED;
}

/* It is emptied only when it is known to be another file. */
static int open_target(const struct options *options, struct copy *copy)
{
	const struct stat *source = &copy->source.start;
	struct stat status;

	/* To open a device may do something. */
	if (!stat(options->target, &status) && !is_served(&status))
		return refuse(options);
	copy->target = open(options->target, O_WRONLY | O_CREAT | O_CLOEXEC,
			    source->st_mode & 0777);
	if (copy->target < 0 || fstat(copy->target, &status))
		return fail(options->target);
	if (status.st_dev == source->st_dev && status.st_ino == source->st_ino) {
		warnx("'%s' and '%s' are the same file", options->source,
		      options->target);
		return STATUS_FAILED;
	}
	if (!is_served(&status))
		return refuse(options);
	copy->is_file = S_ISREG(status.st_mode);
	if (copy->is_file && ftruncate(copy->target, 0))
		return fail(options->target);
	return STATUS_OK;
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

/*
 * Go to the next byte that is no hole, if the target can have holes. Returns
 * how many follow it, at most a slice; 0 if it is not known that there is one.
 */
static __u64 find_data(struct copy *copy)
{
	const int source = copy->source.file;
	struct stat status;
	off_t start, end;

	if (!copy->is_file)
		return SLICE;
	/* First: what is appended from now on is no hole. */
	if (fstat(source, &status))
		return SLICE;
	start = lseek(source, copy->at, SEEK_DATA);
	if (start < 0 && errno == ENXIO) {
		if ((__u64)status.st_size <= copy->at)
			return 0;
		/* A hole up to the end, unless the size says nothing. */
		if (!source_has(&copy->source, status.st_size - 1))
			return SLICE;
		copy->at = status.st_size;
		return 0;
	}
	/* Some filesystems do not tell. */
	if (start < 0)
		return SLICE;
	end = lseek(source, start, SEEK_HOLE);
	copy->at = start;
	if (end <= start)
		return SLICE;
	if (copy->promised < (__u64)end)
		copy->promised = end;
	return (__u64)(end - start) < SLICE ? (__u64)(end - start) : SLICE;
}

/* What the module has no way to send, or does not see; or a target of that kind. */
static bool is_left_to_read(int error)
{
	return error == EOPNOTSUPP || error == ESPIPE || error == EPROTONOSUPPORT;
}

/* Which side a transfer is refused for. */
static bool is_refused_source(int error)
{
	return error == EACCES || error == EPERM;
}

static int copy_by_module(const struct options *options, struct copy *copy,
			  __u64 length)
{
	struct zcopy_completion completion = { 0 };
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	int error;

	zcopy_segment_file(&segment, copy->source.file, copy->at, length);
	zcopy_transfer_init(&transfer, copy->target, &segment, 1);
	transfer.flags = options->flags;
	transfer.offset = copy->is_file ? copy->at : 0;
	copy->calls++;
	error = -zcopy_send(copy->zcopy, &transfer, &completion);
	copy->source.only_read = is_left_to_read(error);
	if (error && error != EINTR && !copy->source.only_read)
		return complain(options, copy, error, is_refused_source(error));
	if (error)
		return STATUS_OK;

	copy->at += completion.bytes;
	copy->bytes += completion.bytes;
	copy->ended = completion.flags & ZCOPY_C_TRUNCATED;
	error = -completion.error;
	copy->source.only_read = completion.flags & ZCOPY_C_FILE_ERROR &&
				 is_left_to_read(error);
	/* Only stopping and continuing the process interrupts it. */
	if (error && error != EINTR && !copy->source.only_read)
		return complain(options, copy, error,
				completion.flags & ZCOPY_C_FILE_ERROR);
	return STATUS_OK;
}

/* 0 or an errno. */
static int write_all(struct copy *copy, const char *from, size_t length)
{
	ssize_t written;

	while (length) {
		copy->calls++;
		written = copy->is_file ?
			  pwrite(copy->target, from, length, copy->at) :
			  write(copy->target, from, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		from += written;
		length -= written;
		copy->at += written;
		copy->bytes += written;
		copy->read += written;
	}
	return 0;
}

static int copy_by_reading(const struct options *options, struct copy *copy,
			   __u64 length)
{
	static char buffer[BUFFER_SIZE];
	ssize_t got;
	int error;

	while (length) {
		copy->calls++;
		got = source_read(&copy->source, buffer,
				  length < BUFFER_SIZE ? length : BUFFER_SIZE,
				  copy->at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return complain(options, copy, errno, true);
		copy->ended = !got;
		if (copy->ended)
			break;
		error = write_all(copy, buffer, got);
		if (error)
			return complain(options, copy, error, false);
		length -= got;
		progress_update(&copy->progress, copy->at);
	}
	return STATUS_OK;
}

static int copy_data(const struct options *options, struct copy *copy)
{
	int status = STATUS_OK;
	__u64 length;

	while (!status && !copy->ended) {
		length = find_data(copy);
		if (!length)
			break;
		status = copy->source.only_read ?
			 copy_by_reading(options, copy, length) :
			 copy_by_module(options, copy, length);
		progress_update(&copy->progress, copy->at);
	}
	return status;
}

static int finish(const struct options *options, struct copy *copy)
{
	struct stat target;

	/* A hole at the end is made by the size alone. */
	if (copy->is_file && (fstat(copy->target, &target) ||
			      ((__u64)target.st_size < copy->at &&
			       ftruncate(copy->target, copy->at))))
		return complain(options, copy, errno, false);
	/* Some filesystems write only now. */
	if (close(copy->target))
		return complain(options, copy, errno, false);
	return STATUS_OK;
}

static int copy_all(const struct options *options, struct copy *copy)
{
	int status = copy_data(options, copy);

	/*
	 * The end is where a read finds it. What ended before its size says was
	 * cut, or has such a size: there is no more of it.
	 */
	if (!status && copy->at >= copy->promised)
		status = copy_by_reading(options, copy, UINT64_MAX);
	if (!status)
		status = finish(options, copy);
	if (status || !source_was_cut(&copy->source, copy->at, copy->promised))
		return status;
	warnx("the source failed: %s: it ended %llu bytes early (%llu bytes copied)",
	      options->source, copy->promised - copy->at, copy->bytes);
	return STATUS_FAILED;
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
	printf(" copied=%llu\n", stats.bytes_copied + copy->read);
	return STATUS_OK;
}

int command_cp(int argc, char **argv)
{
	struct options options = { 0 };
	struct copy copy = { 0 };
	double seconds;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	status = zcopy_open(&copy.zcopy);
	if (status)
		return device_error(-status);
	status = look_into_folder(&options);
	if (!status && !source_open(&copy.source, options.source))
		status = STATUS_FAILED;
	if (!status)
		status = open_target(&options, &copy);
	if (status)
		return status;

	copy.promised = copy.source.start.st_size;
	progress_start(&copy.progress, !options.quiet, copy.promised);
	seconds = now();
	status = copy_all(&options, &copy);
	seconds = now() - seconds;
	progress_finish(&copy.progress, copy.at);
	if (!status && options.stats)
		status = print_stats(&copy, seconds);
	zcopy_close(copy.zcopy);
	return status;
}
