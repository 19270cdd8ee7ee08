/* SPDX-License-Identifier: GPL-2.0-only */
/* The device, and transfers that a thread sends and waits for. */
#ifndef CALL_H
#define CALL_H

#include "peer.h"

#define DEVICE	"/dev/zcopy"

int device_open(void);
void device_info(int device, struct zcopy_info *info);
/* True if this is what poll(2) says of room for a transfer: POLLOUT or 0. */
bool device_says(int device, short events);
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

#endif /* CALL_H */
