// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that takes a lease on its own, with a real-time signal, sends the
 * file with a call that blocks; meanwhile another process truncates the file.
 * The signal comes before the call returns, and the call tells what went. The
 * same without any lease, and with ZCOPY_LEASE instead.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	711U
#define SIZE	(2 * MIB)
#define HEADER	200
#define TOTAL	(SIZE + 2 * HEADER)
#define SMALL	(64 * 1024)	/* of a socket buffer */

/* What the program has to tell, in memory that both processes see. */
struct report {
	struct zcopy_completion completion;
	int error;		/* of the ioctl */
	int signals;		/* until it returned */
	int descriptor;		/* that the signal told */
	bool returned;		/* atomic */
	bool release;		/* atomic; it may give up its lease */
	bool released;		/* atomic; it has */
	bool leave;		/* atomic; it may end */
};

FIXTURE(program)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	bool tcp;
	struct part parts[3];
	struct cursor cursor;
	struct breaker breaker;
	struct report *report;
	pid_t child;
	int device;
};

FIXTURE_VARIANT(program)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(program, name)				\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(wire4, WIRE4, EXT4);
OVER(wire6, WIRE6, XFS);
OVER(loopback, TCP4, XFS);
OVER(veth, VETH, TMPFS);
OVER(unix, UNIX, EXT4);

FIXTURE_SETUP(program)
{
	break_time(BREAK_LONG);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	file_seal(&self->file);
	pair_open(&self->pair, variant->transport, SMALL);
	self->tcp = variant->transport != UNIX;
	self->parts[0] = of_memory(0, HEADER);
	self->parts[1] = of_file(&self->file, 0, 0);
	self->parts[2] = of_memory(HEADER, HEADER);
	/* Not more than there was, however it changes. */
	self->parts[1].segment.len = SIZE;
	self->cursor = (struct cursor){ .parts = self->parts, .nr = 3 };
	self->report = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->report);
}

FIXTURE_TEARDOWN(program)
{
	munmap(self->report, PAGE);
	close(self->pair.rx);
	/* A lease ends with the release, which may take its time. */
	EXPECT_TRUE(await_active(0));
	close(self->device);
	EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct report *reported;

static void lease_is_broken(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (!__atomic_load_n(&reported->returned, __ATOMIC_SEQ_CST))
		__atomic_fetch_add(&reported->signals, 1, __ATOMIC_SEQ_CST);
	reported->descriptor = info->si_fd;
}

static void take_lease(int fd)
{
	struct sigaction action = {
		.sa_sigaction = lease_is_broken,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	if (sigaction(SIGRTMIN, &action, NULL) ||
	    fcntl(fd, F_SETSIG, SIGRTMIN) || fcntl(fd, F_SETLEASE, F_RDLCK))
		die("take a lease");
}

static void program(FIXTURE_DATA(program) *self, bool lease, uint32_t flags)
{
	struct report *report = self->report;
	struct zcopy_segment segments[3];
	struct zcopy_send send = {
		.transfer = {
			.segments = (uintptr_t)segments,
			.nr_segments = 3,
			.socket = self->pair.tx,
			.flags = flags,
		},
	};
	uint64_t since = 0;
	int i;

	for (i = 0; i < 3; i++)
		segments[i] = self->parts[i].segment;
	reported = report;
	if (lease)
		take_lease(self->file.fd);
	if (ioctl(self->device, ZCOPY_IOC_SEND, &send))
		report->error = errno;
	report->completion = send.completion;
	__atomic_store_n(&report->returned, true, __ATOMIC_SEQ_CST);
	/* The end of the stream, and the end of the lease when all agree. */
	shutdown(self->pair.tx, SHUT_WR);
	while (!__atomic_load_n(&report->release, __ATOMIC_SEQ_CST))
		if (!patience(&since))
			die("nobody wants the lease to end");
	if (lease && fcntl(self->file.fd, F_SETLEASE, F_UNLCK))
		die("give up the lease");
	__atomic_store_n(&report->released, true, __ATOMIC_SEQ_CST);
	/* With it its transfer would end, and its leases. */
	while (!__atomic_load_n(&report->leave, __ATOMIC_SEQ_CST))
		if (!patience(&since))
			die("nobody lets it end");
}

/* Until it waits in its call for room in the socket. */
static void program_start(struct __test_metadata *_metadata,
			  FIXTURE_DATA(program) *self, bool lease,
			  uint32_t flags)
{
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		close(self->pair.rx);
		program(self, lease, flags);
		_exit(0);
	}
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, SMALL));
	/* What it has sent is more than the receiver takes unless it reads. */
	if (self->tcp)
		ASSERT_TRUE(await_full(self->pair.tx));
	close(self->pair.tx);
	ASSERT_TRUE(await_sleep(self->child));
	EXPECT_FALSE(__atomic_load_n(&self->report->returned,
				     __ATOMIC_SEQ_CST));
}

