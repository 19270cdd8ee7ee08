/* SPDX-License-Identifier: GPL-2.0-only */
/* Connected sockets, and receivers that compare what arrives, byte for byte. */
#ifndef PEER_H
#define PEER_H

#include <linux/zcopy.h>

#include "content.h"

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
/* Of a socket; the kernel doubles it, and has a least. */
void set_send_buffer(int fd, int size);
/* An open file, over an AF_UNIX socket. */
void send_descriptor(int socket, int fd);
int receive_descriptor(int socket);

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

/* True when the end of the stream comes next. */
bool at_end(int fd);

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

#endif /* PEER_H */
