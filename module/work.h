/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_WORK_H
#define ZCOPY_WORK_H

#include <linux/list.h>
#include <linux/rbtree.h>

/**
 * struct zcopy_work - something that a process's workers do for it
 * @run:    does it; process context, without a lock. The work is its own from
 *          then on
 * @link:   in zcopy_work_lists.hot
 * @node:   in zcopy_work_lists.cold
 * @place:  cold: the superblock that it may sleep for, with %ZCOPY_HANGS or
 *          %ZCOPY_STARTS
 * @number: cold: in the order of arrival
 * @since:  hot: jiffies when it was queued
 * @is_cold: it is in zcopy_work_lists.cold
 *
 * While it is queued all but @run is under the lock of its lists.
 */
struct zcopy_work {
	void (*run)(struct zcopy_work *work);
	union {
		struct list_head link;
		struct rb_node node;
	};
	unsigned long place;
	u64 number;
	unsigned long since;
	bool is_cold;
};

/* In a place: that may take as long as somebody likes, who serves it say. */
#define ZCOPY_HANGS	1UL
/* Ditto: reads are started there, and not waited for. */
#define ZCOPY_STARTS	2UL

/**
 * struct zcopy_work_lists - work that is to be done
 * @hot:     zcopy_work.link of what needs no disk, oldest first
 * @cold:    zcopy_work.node by place and arrival: what sleeps
 * @arrived: number of the next one
 * @served:  place of the one that was taken last
 *
 * Their owner has the lock.
 */
struct zcopy_work_lists {
	struct list_head hot;
	struct rb_root cold;
	u64 arrived;
	unsigned long served;
};

void zcopy_work_init(struct zcopy_work_lists *lists);
bool zcopy_work_is_none(const struct zcopy_work_lists *lists);
void zcopy_work_add_hot(struct zcopy_work_lists *lists, struct zcopy_work *work);
void zcopy_work_add_cold(struct zcopy_work_lists *lists, struct zcopy_work *work,
			 unsigned long place);
struct zcopy_work *zcopy_work_oldest(struct zcopy_work_lists *lists);
struct zcopy_work *zcopy_work_take_hot(struct zcopy_work_lists *lists);
struct zcopy_work *zcopy_work_take_cold(struct zcopy_work_lists *lists,
					bool (*may)(const void *data,
						    unsigned long place),
					const void *data);
struct zcopy_work *zcopy_work_take_from(struct zcopy_work_lists *lists,
					unsigned long place);
unsigned long zcopy_work_place_ahead(struct zcopy_work_lists *lists,
				     bool (*may)(const void *data,
						 unsigned long place),
				     const void *data);
bool zcopy_work_recall(struct zcopy_work_lists *lists, struct zcopy_work *work);
struct zcopy_work *zcopy_work_take_any(struct zcopy_work_lists *lists);

#endif /* ZCOPY_WORK_H */
