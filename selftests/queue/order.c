// SPDX-License-Identifier: GPL-2.0-only
/* Many transfers: each socket's in order, and no socket behind another. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED		201U
#define SIZE		(4 * MIB)
#define HEADER		16ULL
#define TRANSFERS	10000
#define SOCKETS		1000
#define SMALL		(64 * 1024)	/* of a socket buffer */

FIXTURE(order)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(order)
{
	enum transport transport;
};

FIXTURE_VARIANT_ADD(order, tcp)
{
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(order, unix)
{
	.transport = UNIX,
};

FIXTURE_SETUP(order)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
}

FIXTURE_TEARDOWN(order)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Each has a content of its own: a header and a piece of the file. */
static void make_parts(const struct file *file, struct part *parts,
		       struct zcopy_transfer *transfers, int socket)
{
	size_t i;

	for (i = 0; i < TRANSFERS; i++) {
		struct part *part = &parts[2 * i];

		part[0] = of_memory(i * HEADER, HEADER);
		part[1] = of_file(file, i * 397, 1 + i * 31 % 1500);
		transfers[i] = transfer_of(socket, part, 2, i);
	}
}

static void check_order(struct __test_metadata *_metadata, int device,
			const struct part *parts, size_t from, size_t to)
{
	struct zcopy_completion *done = calloc(to - from, sizeof(*done));
	size_t i;

	ASSERT_NE(NULL, done);
	ASSERT_EQ(to - from, reap(device, done, to - from));
	for (i = from; i < to; i++) {
		ASSERT_EQ(i, done[i - from].user_data);
		ASSERT_EQ(parts_total(&parts[2 * i], 2), done[i - from].bytes);
		ASSERT_EQ(0, done[i - from].error);
		ASSERT_EQ(0, done[i - from].flags);
	}
	free(done);
}

/* They are all there before the first byte is read. */
TEST_F(order, ten_thousand_at_once)
{
	static struct zcopy_transfer transfers[TRANSFERS];
	static struct part parts[2 * TRANSFERS];
	struct zcopy_completion none;
	struct reader reader;
	struct pair pair;

	pair_open(&pair, variant->transport, SMALL);
	make_parts(&self->file, parts, transfers, pair.tx);
	submit_all(self->device, ALL_OF(transfers));
	EXPECT_LT(TRANSFERS / 2,
		  stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	reader_start(&reader, pair.rx, ALL_OF(parts));
	check_order(_metadata, self->device, parts, 0, TRANSFERS);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(ALL_OF(parts))));
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	pair_close(&pair);
}

/* They come while others of the same socket are under way. */
TEST_F(order, ten_thousand_by_and_by)
{
	static struct zcopy_transfer transfers[TRANSFERS];
	static struct part parts[2 * TRANSFERS];
	struct reader reader;
	size_t i, reaped = 0;
	struct pair pair;

	pair_open(&pair, variant->transport, SMALL);
	make_parts(&self->file, parts, transfers, pair.tx);
	reader_start(&reader, pair.rx, ALL_OF(parts));
	for (i = 0; i < TRANSFERS; i += 25) {
		submit_all(self->device, &transfers[i], 25);
		if (i % 1000 == 0 && i) {
			check_order(_metadata, self->device, parts, reaped, i);
			reaped = i;
		}
	}
	check_order(_metadata, self->device, parts, reaped, TRANSFERS);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(ALL_OF(parts))));
	pair_close(&pair);
}

/* Completions that are there must follow those seen before. */
static void next_ones(struct __test_metadata *_metadata, int device,
		      uint64_t *seen)
{
	struct zcopy_completion done[64];
	size_t nr = reap_now(device, done, 64), i;

	for (i = 0; i < nr; i++)
		ASSERT_EQ((*seen)++, done[i].user_data);
}

/* Reads to the end; returns how many bytes came. */
static void *swallow(void *socket)
{
	static char bytes[256 * KIB];
	uintptr_t got = 0;
	ssize_t n;

	do {
		n = recv(*(int *)socket, bytes, sizeof(bytes), 0);
		got += n > 0 ? n : 0;
	} while (n > 0);
	return (void *)got;
}

/*
 * A large one that a worker ends, while small ones come that could be complete
 * before it is told to be.
 */
TEST_F(order, completions_keep_theirs)
{
	const struct part large = of_file(&self->file, 0, 300 * KIB);
	const struct part small = of_memory(0, 10);
	uint64_t submitted = 0, seen = 0;
	pthread_t thread;
	struct pair pair;
	void *got;
	int round;

	pair_open(&pair, variant->transport, SMALL);
	ASSERT_EQ(0, pthread_create(&thread, NULL, swallow, &pair.rx));
	for (round = 0; round < 400; round++) {
		const uint64_t first = submitted;

		submit_one(self->device, pair.tx, &large, submitted++);
		/* As many as there may be: the receiver may get no processor. */
		do {
			if (submitted - seen < 1000)
				submit_one(self->device, pair.tx, &small,
					   submitted++);
			next_ones(_metadata, self->device, &seen);
		} while (seen <= first);
		while (seen < submitted)
			next_ones(_metadata, self->device, &seen);
	}
	shutdown(pair.tx, SHUT_WR);
	pthread_join(thread, &got);
	EXPECT_EQ(round * large.want.len + (submitted - round) * small.want.len,
		  (uintptr_t)got);
	pair_close(&pair);
}

