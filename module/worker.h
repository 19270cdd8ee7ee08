/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_WORKER_H
#define ZCOPY_WORKER_H

#include "roster.h"

struct task_struct;
struct work_struct;

int zcopy_worker_init(void);
void zcopy_worker_exit(void);

void zcopy_worker_reap(struct work_struct *work);

void zcopy_crew_put(struct zcopy_crew *crew);

int zcopy_worker_hire(struct zcopy_crew *crew, unsigned long place);
void zcopy_worker_hire_spare(struct zcopy_crew *crew);
void zcopy_worker_stop_idle(struct zcopy_crew *crew);
bool zcopy_worker_is_program(const struct task_struct *task);
bool zcopy_worker_begin_visit(struct zcopy_crew *crew);
void zcopy_worker_ask(struct zcopy_crew *crew);
void zcopy_worker_ask_later(struct zcopy_crew *crew);
void zcopy_worker_die(struct zcopy_crew *crew);

#endif /* ZCOPY_WORKER_H */
