// SPDX-License-Identifier: GPL-2.0-only
/* The module comes and goes, and does not go while it is in use. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/loading.h"
#include "lib/watch.h"

static bool node_exists(void)
{
	struct stat stat;

	return !lstat(DEVICE, &stat);
}

FIXTURE(module)
{
	struct file file;
};

FIXTURE_SETUP(module)
{
	file_make(&self->file, EXT4, 4 * MIB, 111);
}

/* Whatever happened in a test, those that follow need the module. */
FIXTURE_TEARDOWN_PARENT(module)
{
	int error = module_load();

	if (error && error != -EEXIST)
		die("load the module again: %s", strerror(-error));
}

static void works(struct __test_metadata *_metadata,
		  FIXTURE_DATA(module) *self)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	int device = device_open();

	EXPECT_STREQ("", deliver(device, TCP4, &part, 1, 0, &completion));
	EXPECT_EQ(self->file.size, completion.bytes);
	close(device);
}

TEST_F(module, open_holds_it)
{
	int device = device_open();
	int copy = dup(device);

	EXPECT_EQ(-EAGAIN, module_unload());
	close(device);
	EXPECT_EQ(-EAGAIN, module_unload());
	close(copy);
	EXPECT_EQ(0, module_unload());
}

TEST_F(module, transfer_holds_it)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct sender sender = { .parts = &part, .nr = 1, .shut = true };
	struct reader reader;
	struct pair pair;

	sender.device = device_open();
	pair_open(&pair, TCP4, 64 * 1024);
	sender.socket = pair.tx;
	sender_start(&sender);
	ASSERT_TRUE(sender_blocked(&sender));
	close(sender.device);
	/* No descriptor is left, but the call goes on. */
	EXPECT_EQ(-EAGAIN, module_unload());
	reader_start(&reader, pair.rx, &part, 1);
	sender_finish(&sender);
	EXPECT_STREQ("", reader_finish(&reader, self->file.size));
	pair_close(&pair);
	EXPECT_EQ(0, module_unload());
}

/* What was sent and not yet read needs the module no more. */
TEST_F(module, data_outlives_it)
{
	const struct part parts[] = {
		of_memory(0, 1000),
		of_file(&self->file, 0, 100 * KIB),
	};
	struct cursor cursor = { .parts = parts, .nr = 2 };
	struct zcopy_completion completion;
	int device = device_open();
	struct pair pair;

	pair_open(&pair, UNIX, 0);
	ASSERT_EQ(0, send_parts(device, pair.tx, parts, 2, 0, &completion));
	close(device);
	ASSERT_EQ(0, module_unload());
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, completion.bytes));
	EXPECT_STREQ("", cursor_verdict(&cursor, parts_total(parts, 2)));
	pair_close(&pair);
	EXPECT_STREQ("", file_intact(&self->file));
}

TEST_F(module, clean_afterwards)
{
	struct zcopy_stats stats;
	struct watch watch;
	int i, device;

	works(_metadata, self);
	for (i = 0; i < 3; i++) {
		watch_begin(&watch);
		ASSERT_EQ(0, module_unload());
		EXPECT_FALSE(node_exists());
		EXPECT_NE(0, access("/sys/module/zcopy", F_OK));
		EXPECT_EQ(-ENOENT, module_unload());
		ASSERT_EQ(0, module_load());
		EXPECT_TRUE(node_exists());
		EXPECT_EQ(-EEXIST, module_load());
		device = device_open();
		device_stats(device, ZCOPY_STATS_MODULE, &stats);
		EXPECT_EQ(0, stats.transfers);
		EXPECT_EQ(0, stats.bytes);
		close(device);
		works(_metadata, self);
		EXPECT_STREQ("", watch_end(&watch));
	}
}

/* A killed owner lets go of it too. */
TEST_F(module, killed_owner)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	struct pair pair;
	pid_t child;

	pair_open(&pair, TCP4, 64 * 1024);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		send_parts(device_open(), pair.tx, &part, 1, 0, &completion);
		_exit(0);
	}
	ASSERT_TRUE(await_sleep(child));
	EXPECT_EQ(-EAGAIN, module_unload());
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(0, module_unload());
	pair_close(&pair);
}

TEST_HARNESS_MAIN
