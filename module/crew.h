/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_CREW_H
#define ZCOPY_CREW_H

#include "worker.h"

void zcopy_crew_init(struct zcopy_crew *crew, const struct zcopy_crew_ops *ops);
int zcopy_crew_hire(struct zcopy_crew *crew);
bool zcopy_crew_hot(struct zcopy_crew *crew, struct zcopy_work *work);
int zcopy_crew_cold(struct zcopy_crew *crew, struct zcopy_work *work,
		    unsigned long place,
		    bool (*is_over)(const struct zcopy_work *work));
void zcopy_crew_recall(struct zcopy_crew *crew, struct zcopy_work *work,
		       void (*run)(struct zcopy_work *work));
bool zcopy_crew_later(struct zcopy_crew *crew, struct zcopy_work *work);
void zcopy_crew_done(struct zcopy_crew *crew);
void zcopy_crew_leave(struct zcopy_crew *crew);
void zcopy_crew_part(struct zcopy_crew *crew);
void zcopy_crew_abandon(struct zcopy_crew *crew);

#endif /* ZCOPY_CREW_H */
