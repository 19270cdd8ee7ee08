// SPDX-License-Identifier: GPL-2.0-only
/* Which sockets are served, and which are refused because they are not. */
#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

/* The kernel finds one. */
static const struct sockaddr any_name = { .sa_family = AF_UNIX };

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
	const char *module;	/* what the kernel has to load, or NULL */
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
REFUSED(sctp_messages, AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, EPROTONOSUPPORT);
REFUSED(raw6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, EPROTONOSUPPORT);
REFUSED(packet_datagram, AF_PACKET, SOCK_DGRAM, 0, EPROTONOSUPPORT);
REFUSED(vsock_seqpacket, AF_VSOCK, SOCK_SEQPACKET, 0, EPROTONOSUPPORT);
REFUSED(tcp_unconnected, AF_INET, SOCK_STREAM, 0, ENOTCONN);
REFUSED(tcp6_unconnected, AF_INET6, SOCK_STREAM, 0, ENOTCONN);
REFUSED(mptcp_unconnected, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, ENOTCONN);
REFUSED(unix_unconnected, AF_UNIX, SOCK_STREAM, 0, ENOTCONN);
REFUSED(vsock_unconnected, AF_VSOCK, SOCK_STREAM, 0, ENOTCONN);

/*
 * Some of these carry streams, or TCP inside. UDP-Lite is left out: the kernel
 * complains of any such socket.
 */
#define REFUSED_OF(f, t, p)						\
	FIXTURE_VARIANT_ADD(refused, f)					\
	{								\
		.family = AF_##f, .type = t, .protocol = p,		\
		.error = EPROTONOSUPPORT, .module = #f,			\
	}

REFUSED_OF(KCM, SOCK_SEQPACKET, 0);
REFUSED_OF(RXRPC, SOCK_DGRAM, PF_INET);
REFUSED_OF(SMC, SOCK_STREAM, 0);
REFUSED_OF(TIPC, SOCK_STREAM, 0);

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

FIXTURE_VARIANT_ADD(refused, unix_listening)
{
	.family = AF_UNIX, .type = SOCK_STREAM, .error = ENOTCONN,
	.listens = true,
};

FIXTURE_VARIANT_ADD(refused, alg_operation)
{
	.family = AF_ALG, .type = SOCK_SEQPACKET, .error = EPROTONOSUPPORT,
	.operation = true,
};

