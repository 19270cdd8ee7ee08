/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The preload shim beside the system call: the same situation is made twice,
 * each has one call in it, and what came of the two is compared.
 */
#ifndef SHIM_H
#define SHIM_H

#include "ends.h"

#define SHIM_LIBRARY	"libzcopy-preload.so"

/* errno before a call: one that succeeds leaves it alone. */
#define UNTOUCHED	EL3HLT

enum way { BY_KERNEL, BY_SHIM };

/* Load the shim into this process and count SIGPIPE from now on. */
void shim_load(void);
/* The shim keeps its descriptor out of the way: from this number on. */
#define SHIM_LOWEST	512
/* How many of the device there are in that place; and the one. */
int shim_descriptors(void);
int shim_descriptor(void);

ssize_t call(enum way way, int out, int in, off_t *offset, size_t count);

struct outcome {
	ssize_t result;
	int error;		/* UNTOUCHED, or what errno became */
	off_t offset;		/* what the pointer points to; 0 without one */
	off_t in_position;	/* or -errno of lseek() */
	off_t out_position;
	int signals;		/* SIGPIPE raised in this thread ... */
	int code;		/* ... and by whom */
	bool from_here;
	uint64_t by_device;	/* bytes that went through /dev/zcopy */
	size_t received;
	char *bytes;		/* of malloc() */
};

/* All of it but what is received. */
void outcome_call(struct outcome *outcome, enum way way, int out, int in,
		  off_t *offset, size_t count);
/* Close the end and take what came out of it. */
void outcome_receive(struct outcome *outcome, struct end *end);
/* "" when nobody could tell them apart; frees the bytes of both. */
const char *outcomes_same(struct outcome *kernel, struct outcome *shim);

/* SIGPIPE since the last time. */
int caught(void);
/* The position of the file when the handler of the last one ran. */
off_t caught_at(void);

#endif /* SHIM_H */