/* Reads whatever comes on the sockets, until total bytes have come. */
static void read_sockets(struct __test_metadata *_metadata,
			 const struct pair *pairs, struct cursor *cursors,
			 size_t nr, uint64_t total)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[64];
	uint64_t got = 0;
	ssize_t n;
	size_t i;

	for (i = 0; i < nr; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };

		ASSERT_EQ(0, epoll_ctl(poller, EPOLL_CTL_ADD, pairs[i].rx,
				       &event));
	}
	while (got < total) {
		int ready = epoll_wait(poller, events, 64, PATIENCE_MS);

		ASSERT_LT(0, ready) {
			TH_LOG("%llu of %llu bytes came",
			       (unsigned long long)got,
			       (unsigned long long)total);
		}
		while (ready--) {
			i = events[ready].data.u64;
			n = cursor_read(&cursors[i], pairs[i].rx, MIB);
			ASSERT_LT(0, n);
			got += n;
		}
	}
	close(poller);
}

/* Bytes until the socket takes no more, so that what is submitted waits. */
static struct part fill(int socket)
{
	uint64_t sent = 0;
	ssize_t n;

	for (;;) {
		n = send(socket, memory(sent, 4 * KIB), 4 * KIB, MSG_DONTWAIT);
		if (n < 0)
			return of_memory(0, sent);
		sent += n;
	}
}

TEST_F(order, thousand_sockets)
{
	static struct zcopy_completion done[2 * SOCKETS];
	static struct zcopy_transfer transfers[2 * SOCKETS];
	static struct cursor cursors[SOCKETS];
	static struct part parts[3 * SOCKETS];
	static struct pair pairs[SOCKETS];
	static bool seen[2 * SOCKETS];
	size_t i;

	descriptors_allow(2 * SOCKETS + 100);
	for (i = 0; i < SOCKETS; i++) {
		struct part *part = &parts[3 * i];

		pair_open(&pairs[i], variant->transport, SMALL / 4);
		part[0] = fill(pairs[i].tx);
		part[1] = of_file(&self->file, i * 401, 12 * KIB + i);
		part[2] = of_file(&self->file, i * 777, 8 * KIB + i);
		/* All the first ones, then all the second ones. */
		transfers[i] = transfer_of(pairs[i].tx, &part[1], 1, 2 * i);
		transfers[SOCKETS + i] = transfer_of(pairs[i].tx, &part[2], 1,
						     2 * i + 1);
		cursors[i] = (struct cursor){ .parts = part, .nr = 3 };
	}
	submit_all(self->device, ALL_OF(transfers));
	EXPECT_LE(SOCKETS / 2,
		  stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
	read_sockets(_metadata, pairs, ALL_OF(cursors),
		     parts_total(ALL_OF(parts)));
	ASSERT_EQ(2 * SOCKETS, reap(self->device, ALL_OF(done)));
	for (i = 0; i < 2 * SOCKETS; i++) {
		uint64_t user_data = done[i].user_data;

		ASSERT_GT(2 * SOCKETS, user_data);
		ASSERT_FALSE(seen[user_data]);
		seen[user_data] = true;
		/* The second one of a socket ends behind its first. */
		ASSERT_TRUE(user_data % 2 == 0 || seen[user_data - 1]);
		ASSERT_EQ(parts[user_data / 2 * 3 + 1 + user_data % 2].want.len,
			  done[i].bytes);
		ASSERT_EQ(0, done[i].error);
	}
	for (i = 0; i < SOCKETS; i++) {
		EXPECT_STREQ("", cursor_verdict(&cursors[i],
						parts_total(&parts[3 * i], 3)));
		pair_close(&pairs[i]);
	}
}

#define FAST	8
#define ROUNDS	20

TEST_F(order, slow_reader_beside_fast_ones)
{
	const struct part part = of_file(&self->file, 5, MIB);
	struct part slow_parts[] = { part, part, part };
	struct part fast_parts[ROUNDS];
	struct zcopy_completion done[FAST * ROUNDS];
	struct reader readers[FAST], reader;
	struct pair fast[FAST], slow;
	size_t i, k;

	for (k = 0; k < ROUNDS; k++)
		fast_parts[k] = of_file(&self->file, k * 1000, 100 * KIB);

	pair_open(&slow, variant->transport, SMALL);
	for (k = 0; k < 3; k++)
		submit_one(self->device, slow.tx, &slow_parts[k], 1000 + k);
	for (i = 0; i < FAST; i++) {
		pair_open(&fast[i], variant->transport, SMALL);
		reader_start(&readers[i], fast[i].rx, ALL_OF(fast_parts));
	}
	for (k = 0; k < ROUNDS; k++)
		for (i = 0; i < FAST; i++)
			submit_one(self->device, fast[i].tx, &fast_parts[k],
				   i);

	/* The slow one does not read at all, so none of these is its. */
	ASSERT_EQ(FAST * ROUNDS, reap(self->device, ALL_OF(done)));
	for (i = 0; i < FAST * ROUNDS; i++) {
		EXPECT_GT(FAST, done[i].user_data);
		EXPECT_EQ(100 * KIB, done[i].bytes);
	}
	for (i = 0; i < FAST; i++) {
		shutdown(fast[i].tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&readers[i],
					       ROUNDS * 100 * KIB));
		pair_close(&fast[i]);
	}
	EXPECT_EQ(3, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);

	reader_start(&reader, slow.rx, ALL_OF(slow_parts));
	for (k = 0; k < 3; k++)
		EXPECT_STREQ("", completes(self->device, 1000 + k, MIB, 0, 0));
	shutdown(slow.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, 3 * MIB));
	pair_close(&slow);
}

