// SPDX-License-Identifier: GPL-2.0-only
/* ZCOPY_IOC_SUBMIT: what it refuses, in which order, and what runs all the same. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	281U
#define SIZE	(64 * KIB)
#define NUMBER	(ZCOPY_IOC_SUBMIT & ~IOCSIZE_MASK)
#define KNOWN	sizeof(struct zcopy_submit)

FIXTURE(submit)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct zcopy_transfer good;
	char *readonly;		/* a page */
	int device;
};

FIXTURE_SETUP(submit)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, SIZE, SEED);
	pair_open(&self->pair, TCP4, 0);
	self->part = of_file(&self->file, 77, 1000);
	self->good = transfer_of(self->pair.tx, &self->part, 1, 1);
	/* Whatever was refused before. */
	self->good.flags = ZCOPY_RESUME;
	self->readonly = mmap(NULL, 2 * PAGE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->readonly);
	/* And nothing behind it. */
	ASSERT_EQ(0, munmap(self->readonly + PAGE, PAGE));
}

FIXTURE_TEARDOWN(submit)
{
	munmap(self->readonly, PAGE);
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* So many of the good ones ran, and nothing else. */
static void expect_ran(struct __test_metadata *_metadata,
		       FIXTURE_DATA(submit) *self, size_t nr)
{
	struct zcopy_completion none;

	while (nr--) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };

		EXPECT_STREQ("", completes(self->device, 1, 1000, 0, 0));
		EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 1000));
		EXPECT_STREQ("", cursor_verdict(&cursor, 1000));
	}
	EXPECT_EQ(0, reap_now(self->device, &none, 1));
	EXPECT_EQ(-1, recv(self->pair.rx, &none, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, stats_of(self->device, ZCOPY_STATS_CONTEXT).active);
}

/* 0 or -errno of the ioctl with an argument of this size. */
static int sized(int device, void *argument, size_t size)
{
	return ioctl(device, NUMBER | size << IOCSIZE_SHIFT, argument) ?
	       -errno : 0;
}

TEST_F(submit, sizes)
{
	struct {
		struct zcopy_submit submit;
		char tail[64];
	} argument;

	argument.submit = submit_of(&self->good, 1);
	memset(argument.tail, 0, sizeof(argument.tail));
	EXPECT_EQ(-EINVAL, sized(self->device, &argument, 0));
	EXPECT_EQ(-EINVAL, sized(self->device, &argument, KNOWN - 1));
	EXPECT_EQ(0, sized(self->device, &argument, KNOWN));
	EXPECT_EQ(1, argument.submit.accepted);
	EXPECT_EQ(0, sized(self->device, &argument, KNOWN + 1));
	EXPECT_EQ(0, sized(self->device, &argument, sizeof(argument)));
	argument.tail[63] = 1;
	EXPECT_EQ(-E2BIG, sized(self->device, &argument, sizeof(argument)));
	/* It is the size that counts, not what lies behind. */
	EXPECT_EQ(0, sized(self->device, &argument, KNOWN + 63));
	argument.tail[0] = 1;
	EXPECT_EQ(-E2BIG, sized(self->device, &argument, KNOWN + 1));
	EXPECT_EQ(0, sized(self->device, &argument, KNOWN));
	expect_ran(_metadata, self, 5);
}

TEST_F(submit, transfer_sizes)
{
	static const size_t sizes[] = { 49, 56, 64, 4096 };
	const size_t known = sizeof(self->good);
	struct zcopy_submit submit;
	char *array;
	size_t i;

	submit = submit_of(&self->good, 1);
	submit.transfer_size = 0;
	EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	submit.transfer_size = known - 1;
	EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	submit.transfer_size = 4097;
	EXPECT_EQ(-E2BIG, submit_call(self->device, &submit));
	submit.transfer_size = known - 1;
	/* Even if there is none. */
	submit.nr_transfers = 0;
	EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	expect_ran(_metadata, self, 0);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		array = calloc(3, sizes[i]);
		ASSERT_NE(NULL, array);
		memcpy(array, &self->good, known);
		memcpy(array + sizes[i], &self->good, known);
		memcpy(array + 2 * sizes[i], &self->good, known);
		submit = submit_of((void *)array, 3);
		submit.transfer_size = sizes[i];
		EXPECT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(3, submit.accepted);
		EXPECT_EQ(0, submit.error);
		expect_ran(_metadata, self, 3);
		/* A later version's field that this one does not know. */
		array[2 * sizes[i] - 1] = 1;
		EXPECT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(1, submit.accepted);
		EXPECT_EQ(-E2BIG, submit.error);
		expect_ran(_metadata, self, 1);
		free(array);
	}
}

