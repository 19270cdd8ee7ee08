/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel TLS above a full socket, which holds records that the socket did not take. */
#ifndef RECORDS_H
#define RECORDS_H

#include "peer.h"

/* The most that one holds. */
#define RECORD	16384ULL

/*
 * TLS takes one whole record there, the socket a part of it. Its receiver, who does
 * not want to wait, gets other bytes first, and then records as they are.
 */
void records_open(struct pair *pair);

#endif /* RECORDS_H */
