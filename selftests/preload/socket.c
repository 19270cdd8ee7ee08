// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets that are full or broken: what sendfile() does there, the preload
 * shim does. Each test runs once with the system call, which shows that the
 * test is right, and once with the shim.
 */
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/peer.h"
#include "lib/shim.h"
#include "lib/watch.h"

#define SIZE	(1 << 20)
#define BUFFER	(64 * 1024)

struct situation {
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct cursor cursor;
};

static void begin(struct situation *self, enum transport transport)
{
	shim_load();
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, 161);
	pair_open(&self->pair, transport, BUFFER);
	self->part = of_file(&self->file, 0, 0);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

static const char *finish(struct situation *self)
{
	const char *text = file_intact(&self->file);

	pair_close(&self->pair);
	file_close(&self->file);
	return *text ? text : watch_end(&self->watch);
}

FIXTURE(preload_socket)
{
	struct situation s;
};

FIXTURE_VARIANT(preload_socket)
{
	enum way way;
	enum transport transport;
};

/* Errors of TCP, which do not depend on the moment. */
FIXTURE(preload_tcp)
{
	struct situation s;
};

FIXTURE_VARIANT(preload_tcp)
{
	enum way way;
	enum transport transport;
};

/* Packets of a size that shows. */
FIXTURE(preload_wire)
{
	struct situation s;
};

FIXTURE_VARIANT(preload_wire)
{
	enum way way;
	enum transport transport;
};

#define VARIANT(fixture, name, w, t)					\
	FIXTURE_VARIANT_ADD(fixture, name)				\
	{								\
		.way = w,						\
		.transport = t,						\
	}

VARIANT(preload_socket, kernel_tcp4, BY_KERNEL, TCP4);
VARIANT(preload_socket, shim_tcp4, BY_SHIM, TCP4);
VARIANT(preload_socket, kernel_wire4, BY_KERNEL, WIRE4);
VARIANT(preload_socket, shim_wire4, BY_SHIM, WIRE4);
VARIANT(preload_socket, kernel_unix, BY_KERNEL, UNIX);
VARIANT(preload_socket, shim_unix, BY_SHIM, UNIX);
VARIANT(preload_tcp, kernel_tcp4, BY_KERNEL, TCP4);
VARIANT(preload_tcp, shim_tcp4, BY_SHIM, TCP4);
VARIANT(preload_tcp, kernel_wire4, BY_KERNEL, WIRE4);
VARIANT(preload_tcp, shim_wire4, BY_SHIM, WIRE4);
VARIANT(preload_wire, kernel, BY_KERNEL, WIRE4);
VARIANT(preload_wire, shim, BY_SHIM, WIRE4);

FIXTURE_SETUP(preload_socket)
{
	begin(&self->s, variant->transport);
}

FIXTURE_TEARDOWN(preload_socket)
{
	EXPECT_EQ(0, caught());
	EXPECT_STREQ("", finish(&self->s));
}

FIXTURE_SETUP(preload_tcp)
{
	begin(&self->s, variant->transport);
}

FIXTURE_TEARDOWN(preload_tcp)
{
	EXPECT_EQ(0, caught());
	EXPECT_STREQ("", finish(&self->s));
}

FIXTURE_SETUP(preload_wire)
{
	begin(&self->s, variant->transport);
}

/* After so long what is held back is sent all the same. */
static int set_timeout(unsigned int us)
{
	return run("ip netns exec left sysctl -qw net.ipv4.tcp_rto_min_us=%u", us);
}

FIXTURE_TEARDOWN(preload_wire)
{
	EXPECT_EQ(0, set_timeout(200000));
	EXPECT_STREQ("", finish(&self->s));
}

static off_t position(int fd)
{
	return lseek(fd, 0, SEEK_CUR);
}

/* All that is left arrives as if nothing had been in between. */
static void resume(struct __test_metadata *_metadata,
		   struct situation *self, enum way way)
{
	const struct part rest = of_file(&self->file, self->cursor.got, 0);
	struct reader reader;
	ssize_t n;

	reader_start(&reader, self->pair.rx, &rest, 1);
	do {
		off_t before = position(self->file.fd);

		n = call(way, self->pair.tx, self->file.fd, NULL, SIZE);
		EXPECT_EQ(before + (n > 0 ? n : 0), position(self->file.fd));
		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_TRUE(await(self->pair.tx, POLLOUT));
		}
	} while (n);
	EXPECT_EQ(SIZE, position(self->file.fd));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, rest.want.len));
}

