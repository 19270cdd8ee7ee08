// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file that is sent or copied. What it holds is what read(2) gives: of many
 * a file (/proc, /sys, FUSE) neither the size nor the page cache says that.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "command.h"

/*
 * Where a file is not in the page cache, which is where the kernel looks for what
 * is sent, it cannot be mapped: those of /proc and /sys, and such of FUSE as have
 * each read come to their server.
 */
static bool has_pages(int file)
{
	void *map = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);

	if (map == MAP_FAILED)
		return errno != ENODEV;
	munmap(map, 1);
	return true;
}

/*
 * To open a FIFO, which is to be refused, must not wait; a file that somebody has a
 * lease on is waited for.
 */
static int open_at_once(const char *name)
{
	int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (file < 0 && errno == EAGAIN && !stat(name, &status) &&
	    S_ISREG(status.st_mode))
		file = open(name, O_RDONLY | O_CLOEXEC);
	return file;
}

/* Prints why, if it fails and returns false. */
bool source_open(struct source *source, const char *name)
{
	source->name = name;
	source->position = 0;
	source->file = open_at_once(name);
	if (source->file < 0 || fstat(source->file, &source->start)) {
		warn("%s", name);
		return false;
	}
	if (!S_ISREG(source->start.st_mode)) {
		warnx("%s: not a regular file", name);
		return false;
	}
	/* A read may have to wait, of /proc/kmsg say. */
	fcntl(source->file, F_SETFL, 0);
	source->only_read = !has_pages(source->file);
	return true;
}

/* As pread(2). A file without offsets is read in order or not at all. */
ssize_t source_read(struct source *source, void *buffer, size_t size,
		    __u64 offset)
{
	ssize_t length = pread(source->file, buffer, size, offset);

	if (length >= 0 || errno != ESPIPE || offset != source->position)
		return length;
	length = read(source->file, buffer, size);
	if (length > 0)
		source->position += length;
	return length;
}

/* Is there a byte? */
bool source_has(const struct source *source, __u64 offset)
{
	char byte;

	return pread(source->file, &byte, 1, offset) == 1;
}

/*
 * Is there more behind what the size was said to be, and is still said to be? Then it
 * is no file that grows.
 */
bool source_lies(const struct source *source, __u64 size)
{
	struct stat now;

	return source_has(source, size) && !fstat(source->file, &now) &&
	       (__u64)now.st_size <= size;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Its server may have no word for what statfs(2) asks. */
static bool is_fuse(int file)
{
	struct statfs status;

	return fstatfs(file, &status) || status.f_type == FUSE_SUPER_MAGIC;
}

/*
 * It ended at an offset, and was to go on to another one. Did somebody truncate
 * it, or does its size say nothing?
 */
bool source_was_cut(const struct source *source, __u64 end, __u64 promised)
{
	struct stat now;

	if (end >= promised)
		return false;
	/* And it has grown again. */
	if (source_has(source, end))
		return true;
	if (fstat(source->file, &now) || (__u64)now.st_size >= promised)
		return false;
	/* FUSE corrects a size by what is read, and no time with it. */
	return !is_fuse(source->file) ||
	       !is_same_time(&now.st_mtim, &source->start.st_mtim) ||
	       !is_same_time(&now.st_ctim, &source->start.st_ctim);
}
