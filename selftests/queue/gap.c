// SPDX-License-Identifier: GPL-2.0-only
/*
 * The peer never takes bytes of one response for the rest of another: what stands
 * behind a transfer that failed is not sent, until the program says that it knows.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	471U
#define SIZE	(256 * KIB)	/* of the first response's file */
#define HOT	(4 * MIB)	/* more than a socket takes */
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define HEADER	150ULL
#define SECOND	700ULL

/* What becomes of the first response. */
enum fault {
	SHRUNK,			/* and ZCOPY_EXACT */
	BROKEN,			/* the disk */
	NOT_CACHED,		/* and ZCOPY_NODISKIO */
	CANCELLED,		/* by its user_data, in the queue */
	LEASED,			/* it has a lease, whose time runs out there */
};

/* How the second one comes. */
enum manner {
	ONE_CALL,
	TWO_CALLS,
	OTHER_THREAD,
	RING,
	AFTERWARDS,		/* the completion was posted, and not acknowledged */
	MANNERS,
};

FIXTURE(gap)
{
	struct watch watch;
	struct ring ring;
	struct file hot;
	struct file file;
	struct pair pair;
	struct part first[2];
	struct part second;
	int device;
};

FIXTURE_VARIANT(gap)
{
	enum transport transport;
};

FIXTURE_VARIANT_ADD(gap, tcp)
{
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(gap, unix)
{
	.transport = UNIX,
};

FIXTURE_VARIANT_ADD(gap, tls)
{
	.transport = TLS,
};

FIXTURE_SETUP(gap)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	self->device = device_open();
	ring_open(&self->ring, 8, 0);
	file_make(&self->hot, TMPFS, HOT, SEED + 1);
	self->second = of_memory(5000, SECOND);
}

FIXTURE_TEARDOWN(gap)
{
	disk_mend();
	disk_resume();
	file_close(&self->hot);
	ring_close(&self->ring);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A connection, and a first response for it. */
static void begin(FIXTURE_DATA(gap) *self, enum transport transport)
{
	pair_open(&self->pair, transport, SMALL);
	file_make(&self->file, EXT4, SIZE, SEED);
	self->first[0] = of_memory(0, HEADER);
	self->first[1] = of_file(&self->file, 0, SIZE);
}

static void end(FIXTURE_DATA(gap) *self)
{
	pair_close(&self->pair);
	file_close(&self->file);
}

struct there {
	int device;
	const struct zcopy_transfer *transfer;
};

static void *submit_there(void *argument)
{
	const struct there *there = argument;

	submit_all(there->device, there->transfer, 1);
	return NULL;
}

/* Hand in both, the second one as it is to come; or the first one alone. */
static void submit_both(FIXTURE_DATA(gap) *self, enum manner manner,
			const struct zcopy_transfer transfers[2],
			struct zcopy_completion *by_ring)
{
	const struct there there = { self->device, &transfers[1] };
	pthread_t thread;

	submit_all(self->device, transfers, manner == ONE_CALL ? 2 : 1);
	switch (manner) {
	case TWO_CALLS:
		submit_all(self->device, &transfers[1], 1);
		break;
	case OTHER_THREAD:
		errno = pthread_create(&thread, NULL, submit_there, (void *)&there);
		if (errno)
			die("start a thread");
		pthread_join(thread, NULL);
		break;
	case RING:
		ring_send(&self->ring, self->device, &transfers[1], by_ring, 2);
		ring_submit(&self->ring);
		break;
	default:
		break;
	}
}

/* The second response is not sent, and is told so once. */
static void expect_held(struct __test_metadata *_metadata, FIXTURE_DATA(gap) *self,
			enum manner manner, const struct zcopy_transfer *second,
			const struct zcopy_completion *by_ring)
{
	struct zcopy_completion none;
	struct answer answer;

	if (manner == AFTERWARDS)
		submit_all(self->device, second, 1);
	if (manner == RING) {
		ASSERT_TRUE(ring_next(&self->ring, &answer));
		EXPECT_EQ(2, answer.user_data);
		EXPECT_EQ(-ECANCELED, answer.res);
		EXPECT_EQ(0, by_ring->bytes);
		EXPECT_EQ(ZCOPY_C_CANCELLED, by_ring->flags);
	} else {
		EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
					   ZCOPY_C_CANCELLED));
	}
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	EXPECT_FALSE(ring_peek(&self->ring, &answer));
}