TEST_F(submit, errors_and_their_order)
{
	const struct zcopy_submit good = submit_of(&self->good, 1);
	struct zcopy_submit submit = good;
	struct {
		struct zcopy_submit submit;
		char tail[8];
	} larger = { .submit = good, .tail = { 1 } };
	uint32_t bit;

	/* Each of these has all the faults of those that follow it. */
	EXPECT_EQ(-ENOTTY, ioctl(self->device, NUMBER + 9) ? -errno : 0);
	EXPECT_EQ(-EINVAL, sized(self->device, NULL, KNOWN - 1));
	EXPECT_EQ(-EFAULT, sized(self->device, NULL, KNOWN + 8));
	larger.submit.reserved = 1;
	EXPECT_EQ(-E2BIG, sized(self->device, &larger, sizeof(larger)));
	/* A page that cannot be written: reserved is 0, the rest is bad. */
	EXPECT_EQ(-EFAULT, submit_call(self->device, (void *)self->readonly));
	EXPECT_EQ(-EFAULT, submit_call(self->device,
				       (void *)(self->readonly + PAGE - 8)));

	for (bit = 1; bit; bit <<= 1) {
		submit.reserved = bit;
		EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	}
	submit = good;
	submit.min_completions = 1;
	EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	submit.max_completions = 4;
	submit.min_completions = 5;
	EXPECT_EQ(-EINVAL, submit_call(self->device, &submit));
	/* A call that fails accepts nothing. */
	expect_ran(_metadata, self, 0);

	/* What comes in where it comes out does not matter. */
	submit = good;
	submit.accepted = 7;
	submit.completed = 8;
	submit.error = 9;
	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(0, submit.completed);
	EXPECT_EQ(0, submit.error);
	expect_ran(_metadata, self, 1);
}

TEST_F(submit, nothing)
{
	struct zcopy_submit submit = submit_of(NULL, 0);

	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(0, submit.error);
	/* An address nobody looks at. */
	submit.transfers = 1;
	submit.completions = 1;
	EXPECT_EQ(0, submit_call(self->device, &submit));
	submit.max_completions = 1;
	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(0, submit.completed);
}

TEST_F(submit, unreadable_transfers)
{
	struct zcopy_submit submit = submit_of(NULL, 1);
	struct zcopy_transfer *edge;

	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(-EFAULT, submit.error);
	ASSERT_EQ(0, mprotect(self->readonly, PAGE, PROT_READ | PROT_WRITE));
	edge = (void *)(self->readonly + PAGE - 2 * sizeof(*edge) - 8);
	edge[0] = self->good;
	edge[1] = self->good;
	submit = submit_of(edge, 3);
	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(2, submit.accepted);
	EXPECT_EQ(-EFAULT, submit.error);
	expect_ran(_metadata, self, 2);
}

/* Completions that cannot be written are kept. */
TEST_F(submit, unwritable_completions)
{
	struct zcopy_submit submit = submit_of(&self->good, 1);

	submit.completions = (uintptr_t)self->readonly;
	submit.max_completions = 2;
	submit.min_completions = 1;
	submit.timeout = -1;
	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(1, submit.accepted);
	EXPECT_EQ(0, submit.completed);
	EXPECT_EQ(0, submit.error);
	/* With nothing to say but that, it says that. */
	submit.nr_transfers = 0;
	EXPECT_EQ(-EFAULT, submit_call(self->device, &submit));
	submit.completions = 0;
	EXPECT_EQ(-EFAULT, submit_call(self->device, &submit));
	expect_ran(_metadata, self, 1);
}

