// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card's part: with gather and checksums on it no byte is copied, without
 * them the kernel has to copy, and says so. Where it has its part, the size of
 * what is sent decides whether the module keeps track of it.
 */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/watch.h"

#define SEED	91U
#define SIZE	(2 * MIB + 3)

/* One setting of the sending card; the value, or -1 to ask for it. */
static unsigned int card(uint32_t command, int value)
{
	struct ethtool_value request = { .cmd = command, .data = value };
	struct ifreq interface = { .ifr_name = "wire0" };
	int previous = namespace_enter("left");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	interface.ifr_data = (void *)&request;
	if (fd < 0 || ioctl(fd, SIOCETHTOOL, &interface))
		die("ethtool command %u", command);
	close(fd);
	namespace_leave(previous);
	return request.data;
}

static void set_gather(bool on)
{
	card(ETHTOOL_SSG, on);
}

static void set_checksum(bool on)
{
	card(ETHTOOL_STXCSUM, on);
}

FIXTURE(offload)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(offload)
{
	enum transport transport;
	bool gather;
	bool checksum;
};

#define ROW(name, over, sg, csum)					\
	FIXTURE_VARIANT_ADD(offload, name)				\
	{								\
		.transport = over, .gather = sg, .checksum = csum,	\
	}

ROW(wire4_all, WIRE4, true, true);
ROW(wire6_all, WIRE6, true, true);
ROW(wire4_no_gather, WIRE4, false, true);
ROW(wire6_no_gather, WIRE6, false, true);
ROW(wire4_no_checksum, WIRE4, true, false);
ROW(wire6_no_checksum, WIRE6, true, false);
ROW(wire4_none, WIRE4, false, false);
ROW(wire6_none, WIRE6, false, false);

FIXTURE_SETUP(offload)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	/* A card without checksums turns gather off too, so in this order. */
	set_checksum(variant->checksum);
	set_gather(variant->gather && variant->checksum);
}

/* In the parent, so that the card is as it was even if a test dies. */
FIXTURE_TEARDOWN_PARENT(offload)
{
	set_checksum(true);
	set_gather(true);
	ASSERT_TRUE(card(ETHTOOL_GTXCSUM, 0));
	ASSERT_TRUE(card(ETHTOOL_GSG, 0));
}

static bool copies(const FIXTURE_VARIANT(offload) *variant)
{
	return !variant->gather || !variant->checksum;
}

static void finish(struct __test_metadata *_metadata,
		   FIXTURE_DATA(offload) *self)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(offload, told)
{
	const struct part parts[] = {
		of_memory(0, 200),
		of_file(&self->file, 0, 0),
		of_memory(200, 100),
	};
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	int i;

	ASSERT_EQ(variant->checksum, !!card(ETHTOOL_GTXCSUM, 0));
	ASSERT_EQ(variant->gather && variant->checksum,
		  !!card(ETHTOOL_GSG, 0));
	for (i = 1; i <= 2; i++) {
		EXPECT_STREQ("", deliver(self->device, variant->transport,
					 parts, 3, 0, &completion));
		EXPECT_EQ(SIZE + 300, completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(copies(variant) ? ZCOPY_C_COPIED : 0,
			  completion.flags);
		device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
		EXPECT_EQ(i * completion.bytes, stats.bytes);
		EXPECT_EQ(copies(variant) ? stats.bytes : 0,
			  stats.bytes_copied);
	}
	finish(_metadata, self);
}

/* The card changes under a connection that is already there. */
TEST_F(offload, changed_meanwhile)
{
	const struct part parts[] = {
		of_file(&self->file, 0, 0),
		of_file(&self->file, 0, 0),
	};
	struct zcopy_completion completion;
	struct reader reader;
	struct pair pair;
	bool before;

	pair_open(&pair, variant->transport, 0);
	reader_start(&reader, pair.rx, parts, 2);
	ASSERT_EQ(0, send_parts(self->device, pair.tx, parts, 1, 0,
				&completion));
	before = completion.flags & ZCOPY_C_COPIED;
	set_checksum(copies(variant));
	set_gather(copies(variant));
	ASSERT_EQ(0, send_parts(self->device, pair.tx, parts + 1, 1, 0,
				&completion));
	EXPECT_NE(before, !!(completion.flags & ZCOPY_C_COPIED));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, 2 * SIZE));
	pair_close(&pair);
	finish(_metadata, self);
}

/* Bytes at once from which on the module tracks what it sends. */
static void set_threshold(unsigned int bytes)
{
	if (run("echo %u > /sys/module/zcopy/parameters/track_from", bytes))
		die("the threshold");
}

FIXTURE(choice)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_SETUP(choice)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
}

FIXTURE_TEARDOWN_PARENT(choice)
{
	set_threshold(8192);
}

/*
 * Of what the peer does not read the module holds only folios that it tracks.
 * The first bytes fill the connection, those behind them stay in the socket.
 */
TEST_F(choice, by_size)
{
	const struct {
		unsigned int track_from;
		uint64_t len;
		bool tracked;
	} steps[] = {
		{ UINT32_MAX, MIB, false },
		{ 8192, 8191, false },
		{ 8192, 8192, true },
		{ 0, 1, true },
		{ UINT32_MAX, 64 * 1024, false },
	};
	struct part parts[ARRAY_SIZE(steps)];
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	uint64_t all = 0, held;
	struct reader reader;
	struct pair pair;
	size_t i;

	roomy_open(&pair, WIRE4);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
		held = stats.folios_held;
		parts[i] = of_file(&self->file, all, steps[i].len);
		set_threshold(steps[i].track_from);
		ASSERT_EQ(0, send_parts(self->device, pair.tx, &parts[i], 1, 0,
					&completion));
		ASSERT_EQ(steps[i].len, completion.bytes);
		all += steps[i].len;
		device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
		EXPECT_EQ(steps[i].tracked, held < stats.folios_held)
			TH_LOG("step %zu", i);
	}
	reader_start(&reader, pair.rx, parts, ARRAY_SIZE(steps));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, all));
	pair_close(&pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_HARNESS_MAIN