/* It knows, and goes on: this is all that comes behind the prefix. */
static void go_on(struct __test_metadata *_metadata, FIXTURE_DATA(gap) *self,
		  struct cursor *cursor)
{
	const struct part rest[] = { of_memory(9, 900), self->second };
	struct cursor behind = { .parts = rest, .nr = 2 };
	struct zcopy_transfer transfer;

	EXPECT_TRUE(cursor_take(cursor, self->pair.rx,
				parts_total(cursor->parts, cursor->nr) - cursor->got));
	EXPECT_STREQ("", cursor_verdict(cursor,
					parts_total(cursor->parts, cursor->nr)));
	transfer = transfer_of(self->pair.tx, &rest[0], 1, 3);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 3, 900, 0, 0));
	submit_one(self->device, self->pair.tx, &rest[1], 4);
	EXPECT_STREQ("", completes(self->device, 4, SECOND, 0, 0));
	EXPECT_TRUE(cursor_take(&behind, self->pair.rx, 900 + SECOND));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
	EXPECT_STREQ("", cursor_verdict(&behind, 900 + SECOND));
}

/* The file gives no more than up to the place. */
static void cut(FIXTURE_DATA(gap) *self, enum fault fault, uint64_t place)
{
	if (fault == SHRUNK && ftruncate(self->file.rw, place))
		die("truncate");
	if (fault == SHRUNK)
		return;
	file_chill(&self->file);
	if (fault == BROKEN)
		disk_break(&self->file, place);
}

static void cut_short(struct __test_metadata *_metadata, FIXTURE_DATA(gap) *self,
		      const FIXTURE_VARIANT(gap) *variant, enum fault fault,
		      enum manner manner, uint64_t place)
{
	struct zcopy_completion by_ring = {};
	struct zcopy_transfer transfers[2];
	struct zcopy_completion done;
	struct cursor cursor = { .parts = self->first, .nr = 2 };
	struct reader reader;

	begin(self, variant->transport);
	transfers[0] = transfer_of(self->pair.tx, self->first, 2, 1);
	transfers[0].flags = fault == SHRUNK ? ZCOPY_EXACT :
			     fault == NOT_CACHED ? ZCOPY_NODISKIO : 0;
	transfers[1] = transfer_of(self->pair.tx, &self->second, 1, 2);
	cut(self, fault, place);
	self->first[1].want.len = place;
	submit_both(self, manner, transfers, &by_ring);
	/* It may be more than the socket takes. */
	reader_continue(&reader, self->pair.rx, &cursor);
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(1, done.user_data);
	EXPECT_EQ(HEADER + place, done.bytes);
	EXPECT_EQ(fault == SHRUNK ? -ENODATA : fault == BROKEN ? -EIO : -EBUSY,
		  done.error);
	expect_held(_metadata, self, manner, &transfers[1], &by_ring);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, HEADER + place));
	disk_mend();
	end(self);
}

static const uint64_t places[] = { 0, 10, PAGE, SIZE - PAGE, SIZE - 1 };

TEST_F(gap, file_shrank)
{
	enum manner manner;
	size_t i;

	/* All of them where that does not take minutes. */
	for (manner = ONE_CALL; manner < MANNERS; manner++)
		for (i = slowdown() > 1 ? manner : 0; i < ARRAY_SIZE(places);
		     i += slowdown() > 1 ? ARRAY_SIZE(places) : 1)
			cut_short(_metadata, self, variant, SHRUNK, manner,
				  places[i]);
}

TEST_F(gap, disk_failed)
{
	enum manner manner;

	for (manner = ONE_CALL; manner < MANNERS; manner++)
		cut_short(_metadata, self, variant, BROKEN, manner,
			  manner % 2 ? 0 : SIZE - PAGE);
}

