// SPDX-License-Identifier: GPL-2.0-only
/* Completions by read(2): whole, in time, and each exactly once. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SMALL	(64 * 1024)	/* of a socket buffer */
#define RECORD	sizeof(struct zcopy_completion)
#define LENGTH	70ULL
#define SIZE	MIB

FIXTURE(read)
{
	struct watch watch;
	struct pair pair;
	struct part part;
	struct file file;
	int device;
};

FIXTURE_SETUP(read)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, TCP4, 0);
	self->part = of_memory(0, LENGTH);
	file_make(&self->file, TMPFS, SIZE, 261);
}

FIXTURE_TEARDOWN(read)
{
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Transfers that are complete when this returns. */
static void complete(FIXTURE_DATA(read) *self, uint64_t first, size_t nr)
{
	while (nr--)
		submit_one(self->device, self->pair.tx, &self->part, first++);
}

static void expect_records(struct __test_metadata *_metadata,
			   const void *from, size_t nr, uint64_t first)
{
	const char *at = from;

	for (; nr--; at += RECORD) {
		struct zcopy_completion done;

		memcpy(&done, at, RECORD);
		EXPECT_EQ(first++, done.user_data);
		EXPECT_EQ(LENGTH, done.bytes);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(0, done.flags);
	}
}

TEST_F(read, whole_records)
{
	char records[20 * RECORD];
	uint64_t next = 0;
	size_t nr, extra;

	set_nonblocking(self->device);
	for (nr = 1; nr < 5; nr++) {
		for (extra = 0; extra < RECORD; extra += RECORD - 1) {
			complete(self, next, nr + 1);
			memset(records, 0x55, sizeof(records));
			ASSERT_EQ(nr * RECORD, read(self->device, records,
						    nr * RECORD + extra));
			expect_records(_metadata, records, nr, next);
			EXPECT_EQ(0x55, records[nr * RECORD]);
			/* What did not fit waits; more room than records. */
			ASSERT_EQ(RECORD, read(self->device, records,
					       sizeof(records)));
			expect_records(_metadata, records, 1, next + nr);
			next += nr + 1;
		}
	}
}

TEST_F(read, too_small)
{
	char records[RECORD];
	size_t size;

	set_nonblocking(self->device);
	for (size = 0; size < RECORD; size++) {
		EXPECT_EQ(-1, read(self->device, records, size));
		EXPECT_EQ(EINVAL, errno);
	}
	complete(self, 0, 1);
	EXPECT_EQ(-1, read(self->device, records, RECORD - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(RECORD, read(self->device, records, RECORD));
	expect_records(_metadata, records, 1, 0);
}

TEST_F(read, nonblocking)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion done;
	struct pair pair;

	set_nonblocking(self->device);
	EXPECT_EQ(-1, read(self->device, &done, RECORD));
	EXPECT_EQ(EAGAIN, errno);
	/* Under way is not complete. */
	pair_open(&pair, TCP4, SMALL);
	submit_one(self->device, pair.tx, &part, 1);
	EXPECT_EQ(-1, read(self->device, &done, RECORD));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(1, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	pair_close(&pair);
}

/* The device has no position, and takes nothing. */
TEST_F(read, no_file)
{
	struct zcopy_completion done;

	complete(self, 0, 1);
	EXPECT_EQ(-1, pread(self->device, &done, RECORD, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, write(self->device, &done, RECORD));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(RECORD, read(self->device, &done, RECORD));
}

struct waiter {
	pthread_t thread;
	int device;
	pid_t tid;		/* atomic */
	ssize_t result;
	int error;
	struct zcopy_completion done;
};

static void *wait_for_one(void *argument)
{
	struct waiter *waiter = argument;

	__atomic_store_n(&waiter->tid, gettid(), __ATOMIC_RELEASE);
	waiter->result = read(waiter->device, &waiter->done, RECORD);
	waiter->error = errno;
	return NULL;
}

static void waiter_start(struct __test_metadata *_metadata,
			 struct waiter *waiter, int device)
{
	*waiter = (struct waiter){ .device = device };
	ASSERT_EQ(0, pthread_create(&waiter->thread, NULL, wait_for_one,
				    waiter));
	while (!__atomic_load_n(&waiter->tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(waiter->tid));
}

TEST_F(read, woken_by_a_completion)
{
	struct waiter waiter;

	waiter_start(_metadata, &waiter, self->device);
	complete(self, 4, 1);
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(RECORD, waiter.result);
	expect_records(_metadata, &waiter.done, 1, 4);
}

/* Also by one that ends in a worker, after the reader went to sleep. */
TEST_F(read, woken_by_a_late_completion)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct waiter waiter;
	struct pair pair;

	pair_open(&pair, TCP4, SMALL);
	submit_one(self->device, pair.tx, &part, 4);
	waiter_start(_metadata, &waiter, self->device);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE));
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(RECORD, waiter.result);
	EXPECT_EQ(SIZE, waiter.done.bytes);
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	pair_close(&pair);
}

static void ignore(int signal)
{
	(void)signal;
}

TEST_F(read, interrupted)
{
	struct sigaction action = { .sa_handler = ignore };
	struct zcopy_completion done;
	struct waiter waiter;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	waiter_start(_metadata, &waiter, self->device);
	ASSERT_EQ(0, pthread_kill(waiter.thread, SIGUSR1));
	pthread_join(waiter.thread, NULL);
	EXPECT_EQ(-1, waiter.result);
	EXPECT_EQ(EINTR, waiter.error);
	complete(self, 0, 1);
	EXPECT_EQ(RECORD, read(self->device, &done, RECORD));
	expect_records(_metadata, &done, 1, 0);
}

TEST_F(read, bad_buffer)
{
	char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *edge = area + PAGE;

	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, munmap(edge, PAGE));
	set_nonblocking(self->device);
	complete(self, 0, 5);
	EXPECT_EQ(-1, read(self->device, edge, 5 * RECORD));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, read(self->device, edge - RECORD + 1, 5 * RECORD));
	EXPECT_EQ(EFAULT, errno);
	/* Two fit before the edge, the third only in part. */
	EXPECT_EQ(2 * RECORD, read(self->device, edge - 2 * RECORD - 9,
				   5 * RECORD));
	expect_records(_metadata, edge - 2 * RECORD - 9, 2, 0);
	/* Nothing was lost, nothing comes twice. */
	EXPECT_EQ(3 * RECORD, read(self->device, area, 5 * RECORD));
	expect_records(_metadata, area, 3, 2);
	munmap(area, PAGE);
}

