// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody watches the packets, as tcpdump does. The kernel copies for him, the
 * completion says so, and neither he nor the peer sees the file change.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	751U
#define OTHER	752U
#define SIZE	(100 * KIB)
#define LARGE	MIB		/* more than a receiver takes unread */

FIXTURE(capture)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	int device;
};

FIXTURE_VARIANT(capture)
{
	enum transport transport;
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(capture, ext4_wire4)
{
	.transport = WIRE4,
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(capture, xfs_wire6)
{
	.transport = WIRE6,
	.filesystem = XFS,
};

FIXTURE_SETUP(capture)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, LARGE, SEED);
	self->part = of_file(&self->file, 0, SIZE);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

FIXTURE_TEARDOWN(capture)
{
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* All packets of a namespace's end of the wire, with room for many. */
static int capture_open(const char *namespace)
{
	struct sockaddr_ll card = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
	};
	const int room = 64 * MIB;
	int previous = namespace_enter(namespace);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	card.sll_ifindex = if_nametoindex("wire0");
	namespace_leave(previous);
	if (fd < 0 || bind(fd, (void *)&card, sizeof(card)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		die("open a packet socket");
	return fd;
}

/* The TCP header of a packet that we sent, NULL if it is another one. */
static const struct tcphdr *find_tcp(const char *packet, size_t len, int fd,
				     size_t *payload)
{
	const struct ethhdr *ethernet = (const void *)packet;
	const struct ipv6hdr *ip6 = (const void *)(packet + ETH_HLEN);
	const struct iphdr *ip = (const void *)(packet + ETH_HLEN);
	const struct tcphdr *tcp;
	struct sockaddr_in6 own;		/* the port is where IPv4's is */
	socklen_t size = sizeof(own);
	size_t headers = ETH_HLEN;

	if (getsockname(fd, (void *)&own, &size))
		die("getsockname");
	if (ethernet->h_proto == htons(ETH_P_IP) && ip->protocol == IPPROTO_TCP)
		headers += ip->ihl * 4;
	else if (ethernet->h_proto == htons(ETH_P_IPV6) &&
		 ip6->nexthdr == IPPROTO_TCP)
		headers += sizeof(*ip6);
	else
		return NULL;
	tcp = (const void *)(packet + headers);
	if (tcp->source != own.sin6_port)
		return NULL;
	*payload = len - headers - tcp->doff * 4;
	return tcp;
}

/* The bytes captured of the transfer, all of them as the file was. */
static uint64_t captured(struct __test_metadata *_metadata, int capture, int fd)
{
	static char packet[128 * KIB], old[LARGE];
	uint32_t start = 0;
	uint64_t seen = 0;
	ssize_t n;

	pattern(old, sizeof(old), SEED, 0);
	for (;;) {
		const struct tcphdr *tcp;
		size_t payload;
		uint32_t at;

		n = recv(capture, packet, sizeof(packet), MSG_DONTWAIT);
		if (n < 0)
			return seen;
		tcp = find_tcp(packet, n, fd, &payload);
		if (!tcp)
			continue;
		if (tcp->syn)
			start = ntohl(tcp->seq) + 1;
		at = ntohl(tcp->seq) - start;
		if (tcp->syn || !payload)
			continue;
		EXPECT_GE(sizeof(old), at + payload);
		EXPECT_EQ(0, memcmp((char *)tcp + tcp->doff * 4, old + at,
				    payload)) {
			TH_LOG("%zu bytes at %u", payload, at);
		}
		seen += payload;
	}
}

static void connect_pair(FIXTURE_DATA(capture) *self,
			 const FIXTURE_VARIANT(capture) *variant,
			 uint32_t flags)
{
	roomy_open(&self->pair, variant->transport);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 1);
	self->transfer.flags = flags;
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

static void receive_rest(struct __test_metadata *_metadata,
			 FIXTURE_DATA(capture) *self)
{
	const uint64_t len = self->part.want.len;

	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx,
				len - self->cursor.got));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, len));
}

