// SPDX-License-Identifier: GPL-2.0-only
/* A pipe as target: bytes, room, errors, and that nobody keeps its pages. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/late.h"
#include "lib/rest.h"
#include "lib/ring.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	611U
#define OTHER	612U
#define SIZE	(2 * MIB + 77)
#define ROOM	(64 * KIB)	/* of a new pipe */

FIXTURE(pipe)
{
	struct watch watch;
	struct file file;
	struct part parts[4];		/* a header, a file, a hole, a trailer */
	uint64_t total;
	int device;
	int rx;
	int tx;
};

FIXTURE_VARIANT(pipe)
{
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(pipe, ext4)
{
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(pipe, xfs)
{
	.filesystem = XFS,
};

FIXTURE_SETUP(pipe)
{
	int ends[2];

	watch_begin(&self->watch);
	signal(SIGPIPE, SIG_DFL);	/* one that is raised ends the test */
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	self->parts[0] = of_memory(0, 3 * PAGE + 5);
	self->parts[1] = of_file(&self->file, 0, 0);
	self->parts[2] = of_file(&self->file, 4097, 5000);
	self->parts[3] = of_memory(100, 11);
	self->total = parts_total(ALL_OF(self->parts));
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	self->rx = ends[0];
	self->tx = ends[1];
}

FIXTURE_TEARDOWN(pipe)
{
	close(self->rx);
	close(self->tx);
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void end(int *fd)
{
	close(*fd);
	*fd = -1;
}

static int filled(int fd)
{
	int bytes = -1;

	if (ioctl(fd, FIONREAD, &bytes))
		die("FIONREAD");
	return bytes;
}

/* Send on this thread while another one reads, and compare. */
static void send_and_read(struct __test_metadata *_metadata,
			  FIXTURE_DATA(pipe) *self, uint32_t flags,
			  struct zcopy_completion *completion)
{
	struct reader reader;

	reader_start(&reader, self->rx, ALL_OF(self->parts));
	EXPECT_EQ(0, send_parts(self->device, self->tx, ALL_OF(self->parts),
				flags, completion));
	end(&self->tx);
	EXPECT_STREQ("", reader_finish(&reader, self->total));
	EXPECT_EQ(self->total, completion->bytes);
	EXPECT_EQ(0, completion->error);
}

TEST_F(pipe, bytes)
{
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	send_and_read(_metadata, self, 0, &completion);
	EXPECT_EQ(0, completion.flags);
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(self->total, stats.bytes);
	EXPECT_EQ(3 * PAGE + 5 + 11, stats.bytes_memory);
	EXPECT_EQ(0, stats.bytes_copied);
	EXPECT_EQ(0, stats.socket_errors);
}

/* From the disk. */
TEST_F(pipe, cold)
{
	struct zcopy_completion completion;

	file_chill(&self->file);
	send_and_read(_metadata, self, 0, &completion);
	EXPECT_EQ(0, completion.flags);
}

/* Shared memory. */
TEST_F(pipe, memory)
{
	struct zcopy_completion completion;
	struct file file;

	file_make(&file, MEMFD, MIB, SEED);
	self->parts[1] = of_file(&file, 3, 0);
	self->total = parts_total(ALL_OF(self->parts));
	send_and_read(_metadata, self, 0, &completion);
	file_close(&file);
}

/* Who waits for the release gets it at once: of a copy. */
TEST_F(pipe, release)
{
	static const uint32_t flags[] = { ZCOPY_SYNC, ZCOPY_NOCACHE,
					  ZCOPY_SYNC | ZCOPY_NOCACHE,
					  ZCOPY_NOTIFY };
	const struct part part = of_file(&self->file, 10, 3 * PAGE);
	struct zcopy_completion completion;
	struct cursor cursor;
	size_t i;

	for (i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1,
					flags[i], &completion));
		EXPECT_EQ(3 * PAGE, completion.bytes);
		EXPECT_EQ(ZCOPY_C_COPIED |
			  (flags[i] & ZCOPY_SYNC ? ZCOPY_C_RELEASED : 0) |
			  (flags[i] & ZCOPY_NOTIFY ? ZCOPY_C_MORE : 0),
			  completion.flags);
		if (flags[i] & ZCOPY_NOTIFY)
			EXPECT_STREQ("", completes(self->device,
						   completion.user_data,
						   3 * PAGE, 0,
						   ZCOPY_C_RELEASED |
						   ZCOPY_C_COPIED));
		file_write(&self->file, 0, 5 * PAGE, OTHER);
		cursor = (struct cursor){ .parts = &part, .nr = 1 };
		EXPECT_TRUE(cursor_take(&cursor, self->rx, 3 * PAGE));
		EXPECT_STREQ("", cursor_verdict(&cursor, 3 * PAGE));
		file_write(&self->file, 0, 5 * PAGE, SEED);
	}
}

/* Without that the pipe refers to the file's own pages. */
TEST_F(pipe, overwritten)
{
	const struct part part = of_file(&self->file, PAGE, 2 * PAGE);
	struct part new = part;
	struct zcopy_completion completion;
	struct cursor cursor = { .parts = &new, .nr = 1 };

	new.want.seed = OTHER;
	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(0, completion.flags);
	file_write(&self->file, PAGE, 2 * PAGE, OTHER);
	EXPECT_TRUE(cursor_take(&cursor, self->rx, 2 * PAGE));
	EXPECT_STREQ("", cursor_verdict(&cursor, 2 * PAGE));
	file_write(&self->file, PAGE, 2 * PAGE, SEED);
}

/* What is written behind them goes to pages of the pipe's own. */
TEST_F(pipe, written_behind)
{
	const struct part part = of_file(&self->file, 0, 100);
	const struct part parts[] = { part, of_memory(0, 200) };
	struct zcopy_completion completion;
	struct cursor cursor = { .parts = parts, .nr = 2 };

	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(200, write(self->tx, memory(0, 200), 200));
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_TRUE(cursor_take(&cursor, self->rx, 300));
	EXPECT_STREQ("", cursor_verdict(&cursor, 300));
}

/* tee(), splice() that would rather move than copy, vmsplice(): all copy. */
TEST_F(pipe, not_stolen)
{
	const struct part part = of_file(&self->file, 0, 4 * PAGE);
	const struct stretch content = { SEED, 0, 4 * PAGE };
	struct zcopy_completion completion;
	struct iovec to = { .iov_len = 4 * PAGE };
	struct file copy;
	int ends[2];
	loff_t at = 0;

	file_make(&copy, TMPFS, 4 * PAGE, OTHER);
	to.iov_base = malloc(to.iov_len);
	ASSERT_NE(NULL, to.iov_base);
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(4 * PAGE, tee(self->rx, ends[1], 4 * PAGE, 0));
	EXPECT_EQ(4 * PAGE, splice(self->rx, NULL, copy.rw, &at, 4 * PAGE,
				   SPLICE_F_MOVE));
	EXPECT_STREQ("", file_holds(&copy, 0, content));
	/* Were the pages the copy's now, this would change the file. */
	file_write(&copy, 0, 4 * PAGE, OTHER);
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_EQ(4 * PAGE, vmsplice(ends[0], &to, 1, SPLICE_F_GIFT));
	memset(to.iov_base, 0, to.iov_len);
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_EQ(0, filled(ends[0]));
	close(ends[0]);
	close(ends[1]);
	free(to.iov_base);
	file_close(&copy);
}

TEST_F(pipe, nonblocking)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	struct cursor cursor = { .parts = &part, .nr = 1 };

	set_nonblocking(self->tx);
	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(-EAGAIN, completion.error);
	EXPECT_EQ(0, completion.flags);
	EXPECT_EQ(ROOM, completion.bytes);
	EXPECT_EQ(ROOM, filled(self->rx));
	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(-EAGAIN, completion.error);
	EXPECT_EQ(0, completion.bytes);
	EXPECT_TRUE(cursor_take(&cursor, self->rx, ROOM));
	EXPECT_STREQ("", cursor_verdict(&cursor, ROOM));
}

