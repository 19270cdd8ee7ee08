// SPDX-License-Identifier: GPL-2.0-only
/* Numbers: read from the command line, taken from the clock, printed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "command.h"

static bool parse(const char *text, __u64 *value, char **end)
{
	/* strtoull() takes a sign and negates. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, end, 10);
	return !errno;
}

bool parse_count(const char *text, __u64 *value)
{
	char *end;

	return parse(text, value, &end) && !*end && *value > 0;
}

/* Bytes; k, M, G and T multiply by powers of 1024. At most 2^63 - 1. */
bool parse_size(const char *text, __u64 *value)
{
	static const char suffixes[] = "kMGT";
	const char *suffix;
	unsigned int shift = 0;
	char *end;

	if (!parse(text, value, &end))
		return false;
	if (*end) {
		suffix = strchr(suffixes, *end == 'K' ? 'k' : *end);
		if (!suffix || end[1])
			return false;
		shift = 10 * (suffix - suffixes + 1);
	}
	if (*value > (__u64)INT64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* The start of the line that --stats prints; the caller ends it. */
void print_figures(const char *method, __u64 bytes, double seconds,
		   __u64 calls)
{
	printf("method=%s bytes=%llu seconds=%.6f mb_per_s=%.1f calls=%llu",
	       method, bytes, seconds, seconds > 0 ? bytes / seconds / 1e6 : 0.0,
	       calls);
}
