// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP's probes for a larger MTU: they are made of the pages of packets that have not
 * been sent, which are dropped then. No transfer is released for that before the
 * peer has its bytes, or it got a copy.
 */
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	671U
#define OTHER	672U
#define LENGTH	300		/* of a transfer; a probe eats some of them whole */
#define MANY	2000		/* of them */
#define BASE	512		/* net.ipv4.tcp_base_mss */

FIXTURE(probe)
{
	struct watch watch;
	struct file file;
	struct part parts[MANY];
	struct pair pair;
	char *map;
	int device;
};

/* Of the sender's namespace. */
static void set_sender(const char *name, unsigned int value)
{
	if (run("ip netns exec left sysctl -qw net.ipv4.tcp_%s=%u", name, value))
		die("set net.ipv4.tcp_%s", name);
}

/* What leaves a namespace comes late, say, or not at all; "": as ever. */
static void set_wire(const char *namespace, const char *how)
{
	run("ip netns exec %s tc qdisc del dev wire0 root 2>/dev/null || true",
	    namespace);
	if (*how && run("ip netns exec %s tc qdisc add dev wire0 root netem %s",
			namespace, how))
		die("tc");
}

static void as_ever(void)
{
	set_wire("left", "");
	set_wire("right", "");
	set_sender("mtu_probing", 0);
	set_sender("base_mss", 1024);
	set_sender("retries1", 3);
	set_sender("rto_min_us", 200000);
}

FIXTURE_SETUP(probe)
{
	unsigned int i;

	as_ever();
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, MANY * LENGTH, SEED);
	self->map = file_map(&self->file);
	for (i = 0; i < MANY; i++)
		self->parts[i] = of_file(&self->file, i * LENGTH, LENGTH);
	set_sender("base_mss", BASE);
}

FIXTURE_TEARDOWN(probe)
{
	munmap(self->map, MANY * LENGTH);
	as_ever();
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static struct tcp_info information(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info;
}

/* All that is handed over at once fits in the socket. */
static void connect_roomy(struct pair *pair)
{
	const int room = 16 * MIB;

	pair_open(pair, WIRE4, 0);
	if (setsockopt(pair->tx, SOL_SOCKET, SO_SNDBUFFORCE, &room,
		       sizeof(room)))
		die("SO_SNDBUFFORCE");
}

static void submit_many(FIXTURE_DATA(probe) *self)
{
	struct zcopy_transfer transfer;
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		transfer = transfer_of(self->pair.tx, &self->parts[i], 1, i);
		transfer.flags = ZCOPY_NOTIFY;
		submit_all(self->device, &transfer, 1);
	}
}

/* Overwrite what is released as soon as that is told; and who was told too early. */
static unsigned int await_released(struct __test_metadata *_metadata,
				   FIXTURE_DATA(probe) *self)
{
	unsigned int early = 0, released = 0;
	struct zcopy_completion done;

	while (released < MANY) {
		uint64_t acked;
		char *bytes;

		ASSERT_EQ(1, reap(self->device, &done, 1));
		ASSERT_EQ(LENGTH, done.bytes);
		if (done.flags & ZCOPY_C_MORE)
			continue;
		released++;
		ASSERT_EQ(ZCOPY_C_RELEASED, done.flags & ~ZCOPY_C_COPIED);
		bytes = self->map + done.user_data * LENGTH;
		pattern(bytes, LENGTH, OTHER, done.user_data * LENGTH);
		if (done.flags & ZCOPY_C_COPIED)
			continue;
		acked = information(self->pair.tx).tcpi_bytes_acked;
		early += acked < (done.user_data + 1) * LENGTH;
	}
	return early;
}

TEST_F(probe, from_the_beginning)
{
	struct reader reader;

	set_sender("mtu_probing", 2);
	/* Who takes a slow machine for a loss does not probe. */
	set_sender("rto_min_us", 10000000);
	set_wire("right", "delay 100ms");
	connect_roomy(&self->pair);
	/* All is queued before it is read, however slowly: it takes some to probe. */
	submit_many(self);
	reader_start(&reader, self->pair.rx, self->parts, MANY);
	EXPECT_EQ(0, await_released(_metadata, self));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, MANY * LENGTH));
	/* There were probes, or it proves nothing. */
	EXPECT_LT(BASE, information(self->pair.tx).tcpi_snd_mss);
	pair_close(&self->pair);
}

/* It seems to be a black hole, with all that it is to send in its queue. */
TEST_F(probe, later)
{
	struct reader reader;
	uint64_t since = 0;

	connect_roomy(&self->pair);
	set_wire("left", "loss 100%");
	reader_start(&reader, self->pair.rx, self->parts, MANY);
	submit_many(self);
	set_sender("retries1", 1);
	set_sender("mtu_probing", 1);
	while (information(self->pair.tx).tcpi_snd_mss > BASE)
		ASSERT_TRUE(patience(&since));
	set_wire("left", "");
	set_wire("right", "delay 50ms");
	EXPECT_EQ(0, await_released(_metadata, self));
	EXPECT_LT(BASE, information(self->pair.tx).tcpi_snd_mss);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, MANY * LENGTH));
	pair_close(&self->pair);
}

TEST_HARNESS_MAIN