static void expect_sync(struct __test_metadata *_metadata,
			FIXTURE_DATA(capture) *self, enum door door,
			uint32_t flags)
{
	struct flight flight;

	flight_start(&flight, door, self->device, &self->transfer);
	EXPECT_TRUE(cursor_release(&self->cursor, self->pair.rx, &flight,
				   UINT64_MAX));
	ASSERT_EQ(0, flight_finish(&flight));
	EXPECT_EQ(self->part.want.len, flight.send.completion.bytes);
	EXPECT_EQ(0, flight.send.completion.error);
	EXPECT_EQ(flags, flight.send.completion.flags);
}

/* The copies are private: overwriting the file does not reach them. */
TEST_F(capture, sync)
{
	char *map = file_map(&self->file);
	int door, capture;

	for (door = 0; door < DOORS; door++) {
		capture = capture_open("left");
		connect_pair(self, variant, ZCOPY_SYNC);
		expect_sync(_metadata, self, door,
			    ZCOPY_C_RELEASED | ZCOPY_C_COPIED);
		pattern(map, LARGE, OTHER, 0);
		receive_rest(_metadata, self);
		EXPECT_LE(SIZE, captured(_metadata, capture, self->pair.tx));
		pattern(map, LARGE, SEED, 0);
		close(capture);
		pair_close(&self->pair);
	}
	/* Nobody watches any more. */
	connect_pair(self, variant, ZCOPY_SYNC);
	expect_sync(_metadata, self, SEND, ZCOPY_C_RELEASED);
	receive_rest(_metadata, self);
	pair_close(&self->pair);
	munmap(map, LARGE);
}

TEST_F(capture, notify)
{
	struct zcopy_completion first, second;
	int door, capture;

	for (door = 0; door < DOORS; door++) {
		capture = capture_open("left");
		connect_pair(self, variant, ZCOPY_NOTIFY);
		ASSERT_EQ(0, fly(door, self->device, &self->transfer, &first));
		EXPECT_EQ(SIZE, first.bytes);
		EXPECT_EQ(0, first.error);
		EXPECT_EQ(ZCOPY_C_MORE, first.flags & ~ZCOPY_C_COPIED);
		receive_rest(_metadata, self);
		ASSERT_EQ(1, reap(self->device, &second, 1));
		EXPECT_EQ(SIZE, second.bytes);
		EXPECT_EQ(0, second.error);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_COPIED, second.flags);
		EXPECT_LE(SIZE, captured(_metadata, capture, self->pair.tx));
		close(capture);
		pair_close(&self->pair);
	}
}

/* Without asking for the release: the data is right all the same. */
TEST_F(capture, plain)
{
	struct zcopy_completion done;
	int capture = capture_open("left");
	int door;

	for (door = 0; door < DOORS; door++) {
		connect_pair(self, variant, 0);
		ASSERT_EQ(0, fly(door, self->device, &self->transfer, &done));
		EXPECT_EQ(SIZE, done.bytes);
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(0, done.flags & ~ZCOPY_C_COPIED);
		receive_rest(_metadata, self);
		pair_close(&self->pair);
	}
	close(capture);
}

/* Whoever comes when a part of it has left is served too. */
TEST_F(capture, opened_meanwhile)
{
	struct flight flight;
	int door, capture;

	self->part = of_file(&self->file, 0, 0);
	for (door = 0; door < DOORS; door++) {
		connect_pair(self, variant, ZCOPY_SYNC);
		flight_start(&flight, door, self->device, &self->transfer);
		ASSERT_TRUE(await_accepted(self->pair.tx, LARGE));
		ASSERT_TRUE(flight_waits(&flight));
		capture = capture_open("left");
		receive_rest(_metadata, self);
		ASSERT_EQ(0, flight_finish(&flight));
		EXPECT_EQ(LARGE, flight.send.completion.bytes);
		EXPECT_EQ(0, flight.send.completion.error);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_COPIED,
			  flight.send.completion.flags);
		close(capture);
		pair_close(&self->pair);
	}
	EXPECT_STREQ("", file_intact(&self->file));
}

/* Who watches at the other end does not concern the sender. */
TEST_F(capture, at_the_receiver)
{
	int capture = capture_open("right");

	connect_pair(self, variant, ZCOPY_SYNC);
	expect_sync(_metadata, self, SEND, ZCOPY_C_RELEASED);
	receive_rest(_metadata, self);
	pair_close(&self->pair);
	close(capture);
}

TEST_HARNESS_MAIN