/* Those before a bad one run, it and those behind do not. */
TEST_F(submit, bad_in_the_middle)
{
	static struct zcopy_segment vector[5000];
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	int fresh = socket(AF_INET, SOCK_STREAM, 0);
	int generated = open("/proc/version", O_RDONLY);
	int folder = open(directory(XFS), O_RDONLY);
	int writeonly = open(directory(XFS), O_TMPFILE | O_WRONLY, 0600);
	const struct zcopy_segment of = self->part.segment;
	const struct {
		struct zcopy_transfer transfer;
		struct zcopy_segment segment;
		int error;
	} rows[] = {
#define BAD(field, value, error)					\
		{ { .field = (value) }, {}, error }
#define BAD_SEGMENT(error, addr, len, fd, flags)				\
		{ {}, { addr, len, fd, flags }, error }
		BAD(flags, 0x200, -EINVAL),
		BAD(flags, 1U << 31, -EINVAL),
		BAD(reserved, 1, -EINVAL),
		BAD(readahead, ZCOPY_MAX_READAHEAD + 1, -EINVAL),
		BAD(flags, ZCOPY_SYNC | ZCOPY_NOTIFY, -EINVAL),
		/* The test has the file open for writing. */
		BAD(flags, ZCOPY_LEASE, -EAGAIN),
		BAD(nr_segments, 1025, -EMSGSIZE),
		BAD(segments, 8, -EFAULT),
		BAD(socket, -1, -EBADF),
		BAD(target, folder, -ENOTSOCK),
		BAD(target, self->file.fd, -EBADF),
		BAD(socket, udp, -EPROTONOSUPPORT),
		BAD(socket, fresh, -ENOTCONN),
		BAD_SEGMENT(-EINVAL, of.addr, of.len, of.fd, 1),
		BAD_SEGMENT(-EINVAL, 1ULL << 63, 1, of.fd, 0),
		BAD_SEGMENT(-EOVERFLOW, 1, (1ULL << 63) - 1, of.fd, 0),
		BAD_SEGMENT(-EMSGSIZE, (uintptr_t)vector, 65537, ZCOPY_MEMORY,
			    0),
		BAD_SEGMENT(-EFAULT, 8, 8, ZCOPY_MEMORY, 0),
		BAD_SEGMENT(-EBADF, 0, 0, -1, 0),
		BAD_SEGMENT(-EBADF, 0, 0, writeonly, 0),
		BAD_SEGMENT(-ESPIPE, 0, 0, folder, 0),
		/* Its content depends on who reads. */
		BAD_SEGMENT(-EOPNOTSUPP, 0, 0, generated, 0),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct zcopy_transfer *bad = &rows[i].transfer;
		struct zcopy_segment segments[2] = { of, rows[i].segment };
		struct zcopy_transfer t = self->good;
		struct zcopy_submit submit;

		if (rows[i].segment.fd) {
			t.segments = (uintptr_t)segments;
			t.nr_segments = 2;
		}
		t.flags = bad->flags;
		t.reserved = bad->reserved;
		t.readahead = bad->readahead;
		t.socket = bad->socket ?: t.socket;
		t.segments = bad->segments ?: t.segments;
		t.nr_segments = bad->nr_segments ?: t.nr_segments;
		submit = submit_of((struct zcopy_transfer []){
			self->good, self->good, t, self->good }, 4);
		EXPECT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(2, submit.accepted);
		EXPECT_EQ(rows[i].error, submit.error) {
			TH_LOG("row %zu", i);
		}
		expect_ran(_metadata, self, 2);
	}
	/* No segments at all. */
	self->good.nr_segments = 0;
	{
		struct zcopy_submit submit = submit_of(&self->good, 1);

		EXPECT_EQ(0, submit_call(self->device, &submit));
		EXPECT_EQ(0, submit.accepted);
		EXPECT_EQ(-EINVAL, submit.error);
	}
	close(udp);
	close(fresh);
	close(generated);
	close(folder);
	close(writeonly);
}

/* O_NONBLOCK of the socket means nothing to the queue. */
TEST_F(submit, nonblocking_socket)
{
	struct part parts[100];
	struct reader reader;
	struct pair pair;
	size_t i;

	pair_open(&pair, TCP4, 64 * 1024);
	set_nonblocking(pair.tx);
	for (i = 0; i < 100; i++) {
		parts[i] = of_file(&self->file, i, 0);
		submit_one(self->device, pair.tx, &parts[i], i);
	}
	reader_start(&reader, pair.rx, parts, 100);
	for (i = 0; i < 100; i++)
		EXPECT_STREQ("", completes(self->device, i, SIZE - i, 0, 0));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(parts, 100)));
	pair_close(&pair);
}

#define PIPES	600

/* How many of the pipes have something in them. */
static int count_filled(int (*pipes)[2])
{
	int i, left, filled = 0;

	for (i = 0; i < PIPES; i++) {
		if (ioctl(pipes[i][0], FIONREAD, &left))
			die("FIONREAD");
		filled += left > 0;
	}
	return filled;
}

/* As many transfers as there are pipes, 1 MiB to each, in one call. */
static void fill_pipes(int (*pipes)[2], const struct part *part)
{
	struct zcopy_transfer transfers[PIPES];
	int i, device = device_open();

	for (i = 0; i < PIPES; i++)
		transfers[i] = transfer_of(pipes[i][1], part, 1, i);
	submit_all(device, transfers, PIPES);
	/* The parent kills it before; or tries again. */
	pause();
}

/*
 * Who is killed in a call that sends a lot is gone before all is sent: in one try
 * of several, as the signal may come late, and the workers be quick.
 */
TEST_F(submit, killed)
{
	static int pipes[PIPES][2];
	struct file file;
	struct part part;
	int i, try, before = 0, after = PIPES;

	descriptors_allow(3 * PIPES);
	file_make(&file, TMPFS, MIB, SEED);
	part = of_file(&file, 0, 0);
	for (try = 0; try < 10 && after == PIPES; try++) {
		uint64_t since = 0;
		pid_t child;

		for (i = 0; i < PIPES; i++) {
			ASSERT_EQ(0, pipe(pipes[i]));
			ASSERT_EQ(MIB, fcntl(pipes[i][1], F_SETPIPE_SZ, MIB));
		}
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			fill_pipes(pipes, &part);
			_exit(0);
		}
		do
			before = count_filled(pipes);
		while (!before && patience(&since));
		kill(child, SIGKILL);
		ASSERT_EQ(child, waitpid(child, NULL, 0));
		EXPECT_TRUE(await_active(0));
		after = count_filled(pipes);
		for (i = 0; i < PIPES; i++) {
			close(pipes[i][0]);
			close(pipes[i][1]);
		}
	}
	TH_LOG("%d pipes were filled when the signal came, %d in the end",
	       before, after);
	EXPECT_GT(PIPES, after);
	file_close(&file);
}

TEST_HARNESS_MAIN
