// SPDX-License-Identifier: GPL-2.0-only
/* The limits: how far a program gets, and that nothing is lost at them. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/parameter.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	251U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */

static const struct limit {
	const char *name;
	unsigned int usual;
	unsigned int min;
	unsigned int max;
} limits[] = {
	{ "max_segments", 1024, 1, 4096 },
	{ "max_memory", 65536, 4096, 1 << 20 },
	{ "max_transfers", 16384, 1, 1 << 20 },
	{ "max_completions", 32768, 1, 1 << 21 },
	{ "max_queued_memory", 64 << 20, 4096, 1 << 30 },
	{ "max_user_contexts", 8192, 1, 1 << 20 },
	{ "max_user_transfers", 1 << 20, 1, 1 << 26 },
	{ "max_user_reads", 16384, 1, 1 << 20 },
};

static void restore(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++)
		if (parameter_set(limits[i].name, limits[i].usual))
			die("give %s its value back", limits[i].name);
}

FIXTURE(limits)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	int device;
};

FIXTURE_SETUP(limits)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
	self->part = of_file(&self->file, 100, 2000);
}

FIXTURE_TEARDOWN(limits)
{
	restore();
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Offers nr copies of a transfer, numbered from first on; what came of it. */
static struct zcopy_submit offer(FIXTURE_DATA(limits) *self, int socket,
				 const struct part *part, size_t nr,
				 uint64_t first)
{
	struct zcopy_transfer transfers[100];
	struct zcopy_submit submit;
	size_t i;

	for (i = 0; i < nr; i++) {
		transfers[i] = transfer_of(socket, part, 1, first + i);
		/* Others that were to go there were cancelled or refused. */
		transfers[i].flags = ZCOPY_RESUME;
	}
	submit = submit_of(transfers, nr);
	errno = -submit_call(self->device, &submit);
	if (errno)
		die("ZCOPY_IOC_SUBMIT");
	return submit;
}

static short events(int device)
{
	struct pollfd poller = { .fd = device, .events = POLLIN | POLLOUT };

	poll(&poller, 1, 0);
	return poller.revents;
}

TEST_F(limits, unread_completions)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct zcopy_completion done[20];
	struct zcopy_submit submit;
	struct pair pair;
	int i;

	ASSERT_EQ(0, parameter_set("max_completions", 10));
	pair_open(&pair, TCP4, 0);
	submit = offer(self, pair.tx, &self->part, 6, 0);
	EXPECT_EQ(6, submit.accepted);
	EXPECT_EQ(POLLIN | POLLOUT, events(self->device));
	submit = offer(self, pair.tx, &self->part, 9, 6);
	EXPECT_EQ(4, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(POLLIN, events(self->device));
	submit = offer(self, pair.tx, &self->part, 1, 10);
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);

	/* Room comes from reading, so much and no more. */
	ASSERT_EQ(3 * sizeof(*done), read(self->device, done,
					  3 * sizeof(*done)));
	EXPECT_EQ(POLLIN | POLLOUT, events(self->device));
	submit = offer(self, pair.tx, &self->part, 20, 10);
	EXPECT_EQ(3, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(POLLIN, events(self->device));

	/* All that was accepted, once, in order. */
	ASSERT_EQ(10, reap_now(self->device, done + 3, 17));
	for (i = 0; i < 13; i++) {
		EXPECT_EQ(i, done[i].user_data);
		EXPECT_EQ(2000, done[i].bytes);
		EXPECT_EQ(0, done[i].error);
	}
	EXPECT_EQ(POLLOUT, events(self->device));
	for (i = 0; i < 13; i++) {
		cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, 2000));
		EXPECT_STREQ("", cursor_verdict(&cursor, 2000));
	}
	shutdown(pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(pair.rx));
	pair_close(&pair);
}

