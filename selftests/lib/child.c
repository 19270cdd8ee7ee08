// SPDX-License-Identifier: GPL-2.0-only
/* A process whose transfer is under way. */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/zcopy.h>

#include "child.h"
#include "submit.h"
#include "threads.h"

pid_t child_fork(int device, int socket, const struct part *part)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		struct zcopy_completion done;

		submit_one(device, socket, part, 0);
		_exit(reap(device, &done, 1) == 1 && !done.error &&
		      done.bytes == part->want.len ? 0 : 1);
	}
	return child;
}

pid_t child_start(int device, int socket, const struct part *part)
{
	pid_t child = child_fork(device, socket, part);

	if (!await_threads(child, HOT_WORKER, 1) || !await_all(child, 'S'))
		die("the child does not come to wait");
	return child;
}

static void await_submit(pid_t child)
{
	struct __ptrace_syscall_info info;
	int status;

	if (ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD))
		die("PTRACE_SETOPTIONS");
	do {
		if (ptrace(PTRACE_SYSCALL, child, 0, 0) ||
		    waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			die("trace");
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) < 0)
			die("PTRACE_GET_SYSCALL_INFO");
	} while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_ioctl ||
		 info.entry.args[1] != ZCOPY_IOC_SUBMIT);
}

pid_t child_trace(void (*run)(void *argument), void *argument)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		die("fork");
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			die("PTRACE_TRACEME");
		raise(SIGSTOP);
		run(argument);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		die("wait for the child");
	await_submit(child);
	return child;
}

void child_drain(struct cursor *cursor, int fd, uint64_t most)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	while (cursor->got < most && poll(&poller, 1, 100 * slowdown()) == 1)
		if (cursor_read(cursor, fd, most - cursor->got) <= 0)
			die("read what was sent");
}

const char *child_finish(pid_t child, struct cursor *cursor, int fd)
{
	const uint64_t total = parts_total(cursor->parts, cursor->nr);
	static char text[64];
	int status;

	if (!cursor_take(cursor, fd, total - cursor->got) || cursor->wrong)
		return cursor_verdict(cursor, total);
	if (waitpid(child, &status, 0) != child)
		die("wait for the child");
	snprintf(text, sizeof(text), "the child ends with %#x", status);
	return status ? text : "";
}

bool await_end(pid_t process, int *status)
{
	uint64_t since = 0;

	do {
		if (waitpid(process, status, WNOHANG) == process)
			return true;
	} while (patience(&since));
	kill(process, SIGKILL);
	return false;
}
