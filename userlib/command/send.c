// SPDX-License-Identifier: GPL-2.0-only
/* zcopy send */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"

/*
 * With a progress bar the file goes in slices of a size that takes between
 * these times, in seconds, so that the bar moves; without one, in as few calls
 * as the method can do with.
 */
#define SLICE_TIME_MIN	0.05
#define SLICE_TIME_MAX	0.2
#define SLICE_FIRST	(4ULL << 20)
#define SLICE_MIN	(64ULL << 10)
#define SLICE_MAX	(64ULL << 20)

static const char help[] =
	"Usage: zcopy send [OPTION]... FILE HOST:PORT\n"
	"\n"
	"Connect to PORT of HOST (an IPv6 address stands in [brackets]) and send FILE.\n"
	"\n"
	"  --header STRING   send STRING first\n"
	"  --header @NAME    send what the file NAME holds first\n"
	"  --offset SIZE     start at this byte of FILE\n"
	"  --length SIZE     send so many bytes; 0, the default: to the end\n"
	"  --method METHOD   zcopy (default), sendfile, or rw (read and write)\n"
	"  --nocache         drop from memory what had to be read from the disk\n"
	"  --lease           send one version of FILE, whole, or fail; who wants to\n"
	"                    change it waits\n"
	"  --repeat COUNT    send it all COUNT times over the one connection\n"
	"  --stats           print a line of figures when done\n"
	"  --quiet           no progress bar\n"
	"  --help            print this\n"
	"\n"
	"SIZE is in bytes; the suffixes k, M, G and T multiply by powers of 1024.\n";

struct options {
	const char *header;
	__u64 offset;
	__u64 length;
	__u64 repeat;
	const struct method *method;
	__u32 flags;
	bool stats;
	bool quiet;
	const char *file;
	const char *peer;
	struct address address;
};

