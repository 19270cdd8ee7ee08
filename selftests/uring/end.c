// SPDX-License-Identifier: GPL-2.0-only
/* Rings, tasks and devices that go while transfers are in every state. */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/loading.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	361U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define MANY	1000

/* The states, as sockets; on each two transfers. */
enum { SPACE, DISK, DONE, STATES };

FIXTURE(end)
{
	struct watch watch;
	struct file file;
	struct file cold;
	struct part parts[STATES][2];
	struct zcopy_transfer transfers[STATES][2];
	struct zcopy_completion done[STATES][2];
	struct pair pairs[STATES];
};

FIXTURE_SETUP(end)
{
	int i;

	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	file_make(&self->cold, EXT4, SIZE, SEED + 1);
	file_chill(&self->cold);
	self->parts[SPACE][0] = of_file(&self->file, 0, 0);
	self->parts[SPACE][1] = of_file(&self->file, 7, 0);
	self->parts[DISK][0] = of_file(&self->cold, 0, 0);
	self->parts[DISK][1] = of_memory(3, 1000);
	self->parts[DONE][0] = of_memory(1, 2000);
	self->parts[DONE][1] = of_file(&self->file, 55, 3000);
	for (i = 0; i < 2 * STATES; i++) {
		struct pair *pair = &self->pairs[i / 2];

		if (i % 2 == 0)
			pair_open(pair, i / 2 == DISK ? UNIX : TCP4, SMALL);
		self->transfers[i / 2][i % 2] =
			transfer_of(pair->tx, &self->parts[i / 2][i % 2], 1, i);
	}
}

