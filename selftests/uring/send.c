// SPDX-License-Identifier: GPL-2.0-only
/* Transfers as requests of an io_uring, in rings of every kind. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	351U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define ENTRIES	64

FIXTURE(send)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part parts[2];		/* fit in the socket */
	struct part large;		/* does not */
	struct zcopy_transfer transfer;	/* of parts */
	struct zcopy_completion done;
	struct ring ring;
	int device;
};

FIXTURE_VARIANT(send)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(send, plain)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(send, sqpoll)
{
	.flags = IORING_SETUP_SQPOLL,
};

FIXTURE_VARIANT_ADD(send, sqe128)
{
	.flags = IORING_SETUP_SQE128,
};

FIXTURE_VARIANT_ADD(send, cqe32)
{
	.flags = IORING_SETUP_CQE32,
};

FIXTURE_VARIANT_ADD(send, deferred)
{
	.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		 IORING_SETUP_SQE128 | IORING_SETUP_CQE32,
};

FIXTURE_SETUP(send)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, SMALL);
	ring_open(&self->ring, ENTRIES, variant->flags);
	self->parts[0] = of_memory(3, 200);
	self->parts[1] = of_file(&self->file, 99, 9000);
	self->large = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, self->parts, 2, 42);
	memset(&self->done, 0x55, sizeof(self->done));
}

FIXTURE_TEARDOWN(send)
{
	ring_close(&self->ring);
	EXPECT_TRUE(await_active(0));
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The next CQE is this one. */
static void expect_answer(struct __test_metadata *_metadata,
			  FIXTURE_DATA(send) *self, uint64_t user_data, int res)
{
	struct answer answer;

	ASSERT_TRUE(ring_next(&self->ring, &answer));
	EXPECT_EQ(user_data, answer.user_data);
	EXPECT_EQ(res, answer.res);
	EXPECT_EQ(0, answer.flags);
	if (self->ring.flags & IORING_SETUP_CQE32 && res >= 0)
		EXPECT_EQ(res, answer.extra[0]);
}

static void take(struct __test_metadata *_metadata, FIXTURE_DATA(send) *self,
		 const struct part *parts, size_t nr)
{
	struct cursor cursor = { .parts = parts, .nr = nr };
	const uint64_t total = parts_total(parts, nr);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
}

TEST_F(send, at_once)
{
	struct zcopy_completion none;

	ring_send(&self->ring, self->device, &self->transfer, &self->done, 7);
	ring_submit(&self->ring);
	expect_answer(_metadata, self, 7, 9200);
	/* The transfer's name is in its completion, the request's in the CQE. */
	EXPECT_EQ(42, self->done.user_data);
	EXPECT_EQ(9200, self->done.bytes);
	EXPECT_EQ(0, self->done.error);
	EXPECT_EQ(0, self->done.flags);
	take(_metadata, self, self->parts, 2);
	/* It is told once. */
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
}

TEST_F(send, later)
{
	struct zcopy_transfer transfer;
	struct answer answer;

	transfer = transfer_of(self->pair.tx, &self->large, 1, 1);
	ring_send(&self->ring, self->device, &transfer, &self->done, 8);
	ring_submit(&self->ring);
	ASSERT_TRUE(await_active(1));
	EXPECT_FALSE(ring_peek(&self->ring, &answer));
	take(_metadata, self, &self->large, 1);
	expect_answer(_metadata, self, 8, SIZE);
	EXPECT_EQ(SIZE, self->done.bytes);
	EXPECT_EQ(0, self->done.error);
}

TEST_F(send, refused)
{
	const struct zcopy_completion before = self->done;
	struct zcopy_segment segment = { .fd = -1 };
	struct zcopy_transfer rows[6];
	const int errors[] = { -EINVAL, -EINVAL, -EBADF, -EBADF, -EFAULT,
			       -EAGAIN };
	size_t i;

	for (i = 0; i < 6; i++)
		rows[i] = self->transfer;
	rows[0].nr_segments = 0;
	rows[1].flags = ZCOPY_SYNC | ZCOPY_NOTIFY;
	rows[2].socket = -1;
	rows[3].segments = (uintptr_t)&segment;
	rows[3].nr_segments = 1;
	rows[4].segments = 8;
	/* The test has the file open for writing. */
	rows[5].flags = ZCOPY_LEASE;
	for (i = 0; i < 6; i++) {
		ring_send(&self->ring, self->device, &rows[i], &self->done, i);
		ring_submit(&self->ring);
		expect_answer(_metadata, self, i, errors[i]);
		EXPECT_EQ(0, memcmp(&before, &self->done, sizeof(before)));
	}
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).bytes);
}

