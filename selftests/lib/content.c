// SPDX-License-Identifier: GPL-2.0-only
/* Known bytes: the pattern, memory that holds it and files that hold it. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "content.h"

static uint64_t word(uint32_t seed, uint64_t index)
{
	uint64_t x;

	if (seed == ZEROS)
		return 0;
	if (seed & COARSE)
		index /= 16;
	x = (index + 1) * 0x9e3779b97f4a7c15ULL +
	    seed * 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 29;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 32);
}

void pattern(void *buffer, size_t len, uint32_t seed, uint64_t pos)
{
	char *to = buffer;

	while (len) {
		uint64_t w = word(seed, pos / sizeof(w));
		size_t skip = pos % sizeof(w);
		size_t n = sizeof(w) - skip;

		if (n > len)
			n = len;
		memcpy(to, (char *)&w + skip, n);
		to += n;
		pos += n;
		len -= n;
	}
}

char *memory(uint64_t pos, uint64_t len)
{
	static const uint64_t size = 64 * MIB;
	static uint64_t filled;
	static char *area;

	if (!area) {
		area = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (area == MAP_FAILED)
			die("mmap");
	}
	if (pos + len > size)
		die("there is no more than %llu bytes of the pattern",
		    (unsigned long long)size);
	if (pos + len > filled) {
		pattern(area + filled, pos + len - filled, MEMORY, filled);
		filled = pos + len;
	}
	return area + pos;
}

const char *directory(enum filesystem filesystem)
{
	static const char *const names[] = {
		[EXT4] = "ZCOPY_TESTDIR_EXT4",
		[XFS] = "ZCOPY_TESTDIR_XFS",
		[TMPFS] = "ZCOPY_TESTDIR_TMPFS",
		[OVERLAY] = "ZCOPY_TESTDIR_OVERLAY",
		[OVERLAY_LOWER] = "ZCOPY_TESTDIR_OVERLAY",
	};
	const char *path = getenv(names[filesystem]);

	if (!path)
		die("%s is not set", names[filesystem]);
	return path;
}

static int reopen(int fd, int flags)
{
	int new = open_again(fd, flags);

	if (new < 0)
		die("open a file again");
	return new;
}

bool file_has_disk(const struct file *file)
{
	return file->filesystem != TMPFS && file->filesystem != MEMFD;
}

void file_write(const struct file *file, uint64_t offset, uint64_t len,
		uint32_t seed)
{
	static char chunk[256 * KIB];

	while (len) {
		size_t n = len < sizeof(chunk) ? len : sizeof(chunk);

		pattern(chunk, n, seed, offset);
		if (pwrite(file->rw, chunk, n, offset) != (ssize_t)n)
			die("write a test file");
		offset += n;
		len -= n;
	}
	if (fsync(file->rw))
		die("fsync");
}

/*
 * What is below is written where it is, and read from above. Its name goes as soon
 * as it is open: above first, where the folder keeps in mind that it is gone.
 */
static void make_below(struct file *file)
{
	const char *place = directory(file->filesystem);
	char below[300], above[300];

	snprintf(below, sizeof(below), "%s/lower/XXXXXX", place);
	file->rw = mkostemp(below, O_CLOEXEC);
	snprintf(above, sizeof(above), "%s/merged/%s", place,
		 strrchr(below, '/') + 1);
	file->fd = open(above, O_RDONLY | O_CLOEXEC);
	if (file->rw < 0 || file->fd < 0 || unlink(above) || unlink(below))
		die("make %s", above);
}

static int make_unnamed(enum filesystem filesystem)
{
	char path[300];

	if (filesystem == MEMFD)
		return memfd_create("zcopy", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s%s", directory(filesystem),
		 filesystem == OVERLAY ? "/merged" : "");
	return open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

void file_make(struct file *file, enum filesystem filesystem, uint64_t size,
	       uint32_t seed)
{
	file->filesystem = filesystem;
	file->size = size;
	file->seed = seed;
	if (filesystem == OVERLAY_LOWER)
		make_below(file);
	else
		file->rw = make_unnamed(filesystem);
	if (file->rw < 0)
		die("make a test file");
	file_write(file, 0, size, seed);
	if (filesystem != OVERLAY_LOWER)
		file->fd = reopen(file->rw, O_RDONLY);
	if (flock(file->fd, LOCK_SH))
		die("flock");
}

/*
 * The lock of an open file goes with the last reference to it: whoever still
 * holds one that should be gone is found out here.
 */
void file_close(struct file *file)
{
	/* What is below has locks of its own. */
	const int other = file->filesystem == OVERLAY_LOWER ?
			  reopen(file->fd, O_RDONLY) : dup(file->rw);
	uint64_t since = 0;

	close(file->fd);
	while (flock(other, LOCK_EX | LOCK_NB)) {
		if (!patience(&since))
			die("somebody still holds a closed file");
	}
	close(other);
	close(file->rw);
}

size_t file_resident(const struct file *file, uint64_t offset, uint64_t len)
{
	size_t pages = (len + PAGE - 1) / PAGE, n = 0, i;
	unsigned char *map;
	void *area;

	if (!pages)
		return 0;
	map = malloc(pages);
	area = mmap(NULL, len, PROT_READ, MAP_SHARED, file->fd, offset);
	if (!map || area == MAP_FAILED || mincore(area, len, map))
		die("mincore");
	for (i = 0; i < pages; i++)
		n += map[i] & 1;
	munmap(area, len);
	free(map);
	return n;
}

void file_chill(const struct file *file)
{
	uint64_t since = 0;

	if (fsync(file->rw))
		die("fsync");
	/* What was sent is referenced until the last packet is freed. */
	do {
		if (posix_fadvise(file->rw, 0, 0, POSIX_FADV_DONTNEED))
			die("drop the page cache of a file");
		if (!file_resident(file, 0, file->size))
			return;
	} while (patience(&since));
	die("%zu pages stay in the page cache",
	    file_resident(file, 0, file->size));
}

static const char *fd_holds(int fd, const char *where, uint64_t offset,
			    struct stretch content)
{
	static char seen[64 * KIB] __attribute__((aligned(4096)));
	static char good[64 * KIB];
	static char text[128];

	while (content.len) {
		/* O_DIRECT wants all of it aligned. */
		const size_t skip = offset % PAGE;
		size_t n = sizeof(good) - skip;
		ssize_t r = pread(fd, seen, sizeof(seen), offset - skip);

		if (n > content.len)
			n = content.len;
		pattern(good, n, content.seed, content.pos);
		if (r < (ssize_t)(skip + n) || memcmp(seen + skip, good, n)) {
			snprintf(text, sizeof(text),
				 "%s is wrong after offset %llu (%zd of %zu)",
				 where, (unsigned long long)offset, r, n);
			return text;
		}
		offset += n;
		content.pos += n;
		content.len -= n;
	}
	return "";
}

const char *file_holds(const struct file *file, uint64_t offset,
		       struct stretch content)
{
	const char *verdict = fd_holds(file->fd, "page cache", offset, content);
	int direct;

	if (*verdict || !file_has_disk(file))
		return verdict;
	if (fsync(file->rw))
		die("fsync");
	direct = reopen(file->rw, O_RDONLY | O_DIRECT);
	verdict = fd_holds(direct, "disk", offset, content);
	close(direct);
	return verdict;
}

const char *file_intact(const struct file *file)
{
	return file_holds(file, 0, (struct stretch){ file->seed, 0,
						     file->size });
}
