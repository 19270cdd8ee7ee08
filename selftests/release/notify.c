// SPDX-License-Identifier: GPL-2.0-only
/* ZCOPY_NOTIFY: one completion when all is sent, one at the release. */
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	611U
#define SIZE	MIB
#define LENGTH	9000
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define MANY	12
#define NAME	0x8877665544332211ULL

#define USUAL	32768		/* max_completions */

static void set_max_completions(unsigned int max)
{
	FILE *file = fopen("/sys/module/zcopy/parameters/max_completions",
			   "we");

	if (!file || fprintf(file, "%u", max) < 0 || fclose(file))
		die("set max_completions");
}

FIXTURE(notify)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part parts[3];		/* fit in the socket */
	struct part large;		/* more than a receiver takes */
	int device;
};

FIXTURE_VARIANT(notify)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(notify, name)				\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(wire4, WIRE4, XFS);
OVER(wire6, WIRE6, EXT4);
OVER(loopback, TCP4, EXT4);
OVER(veth, VETH, XFS);
OVER(unix, UNIX, TMPFS);

FIXTURE_SETUP(notify)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	roomy_open(&self->pair, variant->transport);
	self->parts[0] = of_memory(5, 300);
	self->parts[1] = of_file(&self->file, 1234, LENGTH);
	self->parts[2] = of_memory(400, 77);
	self->large = of_file(&self->file, 0, 0);
}