/* One call that submits and collects finds its own completions in the way. */
TEST_F(limits, room_made_by_the_call)
{
	struct zcopy_completion done[10];
	struct zcopy_transfer transfers[4];
	struct zcopy_submit submit;
	struct pair pair;
	size_t i;

	ASSERT_EQ(0, parameter_set("max_completions", 4));
	pair_open(&pair, TCP4, 0);
	for (i = 0; i < 4; i++)
		transfers[i] = transfer_of(pair.tx, &self->part, 1, i);
	for (i = 0; i < 5; i++) {
		submit = submit_of(transfers, 4);
		submit.completions = (uintptr_t)done;
		submit.max_completions = 10;
		ASSERT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(4, submit.accepted);
		EXPECT_EQ(0, submit.error);
		EXPECT_EQ(4, submit.completed);
	}
	pair_close(&pair);
}

TEST_F(limits, transfers_under_way)
{
	const struct part stuck = of_file(&self->file, 0, 0);
	struct zcopy_completion done[8];
	struct zcopy_submit submit;
	struct part parts[8];
	struct reader reader;
	struct pair other;
	size_t i;

	ASSERT_EQ(0, parameter_set("max_transfers", 8));
	pair_open(&other, UNIX, SMALL);
	submit = offer(self, self->pair.tx, &stuck, 5, 0);
	EXPECT_EQ(5, submit.accepted);
	EXPECT_EQ(0, submit.error);
	EXPECT_EQ(POLLOUT, events(self->device));
	submit = offer(self, other.tx, &stuck, 5, 5);
	EXPECT_EQ(3, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(0, events(self->device));
	EXPECT_EQ(8, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	/* Another context has room of its own. */
	close(self->device);
	EXPECT_TRUE(await_active(0));
	self->device = device_open();
	pair_close(&self->pair);
	pair_open(&self->pair, TCP4, SMALL);

	for (i = 0; i < 8; i++)
		parts[i] = stuck;
	submit = offer(self, self->pair.tx, &stuck, 30, 0);
	EXPECT_EQ(8, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	/* One that ends makes room, even while its completion is unread. */
	EXPECT_EQ(1, cancel_user_data(self->device, 7));
	/* A worker may just have it. */
	EXPECT_TRUE(await(self->device, POLLIN));
	EXPECT_EQ(POLLIN | POLLOUT, events(self->device));
	submit = offer(self, self->pair.tx, &stuck, 2, 8);
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_STREQ("", completes(self->device, 7, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));

	reader_start(&reader, self->pair.rx, parts, 8);
	ASSERT_EQ(8, reap(self->device, done, 8));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(i < 7 ? i : 8, done[i].user_data);
		EXPECT_EQ(SIZE, done[i].bytes);
	}
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, 8 * SIZE));
	pair_close(&other);
}

/* Where poll(2) says that there is room for one, that has both of its completions. */
TEST_F(limits, room_for_one_with_two_completions)
{
	const struct part stuck = of_file(&self->file, 0, 0);
	const char *const names[] = { "max_transfers", "max_completions" };
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, parameter_set(names[i], 3));
		submit = offer(self, self->pair.tx, &stuck, 2, 0);
		EXPECT_EQ(2, submit.accepted);
		EXPECT_EQ(POLLOUT, events(self->device));
		transfer = transfer_of(self->pair.tx, &stuck, 1, 2);
		transfer.flags = ZCOPY_NOTIFY;
		submit_all(self->device, &transfer, 1);
		EXPECT_EQ(0, events(self->device));
		close(self->device);
		EXPECT_TRUE(await_active(0));
		restore();
		self->device = device_open();
		pair_close(&self->pair);
		pair_open(&self->pair, TCP4, SMALL);
	}
}

/*
 * Copied memory counts from when it is accepted until the transfer has ended,
 * in whatever way, and the transfer that reaches the limit is the last one.
 */
