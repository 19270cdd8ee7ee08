/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_PIPE_H
#define ZCOPY_PIPE_H

#include <linux/types.h>

struct file;
struct pipe_inode_info;
struct zcopy_batch;

struct pipe_inode_info *zcopy_pipe_of(const struct file *file);
int zcopy_pipe_check(const struct file *file);
size_t zcopy_pipe_room(const struct pipe_inode_info *pipe);
ssize_t zcopy_pipe_send(struct zcopy_batch *batch);
ssize_t zcopy_pipe_copy(struct zcopy_batch *batch);

#endif /* ZCOPY_PIPE_H */
