// SPDX-License-Identifier: GPL-2.0-only
/*
 * No stall: the last byte of an answer leaves at once and alone, however small
 * it is. Nothing may wait for the receiver to answer, for Nagle's algorithm or for
 * the timer of a cork.
 */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	421U
#define SMALL	16		/* transfers of an answer of many */
#define ROUNDS	100
#define CORKS	500
#define BOUND	(10 * 1000000ULL * slowdown())	/* nanoseconds */

/* An answer: its parts, and how they are handed over. */
struct shape {
	const char *name;
	struct part parts[2 * SMALL];
	size_t nr;
	size_t each;		/* parts of a transfer */
	bool more;		/* ZCOPY_MORE but for the last transfer */
	bool together;		/* one call of the queue takes them all */
	bool no_delay;		/* only with TCP_NODELAY nothing waits */
};

#define SHAPES	6

FIXTURE(stall)
{
	struct watch watch;
	struct file file;
	struct shape shapes[SHAPES];
	int device;
};

FIXTURE_VARIANT(stall)
{
	enum transport transport;
	bool no_delay;
};

#define ROW(name, over, at_once)					\
	FIXTURE_VARIANT_ADD(stall, name)				\
	{								\
		.transport = over, .no_delay = at_once,			\
	}

ROW(wire4, WIRE4, false);
ROW(wire4_nodelay, WIRE4, true);
ROW(wire6, WIRE6, false);
ROW(tls_wire, TLS_WIRE, false);
ROW(tls_wire_nodelay, TLS_WIRE, true);
ROW(tcp4, TCP4, false);
ROW(tcp4_nodelay, TCP4, true);
ROW(tls, TLS, false);
ROW(unix, UNIX, false);

static int set_sender(const char *name, int value)
{
	return run("ip netns exec left sysctl -qw net.ipv4.tcp_%s=%d", name,
		   value);
}

/* A test that ended early may have left the receiver deaf. */
static void hear(void)
{
	run("ip netns exec right tc qdisc del dev wire0 root 2>/dev/null || true");
	set_sender("autocorking", 1);
	set_sender("early_retrans", 3);
	set_sender("rto_min_us", 200000);
}

/* Who takes a slow machine for a loss sends one packet at a time. */
static void lose_nothing(void)
{
	if (set_sender("rto_min_us", 10000000))
		die("set the least time-out");
}

FIXTURE_SETUP(stall)
{
	struct shape *many = &self->shapes[4];
	const struct file *file = &self->file;
	size_t i;

	hear();
	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, 64 * KIB, SEED);
	self->shapes[0] = (struct shape){
		.name = "1 byte", .nr = 1, .each = 1,
		.parts = { of_file(file, 9, 1) },
	};
	self->shapes[1] = (struct shape){
		.name = "header, file of 1 byte", .nr = 2, .each = 2,
		.parts = { of_memory(0, 200), of_file(file, 77, 1) },
	};
	/* No more than a connection may send to begin with. */
	self->shapes[2] = (struct shape){
		.name = "file, trailer of 1 byte", .nr = 2, .each = 2,
		.parts = { of_file(file, 1, 9000), of_memory(3, 1) },
	};
	self->shapes[3] = (struct shape){
		.name = "MORE, then 1 byte", .nr = 2, .each = 1, .more = true,
		.parts = { of_file(file, 99, 500), of_memory(9, 1) },
	};
	*many = (struct shape){
		.name = "16 small ones in a call", .nr = 2 * SMALL, .each = 2,
		.together = true,
	};
	for (i = 0; i < SMALL; i++) {
		many->parts[2 * i] = of_memory(i, 20);
		many->parts[2 * i + 1] = of_file(file, 3 * i, 1);
	}
	self->shapes[5] = (struct shape){
		.name = "1 byte after another", .nr = 2, .each = 1,
		.parts = { of_file(file, 3, 1), of_file(file, 4, 1) },
		.no_delay = true,
	};
}

FIXTURE_TEARDOWN(stall)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static bool is_tcp(enum transport transport)
{
	return transport != UNIX;
}