/* Nobody reads, from the beginning, or from some time on. */
TEST_F(pipe, no_reader)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct sender sender = { .device = self->device, .socket = self->tx,
				 .parts = &part, .nr = 1 };
	struct zcopy_completion completion;

	sender_start(&sender);
	EXPECT_TRUE(sender_blocked(&sender));
	EXPECT_EQ(ROOM, filled(self->rx));
	end(&self->rx);
	sender_finish(&sender);
	EXPECT_EQ(0, sender.result);
	EXPECT_EQ(-EPIPE, sender.completion.error);
	EXPECT_EQ(ZCOPY_C_TARGET_ERROR, sender.completion.flags);
	EXPECT_EQ(ROOM, sender.completion.bytes);

	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(-EPIPE, completion.error);
	EXPECT_EQ(0, completion.bytes);
	EXPECT_EQ(0, send_parts(self->device, self->tx, &part, 1, ZCOPY_SYNC,
				&completion));
	EXPECT_EQ(-EPIPE, completion.error);
	submit_one(self->device, self->tx, &part, 9);
	EXPECT_STREQ("", completes(self->device, 9, 0, -EPIPE,
				   ZCOPY_C_TARGET_ERROR));
	EXPECT_EQ(4, stats_of(self->device,
			      ZCOPY_STATS_CONTEXT).socket_errors);
}