TEST_F(send, bad_request)
{
	char *readonly = mmap(NULL, PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_sqe *sqe;
	uint32_t number;

	ASSERT_NE(MAP_FAILED, readonly);
	for (number = 1; number; number <<= 1) {
		sqe = ring_send(&self->ring, self->device, &self->transfer,
				&self->done, 1);
		sqe->cmd_op = number;
		ring_submit(&self->ring);
		expect_answer(_metadata, self, 1, -ENOTTY);
	}
	ring_send(&self->ring, self->device, NULL, &self->done, 2);
	ring_send(&self->ring, self->device, &self->transfer, NULL, 3);
	ring_send(&self->ring, self->device, &self->transfer,
		  (void *)readonly, 4);
	ring_send(&self->ring, self->device, &self->transfer,
		  (void *)(readonly + PAGE - 8), 5);
	ring_submit(&self->ring);
	for (number = 2; number < 6; number++)
		expect_answer(_metadata, self, number, -EFAULT);
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).bytes);
	munmap(readonly, PAGE);
}

TEST_F(send, failed_socket)
{
	shutdown(self->pair.tx, SHUT_WR);
	ring_send(&self->ring, self->device, &self->transfer, &self->done, 1);
	ring_submit(&self->ring);
	expect_answer(_metadata, self, 1, -EPIPE);
	EXPECT_EQ(0, self->done.bytes);
	EXPECT_EQ(-EPIPE, self->done.error);
	EXPECT_EQ(ZCOPY_C_SOCKET_ERROR, self->done.flags);
}

TEST_F(send, cancelled)
{
	struct zcopy_completion done[3];
	struct zcopy_transfer transfer;
	struct answer answer;
	struct part got[3];
	size_t nr = 0;
	/*
	 * The ring's own thread may just be about to queue the last one, which
	 * then has the target for itself until it is asked to end.
	 */
	const bool of_thread = self->ring.flags & IORING_SETUP_SQPOLL;
	uint64_t since = 0;
	int i, n;

	transfer = transfer_of(self->pair.tx, &self->large, 1, 9);
	for (i = 0; i < 3; i++)
		ring_send(&self->ring, self->device, &transfer, &done[i], i);
	ring_submit(&self->ring);
	ASSERT_TRUE(await_active(3));
	EXPECT_EQ(0, cancel_user_data(self->device, 0));
	n = cancel_user_data(self->device, 9);
	if (!of_thread)
		EXPECT_EQ(3, n);
	for (i = 0; i < 3; i++) {
		while (of_thread && !ring_peek(&self->ring, &answer)) {
			ASSERT_TRUE(patience(&since));
			cancel_user_data(self->device, 9);
		}
		if (!of_thread)
			ASSERT_TRUE(ring_next(&self->ring, &answer));
		EXPECT_EQ(-ECANCELED, answer.res);
		ASSERT_GT(3, answer.user_data);
		EXPECT_EQ(-ECANCELED, done[answer.user_data].error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, done[answer.user_data].flags);
		/* The bytes that went are told even so. */
		if (self->ring.flags & IORING_SETUP_CQE32)
			EXPECT_EQ(done[answer.user_data].bytes,
				  answer.extra[0]);
	}
	if (!of_thread)
		EXPECT_EQ(0, done[1].bytes + done[2].bytes);
	for (i = 0; i < 3; i++) {
		got[nr] = self->large;
		got[nr].want.len = done[i].bytes;
		nr += !!done[i].bytes;
	}
	take(_metadata, self, got, nr);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
}