static bool applies(const struct shape *shape, bool no_delay,
		    enum transport transport)
{
	return !shape->no_delay || no_delay || !is_tcp(transport);
}

static void connect_pair(struct pair *pair, enum transport transport,
			 bool no_delay)
{
	const int on = 1;

	pair_open(pair, transport, 0);
	if (no_delay && setsockopt(pair->tx, IPPROTO_TCP, TCP_NODELAY, &on,
				   sizeof(on)))
		die("TCP_NODELAY");
}

/* Hand an answer over by a door. */
static void answer(struct __test_metadata *_metadata, enum door door,
		   int device, int fd, const struct shape *shape)
{
	const size_t nr = shape->nr / shape->each;
	struct zcopy_transfer transfers[SMALL];
	struct zcopy_completion completions[SMALL];
	size_t i;

	for (i = 0; i < nr; i++) {
		transfers[i] = transfer_of(fd, &shape->parts[i * shape->each],
					   shape->each, i);
		if (shape->more && i + 1 < nr)
			transfers[i].flags = ZCOPY_MORE;
	}
	if (shape->together) {
		submit_all(device, transfers, nr);
		ASSERT_EQ(nr, reap(device, completions, nr));
	} else {
		for (i = 0; i < nr; i++)
			ASSERT_EQ(0, fly(door, device, &transfers[i],
					 &completions[i]));
	}
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, completions[i].error);
}

/*
 * Nor does the sender gather small packets while the card is busy, or send what
 * is left because no ACK comes.
 */
static void deafen(bool deaf)
{
	if (run("ip netns exec right tc qdisc %s dev wire0 root netem %s",
		deaf ? "add" : "del", deaf ? "loss 100%" : "") ||
	    set_sender("autocorking", !deaf) ||
	    set_sender("early_retrans", deaf ? 0 : 3))
		die("drop what the receiver sends");
}

static struct tcp_info information(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info;
}

/* Over loopback answers come at once. */
static bool can_be_deaf(enum transport transport)
{
	return is_wire(transport) || transport == TLS_WIRE;
}

/* True when all of it comes to be on its way; the card may be busy now. */
static bool is_sent(int fd)
{
	uint64_t since = 0;
	int left;

	do {
		if (ioctl(fd, SIOCOUTQNSD, &left))
			die("SIOCOUTQNSD");
		if (!left)
			return true;
	} while (patience(&since));
	return false;
}

/*
 * The receiver's ACKs are dropped, so what leaves waits for none of them. Some
 * of an answer must be on its way when the call returns, or else a timer might
 * be what sends it, and all of it in the end.
 */
