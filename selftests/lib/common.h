/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share: files with a known content, connected sockets, peers
 * that compare what arrives byte for byte, and a watch for leaks.
 *
 * kselftest_harness.h may be included once in a program, so nothing here uses
 * it. A helper that judges returns a text, "" when all is well, for
 * EXPECT_STREQ(); one that cannot go on says why and aborts the test.
 */
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/zcopy.h>

/* On an emulated processor of a busy machine all takes its time. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	200
#endif

#define KIB	1024ULL
#define MIB	(1024 * KIB)
#define GIB	(1024 * MIB)
#define PAGE	4096ULL

#define DEVICE	"/dev/zcopy"

/* How many times slower than usual the kernel is, as the runner says. */
int slowdown(void);

/* Longest wait for something that must happen; ends only tests that fail. */
#define PATIENCE_MS	(60000 * slowdown())

#define die(format, ...) do {						\
	printf("# %s:%d: " format " (errno: %s)\n", __FILE__, __LINE__,	\
	       ##__VA_ARGS__, strerror(errno));				\
	fflush(stdout);							\
	abort();							\
} while (0)

/*
 * Content. Each byte depends on the seed and on its position, so that a byte
 * at the wrong place shows.
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

/* Files */
enum filesystem { EXT4, XFS, TMPFS, MEMFD };

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

/* Sockets */
enum transport { TCP4, TCP6, WIRE4, WIRE6, UNIX, VSOCK,
		 MPTCP, MPTCP6, MPTCP_WIRE,
		 MPTCP_TO_TCP, TCP_TO_MPTCP,	/* they fall back to TCP */
		 TLS, TLS12_256, TLS13_128, TLS13_256, TLS_WIRE,
		 VETH };	/* for who called veth_make() */

struct pair {
	int tx;
	int rx;
};

/* buffer: SO_SNDBUF and SO_RCVBUF, 0 for the default. 0 or -errno. */
int pair_try(struct pair *pair, enum transport transport, int buffer);
void pair_open(struct pair *pair, enum transport transport, int buffer);
void pair_close(struct pair *pair);
/* Kernel TLS as the transport has it, for one direction; 0 or -errno. */
int tls_start(int fd, int direction, enum transport transport);
/* Run the thread in the network namespace; returns one to give back later. */
int namespace_enter(const char *name);
void namespace_leave(int previous);
void set_nonblocking(int fd);
/* True when the event came in time. */
bool await(int fd, short events);

/* A part of a transfer, and what the receiver gets of it. */
struct part {
	struct zcopy_segment segment;
	struct stretch want;
};

struct part of_file(const struct file *file, uint64_t offset, uint64_t len);
struct part of_memory(uint64_t pos, uint64_t len);
uint64_t parts_total(const struct part *parts, size_t nr);
/* What is left of the parts when done bytes went; returns their number. */
size_t parts_skip(struct part *parts, size_t nr, uint64_t done);

/* The receiving side: compares with the parts as it reads. */
struct cursor {
	const struct part *parts;
	size_t nr;
	size_t at;
	uint64_t within;
	uint64_t got;
	uint64_t wrong;		/* position of the first wrong byte + 1 */
	int error;		/* errno that ended the reading */
};

/* Bytes that came in another way than by cursor_read(). */
void cursor_compare(struct cursor *cursor, const char *seen, size_t len);
/* Up to max bytes; 0 at the end of the stream, or -errno. */
ssize_t cursor_read(struct cursor *cursor, int fd, size_t max);
/* Exactly len bytes, none of them late; false if they do not come. */
bool cursor_take(struct cursor *cursor, int fd, uint64_t len);
/* "" when exactly len bytes came and all were right. */
const char *cursor_verdict(const struct cursor *cursor, uint64_t len);

struct reader {
	pthread_t thread;
	int fd;
	struct cursor cursor;
};

void reader_start(struct reader *reader, int fd, const struct part *parts,
		  size_t nr);
/* What follows of a stream, from where the cursor stands in it. */
void reader_continue(struct reader *reader, int fd, const struct cursor *from);
/* After the end of the stream. */
const char *reader_finish(struct reader *reader, uint64_t len);

/* The sending side */
int device_open(void);
void device_info(int device, struct zcopy_info *info);
void device_stats(int device, uint32_t scope, struct zcopy_stats *stats);
/* 0 or -errno of the ioctl. */
int send_parts(int device, int socket, const struct part *parts, size_t nr,
	       uint32_t flags, struct zcopy_completion *completion);
/* One transfer over a connection of its own, read to its end and compared. */
const char *deliver(int device, enum transport transport,
		    const struct part *parts, size_t nr, uint32_t flags,
		    struct zcopy_completion *completion);

/* A transfer on a thread of its own. */
struct sender {
	pthread_t thread;
	pid_t tid;		/* atomic; 0 before the thread is about to send */
	int device;
	int socket;
	const struct part *parts;
	size_t nr;
	uint32_t flags;
	bool shut;		/* shut the socket down after the transfer */
	struct zcopy_completion completion;
	int result;
	bool done;		/* atomic */
};

void sender_start(struct sender *sender);
/* True when the thread sleeps in the ioctl. */
bool sender_blocked(struct sender *sender);
void sender_finish(struct sender *sender);
/* True while the process or thread sleeps and can be interrupted ... */
bool sleeps(pid_t tid);
/* ... or when it comes to. */
bool await_sleep(pid_t tid);

/* Nothing may be left behind: descriptors, folios, kernel messages. */
struct watch {
	int descriptors;
	int kmsg;
};

void watch_begin(struct watch *watch);
const char *watch_end(struct watch *watch);

/* Between two looks at a condition: a moment, or false when it took too long. */
bool patience(uint64_t *since);

/* 0 when the shell command ran and succeeded. */
int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* COMMON_H */
