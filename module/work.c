// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the workers of a process have to do: the hot work in the order of its
 * arrival, the cold by what it sleeps for, these in turn.
 */
#include <linux/jiffies.h>

#include "work.h"

static struct zcopy_work *to_work(struct rb_node *node)
{
	return rb_entry(node, struct zcopy_work, node);
}

static bool is_less(struct rb_node *a, const struct rb_node *b)
{
	const struct zcopy_work *x = to_work(a);
	const struct zcopy_work *y = rb_entry(b, struct zcopy_work, node);

	return x->place != y->place ? x->place < y->place :
				      x->number < y->number;
}

void zcopy_work_init(struct zcopy_work_lists *lists)
{
	INIT_LIST_HEAD(&lists->hot);
	lists->cold = RB_ROOT;
}

bool zcopy_work_is_none(const struct zcopy_work_lists *lists)
{
	return list_empty(&lists->hot) && RB_EMPTY_ROOT(&lists->cold);
}

void zcopy_work_add_hot(struct zcopy_work_lists *lists, struct zcopy_work *work)
{
	work->since = jiffies;
	list_add_tail(&work->link, &lists->hot);
}

/* Add work that may sleep in a place, see struct zcopy_work. */
void zcopy_work_add_cold(struct zcopy_work_lists *lists, struct zcopy_work *work,
			 unsigned long place)
{
	work->place = place;
	work->number = lists->arrived++;
	work->is_cold = true;
	rb_add(&work->node, &lists->cold, is_less);
}

/* The hot work that has waited longest, or NULL. */
struct zcopy_work *zcopy_work_oldest(struct zcopy_work_lists *lists)
{
	return list_first_entry_or_null(&lists->hot, struct zcopy_work, link);
}

struct zcopy_work *zcopy_work_take_hot(struct zcopy_work_lists *lists)
{
	struct zcopy_work *work = zcopy_work_oldest(lists);

	if (work)
		list_del(&work->link);
	return work;
}

/* The oldest cold work of the first place from @place on, or NULL. */
static struct zcopy_work *first_from(const struct zcopy_work_lists *lists,
				     unsigned long place)
{
	struct rb_node *node = lists->cold.rb_node;
	struct zcopy_work *first = NULL;

	while (node) {
		if (to_work(node)->place < place) {
			node = node->rb_right;
			continue;
		}
		first = to_work(node);
		node = node->rb_left;
	}
	return first;
}

/* The oldest work of the place whose turn it is, if one more may sleep there. */
static struct zcopy_work *find_cold(const struct zcopy_work_lists *lists,
				    bool (*may)(const void *data,
						unsigned long place),
				    const void *data)
{
	unsigned long from = lists->served + 1;
	struct zcopy_work *work;
	bool again = false;

	for (;;) {
		work = first_from(lists, from);
		if (again && (!work || work->place > lists->served))
			return NULL;
		if (work && may(data, work->place))
			return work;
		again |= !work;
		from = work ? work->place + 1 : 0;
	}
}

static void take_off_cold(struct zcopy_work_lists *lists, struct zcopy_work *work)
{
	rb_erase(&work->node, &lists->cold);
	work->is_cold = false;
}

/**
 * zcopy_work_take_cold - the oldest work of the place whose turn it is
 * @lists: from where
 * @may:   true: one more may sleep in that place
 * @data:  passed to @may
 *
 * Return: the work, no longer listed; or NULL.
 */
struct zcopy_work *zcopy_work_take_cold(struct zcopy_work_lists *lists,
					bool (*may)(const void *data,
						    unsigned long place),
					const void *data)
{
	struct zcopy_work *work = find_cold(lists, may, data);

	if (!work)
		return NULL;
	take_off_cold(lists, work);
	lists->served = work->place;
	return work;
}

/* The oldest work of this place, no longer listed; or NULL. */
struct zcopy_work *zcopy_work_take_from(struct zcopy_work_lists *lists,
					unsigned long place)
{
	struct zcopy_work *work = first_from(lists, place);

	if (!work || work->place != place)
		return NULL;
	take_off_cold(lists, work);
	return work;
}

/* The place of what zcopy_work_take_cold() would take now, or 0. */
unsigned long zcopy_work_place_ahead(struct zcopy_work_lists *lists,
				     bool (*may)(const void *data,
						 unsigned long place),
				     const void *data)
{
	const struct zcopy_work *work = find_cold(lists, may, data);

	return work ? work->place : 0;
}

/* It needs no disk after all: false, it is not cold work that waits. */
bool zcopy_work_recall(struct zcopy_work_lists *lists, struct zcopy_work *work)
{
	if (!work->is_cold)
		return false;
	take_off_cold(lists, work);
	zcopy_work_add_hot(lists, work);
	return true;
}

/* Any work, hot first, or NULL. */
struct zcopy_work *zcopy_work_take_any(struct zcopy_work_lists *lists)
{
	struct zcopy_work *work = zcopy_work_take_hot(lists);

	if (!work && !RB_EMPTY_ROOT(&lists->cold)) {
		work = to_work(rb_first(&lists->cold));
		take_off_cold(lists, work);
	}
	return work;
}
