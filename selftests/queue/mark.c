// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets that failed are remembered until the program says that it knows, or closes
 * them: for the process and the context that submitted, and for nobody else.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/parameter.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	481U
#define SIZE	(256 * KIB)	/* of a file that is not in memory */
#define HOT	(4 * MIB)	/* more than a socket takes */
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define SECOND	700ULL

FIXTURE(mark)
{
	struct watch watch;
	struct ring ring;
	struct file hot;
	struct file file;
	struct pair pair;
	struct part second;
	int device;
};

FIXTURE_VARIANT(mark)
{
	enum transport transport;
};

FIXTURE_VARIANT_ADD(mark, tcp)
{
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(mark, unix)
{
	.transport = UNIX,
};

FIXTURE_VARIANT_ADD(mark, tls)
{
	.transport = TLS,
};

FIXTURE_SETUP(mark)
{
	watch_begin(&self->watch);
	self->device = device_open();
	ring_open(&self->ring, 8, 0);
	file_make(&self->hot, TMPFS, HOT, SEED + 1);
	file_make(&self->file, EXT4, SIZE, SEED);
	file_chill(&self->file);
	pair_open(&self->pair, variant->transport, SMALL);
	self->second = of_memory(5000, SECOND);
}

FIXTURE_TEARDOWN(mark)
{
	pair_close(&self->pair);
	file_close(&self->file);
	file_close(&self->hot);
	ring_close(&self->ring);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A target that failed, and nothing is queued for it. */
static void fail_target(FIXTURE_DATA(mark) *self, const struct pair *pair)
{
	const struct part cold = of_file(&self->file, 0, 0);
	struct zcopy_transfer transfer = transfer_of(pair->tx, &cold, 1, 1);
	struct zcopy_completion done;

	transfer.flags = ZCOPY_NODISKIO;
	submit_all(self->device, &transfer, 1);
	if (reap(self->device, &done, 1) != 1 || done.error != -EBUSY)
		die("it did not fail");
}

TEST_F(mark, acknowledged_by_target)
{
	fail_target(self, &self->pair);
	submit_one(self->device, self->pair.tx, &self->second, 2);
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(0, cancel_all(self->device));
	submit_one(self->device, self->pair.tx, &self->second, 2);
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_EQ(0, cancel_socket(self->device, self->pair.tx));
	submit_one(self->device, self->pair.tx, &self->second, 3);
	EXPECT_STREQ("", completes(self->device, 3, SECOND, 0, 0));
}

/* What was said before a failure is not about it. */
TEST_F(mark, said_too_early)
{
	const struct part hot = of_file(&self->hot, 0, 0);
	struct zcopy_completion done;
	struct zcopy_transfer transfer;

	submit_one(self->device, self->pair.tx, &hot, 1);
	transfer = transfer_of(self->pair.tx, &self->second, 1, 2);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	EXPECT_EQ(1, cancel_user_data(self->device, 1));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-ECANCELED, done.error);
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
}

/* What was said after it is, though others are still to end. */
TEST_F(mark, said_in_time)
{
	const struct part hot = of_file(&self->hot, 0, 0);
	struct cursor cursor = { .parts = &hot, .nr = 1 };
	struct zcopy_transfer transfer;
	int i;

	submit_one(self->device, self->pair.tx, &hot, 0);
	for (i = 1; i < 4; i++)
		submit_one(self->device, self->pair.tx, &self->second, i);
	EXPECT_EQ(1, cancel_user_data(self->device, 1));
	EXPECT_STREQ("", completes(self->device, 1, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	transfer = transfer_of(self->pair.tx, &self->second, 1, 4);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, HOT));
	EXPECT_STREQ("", completes(self->device, 0, HOT, 0, 0));
	EXPECT_STREQ("", completes(self->device, 2, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_STREQ("", completes(self->device, 3, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	EXPECT_STREQ("", completes(self->device, 4, SECOND, 0, 0));
}

/* A limit of the queue is no failure to who is told before the next one. */
TEST_F(mark, limit)
{
	const unsigned int before = parameter_get("max_transfers");
	const struct part hot = of_file(&self->hot, 0, 0);
	struct zcopy_completion done = {};
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	struct answer answer;
	struct pair full;

	pair_open(&full, UNIX, SMALL);
	submit_one(self->device, full.tx, &hot, 0);
	ASSERT_EQ(0, parameter_set("max_transfers", 1));
	transfer = transfer_of(self->pair.tx, &self->second, 1, 1);
	submit = submit_of(&transfer, 1);
	ASSERT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(-EAGAIN, submit.error);
	ASSERT_EQ(0, parameter_set("max_transfers", before));
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 1, SECOND, 0, 0));
	/* A ring goes on with the next SQE before. */
	ASSERT_EQ(0, parameter_set("max_transfers", 1));
	ring_send(&self->ring, self->device, &transfer, &done, 2);
	ring_submit(&self->ring);
	ASSERT_TRUE(ring_next(&self->ring, &answer));
	EXPECT_EQ(-EAGAIN, answer.res);
	ASSERT_EQ(0, parameter_set("max_transfers", before));
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 1, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
	pair_close(&full);
}

/* Neither others, nor calls that wait, nor files hear of it. */
TEST_F(mark, others)
{
	struct zcopy_completion done;
	struct file to;
	int other, status;
	pid_t child;

	fail_target(self, &self->pair);
	ASSERT_EQ(0, send_parts(self->device, self->pair.tx, &self->second, 1, 0,
				&done));
	EXPECT_EQ(SECOND, done.bytes);
	other = device_open();
	submit_one(other, self->pair.tx, &self->second, 2);
	EXPECT_STREQ("", completes(other, 2, SECOND, 0, 0));
	close(other);
	child = fork();
	if (!child) {
		submit_one(self->device, self->pair.tx, &self->second, 3);
		_exit(reap(self->device, &done, 1) != 1 || done.error);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	file_make(&to, XFS, 0, SEED);
	fail_target(self, &(struct pair){ .tx = to.rw });
	submit_one(self->device, to.rw, &self->second, 4);
	EXPECT_STREQ("", completes(self->device, 4, SECOND, 0, ZCOPY_C_COPIED));
	file_close(&to);
	submit_one(self->device, self->pair.tx, &self->second, 5);
	EXPECT_STREQ("", completes(self->device, 5, 0, -ECANCELED,
				   ZCOPY_C_CANCELLED));
}

/* A socket that failed and was closed is nothing to the next one. */
TEST_F(mark, closed)
{
	struct pair pair;
	int i;

	for (i = 0; i < (int)how_often(200); i++) {
		pair_open(&pair, UNIX, 0);
		fail_target(self, &pair);
		pair_close(&pair);
		pair_open(&pair, i % 2 ? UNIX : TCP4, 0);
		submit_one(self->device, pair.tx, &self->second, i);
		EXPECT_STREQ("", completes(self->device, i, SECOND, 0, 0));
		pair_close(&pair);
	}
}

/* A file that lies where a socket lay that failed: each transfer has its place. */
TEST_F(mark, closed_and_a_file)
{
	struct zcopy_transfer transfer;
	struct pair pair;
	struct file to;
	int i, fd;

	file_make(&to, XFS, 0, SEED);
	for (i = 0; i < 50; i++) {
		pair_open(&pair, UNIX, 0);
		fail_target(self, &pair);
		close(pair.tx);
		fd = open_again(to.fd, O_RDWR);
		ASSERT_LE(0, fd);
		pair.tx = fd;
		fail_target(self, &pair);
		transfer = transfer_of(fd, &self->second, 1, 2);
		submit_all(self->device, &transfer, 1);
		EXPECT_STREQ("", completes(self->device, 2, SECOND, 0,
					   ZCOPY_C_COPIED));
		pair_close(&pair);
	}
	file_close(&to);
}

/* Named pipes: so many are remembered, and no more. */
TEST_F(mark, named_pipes)
{
	struct zcopy_transfer transfer;
	int pipes[300][2];
	char path[64];
	int i;

	descriptors_allow(1000);
	snprintf(path, sizeof(path), "%s/mark.fifo", directory(XFS));
	ASSERT_EQ(0, mkfifo(path, 0600));
	for (i = 0; i < 300; i++) {
		pipes[i][0] = open(path, O_RDONLY | O_NONBLOCK);
		pipes[i][1] = open(path, O_WRONLY | O_NONBLOCK);
		ASSERT_LE(0, pipes[i][1]);
		fail_target(self, &(struct pair){ .tx = pipes[i][1] });
	}
	for (i = 0; i < 300; i += 299) {
		transfer = transfer_of(pipes[i][1], &self->second, 1, 2);
		submit_all(self->device, &transfer, 1);
		EXPECT_STREQ("", completes(self->device, 2, i ? 0 : SECOND,
					   i ? -ECANCELED : 0,
					   i ? ZCOPY_C_CANCELLED : 0));
	}
	for (i = 0; i < 300; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	unlink(path);
}

/* Each counts as a completion that was not read, until it is known or closed. */
TEST_F(mark, bounded)
{
	const unsigned int before = parameter_get("max_completions");
	struct pollfd poller = { .fd = self->device, .events = POLLOUT };
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;
	struct pair pairs[8];
	int i;

	for (i = 0; i < 8; i++) {
		pair_open(&pairs[i], UNIX, 0);
		fail_target(self, &pairs[i]);
	}
	EXPECT_EQ(1, poll(&poller, 1, 0));
	ASSERT_EQ(0, parameter_set("max_completions", 8));
	transfer = transfer_of(self->pair.tx, &self->second, 1, 2);
	submit = submit_of(&transfer, 1);
	ASSERT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(-EAGAIN, submit.error);
	EXPECT_EQ(0, poll(&poller, 1, 0));
	/* Who says that he knows makes room, and needs none for that. */
	transfer = transfer_of(pairs[2].tx, &self->second, 1, 3);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 3, SECOND, 0, 0));
	EXPECT_EQ(0, cancel_socket(self->device, pairs[3].tx));
	EXPECT_EQ(1, poll(&poller, 1, 0));
	transfer = transfer_of(self->pair.tx, &self->second, 1, 2);
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 2, SECOND, 0, 0));
	ASSERT_EQ(0, parameter_set("max_completions", 4));
	EXPECT_EQ(0, poll(&poller, 1, 0));
	for (i = 0; i < 8; i++)
		pair_close(&pairs[i]);
	EXPECT_EQ(1, poll(&poller, 1, 0));
	submit_all(self->device, &transfer, 1);
	EXPECT_STREQ("", completes(self->device, 2, SECOND, 0, 0));
	ASSERT_EQ(0, parameter_set("max_completions", before));
}

/* Nothing of a process is left when it goes, whether it had a worker or not. */
TEST_F(mark, died)
{
	const unsigned int before = parameter_get("max_completions");
	int status, i;
	pid_t child;

	ASSERT_EQ(0, parameter_set("max_completions", 4));
	for (i = 0; i < 20; i++) {
		child = fork();
		if (!child) {
			/* Refused: it never waits. */
			struct zcopy_segment bad = { .fd = -1 };
			struct zcopy_transfer transfer;
			struct zcopy_submit submit;

			if (i % 2)
				fail_target(self, &self->pair);
			transfer = transfer_of(self->pair.tx, &self->second, 1, 1);
			transfer.segments = (uintptr_t)&bad;
			submit = submit_of(&transfer, 1);
			_exit(submit_call(self->device, &submit) ||
			      submit.error != -EBADF);
		}
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status);
	}
	ASSERT_EQ(0, parameter_set("max_completions", before));
	submit_one(self->device, self->pair.tx, &self->second, 2);
	EXPECT_STREQ("", completes(self->device, 2, SECOND, 0, 0));
}

TEST_HARNESS_MAIN
