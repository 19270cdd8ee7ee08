// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZCOPY_LEASE: who wants to change a file waits for its release, for so long
 * and no longer, and what arrives is of one version of the file.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	671U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534

/* What a completion may know already, though it does not wait for it. */
#define EARLY	(ZCOPY_C_COPIED | ZCOPY_C_RELEASED)

#define ENABLE	"/proc/sys/fs/leases-enable"

FIXTURE(lease)
{
	struct watch watch;
	struct file file;
	struct file other;
	struct pair pair;
	struct part part;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	int device;
};

FIXTURE_VARIANT(lease)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(lease, name)				\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(wire4, WIRE4, XFS);
OVER(wire6, WIRE6, EXT4);
OVER(loopback, TCP4, EXT4);
OVER(veth, VETH, TMPFS);
OVER(unix, UNIX, XFS);

FIXTURE_SETUP(lease)
{
	break_time(BREAK_LONG);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	file_make(&self->other, variant->filesystem, SIZE, SEED + 1);
	file_seal(&self->file);
	file_seal(&self->other);
	pair_open(&self->pair, variant->transport, SMALL);
	self->part = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 6);
	self->transfer.flags = ZCOPY_LEASE;
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

FIXTURE_TEARDOWN(lease)
{
	pair_close(&self->pair);
	/* A lease ends with the release, which may take its time. */
	EXPECT_TRUE(await_active(0));
	close(self->device);
	/* Nothing is left of any lease. */
	EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
	EXPECT_EQ(0, open_nonblocking(&self->other, O_WRONLY));
	file_close(&self->file);
	file_close(&self->other);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* By every door, and nothing is sent. */
static void expect_refused(struct __test_metadata *_metadata,
			   FIXTURE_DATA(lease) *self, int error)
{
	struct zcopy_completion done;
	int door;

	for (door = 0; door < DOORS; door++) {
		EXPECT_EQ(error, fly(door, self->device, &self->transfer,
				     &done)) {
			TH_LOG("door %d", door);
		}
	}
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).bytes);
}

/* The socket takes some of it: from now on it is leased. */
static void get_stuck(struct __test_metadata *_metadata,
		      FIXTURE_DATA(lease) *self, struct flight *flight,
		      enum door door)
{
	flight_start(flight, door, self->device, &self->transfer);
	ASSERT_TRUE(flight_waits(flight));
	ASSERT_TRUE(await(self->pair.rx, POLLIN));
}

static void drain(struct __test_metadata *_metadata, FIXTURE_DATA(lease) *self)
{
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx,
				parts_total(self->cursor.parts,
					    self->cursor.nr)));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, self->cursor.got));
	self->cursor.at = 0;
	self->cursor.got = 0;
}

TEST_F(lease, refused_while_open_for_writing)
{
	struct zcopy_segment segments[2];
	const int flags[] = { O_WRONLY, O_RDWR };
	size_t i;
	int fd;

	segments[0] = self->part.segment;
	segments[1] = of_file(&self->other, 0, 0).segment;
	self->transfer.segments = (uintptr_t)segments;
	self->transfer.nr_segments = 2;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = open_again(self->other.fd, flags[i]);
		ASSERT_LE(0, fd);
		expect_refused(_metadata, self, -EAGAIN);
		/* The lease on the first one was given back. */
		EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
		/* The caller's own descriptor counts too. */
		segments[1].fd = fd;
		if (flags[i] == O_RDWR)
			expect_refused(_metadata, self, -EAGAIN);
		segments[1].fd = self->other.fd;
		close(fd);
	}
}

TEST_F(lease, refused_to_a_writer_in_another_process)
{
	int go[2], ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(go[1]);
		if (open_again(self->file.fd, O_WRONLY) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(go[0], &byte, 1) ? 1 : 0);
	}
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	expect_refused(_metadata, self, -EAGAIN);
	close(go[0]);
	close(go[1]);
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	close(ready[0]);
	close(ready[1]);
}