TEST_F(gap, not_in_memory)
{
	enum manner manner;

	for (manner = ONE_CALL; manner < MANNERS; manner++)
		cut_short(_metadata, self, variant, NOT_CACHED, manner, 0);
}

/* What is read as zeros is not missing. */
TEST_F(gap, file_was_punched)
{
	struct zcopy_transfer transfers[2];
	struct part parts[4];
	struct reader reader;

	begin(self, variant->transport);
	transfers[0] = transfer_of(self->pair.tx, self->first, 2, 1);
	transfers[0].flags = ZCOPY_EXACT;
	transfers[1] = transfer_of(self->pair.tx, &self->second, 1, 2);
	ASSERT_EQ(0, fallocate(self->file.rw,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10,
			       SIZE - 20));
	parts[0] = self->first[0];
	parts[1] = (struct part){ .want = { SEED, 0, 10 } };
	parts[2] = (struct part){ .want = { ZEROS, 0, SIZE - 20 } };
	parts[3] = (struct part){ .want = { SEED, SIZE - 10, 10 } };
	reader_start(&reader, self->pair.rx,
		     (struct part []){ parts[0], parts[1], parts[2], parts[3],
				       self->second }, 5);
	submit_all(self->device, transfers, 2);
	EXPECT_STREQ("", completes(self->device, 1, HEADER + SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 2, SECOND, 0, 0));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, HEADER + SIZE + SECOND));
	end(self);
}

/* The first response fails before a byte of it was sent, behind one that is well. */
static void fail_in_queue(struct __test_metadata *_metadata,
			  FIXTURE_DATA(gap) *self,
			  const FIXTURE_VARIANT(gap) *variant, enum fault fault,
			  enum manner manner)
{
	const struct part hot = of_file(&self->hot, 0, 0);
	struct cursor cursor = { .parts = &hot, .nr = 1 };
	struct zcopy_completion by_ring = {}, done;
	struct zcopy_transfer transfers[2];

	begin(self, variant->transport);
	submit_one(self->device, self->pair.tx, &hot, 0);
	transfers[0] = transfer_of(self->pair.tx, self->first, 2, 1);
	transfers[1] = transfer_of(self->pair.tx, &self->second, 1, 2);
	if (fault == LEASED) {
		transfers[0].flags = ZCOPY_LEASE;
		close(self->file.rw);
	}
	submit_both(self, manner, transfers, &by_ring);
	/* Who wants to write breaks the lease, but has to wait for its end. */
	EXPECT_EQ(fault == LEASED ? -1 : 1,
		  fault == LEASED ? open_again(self->file.fd, O_RDWR | O_NONBLOCK) :
				    cancel_user_data(self->device, 1));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(1, done.user_data);
	EXPECT_EQ(0, done.bytes);
	EXPECT_EQ(fault == LEASED ? -ESTALE : -ECANCELED, done.error);
	if (manner == AFTERWARDS)
		submit_all(self->device, &transfers[1], 1);
	/* What stands before it is none of its business. */
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, HOT));
	EXPECT_STREQ("", completes(self->device, 0, HOT, 0, 0));
	expect_held(_metadata, self, manner == AFTERWARDS ? ONE_CALL : manner,
		    &transfers[1], &by_ring);
	go_on(_metadata, self, &cursor);
	if (fault == LEASED)
		self->file.rw = open_again(self->file.fd, O_RDWR);
	end(self);
}

TEST_F(gap, cancelled_in_the_queue)
{
	enum manner manner;

	for (manner = ONE_CALL; manner < MANNERS; manner++)
		fail_in_queue(_metadata, self, variant, CANCELLED, manner);
}

TEST_F(gap, lease_lapsed)
{
	ASSERT_TRUE(write_text("/proc/sys/fs/lease-break-time", "1"));
	fail_in_queue(_metadata, self, variant, LEASED, TWO_CALLS);
	fail_in_queue(_metadata, self, variant, LEASED, AFTERWARDS);
	ASSERT_TRUE(write_text("/proc/sys/fs/lease-break-time", "45"));
}