TEST_F(stall, unacknowledged)
{
	const bool wire = can_be_deaf(variant->transport);
	struct pair pairs[DOORS][SHAPES];
	struct tcp_info before, after;
	struct cursor cursor;
	enum door door;
	size_t i;

	if (wire)
		lose_nothing();
	for (door = SEND; door < DOORS; door++)
		for (i = 0; i < SHAPES; i++)
			connect_pair(&pairs[door][i], variant->transport,
				     variant->no_delay);
	if (wire)
		deafen(true);
	for (door = SEND; door < DOORS; door++) {
		for (i = 0; i < SHAPES; i++) {
			const struct shape *shape = &self->shapes[i];
			const struct pair *pair = &pairs[door][i];
			const uint64_t total = parts_total(shape->parts,
							   shape->nr);

			if (!applies(shape, variant->no_delay,
				     variant->transport))
				continue;
			before = (struct tcp_info){};
			if (wire)
				before = information(pair->tx);
			answer(_metadata, door, self->device, pair->tx, shape);
			if (wire)
				EXPECT_LT(0, information(pair->tx).tcpi_unacked);
			/* AF_UNIX has no queue on this side. */
			if (is_tcp(variant->transport))
				EXPECT_TRUE(is_sent(pair->tx)) {
					TH_LOG("%s", shape->name);
				}
			cursor = (struct cursor){
				.parts = shape->parts, .nr = shape->nr,
			};
			EXPECT_TRUE(cursor_take(&cursor, pair->rx, total));
			EXPECT_STREQ("", cursor_verdict(&cursor, total));
			if (!wire)
				continue;
			after = information(pair->tx);
			EXPECT_LT(0, after.tcpi_unacked);
			EXPECT_EQ(before.tcpi_bytes_acked,
				  after.tcpi_bytes_acked);
		}
	}
	if (wire)
		deafen(false);
	for (door = SEND; door < DOORS; door++)
		for (i = 0; i < SHAPES; i++)
			pair_close(&pairs[door][i]);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

/*
 * Sends answers of many small parts until it is told to stop, each when the one
 * before has arrived, so that the first packet leaves and there is a rest.
 */
struct endless {
	struct zcopy_completion completion;
	const struct shape *shape;
	int device;
	int socket;
	unsigned long begun;	/* atomic */
	unsigned long sent;	/* atomic */
	uint64_t took;		/* nanoseconds, the last one */
	bool stop;		/* atomic */
	int error;
};

static void *send_endlessly(void *arg)
{
	struct endless *endless = arg;

	while (!__atomic_load_n(&endless->stop, __ATOMIC_RELAXED)) {
		uint64_t start;
		int err, left;

		if (ioctl(endless->socket, SIOCOUTQ, &left))
			die("SIOCOUTQ");
		if (left)
			continue;
		__atomic_fetch_add(&endless->begun, 1, __ATOMIC_RELEASE);
		start = now();
		err = send_parts(endless->device, endless->socket,
				 endless->shape->parts, endless->shape->nr, 0,
				 &endless->completion);
		endless->took = now() - start;
		endless->error = err ?: endless->completion.error;
		__atomic_fetch_add(&endless->sent, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *receive_endlessly(void *arg)
{
	static char bytes[64 * KIB];

	while (recv(*(int *)arg, bytes, sizeof(bytes), 0) > 0)
		;
	return NULL;
}

/* What is let go of at once is no reason to take a cork of somebody else away. */
TEST_F(stall, cork_of_another_thread)
{
	struct endless endless = {
		.shape = &self->shapes[4], .device = self->device,
	};
	pthread_t sender, receiver;
	struct pair pair;
	int round, lost = 0;

	/* With TCP_NODELAY there is no rest. */
	if (!is_tcp(variant->transport) || variant->no_delay)
		return;
	pair_open(&pair, variant->transport, 0);
	endless.socket = pair.tx;
	ASSERT_EQ(0, pthread_create(&receiver, NULL, receive_endlessly, &pair.rx));
	ASSERT_EQ(0, pthread_create(&sender, NULL, send_endlessly, &endless));
	for (round = 0; round < CORKS; round++) {
		const unsigned long before = __atomic_load_n(&endless.sent,
							     __ATOMIC_ACQUIRE);
		socklen_t len = sizeof(int);
		uint64_t since = 0, start;
		int cork = 1, i;

		/* At any moment of a call. */
		for (i = 0; __atomic_load_n(&endless.begun, __ATOMIC_ACQUIRE) ==
			    before; i++)
			ASSERT_TRUE(i < 100000 || patience(&since));
		start = now();
		while (now() - start < endless.took * (round % 97) / 97)
			;
		ASSERT_EQ(0, setsockopt(pair.tx, IPPROTO_TCP, TCP_CORK, &cork,
					sizeof(cork)));
		while (__atomic_load_n(&endless.sent, __ATOMIC_ACQUIRE) == before)
			ASSERT_TRUE(patience(&since));
		cork = 0;
		ASSERT_EQ(0, getsockopt(pair.tx, IPPROTO_TCP, TCP_CORK, &cork,
					&len));
		lost += !cork;
		cork = 0;
		ASSERT_EQ(0, setsockopt(pair.tx, IPPROTO_TCP, TCP_CORK, &cork,
					sizeof(cork)));
	}
	EXPECT_EQ(0, lost);
	__atomic_store_n(&endless.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(sender, NULL));
	EXPECT_EQ(0, endless.error);
	shutdown(pair.tx, SHUT_WR);
	ASSERT_EQ(0, pthread_join(receiver, NULL));
	pair_close(&pair);
}

/*
 * What is handed over alone, behind what is on its way, waits for the answer
 * to that, as what send(2) is given does; but not with TCP_NODELAY.
 */
TEST_F(stall, one_by_one)
{
	const struct part parts[] = {
		of_file(&self->file, 3, 1), of_file(&self->file, 4, 1),
	};
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct pair pairs[DOORS];
	enum door door;
	int left;
	size_t i;

	if (!can_be_deaf(variant->transport))
		return;
	lose_nothing();
	for (door = SEND; door < DOORS; door++)
		connect_pair(&pairs[door], variant->transport,
			     variant->no_delay);
	deafen(true);
	for (door = SEND; door < DOORS; door++) {
		for (i = 0; i < 2; i++) {
			transfer = transfer_of(pairs[door].tx, &parts[i], 1, i);
			ASSERT_EQ(0, fly(door, self->device, &transfer,
					 &completion));
			EXPECT_EQ(0, completion.error);
			if (!i || variant->no_delay)
				EXPECT_TRUE(is_sent(pairs[door].tx));
		}
		ASSERT_EQ(0, ioctl(pairs[door].tx, SIOCOUTQNSD, &left));
		EXPECT_EQ(!variant->no_delay, left > 0);
	}
	deafen(false);
	for (door = SEND; door < DOORS; door++)
		pair_close(&pairs[door]);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * Nanoseconds from the call to the last byte at the receiver, sorted. It sends
 * a byte back each time, as the next request would be.
 */
static void measure(struct __test_metadata *_metadata,
		    FIXTURE_DATA(stall) *self,
		    const FIXTURE_VARIANT(stall) *variant,
		    const struct shape *shape, bool plain, uint64_t *times)
{
	const uint64_t total = parts_total(shape->parts, shape->nr);
	char bytes[16 * KIB];
	struct pair pair;
	int i;

	connect_pair(&pair, variant->transport, variant->no_delay);
	for (i = 0; i < ROUNDS; i++) {
		times[i] = now();
		if (plain) {
			ASSERT_EQ(total, send(pair.tx, memory(0, total), total,
					      0));
		} else {
			answer(_metadata, SUBMIT, self->device, pair.tx, shape);
		}
		ASSERT_TRUE(receive(pair.rx, bytes, total));
		times[i] = now() - times[i];
		ASSERT_EQ(1, send(pair.rx, "x", 1, 0));
		ASSERT_TRUE(receive(pair.tx, bytes, 1));
	}
	pair_close(&pair);
	qsort(times, ROUNDS, sizeof(*times), compare);
}

/*
 * A receiver that delays its ACK would cost 40 ms each time, a cork 200 ms. A
 * busy machine holds up the rounds too, those of send(2) alike.
 */
TEST_F(stall, time_to_last_byte)
{
	uint64_t zcopy[ROUNDS], plain[ROUNDS];
	const int median = ROUNDS / 2, late = ROUNDS * 99 / 100;
	int tries;
	size_t i;

	for (i = 0; i < SHAPES; i++) {
		const struct shape *shape = &self->shapes[i];

		if (!applies(shape, variant->no_delay, variant->transport))
			continue;
		/* What holds up one of the two does not do so each time. */
		for (tries = 0; tries < 5; tries++) {
			measure(_metadata, self, variant, shape, true, plain);
			measure(_metadata, self, variant, shape, false, zcopy);
			if (zcopy[median] < BOUND + 2 * plain[median])
				break;
		}
		EXPECT_GT(5, tries);
		printf("# %-25s us: median %5ju, p99 %5ju; send(2) %5ju, %5ju\n",
		       shape->name, (uintmax_t)zcopy[median] / 1000,
		       (uintmax_t)zcopy[late] / 1000,
		       (uintmax_t)plain[median] / 1000,
		       (uintmax_t)plain[late] / 1000);
		fflush(stdout);
	}
}

static pid_t maker;

static void hear_at_last(void)
{
	if (getpid() == maker)
		hear();
}

int main(int argc, char **argv)
{
	maker = getpid();
	if (atexit(hear_at_last))
		die("arrange for the wire");
	return test_harness_run(argc, argv);
}
