/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the queue share beside common.h: its calls, a disk whose
 * reads can be held up, and the module's coming and going.
 */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "common.h"

/* A test may take long where two CPUs are emulated on a busy machine. */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 200
#endif

#define ALL_OF(array)	(array), sizeof(array) / sizeof((array)[0])

/* A transfer of parts; a single part must live until the transfer is taken. */
struct zcopy_transfer transfer_of(int socket, const struct part *parts,
				  size_t nr, uint64_t user_data);

/* The ioctls: 0 or -errno. */
int submit_call(int device, struct zcopy_submit *submit);
int cancel_call(int device, struct zcopy_cancel *cancel);

/* A submit of these transfers that wants no completions. */
struct zcopy_submit submit_of(const struct zcopy_transfer *transfers,
			      size_t nr);
/* All are accepted, or the test ends. */
void submit_all(int device, const struct zcopy_transfer *transfers, size_t nr);
/* A transfer of one part; accepted, or the test ends. */
void submit_one(int device, int socket, const struct part *part,
		uint64_t user_data);

/* Those that are there now; returns how many. */
size_t reap_now(int device, struct zcopy_completion *completions, size_t max);
/* Waits for nr of them; fewer only if they do not come. */
size_t reap(int device, struct zcopy_completion *completions, size_t nr);
/* "" when this is what the next completion says. */
const char *completes(int device, uint64_t user_data, uint64_t bytes, int error,
		      uint32_t flags);

/* How many were asked to end, or -errno. */
int cancel_user_data(int device, uint64_t user_data);
int cancel_socket(int device, int socket);
int cancel_all(int device);

struct zcopy_stats stats_of(int device, uint32_t scope);
/* True when the module comes to have so many transfers under way. */
bool await_active(uint64_t nr);

/* Allow this process so many descriptors. */
void descriptors_allow(size_t nr);

/* True when the end of the stream comes next. */
bool at_end(int fd);

/*
 * The disk: ext4 on a device of the device mapper, one for the whole program,
 * made by its main() and removed when it exits. Files are made on it as EXT4
 * files.
 */
void disk_make(void);
/* From now on reads wait ... */
void disk_suspend(void);
/* ... until now. */
void disk_resume(void);
/* From now on the page of the file at the offset cannot be read ... */
void disk_break(const struct file *file, uint64_t offset);
/* ... until now. */
void disk_mend(void);
/* True when nr workers of the module come to sleep for the disk. */
bool disk_await_readers(unsigned int nr);

/* 0 or -errno; waits for what the module has to wait for. */
int module_unload(void);
/* The same when somebody is about to let go of the device. */
int module_unload_soon(void);
int module_load(void);

#endif /* SUBMIT_H */
