// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files sent to files by the preload shim: what the system call does there, it
 * does, by way of the device. Each test runs with both.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/shim.h"
#include "lib/watch.h"

#define SIZE	(8 * MIB)
#define LIMIT	(MIB + 100)
#define START	(64 * KIB)	/* position of the target before a call */

FIXTURE(preload_file)
{
	struct watch watch;
	struct file from;
	struct file to;
};

FIXTURE_VARIANT(preload_file)
{
	enum way way;
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(preload_file, kernel_ext4)
{
	.way = BY_KERNEL,
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(preload_file, shim_ext4)
{
	.way = BY_SHIM,
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(preload_file, kernel_xfs)
{
	.way = BY_KERNEL,
	.filesystem = XFS,
};

/* It shares blocks. */
FIXTURE_VARIANT_ADD(preload_file, shim_xfs)
{
	.way = BY_SHIM,
	.filesystem = XFS,
};

static int signals;

static void count(int number)
{
	(void)number;
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

static void catch(int number)
{
	const struct sigaction action = { .sa_handler = count };

	signals = 0;
	if (sigaction(number, &action, NULL))
		die("sigaction");
}

FIXTURE_SETUP(preload_file)
{
	shim_load();
	watch_begin(&self->watch);
	file_make(&self->from, variant->filesystem, SIZE, 171);
	file_make(&self->to, variant->filesystem, START, 172);
	ASSERT_EQ(START, lseek(self->to.rw, START, SEEK_SET));
}

FIXTURE_TEARDOWN(preload_file)
{
	EXPECT_STREQ("", file_intact(&self->from));
	EXPECT_STREQ("", file_intact(&self->to));
	file_close(&self->from);
	file_close(&self->to);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* One call from the start of the file, by its position. */
static void send(struct __test_metadata *_metadata,
		 FIXTURE_DATA(preload_file) *self, enum way way,
		 struct outcome *outcome)
{
	ASSERT_EQ(0, lseek(self->from.fd, 0, SEEK_SET));
	ASSERT_EQ(START, lseek(self->to.rw, START, SEEK_SET));
	outcome_call(outcome, way, self->to.rw, self->from.fd, NULL, SIZE);
}

static const char *arrived(FIXTURE_DATA(preload_file) *self, uint64_t bytes)
{
	return file_holds(&self->to, START, (struct stretch){ 171, 0, bytes });
}

TEST_F(preload_file, whole)
{
	struct zcopy_stats before, after;
	int device = device_open();
	struct outcome outcome;

	device_stats(device, ZCOPY_STATS_MODULE, &before);
	send(_metadata, self, variant->way, &outcome);
	device_stats(device, ZCOPY_STATS_MODULE, &after);
	EXPECT_EQ(SIZE, outcome.result);
	EXPECT_EQ(UNTOUCHED, outcome.error);
	EXPECT_EQ(SIZE, outcome.in_position);
	EXPECT_EQ(START + SIZE, outcome.out_position);
	EXPECT_STREQ("", arrived(self, SIZE));
	EXPECT_EQ(variant->way == BY_SHIM ? SIZE : 0, outcome.by_device);
	if (variant->filesystem == XFS)
		EXPECT_EQ(before.bytes_copied, after.bytes_copied);
	close(device);
}

/* As far as the file may grow, and with the signal that tells so. */
TEST_F(preload_file, limited)
{
	struct rlimit old, limit;
	struct outcome outcome;

	catch(SIGXFSZ);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));
	limit = (struct rlimit){ LIMIT, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
	send(_metadata, self, variant->way, &outcome);
	EXPECT_EQ(LIMIT - START, outcome.result);
	EXPECT_EQ(UNTOUCHED, outcome.error);
	EXPECT_EQ(LIMIT - START, outcome.in_position);
	EXPECT_EQ(LIMIT, outcome.out_position);
	EXPECT_EQ(1, signals);
	EXPECT_STREQ("", arrived(self, LIMIT - START));

	outcome_call(&outcome, variant->way, self->to.rw, self->from.fd, NULL,
		     SIZE);
	EXPECT_EQ(-1, outcome.result);
	EXPECT_EQ(EFBIG, outcome.error);
	EXPECT_EQ(LIMIT, outcome.out_position);
	EXPECT_EQ(2, signals);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
}

/* A signal may cut it short, or come before the first byte. */
TEST_F(preload_file, interrupted)
{
	const bool shares = variant->way == BY_SHIM && variant->filesystem == XFS;
	const struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
	const struct itimerval never = { };
	struct outcome outcome;
	uint64_t since = 0;

	catch(SIGALRM);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, NULL));
	do {
		send(_metadata, self, variant->way, &outcome);
		EXPECT_EQ(outcome.result < 0 ? EINTR : UNTOUCHED, outcome.error);
		if (outcome.result < 0)
			outcome.result = 0;
		EXPECT_EQ(outcome.result, outcome.in_position);
		EXPECT_EQ(START + outcome.result, outcome.out_position);
		if (!patience(&since))
			break;
		/* A signal before the first byte leaves the call to the kernel. */
	} while (shares ? !signals || outcome.result != SIZE :
			  !outcome.result || outcome.result == SIZE);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &never, NULL));
	EXPECT_LT(0, signals);
	EXPECT_EQ(shares, outcome.result == SIZE);
	EXPECT_STREQ("", arrived(self, outcome.result));
}

/* What is read of it has not been written by the same call yet. */
TEST_F(preload_file, to_itself)
{
	off_t offset = 0;
	struct outcome outcome;

	outcome_call(&outcome, variant->way, self->to.rw, self->to.fd, &offset,
		     START);
	EXPECT_EQ(START, outcome.result);
	EXPECT_EQ(START, offset);
	EXPECT_EQ(2 * START, outcome.out_position);
	EXPECT_EQ(0, outcome.by_device);
	EXPECT_STREQ("", file_holds(&self->to, START,
				    (struct stretch){ 172, 0, START }));
}

TEST_HARNESS_MAIN