static void await_return(FIXTURE_DATA(program) *self)
{
	uint64_t since = 0;

	while (!__atomic_load_n(&self->report->returned, __ATOMIC_SEQ_CST))
		if (!patience(&since))
			die("the call does not return");
}

/* It gives up its lease. */
static void program_release(FIXTURE_DATA(program) *self)
{
	uint64_t since = 0;

	__atomic_store_n(&self->report->release, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&self->report->released, __ATOMIC_SEQ_CST))
		if (!patience(&since))
			die("the lease is not given up");
}

/* And ends well. */
static void program_finish(struct __test_metadata *_metadata,
			   FIXTURE_DATA(program) *self)
{
	int status;

	program_release(self);
	__atomic_store_n(&self->report->leave, true, __ATOMIC_SEQ_CST);
	ASSERT_EQ(self->child, waitpid(self->child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, self->report->error);
}

/* All that comes until the end of the stream. */
static void receive_all(FIXTURE_DATA(program) *self)
{
	while (cursor_read(&self->cursor, self->pair.rx, MIB) > 0)
		;
}

/* The truncation waits: for the program, which gets the signal, or for us. */
static void truncate_leased(struct __test_metadata *_metadata,
			    FIXTURE_DATA(program) *self)
{
	breaker_start(&self->breaker, &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&self->breaker));
}

static void expect_interrupted(struct __test_metadata *_metadata,
			       FIXTURE_DATA(program) *self)
{
	const struct zcopy_completion *done = &self->report->completion;

	EXPECT_EQ(1, self->report->signals);
	EXPECT_EQ(self->file.fd, self->report->descriptor);
	EXPECT_EQ(-EINTR, done->error);
	EXPECT_LE(SMALL, done->bytes);
	EXPECT_GT(TOTAL, done->bytes);
}

