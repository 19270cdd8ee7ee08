// SPDX-License-Identifier: GPL-2.0-only
/* The module's coming and going. */
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include "loading.h"

int module_unload(void)
{
	return syscall(SYS_delete_module, "zcopy", 0) ? -errno : 0;
}

int module_unload_soon(void)
{
	int error, tries;

	for (tries = 0; tries < PATIENCE_MS; tries++) {
		error = module_unload();
		if (error != -EAGAIN)
			break;
		poll(NULL, 0, 1);
	}
	return error;
}

int module_load(void)
{
	const char *path = getenv("ZCOPY_KO");
	int error = 0;
	int fd;

	if (!path)
		die("ZCOPY_KO is not set");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s", path);
	if (syscall(SYS_finit_module, fd, "", 0))
		error = -errno;
	close(fd);
	return error;
}
