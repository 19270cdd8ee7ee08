// SPDX-License-Identifier: GPL-2.0-only
/*
 * How adjacent transfers of a socket leave the machine: together, in packets
 * they share, and the last of them at once, whatever becomes of it.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	311U
#define SIZE	MIB
#define HEADER	256ULL
#define BODY	300ULL
#define COUNT	16

FIXTURE(push)
{
	struct watch watch;
	struct file file;
	struct file cold;
	struct file colder;	/* on the disk that can be held up */
	struct pair pair;
	struct part parts[2 * COUNT];
	struct cursor cursor;
	int device;
};

FIXTURE_SETUP(push)
{
	size_t i;

	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, SIZE, SEED);
	file_make(&self->cold, XFS, SIZE, SEED + 1);
	file_make(&self->colder, EXT4, SIZE, SEED + 2);
	file_chill(&self->cold);
	file_chill(&self->colder);
	pair_open(&self->pair, TCP4, 0);
	for (i = 0; i < COUNT; i++) {
		self->parts[2 * i] = of_memory(i * HEADER, HEADER);
		self->parts[2 * i + 1] = of_file(&self->file, i * 999, BODY);
	}
	self->cursor = (struct cursor){ .parts = self->parts,
					.nr = 2 * COUNT };
}

FIXTURE_TEARDOWN(push)
{
	disk_resume();
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	file_close(&self->cold);
	file_close(&self->colder);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct tcp_info information(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info;
}

/* Segments with data that left, those not counted that left once more. */
static unsigned int segments(int fd)
{
	const struct tcp_info info = information(fd);

	return info.tcpi_data_segs_out - info.tcpi_total_retrans;
}

/* Bytes that TCP has and holds back. */
static unsigned int held_back(int fd)
{
	return information(fd).tcpi_notsent_bytes;
}

/* Submits the first nr responses in one call or one by one. */
static void submit_responses(FIXTURE_DATA(push) *self, int socket, size_t nr,
			     bool together)
{
	struct zcopy_transfer transfers[COUNT];
	size_t i;

	for (i = 0; i < nr; i++)
		transfers[i] = transfer_of(socket, &self->parts[2 * i], 2, i);
	for (i = 0; i < nr; i += together ? nr : 1)
		submit_all(self->device, &transfers[i], together ? nr : 1);
}

static void take(struct __test_metadata *_metadata, FIXTURE_DATA(push) *self,
		 int socket, uint64_t len)
{
	EXPECT_TRUE(cursor_take(&self->cursor, socket, len));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, self->cursor.got));
}

/* Packets with data that the responses of one call leave in. */
static unsigned int send_together(struct __test_metadata *_metadata,
				  FIXTURE_DATA(push) *self,
				  enum transport transport)
{
	struct zcopy_completion done[COUNT];
	unsigned int packets;
	struct pair pair;

	pair_open(&pair, transport, 0);
	self->cursor = (struct cursor){ .parts = self->parts,
					.nr = 2 * COUNT };
	submit_responses(self, pair.tx, COUNT, true);
	EXPECT_EQ(COUNT, reap(self->device, done, COUNT));
	take(_metadata, self, pair.rx, COUNT * (HEADER + BODY));
	packets = segments(pair.tx);
	pair_close(&pair);
	return packets;
}

/* All of them would fit in one; an skb may have too few fragments for that. */
TEST_F(push, packets_are_shared)
{
	EXPECT_GE(COUNT / 4, send_together(_metadata, self, TCP4));
}

/*
 * On a wire too. There the answer to a first packet may come while the others
 * are still made, and then TCP sends what it has: not so every time.
 */
TEST_F(push, packets_are_shared_on_the_wire)
{
	unsigned int packets = COUNT;
	int tries;

	for (tries = 0; tries < 20 && packets >= COUNT; tries++)
		packets = send_together(_metadata, self, WIRE4);
	EXPECT_GT(COUNT, packets);
	TH_LOG("%d responses in %u packets", COUNT, packets);
}

