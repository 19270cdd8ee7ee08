// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TLS above a full socket: it holds records that the socket did not take, and
 * a transfer is over when it has got rid of them, no sooner and not much later.
 */
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/records.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	402U
#define SIZE	MIB
#define OVERHEAD	(5 + 8 + 16)	/* of a record of TLS 1.2 */
#define STEP	1024
#define LOOKS	30	/* before one more step */

FIXTURE(tls_full)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_SETUP(tls_full)
{
	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
}

FIXTURE_TEARDOWN(tls_full)
{
	EXPECT_TRUE(await_active(0));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static bool has_room(int fd)
{
	struct pollfd out = { .fd = fd, .events = POLLOUT };

	return poll(&out, 1, 0) == 1;
}

/* Read no more than it takes until the socket has all of the records. */
static bool read_until_all_is_in(const struct pair *pair, uint64_t total)
{
	char records[STEP];
	uint64_t since = 0;
	int looks = 0;

	while (accepted(pair->tx) < total) {
		/* TLS goes on in a thread of the kernel, after a while. */
		if (!patience(&since))
			return false;
		if (++looks % LOOKS == 0)
			recv(pair->rx, records, sizeof(records), 0);
	}
	return true;
}

/* Of the room that there is in the end nobody has to wait for all. */
TEST_F(tls_full, over_when_all_is_in)
{
	const struct part part = of_file(&self->file, 0, RECORD);
	struct pair pair;
	uint64_t total;

	records_open(&pair);
	total = accepted(pair.tx) + RECORD + OVERHEAD;
	submit_one(self->device, pair.tx, &part, 1);
	/* TLS still holds some of it. */
	ASSERT_GT(total, accepted(pair.tx));
	ASSERT_TRUE(read_until_all_is_in(&pair, total));
	EXPECT_EQ(total, accepted(pair.tx));
	EXPECT_FALSE(has_room(pair.tx));
	EXPECT_STREQ("", completes(self->device, 1, RECORD, 0, 0));
	EXPECT_FALSE(has_room(pair.tx));
	pair_close(&pair);
}

TEST_HARNESS_MAIN
