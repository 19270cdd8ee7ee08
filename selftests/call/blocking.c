// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets that are full: not blocking, timing out, interrupted, hung up. Each
 * time the count is exact and nothing is lost.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SEED	61U
#define SIZE	(4 * MIB)
#define HEADER	500
#define TOTAL	(SIZE + 2 * HEADER)
#define BUFFER	(64 * 1024)

FIXTURE(blocking)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part parts[3];
	struct sender sender;
	struct cursor cursor;
	int device;
};

FIXTURE_VARIANT(blocking)
{
	enum filesystem filesystem;
	enum transport transport;
};

FIXTURE_VARIANT_ADD(blocking, ext4_tcp4)
{
	.filesystem = EXT4,
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(blocking, tmpfs_wire6)
{
	.filesystem = TMPFS,
	.transport = WIRE6,
};

FIXTURE_VARIANT_ADD(blocking, xfs_unix)
{
	.filesystem = XFS,
	.transport = UNIX,
};

static int signals;	/* atomic: handlers and threads share it */

static void count_signal(int number)
{
	(void)number;
	__atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
}

/* Signals since the last time. */
static int caught(void)
{
	return __atomic_exchange_n(&signals, 0, __ATOMIC_SEQ_CST);
}

static void handle(int number, int flags)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = flags,
	};

	if (sigaction(number, &action, NULL))
		die("sigaction");
}

FIXTURE_SETUP(blocking)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, variant->transport, BUFFER);
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	self->parts[0] = of_memory(0, HEADER);
	self->parts[1] = of_file(&self->file, 0, 0);
	self->parts[2] = of_memory(HEADER, HEADER);
	self->cursor = (struct cursor){ .parts = self->parts, .nr = 3 };
	self->sender = (struct sender){
		.device = self->device, .socket = self->pair.tx,
		.parts = self->parts, .nr = 3,
	};
	handle(SIGPIPE, 0);
}

FIXTURE_TEARDOWN(blocking)
{
	/* No transfer ever raises SIGPIPE. */
	EXPECT_EQ(0, caught());
	EXPECT_STREQ("", file_intact(&self->file));
	pair_close(&self->pair);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static int send_all(FIXTURE_DATA(blocking) *self,
		    struct zcopy_completion *completion)
{
	return send_parts(self->device, self->pair.tx, self->parts, 3, 0,
			  completion);
}

/* A transfer that ended early, with an error of the socket's buffer or less. */
static void short_of(struct __test_metadata *_metadata,
		     FIXTURE_DATA(blocking) *self,
		     const struct zcopy_completion *completion, int error)
{
	EXPECT_EQ(error, completion->error);
	EXPECT_EQ(0, completion->flags & ~ZCOPY_C_COPIED);
	EXPECT_LT(0, completion->bytes);
	EXPECT_GT(TOTAL, completion->bytes);
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx,
				completion->bytes));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, completion->bytes));
}

/* All that is left arrives as if nothing had been in between. */
static void resume(struct __test_metadata *_metadata,
		   FIXTURE_DATA(blocking) *self, uint64_t done)
{
	struct zcopy_completion completion;
	struct reader reader;
	struct part rest[3];
	size_t nr;

	memcpy(rest, self->parts, sizeof(rest));
	nr = parts_skip(rest, 3, done);
	reader_continue(&reader, self->pair.rx, &self->cursor);
	while (nr) {
		ASSERT_EQ(0, send_parts(self->device, self->pair.tx, rest, nr,
					0, &completion));
		done += completion.bytes;
		nr = parts_skip(rest, nr, completion.bytes);
		if (!nr)
			break;
		ASSERT_EQ(-EAGAIN, completion.error);
		ASSERT_TRUE(await(self->pair.tx, POLLOUT));
	}
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(TOTAL, done);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, TOTAL));
}

TEST_F(blocking, nonblocking)
{
	struct zcopy_completion completion;

	set_nonblocking(self->pair.tx);
	ASSERT_EQ(0, send_all(self, &completion));
	short_of(_metadata, self, &completion, -EAGAIN);
	resume(_metadata, self, completion.bytes);
}

/* Is anything on the way whose arrival would make room? */
static bool in_flight(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	/* AF_UNIX has no wire, and no such option. */
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	return info.tcpi_unacked;
}