/* Part of the file went; errno is as it was, the position where it goes on. */
static void is_partial(struct __test_metadata *_metadata,
		       struct situation *self, ssize_t n, int error)
{
	EXPECT_LT(0, n);
	EXPECT_GT(SIZE, n);
	EXPECT_EQ(UNTOUCHED, error);
	EXPECT_EQ(n, position(self->file.fd));
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, n));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, n));
}

TEST_F(preload_socket, nonblocking)
{
	ssize_t n;

	set_nonblocking(self->s.pair.tx);
	errno = UNTOUCHED;
	n = call(variant->way, self->s.pair.tx, self->s.file.fd, NULL, SIZE);
	is_partial(_metadata, &self->s, n, errno);
	resume(_metadata, &self->s, variant->way);
}

TEST_F(preload_socket, nonblocking_offset)
{
	off_t offset = 0, before;
	ssize_t n;

	set_nonblocking(self->s.pair.tx);
	while (offset < SIZE) {
		before = offset;
		n = call(variant->way, self->s.pair.tx, self->s.file.fd, &offset,
			 SIZE);
		if (n < 0) {
			ASSERT_EQ(EAGAIN, errno);
			ASSERT_EQ(before, offset);
			ASSERT_TRUE(cursor_take(&self->s.cursor, self->s.pair.rx,
						offset - self->s.cursor.got));
			ASSERT_TRUE(await(self->s.pair.tx, POLLOUT));
		} else {
			ASSERT_EQ(before + n, offset);
		}
	}
	EXPECT_EQ(SIZE, offset);
	EXPECT_TRUE(cursor_take(&self->s.cursor, self->s.pair.rx,
				SIZE - self->s.cursor.got));
	EXPECT_STREQ("", cursor_verdict(&self->s.cursor, SIZE));
	EXPECT_EQ(0, position(self->s.file.fd));
}

TEST_F(preload_socket, timeout)
{
	const struct timeval soon = { .tv_usec = 50000 };
	const struct timeval never = {};
	ssize_t n;

	ASSERT_EQ(0, setsockopt(self->s.pair.tx, SOL_SOCKET, SO_SNDTIMEO, &soon,
				sizeof(soon)));
	errno = UNTOUCHED;
	n = call(variant->way, self->s.pair.tx, self->s.file.fd, NULL, SIZE);
	EXPECT_LT(0, n);
	EXPECT_EQ(UNTOUCHED, errno);
	/* Until nothing goes any more, with no reader. */
	while (n > 0)
		n = call(variant->way, self->s.pair.tx, self->s.file.fd, NULL,
			 SIZE);
	EXPECT_EQ(-1, n);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_GT(SIZE, position(self->s.file.fd));
	ASSERT_EQ(0, setsockopt(self->s.pair.tx, SOL_SOCKET, SO_SNDTIMEO, &never,
				sizeof(never)));
	resume(_metadata, &self->s, variant->way);
}

/* A call on a thread of its own. */
struct caller {
	pthread_t thread;
	pid_t tid;		/* atomic; 0 before the call */
	enum way way;
	int out;
	int in;
	ssize_t result;
	int error;
	int sigpipes;
};

static void *call_alone(void *argument)
{
	struct caller *caller = argument;

	__atomic_store_n(&caller->tid, gettid(), __ATOMIC_RELEASE);
	errno = UNTOUCHED;
	caller->result = call(caller->way, caller->out, caller->in, NULL, SIZE);
	caller->error = errno;
	caller->sigpipes = caught();
	return NULL;
}

/* Begin a call and come back when it waits for room. */
static void call_blocked(struct __test_metadata *_metadata,
			 struct situation *self, enum way way,
			 struct caller *caller)
{
	*caller = (struct caller){
		.way = way, .out = self->pair.tx, .in = self->file.fd,
	};
	ASSERT_EQ(0, pthread_create(&caller->thread, NULL, call_alone, caller));
	while (!__atomic_load_n(&caller->tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(caller->tid));
}

static int interrupts;	/* atomic */

static void interrupt(int number)
{
	(void)number;
	__atomic_fetch_add(&interrupts, 1, __ATOMIC_SEQ_CST);
}

static void handle(int flags)
{
	const struct sigaction action = {
		.sa_handler = interrupt,
		.sa_flags = flags,
	};

	if (sigaction(SIGUSR1, &action, NULL))
		die("sigaction");
}

/* What went cannot be taken back, so SA_RESTART does not matter. */
TEST_F(preload_socket, signal)
{
	struct caller caller;

	handle(SA_RESTART);
	call_blocked(_metadata, &self->s, variant->way, &caller);
	ASSERT_EQ(0, pthread_kill(caller.thread, SIGUSR1));
	pthread_join(caller.thread, NULL);
	EXPECT_EQ(1, interrupts);
	is_partial(_metadata, &self->s, caller.result, caller.error);
	resume(_metadata, &self->s, variant->way);
}

/* Let the file's first bytes fill the socket, so that nothing more goes. */
static void fill(struct __test_metadata *_metadata,
		 struct situation *self)
{
	struct pollfd room = { .fd = self->pair.tx, .events = POLLOUT };
	struct tcp_info info;
	socklen_t length;
	off_t offset = 0;
	bool goes;

