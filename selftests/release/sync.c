// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZCOPY_SYNC: when a transfer completes, its files may be changed. Here they
 * are, at once, and the receiver, who reads later, must not see it. Without
 * the flag it does.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	400U		/* of a round's content, and the next ones */
#define OTHER	399U
#define SPAN	(32 * KIB)	/* of a file that is rewritten each round */
#define HEADER	70
#define BURST	5		/* rounds that nobody reads in between */
#define SIZE	MIB

FIXTURE(sync)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	char *map;
	int device;
};

FIXTURE_VARIANT(sync)
{
	enum transport transport;
	enum filesystem filesystem;
	int rounds;
};

#define OVER(name, how, where, times)					\
	FIXTURE_VARIANT_ADD(sync, name)					\
	{								\
		.transport = how, .filesystem = where, .rounds = times,	\
	}

OVER(wire4, WIRE4, XFS, 1000);
OVER(wire6, WIRE6, EXT4, 1000);
OVER(loopback, TCP4, TMPFS, 200);
OVER(veth, VETH, EXT4, 200);
OVER(unix, UNIX, XFS, 200);
OVER(vsock, VSOCK, EXT4, 50);
OVER(mptcp, MPTCP, XFS, 50);
OVER(tls, TLS, EXT4, 50);

FIXTURE_SETUP(sync)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SPAN, OTHER);
	self->map = file_map(&self->file);
	pair_open(&self->pair, variant->transport, 0);
}

FIXTURE_TEARDOWN(sync)
{
	munmap(self->map, SPAN);
	pair_close(&self->pair);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A round: new content, and a transfer of some of it, with what is around. */
static void prepare(FIXTURE_DATA(sync) *self, struct part *parts, int round)
{
	const uint64_t offset = round * 997 % 20000;
	const uint64_t len = 1 + round * 7919 % 9000;

	pattern(self->map, SPAN, SEED + round, 0);
	parts[0] = of_memory(round, HEADER);
	parts[1] = of_file(&self->file, offset, len);
	parts[1].want.seed = SEED + round;
	parts[2] = of_memory(2 * round, round % 2 * HEADER);
}

TEST_F(sync, overwritten_at_once)
{
	struct zcopy_completion done;
	struct part parts[3 * BURST];
	struct cursor cursor;
	int round, i;

	for (round = 0; round < variant->rounds; round++) {
		struct part *now = parts + 3 * (round % BURST);
		struct zcopy_transfer transfer;

		prepare(self, now, round);
		transfer = transfer_of(self->pair.tx, now, 3, round);
		transfer.flags = ZCOPY_SYNC;
		ASSERT_EQ(0, fly(round / BURST % DOORS, self->device,
				 &transfer, &done));
		pattern(self->map, SPAN, OTHER, 0);
		ASSERT_EQ(parts_total(now, 3), done.bytes);
		ASSERT_EQ(0, done.error);
		ASSERT_EQ(flags_released(variant->transport), done.flags) {
			TH_LOG("round %d", round);
		}
		if (round % BURST != BURST - 1)
			continue;
		i = 3 * BURST;
		cursor = (struct cursor){ .parts = parts, .nr = i };
		ASSERT_TRUE(cursor_take(&cursor, self->pair.rx,
					parts_total(parts, i)));
		ASSERT_STREQ("", cursor_verdict(&cursor, cursor.got)) {
			TH_LOG("round %d", round);
		}
	}
	/* Each has one completion. */
	EXPECT_EQ(0, reap_now(self->device, &done, 1));
}

TEST_F(sync, nothing_to_release)
{
	const struct part parts[] = {
		of_memory(0, 0),
		of_file(&self->file, SPAN, 0),
		of_file(&self->file, 0, 100),
	};
	struct zcopy_transfer transfer = transfer_of(self->pair.tx, parts, 2, 1);
	struct zcopy_completion done;
	int door;

	transfer.flags = ZCOPY_SYNC;
	for (door = 0; door < DOORS; door++) {
		ASSERT_EQ(0, fly(door, self->device, &transfer, &done));
		EXPECT_EQ(0, done.bytes);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(ZCOPY_C_RELEASED, done.flags & ~ZCOPY_C_COPIED);
	}
	/* Kernel TLS takes bytes for a socket that is shut down. */
	if (variant->transport == TLS)
		return;
	transfer = transfer_of(self->pair.tx, parts + 2, 1, 1);
	/* Each door hears it from the socket. */
	transfer.flags = ZCOPY_SYNC | ZCOPY_RESUME;
	shutdown(self->pair.tx, SHUT_WR);
	for (door = 0; door < DOORS; door++) {
		ASSERT_EQ(0, fly(door, self->device, &transfer, &done));
		EXPECT_EQ(0, done.bytes);
		EXPECT_EQ(-EPIPE, done.error);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_SOCKET_ERROR,
			  done.flags & ~ZCOPY_C_COPIED);
	}
}

TEST_F(sync, not_with_notify)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_transfer transfer = transfer_of(self->pair.tx, &part, 1, 1);
	struct zcopy_completion done;
	int door;

	transfer.flags = ZCOPY_SYNC | ZCOPY_NOTIFY;
	for (door = 0; door < DOORS; door++)
		EXPECT_EQ(-EINVAL, fly(door, self->device, &transfer, &done));
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).transfers);
}

