/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_URING_H
#define ZCOPY_URING_H

struct io_uring_cmd;

int zcopy_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);

#endif /* ZCOPY_URING_H */