/* Of calls of their own: none waits for the next. */
TEST_F(push, packets_of_their_own)
{
	struct zcopy_completion done[4];
	const int on = 1;

	ASSERT_EQ(0, setsockopt(self->pair.tx, IPPROTO_TCP, TCP_NODELAY, &on,
				sizeof(on)));
	submit_responses(self, self->pair.tx, 4, false);
	EXPECT_EQ(4, segments(self->pair.tx));
	EXPECT_EQ(4, reap_now(self->device, done, 4));
	take(_metadata, self, self->pair.rx, 4 * (HEADER + BODY));
}

/* What is complete is on its way. */
TEST_F(push, last_one_goes_at_once)
{
	struct zcopy_completion done[COUNT];
	size_t nr;

	for (nr = 1; nr <= COUNT; nr *= 2) {
		self->cursor = (struct cursor){ .parts = self->parts,
						.nr = 2 * nr };
		submit_responses(self, self->pair.tx, nr, true);
		ASSERT_EQ(nr, reap_now(self->device, done, COUNT));
		EXPECT_EQ(0, held_back(self->pair.tx));
		take(_metadata, self, self->pair.rx, nr * (HEADER + BODY));
	}
}

/* Not only when the last one has bytes of its own to push with. */
TEST_F(push, last_one_is_empty)
{
	const struct part empty = of_file(&self->file, SIZE + 5, 100);
	struct zcopy_transfer transfers[3];

	transfers[0] = transfer_of(self->pair.tx, &self->parts[0], 2, 0);
	transfers[1] = transfer_of(self->pair.tx, &empty, 1, 1);
	transfers[2] = transfer_of(self->pair.tx, &empty, 1, 2);
	submit_all(self->device, transfers, 3);
	EXPECT_STREQ("", completes(self->device, 0, HEADER + BODY, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, 0, 0, ZCOPY_C_TRUNCATED));
	EXPECT_STREQ("", completes(self->device, 2, 0, 0, ZCOPY_C_TRUNCATED));
	EXPECT_EQ(0, held_back(self->pair.tx));
	take(_metadata, self, self->pair.rx, HEADER + BODY);
}

/* What ZCOPY_MORE held back goes with the next transfer, whatever is in that. */
TEST_F(push, more_and_nothing)
{
	const struct part empty = of_file(&self->file, SIZE + 5, 100);
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct pair pair;
	enum door door;
	int tries;

	for (door = SEND; door < DOORS; door++) {
		/* The kernel lets go of it after 200 ms, which may be over already. */
		for (tries = 0; tries < 20; tries++) {
			pair_open(&pair, TCP4, 0);
			transfer = transfer_of(pair.tx, &self->parts[0], 2, 0);
			transfer.flags = ZCOPY_MORE;
			ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
			if (held_back(pair.tx) == HEADER + BODY)
				break;
			pair_close(&pair);
		}
		ASSERT_GT(20, tries);
		transfer = transfer_of(pair.tx, &empty, 1, 0);
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(ZCOPY_C_TRUNCATED, completion.flags);
		EXPECT_EQ(0, held_back(pair.tx));
		pair_close(&pair);
	}
}

TEST_F(push, last_one_fails)
{
	const struct part cold = of_file(&self->cold, 0, 0);
	struct zcopy_transfer transfers[2];

	transfers[0] = transfer_of(self->pair.tx, &self->parts[0], 2, 0);
	transfers[1] = transfer_of(self->pair.tx, &cold, 1, 1);
	transfers[1].flags = ZCOPY_NODISKIO;
	submit_all(self->device, transfers, 2);
	EXPECT_STREQ("", completes(self->device, 0, HEADER + BODY, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, 0, -EBUSY, 0));
	EXPECT_EQ(0, held_back(self->pair.tx));
	take(_metadata, self, self->pair.rx, HEADER + BODY);
}

