/* SPDX-License-Identifier: GPL-2.0-only */
/* Known bytes, and files that hold them. */
#ifndef CONTENT_H
#define CONTENT_H

#include "common.h"

/*
 * Each byte depends on the seed and on its position, so that a byte at the wrong
 * place shows.
 */
#define ZEROS		0U	/* seed of a hole */
#define UNCHECKED	~0U	/* seed of bytes that are received and dropped */
#define MEMORY		77U	/* seed of memory() */
/* In a seed: of the pattern each word 16 times, so that it can be compressed. */
#define COARSE		0x80000000U

struct stretch {
	uint32_t seed;
	uint64_t pos;
	uint64_t len;
};

void pattern(void *buffer, size_t len, uint32_t seed, uint64_t pos);
/* len bytes with the pattern of seed MEMORY from pos on; readable for ever. */
char *memory(uint64_t pos, uint64_t len);

/* The last two, on EXT4, need overlay_make(). */
enum filesystem { EXT4, XFS, TMPFS, MEMFD, OVERLAY, OVERLAY_LOWER };

struct file {
	enum filesystem filesystem;
	int fd;			/* read only, as a server would have it */
	int rw;
	uint32_t seed;
	uint64_t size;
};

const char *directory(enum filesystem filesystem);
/* An unlinked file that holds size bytes of the pattern, on disk. */
void file_make(struct file *file, enum filesystem filesystem, uint64_t size,
	       uint32_t seed);
void file_close(struct file *file);
void file_write(const struct file *file, uint64_t offset, uint64_t len,
		uint32_t seed);
bool file_has_disk(const struct file *file);
/* Write back and drop the page cache of the file; aborts if that fails. */
void file_chill(const struct file *file);
size_t file_resident(const struct file *file, uint64_t offset, uint64_t len);
/* Page cache and disk both hold the stretch at the offset. */
const char *file_holds(const struct file *file, uint64_t offset,
		       struct stretch content);
/* The same for the whole of a file that file_make() wrote. */
const char *file_intact(const struct file *file);

#endif /* CONTENT_H */