/* Nobody waits for the other one; and to try again is no failure, but for a ring. */
TEST_F(lease, refused_beside_a_lease_to_write)
{
	struct zcopy_completion done;
	uint64_t since = 0;
	int door;

	signal(SIGIO, SIG_IGN);
	/* Such a lease is for who alone has it open. */
	ASSERT_LE(0, dup3(self->file.fd, self->file.rw, O_CLOEXEC));
	self->part = of_file(&self->file, 0, 1000);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 6);
	for (door = 0; door < DOORS; door++) {
		self->transfer.flags = ZCOPY_LEASE;
		/* That of the one before is closed a moment after its release. */
		while (fcntl(self->file.fd, F_SETLEASE, F_WRLCK))
			ASSERT_TRUE(patience(&since));
		EXPECT_EQ(-EAGAIN, fly(door, self->device, &self->transfer, &done));
		ASSERT_EQ(0, fcntl(self->file.fd, F_SETLEASE, F_UNLCK));
		if (door == URING)
			self->transfer.flags |= ZCOPY_RESUME;
		ASSERT_EQ(0, fly(door, self->device, &self->transfer, &done));
		EXPECT_EQ(1000, done.bytes);
		EXPECT_EQ(0, done.error);
		drain(_metadata, self);
	}
}

/* The owner of a file may, or root. */
TEST_F(lease, refused_to_another_user)
{
	struct zcopy_completion done;
	pid_t child;
	int status;

	ASSERT_EQ(0, fchown(self->other.fd, NOBODY, NOBODY));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct zcopy_segment mine = of_file(&self->other, 0, 9).segment;

		become(NOBODY);
		expect_refused(_metadata, self, -EACCES);
		self->transfer.segments = (uintptr_t)&mine;
		EXPECT_EQ(0, fly(SEND, self->device, &self->transfer, &done));
		EXPECT_EQ(0, done.error);
		_exit(!__test_passed(_metadata));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(lease, refused_where_there_are_none)
{
	ASSERT_EQ(0, run("echo 0 > " ENABLE));
	expect_refused(_metadata, self, -ENOLCK);
	/* Memory needs no lease. */
	self->part = of_memory(0, 100);
	self->transfer.flags = ZCOPY_LEASE | ZCOPY_SYNC;
	EXPECT_EQ(0, fly(SEND, self->device, &self->transfer,
			 &(struct zcopy_completion){}));
	EXPECT_EQ(0, run("echo 1 > " ENABLE));
	drain(_metadata, self);
}

/* Somebody waits already: no new lease keeps him waiting longer. */
TEST_F(lease, refused_while_somebody_waits)
{
	int second = device_open();
	struct breaker breaker;
	struct flight flight;
	struct pair other;
	int first = self->device;

	pair_open(&other, UNIX, 0);
	get_stuck(_metadata, self, &flight, SUBMIT);
	breaker_start(&breaker, &self->file, OPEN_WRITE);
	ASSERT_TRUE(breaker_waits(&breaker));
	self->device = second;
	self->transfer.socket = other.tx;
	expect_refused(_metadata, self, -EAGAIN);
	self->device = first;
	drain(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&breaker));
	EXPECT_EQ(0, flight_finish(&flight));
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  flight.send.completion.flags & ~EARLY);
	pair_close(&other);
	close(second);
}

/*
 * Each kind of change waits until all is released, and then comes at once:
 * nobody lives to see the end of the break time here.
 */
