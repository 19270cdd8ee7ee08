/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel TLS above a full socket, which holds records that the socket did not take. */
#ifndef RECORDS_H
#define RECORDS_H

#include "peer.h"

/* Its sender has little room; its receiver gets the records as they are. */
void records_open(struct pair *pair);
/* Bytes of the part that TLS takes there before it says that there is no room. */
uint64_t records_taken(int device, const struct part *part);

#endif /* RECORDS_H */
