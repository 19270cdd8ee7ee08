/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_RUNNER_H
#define ZCOPY_RUNNER_H

struct list_head;

void zcopy_runner_run_ready(struct list_head *ready);

#endif /* ZCOPY_RUNNER_H */
