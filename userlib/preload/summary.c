// SPDX-License-Identifier: LGPL-2.1-or-later
/* What became of the calls, and one line about it when the process exits. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "preload.h"

/* Reasons are counted by errno; larger ones, which are unknown, together. */
#define MAX_REASON	255

static struct {
	atomic_ulong calls;
	atomic_ulong referenced;	/* bytes through the device, ... */
	atomic_ulong copied;		/* ... and those of calls that copied */
	atomic_ulong fallbacks;
	atomic_ulong by_system_call;	/* bytes */
	atomic_ulong reasons[MAX_REASON + 1];
} counts;

/* "": none is wanted, "1": to standard error, else to this file. */
static char where[PATH_MAX];

static void add(atomic_ulong *counter, unsigned long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void summary_call(void)
{
	add(&counts.calls, 1);
}

void summary_sent(size_t bytes, bool copied)
{
	add(copied ? &counts.copied : &counts.referenced, bytes);
}

void summary_fell_back(int reason, ssize_t result)
{
	add(&counts.fallbacks, 1);
	add(&counts.reasons[reason < MAX_REASON ? reason : MAX_REASON], 1);
	if (result > 0)
		add(&counts.by_system_call, (unsigned long)result);
}

/* A child of fork() counts, and tells, what it does itself. */
static bool is_child;

static void start_anew(void)
{
	is_child = true;
	memset(&counts, 0, sizeof(counts));
}

void summary_begin(void)
{
	const char *wanted = secure_getenv("ZCOPY_PRELOAD_SUMMARY");

	if (!wanted || !strcmp(wanted, "0") || strlen(wanted) >= sizeof(where))
		return;
	/* Servers write their title over what getenv() returned. */
	memcpy(where, wanted, strlen(wanted) + 1);
	pthread_atfork(NULL, NULL, start_anew);
}

/* The line, and its length: never more than fits. */
static size_t compose(char *line, size_t size)
{
	char name[16] = "";
	size_t length;
	int i;

	prctl(PR_GET_NAME, name);
	length = (size_t)snprintf(line, size,
				  "zcopy-preload: %.15s[%d]: calls=%lu by_reference=%lu copied=%lu fallbacks=%lu by_system_call=%lu",
				  name, getpid(), counts.calls, counts.referenced,
				  counts.copied, counts.fallbacks,
				  counts.by_system_call);
	for (i = 1; i <= MAX_REASON; i++) {
		const char *reason = strerrorname_np(i);

		if (!counts.reasons[i] || length >= size)
			continue;
		length += (size_t)snprintf(line + length, size - length,
					   " %s=%lu", reason ? reason : "other",
					   counts.reasons[i]);
	}
	if (length >= size)
		length = size - 1;
	line[length] = '\n';
	return length + 1;
}

/* In one piece, as other processes write there too. */
__attribute__((destructor)) static void end(void)
{
	int fd = STDERR_FILENO;
	char line[4096];
	size_t length;

	if (!*where || (is_child && !counts.calls))
		return;
	if (strcmp(where, "1"))
		fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		fd = STDERR_FILENO;
	length = compose(line, sizeof(line));
	if (write(fd, line, length) < 0)
		return;		/* nobody is left to tell */
}
