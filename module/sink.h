/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_SINK_H
#define ZCOPY_SINK_H

#include <linux/types.h>

struct socket;
struct zcopy_batch;

int zcopy_sink_check(struct socket *socket);
ssize_t zcopy_sink_send(struct socket *socket, struct zcopy_batch *batch,
			bool more, bool wait, bool *copied);
long zcopy_sink_patience(const struct socket *socket);
int zcopy_sink_wait(struct socket *socket, long *patience);
size_t zcopy_sink_room(struct socket *socket);
void zcopy_sink_push(struct socket *socket);

#endif /* ZCOPY_SINK_H */
