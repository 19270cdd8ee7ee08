// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files to serve, and their way into the page cache: read from disk with
 * read(2), so that the folios are of the size that readahead makes.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hot.h"

#define CHUNK	(1 << 20)

/* A file that is on disk and not in memory. Returns it open for reading. */
int make_file(const char *folder, const char *name, size_t size)
{
	static uint64_t chunk[CHUNK / sizeof(uint64_t)];
	uint64_t state = size;
	size_t done = 0, i;
	char *path;
	int fd;

	if (asprintf(&path, "%s/%s", folder, name) < 0)
		err(1, "path");
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		err(1, "%s", path);
	for (i = 0; i < CHUNK / sizeof(uint64_t); i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		chunk[i] = state;
	}
	while (done < size) {
		size_t want = size - done < CHUNK ? size - done : CHUNK;

		if (write(fd, chunk, want) != (ssize_t)want)
			err(1, "write to %s", path);
		done += want;
	}
	if (fsync(fd))
		err(1, "fsync of %s", path);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		errx(1, "%s cannot be dropped from memory", path);
	free(path);
	return fd;
}

/* Bring a file into memory, as a reader would. */
void warm_file(int fd, size_t size)
{
	static char chunk[1 << 16];
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, chunk, sizeof(chunk), done);

		if (n <= 0)
			err(1, "read");
		done += n;
	}
}