TEST_F(limits, memory_of_the_queue)
{
	const struct part stuck = of_file(&self->file, 0, 0);
	const struct part head = of_memory(0, 4000);
	struct part parts[] = { stuck, head, head, head };
	struct part refused[] = { head, stuck };
	struct zcopy_completion done[2];
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	struct reader reader;
	int i;

	ASSERT_EQ(0, parameter_set("max_queued_memory", 8001));
	submit_one(self->device, self->pair.tx, &stuck, 0);
	submit = offer(self, self->pair.tx, &head, 2, 1);
	EXPECT_EQ(2, submit.accepted);
	EXPECT_EQ(POLLOUT, events(self->device));
	submit = offer(self, self->pair.tx, &head, 9, 3);
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(0, events(self->device));
	submit = offer(self, self->pair.tx, &self->part, 1, 4);
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);

	/* The end of one makes room, and a refused one takes none. */
	refused[1].segment.fd = 1 << 20;
	EXPECT_EQ(1, cancel_user_data(self->device, 3));
	EXPECT_TRUE(await(self->device, POLLIN));
	EXPECT_EQ(POLLIN | POLLOUT, events(self->device));
	EXPECT_STREQ("", completes(self->device, 3, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	for (i = 0; i < 9; i++) {
		transfer = transfer_of(self->pair.tx, refused, 2, 4);
		submit = submit_of(&transfer, 1);
		EXPECT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(-EBADF, submit.error);
	}
	transfer = transfer_of(self->pair.tx, &head, 1, 3);
	transfer.flags = ZCOPY_NOTIFY | ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	submit = offer(self, self->pair.tx, &head, 1, 4);
	EXPECT_EQ(-EAGAIN, submit.error);

	reader_start(&reader, self->pair.rx, ALL_OF(parts));
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	for (i = 1; i < 3; i++)
		EXPECT_STREQ("", completes(self->device, i, 4000, 0, 0));
	ASSERT_EQ(2, reap(self->device, done, 2));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(3, done[i].user_data);
		EXPECT_EQ(4000, done[i].bytes);
		EXPECT_EQ(i ? ZCOPY_C_RELEASED : ZCOPY_C_MORE,
			  done[i].flags & ~ZCOPY_C_COPIED);
	}
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(ALL_OF(parts))));

	/* All of it is free again. */
	pair_close(&self->pair);
	pair_open(&self->pair, TCP4, 0);
	ASSERT_EQ(0, parameter_set("max_queued_memory", 4096));
	for (i = 0; i < 3; i++) {
		submit_one(self->device, self->pair.tx, &head, i);
		EXPECT_STREQ("", completes(self->device, i, 4000, 0, 0));
	}
}

/* A limit that sinks below what there is drops nothing. */
TEST_F(limits, lowered_below)
{
	struct zcopy_completion done[20];
	struct zcopy_submit submit;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	submit = offer(self, pair.tx, &self->part, 20, 0);
	EXPECT_EQ(20, submit.accepted);
	ASSERT_EQ(0, parameter_set("max_completions", 1));
	ASSERT_EQ(0, parameter_set("max_transfers", 1));
	EXPECT_EQ(POLLIN, events(self->device));
	submit = offer(self, pair.tx, &self->part, 1, 20);
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(20, reap_now(self->device, done, 20));
	submit = offer(self, pair.tx, &self->part, 2, 20);
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_STREQ("", completes(self->device, 20, 2000, 0, 0));
	pair_close(&pair);
}