FIXTURE_TEARDOWN(notify)
{
	set_max_completions(USUAL);
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct zcopy_transfer notifying(FIXTURE_DATA(notify) *self,
				       const struct part *parts, size_t nr,
				       uint64_t user_data)
{
	struct zcopy_transfer transfer = transfer_of(self->pair.tx, parts, nr,
						     user_data);

	transfer.flags = ZCOPY_NOTIFY;
	return transfer;
}

/* That it had to be copied may be known from the beginning, or not. */
static void expect_sent(struct __test_metadata *_metadata,
			const FIXTURE_VARIANT(notify) *variant,
			const struct zcopy_completion *completion,
			uint64_t user_data, uint64_t bytes)
{
	const uint32_t may = is_wire(variant->transport) ? 0 : ZCOPY_C_COPIED;

	EXPECT_EQ(user_data, completion->user_data);
	EXPECT_EQ(bytes, completion->bytes);
	EXPECT_EQ(0, completion->error);
	EXPECT_EQ(ZCOPY_C_MORE, completion->flags & ~may);
}

static void expect_released(struct __test_metadata *_metadata,
			    const FIXTURE_VARIANT(notify) *variant,
			    const struct zcopy_completion *completion,
			    uint64_t user_data, uint64_t bytes)
{
	EXPECT_EQ(user_data, completion->user_data);
	EXPECT_EQ(bytes, completion->bytes);
	EXPECT_EQ(0, completion->error);
	EXPECT_EQ(flags_released(variant->transport), completion->flags);
}

static void take(struct __test_metadata *_metadata, FIXTURE_DATA(notify) *self,
		 const struct part *parts, size_t nr)
{
	struct cursor cursor = { .parts = parts, .nr = nr };
	const uint64_t total = parts_total(parts, nr);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
}

TEST_F(notify, two_completions)
{
	const uint64_t total = parts_total(self->parts, 3);
	struct zcopy_completion first, second;
	struct zcopy_transfer transfer;
	int i;

	transfer = notifying(self, self->parts, 3, NAME);
	for (i = 0; i < 2 * DOORS; i++) {
		ASSERT_EQ(0, fly(i % DOORS, self->device, &transfer, &first));
		expect_sent(_metadata, variant, &first, NAME, total);
		/* The receiver's buffer has room for it: nobody need read. */
		if (i < DOORS) {
			ASSERT_EQ(sizeof(second), read(self->device, &second,
						       sizeof(second)));
		} else {
			ASSERT_EQ(1, reap(self->device, &second, 1));
		}
		expect_released(_metadata, variant, &second, NAME, total);
		take(_metadata, self, self->parts, 3);
	}
	EXPECT_EQ(0, reap_now(self->device, &first, 1));
	EXPECT_EQ(2 * DOORS,
		  stats_of(self->device, ZCOPY_STATS_CONTEXT).transfers);
}

static bool readable(int device)
{
	struct pollfd poller = { .fd = device, .events = POLLIN };

	return poll(&poller, 1, 0) == 1;
}

TEST_F(notify, poll_tells)
{
	struct cursor cursor = { .parts = &self->large, .nr = 1 };
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	int door;

	transfer = notifying(self, &self->large, 1, 1);
	for (door = 0; door < DOORS; door++) {
		cursor = (struct cursor){ .parts = &self->large, .nr = 1 };
		ASSERT_EQ(0, fly(door, self->device, &transfer, &done));
		expect_sent(_metadata, variant, &done, 1, SIZE);
		if (is_wire(variant->transport)) {
			EXPECT_FALSE(readable(self->device));
			EXPECT_TRUE(cursor_take(&cursor, self->pair.rx,
						SIZE / 2));
			/* Not all of the rest fits the receiver's buffer. */
			EXPECT_FALSE(readable(self->device));
		}
		EXPECT_TRUE(cursor_take(&cursor, self->pair.rx,
					SIZE - cursor.got));
		EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
		ASSERT_TRUE(await(self->device, POLLIN));
		ASSERT_EQ(1, reap_now(self->device, &done, 1));
		expect_released(_metadata, variant, &done, 1, SIZE);
		EXPECT_FALSE(readable(self->device));
	}
}

struct waiter {
	pthread_t thread;
	int device;
	struct zcopy_completion done[2];
	size_t nr;
};

static void *wait_for_both(void *argument)
{
	struct waiter *waiter = argument;
	struct zcopy_submit submit = {
		.transfer_size = sizeof(struct zcopy_transfer),
		.completions = (uintptr_t)waiter->done,
		.max_completions = 2,
		.min_completions = 2,
		.timeout = -1,
	};

	if (!submit_call(waiter->device, &submit))
		waiter->nr = submit.completed;
	return NULL;
}

/* As long as a release is to come, the transfer is under way. */
TEST_F(notify, who_waits_gets_both)
{
	struct waiter waiter = { .device = self->device };
	struct zcopy_transfer transfer;

	transfer = notifying(self, &self->large, 1, 3);
	submit_all(self->device, &transfer, 1);
	ASSERT_EQ(0, pthread_create(&waiter.thread, NULL, wait_for_both,
				    &waiter));
	take(_metadata, self, &self->large, 1);
	pthread_join(waiter.thread, NULL);
	ASSERT_EQ(2, waiter.nr);
	expect_sent(_metadata, variant, &waiter.done[0], 3, SIZE);
	expect_released(_metadata, variant, &waiter.done[1], 3, SIZE);
}

/* Many on one socket: each is told twice, in this order, the firsts in turn. */
TEST_F(notify, order)
{
	struct zcopy_transfer transfers[MANY];
	struct zcopy_completion done[2 * MANY];
	struct part parts[3 * MANY];
	unsigned int sent = 0, i;
	bool gone[MANY] = {};

	for (i = 0; i < MANY; i++) {
		memcpy(parts + 3 * i, self->parts, sizeof(self->parts));
		transfers[i] = notifying(self, parts + 3 * i, 3, i);
	}
	submit_all(self->device, transfers, MANY);
	take(_metadata, self, parts, 3 * MANY);
	ASSERT_EQ(2 * MANY, reap(self->device, done, 2 * MANY));
	for (i = 0; i < 2 * MANY; i++) {
		const uint64_t total = parts_total(self->parts, 3);

		if (done[i].flags & ZCOPY_C_MORE) {
			expect_sent(_metadata, variant, &done[i], sent++,
				    total);
			continue;
		}
		ASSERT_GT(sent, done[i].user_data);
		EXPECT_FALSE(gone[done[i].user_data]);
		gone[done[i].user_data] = true;
		expect_released(_metadata, variant, &done[i],
				done[i].user_data, total);
	}
	EXPECT_EQ(MANY, sent);
	EXPECT_EQ(0, reap_now(self->device, done, 1));
}

/* Accepted, or the errno of the refusal. */
static int offer(FIXTURE_DATA(notify) *self,
		 const struct zcopy_transfer *transfer)
{
	struct zcopy_submit submit = submit_of(transfer, 1);

	errno = -submit_call(self->device, &submit);
	if (errno)
		die("ZCOPY_IOC_SUBMIT");
	return submit.error;
}

TEST_F(notify, counts_twice)
{
	const uint64_t total = parts_total(self->parts, 3);
	struct zcopy_transfer transfer, plain;
	struct zcopy_completion done[4];
	struct part parts[9];
	int i;

	for (i = 0; i < 9; i++)
		parts[i] = self->parts[i % 3];
	transfer = notifying(self, self->parts, 3, 1);
	plain = transfer;
	plain.flags = 0;
	set_max_completions(4);
	EXPECT_EQ(0, offer(self, &transfer));
	EXPECT_EQ(0, offer(self, &transfer));
	for (i = 0; i < DOORS; i++)
		EXPECT_EQ(-EAGAIN, fly(i, self->device, &transfer, done));
	EXPECT_EQ(-EAGAIN, offer(self, &plain));
	/* It does not matter whether they have come already. */
	ASSERT_TRUE(await_active(0));
	EXPECT_EQ(-EAGAIN, offer(self, &transfer));

	EXPECT_EQ(1, reap(self->device, done, 1));
	EXPECT_EQ(-EAGAIN, offer(self, &transfer));
	EXPECT_EQ(1, reap(self->device, done, 1));
	/* Of one that is sent here and now, only the second is kept. */
	ASSERT_EQ(0, fly(SEND, self->device, &transfer, done));
	expect_sent(_metadata, variant, done, 1, total);
	EXPECT_EQ(-EAGAIN, offer(self, &transfer));
	EXPECT_EQ(3, reap(self->device, done, 3));
	take(_metadata, self, parts, 9);
}

/* Nothing was sent: nothing to release, and both completions all the same. */
TEST_F(notify, failed)
{
	struct zcopy_completion first, second;
	struct zcopy_transfer transfer;
	int door;

	transfer = notifying(self, self->parts, 3, 9);
	transfer.socket = -1;
	for (door = 0; door < DOORS; door++)
		EXPECT_EQ(-EBADF, fly(door, self->device, &transfer, &first));
	EXPECT_EQ(0, reap_now(self->device, &first, 1));

	transfer.socket = self->pair.tx;
	/* Each door hears it from the socket, not of the one before. */
	transfer.flags |= ZCOPY_RESUME;
	shutdown(self->pair.tx, SHUT_WR);
	for (door = 0; door < DOORS; door++) {
		ASSERT_EQ(0, fly(door, self->device, &transfer, &first));
		EXPECT_EQ(0, first.bytes);
		EXPECT_EQ(-EPIPE, first.error);
		EXPECT_EQ(ZCOPY_C_MORE | ZCOPY_C_SOCKET_ERROR,
			  first.flags & ~ZCOPY_C_COPIED);
		ASSERT_EQ(1, reap(self->device, &second, 1));
		EXPECT_EQ(9, second.user_data);
		EXPECT_EQ(0, second.bytes);
		EXPECT_EQ(-EPIPE, second.error);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_SOCKET_ERROR,
			  second.flags & ~ZCOPY_C_COPIED);
	}
	EXPECT_EQ(0, reap_now(self->device, &first, 1));
}