/* Full to the brim with what is not ours; returns how much that is. */
static uint64_t fill(struct __test_metadata *_metadata, int fd)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	const char *bytes = memory(0, 64 * KIB);
	uint64_t sent = 0;
	ssize_t n;

	for (;;) {
		n = send(fd, bytes, 64 * KIB, MSG_DONTWAIT);
		if (n < 0)
			n = send(fd, bytes, 1, MSG_DONTWAIT);
		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			if (!in_flight(fd) && !poll(&room, 1, 1))
				return sent;
			continue;
		}
		sent += n;
	}
}

static void drop(struct __test_metadata *_metadata, int fd, uint64_t len)
{
	static char bytes[64 * KIB];
	ssize_t n;

	for (; len; len -= n) {
		n = recv(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes),
			 0);
		ASSERT_LT(0, n);
	}
}

/*
 * A window may open a little after fill() looked, and then something goes. One
 * time of many nothing does.
 */
#define TRIES	20

static void fresh_pair(FIXTURE_DATA(blocking) *self,
		       const FIXTURE_VARIANT(blocking) *variant)
{
	pair_close(&self->pair);
	pair_open(&self->pair, variant->transport, BUFFER);
	self->sender.socket = self->pair.tx;
	self->cursor = (struct cursor){ .parts = self->parts, .nr = 3 };
}

TEST_F(blocking, nothing_goes)
{
	struct zcopy_completion completion = {};
	uint64_t other;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		fresh_pair(self, variant);
		other = fill(_metadata, self->pair.tx);
		set_nonblocking(self->pair.tx);
		ASSERT_EQ(0, send_all(self, &completion));
		EXPECT_EQ(-EAGAIN, completion.error);
		drop(_metadata, self->pair.rx, other);
		resume(_metadata, self, completion.bytes);
		if (!completion.bytes)
			break;
	}
	EXPECT_GT(TRIES, tries);
}

TEST_F(blocking, timeout)
{
	const struct timeval soon = { .tv_usec = 50000 };
	const struct timeval never = {};
	struct zcopy_completion completion;

	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_SNDTIMEO, &soon,
				sizeof(soon)));
	ASSERT_EQ(0, send_all(self, &completion));
	short_of(_metadata, self, &completion, -EAGAIN);
	ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET, SO_SNDTIMEO, &never,
				sizeof(never)));
	resume(_metadata, self, completion.bytes);
}

static void interrupted(struct __test_metadata *_metadata,
			FIXTURE_DATA(blocking) *self, int flags)
{
	handle(SIGUSR1, flags);
	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	ASSERT_EQ(0, pthread_kill(self->sender.thread, SIGUSR1));
	sender_finish(&self->sender);
	EXPECT_EQ(1, caught());
	ASSERT_EQ(0, self->sender.result);
	short_of(_metadata, self, &self->sender.completion, -EINTR);
	resume(_metadata, self, self->sender.completion.bytes);
}

TEST_F(blocking, signal)
{
	interrupted(_metadata, self, 0);
}

/* What went cannot be sent again, so a restart is out of the question. */
TEST_F(blocking, signal_with_restart)
{
	interrupted(_metadata, self, SA_RESTART);
}

/* Interrupt a transfer that found no room; returns what is in the way. */
static uint64_t interrupt_at_once(struct __test_metadata *_metadata,
				  FIXTURE_DATA(blocking) *self)
{
	uint64_t other = fill(_metadata, self->pair.tx);

	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	ASSERT_EQ(0, pthread_kill(self->sender.thread, SIGUSR1));
	while (!caught())
		;
	return other;
}

TEST_F(blocking, signal_before_first_byte)
{
	const struct zcopy_completion *completion = &self->sender.completion;
	bool refused = false;
	uint64_t other;
	int tries;

	handle(SIGUSR1, 0);
	for (tries = 0; tries < TRIES && !refused; tries++) {
		fresh_pair(self, variant);
		other = interrupt_at_once(_metadata, self);
		sender_finish(&self->sender);
		drop(_metadata, self->pair.rx, other);
		refused = self->sender.result == -EINTR;
		if (refused) {
			resume(_metadata, self, 0);
			break;
		}
		ASSERT_EQ(0, self->sender.result);
		EXPECT_EQ(-EINTR, completion->error);
		resume(_metadata, self, completion->bytes);
	}
	EXPECT_TRUE(refused);
}