static void nothing(int signal)
{
	(void)signal;
}

TEST_F(pipe, signal)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct sender sender = { .device = self->device, .socket = self->tx,
				 .parts = &part, .nr = 1 };
	const struct sigaction action = { .sa_handler = nothing };

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	sender_start(&sender);
	EXPECT_TRUE(sender_blocked(&sender));
	EXPECT_EQ(0, pthread_kill(sender.thread, SIGUSR1));
	sender_finish(&sender);
	EXPECT_EQ(-EINTR, sender.completion.error);
	EXPECT_EQ(ROOM, sender.completion.bytes);
}

/* In the order of submission, each told of, with nobody waiting. */
TEST_F(pipe, queued)
{
	struct zcopy_transfer transfers[4];
	struct reader reader;
	size_t i;

	for (i = 0; i < 4; i++)
		transfers[i] = transfer_of(self->tx, &self->parts[i], 1, i);
	submit_all(self->device, transfers, 4);
	EXPECT_EQ(ROOM - PAGE + 5, filled(self->rx));
	reader_start(&reader, self->rx, ALL_OF(self->parts));
	for (i = 0; i < 4; i++)
		EXPECT_STREQ("", completes(self->device, i,
					   parts_total(&self->parts[i], 1), 0,
					   0));
	end(&self->tx);
	EXPECT_STREQ("", reader_finish(&reader, self->total));
}

TEST_F(pipe, cancelled)
{
	const struct part part = of_file(&self->file, 0, 0);

	struct zcopy_completion done[2];
	size_t i;

	submit_one(self->device, self->tx, &part, 1);
	submit_one(self->device, self->tx, &part, 2);
	EXPECT_EQ(2, cancel_socket(self->device, self->tx));
	ASSERT_EQ(2, reap(self->device, done, 2));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(done[i].user_data == 1 ? ROOM : 0, done[i].bytes);
		EXPECT_EQ(-ECANCELED, done[i].error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, done[i].flags);
	}
	EXPECT_EQ(ROOM, filled(self->rx));
}

/* The reader goes while a transfer of the queue waits for him. */
TEST_F(pipe, queued_no_reader)
{
	const struct part part = of_file(&self->file, 0, 0);

	submit_one(self->device, self->tx, &part, 1);
	EXPECT_EQ(ROOM, filled(self->rx));
	end(&self->rx);
	EXPECT_STREQ("", completes(self->device, 1, ROOM, -EPIPE,
				   ZCOPY_C_TARGET_ERROR));
}

/* A FIFO that is open for both ways has two wait queues. */
TEST_F(pipe, fifo)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	char path[300];
	int both;

	snprintf(path, sizeof(path), "%s/fifo", directory(variant->filesystem));
	ASSERT_EQ(0, mkfifo(path, 0600));
	both = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, both);
	ASSERT_EQ(0, unlink(path));
	submit_one(self->device, both, &part, 1);
	EXPECT_TRUE(cursor_take(&cursor, both, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	close(both);
}

/* Who did not sit down to wait is told too. */
TEST_F(pipe, told)
{
	const struct part part = of_file(&self->file, 0, 10);
	const struct timespec at_once = {};
	struct zcopy_completion completion;
	char path[300], event[1024];
	int fifo, watch;
	sigset_t set;

	snprintf(path, sizeof(path), "%s/fifo", directory(variant->filesystem));
	ASSERT_EQ(0, mkfifo(path, 0600));
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	ASSERT_LE(0, watch);
	ASSERT_LE(0, inotify_add_watch(watch, path, IN_MODIFY));
	fifo = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fifo);
	ASSERT_EQ(0, unlink(path));
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, fcntl(fifo, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(fifo, F_SETFL, O_ASYNC));
	EXPECT_EQ(0, send_parts(self->device, fifo, &part, 1, 0, &completion));
	EXPECT_EQ(10, completion.bytes);
	EXPECT_EQ(SIGIO, sigtimedwait(&set, NULL, &at_once));
	EXPECT_LT(0, read(watch, event, sizeof(event)));
	close(fifo);
	close(watch);
}

