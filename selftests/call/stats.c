// SPDX-License-Identifier: GPL-2.0-only
/* The counters: exact, a set an open, and the module's as their sum. */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SIZE	(MIB + 5)

FIXTURE(stats)
{
	struct watch watch;
	struct file file;
	int device;
	int other;
};

FIXTURE_SETUP(stats)
{
	watch_begin(&self->watch);
	self->device = device_open();
	self->other = device_open();
	file_make(&self->file, EXT4, SIZE, 95);
}

FIXTURE_TEARDOWN(stats)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	close(self->other);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct zcopy_stats of(int device, uint32_t scope)
{
	struct zcopy_stats stats;

	device_stats(device, scope, &stats);
	return stats;
}

TEST_F(stats, begin_at_zero)
{
	const struct zcopy_stats none = {};
	struct zcopy_stats stats = of(self->device, ZCOPY_STATS_CONTEXT);

	EXPECT_EQ(0, memcmp(&none, &stats, sizeof(none)));
}

TEST_F(stats, add_up)
{
	const struct part parts[] = {
		of_memory(0, 300),
		of_file(&self->file, 0, 0),
		of_memory(300, 50),
	};
	const struct zcopy_stats before = of(self->other, ZCOPY_STATS_MODULE);
	struct zcopy_completion completion;
	struct zcopy_stats context, module;
	int i;

	for (i = 1; i <= 3; i++) {
		EXPECT_STREQ("", deliver(self->device, TCP4, parts, 3, 0,
					 &completion));
		context = of(self->device, ZCOPY_STATS_CONTEXT);
		EXPECT_EQ(ZCOPY_STATS_CONTEXT, context.scope);
		EXPECT_EQ(i, context.transfers);
		EXPECT_EQ(i * (SIZE + 350), context.bytes);
		EXPECT_EQ(i * 350, context.bytes_memory);
		EXPECT_EQ(0, context.bytes_copied);
		/* Pages of the file went, not one by one. */
		EXPECT_LE(i, context.batches);
		EXPECT_GE(i * 10, context.batches);
		EXPECT_LE(i, context.folios);
		EXPECT_EQ(0, context.file_errors);
		EXPECT_EQ(0, context.socket_errors);
		EXPECT_EQ(0, context.active);
		EXPECT_EQ(0, context.folios_held);
	}
	module = of(self->other, ZCOPY_STATS_MODULE);
	EXPECT_EQ(ZCOPY_STATS_MODULE, module.scope);
	EXPECT_EQ(context.transfers, module.transfers - before.transfers);
	EXPECT_EQ(context.bytes, module.bytes - before.bytes);
	EXPECT_EQ(context.bytes_memory,
		  module.bytes_memory - before.bytes_memory);
	EXPECT_EQ(context.bytes_copied,
		  module.bytes_copied - before.bytes_copied);
	EXPECT_EQ(context.batches, module.batches - before.batches);
	EXPECT_EQ(context.folios, module.folios - before.folios);
	EXPECT_EQ(context.disk_waits, module.disk_waits - before.disk_waits);
}

TEST_F(stats, a_set_an_open)
{
	const struct zcopy_stats none = {};
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	int copy = dup(self->device);

	EXPECT_STREQ("", deliver(self->device, TCP4, &part, 1, 0, &completion));
	stats = of(self->other, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(0, memcmp(&none, &stats, sizeof(none)));
	/* The same open file description: the same context. */
	EXPECT_EQ(1, of(copy, ZCOPY_STATS_CONTEXT).transfers);
	close(copy);
}

TEST_F(stats, errors_are_the_sockets)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	struct pair pair;

	pair_open(&pair, TCP4, 0);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_EQ(0, send_parts(self->device, pair.tx, &part, 1, 0,
				&completion));
	EXPECT_EQ(-EPIPE, completion.error);
	pair_close(&pair);
	stats = of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(1, stats.transfers);
	EXPECT_EQ(0, stats.bytes);
	EXPECT_EQ(1, stats.socket_errors);
	EXPECT_EQ(0, stats.file_errors);
}

/* The gauges move while a transfer is stuck, and come back. */
TEST_F(stats, gauges)
{
	const struct part parts[] = {
		of_file(&self->file, 0, 0), of_file(&self->file, 0, 0),
		of_file(&self->file, 0, 0), of_file(&self->file, 0, 0),
	};
	struct zcopy_stats context, module;
	struct sender sender = {
		.device = self->device, .parts = parts, .nr = 4, .shut = true,
	};
	struct reader reader;
	struct pair pair;
	uint64_t since = 0;

	pair_open(&pair, TCP4, 64 * 1024);
	sender.socket = pair.tx;
	sender_start(&sender);
	ASSERT_TRUE(sender_blocked(&sender));
	/* It may be woken once more in between. */
	do {
		context = of(self->device, ZCOPY_STATS_CONTEXT);
		module = of(self->device, ZCOPY_STATS_MODULE);
	} while ((!context.folios_held || context.folios_held != module.folios_held) &&
		 patience(&since));
	EXPECT_EQ(1, context.active);
	EXPECT_EQ(1, module.active);
	EXPECT_LT(0, context.folios_held);
	EXPECT_EQ(context.folios_held, module.folios_held);
	EXPECT_EQ(0, context.transfers);
	reader_start(&reader, pair.rx, parts, 4);
	sender_finish(&sender);
	EXPECT_STREQ("", reader_finish(&reader, 4 * SIZE));
	pair_close(&pair);
	context = of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(1, context.transfers);
	EXPECT_EQ(0, context.active);
	EXPECT_EQ(0, context.folios_held);
}

TEST_F(stats, refused)
{
	const struct zcopy_stats none = {};
	struct zcopy_stats stats;
	uint32_t scope;
	int bit;

	for (scope = 2; scope; scope <<= 1) {
		stats = (struct zcopy_stats){ .scope = scope };
		EXPECT_EQ(-1, ioctl(self->device, ZCOPY_IOC_STATS, &stats));
		EXPECT_EQ(EINVAL, errno);
		stats.scope = 0;
		EXPECT_EQ(0, memcmp(&none, &stats, sizeof(none)));
	}
	for (bit = 0; bit < 32; bit++) {
		stats = (struct zcopy_stats){ .reserved = 1U << bit };
		EXPECT_EQ(-1, ioctl(self->device, ZCOPY_IOC_STATS, &stats));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_HARNESS_MAIN