	do {
		/* What is on its way may make room when it arrives. */
		memset(&info, 0, sizeof(info));
		length = sizeof(info);
		getsockopt(self->pair.tx, IPPROTO_TCP, TCP_INFO, &info,
			   &length);
		goes = false;
		while (call(BY_KERNEL, self->pair.tx, self->file.fd, NULL,
			    PAGE) > 0)
			goes = true;
		ASSERT_EQ(EAGAIN, errno);
		offset = position(self->file.fd);
	} while (info.tcpi_unacked || goes || poll(&room, 1, 1));
	EXPECT_GT(SIZE, offset);
}

/* A window may open a little after fill() looked: then something goes. */
#define TRIES	20

static void interrupted_at_once(struct __test_metadata *_metadata,
				struct situation *self, enum way way,
				enum transport transport,
				struct caller *caller)
{
	pair_close(&self->pair);
	pair_open(&self->pair, transport, BUFFER);
	lseek(self->file.fd, 0, SEEK_SET);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	set_nonblocking(self->pair.tx);
	fill(_metadata, self);
	ASSERT_EQ(0, fcntl(self->pair.tx, F_SETFL, 0));
	interrupts = 0;
	call_blocked(_metadata, self, way, caller);
	ASSERT_EQ(0, pthread_kill(caller->thread, SIGUSR1));
}

TEST_F(preload_socket, signal_before_first_byte)
{
	struct caller caller;
	off_t before;
	int tries;

	handle(0);
	for (tries = 0; tries < TRIES; tries++) {
		interrupted_at_once(_metadata, &self->s, variant->way,
				    variant->transport, &caller);
		pthread_join(caller.thread, NULL);
		if (caller.result < 0)
			break;
	}
	EXPECT_EQ(-1, caller.result);
	EXPECT_EQ(EINTR, caller.error);
	before = position(self->s.file.fd);
	EXPECT_LT(0, before);
	EXPECT_GT(SIZE, before);
	resume(_metadata, &self->s, variant->way);
}

/* Nothing went, so the kernel begins again and does it whole. */
TEST_F(preload_socket, restart)
{
	struct caller caller;
	struct reader reader;
	bool whole = false;
	off_t before;
	int tries;

	handle(SA_RESTART);
	for (tries = 0; tries < TRIES && !whole; tries++) {
		interrupted_at_once(_metadata, &self->s, variant->way,
				    variant->transport, &caller);
		while (!__atomic_load_n(&interrupts, __ATOMIC_SEQ_CST))
			;
		before = position(self->s.file.fd);
		reader_start(&reader, self->s.pair.rx, &self->s.part, 1);
		pthread_join(caller.thread, NULL);
		EXPECT_LT(0, caller.result);
		EXPECT_EQ(UNTOUCHED, caller.error);
		whole = before + caller.result == SIZE;
		while (call(variant->way, self->s.pair.tx, self->s.file.fd, NULL,
			    SIZE) > 0)
			;
		EXPECT_EQ(SIZE, position(self->s.file.fd));
		shutdown(self->s.pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, SIZE));
	}
	EXPECT_TRUE(whole);
}

/* A call fails with the error and as many SIGPIPE; nothing moves. */
static void fails(struct __test_metadata *_metadata,
		  struct situation *self, enum way way, int error,
		  int signals)
{
	off_t before = position(self->file.fd);

	errno = 0;
	EXPECT_EQ(-1, call(way, self->pair.tx, self->file.fd, NULL, SIZE));
	EXPECT_EQ(error, errno);
	EXPECT_EQ(signals, caught());
	EXPECT_EQ(before, position(self->file.fd));
}

/* The signal comes with what went before it, in the thread that called. */
TEST_F(preload_tcp, shut_down)
{
	struct caller caller;

	call_blocked(_metadata, &self->s, variant->way, &caller);
	ASSERT_EQ(0, shutdown(self->s.pair.tx, SHUT_WR));
	pthread_join(caller.thread, NULL);
	EXPECT_EQ(1, caller.sigpipes);
	/* Its handler finds all as it will be. */
	EXPECT_EQ(caller.result, caught_at());
	is_partial(_metadata, &self->s, caller.result, caller.error);
	fails(_metadata, &self->s, variant->way, EPIPE, 1);
	fails(_metadata, &self->s, variant->way, EPIPE, 1);
}

