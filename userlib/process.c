// SPDX-License-Identifier: LGPL-2.1-or-later
/* The context of the process. */
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>
#include "context.h"
#include "process.h"

/*
 * The context of the process: -1, or a descriptor of /dev/zcopy that is never
 * closed here. An atomic word instead of a lock is what makes fork() safe.
 */
static atomic_int process_fd = -1;

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
	if (!atomic_compare_exchange_strong(&process_fd, &none, zcopy->fd)) {
		/* Another thread was faster: use its descriptor. */
		close(zcopy->fd);
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

int zcopy_process_send(const struct zcopy_transfer *transfer,
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

int zcopy_process_info(struct zcopy_info *info)
{
	struct zcopy zcopy;
	int error;

	error = process_context(&zcopy);
	if (error)
		return error;
	return zcopy_info(&zcopy, info);
}