/* Nothing went, so the kernel begins again and does it whole. */
TEST_F(blocking, signal_with_restart_before_first_byte)
{
	const struct zcopy_completion *completion = &self->sender.completion;
	bool restarted = false;
	struct reader reader;
	uint64_t other;
	int tries;

	handle(SIGUSR1, SA_RESTART);
	for (tries = 0; tries < TRIES && !restarted; tries++) {
		fresh_pair(self, variant);
		self->sender.shut = true;
		other = interrupt_at_once(_metadata, self);
		drop(_metadata, self->pair.rx, other);
		reader_start(&reader, self->pair.rx, self->parts, 3);
		sender_finish(&self->sender);
		ASSERT_EQ(0, self->sender.result);
		EXPECT_STREQ("", reader_finish(&reader, completion->bytes));
		restarted = !completion->error;
		EXPECT_EQ(restarted ? 0 : -EINTR, completion->error);
		if (restarted)
			EXPECT_EQ(TOTAL, completion->bytes);
	}
	EXPECT_TRUE(restarted);
}

TEST_F(blocking, killed)
{
	struct zcopy_completion completion;
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		close(self->pair.rx);
		send_all(self, &completion);
		_exit(0);
	}
	/* It sleeps where the kernel lets a signal in: nowhere else here. */
	ASSERT_TRUE(await_sleep(child));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	shutdown(self->pair.tx, SHUT_WR);
	while (cursor_read(&self->cursor, self->pair.rx, SIZE) > 0)
		;
	EXPECT_LT(0, self->cursor.got);
	EXPECT_GT(TOTAL, self->cursor.got);
	EXPECT_EQ(0, self->cursor.wrong);
}

static void hung_up(struct __test_metadata *_metadata,
		    const struct zcopy_completion *completion)
{
	EXPECT_TRUE(completion->error == -EPIPE ||
		    completion->error == -ECONNRESET) {
		TH_LOG("error %d", completion->error);
	}
	EXPECT_EQ(ZCOPY_C_SOCKET_ERROR, completion->flags & ~ZCOPY_C_COPIED);
	EXPECT_GT(TOTAL, completion->bytes);
}

TEST_F(blocking, peer_closes)
{
	struct zcopy_completion completion;

	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	/* Some of it is read, the rest is thrown away by the kernel. */
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, 1000));
	close(self->pair.rx);
	sender_finish(&self->sender);
	ASSERT_EQ(0, self->sender.result);
	EXPECT_LE(1000, self->sender.completion.bytes);
	hung_up(_metadata, &self->sender.completion);

	/* And from then on nothing goes. */
	ASSERT_EQ(0, send_all(self, &completion));
	EXPECT_EQ(0, completion.bytes);
	EXPECT_EQ(-EPIPE, completion.error);
	self->pair.rx = dup(self->pair.tx);
}

TEST_F(blocking, shut_down)
{
	struct zcopy_completion completion;

	ASSERT_EQ(0, shutdown(self->pair.tx, SHUT_WR));
	ASSERT_EQ(0, send_all(self, &completion));
	EXPECT_EQ(0, completion.bytes);
	EXPECT_EQ(-EPIPE, completion.error);
	EXPECT_EQ(ZCOPY_C_SOCKET_ERROR, completion.flags & ~ZCOPY_C_COPIED);
}

TEST_F(blocking, shut_down_meanwhile)
{
	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	ASSERT_EQ(0, shutdown(self->pair.tx, SHUT_WR));
	/* AF_UNIX looks when there is room, TCP at once. */
	while (cursor_read(&self->cursor, self->pair.rx, SIZE) > 0)
		;
	sender_finish(&self->sender);
	EXPECT_EQ(0, self->sender.result);
	EXPECT_EQ(-EPIPE, self->sender.completion.error);
	EXPECT_EQ(ZCOPY_C_SOCKET_ERROR,
		  self->sender.completion.flags & ~ZCOPY_C_COPIED);
	EXPECT_STREQ("", cursor_verdict(&self->cursor,
					self->sender.completion.bytes));
}

/* A call that runs needs none of the numbers it was given any more. */
TEST_F(blocking, descriptors_closed_meanwhile)
{
	struct reader reader;

	sender_start(&self->sender);
	ASSERT_TRUE(sender_blocked(&self->sender));
	close(self->device);
	close(self->file.fd);
	close(self->pair.tx);
	reader_start(&reader, self->pair.rx, self->parts, 3);
	sender_finish(&self->sender);
	EXPECT_EQ(0, self->sender.result);
	EXPECT_EQ(TOTAL, self->sender.completion.bytes);
	EXPECT_EQ(0, self->sender.completion.error);
	/* The end of the stream: the call held the last reference. */
	EXPECT_STREQ("", reader_finish(&reader, TOTAL));

	self->device = device_open();
	self->file.fd = dup(self->file.rw);
	self->pair.tx = dup(self->pair.rx);
}

TEST_HARNESS_MAIN
