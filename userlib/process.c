// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context of the process, for calls that are not given one. All of this
 * may run in a signal handler, in any thread and in a child made by fork():
 * there is no lock and no allocation, only an atomic word.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zcopy/zcopy.h>
#include "context.h"
#include "process.h"

/*
 * A descriptor of /dev/zcopy that is never closed here, or -1, and how many
 * there were before it: when the program closes one, the next is likely to get
 * its number.
 */
struct current {
	struct zcopy zcopy;
	unsigned int before;
};

static alignas(8) struct current current = { { -1 }, 0 };	/* __atomic_ only */
static_assert(sizeof(struct current) == sizeof(long long) &&
	      ATOMIC_LLONG_LOCK_FREE == 2, "a signal handler must not wait");

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

/* Unless it is no longer as expected: then it is told. */
static bool replace(struct current *expected, struct current *by)
{
	return __atomic_compare_exchange(&current, expected, by, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static int process_context(struct current *context)
{
	struct current mine;
	int error;

	__atomic_load(&current, context, __ATOMIC_SEQ_CST);
	if (context->zcopy.fd >= 0)
		return 0;

	error = zcopy_open_device(&mine.zcopy);
	if (error)
		return error;
	move_up(&mine.zcopy);
	do {
		mine.before = context->before;
		if (replace(context, &mine)) {
			*context = mine;
			return 0;
		}
	} while (context->zcopy.fd < 0);
	/* Another thread was faster: use its descriptor. */
	zcopy_close_device(&mine.zcopy);
	return 0;
}

/*
 * Did the program close the descriptor, as daemons do with all they have? It
 * may be another file by now, so it is forgotten and not closed. If it is the
 * device, another thread may have found out before, and opened it again.
 */
static bool context_lost(struct current context)
{
	struct current none = { { -1 }, context.before + 1 }, now;
	struct zcopy_info info;

	if (zcopy_info(&context.zcopy, &info)) {
		replace(&context, &none);
		return true;
	}
	__atomic_load(&current, &now, __ATOMIC_SEQ_CST);
	return now.before != context.before;
}

static int process_send(const struct zcopy_transfer *transfer,
			struct zcopy_completion *completion)
{
	struct current context;
	int error;

	error = process_context(&context);
	if (error)
		return error;
	error = zcopy_send(&context.zcopy, transfer, completion);
	if (!error || !context_lost(context))
		return error;

	error = process_context(&context);
	if (error)
		return error;
	return zcopy_send(&context.zcopy, transfer, completion);
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
	struct current context;
	int saved = errno;
	int error = process_context(&context);

	errno = saved;
	return error;
}

int zcopy_process_info(struct zcopy_info *info)
{
	struct current context;
	int saved = errno;
	int error;

	error = process_context(&context);
	if (!error)
		error = zcopy_info(&context.zcopy, info);
	errno = saved;
	return error;
}
