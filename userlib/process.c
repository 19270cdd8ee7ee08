// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context of the process, for calls that are not given one. All of this
 * may run in a signal handler, in any thread and in a child made by fork():
 * there is no lock and no allocation, only an atomic word.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zcopy/zcopy.h>
#include "context.h"
#include "process.h"

/* -1, or a descriptor of /dev/zcopy that is never closed here. */
static atomic_int process_fd = -1;

/*
 * Programs may count on the lowest numbers for their own descriptors, and on
 * numbers that fit select(); halfway up there is nobody's place.
 */
#define HIGH_ENOUGH	1024

static void move_up(struct zcopy *zcopy)
{
	struct rlimit limit;
	int from = HIGH_ENOUGH;
	int fd;

	if (!getrlimit(RLIMIT_NOFILE, &limit) &&
	    limit.rlim_cur / 2 < HIGH_ENOUGH)
		from = (int)limit.rlim_cur / 2;
	fd = fcntl(zcopy->fd, F_DUPFD_CLOEXEC, from);
	if (fd < 0)
		return;		/* it is as good where it is */
	zcopy_close_device(zcopy);
	zcopy->fd = fd;
}

static int process_context(struct zcopy *zcopy)
{
	int none = -1;
	int error;

	zcopy->fd = atomic_load(&process_fd);
	if (zcopy->fd >= 0)
		return 0;

	error = zcopy_open_device(zcopy);
	if (error)
		return error;
	move_up(zcopy);
	if (!atomic_compare_exchange_strong(&process_fd, &none, zcopy->fd)) {
		/* Another thread was faster: use its descriptor. */
		zcopy_close_device(zcopy);
		zcopy->fd = none;
	}
	return 0;
}

/*
 * Did the program close the descriptor, as daemons do with all they have? It
 * may be another file by now, so it is forgotten and not closed.
 */
static bool context_lost(struct zcopy *zcopy)
{
	struct zcopy_info info;
	int fd = zcopy->fd;

	if (!zcopy_info(zcopy, &info))
		return false;
	atomic_compare_exchange_strong(&process_fd, &fd, -1);
	return true;
}

static int process_send(const struct zcopy_transfer *transfer,
			struct zcopy_completion *completion)
{
	struct zcopy zcopy;
	int error;

	error = process_context(&zcopy);
	if (error)
		return error;
	error = zcopy_send(&zcopy, transfer, completion);
	if (!error || !context_lost(&zcopy))
		return error;

	error = process_context(&zcopy);
	if (error)
		return error;
	return zcopy_send(&zcopy, transfer, completion);
}

int zcopy_process_send(const struct zcopy_transfer *transfer,
		       struct zcopy_completion *completion)
{
	int saved = errno;
	int error = process_send(transfer, completion);

	errno = saved;
	return error;
}

int zcopy_process_open(void)
{
	struct zcopy zcopy;
	int saved = errno;
	int error = process_context(&zcopy);

	errno = saved;
	return error;
}

int zcopy_process_info(struct zcopy_info *info)
{
	struct zcopy zcopy;
	int saved = errno;
	int error;

	error = process_context(&zcopy);
	if (!error)
		error = zcopy_info(&zcopy, info);
	errno = saved;
	return error;
}
