/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a measured server and its client (client.c) agree on. The server gives
 * orders over a connection of their own; everything else is payload.
 */
#ifndef PEER_H
#define PEER_H

#include <stdint.h>

#define PEER_PORT	7000

enum peer_what {
	PEER_OPEN,	/* close the old connections, open count new ones */
	PEER_READ,	/* read bytes from each, one connection after the other */
};

struct peer_order {
	uint32_t what;
	uint32_t count;
	uint32_t receive_buffer;	/* bytes, or 0 for the kernel's choice */
	uint64_t bytes;
	uint64_t step;			/* read so many, of all, for each answer */
};

/* The server's side. Each ends the program when something fails. */
int peer_listen(void);
int peer_meet(int listener);
void peer_open(int listener, int control, int *sockets, unsigned int count,
	       unsigned int receive_buffer);
void peer_read(int control, uint64_t bytes, uint64_t step);
void peer_wait(int control);

#endif /* PEER_H */