/* The receiver reads when all is sent, or when all that fits is. */
FIXTURE(late)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct zcopy_transfer transfer;
	char *map;
	int device;
};

FIXTURE_VARIANT(late)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define LATE(name, how, where)						\
	FIXTURE_VARIANT_ADD(late, name)					\
	{								\
		.transport = how, .filesystem = where,			\
	}

LATE(wire4, WIRE4, EXT4);
LATE(wire6, WIRE6, XFS);
LATE(loopback, TCP4, XFS);
LATE(veth, VETH, TMPFS);
LATE(unix, UNIX, EXT4);

FIXTURE_SETUP(late)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	self->map = file_map(&self->file);
	roomy_open(&self->pair, variant->transport);
	self->part = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 5);
}

FIXTURE_TEARDOWN(late)
{
	munmap(self->map, SIZE);
	pair_close(&self->pair);
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Read the rest of a file that has just been overwritten; how much is new? */
static uint64_t count_new(struct __test_metadata *_metadata,
			  FIXTURE_DATA(late) *self, uint64_t from)
{
	static char seen[SIZE], old[SIZE];
	uint64_t nr = 0, i;

	pattern(self->map, SIZE, OTHER, 0);
	pattern(old, SIZE, SEED, 0);
	EXPECT_TRUE(receive(self->pair.rx, seen + from, SIZE - from));
	for (i = from; i < SIZE; i++) {
		if (seen[i] == old[i])
			continue;
		ASSERT_EQ(self->map[i], seen[i]) {
			TH_LOG("byte %ju", (uintmax_t)i);
		}
		nr++;
	}
	/* For the next time. */
	pattern(self->map, SIZE, SEED, 0);
	return nr;
}

TEST_F(late, without_sync_new_bytes_are_seen)
{
	const uint32_t may = flags_released(variant->transport) &
			     ZCOPY_C_COPIED;
	struct zcopy_completion done;
	int door;

	for (door = 0; door < DOORS; door++) {
		ASSERT_EQ(0, fly(door, self->device, &self->transfer, &done));
		EXPECT_EQ(SIZE, done.bytes);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(0, done.flags & ~may);
		EXPECT_LT(SIZE / 2, count_new(_metadata, self, 0));
	}
}

TEST_F(late, with_sync_only_old_ones)
{
	struct flight flight;
	struct cursor cursor;
	int door;

	self->transfer.flags = ZCOPY_SYNC;
	for (door = 0; door < DOORS; door++) {
		cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
		flight_start(&flight, door, self->device, &self->transfer);
		/* The last bytes fit in the receiver without being read. */
		EXPECT_TRUE(cursor_release(&cursor, self->pair.rx, &flight,
					   SIZE - 32 * KIB));
		ASSERT_EQ(0, flight_finish(&flight));
		EXPECT_EQ(SIZE, flight.send.completion.bytes);
		EXPECT_EQ(0, flight.send.completion.error);
		EXPECT_EQ(flags_released(variant->transport),
			  flight.send.completion.flags);
		EXPECT_STREQ("", cursor_verdict(&cursor, cursor.got));
		/* Something is left to be read, or it proves nothing. */
		EXPECT_GT(SIZE, cursor.got);
		EXPECT_EQ(0, count_new(_metadata, self, cursor.got));
	}
}

static void ignore(int signal)
{
	(void)signal;
}

/* Waits of which only the wire is sure: all is sent, not all acknowledged. */
FIXTURE(wait)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	struct flight flight;
	int device;
};

FIXTURE_VARIANT(wait)
{
	enum transport transport;
};

FIXTURE_VARIANT_ADD(wait, wire4)
{
	.transport = WIRE4,
};

FIXTURE_VARIANT_ADD(wait, wire6)
{
	.transport = WIRE6,
};

FIXTURE_SETUP(wait)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	roomy_open(&self->pair, variant->transport);
	self->part = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 5);
	self->transfer.flags = ZCOPY_SYNC;
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

FIXTURE_TEARDOWN(wait)
{
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, SIZE));
	EXPECT_STREQ("", file_intact(&self->file));
	pair_close(&self->pair);
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void take_off(struct __test_metadata *_metadata,
		     FIXTURE_DATA(wait) *self, enum door door)
{
	flight_start(&self->flight, door, self->device, &self->transfer);
	ASSERT_TRUE(await_accepted(self->pair.tx, SIZE));
	ASSERT_TRUE(flight_waits(&self->flight));
}

TEST_F(wait, signal)
{
	const struct zcopy_completion *done = &self->flight.send.completion;
	struct sigaction action = { .sa_handler = ignore,
				    .sa_flags = SA_RESTART };

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	take_off(_metadata, self, SEND);
	pthread_kill(self->flight.thread, SIGUSR1);
	ASSERT_EQ(0, flight_finish(&self->flight));
	EXPECT_EQ(5, done->user_data);
	EXPECT_EQ(SIZE, done->bytes);
	EXPECT_EQ(-EINTR, done->error);
	EXPECT_EQ(0, done->flags);
}

/*
 * A task cannot end before the requests of its rings have; these do not wait
 * for the peer, which reads nothing before the teardown.
 */
TEST_F(wait, ring_exits)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		take_off(_metadata, self, URING);
		ring_close(&self->flight.ring);
		_exit(!__test_passed(_metadata));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(SIZE, accepted(self->pair.tx));
}

int main(int argc, char **argv)
{
	veth_make();
	return test_harness_run(argc, argv);
}