/* A reset is told once; who got it with a partial count never hears of it. */
TEST_F(preload_tcp, reset)
{
	struct caller caller;

	call_blocked(_metadata, &self->s, variant->way, &caller);
	ASSERT_TRUE(await(self->s.pair.rx, POLLIN));
	close(self->s.pair.rx);
	self->s.pair.rx = -1;
	pthread_join(caller.thread, NULL);
	EXPECT_LT(0, caller.result);
	EXPECT_GT(SIZE, caller.result);
	EXPECT_EQ(UNTOUCHED, caller.error);
	EXPECT_EQ(caller.result, position(self->s.file.fd));
	EXPECT_EQ(0, caller.sigpipes);
	fails(_metadata, &self->s, variant->way, EPIPE, 1);
}

TEST_F(preload_tcp, reset_before)
{
	ASSERT_EQ(1, send(self->s.pair.tx, "x", 1, 0));
	ASSERT_TRUE(await(self->s.pair.rx, POLLIN));
	close(self->s.pair.rx);
	self->s.pair.rx = -1;
	ASSERT_TRUE(await(self->s.pair.tx, POLLHUP));
	fails(_metadata, &self->s, variant->way, ECONNRESET, 0);
	fails(_metadata, &self->s, variant->way, EPIPE, 1);
}

TEST_F(preload_tcp, sigpipe_blocked)
{
	const struct timespec at_once = {};
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &set, NULL));
	ASSERT_EQ(0, shutdown(self->s.pair.tx, SHUT_WR));
	fails(_metadata, &self->s, variant->way, EPIPE, 0);
	EXPECT_EQ(SIGPIPE, sigtimedwait(&set, &info, &at_once));
	EXPECT_EQ(SI_USER, info.si_code);
	EXPECT_EQ(getpid(), info.si_pid);
	EXPECT_EQ(getuid(), info.si_uid);
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &set, NULL));
}

TEST_F(preload_tcp, sigpipe_ignored_or_not)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, shutdown(self->s.pair.tx, SHUT_WR));
	signal(SIGPIPE, SIG_IGN);
	fails(_metadata, &self->s, variant->way, EPIPE, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		signal(SIGPIPE, SIG_DFL);
		call(variant->way, self->s.pair.tx, self->s.file.fd, NULL, SIZE);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGPIPE, WTERMSIG(status));
}

static void information(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len))
		die("TCP_INFO");
}

static void set_cork(int fd, int on)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)))
		die("TCP_CORK");
}

/*
 * A header that is held back, then the file: they share packets, and each of
 * them but the last is full.
 */
static void shares_packets(struct __test_metadata *_metadata,
			   struct situation *self, enum way way, bool cork,
			   size_t length)
{
	const struct part parts[] = {
		of_memory(0, 256),
		of_file(&self->file, 0, length),
	};
	const uint64_t total = parts_total(parts, 2);
	struct cursor cursor = { .parts = parts, .nr = 2 };
	struct tcp_info info, start;
	struct pair pair;
	off_t offset = 0;

	/* The kernel gives it to TCP pipe by pipe; an ACK in between lets the tail go. */
	if (way == BY_KERNEL && !cork && length > 16 * PAGE)
		return;
	pair_open(&pair, WIRE4, MIB);
	/* A SYN that was sent twice is no segment of data. */
	information(pair.tx, &start);
	if (cork)
		set_cork(pair.tx, 1);
	ASSERT_EQ(256, send(pair.tx, memory(0, 256), 256, cork ? 0 : MSG_MORE));
	ASSERT_EQ(length, call(way, pair.tx, self->file.fd, &offset, length));
	if (cork)
		set_cork(pair.tx, 0);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	information(pair.tx, &info);
	EXPECT_EQ((total + info.tcpi_snd_mss - 1) / info.tcpi_snd_mss,
		  info.tcpi_data_segs_out -
		  (info.tcpi_total_retrans - start.tcpi_total_retrans)) {
		TH_LOG("%zu bytes, mss %u", length, info.tcpi_snd_mss);
	}
	pair_close(&pair);
}

TEST_F(preload_wire, header_shares_packets)
{
	const size_t lengths[] = { 1, 500, 1192, 1193, 5000, 32 * KIB,
				   64 * KIB, 100000 };
	size_t i;

	ASSERT_EQ(0, set_timeout(10000000));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		shares_packets(_metadata, &self->s, variant->way, true, lengths[i]);
		shares_packets(_metadata, &self->s, variant->way, false, lengths[i]);
	}
}

TEST_HARNESS_MAIN
