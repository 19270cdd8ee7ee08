// SPDX-License-Identifier: GPL-2.0-only
/* ZCOPY_IOC_SUBMIT that waits: for so many, for so long, and for no longer. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/late.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	291U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define MAX	20

FIXTURE(wait)
{
	struct watch watch;
	struct file file;
	struct pair pair;	/* nobody reads */
	struct pair open;	/* with room */
	struct part stuck;
	struct part part;
	int device;
};

FIXTURE_SETUP(wait)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
	pair_open(&self->open, TCP4, 0);
	self->stuck = of_file(&self->file, 0, 0);
	self->part = of_memory(0, 100);
}

FIXTURE_TEARDOWN(wait)
{
	close(self->device);
	pair_close(&self->pair);
	pair_close(&self->open);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A call on a thread of its own. */
struct call {
	pthread_t thread;
	int device;
	pid_t tid;		/* atomic */
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	struct zcopy_completion done[MAX];
	int result;
};

static void call_prepare(struct call *call, int device, unsigned int min,
			 int64_t timeout)
{
	*call = (struct call){ .device = device };
	call->submit = submit_of(&call->transfer, 0);
	call->submit.completions = (uintptr_t)call->done;
	call->submit.max_completions = MAX;
	call->submit.min_completions = min;
	call->submit.timeout = timeout;
}

static void *call_run(void *argument)
{
	struct call *call = argument;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	call->result = submit_call(call->device, &call->submit);
	return NULL;
}

static void call_start(struct __test_metadata *_metadata, struct call *call)
{
	ASSERT_EQ(0, pthread_create(&call->thread, NULL, call_run, call));
	while (!__atomic_load_n(&call->tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(call->tid));
}

/* Its transfers were accepted, and so many completions came. */
static void expect_done(struct __test_metadata *_metadata, struct call *call,
			unsigned int completed)
{
	EXPECT_EQ(0, call->result);
	EXPECT_EQ(call->submit.nr_transfers, call->submit.accepted);
	EXPECT_EQ(0, call->submit.error);
	EXPECT_EQ(completed, call->submit.completed);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

TEST_F(wait, timeout)
{
	static const int64_t timeouts[] = { 0, 1, 1000000, 30000000 };
	struct call call;
	int64_t begin;
	size_t i;

	submit_one(self->device, self->pair.tx, &self->stuck, 1);
	for (i = 0; i < ARRAY_SIZE(timeouts); i++) {
		call_prepare(&call, self->device, 1, timeouts[i]);
		begin = now();
		call_run(&call);
		EXPECT_LE(timeouts[i], now() - begin);
		expect_done(_metadata, &call, 0);
	}
	/* Fewer than it waits for are given when the time is up. */
	call_prepare(&call, self->device, 3, 1000000);
	submit_one(self->device, self->open.tx, &self->part, 2);
	submit_one(self->device, self->open.tx, &self->part, 3);
	call_run(&call);
	expect_done(_metadata, &call, 2);
	EXPECT_EQ(2, call.done[0].user_data);
	EXPECT_EQ(3, call.done[1].user_data);
}

/* Nothing is waited for that cannot come. */
TEST_F(wait, nothing_under_way)
{
	struct call call;

	call_prepare(&call, self->device, 1, -1);
	call_run(&call);
	expect_done(_metadata, &call, 0);
	submit_one(self->device, self->open.tx, &self->part, 2);
	call_prepare(&call, self->device, MAX, -1);
	call_run(&call);
	expect_done(_metadata, &call, 1);
	/* Its own transfer refused: nothing either. */
	call_prepare(&call, self->device, 1, -1);
	call.submit.nr_transfers = 1;
	call_run(&call);
	EXPECT_EQ(0, call.result);
	EXPECT_EQ(0, call.submit.accepted);
	EXPECT_EQ(-EINVAL, call.submit.error);
	EXPECT_EQ(0, call.submit.completed);
}

TEST_F(wait, min_0_does_not_wait)
{
	struct call call;

	call_prepare(&call, self->device, 0, -1);
	call.transfer = transfer_of(self->pair.tx, &self->stuck, 1, 1);
	call.submit.nr_transfers = 1;
	call_run(&call);
	expect_done(_metadata, &call, 0);
}

/* It wakes when so many are there, not before. */
TEST_F(wait, for_so_many)
{
	struct call call;
	int i;

	submit_one(self->device, self->pair.tx, &self->stuck, 99);
	call_prepare(&call, self->device, 5, -1);
	call_start(_metadata, &call);
	for (i = 0; i < 5; i++) {
		ASSERT_TRUE(await_sleep(call.tid));
		submit_one(self->device, self->open.tx, &self->part, i);
	}
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 5);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(i, call.done[i].user_data);
}

/* A long time-out is no obstacle. */
TEST_F(wait, for_its_own)
{
	struct cursor cursor = { .parts = &self->stuck, .nr = 1 };
	struct call call;

	call_prepare(&call, self->device, 1, INT64_MAX - 1);
	call.transfer = transfer_of(self->pair.tx, &self->stuck, 1, 5);
	call.submit.nr_transfers = 1;
	call_start(_metadata, &call);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 1);
	EXPECT_EQ(5, call.done[0].user_data);
	EXPECT_EQ(SIZE, call.done[0].bytes);
}

/* When the last one under way is taken by somebody else, nothing is left. */
TEST_F(wait, taken_by_another)
{
	struct call call;

	submit_one(self->device, self->pair.tx, &self->stuck, 1);
	call_prepare(&call, self->device, 2, -1);
	call_start(_metadata, &call);
	EXPECT_EQ(1, cancel_all(self->device));
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 1);
	EXPECT_EQ(-ECANCELED, call.done[0].error);
}