TEST_F(lease, changes_wait)
{
	int door, how;

	for (door = 0; door < DOORS; door++) {
		for (how = 0; how < BREAKINGS; how++) {
			struct breaker breaker;
			struct flight flight;

			if (how != OPEN_WRITE && (door + how) % 2)
				continue;
			file_close(&self->file);
			file_make(&self->file, variant->filesystem, SIZE, SEED);
			file_seal(&self->file);
			self->part = of_file(&self->file, 0, 0);
			self->transfer.flags = ZCOPY_LEASE | ZCOPY_SYNC;
			get_stuck(_metadata, self, &flight, door);
			EXPECT_EQ(-EWOULDBLOCK,
				  open_nonblocking(&self->file, O_WRONLY));
			EXPECT_EQ(0, open_nonblocking(&self->file, O_RDONLY));
			breaker_start(&breaker, &self->file, how);
			ASSERT_TRUE(breaker_waits(&breaker));
			/* As long as there is more to send, it waits. */
			EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx,
						SIZE / 4));
			EXPECT_FALSE(breaker_ended(&breaker));
			EXPECT_TRUE(cursor_release(&self->cursor,
						   self->pair.rx, &flight,
						   UINT64_MAX));
			ASSERT_EQ(0, flight_finish(&flight));
			EXPECT_EQ(SIZE, flight.send.completion.bytes);
			EXPECT_EQ(0, flight.send.completion.error);
			EXPECT_EQ(flags_released(variant->transport) |
				  ZCOPY_C_LEASE_BROKEN,
				  flight.send.completion.flags);
			EXPECT_EQ(0, breaker_finish(&breaker));
			/* What is read now went before it changed. */
			EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx,
						SIZE - self->cursor.got));
			EXPECT_STREQ("", cursor_verdict(&self->cursor, SIZE));
			self->cursor = (struct cursor){ .parts = &self->part,
							.nr = 1 };
		}
	}
}

/* Nobody wanted to change it: nothing is said, and nobody has to wait. */
TEST_F(lease, readers_break_nothing)
{
	struct flight flight;
	int door;

	for (door = 0; door < DOORS; door++) {
		get_stuck(_metadata, self, &flight, door);
		EXPECT_EQ(0, open_nonblocking(&self->file, O_RDONLY));
		drain(_metadata, self);
		ASSERT_EQ(0, flight_finish(&flight));
		EXPECT_EQ(SIZE, flight.send.completion.bytes);
		EXPECT_EQ(0, flight.send.completion.flags & ~EARLY);
		EXPECT_TRUE(await_active(0));
	}
}

TEST_F(lease, several_files)
{
	const struct part parts[] = {
		of_file(&self->file, 0, 0), of_memory(0, 99),
		of_file(&self->other, 0, 0), of_file(&self->file, 5, 1000),
	};
	struct breaker breakers[2];
	struct flight flight;

	self->transfer = transfer_of(self->pair.tx, parts, 4, 6);
	self->transfer.flags = ZCOPY_LEASE;
	self->cursor = (struct cursor){ .parts = parts, .nr = 4 };
	get_stuck(_metadata, self, &flight, SUBMIT);
	/* The last one of them first, long before its turn. */
	breaker_start(&breakers[1], &self->other, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&breakers[1]));
	breaker_start(&breakers[0], &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&breakers[0]));
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, SIZE + 99));
	EXPECT_FALSE(breaker_ended(&breakers[0]));
	EXPECT_FALSE(breaker_ended(&breakers[1]));
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, SIZE + 1000));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, 2 * SIZE + 1099));
	EXPECT_EQ(0, breaker_finish(&breakers[0]));
	EXPECT_EQ(0, breaker_finish(&breakers[1]));
	ASSERT_EQ(0, flight_finish(&flight));
	EXPECT_EQ(2 * SIZE + 1099, flight.send.completion.bytes);
	EXPECT_EQ(0, flight.send.completion.error);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  flight.send.completion.flags & ~EARLY);
}

/* Two contexts: the change waits for the later of them. */
TEST_F(lease, two_contexts)
{
	struct flight flights[2];
	struct breaker breaker;
	struct pair pair;
	struct cursor cursor = self->cursor;
	int other = device_open();

	pair_open(&pair, variant->transport, SMALL);
	get_stuck(_metadata, self, &flights[0], SUBMIT);
	self->transfer.socket = pair.tx;
	flight_start(&flights[1], SUBMIT, other, &self->transfer);
	breaker_start(&breaker, &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&breaker));
	drain(_metadata, self);
	ASSERT_EQ(0, flight_finish(&flights[0]));
	EXPECT_TRUE(breaker_waits(&breaker));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	ASSERT_EQ(0, flight_finish(&flights[1]));
	EXPECT_EQ(0, breaker_finish(&breaker));
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  flights[0].send.completion.flags & ~EARLY);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  flights[1].send.completion.flags & ~EARLY);
	pair_close(&pair);
	close(other);
}

