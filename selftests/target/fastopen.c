// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP_FASTOPEN_CONNECT: a socket that passes for connected, and connects with the
 * first bytes that go to it, with them or ahead of them.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	421U
/* A socket takes all of it before its peer reads. */
#define SIZE	(256 * KIB + 3)

#define FASTOPEN	"/proc/sys/net/ipv4/tcp_fastopen"
#define WITH_COOKIE	"1"	/* which the peer never gave */
#define WITHOUT_COOKIE	"5"

static char usual[20];

FIXTURE(fastopen)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int listener;
	int device;
};

FIXTURE_VARIANT(fastopen)
{
	const char *allowed;	/* when the first bytes come */
	bool nonblocking;
};

FIXTURE_VARIANT_ADD(fastopen, with_bytes)
{
	.allowed = WITHOUT_COOKIE,
};

FIXTURE_VARIANT_ADD(fastopen, ahead_of_bytes)
{
	.allowed = WITH_COOKIE,
};

FIXTURE_VARIANT_ADD(fastopen, ahead_of_bytes_nonblocking)
{
	.allowed = WITH_COOKIE, .nonblocking = true,
};

static void allow(const char *how)
{
	if (!write_text(FASTOPEN, how))
		die("set tcp_fastopen");
}

FIXTURE_SETUP(fastopen)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	self->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(self->listener, (void *)&address, len) ||
	    listen(self->listener, 10) ||
	    getsockname(self->listener, (void *)&address, &len))
		die("listen");
	self->pair.tx = -1;
	self->pair.rx = -1;
}

FIXTURE_TEARDOWN(fastopen)
{
	allow(usual);
	close(self->listener);
	EXPECT_TRUE(await_active(0));
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Connected, for all that a program can see; and no packet has gone. */
static void connect_later(FIXTURE_DATA(fastopen) *self,
			  const FIXTURE_VARIANT(fastopen) *variant)
{
	struct pollfd incoming = { .fd = self->listener, .events = POLLIN };
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	const int on = 1;

	allow(WITHOUT_COOKIE);
	self->pair.tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (variant->nonblocking)
		set_nonblocking(self->pair.tx);
	if (setsockopt(self->pair.tx, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on,
		       sizeof(on)) ||
	    getsockname(self->listener, (void *)&address, &len) ||
	    connect(self->pair.tx, (void *)&address, len))
		die("TCP_FASTOPEN_CONNECT");
	if (poll(&incoming, 1, 0))
		die("it has connected already");
	allow(variant->allowed);
}

TEST_F(fastopen, queued)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	connect_later(self, variant);
	submit_one(self->device, self->pair.tx, &self->part, 1);
	self->pair.rx = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->pair.rx);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(self->device, 1, SIZE, 0, 0));
	pair_close(&self->pair);
}

/* As send(2) would; and who does not wait is told to come again when there is room. */
TEST_F(fastopen, sent)
{
	struct part rest = self->part;
	struct zcopy_completion done;
	struct reader reader;

	connect_later(self, variant);
	ASSERT_EQ(0, send_parts(self->device, self->pair.tx, &self->part, 1, 0,
				&done));
	self->pair.rx = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->pair.rx);
	reader_start(&reader, self->pair.rx, &self->part, 1);
	while (done.error == -EAGAIN && variant->nonblocking &&
	       parts_skip(&rest, 1, done.bytes)) {
		ASSERT_TRUE(await(self->pair.tx, POLLOUT));
		ASSERT_EQ(0, send_parts(self->device, self->pair.tx, &rest, 1,
					0, &done));
	}
	EXPECT_EQ(0, done.error);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
	pair_close(&self->pair);
}

/* Whatever happened in a test. */
static void restore(void)
{
	allow(usual);
}

int main(int argc, char **argv)
{
	FILE *file = fopen(FASTOPEN, "re");

	if (!file || !fgets(usual, sizeof(usual), file) || atexit(restore))
		die("read tcp_fastopen");
	fclose(file);
	return test_harness_run(argc, argv);
}
