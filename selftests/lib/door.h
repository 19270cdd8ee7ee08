/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A transfer in flight: handed in at any door, on its way to a socket that
 * takes all of it though the peer does not read, and then released.
 */
#ifndef DOOR_H
#define DOOR_H

#include "peer.h"
#include "ring.h"

enum door { SEND, SUBMIT, URING, DOORS };

struct flight {
	enum door door;
	int device;
	struct zcopy_send send;	/* the transfer and its first completion */
	struct ring ring;
	pthread_t thread;
	pid_t tid;		/* atomic; of the thread that sends */
	int result;
	bool done;		/* atomic */
};

/* One at a time on a device; the transfer's segments must live on. */
void flight_start(struct flight *flight, enum door door, int device,
		  const struct zcopy_transfer *transfer);
/* True once it was refused or its first completion came. */
bool flight_ended(struct flight *flight);
/* True when it has come to wait; false if it ended instead. */
bool flight_waits(struct flight *flight);
/* Its first completion is in flight->send when this is 0; else -errno. */
int flight_finish(struct flight *flight);
/* All in one: 0 or -errno. */
int fly(enum door door, int device, const struct zcopy_transfer *transfer,
	struct zcopy_completion *completion);

/* As deliver(), through any door. */
const char *carry(enum door door, int device, enum transport transport,
		  const struct part *parts, size_t nr, uint32_t flags,
		  struct zcopy_completion *completion);

/* Reads, but hardly more than so much, until the flight has ended; or false. */
bool cursor_release(struct cursor *cursor, int fd, struct flight *flight,
		    uint64_t most);

/* True where pages stay as they are until the peer has acknowledged them. */
bool is_wire(enum transport transport);
/* The flags of a completion at the release. */
uint32_t flags_released(enum transport transport);

/* A connection whose receiver takes little, and whose sender takes it all. */
void roomy_open(struct pair *pair, enum transport transport);
/* Bytes the sending end of a TCP connection has taken. */
uint64_t accepted(int fd);
/* True when it comes to have taken so many. */
bool await_accepted(int fd, uint64_t bytes);
/* True when one that nobody reads comes to be full, at both ends. */
bool await_full(int fd);
/* Exactly len bytes; false if they do not come. */
bool receive(int fd, char *buffer, uint64_t len);
/* Once this end is closed, nothing of the connection is left: it is reset. */
void reset_on_close(int fd);
/* One that has more of TCP's memory than what processors have of it in reserve. */
void hog_open(struct pair *hog);

/* All of the file, shared and writable. */
char *file_map(const struct file *file);

/* A wire of software, for the whole program, made by its main(). */
void veth_make(void);

#endif /* DOOR_H */