FIXTURE_TEARDOWN(end)
{
	int i;

	disk_resume();
	for (i = 0; i < STATES; i++)
		pair_close(&self->pairs[i]);
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", file_intact(&self->cold));
	file_close(&self->file);
	file_close(&self->cold);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* True when so many bytes come to be there, not read yet. */
static bool await_bytes(int fd, int bytes)
{
	uint64_t since = 0;
	int there;

	do {
		if (ioctl(fd, FIONREAD, &there))
			die("FIONREAD");
		if (there == bytes)
			return true;
	} while (patience(&since));
	return false;
}

/* Bring transfers into every state; the disk must be suspended. */
static void submit_states(FIXTURE_DATA(end) *self, struct ring *ring,
			  int device)
{
	int i;

	for (i = 0; i < 2 * STATES; i++)
		ring_send(ring, device, &self->transfers[i / 2][i % 2],
			  &self->done[i / 2][i % 2], i);
	ring_submit(ring);
	/* With all of the last ones no other is still to be taken from the ring. */
	if (!disk_await_readers(1) || !await_bytes(self->pairs[DONE].rx, 5000) ||
	    !await_active(4))
		die("the transfers do not come into their states");
}

/*
 * Nothing is left, what waits for the disk included. What had gone arrives and is
 * right.
 */
static void expect_the_end(struct __test_metadata *_metadata,
			   FIXTURE_DATA(end) *self)
{
	struct cursor cursor;
	int i;

	EXPECT_TRUE(await_active(0));
	disk_resume();
	for (i = 0; i < STATES; i++) {
		shutdown(self->pairs[i].tx, SHUT_WR);
		cursor = (struct cursor){ .parts = self->parts[i], .nr = 2 };
		while (await(self->pairs[i].rx, POLLIN) &&
		       cursor_read(&cursor, self->pairs[i].rx, MIB) > 0)
			;
		EXPECT_TRUE(at_end(self->pairs[i].rx));
		EXPECT_TRUE(i == DONE ? cursor.got == 5000 : cursor.got < SIZE);
		EXPECT_STREQ("", cursor_verdict(&cursor, cursor.got));
	}
}

static void lose_ring(struct __test_metadata *_metadata,
		      FIXTURE_DATA(end) *self, unsigned int flags)
{
	int device = device_open();
	struct ring ring;

	ring_open(&ring, 64, flags);
	disk_suspend();
	submit_states(self, &ring, device);
	ring_close(&ring);
	expect_the_end(_metadata, self);
	close(device);
}

TEST_F(end, ring)
{
	lose_ring(_metadata, self, 0);
}

TEST_F(end, ring_sqpoll)
{
	lose_ring(_metadata, self, IORING_SETUP_SQPOLL);
}

TEST_F(end, ring_deferred)
{
	lose_ring(_metadata, self, IORING_SETUP_SINGLE_ISSUER |
				  IORING_SETUP_DEFER_TASKRUN);
}

/* The requests hold the device, so its descriptor does not matter. */
TEST_F(end, device_descriptor)
{
	int device = device_open();
	struct answer answer;
	struct ring ring;
	int i;

	ring_open(&ring, 64, 0);
	disk_suspend();
	submit_states(self, &ring, device);
	close(device);
	EXPECT_TRUE(await_active(4));
	disk_resume();
	for (i = 0; i < STATES; i++) {
		struct cursor cursor = { .parts = self->parts[i], .nr = 2 };
		const uint64_t total = parts_total(self->parts[i], 2);

		EXPECT_TRUE(cursor_take(&cursor, self->pairs[i].rx, total));
		EXPECT_STREQ("", cursor_verdict(&cursor, total));
	}
	for (i = 0; i < 2 * STATES; i++) {
		ASSERT_TRUE(ring_next(&ring, &answer));
		ASSERT_GT(2 * STATES, answer.user_data);
		EXPECT_EQ(self->parts[answer.user_data / 2]
				     [answer.user_data % 2].want.len,
			  answer.res);
	}
	ring_close(&ring);
}

/* How a whole process goes; EXEC: only what it was. */
enum way { EXIT, EXEC, KILL };

static void lose_process(struct __test_metadata *_metadata,
			 FIXTURE_DATA(end) *self, unsigned int flags,
			 enum way way)
{
	int report[2];
	pid_t child;
	int status;
	char byte;

	ASSERT_EQ(0, pipe(report));
	disk_suspend();
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct ring ring;

		ring_open(&ring, 64, flags);
		submit_states(self, &ring, device_open());
		if (way == EXIT)
			_exit(0);
		if (way == EXEC)
			execl("/bin/true", "true", NULL);
		if (write(report[1], "", 1) != 1)
			die("report");
		for (;;)
			pause();
	}
	close(report[1]);
	if (way == KILL) {
		ASSERT_EQ(1, read(report[0], &byte, 1));
		ASSERT_EQ(0, kill(child, SIGKILL));
	}
	close(report[0]);
	/* What waited for the disk was its own thread. */
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(way == KILL ? SIGKILL : 0, status);
	expect_the_end(_metadata, self);
	/* The kernel puts an end to a ring in its own time. */
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
}

struct task {
	FIXTURE_DATA(end) *self;
	struct ring *ring;
	int device;
};

static void *submit_and_go(void *argument)
{
	const struct task *task = argument;

	ring_send(task->ring, task->device, &task->self->transfers[SPACE][0],
		  &task->self->done[SPACE][0], 1);
	ring_submit(task->ring);
	return NULL;
}