/* True when one more of them has returned. */
static bool one_returns(struct call *calls, unsigned int nr)
{
	uint64_t since = 0;
	unsigned int i;

	do {
		for (i = 0; i < nr; i++) {
			if (!calls[i].tid || pthread_tryjoin_np(calls[i].thread, NULL))
				continue;
			calls[i].tid = 0;
			return true;
		}
	} while (patience(&since));
	return false;
}

#define WAITERS	4

/* Several wait, and one has what comes: the others wait for the next. */
TEST_F(wait, beside_others)
{
	const struct part byte = of_memory(0, 1);
	unsigned int i, j;

	submit_one(self->device, self->pair.tx, &self->stuck, 1);
	for (i = 0; i < how_often(300); i++) {
		struct call calls[WAITERS];

		for (j = 0; j < WAITERS; j++) {
			call_prepare(&calls[j], self->device, 1, -1);
			calls[j].submit.max_completions = 1;
			call_start(_metadata, &calls[j]);
		}
		for (j = 0; j < WAITERS; j++) {
			submit_one(self->device, self->open.tx, &byte, 2);
			ASSERT_TRUE(one_returns(calls, WAITERS));
		}
		for (j = 0; j < WAITERS; j++)
			expect_done(_metadata, &calls[j], 1);
	}
}

/* Nothing is under way, and while it is given what there is something comes to be. */
TEST_F(wait, with_nothing_under_way)
{
	const struct part byte = of_memory(0, 1);
	struct call call;
	struct late late;

	late_make(&late, PAGE);
	call_prepare(&call, self->device, 2, -1);
	call.submit.completions = (uintptr_t)late.memory;
	call.transfer = transfer_of(self->open.tx, &byte, 1, 1);
	call.submit.nr_transfers = 1;
	ASSERT_EQ(0, pthread_create(&call.thread, NULL, call_run, &call));
	ASSERT_TRUE(late_await(&late, 1));
	submit_one(self->device, self->pair.tx, &self->stuck, 2);
	late_come(&late);
	ASSERT_TRUE(one_returns(&call, 1));
	expect_done(_metadata, &call, 1);
	late_close(&late);
}