#define LONG_ROUNDS	20

/*
 * Who has much to send gives way, even if there is room for all of it: what
 * stands behind it in the same call, for another socket, is done before.
 */
TEST_F(order, gives_way)
{
	const struct part small = of_memory(0, 10);
	const int room = 64 * MIB;
	struct part parts[2 * LONG_ROUNDS];
	struct zcopy_transfer transfers[2];
	struct zcopy_completion done[2];
	struct pair busy, other;
	struct reader reader;
	bool first = false;
	uint64_t since;
	size_t i;

	EXPECT_STREQ("", file_intact(&self->file));	/* reads it in */
	for (i = 0; i < 2 * LONG_ROUNDS; i++)
		parts[i] = of_file(&self->file, 0, SIZE);
	pair_open(&busy, variant->transport, 0);
	ASSERT_EQ(0, setsockopt(busy.tx, SOL_SOCKET, SO_SNDBUFFORCE, &room,
				sizeof(room)));
	pair_open(&other, variant->transport, 0);
	reader_start(&reader, busy.rx, ALL_OF(parts));
	/* A worker may have ended it before the call goes on: but each time? */
	for (i = 0; i < LONG_ROUNDS && !first; i++) {
		transfers[0] = transfer_of(busy.tx, &parts[2 * i], 2, 0);
		transfers[1] = transfer_of(other.tx, &small, 1, 1);
		submit_all(self->device, ALL_OF(transfers));
		ASSERT_EQ(2, reap(self->device, ALL_OF(done)));
		first = done[0].user_data == 1;
		EXPECT_EQ(first ? 10 : 2 * SIZE, done[0].bytes);
		EXPECT_EQ(first ? 2 * SIZE : 10, done[1].bytes);
		/* For the next one there is room, too. */
		since = 0;
		while (__atomic_load_n(&reader.cursor.got, __ATOMIC_RELAXED) <
		       (i + 1) * 2 * SIZE)
			ASSERT_TRUE(patience(&since));
	}
	EXPECT_TRUE(first);
	shutdown(busy.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, i * 2 * SIZE));
	pair_close(&busy);
	pair_close(&other);
}

/* What can be sent at once is complete when the call returns. */
TEST_F(order, inline_when_hot)
{
	struct zcopy_completion done[20] = {};
	struct part parts[2 * 16];
	struct cursor cursor = { .parts = parts, .nr = 32 };
	struct zcopy_transfer transfers[16];
	struct zcopy_submit submit;
	struct zcopy_stats stats;
	struct pair pair;
	size_t i;

	EXPECT_STREQ("", file_intact(&self->file));	/* reads it in */
	pair_open(&pair, variant->transport, MIB);
	for (i = 0; i < 16; i++) {
		parts[2 * i] = of_memory(i * 200, 200);
		parts[2 * i + 1] = of_file(&self->file, i * 4000, 2000 + i);
		transfers[i] = transfer_of(pair.tx, &parts[2 * i], 2, i);
	}
	submit = submit_of(ALL_OF(transfers));
	submit.completions = (uintptr_t)done;
	submit.max_completions = 20;
	ASSERT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(16, submit.accepted);
	EXPECT_EQ(0, submit.error);
	ASSERT_EQ(16, submit.completed);
	for (i = 0; i < 16; i++) {
		EXPECT_EQ(i, done[i].user_data);
		EXPECT_EQ(2200 + i, done[i].bytes);
		EXPECT_EQ(0, done[i].error);
		EXPECT_EQ(0, done[i].flags);
	}
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, parts_total(ALL_OF(parts))));
	EXPECT_STREQ("", cursor_verdict(&cursor, parts_total(ALL_OF(parts))));
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(16, stats.transfers);
	EXPECT_EQ(0, stats.disk_waits);
	EXPECT_EQ(0, stats.active);
	pair_close(&pair);
}

TEST_HARNESS_MAIN
