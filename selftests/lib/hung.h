/* SPDX-License-Identifier: GPL-2.0-only */
/* A filesystem whose server answers no reads and writes, until it is told to. */
#ifndef HUNG_H
#define HUNG_H

#include "common.h"

struct hung {
	int server;		/* descriptor of /dev/fuse, its only one, of who serves */
	int fd;			/* the open file, of 1 GiB */
	pthread_t serves;
	pid_t process;		/* or this one does, if it is not 0 */
	unsigned int asked;	/* atomic; reads and writes */
	pid_t thread;		/* of who asked last, as the server is told ... */
	uid_t user;		/* ... and, atomic, whose it is */
	bool listens;		/* when it is told that who asked is called away */
	bool answers;		/* atomic; reads and writes */
	int error;		/* atomic; the answer to them, unless it is 0 */
	uint64_t size;		/* of the file, as it says ... */
	uint64_t content;	/* ... and what there is to be read */
	unsigned int seed;	/* of the pattern, atomic */
	bool seeks;		/* it tells where the content ends */
	bool direct;		/* its file is in no page cache ... */
	bool mapped;		/* ... and can be mapped */
	bool async;		/* nobody waits where a read is asked for */
	bool fresh;		/* it has new content for each who opens it */
	unsigned int opened;	/* times */
	uint64_t unanswered[10];	/* the last request that got no answer */
};

/*
 * In a mount namespace of the process's own, served by a thread of it, for as
 * long as the process lives.
 */
void hung_make(struct hung *hung);
/*
 * The same, served by a process of its own until it is killed. @hung has to be in
 * memory that processes share.
 */
void hung_make_apart(struct hung *hung);
/* The same, without a page cache; it says -EINTR to who is called away. */
void hung_make_listening(struct hung *hung);
/* One whose reads are waited for where they are needed: who does can be killed. */
void hung_make_async(struct hung *hung);
/*
 * The same, with an answer to everybody: each who opens the file reads so many bytes,
 * with the pattern of hung_seed(), of a file that says that it has a size.
 */
void hung_make_fresh(struct hung *hung, uint64_t size, uint64_t content);
/* Open its file once more; and what is to be read there. */
int hung_open(void);
uint32_t hung_seed(const struct hung *hung);
/* One that answers: its file says that it has a size, and has other bytes. */
void hung_make_lying(struct hung *hung, uint64_t size, uint64_t content,
		     bool seeks, bool direct, bool mapped);
/* Whoever waits for it waits in vain, and hears of that. */
void hung_abort(void);
/* Before the process ends; nobody has the file open any more. */
void hung_end(struct hung *hung);
/* True when the server comes to have been asked so often to read or write. */
bool hung_await(struct hung *hung, unsigned int nr);
/* ... at least once, the last time by this user. */
bool hung_await_user(struct hung *hung, uid_t user);

#define HUNG_FILE	"/tmp/hung/file"

/* Whether it answers from now on; a read with the pattern of this seed. */
#define HUNG_SEED	461U
void hung_answer(struct hung *hung, bool answers);
/* Ditto, and so it does now to the last read that was not; which counts again. */
void hung_answer_late(struct hung *hung);
/* It answers each read and write with this errno from now on. */
void hung_fail(struct hung *hung, int error);

#endif /* HUNG_H */