/* Where to stand at the start of a round, and how far all of them are. */
struct job {
	const char *header;
	size_t header_length;
	__u64 offset;
	__u64 length;		/* or TO_END */
	__u64 promised;		/* where the file's size says that it ends, or 0 */
	const struct method *method;
	__u64 sent;		/* bytes, in all rounds */
	struct progress progress;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "header", required_argument, NULL, 'H' },
		{ "offset", required_argument, NULL, 'o' },
		{ "length", required_argument, NULL, 'l' },
		{ "method", required_argument, NULL, 'm' },
		{ "nocache", no_argument, NULL, 'n' },
		{ "lease", no_argument, NULL, 'L' },
		{ "repeat", required_argument, NULL, 'r' },
		{ "stats", no_argument, NULL, 's' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	char *peer;
	int c;

	while ((c = getopt_long(argc, argv, "q", names, NULL)) >= 0) {
		switch (c) {
		case 'H':
			options->header = optarg;
			break;
		case 'o':
			if (!parse_size(optarg, &options->offset)) {
				warnx("--offset %s: not a size", optarg);
				return usage_hint();
			}
			break;
		case 'l':
			if (!parse_size(optarg, &options->length)) {
				warnx("--length %s: not a size", optarg);
				return usage_hint();
			}
			break;
		case 'm':
			options->method = find_method(optarg);
			if (!options->method) {
				warnx("--method %s: not one of zcopy, sendfile, rw",
				      optarg);
				return usage_hint();
			}
			break;
		case 'n':
			options->flags |= ZCOPY_NOCACHE;
			break;
		case 'L':
			/* Whether it held is known at the release only. */
			options->flags |= ZCOPY_LEASE | ZCOPY_SYNC;
			break;
		case 'r':
			if (!parse_count(optarg, &options->repeat)) {
				warnx("--repeat %s: not a positive number",
				      optarg);
				return usage_hint();
			}
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
		warnx("FILE and HOST:PORT are needed, and nothing else");
		return usage_hint();
	}
	if (options->flags && options->method != find_method("zcopy")) {
		warnx("--nocache and --lease are for method zcopy alone");
		return usage_hint();
	}
	options->file = argv[optind];
	options->peer = argv[optind + 1];
	peer = strdup(options->peer);
	if (!peer || !parse_address(peer, &options->address)) {
		warnx("'%s' is not HOST:PORT or [IPV6-ADDRESS]:PORT",
		      options->peer);
		return usage_hint();
	}
	return -1;
}

/* The bytes of --header @NAME; they live as long as the process. */
static int load_header(const char *name, struct job *job)
{
	size_t space = 0, length = 0;
	ssize_t got = -1;
	char *data = NULL;
	int file;

	file = open(name, O_RDONLY | O_CLOEXEC);
	while (file >= 0) {
		if (length == space) {
			space = space ? 2 * space : 4096;
			data = realloc(data, space);
			if (!data)
				break;
		}
		got = read(file, data + length, space - length);
		if (got <= 0)
			break;
		length += got;
	}
	if (got) {
		warn("%s", name);
		return STATUS_FAILED;
	}
	close(file);
	job->header = data;
	job->header_length = length;
	return STATUS_OK;
}

static bool may_read_instead(const struct options *options,
			     const struct job *job)
{
	/* It is the module that has the lease. */
	return job->method != find_method("rw") &&
	       !(options->flags & ZCOPY_LEASE);
}

static bool open_file(const struct options *options, struct job *job,
		      struct source *source)
{
	if (!source_open(source, options->file))
		return false;
	job->method = options->method;
	job->offset = options->offset;
	job->length = options->length ? options->length : TO_END;
	/*
	 * To the end is to where the end is now. Of a file that seems to have
	 * nothing there, as those of /proc do, it is what a read finds. Of
	 * one with a lease it is where the lease finds it.
	 */
	if (!options->length && !(options->flags & ZCOPY_LEASE))
		job->promised = source->start.st_size;
	if (job->promised > job->offset && !source->only_read)
		job->length = job->promised - job->offset;
	if (source->only_read && may_read_instead(options, job))
		job->method = find_method("rw");
	return true;
}

static void advance(struct sender *sender, __u64 bytes)
{
	__u64 header = bytes < sender->header_left ? bytes : sender->header_left;

	sender->header += header;
	sender->header_left -= header;
	bytes -= header;
	sender->offset += bytes;
	if (sender->left != TO_END)
		sender->left -= bytes;
}

static void fit_slice(struct sender *sender, double seconds)
{
	if (seconds < SLICE_TIME_MIN && sender->slice < SLICE_MAX)
		sender->slice *= 2;
	else if (seconds > SLICE_TIME_MAX && sender->slice > SLICE_MIN)
		sender->slice /= 2;
}

/* What an error means that has a reason of its own for a lease. */
static const char *reason_of(const struct options *options,
			     const struct step *step)
{
	if (step->refused && step->error == EAGAIN)
		return options->flags & ZCOPY_LEASE ?
			       "it is open for writing" :
			       "the user has as many threads, or transfers, as he may have";
	if (step->side == SIDE_FILE && step->error == ESTALE)
		return "somebody wants to change it";
	return strerror(step->error);
}

static void complain_of_step(const struct options *options,
			     const struct step *step, __u64 sent)
{
	const char *reason = reason_of(options, step);
	const char *what = step->refused ? "refused, " : "";

	switch (step->side) {
	case SIDE_HEADER:
		warnx("the header failed: %s (%s%llu bytes sent)",
		      reason, what, sent);
		break;
	case SIDE_FILE:
		warnx("the file failed: %s: %s (%s%llu bytes sent)",
		      options->file, reason, what, sent);
		break;
	case SIDE_PEER:
		warnx("the peer failed: %s: %s (%s%llu bytes sent)",
		      options->peer, reason, what, sent);
		break;
	case SIDE_UNKNOWN:
		warnx("file or peer failed, %s does not tell which: %s (%s%llu bytes sent)",
		      options->method->name, reason, what, sent);
		break;
	case SIDE_NONE:
		warnx("the transfer failed: %s (%s%llu bytes sent)",
		      reason, what, sent);
		break;
	}
}

/* What a method cannot send or does not see is read and written from now on. */
static bool read_instead(const struct options *options, struct job *job,
			 struct sender *sender, struct step *step)
{
	bool behind = step->file_ended && sender->left == TO_END;
	bool all = !step->error && !sender->left && job->promised;

	if (all && source_lies(sender->source, job->promised)) {
		/* To the end, wherever that is. */
		sender->left = TO_END;
		job->length = TO_END;
	} else if (!may_read_instead(options, job) ||
		   !(step->unable ||
		     (behind && source_has(sender->source, sender->offset)))) {
		return false;
	}
	job->method = find_method("rw");
	step->file_ended = false;
	return true;
}

static int send_round(const struct options *options, struct job *job,
		      struct sender *sender)
{
	struct step step = { 0 };
	double start;

	sender->header = job->header;
	sender->header_left = job->header_length;
	sender->offset = job->offset;
	sender->left = job->length;

	while (!step.file_ended && (sender->header_left || sender->left)) {
		step = (struct step){ 0 };
		start = now();
		job->method->step(sender, &step);
		advance(sender, step.bytes);
		job->sent += step.bytes;
		if (read_instead(options, job, sender, &step))
			continue;
		/*
		 * Only stopping and continuing the process interrupts it. The
		 * file may have changed before the next call's lease.
		 */
		if (step.error && (step.error != EINTR ||
				   options->flags & ZCOPY_LEASE)) {
			progress_finish(&job->progress, job->sent);
			complain_of_step(options, &step, job->sent);
			return STATUS_FAILED;
		}
		if (job->progress.shown)
			fit_slice(sender, now() - start);
		progress_update(&job->progress, job->sent);
	}
	if (sender->left == TO_END)
		sender->left = job->promised > sender->offset ?
			       job->promised - sender->offset : 0;
	if (!sender->left ||
	    (job->promised && !source_was_cut(sender->source, sender->offset,
					      job->promised)))
		return STATUS_OK;
	progress_finish(&job->progress, job->sent);
	warnx("the file failed: %s: it ended %llu bytes early (%llu bytes sent)",
	      options->file, sender->left, job->sent);
	return STATUS_FAILED;
}

static int send_rounds(const struct options *options, struct job *job,
		       struct sender *sender)
{
	__u64 i;
	int status, error;

	for (i = 0; i < options->repeat; i++) {
		status = send_round(options, job, sender);
		if (status)
			return status;
	}
	error = peer_finish(sender->socket);
	progress_finish(&job->progress, job->sent);
	if (!error)
		return STATUS_OK;
	warnx("the peer failed: %s: %s (%llu bytes sent, not all acknowledged)",
	      options->peer, strerror(-error), job->sent);
	return STATUS_FAILED;
}

/* What the kernel copied is known of the module's own transfers only. */
static int print_stats(const struct job *job, const struct sender *sender,
		       double seconds)
{
	struct zcopy_stats stats;
	int error;

	print_figures(job->method->name, job->sent, seconds, sender->calls);
	if (!sender->zcopy) {
		puts(" copied=unknown");
		return STATUS_OK;
	}
	error = zcopy_stats(sender->zcopy, ZCOPY_STATS_CONTEXT, &stats);
	if (error) {
		putchar('\n');
		return device_error(-error);
	}
	printf(" copied=%llu\n", stats.bytes_copied + sender->read);
	return STATUS_OK;
}

int command_send(int argc, char **argv)
{
	struct options options = { .repeat = 1, .method = find_method("zcopy") };
	struct source source = { 0 };
	struct sender sender = { .source = &source };
	struct job job = { 0 };
	__u64 total;
	double seconds;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	if (options.header && options.header[0] == '@') {
		status = load_header(options.header + 1, &job);
		if (status > 0)
			return status;
	} else if (options.header) {
		job.header = options.header;
		job.header_length = strlen(options.header);
	}
	if (options.method == find_method("zcopy")) {
		status = zcopy_open(&sender.zcopy);
		if (status)
			return device_error(-status);
	}
	if (!open_file(&options, &job, &source))
		return STATUS_FAILED;
	sender.socket = peer_connect(&options.address);
	if (sender.socket < 0)
		return STATUS_FAILED;

	total = job.length;
	if (total == TO_END)
		total = job.promised > job.offset ? job.promised - job.offset : 0;
	if (total)
		total += job.header_length;
	sender.flags = options.flags;
	/* One lease, one call: there is nothing to show in between. */
	progress_start(&job.progress,
		       !options.quiet && !(options.flags & ZCOPY_LEASE),
		       total * options.repeat);
	sender.slice = job.progress.shown ? SLICE_FIRST : UINT64_MAX;
	seconds = now();
	status = send_rounds(&options, &job, &sender);
	seconds = now() - seconds;
	if (!status && options.stats)
		status = print_stats(&job, &sender, seconds);
	zcopy_close(sender.zcopy);
	return status;
}