/* What stands before one that waits for the disk does not wait with it. */
TEST_F(push, next_one_waits_for_disk)
{
	const struct part colder = of_file(&self->colder, 0, 0);
	struct zcopy_transfer transfers[2];

	transfers[0] = transfer_of(self->pair.tx, &self->parts[0], 2, 0);
	transfers[1] = transfer_of(self->pair.tx, &colder, 1, 1);
	disk_suspend();
	submit_all(self->device, transfers, 2);
	EXPECT_STREQ("", completes(self->device, 0, HEADER + BODY, 0, 0));
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(0, held_back(self->pair.tx));
	take(_metadata, self, self->pair.rx, HEADER + BODY);
	/* Nor does it when that one is cancelled. */
	EXPECT_EQ(1, cancel_user_data(self->device, 1));
	disk_resume();
	EXPECT_STREQ("", completes(self->device, 1, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
}

/* The same behind one that had to be read itself, by the worker that did it. */
TEST_F(push, worker_waits_for_disk)
{
	const struct part colder = of_file(&self->colder, 0, 0);
	const struct part wanted[] = {
		of_file(&self->cold, 0, 1000), self->parts[0], self->parts[1],
	};
	struct zcopy_transfer transfers[3];

	transfers[0] = transfer_of(self->pair.tx, &wanted[0], 1, 0);
	transfers[1] = transfer_of(self->pair.tx, &wanted[1], 2, 1);
	transfers[2] = transfer_of(self->pair.tx, &colder, 1, 2);
	self->cursor = (struct cursor){ .parts = wanted, .nr = 3 };
	disk_suspend();
	submit_all(self->device, transfers, 3);
	EXPECT_STREQ("", completes(self->device, 0, 1000, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, HEADER + BODY, 0, 0));
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(0, held_back(self->pair.tx));
	take(_metadata, self, self->pair.rx, 1000 + HEADER + BODY);
	disk_resume();
	EXPECT_STREQ("", completes(self->device, 2, SIZE, 0, 0));
}

/* The one behind is cancelled before its turn: no more bytes come. */
TEST_F(push, queued_one_is_cancelled)
{
	const struct part large = of_file(&self->file, 0, 0);
	const struct part parts[] = { large, self->parts[0] };
	struct part small = of_memory(0, 10);
	struct pair stuck;

	pair_open(&stuck, TCP4, 64 * 1024);
	submit_one(self->device, stuck.tx, &parts[0], 0);
	submit_one(self->device, stuck.tx, &parts[1], 1);
	submit_one(self->device, stuck.tx, &small, 2);
	EXPECT_EQ(1, cancel_user_data(self->device, 2));
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	self->cursor = (struct cursor){ .parts = parts, .nr = 2 };
	take(_metadata, self, stuck.rx, SIZE);
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
	EXPECT_STREQ("", completes(self->device, 1, HEADER, 0, 0));
	EXPECT_EQ(0, held_back(stuck.tx));
	take(_metadata, self, stuck.rx, HEADER);
	pair_close(&stuck);
}

/* ZCOPY_MORE: held back because the program says so, until it goes on. */
TEST_F(push, more)
{
	struct zcopy_transfer transfers[2];

	transfers[0] = transfer_of(self->pair.tx, &self->parts[0], 1, 0);
	transfers[1] = transfer_of(self->pair.tx, &self->parts[1], 1, 1);
	transfers[0].flags = ZCOPY_MORE;
	submit_all(self->device, transfers, 1);
	EXPECT_STREQ("", completes(self->device, 0, HEADER, 0, 0));
	submit_all(self->device, transfers + 1, 1);
	EXPECT_STREQ("", completes(self->device, 1, BODY, 0, 0));
	EXPECT_EQ(0, held_back(self->pair.tx));
	take(_metadata, self, self->pair.rx, HEADER + BODY);
	/* Nothing was in flight, so that time could have pushed it apart. */
	EXPECT_GE(2, segments(self->pair.tx));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