/* It has sent some of its bytes, and waits for room. */
TEST_F(gap, cancelled_in_the_middle)
{
	enum manner manner;

	for (manner = ONE_CALL; manner < MANNERS; manner++) {
		struct part hot = of_file(&self->hot, 0, 0);
		struct cursor cursor = { .parts = &hot, .nr = 1 };
		struct zcopy_completion by_ring = {}, done;
		struct zcopy_transfer transfers[2];

		begin(self, variant->transport);
		transfers[0] = transfer_of(self->pair.tx, &hot, 1, 1);
		transfers[1] = transfer_of(self->pair.tx, &self->second, 1, 2);
		submit_both(self, manner, transfers, &by_ring);
		EXPECT_EQ(1, cancel_user_data(self->device, 1));
		ASSERT_EQ(1, reap(self->device, &done, 1));
		EXPECT_EQ(1, done.user_data);
		EXPECT_EQ(-ECANCELED, done.error);
		EXPECT_LT(0, done.bytes);
		expect_held(_metadata, self, manner, &transfers[1], &by_ring);
		hot.want.len = done.bytes;
		go_on(_metadata, self, &cursor);
		end(self);
	}
}

/* Who cancels all that goes to a target knows, whenever the last of it ends. */
TEST_F(gap, cancelled_by_target)
{
	struct part hot = of_file(&self->hot, 0, 0);
	struct zcopy_completion done[3];
	struct reader reader;
	int i;

	begin(self, variant->transport);
	for (i = 0; i < 3; i++)
		submit_one(self->device, self->pair.tx, &hot, i);
	/* Cancelled before, and not by the target. */
	EXPECT_EQ(1, cancel_user_data(self->device, 1));
	EXPECT_EQ(2, cancel_socket(self->device, self->pair.tx));
	submit_one(self->device, self->pair.tx, &self->second, 4);
	ASSERT_EQ(3, reap(self->device, done, 3));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ECANCELED, done[i].error);
		if (done[i].bytes)
			hot.want.len = done[i].bytes;
	}
	reader_start(&reader, self->pair.rx,
		     (struct part []){ hot, self->second }, 2);
	EXPECT_STREQ("", completes(self->device, 4, SECOND, 0, 0));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, hot.want.len + SECOND));
	end(self);
}

/* Refused: what would have followed on it does not. */
TEST_F(gap, refused)
{
	struct zcopy_segment bad = { .fd = -1 };
	struct zcopy_completion done[2] = {};
	struct zcopy_transfer transfers[2];
	struct zcopy_submit submit;
	struct answer answer;

	begin(self, variant->transport);
	transfers[0] = transfer_of(self->pair.tx, &self->second, 1, 1);
	transfers[0].segments = (uintptr_t)&bad;
	transfers[1] = transfer_of(self->pair.tx, &self->second, 1, 2);
	submit = submit_of(transfers, 1);
	ASSERT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(-EBADF, submit.error);
	submit_all(self->device, &transfers[1], 1);
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(0, cancel_socket(self->device, self->pair.tx));

	ring_send(&self->ring, self->device, &transfers[0], &done[0], 1);
	ring_send(&self->ring, self->device, &transfers[1], &done[1], 2);
	ring_submit(&self->ring);
	ASSERT_TRUE(ring_next(&self->ring, &answer));
	EXPECT_EQ(1, answer.user_data);
	EXPECT_EQ(-EBADF, answer.res);
	ASSERT_TRUE(ring_next(&self->ring, &answer));
	EXPECT_EQ(2, answer.user_data);
	EXPECT_EQ(-ECANCELED, answer.res);
	transfers[1].flags = ZCOPY_RESUME;
	ring_send(&self->ring, self->device, &transfers[1], &done[1], 3);
	ring_submit(&self->ring);
	ASSERT_TRUE(ring_next(&self->ring, &answer));
	EXPECT_EQ(3, answer.user_data);
	EXPECT_EQ((int)SECOND, answer.res);
	end(self);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