FIXTURE_SETUP(refused)
{
	if (variant->module && run("modprobe -q $(echo %s | tr A-Z a-z)",
				   variant->module))
		SKIP(return, "this kernel has no AF_%s", variant->module);
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
	/* It wants a name before it listens. */
	if (variant->listens && variant->family == AF_UNIX)
		ASSERT_EQ(0, bind(fd, &any_name, sizeof(any_name.sa_family)));
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

/* Whichever way it came to be connected, and when the peer has gone. */
TEST(connected_unix)
{
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct zcopy_completion done;
	int device = device_open();
	struct watch watch;
	struct file file;
	struct part part;
	int fds[3], pair[2];
	size_t i;

	watch_begin(&watch);
	file_make(&file, TMPFS, 64 * KIB, 41);
	part = of_file(&file, 0, 1000);
	fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(fds[0], &any_name, sizeof(any_name.sa_family)));
	ASSERT_EQ(0, listen(fds[0], 1));
	ASSERT_EQ(0, getsockname(fds[0], (struct sockaddr *)&name, &len));
	fds[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT_EQ(-ENOTCONN, send_parts(device, fds[1], &part, 1, 0, &done));
	/* Connected, and nobody has accepted it yet. */
	ASSERT_EQ(0, connect(fds[1], (struct sockaddr *)&name, len));
	EXPECT_EQ(0, send_parts(device, fds[1], &part, 1, 0, &done));
	EXPECT_EQ(0, done.error);
	fds[2] = accept(fds[0], NULL, NULL);
	ASSERT_LE(0, fds[2]);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (i = 1; i < 3; i++) {
		EXPECT_EQ(0, send_parts(device, fds[i], &part, 1, 0, &done));
		EXPECT_EQ(0, done.error);
		EXPECT_EQ(0, send_parts(device, pair[i - 1], &part, 1, 0, &done));
		EXPECT_EQ(0, done.error);
	}
	close(fds[2]);
	close(pair[1]);
	EXPECT_EQ(0, send_parts(device, fds[1], &part, 1, 0, &done));
	EXPECT_EQ(-EPIPE, done.error);
	EXPECT_EQ(0, send_parts(device, pair[0], &part, 1, 0, &done));
	EXPECT_EQ(-EPIPE, done.error);
	close(pair[0]);
	close(fds[1]);
	close(fds[0]);
	file_close(&file);
	EXPECT_STREQ("", watch_end(&watch));
	close(device);
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

/* The transports that call/identity.c and tls.c leave out. */
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
	bool one_way;
};

FIXTURE_VARIANT_ADD(served, mptcp)
{
	.transport = MPTCP, .copies = true,
};

FIXTURE_VARIANT_ADD(served, mptcp6)
{
	.transport = MPTCP6, .copies = true,
};

FIXTURE_VARIANT_ADD(served, mptcp_wire)
{
	.transport = MPTCP_WIRE, .copies = true,
};

FIXTURE_VARIANT_ADD(served, mptcp_to_tcp)
{
	.transport = MPTCP_TO_TCP, .copies = true,
};

FIXTURE_VARIANT_ADD(served, tcp_to_mptcp)
{
	.transport = TCP_TO_MPTCP,
};

FIXTURE_VARIANT_ADD(served, tcp6)
{
	.transport = TCP6,
};

FIXTURE_VARIANT_ADD(served, unix)
{
	.transport = UNIX,
};

FIXTURE_VARIANT_ADD(served, vsock)
{
	.transport = VSOCK, .module = "vsock_loopback", .copies = true,
};

FIXTURE_VARIANT_ADD(served, tls)
{
	.transport = TLS, .module = "tls", .one_way = true,
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
	const uint64_t total = parts_total(ALL_OF(parts));
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	enum door door;

	for (door = SEND; door < DOORS; door++) {
		EXPECT_STREQ("", carry(door, self->device, variant->transport,
				       ALL_OF(parts), 0, &completion));
		EXPECT_EQ(total, completion.bytes);
		EXPECT_EQ(0, completion.error);
		/* What cannot be spared is at least told. */
		EXPECT_EQ(variant->copies ? ZCOPY_C_COPIED : 0,
			  completion.flags);
	}
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(variant->copies ? DOORS * total : 0, stats.bytes_copied);
}

/* From the end that was accepted, as servers send. */
TEST_F(served, back)
{
	const struct part parts[] = {
		of_memory(0, 300), of_file(&self->file, 1, 100001),
	};
	const uint64_t total = parts_total(ALL_OF(parts));
	const bool fell_back = variant->transport == MPTCP_TO_TCP;
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct reader reader;
	struct pair pair;
	enum door door;

	for (door = SEND; door < DOORS && !variant->one_way; door++) {
		pair_open(&pair, variant->transport, 0);
		reader_start(&reader, pair.tx, ALL_OF(parts));
		transfer = transfer_of(pair.rx, ALL_OF(parts), 1);
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(total, completion.bytes);
		EXPECT_EQ(0, completion.error);
		/* An end that was accepted as plain TCP is that. */
		EXPECT_EQ(variant->copies && !fell_back ? ZCOPY_C_COPIED : 0,
			  completion.flags);
		shutdown(pair.rx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, total));
		pair_close(&pair);
	}
}

/* The program may change the file when it is told so, on any of them. */
TEST_F(served, released)
{
	struct part part;
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	struct file file;
	struct pair pair;
	enum door door;

	for (door = SEND; door < DOORS; door++) {
		file_make(&file, TMPFS, 30001, 43);
		part = of_file(&file, 1, 0);
		roomy_open(&pair, variant->transport);
		transfer = transfer_of(pair.tx, &part, 1, 1);
		transfer.flags = ZCOPY_SYNC;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(30000, completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_COPIED, completion.flags);
		file_write(&file, 0, 30001, 44);
		cursor = (struct cursor){ .parts = &part, .nr = 1 };
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, 30000));
		EXPECT_STREQ("", cursor_verdict(&cursor, 30000));
		pair_close(&pair);
		file_close(&file);
	}
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