TEST_F(program, with_its_own_lease)
{
	program_start(_metadata, self, true, 0);
	truncate_leased(_metadata, self);
	await_return(self);
	expect_interrupted(_metadata, self);
	EXPECT_FALSE(breaker_ended(&self->breaker));
	/* The bytes that went, all of them of the file as it was. */
	receive_all(self);
	EXPECT_STREQ("", cursor_verdict(&self->cursor,
					self->report->completion.bytes));
	program_finish(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
}

/* The lease is given up while bytes are on their way. */
TEST_F(program, with_its_own_lease_and_late_reader)
{
	static char seen[SIZE], old[SIZE];
	uint64_t got = 0, file, i;
	ssize_t n;

	program_start(_metadata, self, true, 0);
	truncate_leased(_metadata, self);
	await_return(self);
	expect_interrupted(_metadata, self);
	program_finish(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	do {
		n = recv(self->pair.rx, seen + got, sizeof(seen) - got, 0);
		got += n > 0 ? n : 0;
	} while (n > 0);
	EXPECT_EQ(self->report->completion.bytes, self->cursor.got + got);
	/* The header is long gone. What is seen is the file, or a hole. */
	file = self->cursor.got - HEADER;
	pattern(old, got, SEED, file);
	for (i = 0; i < got; i++) {
		ASSERT_TRUE(seen[i] == old[i] || !seen[i]) {
			TH_LOG("byte %ju", (uintmax_t)(file + i));
		}
	}
}

/* Nothing keeps the file as it is: a short success, and the trailer. */
TEST_F(program, without_a_lease)
{
	const struct zcopy_completion *done = &self->report->completion;
	static char seen[TOTAL], old[TOTAL];
	uint64_t got = 0, file, i;
	ssize_t n;

	program_start(_metadata, self, false, 0);
	breaker_start(&self->breaker, &self->file, TRUNCATE);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	do {
		n = recv(self->pair.rx, seen + got, sizeof(seen) - got, 0);
		got += n > 0 ? n : 0;
	} while (n > 0);
	await_return(self);
	program_finish(_metadata, self);
	EXPECT_EQ(0, self->report->signals);
	EXPECT_EQ(0, done->error);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, done->flags & ~ZCOPY_C_COPIED);
	EXPECT_EQ(self->cursor.got + got, done->bytes);
	ASSERT_LE(HEADER, got);
	EXPECT_EQ(0, memcmp(seen + got - HEADER, memory(HEADER, HEADER),
			    HEADER));
	file = self->cursor.got - HEADER;
	pattern(old, got - HEADER, SEED, file);
	for (i = 0; i < got - HEADER; i++) {
		ASSERT_TRUE(seen[i] == old[i] || !seen[i]) {
			TH_LOG("byte %ju", (uintmax_t)(file + i));
		}
	}
}

static void expect_whole(struct __test_metadata *_metadata,
			 FIXTURE_DATA(program) *self, uint32_t flags)
{
	const struct zcopy_completion *done = &self->report->completion;

	EXPECT_STREQ("", cursor_verdict(&self->cursor, TOTAL));
	EXPECT_EQ(0, self->report->signals);
	EXPECT_EQ(TOTAL, done->bytes);
	EXPECT_EQ(0, done->error);
	EXPECT_EQ(flags, done->flags & (ZCOPY_C_LEASE_BROKEN |
					ZCOPY_C_TRUNCATED));
}

/* The truncation waits, every byte is of the file as it was. */
TEST_F(program, with_zcopy_lease)
{
	program_start(_metadata, self, false, ZCOPY_LEASE);
	truncate_leased(_metadata, self);
	receive_all(self);
	await_return(self);
	expect_whole(_metadata, self, ZCOPY_C_LEASE_BROKEN);
	program_finish(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
}

TEST_F(program, with_zcopy_lease_until_the_release)
{
	program_start(_metadata, self, false, ZCOPY_LEASE | ZCOPY_SYNC);
	truncate_leased(_metadata, self);
	receive_all(self);
	await_return(self);
	expect_whole(_metadata, self, ZCOPY_C_LEASE_BROKEN);
	EXPECT_TRUE(self->report->completion.flags & ZCOPY_C_RELEASED);
	program_finish(_metadata, self);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
}

/* Both: the call ends early, and even so no byte changes on its way. */
TEST_F(program, with_both)
{
	program_start(_metadata, self, true, ZCOPY_LEASE);
	truncate_leased(_metadata, self);
	await_return(self);
	expect_interrupted(_metadata, self);
	/* The program lets go; what is on its way does not. */
	program_release(self);
	if (is_wire(variant->transport))
		EXPECT_FALSE(breaker_ended(&self->breaker));
	receive_all(self);
	program_finish(_metadata, self);
	EXPECT_STREQ("", cursor_verdict(&self->cursor,
					self->report->completion.bytes));
	EXPECT_EQ(0, breaker_finish(&self->breaker));
}

int main(int argc, char **argv)
{
	veth_make();
	break_time_long();
	return test_harness_run(argc, argv);
}
