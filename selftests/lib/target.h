/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of regular files as targets share. */
#ifndef TARGET_H
#define TARGET_H

#include <sys/ioctl.h>
#include <sys/stat.h>

#include "submit.h"

#define SEED	621U
#define OTHER	622U

/* As send_parts(), with an offset: 0 or -errno of the ioctl. */
static int copy_parts(int device, int target, uint64_t offset,
		      const struct part *parts, size_t nr, uint32_t flags,
		      struct zcopy_completion *completion)
{
	struct zcopy_send send = {
		.transfer = transfer_of(target, parts, nr, 99),
	};

	send.transfer.flags = flags;
	send.transfer.offset = offset;
	if (ioctl(device, ZCOPY_IOC_SEND, &send))
		return -errno;
	*completion = send.completion;
	return 0;
}

/* "" when the file has what the parts give at the offset. */
static const char *holds_parts(const struct file *file, uint64_t offset,
			       const struct part *parts, size_t nr)
{
	const char *verdict = "";

	for (; nr-- && !*verdict; parts++) {
		verdict = file_holds(file, offset, parts->want);
		offset += parts->want.len;
	}
	return verdict;
}

static uint64_t size_of(const struct file *file)
{
	struct stat stat;

	if (fstat(file->rw, &stat))
		die("fstat");
	return stat.st_size;
}

#endif
