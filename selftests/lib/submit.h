/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls of the queue, and what completes. */
#ifndef SUBMIT_H
#define SUBMIT_H

#include "peer.h"

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

#endif /* SUBMIT_H */
