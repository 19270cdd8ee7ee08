// SPDX-License-Identifier: GPL-2.0-only
/* zcopy stat */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "command.h"

static const char help[] =
	"Usage: zcopy stat [--raw]\n"
	"\n"
	"Show the version, features and limits of the loaded module, what you have of\n"
	"them, and its counters since it was loaded, for administrators.\n"
	"\n"
	"  --raw   print one NAME=NUMBER a line, for scripts\n"
	"  --help  print this\n";

struct bit {
	__u64 bit;
	const char *name;
};

static const struct bit flag_bits[] = {
	{ ZCOPY_NODISKIO, "nodiskio" },
	{ ZCOPY_NOCACHE, "nocache" },
	{ ZCOPY_SYNC, "sync" },
	{ ZCOPY_NOTIFY, "notify" },
	{ ZCOPY_USER_READAHEAD, "user_readahead" },
	{ ZCOPY_LEASE, "lease" },
	{ ZCOPY_MORE, "more" },
	{ ZCOPY_EXACT, "exact" },
	{ ZCOPY_RESUME, "resume" },
};

static const struct bit feature_bits[] = {
	{ ZCOPY_FEATURE_SEND, "send" },
	{ ZCOPY_FEATURE_STATS, "stats" },
	{ ZCOPY_FEATURE_SUBMIT, "submit" },
	{ ZCOPY_FEATURE_URING, "uring" },
	{ ZCOPY_FEATURE_TARGETS, "targets" },
	{ ZCOPY_FEATURE_EXACT, "exact" },
	{ ZCOPY_FEATURE_LOAD, "load" },
};

/* A counter, named as in struct zcopy_stats. */
struct counter {
	const char *name;
	const char *meaning;
	size_t where;		/* of the __u64 in struct zcopy_stats */
};

#define COUNTER(name, meaning)	{ #name, meaning, offsetof(struct zcopy_stats, name) }

static const struct counter counters[] = {
	COUNTER(transfers, "transfers that ended"),
	COUNTER(bytes, "bytes sent"),
	COUNTER(bytes_memory, "of those, from memory"),
	COUNTER(bytes_copied, "of those, copied by the kernel"),
	COUNTER(batches, "gather lists handed to targets"),
	COUNTER(folios, "folios put on them"),
	COUNTER(disk_waits, "waits for the disk"),
	COUNTER(file_errors, "transfers ended by a file"),
	COUNTER(socket_errors, "transfers ended by a target"),
	COUNTER(active, "transfers running now"),
	COUNTER(folios_held, "folios held now"),
	COUNTER(reads, "reads under way now"),
};

static __u64 counter_value(const struct zcopy_stats *stats,
			   const struct counter *counter)
{
	__u64 value;

	memcpy(&value, (const char *)stats + counter->where, sizeof(value));
	return value;
}

static void print_bits(const char *title, const struct bit *bits, size_t count,
		       __u64 value)
{
	size_t i;

	printf("%-12s", title);
	for (i = 0; i < count; i++) {
		if (!(value & bits[i].bit))
			continue;
		printf(" %s", bits[i].name);
		value &= ~bits[i].bit;
	}
	/* Of a module newer than this command. */
	if (value)
		printf(" 0x%llx", value);
	putchar('\n');
}

/* What the user has by now, this command included, and may have. */
static void print_use(const struct zcopy_info *info)
{
	const struct {
		const char *name;
		__u32 use;
		__u32 limit;
	} rows[] = {
		{ "opens of the device", info->user_contexts,
		  info->max_user_contexts },
		{ "transfers", info->user_transfers, info->max_user_transfers },
		{ "pages of memory", info->user_pages, info->max_user_pages },
		{ "reads under way", info->user_reads, info->max_user_reads },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		printf("%-12s %10u of %10u  %s\n", i ? "" : "you have",
		       rows[i].use, rows[i].limit, rows[i].name);
	printf("%-12s %10u %13s  leases\n", "", info->user_leases, "");
}

static void print_human(const struct zcopy_info *info,
			const struct zcopy_stats *stats)
{
	size_t i;

	printf("%-12s %u.%u.%u\n", "version", info->version >> 16,
	       info->version >> 8 & 0xff, info->version & 0xff);
	print_bits("features", feature_bits, ARRAY_SIZE(feature_bits),
		   info->features);
	print_bits("flags", flag_bits, ARRAY_SIZE(flag_bits),
		   info->transfer_flags);
	printf("%-12s a transfer: %u segments, %u bytes of memory, %u bytes a gather list\n",
	       "limits", info->max_segments, info->max_memory, info->batch_bytes);
	printf("%-12s a context: %u transfers, %u completions, %u bytes of memory\n\n",
	       "", info->max_transfers, info->max_completions,
	       info->max_queued_memory);
	print_use(info);
	if (!stats) {
		puts("\nWhat all users have done is told to administrators.");
		return;
	}
	putchar('\n');
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		printf("%20llu  %s\n", counter_value(stats, &counters[i]),
		       counters[i].meaning);
}

static void print_raw(const struct zcopy_info *info,
		      const struct zcopy_stats *stats)
{
	size_t i;

	printf("version=%u\ntransfer_flags=%u\nfeatures=%llu\n",
	       info->version, info->transfer_flags, info->features);
	printf("max_segments=%u\nmax_memory=%u\nbatch_bytes=%u\n",
	       info->max_segments, info->max_memory, info->batch_bytes);
	printf("max_transfers=%u\nmax_completions=%u\nmax_queued_memory=%u\n",
	       info->max_transfers, info->max_completions,
	       info->max_queued_memory);
	printf("max_user_contexts=%u\nmax_user_transfers=%u\n",
	       info->max_user_contexts, info->max_user_transfers);
	printf("max_user_pages=%u\nmax_user_reads=%u\n",
	       info->max_user_pages, info->max_user_reads);
	printf("user_contexts=%u\nuser_transfers=%u\nuser_pages=%u\n",
	       info->user_contexts, info->user_transfers, info->user_pages);
	printf("user_reads=%u\nuser_leases=%u\n", info->user_reads,
	       info->user_leases);
	for (i = 0; stats && i < ARRAY_SIZE(counters); i++)
		printf("%s=%llu\n", counters[i].name,
		       counter_value(stats, &counters[i]));
}

int command_stat(int argc, char **argv)
{
	static const struct option names[] = {
		{ "raw", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct zcopy_stats stats;
	struct zcopy_info info;
	struct zcopy *zcopy;
	bool raw = false, told;
	int error;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (c) {
		case 'r':
			raw = true;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return usage_hint();
		}
	}
	if (argc > optind) {
		warnx("too many arguments");
		return usage_hint();
	}

	error = zcopy_open(&zcopy);
	if (error)
		return device_error(-error);
	error = zcopy_info(zcopy, &info);
	if (!error)
		error = zcopy_stats(zcopy, ZCOPY_STATS_MODULE, &stats);
	zcopy_close(zcopy);
	told = error != -EPERM;
	if (error && told)
		return device_error(-error);
	if (raw)
		print_raw(&info, told ? &stats : NULL);
	else
		print_human(&info, told ? &stats : NULL);
	return STATUS_OK;
}
