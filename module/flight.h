/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_FLIGHT_H
#define ZCOPY_FLIGHT_H

#include <linux/types.h>

struct socket;
struct zcopy_batch;

ssize_t zcopy_flight_send(struct socket *socket, struct zcopy_batch *batch,
			  unsigned int flags, bool copy, bool counted);
ssize_t zcopy_flight_copy(struct zcopy_batch *batch,
			  ssize_t (*copy)(struct zcopy_batch *batch));
bool zcopy_flight_known_to_copy(const struct socket *socket);

#endif /* ZCOPY_FLIGHT_H */
