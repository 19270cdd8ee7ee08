// SPDX-License-Identifier: GPL-2.0-only
/* Waiting, shell commands, and the time that all of it may take. */
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

int slowdown(void)
{
	const char *text = getenv("ZCOPY_SLOWDOWN");
	int factor = text ? atoi(text) : 1;

	return factor > 1 ? factor : 1;
}

static bool is_full(void)
{
	const char *full = getenv("ZCOPY_FULL");

	return full && *full;
}

/* In place of the C library's: the harness limits a test's time by it. */
unsigned int alarm(unsigned int seconds)
{
	const struct itimerval after = {
		.it_value.tv_sec = (time_t)seconds * slowdown() *
				   (is_full() ? 3 : 1),
	};
	struct itimerval before;

	setitimer(ITIMER_REAL, &after, &before);
	return before.it_value.tv_sec;
}

int open_again(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
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

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
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

void become(uid_t user)
{
	if (setgroups(0, NULL) || setresgid(user, user, user) ||
	    setresuid(user, user, user))
		die("change to user %u", user);
}

static int status_of(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("run a child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int as_child(int (*work)(void *argument), void *argument)
{
	pid_t child = fork();

	if (!child)
		_exit(work(argument));
	return status_of(child);
}

int as_user(uid_t user, int (*work)(void *argument), void *argument)
{
	pid_t child = fork();

	if (!child) {
		become(user);
		_exit(work(argument));
	}
	return status_of(child);
}

unsigned int how_often(unsigned int usual)
{
	return usual * (is_full() ? 10 : 1) / slowdown();
}
