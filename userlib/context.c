// SPDX-License-Identifier: LGPL-2.1-or-later
/* A context and its ioctls. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zcopy/zcopy.h>
#include "context.h"

int zcopy_control(const struct zcopy *zcopy, unsigned long request, void *arg)
{
	return ioctl(zcopy->fd, request, arg) < 0 ? -errno : 0;
}

/*
 * Past the C library, whose open() and close() are cancellation points, which
 * sendfile() is not.
 */
int zcopy_open_device(struct zcopy *zcopy)
{
	struct zcopy_info info;
	int error;

	zcopy->fd = (int)syscall(SYS_openat, AT_FDCWD, ZCOPY_DEVICE,
				 O_RDWR | O_CLOEXEC);
	if (zcopy->fd < 0)
		return -errno;

	/* What is not the module's device shows here, not at the first send. */
	error = zcopy_info(zcopy, &info);
	if (error)
		zcopy_close_device(zcopy);
	return error;
}

void zcopy_close_device(const struct zcopy *zcopy)
{
	syscall(SYS_close, zcopy->fd);
}

int zcopy_open(struct zcopy **out)
{
	struct zcopy *zcopy;
	int error;

	zcopy = malloc(sizeof(*zcopy));
	if (!zcopy)
		return -ENOMEM;

	error = zcopy_open_device(zcopy);
	if (error) {
		free(zcopy);
		return error;
	}
	*out = zcopy;
	return 0;
}

void zcopy_close(struct zcopy *zcopy)
{
	if (!zcopy)
		return;
	zcopy_close_device(zcopy);
	free(zcopy);
}

int zcopy_fd(const struct zcopy *zcopy)
{
	return zcopy->fd;
}

int zcopy_info(struct zcopy *zcopy, struct zcopy_info *info)
{
	struct zcopy_info arg = { 0 };
	int error;

	error = zcopy_control(zcopy, ZCOPY_IOC_INFO, &arg);
	if (!error)
		*info = arg;
	return error;
}

int zcopy_send(struct zcopy *zcopy, const struct zcopy_transfer *transfer,
	       struct zcopy_completion *completion)
{
	struct zcopy_send arg = { .transfer = *transfer };
	int error;

	error = zcopy_control(zcopy, ZCOPY_IOC_SEND, &arg);
	if (!error)
		*completion = arg.completion;
	return error;
}

int zcopy_stats(struct zcopy *zcopy, unsigned int scope,
		struct zcopy_stats *stats)
{
	struct zcopy_stats arg = { .scope = scope };
	int error;

	error = zcopy_control(zcopy, ZCOPY_IOC_STATS, &arg);
	if (!error)
		*stats = arg;
	return error;
}