/* A thread that submitted and went leaves its transfers to the ring. */
TEST_F(end, thread)
{
	struct cursor cursor = { .parts = self->parts[SPACE], .nr = 1 };
	int device = device_open();
	struct answer answer;
	pthread_t thread;
	struct ring ring;

	ring_open(&ring, 64, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, submit_and_go,
				    &(struct task){ self, &ring, device }));
	pthread_join(thread, NULL);
	EXPECT_FALSE(ring_peek(&ring, &answer));
	EXPECT_TRUE(cursor_take(&cursor, self->pairs[SPACE].rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	ASSERT_TRUE(ring_next(&ring, &answer));
	EXPECT_EQ(1, answer.user_data);
	EXPECT_EQ(SIZE, answer.res);
	EXPECT_TRUE(await_active(0));
	ring_close(&ring);
	close(device);
}

/* What is in flight when the ring goes is told by nobody; the queue goes on. */
TEST_F(end, ring_beside_the_queue)
{
	int device = device_open();
	struct ring ring;
	struct pair pair;

	pair_open(&pair, TCP4, SMALL);
	ring_open(&ring, 64, 0);
	submit_one(device, pair.tx, &self->parts[SPACE][0], 77);
	ring_send(&ring, device, &self->transfers[SPACE][0],
		  &self->done[SPACE][0], 1);
	ring_submit(&ring);
	EXPECT_TRUE(await_active(2));
	ring_close(&ring);
	EXPECT_TRUE(await_active(1));
	EXPECT_EQ(1, cancel_all(device));
	{
		struct zcopy_completion done;

		ASSERT_EQ(1, reap(device, &done, 1));
		EXPECT_EQ(77, done.user_data);
		EXPECT_EQ(-ECANCELED, done.error);
	}
	pair_close(&pair);
	close(device);
}

TEST_F(end, process)
{
	lose_process(_metadata, self, 0, EXIT);
}

TEST_F(end, process_executes)
{
	lose_process(_metadata, self, 0, EXEC);
}

TEST_F(end, process_killed)
{
	lose_process(_metadata, self, 0, KILL);
}

TEST_F(end, process_killed_sqpoll)
{
	lose_process(_metadata, self, IORING_SETUP_SQPOLL, KILL);
}

/* No ring that wants to poll the device for completions. */
TEST_F(end, iopoll)
{
	int device = device_open();
	struct answer answer;
	struct ring ring;

	ring_open(&ring, 64, IORING_SETUP_IOPOLL);
	ring_send(&ring, device, &self->transfers[DONE][0],
		  &self->done[DONE][0], 3);
	ring_submit(&ring);
	ASSERT_TRUE(ring_next(&ring, &answer));
	EXPECT_EQ(3, answer.user_data);
	/* Refused by older kernels; newer ones ask only who can be polled. */
	if (answer.res != -EOPNOTSUPP)
		EXPECT_EQ(self->done[DONE][0].bytes, answer.res);
	EXPECT_EQ(answer.res > 0, stats_of(device, ZCOPY_STATS_CONTEXT).transfers);
	ring_close(&ring);
	close(device);
}

/* Many at once on a few sockets: each socket's bytes in order, all of them right. */
TEST_F(end, many_in_flight)
{
	static struct zcopy_completion done[MANY];
	static struct zcopy_transfer transfers[MANY];
	static struct part parts[10][MANY / 10];
	struct reader readers[10];
	int device = device_open();
	struct pair pairs[10];
	struct answer answer;
	struct ring ring;
	int i;

	ring_open(&ring, MANY, 0);
	for (i = 0; i < 10; i++)
		pair_open(&pairs[i], i % 2 ? UNIX : TCP4, SMALL);
	for (i = 0; i < MANY; i++) {
		struct part *part = &parts[i % 10][i / 10];

		*part = of_file(&self->file, i * 999, 1 + i * 17 % (16 * KIB));
		transfers[i] = transfer_of(pairs[i % 10].tx, part, 1, i);
		ring_send(&ring, device, &transfers[i], &done[i], i);
	}
	ring_submit(&ring);
	EXPECT_LT(MANY / 4, stats_of(device, ZCOPY_STATS_CONTEXT).active);
	for (i = 0; i < 10; i++)
		reader_start(&readers[i], pairs[i].rx, parts[i], MANY / 10);
	for (i = 0; i < MANY; i++) {
		ASSERT_TRUE(ring_next(&ring, &answer));
		ASSERT_GT(MANY, answer.user_data);
		EXPECT_EQ(transfers[answer.user_data].user_data,
			  done[answer.user_data].user_data);
		EXPECT_EQ(answer.res, done[answer.user_data].bytes);
	}
	for (i = 0; i < 10; i++) {
		shutdown(pairs[i].tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&readers[i],
					       parts_total(parts[i],
							   MANY / 10)));
		pair_close(&pairs[i]);
	}
	ring_close(&ring);
	close(device);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
