// SPDX-License-Identifier: GPL-2.0-only
/*
 * A transfer whose lease is broken ends before the time is over, whatever others
 * do meanwhile: users who have a lot of pages dropped, say.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	701U
#define SIZE	MIB
#define LARGE	(32 * MIB)
#define PIECE	MIB		/* that is sent of it at a time */
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define SHORT	1
#define LEASES	8
#define DROPPERS	4
#define ROUNDS	3
#define NOBODY	65534

FIXTURE(margin)
{
	struct watch watch;
	struct file file;
	struct file front;
	struct file large;
	struct part parts[2];		/* one before it, and the file */
	struct pair pairs[LEASES];
	unsigned int *dropped;		/* atomic, shared: pieces */
	pid_t droppers[DROPPERS];
	int device;
};

/* Another user, who sends a large file again and again, and never keeps it. */
static void drop_for_ever(FIXTURE_DATA(margin) *self, int number)
{
	const uint64_t share = LARGE / DROPPERS;
	uint64_t at;
	int device;

	become(NOBODY);
	device = device_open();
	for (at = 0; ; at = (at + PIECE) % share) {
		struct part part = of_file(&self->large, number * share + at,
					   PIECE);
		struct zcopy_transfer transfer;
		struct reader reader;
		struct pair pair;

		part.want.seed = UNCHECKED;
		pair_open(&pair, TCP4, 0);
		transfer = transfer_of(pair.tx, &part, 1, 0);
		transfer.flags = ZCOPY_NOCACHE | ZCOPY_SYNC;
		reader_start(&reader, pair.rx, &part, 1);
		submit_all(device, &transfer, 1);
		/* The peer has all of it, and so the pages are dropped. */
		if (reap(device, &(struct zcopy_completion){}, 1) != 1)
			die("no completion comes");
		shutdown(pair.tx, SHUT_WR);
		if (*reader_finish(&reader, PIECE))
			die("not all arrives");
		pair_close(&pair);
		__atomic_fetch_add(self->dropped, 1, __ATOMIC_SEQ_CST);
	}
}

FIXTURE_SETUP(margin)
{
	int i;

	break_time(SHORT);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	file_seal(&self->file);
	file_make(&self->front, TMPFS, SIZE, SEED + 1);
	file_make(&self->large, XFS, LARGE, SEED + 2);
	file_chill(&self->large);
	self->parts[0] = of_file(&self->front, 0, 0);
	self->parts[1] = of_file(&self->file, 0, 0);
	self->dropped = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->dropped);
	for (i = 0; i < DROPPERS; i++) {
		self->droppers[i] = fork();
		ASSERT_LE(0, self->droppers[i]);
		if (!self->droppers[i])
			drop_for_ever(self, i);
	}
}

FIXTURE_TEARDOWN(margin)
{
	int i;

	for (i = 0; i < DROPPERS; i++) {
		kill(self->droppers[i], SIGKILL);
		waitpid(self->droppers[i], NULL, 0);
	}
	munmap(self->dropped, PAGE);
	close(self->device);
	file_close(&self->file);
	file_close(&self->front);
	file_close(&self->large);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static unsigned int dropped(FIXTURE_DATA(margin) *self)
{
	return __atomic_load_n(self->dropped, __ATOMIC_SEQ_CST);
}

/* One that stands behind another one, so that nothing of it has gone. */
static void queue_leased(FIXTURE_DATA(margin) *self, int fd, int number)
{
	struct zcopy_transfer transfer = transfer_of(fd, &self->parts[1], 1,
						     number);

	submit_one(self->device, fd, &self->parts[0], LEASES);
	transfer.flags = ZCOPY_LEASE | ZCOPY_SYNC;
	submit_all(self->device, &transfer, 1);
}

/*
 * All of them are told that theirs lasted to their end. Had the time run out
 * before, that would be missing. A slow kernel may take longer for anything than
 * the margin is, and any machine may be held up for that long, now and then.
 */
TEST_F(margin, holds)
{
	struct zcopy_completion done[LEASES];
	const uint32_t unknown = slowdown() > 1 ? ZCOPY_C_RELEASED : 0;
	struct breaker breaker;
	uint64_t begun = 0;
	int round, i;

	for (round = 0; round < ROUNDS;) {
		unsigned int before = dropped(self);
		uint64_t since = 0;
		bool in_time;

		ASSERT_TRUE(patience(&begun));
		while (dropped(self) == before)
			ASSERT_TRUE(patience(&since));
		for (i = 0; i < LEASES; i++) {
			pair_open(&self->pairs[i], TCP4, SMALL);
			queue_leased(self, self->pairs[i].tx, i);
		}
		before = dropped(self);
		breaker_start(&breaker, &self->file, OPEN_WRITE);
		EXPECT_EQ(0, breaker_finish(&breaker));
		in_time = unknown || before < dropped(self);
		ASSERT_EQ(LEASES, reap(self->device, done, LEASES));
		for (i = 0; i < LEASES; i++) {
			EXPECT_GT(LEASES, done[i].user_data);
			EXPECT_EQ(-ESTALE, done[i].error);
			EXPECT_EQ(0, done[i].bytes);
			EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
				  done[i].flags & ~ZCOPY_C_RELEASED);
			in_time = in_time &&
				  ((done[i].flags | unknown) & ZCOPY_C_RELEASED);
		}
		EXPECT_EQ(LEASES, cancel_all(self->device));
		ASSERT_EQ(LEASES, reap(self->device, done, LEASES));
		for (i = 0; i < LEASES; i++)
			pair_close(&self->pairs[i]);
		round += in_time;
	}
}

int main(int argc, char **argv)
{
	break_time_long();
	return test_harness_run(argc, argv);
}
