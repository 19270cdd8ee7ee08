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

/* A call, and what was found out about it. */
struct call {
	int out;
	int in;
	off_t *offset;		/* the program's, or NULL */
	size_t count;
	off_t position;		/* where in the file to begin */
	off_t target;		/* ditto in that it goes to; -1: to a socket */
};

/* 0 or a negative errno. */
static int find_position(struct call *call)
{
	struct stat stat;
	int error;

	if (call->offset) {
		error = check_access(call->offset);
		if (!error)
			call->position = *call->offset;
		return error;
	}
	/* A device may think of lseek() what it likes: only files are asked. */
	if (fstat(call->in, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode))
		return -ESPIPE;
	call->position = lseek(call->in, 0, SEEK_CUR);
	return call->position < 0 ? -errno : 0;
}

/* Where the bytes go to; 0 or a negative errno. */
static int find_target(struct call *call)
{
	struct stat out, in;

	if (fstat(call->out, &out) < 0)
		return -errno;
	if (S_ISSOCK(out.st_mode)) {
		call->target = -1;
		return 0;
	}
	if (!S_ISREG(out.st_mode))
		return -ENOTSOCK;
	/* A file copied to itself is read again where it was written. */
	if (fstat(call->in, &in) < 0)
		return -errno;
	if (in.st_dev == out.st_dev && in.st_ino == out.st_ino)
		return -EINVAL;
	call->target = lseek(call->out, 0, SEEK_CUR);
	return call->target < 0 ? -errno : 0;
}

/* What the module does not know of, or knows otherwise than sendfile(). */
static int check_call(const struct call *call)
{
	const size_t most = INT64_MAX - (size_t)call->position;
	int flags = fcntl(call->out, F_GETFL);
	int in_flags = fcntl(call->in, F_GETFL);

	if (flags < 0 || in_flags < 0)
		return -errno;
	/* The module reads it at any offset, which sendfile() does not. */
	if (in_flags & O_DIRECT)
		return -EOPNOTSUPP;
	/* It reads what the server has, not what the page cache has of it. */
	if (mount_may_be_fuse(call->in))
		return -EOPNOTSUPP;
	if (flags & O_APPEND)
		return -EINVAL;
	/* The count counts in full here, before it is cut to the largest. */
	if (call->position < 0 || call->count > most)
		return -EINVAL;
	if (call->target > 0 && call->count > INT64_MAX - (size_t)call->target)
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

static ssize_t call_kernel(const struct call *call, size_t count)
{
	return syscall(SYS_sendfile, call->out, call->in, call->offset, count);
}

static int transfer(const struct call *call, struct zcopy_completion *completion)
{
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;

	zcopy_segment_file(&segment, call->in, call->position,
			   call->count < MAX_COUNT ? call->count : MAX_COUNT);
	zcopy_transfer_init(&transfer, call->out, &segment, 1);
	if (call->target > 0)
		transfer.offset = (uint64_t)call->target;
	return zcopy_process_send(&transfer, completion);
}

/* So many bytes went. */
static void move_on(const struct call *call, size_t bytes)
{
	const off_t position = call->position + (off_t)bytes;

	if (call->offset)
		*call->offset = position;
	else
		lseek(call->in, position, SEEK_SET);
	if (call->target >= 0)
		lseek(call->out, call->target + (off_t)bytes, SEEK_SET);
}

/*
 * What the target took, or a negative errno, for the caller. 0: nothing has
 * happened, and the system call is to say what comes of it; *reason has the
 * errno why, or 0 if there was nothing to send.
 */
static ssize_t send_by_device(struct call *call, int *reason)
{
	struct zcopy_completion completion = { 0 };
	ssize_t rest;
	int error;

	*reason = 0;
	if (!call->count)
		return 0;
	error = find_position(call);
	if (!error)
		error = find_target(call);
	if (!error)
		error = check_call(call);
	if (!error)
		error = transfer(call, &completion);
	/* Who was interrupted is told so, and does not begin anew. */
	if (error == -EINTR && call->target < 0)
		return error;
	if (error) {
		*reason = -error;
		return 0;
	}

	if (completion.bytes) {
		move_on(call, completion.bytes);
		summary_sent(completion.bytes, completion.flags & ZCOPY_C_COPIED);
	}
	if (call->target >= 0) {
		*reason = -completion.error;
		if (!completion.bytes || completion.error != -EFBIG)
			return (ssize_t)completion.bytes;
		/* The signal that tells of the limit comes with what went. */
		rest = call_kernel(call, call->count - completion.bytes);
		summary_fell_back(EFBIG, rest);
		return (ssize_t)completion.bytes + (rest > 0 ? rest : 0);
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
	struct call call = { out, in, offset, count, 0, -1 };
	const int saved = errno;
	ssize_t result;
	int reason;

	if (!enabled)
		return call_kernel(&call, count);

	summary_call();
	result = send_by_device(&call, &reason);
	errno = saved;
	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	if (!result) {
		result = call_kernel(&call, count);
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
