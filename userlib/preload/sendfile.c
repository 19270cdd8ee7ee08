// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * sendfile() for programs as they are: what /dev/zcopy serves goes there, all
 * else to the system call, and nobody can tell them apart by what comes back.
 *
 * A call is given to the system call as long as nothing of it has happened. So
 * whatever is odd about it, the kernel itself says what comes of it, and only
 * transfers that the module accepted have to be translated.
 *
 * A signal handler may interrupt any line here and call sendfile() itself.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zcopy/zcopy.h>
#include "../process.h"
#include "preload.h"

static_assert(sizeof(long) == sizeof(off_t), "SYS_sendfile takes an off_t");

/* The kernel sends no more in one call. */
#define MAX_COUNT	0x7ffff000UL

static bool enabled;	/* constant once the program runs */

/*
 * May the kernel read and write the word? It is asked to change nothing there,
 * at once and whole, so that no other thread sees it.
 */
static int check_access(const off_t *offset)
{
	const int or_nothing = FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_LT, 0);
	unsigned int unused = 0;

	/* One that is not aligned may lie on two pages. */
	if ((uintptr_t)offset % sizeof(*offset) ||
	    syscall(SYS_futex, &unused, FUTEX_WAKE_OP_PRIVATE, 0, NULL, offset,
		    or_nothing) < 0)
		return -EFAULT;
	return 0;
}

/* Where in the file to begin; 0 or a negative errno. */
static int find_position(int in, const off_t *offset, off_t *position)
{
	struct stat stat;
	int error;

	if (offset) {
		error = check_access(offset);
		if (!error)
			*position = *offset;
		return error;
	}
	/* A device may think of lseek() what it likes: only files are asked. */
	if (fstat(in, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -ESPIPE;
	*position = lseek(in, 0, SEEK_CUR);
	return *position < 0 ? -errno : 0;
}

/* What the module does not know of, or knows otherwise than sendfile(). */
static int check_call(int out, int in, off_t position, size_t count)
{
	int flags = fcntl(out, F_GETFL);
	int in_flags = fcntl(in, F_GETFL);
	struct stat stat;

	if (flags < 0 || in_flags < 0 || fstat(out, &stat) < 0)
		return -errno;
	if (!S_ISSOCK(stat.st_mode))
		return -ENOTSOCK;
	/* The module reads it at any offset, which sendfile() does not. */
	if (in_flags & O_DIRECT)
		return -EOPNOTSUPP;
	if (flags & O_APPEND)
		return -EINVAL;
	/* The count counts in full here, before it is cut to the largest. */
	if (position < 0 || count > (size_t)(INT64_MAX - position))
		return -EINVAL;
	return 0;
}

/* As the kernel does it: to this thread, from this process. */
static void raise_sigpipe(void)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGPIPE;
	info.si_code = SI_USER;
	info.si_pid = getpid();
	info.si_uid = getuid();
	syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPIPE, &info);
}

/*
 * What the socket took, or a negative errno, for the caller. 0: nothing has
 * happened, and the system call is to say what comes of it; *reason has the
 * errno why, or 0 if there was nothing to send.
 */
static ssize_t send_by_device(int out, int in, off_t *offset, size_t count,
			      int *reason)
{
	struct zcopy_completion completion = { 0 };
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	off_t position = 0;
	int error;

	*reason = 0;
	if (!count)
		return 0;
	error = find_position(in, offset, &position);
	if (!error)
		error = check_call(out, in, position, count);
	if (!error) {
		if (count > MAX_COUNT)
			count = MAX_COUNT;
		zcopy_segment_file(&segment, in, position, count);
		zcopy_transfer_init(&transfer, out, &segment, 1);
		error = zcopy_process_send(&transfer, &completion);
	}
	/* Who was interrupted is told so, and does not begin anew. */
	if (error == -EINTR)
		return error;
	if (error) {
		*reason = -error;
		return 0;
	}

	if (completion.bytes) {
		position += (off_t)completion.bytes;
		if (offset)
			*offset = position;
		else
			lseek(in, position, SEEK_SET);
		summary_sent(completion.bytes, completion.flags & ZCOPY_C_COPIED);
	}
	/* Last, so that its handler finds all as it will be. */
	if (completion.error == -EPIPE)
		raise_sigpipe();

	if (completion.bytes)
		return (ssize_t)completion.bytes;
	/* A socket tells an error once, and time runs out once. */
	if (completion.error == -EAGAIN ||
	    (completion.flags & ZCOPY_C_SOCKET_ERROR))
		return completion.error;
	*reason = -completion.error;
	return 0;
}

static ssize_t send_file(int out, int in, off_t *offset, size_t count)
{
	const int saved = errno;
	ssize_t result;
	int reason;

	if (!enabled)
		return syscall(SYS_sendfile, out, in, offset, count);

	summary_call();
	result = send_by_device(out, in, offset, count, &reason);
	errno = saved;
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	if (!result) {
		result = syscall(SYS_sendfile, out, in, offset, count);
		if (reason)
			summary_fell_back(reason, result);
	}
	return result;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	return send_file(out, in, offset, count);
}

ssize_t sendfile64(int out, int in, off_t *offset, size_t count)
{
	return send_file(out, in, offset, count);
}

__attribute__((constructor)) static void begin(void)
{
	const char *wanted = secure_getenv("ZCOPY_PRELOAD");

	if (wanted && !strcmp(wanted, "0"))
		return;
	summary_begin();
	/*
	 * Now, as the program may change its root or lose its rights before the
	 * first call. What fails here is tried again then.
	 */
	zcopy_process_open();
	enabled = true;
}