/* The two completions of one that was cancelled; the bytes that went. */
static uint64_t expect_cancelled(struct __test_metadata *_metadata,
				 FIXTURE_DATA(notify) *self,
				 struct pair *pair, const struct part *part,
				 uint64_t user_data)
{
	struct zcopy_completion first, second;
	struct part went = *part;
	struct cursor cursor = { .parts = &went, .nr = 1 };

	EXPECT_EQ(1, reap(self->device, &first, 1));
	EXPECT_EQ(user_data, first.user_data);
	EXPECT_EQ(-ECANCELED, first.error);
	EXPECT_EQ(ZCOPY_C_MORE | ZCOPY_C_CANCELLED,
		  first.flags & ~ZCOPY_C_COPIED);
	went.want.len = first.bytes;
	EXPECT_TRUE(cursor_take(&cursor, pair->rx, first.bytes));
	EXPECT_STREQ("", cursor_verdict(&cursor, first.bytes));
	EXPECT_EQ(1, reap(self->device, &second, 1));
	EXPECT_EQ(user_data, second.user_data);
	EXPECT_EQ(first.bytes, second.bytes);
	EXPECT_EQ(-ECANCELED, second.error);
	EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_CANCELLED,
		  second.flags & ~ZCOPY_C_COPIED);
	return first.bytes;
}

TEST_F(notify, cancelled)
{
	struct zcopy_transfer transfer;
	struct zcopy_completion none;
	struct pair small;

	pair_open(&small, variant->transport, SMALL);
	transfer = notifying(self, &self->large, 1, 20);
	transfer.socket = small.tx;
	submit_all(self->device, &transfer, 1);
	transfer.user_data = 21;
	submit_all(self->device, &transfer, 1);
	/* Behind another: nothing of it went. */
	EXPECT_EQ(1, cancel_user_data(self->device, 21));
	EXPECT_EQ(0, expect_cancelled(_metadata, self, &small, &self->large,
				      21));
	/* Waiting for room: something did. */
	EXPECT_EQ(1, cancel_user_data(self->device, 20));
	EXPECT_LT(0, expect_cancelled(_metadata, self, &small, &self->large,
				      20));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	pair_close(&small);
}

/* What is sent cannot be cancelled: its release comes, once. */
TEST_F(notify, cancelled_when_sent)
{
	struct zcopy_completion first, second;
	struct zcopy_transfer transfer;
	uint64_t since = 0;

	transfer = notifying(self, &self->large, 1, 30);
	ASSERT_EQ(0, fly(SUBMIT, self->device, &transfer, &first));
	expect_sent(_metadata, variant, &first, 30, SIZE);
	cancel_user_data(self->device, 30);
	take(_metadata, self, &self->large, 1);
	while (!reap_now(self->device, &second, 1))
		if (!patience(&since))
			die("the release does not come");
	expect_released(_metadata, variant, &second, 30, SIZE);
	EXPECT_EQ(0, reap_now(self->device, &second, 1));
}

int main(int argc, char **argv)
{
	veth_make();
	return test_harness_run(argc, argv);
}