TEST_F(limits, segments_and_memory)
{
	static struct part parts[5];
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	struct zcopy_info info;
	struct part large;
	struct pair pair;
	size_t i;

	pair_open(&pair, TCP4, 0);
	ASSERT_EQ(0, parameter_set("max_segments", 4));
	ASSERT_EQ(0, parameter_set("max_memory", 5000));
	device_info(self->device, &info);
	EXPECT_EQ(4, info.max_segments);
	EXPECT_EQ(5000, info.max_memory);
	for (i = 0; i < 5; i++)
		parts[i] = of_memory(i, 1000);
	transfer = transfer_of(pair.tx, parts, 4, 1);
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 1, 4000, 0, 0));
	transfer = transfer_of(pair.tx, parts, 5, 1);
	submit = submit_of(&transfer, 1);
	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(-EMSGSIZE, submit.error);
	large = of_memory(0, 5001);
	submit = offer(self, pair.tx, &large, 1, 0);
	EXPECT_EQ(-EMSGSIZE, submit.error);
	large = of_memory(0, 5000);
	submit = offer(self, pair.tx, &large, 1, 0);
	EXPECT_EQ(1, submit.accepted);
	EXPECT_STREQ("", completes(self->device, 0, 5000, 0, 0));
	pair_close(&pair);
}

/* As many segments as the greatest limit allows, queued before it is lower. */
TEST_F(limits, most_segments)
{
	static struct part parts[4096];
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	struct cursor cursor = { .parts = parts, .nr = ARRAY_SIZE(parts) };
	uint64_t total;
	struct pair pair;
	size_t i;

	pair_open(&pair, TCP4, 64 * 1024);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i] = of_file(&self->file, i % 100, 2000);
	total = parts_total(parts, ARRAY_SIZE(parts));
	transfer = transfer_of(pair.tx, parts, ARRAY_SIZE(parts), 1);
	ASSERT_EQ(0, parameter_set("max_segments", ARRAY_SIZE(parts)));
	submit_all(self->device, &transfer, 1);
	ASSERT_EQ(0, parameter_set("max_segments", 4));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	reap(self->device, &done, 1);
	EXPECT_EQ(total, done.bytes);
	EXPECT_EQ(0, done.error);
	pair_close(&pair);
}

TEST_F(limits, told_by_info)
{
	struct zcopy_info info;

	device_info(self->device, &info);
	EXPECT_EQ(parameter_get("max_segments"), info.max_segments);
	EXPECT_EQ(parameter_get("max_memory"), info.max_memory);
	EXPECT_EQ(parameter_get("max_transfers"), info.max_transfers);
	EXPECT_EQ(parameter_get("max_completions"), info.max_completions);
	EXPECT_EQ(parameter_get("max_queued_memory"), info.max_queued_memory);
	ASSERT_EQ(0, parameter_set("max_transfers", 123));
	ASSERT_EQ(0, parameter_set("max_completions", 456));
	device_info(self->device, &info);
	EXPECT_EQ(123, info.max_transfers);
	EXPECT_EQ(456, info.max_completions);
}

TEST_F(limits, ranges)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		const struct limit *limit = &limits[i];

		EXPECT_EQ(limit->usual, parameter_get(limit->name));
		EXPECT_EQ(-ERANGE, parameter_set(limit->name, limit->min - 1));
		EXPECT_EQ(-ERANGE, parameter_set(limit->name, limit->max + 1));
		EXPECT_EQ(-ERANGE, parameter_set(limit->name, ~0U));
		EXPECT_EQ(-ERANGE, parameter_set_text(limit->name, "4294967297"));
		EXPECT_EQ(-EINVAL, parameter_set_text(limit->name, "-1"));
		EXPECT_EQ(-EINVAL, parameter_set_text(limit->name, "many"));
		EXPECT_EQ(-EINVAL, parameter_set_text(limit->name, "5000 1"));
		EXPECT_EQ(limit->usual, parameter_get(limit->name));
		EXPECT_EQ(0, parameter_set(limit->name, limit->min));
		EXPECT_EQ(limit->min, parameter_get(limit->name));
		EXPECT_EQ(0, parameter_set(limit->name, limit->max));
		EXPECT_EQ(limit->max, parameter_get(limit->name));
		EXPECT_EQ(0, parameter_set_text(limit->name, "0x1000\n"));
		EXPECT_EQ(4096, parameter_get(limit->name));
	}
}

int main(int argc, char **argv)
{
	atexit(restore);	/* whatever became of a test */
	return test_harness_run(argc, argv);
}
