// SPDX-License-Identifier: GPL-2.0-only
/* Waiting, shell commands, and the time that all of it may take. */
#include <poll.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "common.h"

int slowdown(void)
{
	const char *text = getenv("ZCOPY_SLOWDOWN");
	int factor = text ? atoi(text) : 1;

	return factor > 1 ? factor : 1;
}

/* In place of the C library's: the harness limits a test's time by it. */
unsigned int alarm(unsigned int seconds)
{
	const struct itimerval after = {
		.it_value.tv_sec = (time_t)seconds * slowdown(),
	};
	struct itimerval before;

	setitimer(ITIMER_REAL, &after, &before);
	return before.it_value.tv_sec;
}

bool patience(uint64_t *since)
{
	struct timespec time;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now = time.tv_sec * 1000ULL + time.tv_nsec / 1000000;
	if (!*since)
		*since = now;
	poll(NULL, 0, 1);
	return now - *since < (uint64_t)PATIENCE_MS;
}

bool await(int fd, short events)
{
	struct pollfd poller = { .fd = fd, .events = events };

	return poll(&poller, 1, PATIENCE_MS) == 1;
}

/*
 * The kernel's name for where a task waits is not stable, its state is: from
 * the moment a sender announced itself it sleeps interruptibly nowhere but in
 * the ioctl, waiting for room in the socket.
 */
bool sleeps(pid_t tid)
{
	char path[64], line[256] = "";
	char state = '?';
	char *end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	if (fgets(line, sizeof(line), stat)) {
		end = strrchr(line, ')');
		if (end)
			state = end[2];
	}
	fclose(stat);
	return state == 'S';
}

bool await_sleep(pid_t tid)
{
	uint64_t since = 0;

	do {
		if (sleeps(tid))
			return true;
	} while (patience(&since));
	return false;
}

int run(const char *format, ...)
{
	char command[4096];
	va_list arguments;
	int status;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	fflush(stdout);
	status = system(command);
	if (status)
		printf("# status %#x of: %s\n", status, command);
	return status;
}

void descriptors_allow(size_t nr)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = nr;
	if (limit.rlim_max < nr)
		limit.rlim_max = nr;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("allow %zu descriptors", nr);
}