#define READERS		6
#define COMPLETIONS	3000
#define LAST		~0ULL

struct crowd {
	FIXTURE_DATA(read) *self;
	unsigned int seen[COMPLETIONS];	/* atomic */
	unsigned int total;		/* atomic */
	unsigned int strange;		/* atomic */
};

/* Who finds that all have come wakes the next one, and goes. */
static void *read_some(void *argument)
{
	struct zcopy_completion done[7];
	struct crowd *crowd = argument;
	size_t max = 1;
	ssize_t n;

	while (__atomic_load_n(&crowd->total, __ATOMIC_ACQUIRE) < COMPLETIONS) {
		n = read(crowd->self->device, done, max * RECORD);
		if (n <= 0 || n % RECORD)
			die("read gave %zd", n);
		for (n /= RECORD; n--;) {
			if (done[n].user_data == LAST)
				continue;
			if (done[n].user_data >= COMPLETIONS ||
			    done[n].bytes != LENGTH || done[n].error)
				__atomic_add_fetch(&crowd->strange, 1,
						   __ATOMIC_RELAXED);
			else
				__atomic_add_fetch(&crowd->seen[done[n].user_data],
						   1, __ATOMIC_RELAXED);
			__atomic_add_fetch(&crowd->total, 1, __ATOMIC_RELEASE);
		}
		max = max % 7 + 1;
	}
	complete(crowd->self, LAST, 1);
	return NULL;
}

TEST_F(read, many_readers)
{
	static struct crowd crowd;
	pthread_t threads[READERS];
	struct reader sink;
	struct part none;
	size_t i;

	crowd.self = self;
	none = (struct part){ .want = { UNCHECKED, 0, 1ULL << 40 } };
	reader_start(&sink, self->pair.rx, &none, 1);
	for (i = 0; i < READERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, read_some,
					    &crowd));
	complete(self, 0, COMPLETIONS);
	for (i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < COMPLETIONS; i++) {
		ASSERT_EQ(1, crowd.seen[i]) {
			TH_LOG("completion %zu", i);
		}
	}
	EXPECT_EQ(0, crowd.strange);
	shutdown(self->pair.tx, SHUT_WR);
	pthread_join(sink.thread, NULL);
}

TEST_HARNESS_MAIN