/* A file and a socket that are closed when the SQE was taken. */
TEST_F(send, descriptors_closed)
{
	struct part part = self->large;
	struct zcopy_transfer transfer;

	part.segment.fd = dup(self->file.fd);
	transfer = transfer_of(dup(self->pair.tx), &part, 1, 1);
	ring_send(&self->ring, self->device, &transfer, &self->done, 1);
	ring_submit(&self->ring);
	/* It is counted before its descriptors are looked up. */
	ASSERT_TRUE(await(self->pair.rx, POLLIN));
	close(part.segment.fd);
	close(transfer.socket);
	take(_metadata, self, &self->large, 1);
	expect_answer(_metadata, self, 1, SIZE);
}

/* The next link begins when the one before it is complete. */
TEST_F(send, linked)
{
	struct zcopy_completion done[3];
	struct zcopy_transfer first, last;
	struct answer answer;
	struct pair other;

	pair_open(&other, TCP4, 0);
	first = transfer_of(self->pair.tx, &self->large, 1, 1);
	last = transfer_of(other.tx, self->parts, 2, 3);
	ring_send(&self->ring, self->device, &first, &done[0], 0)->flags =
		IOSQE_IO_LINK;
	ring_send(&self->ring, self->device, &self->transfer, &done[1], 1)
		->flags = IOSQE_IO_LINK;
	/* Another socket: there is room, and yet it waits. */
	ring_send(&self->ring, self->device, &last, &done[2], 2);
	ring_submit(&self->ring);
	ASSERT_TRUE(await_active(1));
	EXPECT_FALSE(ring_peek(&self->ring, &answer));
	EXPECT_EQ(-1, recv(other.rx, &answer, 1, MSG_DONTWAIT));
	take(_metadata, self, &self->large, 1);
	/* In some rings the next one begins when the task looks for CQEs. */
	expect_answer(_metadata, self, 0, SIZE);
	expect_answer(_metadata, self, 1, 9200);
	take(_metadata, self, self->parts, 2);
	expect_answer(_metadata, self, 2, 9200);
	pair_close(&other);
}

TEST_F(send, link_breaks)
{
	struct zcopy_transfer bad = self->transfer;
	struct zcopy_completion done;

	bad.socket = -1;
	ring_send(&self->ring, self->device, &bad, &done, 0)->flags =
		IOSQE_IO_LINK;
	ring_send(&self->ring, self->device, &self->transfer, &done, 1);
	ring_submit(&self->ring);
	expect_answer(_metadata, self, 0, -EBADF);
	expect_answer(_metadata, self, 1, -ECANCELED);
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).bytes);
}

/* Begun by a worker of io_uring. */
TEST_F(send, asynchronous)
{
	struct zcopy_transfer transfer;
	struct zcopy_completion done;

	transfer = transfer_of(self->pair.tx, &self->large, 1, 1);
	ring_send(&self->ring, self->device, &self->transfer, &self->done, 0)
		->flags = IOSQE_ASYNC;
	ring_submit(&self->ring);
	expect_answer(_metadata, self, 0, 9200);
	EXPECT_EQ(9200, self->done.bytes);
	take(_metadata, self, self->parts, 2);
	ring_send(&self->ring, self->device, &transfer, &done, 1)->flags =
		IOSQE_ASYNC;
	ring_submit(&self->ring);
	ASSERT_TRUE(await_active(1));
	take(_metadata, self, &self->large, 1);
	expect_answer(_metadata, self, 1, SIZE);
	EXPECT_EQ(SIZE, done.bytes);
}

/* The queue's limits hold for them too. */
TEST_F(send, queue_is_full)
{
	struct zcopy_completion done[6];
	struct zcopy_transfer transfer;
	int i;

	ASSERT_EQ(0, run("echo 4 > /sys/module/zcopy/parameters/max_transfers"));
	transfer = transfer_of(self->pair.tx, &self->large, 1, 1);
	for (i = 0; i < 6; i++)
		ring_send(&self->ring, self->device, &transfer, &done[i], i);
	ring_submit(&self->ring);
	expect_answer(_metadata, self, 4, -EAGAIN);
	expect_answer(_metadata, self, 5, -EAGAIN);
	EXPECT_EQ(0, run("echo 16384 > /sys/module/zcopy/parameters/max_transfers"));
	EXPECT_EQ(4, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	for (i = 0; i < 4; i++) {
		take(_metadata, self, &self->large, 1);
		expect_answer(_metadata, self, i, SIZE);
	}
}

TEST_HARNESS_MAIN
