// SPDX-License-Identifier: GPL-2.0-only
/* Which sockets are served, and which are refused because they are not. */
#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "common.h"

FIXTURE(refused)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(refused)
{
	int family;
	int type;
	int protocol;
	int error;
	bool listens;
	bool operation;		/* AF_ALG: the socket that takes the data */
};

#define REFUSED(name, f, t, p, e)					\
	FIXTURE_VARIANT_ADD(refused, name)				\
	{								\
		.family = f, .type = t, .protocol = p, .error = e,	\
	}

REFUSED(udp, AF_INET, SOCK_DGRAM, 0, EPROTONOSUPPORT);
REFUSED(udp6, AF_INET6, SOCK_DGRAM, 0, EPROTONOSUPPORT);
REFUSED(raw, AF_INET, SOCK_RAW, IPPROTO_ICMP, EPROTONOSUPPORT);
REFUSED(packet, AF_PACKET, SOCK_RAW, 0, EPROTONOSUPPORT);
REFUSED(netlink, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, EPROTONOSUPPORT);
REFUSED(alg, AF_ALG, SOCK_SEQPACKET, 0, EPROTONOSUPPORT);
REFUSED(sctp_stream, AF_INET, SOCK_STREAM, IPPROTO_SCTP, EPROTONOSUPPORT);
REFUSED(unix_datagram, AF_UNIX, SOCK_DGRAM, 0, EPROTONOSUPPORT);
REFUSED(unix_seqpacket, AF_UNIX, SOCK_SEQPACKET, 0, EPROTONOSUPPORT);
REFUSED(tcp_unconnected, AF_INET, SOCK_STREAM, 0, ENOTCONN);
REFUSED(tcp6_unconnected, AF_INET6, SOCK_STREAM, 0, ENOTCONN);
REFUSED(mptcp_unconnected, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, ENOTCONN);
REFUSED(unix_unconnected, AF_UNIX, SOCK_STREAM, 0, ENOTCONN);
REFUSED(vsock_unconnected, AF_VSOCK, SOCK_STREAM, 0, ENOTCONN);

FIXTURE_VARIANT_ADD(refused, tcp_listening)
{
	.family = AF_INET, .type = SOCK_STREAM, .error = ENOTCONN,
	.listens = true,
};

FIXTURE_VARIANT_ADD(refused, tcp6_listening)
{
	.family = AF_INET6, .type = SOCK_STREAM, .error = ENOTCONN,
	.listens = true,
};

FIXTURE_VARIANT_ADD(refused, mptcp_listening)
{
	.family = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_MPTCP,
	.error = ENOTCONN, .listens = true,
};

FIXTURE_VARIANT_ADD(refused, alg_operation)
{
	.family = AF_ALG, .type = SOCK_SEQPACKET, .error = EPROTONOSUPPORT,
	.operation = true,
};

FIXTURE_SETUP(refused)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, 64 * KIB, 41);
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(refused, file)
{
	struct zcopy_completion completion;
	struct part part = of_file(&self->file, 0, 0);
	int fd = socket(variant->family, variant->type | SOCK_CLOEXEC,
			variant->protocol);
	int operation;

	ASSERT_LE(0, fd);
	if (variant->listens)
		ASSERT_EQ(0, listen(fd, 1));
	if (variant->operation) {
		const struct sockaddr_alg hash = {
			.salg_family = AF_ALG,
			.salg_type = "hash",
			.salg_name = "sha256",
		};

		ASSERT_EQ(0, bind(fd, (const void *)&hash, sizeof(hash)));
		operation = accept(fd, NULL, NULL);
		ASSERT_LE(0, operation);
		close(fd);
		fd = operation;
	}
	EXPECT_EQ(-variant->error, send_parts(self->device, fd, &part, 1, 0,
					      &completion));
	close(fd);
}

/* Connected, and even so not of a kind that may carry a file's pages. */
TEST(connected_datagrams)
{
	const int types[] = { SOCK_DGRAM, SOCK_SEQPACKET };
	struct part part = of_memory(0, 10);
	struct zcopy_completion completion;
	int device = device_open();
	struct pair pair;
	char byte;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, types[i], 0, (int *)&pair));
		EXPECT_EQ(-EPROTONOSUPPORT,
			  send_parts(device, pair.tx, &part, 1, 0,
				     &completion));
		EXPECT_EQ(-1, recv(pair.rx, &byte, 1, MSG_DONTWAIT));
		pair_close(&pair);
	}
	close(device);
}

/* The transports that identity.c leaves out. */
FIXTURE(served)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(served)
{
	enum transport transport;
	const char *module;
	bool copies;
};

FIXTURE_VARIANT_ADD(served, mptcp)
{
	.transport = MPTCP, .copies = true,
};

FIXTURE_VARIANT_ADD(served, vsock)
{
	.transport = VSOCK, .module = "vsock_loopback", .copies = true,
};

FIXTURE_VARIANT_ADD(served, tls)
{
	.transport = TLS, .module = "tls",
};

FIXTURE_SETUP(served)
{
	if (variant->module)
		ASSERT_EQ(0, run("modprobe %s", variant->module));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, MIB + 1, 42);
}

FIXTURE_TEARDOWN(served)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(served, file)
{
	const struct part parts[] = {
		of_memory(0, 300), of_file(&self->file, 0, 0),
		of_memory(300, 20), of_file(&self->file, 4095, 4098),
	};
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	EXPECT_STREQ("", deliver(self->device, variant->transport, parts,
				 ARRAY_SIZE(parts), 0, &completion));
	EXPECT_EQ(parts_total(parts, ARRAY_SIZE(parts)), completion.bytes);
	EXPECT_EQ(0, completion.error);
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	/* What cannot be spared is at least told. */
	EXPECT_EQ(variant->copies ? ZCOPY_C_COPIED : 0, completion.flags);
	EXPECT_EQ(variant->copies ? completion.bytes : 0, stats.bytes_copied);
}

/* A full socket is waited for, and the rest goes on where it was. */
TEST_F(served, full)
{
	const struct part parts[] = {
		of_memory(0, 300), of_file(&self->file, 0, 0),
		of_file(&self->file, 0, 0), of_file(&self->file, 0, 0),
		of_file(&self->file, 0, 0), of_file(&self->file, 0, 0),
	};
	const uint64_t total = parts_total(parts, ARRAY_SIZE(parts));
	struct sender sender = {
		.device = self->device, .parts = parts,
		.nr = ARRAY_SIZE(parts), .shut = true,
	};
	struct reader reader;
	struct pair pair;

	pair_open(&pair, variant->transport, 64 * 1024);
	sender.socket = pair.tx;
	sender_start(&sender);
	ASSERT_TRUE(sender_blocked(&sender));
	reader_start(&reader, pair.rx, parts, ARRAY_SIZE(parts));
	sender_finish(&sender);
	EXPECT_STREQ("", reader_finish(&reader, total));
	EXPECT_EQ(total, sender.completion.bytes);
	EXPECT_EQ(0, sender.completion.error);
	pair_close(&pair);
}

TEST_HARNESS_MAIN