/* One that is refused after all: its memory is late in coming, its file wrong. */
TEST_F(wait, for_a_refused_one)
{
	struct part parts[] = { self->part, self->stuck };
	struct call refused, call;
	struct late late;

	late_make(&late, PAGE);
	parts[0].segment.addr = (uintptr_t)late.memory;
	parts[1].segment.fd = 1 << 20;

	call_prepare(&refused, self->device, 0, 0);
	refused.transfer = transfer_of(self->open.tx, parts, 2, 1);
	refused.submit.nr_transfers = 1;
	ASSERT_EQ(0, pthread_create(&refused.thread, NULL, call_run, &refused));
	ASSERT_TRUE(late_await(&late, 1));
	call_prepare(&call, self->device, 1, -1);
	call_start(_metadata, &call);
	late_come(&late);
	pthread_join(refused.thread, NULL);
	EXPECT_EQ(-EBADF, refused.submit.error);
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 0);
	late_close(&late);
}

static void ignore(int signal)
{
	(void)signal;
}

TEST_F(wait, signal)
{
	struct sigaction action = { .sa_handler = ignore };
	struct call call;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	submit_one(self->device, self->pair.tx, &self->stuck, 1);
	call_prepare(&call, self->device, 1, -1);
	call.submit.completed = 77;
	call_start(_metadata, &call);
	pthread_kill(call.thread, SIGUSR1);
	pthread_join(call.thread, NULL);
	EXPECT_EQ(-EINTR, call.result);
	EXPECT_EQ(77, call.submit.completed);

	/* What was accepted, or is there, is told instead. */
	call_prepare(&call, self->device, 1, -1);
	call.transfer = transfer_of(self->pair.tx, &self->part, 1, 2);
	call.submit.nr_transfers = 1;
	call_start(_metadata, &call);
	pthread_kill(call.thread, SIGUSR1);
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 0);

	submit_one(self->device, self->open.tx, &self->part, 3);
	call_prepare(&call, self->device, 2, -1);
	call_start(_metadata, &call);
	pthread_kill(call.thread, SIGUSR1);
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 1);
	EXPECT_EQ(3, call.done[0].user_data);
}

/* A call that a signal does not end goes on with what is left of its time. */
TEST_F(wait, signal_that_restarts)
{
	struct sigaction action = { .sa_handler = ignore,
				    .sa_flags = SA_RESTART };
	const int64_t hour = 3600000000000;
	int64_t begin, left, before = hour;
	struct call call;
	uint64_t since = 0;
	int i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	submit_one(self->device, self->pair.tx, &self->stuck, 1);
	call_prepare(&call, self->device, 1, hour);
	begin = now();
	call_start(_metadata, &call);
	for (i = 0; i < 3; i++) {
		pthread_kill(call.thread, SIGUSR1);
		do {
			left = __atomic_load_n(&call.submit.timeout,
					       __ATOMIC_RELAXED);
		} while (left == before && patience(&since));
		EXPECT_GT(before, left);
		EXPECT_LE(hour - (now() - begin), left);
		before = left;
		ASSERT_TRUE(await_sleep(call.tid));
	}
	submit_one(self->device, self->open.tx, &self->part, 2);
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 1);
	EXPECT_EQ(2, call.done[0].user_data);
	/* For ever stays for ever. */
	call_prepare(&call, self->device, 1, -1);
	call_start(_metadata, &call);
	pthread_kill(call.thread, SIGUSR1);
	ASSERT_TRUE(await_sleep(call.tid));
	submit_one(self->device, self->open.tx, &self->part, 3);
	pthread_join(call.thread, NULL);
	expect_done(_metadata, &call, 1);
	EXPECT_EQ(-1, call.submit.timeout);
}

TEST_HARNESS_MAIN
