// SPDX-License-Identifier: GPL-2.0-only
/* Memory that is late in coming. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "late.h"

void late_make(struct late *late, size_t size)
{
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };

	late->size = size;
	late->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	late->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (late->memory == MAP_FAILED || late->fd < 0 ||
	    ioctl(late->fd, UFFDIO_API, &api))
		die("make memory that is late");
	area.range.start = (uintptr_t)late->memory;
	area.range.len = size;
	if (ioctl(late->fd, UFFDIO_REGISTER, &area))
		die("UFFDIO_REGISTER");
}

bool late_await(struct late *late, unsigned int nr)
{
	struct uffd_msg message;

	for (; nr; nr--)
		if (!await(late->fd, POLLIN) ||
		    read(late->fd, &message, sizeof(message)) != sizeof(message))
			return false;
	return true;
}

void late_come(struct late *late)
{
	struct uffdio_zeropage zeros = {
		.range = { (uintptr_t)late->memory, late->size },
	};

	if (ioctl(late->fd, UFFDIO_ZEROPAGE, &zeros))
		die("UFFDIO_ZEROPAGE");
}

void late_close(struct late *late)
{
	munmap(late->memory, late->size);
	close(late->fd);
}
