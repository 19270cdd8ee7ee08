// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that sends with MSG_ZEROCOPY itself, on the socket that its transfers go
 * to: it can at any time, as beside sendfile(2), and gets its notices.
 */
#include <time.h>
/* Of the former. */
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	661U
#define SIZE	(2 * MIB)
#define BUFFER	(64 * 1024)
#define LENGTH	4096		/* of what the program sends */

FIXTURE(zerocopy)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part small;	/* two pages, about */
	struct part large;	/* more than the socket takes */
	struct part own;
	int device;
};

FIXTURE_VARIANT(zerocopy)
{
	enum transport transport;
	uint32_t flags;
};

#define ROW(name, over, with)						\
	FIXTURE_VARIANT_ADD(zerocopy, name)				\
	{								\
		.transport = over, .flags = with,			\
	}

ROW(tcp4, TCP4, 0);
ROW(tcp6_notify, TCP6, ZCOPY_NOTIFY);
ROW(wire4, WIRE4, 0);
ROW(wire4_notify, WIRE4, ZCOPY_NOTIFY);
ROW(wire6_nocache, WIRE6, ZCOPY_NOCACHE);

FIXTURE_SETUP(zerocopy)
{
	const int on = 1;

	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	pair_open(&self->pair, variant->transport, BUFFER);
	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_ZEROCOPY, &on,
				sizeof(on)));
	/* From there on pages are tracked. */
	self->small = of_file(&self->file, 3, 8192 + 50);
	self->large = of_file(&self->file, 0, 0);
	self->own = of_memory(7, LENGTH);
}

FIXTURE_TEARDOWN(zerocopy)
{
	pair_close(&self->pair);
	EXPECT_TRUE(await_active(0));
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* As send(2): LENGTH, or -errno. */
static int send_own(FIXTURE_DATA(zerocopy) *self, int flags)
{
	const void *bytes = (const void *)(uintptr_t)self->own.segment.addr;
	ssize_t n = send(self->pair.tx, bytes, LENGTH, MSG_ZEROCOPY | flags);

	return n < 0 ? -errno : n;
}

/* How many notices come, up to so many. */
static unsigned int take_notices(int fd, unsigned int most)
{
	unsigned int nr = 0;

	while (nr < most && await(fd, POLLERR)) {
		char control[100];
		struct msghdr message = {
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		const struct sock_extended_err *error;
		struct cmsghdr *header;

		if (recvmsg(fd, &message, MSG_ERRQUEUE) < 0)
			die("MSG_ERRQUEUE");
		header = CMSG_FIRSTHDR(&message);
		error = (const void *)CMSG_DATA(header);
		if (error->ee_origin != SO_EE_ORIGIN_ZEROCOPY)
			die("an error of origin %u", error->ee_origin);
		nr += error->ee_data - error->ee_info + 1;
	}
	return nr;
}

static void send_small(struct __test_metadata *_metadata,
		       FIXTURE_DATA(zerocopy) *self, uint32_t flags)
{
	struct zcopy_completion done;

	ASSERT_EQ(0, send_parts(self->device, self->pair.tx, &self->small, 1,
				flags, &done));
	EXPECT_EQ(0, done.error);
	EXPECT_EQ(self->small.want.len, done.bytes);
}

static void expect_all(struct __test_metadata *_metadata,
		       FIXTURE_DATA(zerocopy) *self, const struct part *parts,
		       size_t nr, unsigned int notices)
{
	struct cursor cursor = { .parts = parts, .nr = nr };
	const uint64_t total = parts_total(parts, nr);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	EXPECT_EQ(notices, take_notices(self->pair.tx, notices));
}

/* What the transfer held back waits for more. */
TEST_F(zerocopy, behind)
{
	const struct part parts[] = { self->small, self->own, self->own };

	send_small(_metadata, self, variant->flags | ZCOPY_MORE);
	EXPECT_EQ(LENGTH, send_own(self, MSG_MORE));
	EXPECT_EQ(LENGTH, send_own(self, 0));
	expect_all(_metadata, self, ALL_OF(parts), 2);
}

TEST_F(zerocopy, before)
{
	const struct part parts[] = { self->own, self->small, self->own };

	EXPECT_EQ(LENGTH, send_own(self, MSG_MORE));
	send_small(_metadata, self, variant->flags | ZCOPY_MORE);
	EXPECT_EQ(LENGTH, send_own(self, 0));
	expect_all(_metadata, self, ALL_OF(parts), 2);
}

/* A full window is no other error than it ever was, whatever fills it. */
TEST_F(zerocopy, window_is_full)
{
	struct part all = { .want = { .seed = UNCHECKED } };
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	unsigned int notices = 1;
	struct reader reader;
	uint64_t since = 0;
	int n;

	all.want.len = SIZE + LENGTH;
	transfer = transfer_of(self->pair.tx, &self->large, 1, 3);
	transfer.flags = variant->flags;
	submit_all(self->device, &transfer, 1);
	/* There may still be room now and then, amid the transfer. */
	while ((n = send_own(self, MSG_DONTWAIT)) > 0) {
		ASSERT_TRUE(patience(&since));
		all.want.len += n;
		notices++;
	}
	ASSERT_EQ(-EAGAIN, n);
	reader_start(&reader, self->pair.rx, &all, 1);
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(SIZE, done.bytes);
	EXPECT_EQ(LENGTH, send_own(self, 0));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, all.want.len));
	EXPECT_EQ(notices, take_notices(self->pair.tx, notices));
}

/* Takes the CQE of a send, and of notices that come first. */
static unsigned int take_sent(struct __test_metadata *_metadata,
			      struct ring *ring)
{
	unsigned int notices = 0;
	struct answer answer;

	for (;;) {
		ASSERT_TRUE(ring_next(ring, &answer));
		if (!(answer.flags & IORING_CQE_F_NOTIF))
			break;
		notices++;
	}
	EXPECT_EQ(LENGTH, answer.res);
	EXPECT_EQ(IORING_CQE_F_MORE, answer.flags);
	return notices;
}

/* Those of io_uring, which it tracks as well. */
TEST_F(zerocopy, of_a_ring)
{
	const struct part parts[] = { self->own, self->small, self->own };
	unsigned int notices = 0;
	struct io_uring_sqe *sqe;
	struct answer answer;
	struct ring ring;
	int i;

	ring_open(&ring, 4, 0);
	for (i = 0; i < 2; i++) {
		sqe = ring_sqe(&ring);
		sqe->opcode = IORING_OP_SEND_ZC;
		sqe->fd = self->pair.tx;
		sqe->addr = self->own.segment.addr;
		sqe->len = LENGTH;
		sqe->msg_flags = i ? 0 : MSG_MORE;
		ring_submit(&ring);
		notices += take_sent(_metadata, &ring);
		if (!i)
			send_small(_metadata, self,
				   variant->flags | ZCOPY_MORE);
	}
	expect_all(_metadata, self, ALL_OF(parts), 0);
	for (; notices < 2; notices++) {
		ASSERT_TRUE(ring_next(&ring, &answer));
		EXPECT_EQ(IORING_CQE_F_NOTIF, answer.flags);
	}
	ring_close(&ring);
}

TEST_HARNESS_MAIN
