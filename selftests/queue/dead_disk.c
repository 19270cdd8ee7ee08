// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk that does not answer, and a user who asks and asks: what the kernel holds for
 * that is bounded, and given back.
 */
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/parameter.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	432U
#define SIZE	MIB

FIXTURE(dead_disk)
{
	struct watch watch;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(dead_disk)
{
	watch_begin(&self->watch);
	pair_open(&self->pair, UNIX, 0);
	self->device = device_open();
}

FIXTURE_TEARDOWN(dead_disk)
{
	disk_resume();
	if (parameter_set("max_user_reads", 16384))
		die("give the limit its value back");
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A figure of /proc/meminfo, in bytes. */
static int64_t machine(const char *wanted)
{
	FILE *file = fopen("/proc/meminfo", "re");
	long long value, found = -1;
	char line[100], name[64];

	if (!file)
		die("open meminfo");
	while (found < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63[^:]: %lld", name, &value) == 2 &&
		    !strcmp(name, wanted))
			found = value;
	fclose(file);
	if (found < 0)
		die("no %s in meminfo", wanted);
	return found * 1024;
}

#define READS	100		/* under way that the user may have */
/* Of the machine's memory, and much more; a sanitizer keeps what was freed for a while. */
#define SLACK	(24 * MIB * slowdown())

/* What the machine has had before a disk died, and a file there that is cold. */
struct dead {
	struct file cold;
	struct zcopy_info info;
	int64_t available;
	int64_t slab;
};

static void dead_begin(struct dead *dead, int device)
{
	file_make(&dead->cold, EXT4, SIZE, SEED);
	file_chill(&dead->cold);
	if (parameter_set("max_user_reads", READS))
		die("set max_user_reads");
	device_info(device, &dead->info);
	dead->available = machine("MemAvailable");
	dead->slab = machine("Slab");
	disk_suspend();
}

/* However often it was tried, there is no more than the limit says. */
static void is_bounded(struct __test_metadata *_metadata, const struct dead *dead,
		       int device)
{
	struct zcopy_info info;

	device_info(device, &info);
	EXPECT_EQ(READS, info.user_reads);
	EXPECT_EQ(0, info.user_transfers);
	/* A read is less than a page, and so is a context. */
	EXPECT_GE(dead->info.user_pages + 2 * READS, info.user_pages);
	EXPECT_LT(dead->available - (int64_t)SLACK, machine("MemAvailable"));
	EXPECT_GT(dead->slab + (int64_t)SLACK, machine("Slab"));
	EXPECT_TRUE(device_says(device, 0));
}

/* The disk answers: what was left is given back, and a transfer is accepted. */
static void is_given_back(struct __test_metadata *_metadata,
			  const struct dead *dead, int device)
{
	struct zcopy_info info;
	uint64_t since = 0;

	disk_resume();
	EXPECT_TRUE(await(device, POLLOUT));
	do {
		device_info(device, &info);
	} while ((info.user_reads || info.user_contexts > dead->info.user_contexts) &&
		 patience(&since));
	EXPECT_EQ(0, info.user_reads);
	EXPECT_EQ(dead->info.user_contexts, info.user_contexts);
	EXPECT_EQ(dead->info.user_pages, info.user_pages);
}

/* One of a page of the cold file's; accepted, or the error. */
static int ask(const struct dead *dead, int device, int socket, unsigned int i)
{
	const struct part part = of_file(&dead->cold, i * PAGE % SIZE, PAGE);
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;

	transfer = transfer_of(socket, &part, 1, i);
	/* It knows of the one before, which it cancelled. */
	transfer.flags = ZCOPY_RESUME;
	submit = submit_of(&transfer, 1);
	if (submit_call(device, &submit))
		die("ZCOPY_IOC_SUBMIT");
	return submit.error;
}

/*
 * A disk that does not answer, and a program that asks and asks: each transfer ends
 * at once, and what is left of them is bounded.
 */
TEST_F(dead_disk, cancelled)
{
	const unsigned int tries = READS + how_often(5000);
	const int device = self->device;
	int round;

	for (round = 0; round < 2; round++) {
		unsigned int accepted = 0, i;
		struct dead dead;

		dead_begin(&dead, device);
		for (i = 0; i < tries; i++) {
			int error = ask(&dead, device, self->pair.tx, i);

			ASSERT_EQ(accepted < READS ? 0 : -EAGAIN, error);
			if (error)
				continue;
			accepted++;
			ASSERT_TRUE(disk_await_readers(accepted));
			EXPECT_EQ(1, cancel_user_data(device, i));
			ASSERT_STREQ("", completes(device, i, 0, -ECANCELED,
						   ZCOPY_C_CANCELLED));
		}
		is_bounded(_metadata, &dead, device);
		is_given_back(_metadata, &dead, device);
		file_close(&dead.cold);
	}
}

/* The same by closing the context, which lives until its last read is over. */
TEST_F(dead_disk, closed)
{
	const unsigned int tries = READS + how_often(1000);
	unsigned int accepted = 0, i;
	const int device = self->device;
	struct zcopy_info info;
	struct dead dead;

	dead_begin(&dead, device);
	for (i = 0; i < tries; i++) {
		int other = device_open();
		int error = ask(&dead, other, self->pair.tx, i);

		ASSERT_EQ(accepted < READS ? 0 : -EAGAIN, error);
		if (!error)
			ASSERT_TRUE(disk_await_readers(++accepted));
		close(other);
	}
	EXPECT_TRUE(await_active(0));
	device_info(device, &info);
	EXPECT_GE(dead.info.user_contexts + READS + 1, info.user_contexts);
	is_bounded(_metadata, &dead, device);
	is_given_back(_metadata, &dead, device);
	file_close(&dead.cold);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