static int signals;		/* atomic */

static void count_signal(int number)
{
	(void)number;
	__atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
}

/* The program's own lease on the same descriptor lives its own life. */
TEST_F(lease, own_lease_is_left_alone)
{
	struct sigaction action = { .sa_handler = count_signal,
				    .sa_flags = SA_RESTART };
	struct zcopy_completion done;
	struct breaker breaker;
	struct flight flight;
	uint64_t since = 0;

	ASSERT_EQ(0, sigaction(SIGRTMIN + 3, &action, NULL));
	ASSERT_EQ(0, fcntl(self->file.fd, F_SETSIG, SIGRTMIN + 3));
	ASSERT_EQ(0, fcntl(self->file.fd, F_SETLEASE, F_RDLCK));
	get_stuck(_metadata, self, &flight, SUBMIT);
	EXPECT_EQ(F_RDLCK, fcntl(self->file.fd, F_GETLEASE));
	drain(_metadata, self);
	ASSERT_EQ(0, flight_finish(&flight));
	EXPECT_EQ(0, flight.send.completion.flags & ~EARLY);
	ASSERT_TRUE(await_active(0));
	EXPECT_EQ(F_RDLCK, fcntl(self->file.fd, F_GETLEASE));
	EXPECT_EQ(SIGRTMIN + 3, fcntl(self->file.fd, F_GETSIG));
	EXPECT_EQ(getpid(), fcntl(self->file.fd, F_GETOWN));
	EXPECT_EQ(0, __atomic_load_n(&signals, __ATOMIC_SEQ_CST));

	/* Broken together, each is told its own way. */
	get_stuck(_metadata, self, &flight, SUBMIT);
	breaker_start(&breaker, &self->file, OPEN_WRITE);
	while (!__atomic_load_n(&signals, __ATOMIC_SEQ_CST))
		if (!patience(&since))
			die("no signal comes");
	drain(_metadata, self);
	ASSERT_EQ(0, flight_finish(&flight));
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  flight.send.completion.flags & ~EARLY);
	ASSERT_TRUE(await_active(0));
	EXPECT_TRUE(breaker_waits(&breaker));
	EXPECT_EQ(-EAGAIN, fly(SEND, self->device, &self->transfer, &done));
	ASSERT_EQ(0, fcntl(self->file.fd, F_SETLEASE, F_UNLCK));
	EXPECT_EQ(0, breaker_finish(&breaker));
	EXPECT_EQ(1, __atomic_load_n(&signals, __ATOMIC_SEQ_CST));
}

/* It goes with its owner. */
TEST_F(lease, context_closed)
{
	struct breaker breaker;
	struct flight flight;

	get_stuck(_metadata, self, &flight, SUBMIT);
	breaker_start(&breaker, &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&breaker));
	close(self->device);
	shutdown(self->pair.tx, SHUT_WR);
	while (cursor_read(&self->cursor, self->pair.rx, MIB) > 0)
		;
	EXPECT_GT(SIZE, self->cursor.got);
	EXPECT_STREQ("", cursor_verdict(&self->cursor, self->cursor.got));
	EXPECT_EQ(0, breaker_finish(&breaker));
	self->device = device_open();
}

static pid_t maker;

static void enable(void)
{
	if (getpid() == maker)
		run("echo 1 > " ENABLE);
}

int main(int argc, char **argv)
{
	veth_make();
	break_time_long();
	maker = getpid();
	if (atexit(enable))
		die("arrange for the leases");
	return test_harness_run(argc, argv);
}
