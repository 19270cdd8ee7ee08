// SPDX-License-Identifier: GPL-2.0-only
/*
 * SQEs that wait: linked behind another one or drained. The kernel may read them in
 * their place in the ring when their turn comes, and by then the program may have
 * put another one there. Each sends its own transfer, or none.
 */
#include <linux/time_types.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define ENTRIES	2
#define WAIT	1		/* user_data of the SQE that the others wait for */
#define FIRST	100		/* ... of the first transfer, and the ones behind it */
#define AFTER	2		/* transfers that are put in its place */

FIXTURE(linked)
{
	struct watch watch;
	struct pair pairs[1 + AFTER];
	struct part parts[1 + AFTER];
	struct zcopy_transfer transfers[1 + AFTER];
	struct zcopy_completion done[1 + AFTER];
	int32_t results[1 + AFTER];
	struct ring ring;
	int device;
};

FIXTURE_VARIANT(linked)
{
	uint8_t link;		/* of the one that is waited for */
	uint8_t own;		/* of the first transfer */
};

#define ROW(name, first, second)					\
	FIXTURE_VARIANT_ADD(linked, name)				\
	{								\
		.link = first, .own = second,		\
	}

ROW(link, IOSQE_IO_LINK, 0);
ROW(hard_link, IOSQE_IO_HARDLINK, 0);
ROW(drain, 0, IOSQE_IO_DRAIN);
/* The kernel copies such an SQE at once. */
ROW(link_async, IOSQE_IO_LINK, IOSQE_ASYNC);
ROW(drain_async, 0, IOSQE_IO_DRAIN | IOSQE_ASYNC);

FIXTURE_SETUP(linked)
{
	unsigned int i;

	watch_begin(&self->watch);
	self->device = device_open();
	ring_open(&self->ring, ENTRIES, 0);
	for (i = 0; i <= AFTER; i++) {
		pair_open(&self->pairs[i], UNIX, 0);
		self->parts[i] = of_memory(100 * i, 20 + i);
		self->transfers[i] = transfer_of(self->pairs[i].tx,
						 &self->parts[i], 1, i);
		self->done[i] = (struct zcopy_completion){ .user_data = ~0ULL };
	}
}

FIXTURE_TEARDOWN(linked)
{
	unsigned int i;

	ring_close(&self->ring);
	EXPECT_TRUE(await_active(0));
	for (i = 0; i <= AFTER; i++)
		pair_close(&self->pairs[i]);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct io_uring_sqe *add_transfer(FIXTURE_DATA(linked) *self,
					 unsigned int i, uint64_t name)
{
	return ring_send(&self->ring, self->device, &self->transfers[i],
			 &self->done[i], name);
}

/* Waits for a byte that is sent when the ring has other SQEs. */
static void add_wait(FIXTURE_DATA(linked) *self, int fd, char *byte,
		     uint8_t flags)
{
	struct io_uring_sqe *sqe = ring_sqe(&self->ring);

	sqe->opcode = IORING_OP_RECV;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)byte;
	sqe->len = 1;
	sqe->flags = flags;
	sqe->user_data = WAIT;
}

static void collect(struct __test_metadata *_metadata,
		    FIXTURE_DATA(linked) *self, unsigned int nr)
{
	struct answer answer;

	while (nr--) {
		ASSERT_TRUE(ring_next(&self->ring, &answer));
		if (answer.user_data == WAIT) {
			EXPECT_EQ(1, answer.res);
			continue;
		}
		ASSERT_LE(FIRST, answer.user_data);
		ASSERT_GE(FIRST + AFTER, answer.user_data);
		self->results[answer.user_data - FIRST] = answer.res;
	}
}

/* It went to its own peer once, or nowhere, and is told so. */
static void expect_own(struct __test_metadata *_metadata,
		       FIXTURE_DATA(linked) *self, unsigned int i, bool sent)
{
	const int rx = self->pairs[i].rx;
	const int len = self->parts[i].want.len;
	struct cursor cursor = { .parts = &self->parts[i], .nr = 1 };
	char byte;

	if (sent) {
		EXPECT_EQ(len, self->results[i]);
		EXPECT_EQ(i, self->done[i].user_data);
		EXPECT_EQ(len, self->done[i].bytes);
		EXPECT_TRUE(cursor_take(&cursor, rx, len));
		EXPECT_STREQ("", cursor_verdict(&cursor, len));
	} else {
		EXPECT_EQ(-EBADR, self->results[i]);
		EXPECT_EQ(~0ULL, self->done[i].user_data);
	}
	EXPECT_EQ(-1, recv(rx, &byte, 1, MSG_DONTWAIT));
}

/* Two SQEs fill the ring, and their places are used once more before their turn. */
TEST_F(linked, place_used_again)
{
	/*
	 * Whether it is drained the kernel knows before it looks at the rest.
	 * Newer kernels copy what is linked, too.
	 */
	bool copied = variant->own & (IOSQE_ASYNC | IOSQE_IO_DRAIN);
	struct pair signal;
	char byte;
	unsigned int i;

	pair_open(&signal, UNIX, 0);
	add_wait(self, signal.rx, &byte, variant->link);
	add_transfer(self, 0, FIRST)->flags = variant->own;
	ring_submit(&self->ring);
	/* What is drained keeps others from beginning, too. */
	for (i = 1; i <= AFTER; i++)
		add_transfer(self, i, FIRST + i);
	ring_submit(&self->ring);
	ASSERT_EQ(1, write(signal.tx, "x", 1));
	collect(_metadata, self, 2 + AFTER);
	copied |= self->results[0] >= 0;
	expect_own(_metadata, self, 0, copied);
	for (i = 1; i <= AFTER; i++)
		expect_own(_metadata, self, i, true);
	pair_close(&signal);
}

/* Its place is still its own. */
TEST_F(linked, place_kept)
{
	struct pair signal;
	char byte;

	pair_open(&signal, UNIX, 0);
	add_wait(self, signal.rx, &byte, variant->link);
	add_transfer(self, 0, FIRST)->flags = variant->own;
	ring_submit(&self->ring);
	ASSERT_EQ(1, write(signal.tx, "x", 1));
	collect(_metadata, self, 2);
	expect_own(_metadata, self, 0, true);
	pair_close(&signal);
}

TEST_HARNESS_MAIN