struct fault {
	pthread_t thread;
	int rx;
	char *page;
	ssize_t result;
};

static void *read_to_page(void *argument)
{
	struct fault *fault = argument;

	fault->result = read(fault->rx, fault->page, 1);
	return NULL;
}

/*
 * A reader whose memory is late in coming keeps the pipe's lock so long. Who
 * submits, or does not want to wait, is not held up by him.
 */
TEST_F(pipe, locked)
{
	const struct part parts[] = { of_memory(0, 1),
				      of_file(&self->file, 0, 100),
				      of_file(&self->file, 100, 50) };
	struct cursor cursor = { .parts = parts, .nr = 3 };
	struct zcopy_completion completion;
	struct fault fault = { .rx = self->rx };
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct late late;

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->tx, &event));
	late_make(&late, PAGE);
	fault.page = late.memory;
	EXPECT_EQ(0, send_parts(self->device, self->tx, parts, 1, 0,
				&completion));
	ASSERT_EQ(0, pthread_create(&fault.thread, NULL, read_to_page, &fault));
	/* He has the lock now. */
	ASSERT_TRUE(late_await(&late, 1));

	submit_one(self->device, self->tx, &parts[1], 1);
	EXPECT_EQ(0, reap_now(self->device, &completion, 1));
	/* Nor does anybody try again and again. */
	rest_begin();
	EXPECT_TRUE(comes_to_rest(1));
	rest_end();
	set_nonblocking(self->tx);
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	ASSERT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, send_parts(self->device, self->tx, &parts[2], 1, 0,
				&completion));
	EXPECT_EQ(-EAGAIN, completion.error);
	EXPECT_EQ(0, completion.bytes);
	/* The reader tells of no room, as there was some before. */
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	close(epoll);

	late_come(&late);
	pthread_join(fault.thread, NULL);
	EXPECT_EQ(1, fault.result);
	cursor_compare(&cursor, fault.page, 1);
	EXPECT_STREQ("", completes(self->device, 1, 100, 0, 0));
	EXPECT_TRUE(cursor_take(&cursor, self->rx, 100));
	EXPECT_STREQ("", cursor_verdict(&cursor, 101));
	late_close(&late);
}

TEST_F(pipe, ring)
{
	const struct zcopy_transfer transfer =
		transfer_of(self->tx, ALL_OF(self->parts), 1);
	struct zcopy_completion completion;
	struct reader reader;
	struct answer answer;
	struct ring ring;

	ring_open(&ring, 4, 0);
	ring_send(&ring, self->device, &transfer, &completion, 3);
	ring_submit(&ring);
	reader_start(&reader, self->rx, ALL_OF(self->parts));
	EXPECT_TRUE(ring_next(&ring, &answer));
	EXPECT_EQ(self->total, answer.res);
	EXPECT_EQ(self->total, completion.bytes);
	end(&self->tx);
	EXPECT_STREQ("", reader_finish(&reader, self->total));
	ring_close(&ring);
}

/* Small pieces fill the pipe's slots long before its bytes. */
TEST_F(pipe, slots)
{
	struct part parts[64];
	struct zcopy_completion completion;
	struct cursor cursor = { .parts = parts, .nr = 64 };
	size_t i;

	for (i = 0; i < 64; i++)
		parts[i] = of_file(&self->file, i * PAGE, 3);
	set_nonblocking(self->tx);
	EXPECT_EQ(0, send_parts(self->device, self->tx, parts, 64, 0,
				&completion));
	EXPECT_EQ(16 * 3, completion.bytes);
	EXPECT_EQ(-EAGAIN, completion.error);
	EXPECT_TRUE(cursor_take(&cursor, self->rx, 16 * 3));
	EXPECT_STREQ("", cursor_verdict(&cursor, 16 * 3));
}

TEST_HARNESS_MAIN
