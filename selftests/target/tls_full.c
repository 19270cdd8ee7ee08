// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TLS above a full socket: it holds records that the socket did not take, and
 * a transfer is over when it has got rid of them, no sooner and not much later.
 */
#include <linux/tls.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	402U
#define SIZE	MIB
#define BUFFER	8192
#define STEP	1024
#define SOON_MS	300	/* a few looks at a socket that lags */

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

/* The peer takes the records as they are. */
static void open_sender(struct pair *pair)
{
	pair_open(pair, TCP4, BUFFER);
	if (tls_start(pair->tx, TLS_TX, TLS))
		die("kernel TLS");
	set_nonblocking(pair->rx);
}

/* Bytes that TLS takes before it says that there is no room. */
static uint64_t taken(FIXTURE_DATA(tls_full) *self)
{
	const struct part part = of_file(&self->file, 0, 0);
	struct zcopy_completion done;
	struct pair pair;

	open_sender(&pair);
	set_nonblocking(pair.tx);
	if (send_parts(self->device, pair.tx, &part, 1, 0, &done) ||
	    done.error != -EAGAIN)
		die("the socket is not full");
	pair_close(&pair);
	return done.bytes;
}

/* Is the device, or the socket, ready before so many milliseconds are over? */
static bool is_ready(int fd, short event, int milliseconds)
{
	struct pollfd ready = { .fd = fd, .events = event };

	return poll(&ready, 1, milliseconds) == 1;
}

/* Of the room that there is in the end nobody has to wait for all. */
TEST_F(tls_full, over_when_all_is_in)
{
	const struct part part = of_file(&self->file, 0, taken(self));
	char records[STEP];
	struct pair pair;
	uint64_t since = 0;

	open_sender(&pair);
	submit_one(self->device, pair.tx, &part, 1);
	/* TLS still holds some of it. */
	ASSERT_FALSE(is_ready(self->device, POLLIN, SOON_MS));
	do {
		if (recv(pair.rx, records, sizeof(records), 0) <= 0)
			ASSERT_TRUE(patience(&since));
	} while (!is_ready(self->device, POLLIN, SOON_MS));
	EXPECT_FALSE(is_ready(pair.tx, POLLOUT, 0));
	EXPECT_STREQ("", completes(self->device, 1, part.want.len, 0, 0));
	pair_close(&pair);
}

TEST_HARNESS_MAIN
