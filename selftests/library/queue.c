// SPDX-License-Identifier: GPL-2.0-only
/* libzcopy's face of the queue. */
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <zcopy/queue.h>

#include "kselftest_harness.h"

#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	341U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */

FIXTURE(library)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct zcopy *zcopy;
};

FIXTURE_SETUP(library)
{
	watch_begin(&self->watch);
	ASSERT_EQ(0, zcopy_open(&self->zcopy));
	file_make(&self->file, TMPFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
}

FIXTURE_TEARDOWN(library)
{
	zcopy_close(self->zcopy);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The parts arrive. */
static void take(struct __test_metadata *_metadata, FIXTURE_DATA(library) *self,
		 const struct part *parts, size_t nr)
{
	struct cursor cursor = { .parts = parts, .nr = nr };
	const uint64_t total = parts_total(parts, nr);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
}

static void expect_completion(struct __test_metadata *_metadata,
			      const struct zcopy_completion *done,
			      uint64_t user_data, uint64_t bytes, int error)
{
	EXPECT_EQ(user_data, done->user_data);
	EXPECT_EQ(bytes, done->bytes);
	EXPECT_EQ(error, done->error);
	EXPECT_EQ(error ? ZCOPY_C_CANCELLED : 0, done->flags);
}

/* One that stays until it is cancelled or read. */
static void submit_stuck(struct __test_metadata *_metadata,
			 FIXTURE_DATA(library) *self, uint64_t user_data)
{
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;

	zcopy_prep_file(&transfer, &segment, self->pair.tx, self->file.fd, 0, 0,
			user_data);
	ASSERT_EQ(1, zcopy_submit(self->zcopy, &transfer, 1, NULL));
}

TEST_F(library, prepare_file)
{
	const struct part part = of_file(&self->file, 1000, 2000);
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	int error = 77;

	memset(&transfer, 0x55, sizeof(transfer));
	memset(&segment, 0x55, sizeof(segment));
	zcopy_prep_file(&transfer, &segment, self->pair.tx, self->file.fd, 1000,
			2000, 9);
	EXPECT_EQ(1, zcopy_submit(self->zcopy, &transfer, 1, &error));
	EXPECT_EQ(0, error);
	EXPECT_EQ(1, zcopy_wait_completion(self->zcopy, &done));
	expect_completion(_metadata, &done, 9, 2000, 0);
	take(_metadata, self, &part, 1);
}

TEST_F(library, prepare_response)
{
	const struct part parts[] = {
		of_memory(5, 300), of_file(&self->file, 10, 4000),
	};
	struct zcopy_segment segments[2];
	struct zcopy_completion done;
	struct zcopy_transfer transfer;

	memset(&transfer, 0x55, sizeof(transfer));
	memset(segments, 0x55, sizeof(segments));
	zcopy_prep_response(&transfer, segments, self->pair.tx, memory(5, 300),
			    300, self->file.fd, 10, 4000, ~0ULL);
	EXPECT_EQ(1, zcopy_submit(self->zcopy, &transfer, 1, NULL));
	EXPECT_EQ(1, zcopy_wait_completion(self->zcopy, &done));
	expect_completion(_metadata, &done, ~0ULL, 4300, 0);
	take(_metadata, self, parts, 2);
}

TEST_F(library, prepare_segments)
{
	const struct part parts[] = {
		of_file(&self->file, 7, 100), of_memory(0, 100),
		of_file(&self->file, 500, 100),
	};
	struct zcopy_segment segments[3];
	struct zcopy_completion done;
	struct zcopy_transfer transfer;

	memset(&transfer, 0x55, sizeof(transfer));
	zcopy_segment_file(&segments[0], self->file.fd, 7, 100);
	zcopy_segment_memory(&segments[1], memory(0, 100), 100);
	zcopy_segment_file(&segments[2], self->file.fd, 500, 100);
	zcopy_prep_segments(&transfer, self->pair.tx, segments, 3, 3);
	EXPECT_EQ(1, zcopy_submit(self->zcopy, &transfer, 1, NULL));
	EXPECT_EQ(1, zcopy_peek_completion(self->zcopy, &done));
	expect_completion(_metadata, &done, 3, 300, 0);
	EXPECT_EQ(0, zcopy_peek_completion(self->zcopy, &done));
	take(_metadata, self, parts, 3);
}

TEST_F(library, submit)
{
	const struct part part = of_memory(0, 50);
	struct zcopy_transfer transfers[3];
	int error = 77;

	transfers[0] = transfer_of(self->pair.tx, &part, 1, 0);
	transfers[1] = transfer_of(-1, &part, 1, 1);
	transfers[2] = transfers[0];
	EXPECT_EQ(1, zcopy_submit(self->zcopy, transfers, 3, &error));
	EXPECT_EQ(-EBADF, error);
	EXPECT_EQ(1, zcopy_submit(self->zcopy, transfers, 3, NULL));
	/* None accepted: the error itself. */
	EXPECT_EQ(-EBADF, zcopy_submit(self->zcopy, transfers + 1, 2, &error));
	EXPECT_EQ(-EBADF, error);
	EXPECT_EQ(-EBADF, zcopy_submit(self->zcopy, transfers + 1, 2, NULL));
	EXPECT_EQ(-EFAULT, zcopy_submit(self->zcopy, NULL, 1, &error));
	EXPECT_EQ(-EFAULT, error);
	EXPECT_EQ(0, zcopy_submit(self->zcopy, NULL, 0, &error));
	EXPECT_EQ(0, error);
}

TEST_F(library, submit_and_wait)
{
	struct zcopy_completion done[4];
	const struct part part = of_memory(0, 50);
	struct zcopy_transfer transfers[3];
	unsigned int accepted = 77;
	int error = 77;
	size_t i;

	for (i = 0; i < 3; i++)
		transfers[i] = transfer_of(self->pair.tx, &part, 1, i);
	EXPECT_EQ(3, zcopy_submit_and_wait(self->zcopy, transfers, 3, done, 4,
					   3, ZCOPY_FOREVER, &accepted,
					   &error));
	EXPECT_EQ(3, accepted);
	EXPECT_EQ(0, error);
	for (i = 0; i < 3; i++)
		expect_completion(_metadata, &done[i], i, 50, 0);
	transfers[1].nr_segments = 0;
	EXPECT_EQ(1, zcopy_submit_and_wait(self->zcopy, transfers, 3, done, 4,
					   4, ZCOPY_FOREVER, &accepted,
					   &error));
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(-EINVAL, error);
	EXPECT_EQ(1, zcopy_submit_and_wait(self->zcopy, transfers, 1, done, 4,
					   1, 0, NULL, NULL));

	/* Refused as a whole. */
	EXPECT_EQ(-EINVAL, zcopy_submit_and_wait(self->zcopy, transfers, 1,
						 done, 1, 2, 0, &accepted,
						 &error));
	EXPECT_EQ(0, accepted);
	EXPECT_EQ(-EINVAL, error);
	EXPECT_EQ(0, zcopy_peek_completions(self->zcopy, done, 4));

	/* Accepted, but its completion cannot be written. */
	EXPECT_EQ(0, zcopy_submit_and_wait(self->zcopy, transfers, 1, NULL, 1,
					   1, ZCOPY_FOREVER, &accepted,
					   &error));
	EXPECT_EQ(1, accepted);
	EXPECT_EQ(-EFAULT, zcopy_peek_completions(self->zcopy, NULL, 1));
	EXPECT_EQ(1, zcopy_peek_completions(self->zcopy, done, 4));
}

TEST_F(library, wait)
{
	struct zcopy_completion done[3];

	/* Nothing can come. */
	EXPECT_EQ(0, zcopy_wait_completion(self->zcopy, done));
	EXPECT_EQ(0, zcopy_wait_completions(self->zcopy, done, 3, 3,
					    ZCOPY_FOREVER));
	submit_stuck(_metadata, self, 1);
	EXPECT_EQ(0, zcopy_wait_completions(self->zcopy, done, 3, 1, 1000000));
	EXPECT_EQ(-EINVAL, zcopy_wait_completions(self->zcopy, done, 1, 2, 0));
	EXPECT_EQ(0, zcopy_peek_completions(self->zcopy, done, 0));
	EXPECT_EQ(1, zcopy_cancel(self->zcopy, 1));
	EXPECT_EQ(1, zcopy_wait_completions(self->zcopy, done, 3, 1,
					    ZCOPY_FOREVER));
	EXPECT_EQ(-ECANCELED, done[0].error);
}

TEST_F(library, cancel)
{
	struct zcopy_completion done[5];
	uint64_t i;

	for (i = 0; i < 5; i++)
		submit_stuck(_metadata, self, i);
	EXPECT_EQ(0, zcopy_cancel(self->zcopy, 5));
	EXPECT_EQ(1, zcopy_cancel(self->zcopy, 4));
	EXPECT_EQ(1, zcopy_wait_completion(self->zcopy, done));
	expect_completion(_metadata, done, 4, 0, -ECANCELED);
	EXPECT_EQ(-EBADF, zcopy_cancel_socket(self->zcopy, -1));
	EXPECT_EQ(-ENOTSOCK,
		  zcopy_cancel_socket(self->zcopy, zcopy_fd(self->zcopy)));
	EXPECT_EQ(0, zcopy_cancel_socket(self->zcopy, self->pair.rx));
	EXPECT_EQ(4, zcopy_cancel_socket(self->zcopy, self->pair.tx));
	EXPECT_EQ(4, zcopy_wait_completions(self->zcopy, done, 5, 4,
					    ZCOPY_FOREVER));
	submit_stuck(_metadata, self, 1);
	EXPECT_EQ(1, zcopy_cancel_all(self->zcopy));
	EXPECT_EQ(1, zcopy_wait_completion(self->zcopy, done));
	EXPECT_EQ(0, zcopy_cancel_all(self->zcopy));
}

TEST_F(library, descriptor)
{
	struct pollfd poller = {
		.fd = zcopy_fd(self->zcopy), .events = POLLIN | POLLOUT,
	};
	struct zcopy_completion done;

	EXPECT_EQ(1, poll(&poller, 1, 0));
	EXPECT_EQ(POLLOUT, poller.revents);
	submit_stuck(_metadata, self, 8);
	poll(&poller, 1, 0);
	EXPECT_EQ(POLLOUT, poller.revents);
	EXPECT_EQ(1, zcopy_cancel_all(self->zcopy));
	EXPECT_TRUE(await(poller.fd, POLLIN));
	EXPECT_EQ(sizeof(done), read(poller.fd, &done, sizeof(done)));
	EXPECT_EQ(8, done.user_data);
}

#define THREADS	4
#define EACH	200

struct hand {
	pthread_t thread;
	struct zcopy *zcopy;
	struct pair pair;
	struct part parts[EACH];
	struct reader reader;
	unsigned int *seen;	/* of all hands; atomic */
	uint64_t first;
	unsigned int bad;
};

/* Submits its own and collects anybody's. */
static void *submit_and_collect(void *argument)
{
	struct hand *hand = argument;
	struct zcopy_completion done[8];
	unsigned int accepted;
	int error, n, i;
	size_t k;

	for (k = 0; k < EACH; k++) {
		struct zcopy_transfer transfer;

		transfer = transfer_of(hand->pair.tx, &hand->parts[k], 1,
				       hand->first + k);
		n = zcopy_submit_and_wait(hand->zcopy, &transfer, 1, done, 8,
					  1, ZCOPY_FOREVER, &accepted, &error);
		if (n < 0 || accepted != 1 || error) {
			hand->bad++;
			n = 0;
		}
		for (i = 0; i < n; i++) {
			if (done[i].error || done[i].user_data >= THREADS * EACH)
				hand->bad++;
			else
				__atomic_add_fetch(&hand->seen[done[i].user_data],
						   1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

TEST_F(library, threads)
{
	static unsigned int seen[THREADS * EACH];
	static struct hand hands[THREADS];
	struct zcopy_completion done;
	size_t i, k;

	for (i = 0; i < THREADS; i++) {
		struct hand *hand = &hands[i];

		hand->zcopy = self->zcopy;
		hand->seen = seen;
		hand->first = i * EACH;
		for (k = 0; k < EACH; k++)
			hand->parts[k] = of_file(&self->file, i * 5000 + k * 3,
						 1 + k * 40);
		pair_open(&hand->pair, i % 2 ? UNIX : TCP4, SMALL);
		reader_start(&hand->reader, hand->pair.rx, hand->parts, EACH);
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&hands[i].thread, NULL,
					    submit_and_collect, &hands[i]));
	for (i = 0; i < THREADS; i++)
		pthread_join(hands[i].thread, NULL);
	while (zcopy_wait_completion(self->zcopy, &done) == 1) {
		ASSERT_GT(THREADS * EACH, done.user_data);
		seen[done.user_data]++;
	}
	for (i = 0; i < THREADS; i++) {
		EXPECT_EQ(0, hands[i].bad);
		shutdown(hands[i].pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&hands[i].reader,
					       parts_total(hands[i].parts,
							   EACH)));
		pair_close(&hands[i].pair);
	}
	for (i = 0; i < THREADS * EACH; i++)
		ASSERT_EQ(1, seen[i]);
}

/* Everything at once, on one context and one socket. */
struct crowd {
	struct zcopy *zcopy;
	const struct file *file;
	struct pair pair;
	unsigned int next;	/* atomic: the next user_data */
	unsigned int seen[THREADS * EACH];	/* atomic */
	uint64_t bytes;		/* atomic: what completions say */
	unsigned int bad;	/* atomic */
	bool stop;		/* atomic */
};

static void crowd_note(struct crowd *crowd, const struct zcopy_completion *done)
{
	if ((done->error && done->error != -ECANCELED) ||
	    done->user_data >= THREADS * EACH) {
		__atomic_add_fetch(&crowd->bad, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&crowd->seen[done->user_data], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&crowd->bytes, done->bytes, __ATOMIC_RELAXED);
}

static void *crowd_submit(void *argument)
{
	struct crowd *crowd = argument;
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	unsigned int i;

	for (i = 0; i < EACH; i++) {
		unsigned int id = __atomic_fetch_add(&crowd->next, 1,
						     __ATOMIC_RELAXED);

		zcopy_prep_file(&transfer, &segment, crowd->pair.tx,
				crowd->file->fd, id, 1 + id * 50, id);
		if (zcopy_submit(crowd->zcopy, &transfer, 1, NULL) != 1)
			__atomic_add_fetch(&crowd->bad, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *crowd_collect(void *argument)
{
	struct crowd *crowd = argument;
	struct zcopy_completion done[8];
	int i, n, round = 0;

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		if (round++ % 2)
			n = zcopy_peek_completions(crowd->zcopy, done, 8);
		else
			n = zcopy_wait_completions(crowd->zcopy, done, 8, 2,
						   1000000);
		for (i = 0; i < n; i++)
			crowd_note(crowd, &done[i]);
	}
	return NULL;
}

static void *crowd_cancel(void *argument)
{
	struct crowd *crowd = argument;
	unsigned int round = 0;
	int n;

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		unsigned int last = __atomic_load_n(&crowd->next,
						    __ATOMIC_RELAXED);

		if (round++ % 50 == 49)
			n = zcopy_cancel_all(crowd->zcopy);
		else if (round % 50 == 24)
			n = zcopy_cancel_socket(crowd->zcopy, crowd->pair.tx);
		else
			n = zcopy_cancel(crowd->zcopy, last - 1);
		if (n < 0)
			__atomic_add_fetch(&crowd->bad, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	return NULL;
}

TEST_F(library, every_call_at_once)
{
	const struct part sink = { .want = { UNCHECKED, 0, 1ULL << 40 } };
	static struct crowd crowd;
	struct zcopy_completion done;
	pthread_t submitters[THREADS], others[4];
	struct reader reader;
	size_t i;

	crowd.zcopy = self->zcopy;
	crowd.file = &self->file;
	crowd.pair = self->pair;
	reader_start(&reader, self->pair.rx, &sink, 1);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&others[i], NULL,
					    i % 2 ? crowd_cancel : crowd_collect,
					    &crowd));
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&submitters[i], NULL, crowd_submit,
					    &crowd));
	for (i = 0; i < THREADS; i++)
		pthread_join(submitters[i], NULL);
	__atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 4; i++)
		pthread_join(others[i], NULL);
	while (zcopy_wait_completion(self->zcopy, &done) == 1)
		crowd_note(&crowd, &done);
	EXPECT_EQ(0, crowd.bad);
	for (i = 0; i < THREADS * EACH; i++)
		ASSERT_EQ(1, crowd.seen[i]);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, crowd.bytes));
}

TEST_F(library, child)
{
	const struct part parts[] = { of_file(&self->file, 0, 100),
				      of_file(&self->file, 50, 200) };
	struct zcopy_completion done;
	struct zcopy_transfer transfer;
	struct zcopy_segment segment;
	pid_t child;
	int status;

	zcopy_prep_file(&transfer, &segment, self->pair.tx, self->file.fd, 0,
			100, 1);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		status = zcopy_submit(self->zcopy, &transfer, 1, NULL);
		zcopy_close(self->zcopy);
		_exit(status != 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	zcopy_prep_file(&transfer, &segment, self->pair.tx, self->file.fd, 50,
			200, 2);
	EXPECT_EQ(1, zcopy_submit(self->zcopy, &transfer, 1, NULL));
	ASSERT_EQ(1, zcopy_wait_completion(self->zcopy, &done));
	expect_completion(_metadata, &done, 1, 100, 0);
	ASSERT_EQ(1, zcopy_wait_completion(self->zcopy, &done));
	expect_completion(_metadata, &done, 2, 200, 0);
	take(_metadata, self, parts, 2);
}

TEST_HARNESS_MAIN
