// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel TLS: what the receiver decrypts is what the file holds, records end
 * where the program says, and the file's pages stay as they are, since they are
 * encrypted into others. It is the kernel that encrypts here: none of the VM's
 * cards can, so the offload to a card is not tested.
 */
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	401U
#define SIZE	(MIB + 1)
#define RECORD	16384U		/* the most a record holds */
#define TINY	4096		/* of a socket buffer: no record goes in whole */
#define DATA	23		/* types of records */
#define ALERT	21

FIXTURE(tls)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(tls)
{
	enum transport transport;
	enum transport below;		/* the same without TLS */
	unsigned int overhead;		/* of a record, behind its header */
};

FIXTURE_VARIANT_ADD(tls, v12_128)
{
	.transport = TLS, .below = TCP4, .overhead = 8 + 16,
};

FIXTURE_VARIANT_ADD(tls, v12_256)
{
	.transport = TLS12_256, .below = TCP4, .overhead = 8 + 16,
};

FIXTURE_VARIANT_ADD(tls, v13_128)
{
	.transport = TLS13_128, .below = TCP6, .overhead = 1 + 16,
};

FIXTURE_VARIANT_ADD(tls, v13_256)
{
	.transport = TLS13_256, .below = TCP4, .overhead = 1 + 16,
};

FIXTURE_VARIANT_ADD(tls, wire)
{
	.transport = TLS_WIRE, .below = WIRE4, .overhead = 1 + 16,
};

FIXTURE_SETUP(tls)
{
	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
}

FIXTURE_TEARDOWN(tls)
{
	EXPECT_TRUE(await_active(0));
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(tls, arrives)
{
	const struct file *file = &self->file;
	const struct {
		struct part parts[4];
		size_t nr;
	} rows[] = {
		{ { of_memory(0, 300), of_file(file, 0, 0), of_memory(300, 20),
		    of_file(file, 4095, 4098) }, 4 },
		{ { of_file(file, SIZE - 1, 0) }, 1 },
		{ { of_memory(5, 1) }, 1 },
		{ { of_file(file, 1, RECORD - 1) }, 1 },
		{ { of_file(file, 4097, RECORD + 1) }, 1 },
		{ { of_memory(0, 1), of_file(file, 12345, 100001),
		    of_memory(1, 1) }, 3 },
		{ { of_file(file, 4095, 2), of_file(file, 8191, 2),
		    of_file(file, 3, 4096), of_memory(0, RECORD) }, 4 },
	};
	struct zcopy_completion completion;
	enum door door;
	size_t i;

	for (door = SEND; door < DOORS; door++)
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			EXPECT_STREQ("", carry(door, self->device,
					       variant->transport,
					       rows[i].parts, rows[i].nr, 0,
					       &completion)) {
				TH_LOG("door %d, row %zu", door, i);
			}
			EXPECT_EQ(parts_total(rows[i].parts, rows[i].nr),
				  completion.bytes);
			EXPECT_EQ(0, completion.error);
			EXPECT_EQ(0, completion.flags);
		}
}

/* Pages that were never in memory, and of a file that is nowhere else. */
TEST_F(tls, cold_and_shared)
{
	struct part part = of_file(&self->file, 4000, 0);
	struct zcopy_completion completion;
	struct file shared;
	enum door door;

	file_make(&shared, MEMFD, 100001, SEED + 1);
	for (door = SEND; door < DOORS; door++) {
		file_chill(&self->file);
		part = of_file(&self->file, 4000, 0);
		EXPECT_STREQ("", carry(door, self->device, variant->transport,
				       &part, 1, 0, &completion));
		part = of_file(&shared, 1, 0);
		EXPECT_STREQ("", carry(door, self->device, variant->transport,
				       &part, 1, 0, &completion));
		EXPECT_EQ(100000, completion.bytes);
	}
	EXPECT_STREQ("", file_intact(&shared));
	file_close(&shared);
}

/* What a program that does not decrypt sees: the lengths of the records. */
static void expect_records(struct __test_metadata *_metadata,
			   const FIXTURE_VARIANT(tls) *variant, int fd,
			   const unsigned int *lengths, size_t nr)
{
	static char record[RECORD + 256];
	unsigned char header[5];
	unsigned int len;
	size_t i;

	for (i = 0; i < nr; i++) {
		ASSERT_TRUE(receive(fd, (char *)header, sizeof(header)));
		EXPECT_EQ(DATA, header[0]);
		len = header[3] << 8 | header[4];
		EXPECT_EQ(lengths[i] + variant->overhead, len) {
			TH_LOG("record %zu", i);
		}
		ASSERT_GE(sizeof(record), len);
		ASSERT_TRUE(receive(fd, record, len));
	}
	EXPECT_EQ(-1, recv(fd, record, 1, MSG_DONTWAIT));
}

/* A record ends when it is full, or with the transfer unless more follows. */
TEST_F(tls, records)
{
	const struct file *file = &self->file;
	const struct {
		struct part parts[3];
		size_t nr;
		unsigned int lengths[3];
		size_t records;
	} rows[] = {
		{ { of_file(file, 0, 1) }, 1, { 1 }, 1 },
		{ { of_memory(0, 100), of_file(file, 0, 500),
		    of_memory(0, 3) }, 3, { 603 }, 1 },
		{ { of_file(file, 0, RECORD) }, 1, { RECORD }, 1 },
		{ { of_file(file, 77, RECORD + 1) }, 1, { RECORD, 1 }, 2 },
		{ { of_memory(0, 1), of_file(file, 4096, 2 * RECORD) }, 2,
		  { RECORD, RECORD, 1 }, 3 },
	};
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	enum door door;
	struct pair pair;
	size_t i;

	for (door = SEND; door < DOORS; door++) {
		pair_open(&pair, variant->below, 0);
		ASSERT_EQ(0, tls_start(pair.tx, TLS_TX, variant->transport));
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			transfer = transfer_of(pair.tx, rows[i].parts,
					       rows[i].nr, i);
			ASSERT_EQ(0, fly(door, self->device, &transfer,
					 &completion));
			expect_records(_metadata, variant, pair.rx,
				       rows[i].lengths, rows[i].records);
		}
		pair_close(&pair);
	}
}

/* An open record waits for its rest however long, whoever sends that. */
TEST_F(tls, more)
{
	const struct part first = of_file(&self->file, 9, 100);
	const struct part parts[] = { of_memory(0, 30), first };
	const unsigned int joined = 100 + 130, other = 100 + 10;
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	enum door door;
	struct pair pair;

	for (door = SEND; door < DOORS; door++) {
		pair_open(&pair, variant->below, 0);
		ASSERT_EQ(0, tls_start(pair.tx, TLS_TX, variant->transport));

		transfer = transfer_of(pair.tx, &first, 1, 1);
		transfer.flags = ZCOPY_MORE;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(100, completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(0, accepted(pair.tx));

		transfer = transfer_of(pair.tx, parts, 2, 2);
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		expect_records(_metadata, variant, pair.rx, &joined, 1);

		transfer = transfer_of(pair.tx, &first, 1, 3);
		transfer.flags = ZCOPY_MORE;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		ASSERT_EQ(10, send(pair.tx, memory(0, 10), 10, 0));
		expect_records(_metadata, variant, pair.rx, &other, 1);
		pair_close(&pair);
	}
}

static void send_alert(struct __test_metadata *_metadata, int fd)
{
	char control[CMSG_SPACE(1)] = {};
	struct iovec text = { .iov_base = memory(0, 2), .iov_len = 2 };
	struct msghdr message = {
		.msg_iov = &text, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_TLS;
	header->cmsg_type = TLS_SET_RECORD_TYPE;
	header->cmsg_len = CMSG_LEN(1);
	*CMSG_DATA(header) = ALERT;
	ASSERT_EQ(2, sendmsg(fd, &message, 0));
}

/* The type of the record that this is from, or -1. */
static int receive_typed(int fd, char *buffer, size_t len)
{
	char control[CMSG_SPACE(1)];
	struct iovec room = { .iov_base = buffer, .iov_len = len };
	struct msghdr message = {
		.msg_iov = &room, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;

	if (recvmsg(fd, &message, MSG_WAITALL) != (ssize_t)len)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_level != SOL_TLS ||
	    header->cmsg_type != TLS_GET_RECORD_TYPE)
		return -1;
	return *CMSG_DATA(header);
}

/* A control record ends the record that is open, and stands where it was sent. */
TEST_F(tls, control)
{
	const struct part parts[] = {
		of_file(&self->file, 3, 100), of_file(&self->file, 200, 50),
	};
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	char bytes[100];
	enum door door;
	struct pair pair;

	for (door = SEND; door < DOORS; door++) {
		pair_open(&pair, variant->transport, 0);
		transfer = transfer_of(pair.tx, &parts[0], 1, 1);
		transfer.flags = ZCOPY_MORE;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		send_alert(_metadata, pair.tx);
		transfer = transfer_of(pair.tx, &parts[1], 1, 2);
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));

		cursor = (struct cursor){ .parts = parts, .nr = 2 };
		EXPECT_EQ(DATA, receive_typed(pair.rx, bytes, 100));
		cursor_compare(&cursor, bytes, 100);
		EXPECT_EQ(ALERT, receive_typed(pair.rx, bytes, 2));
		EXPECT_EQ(0, memcmp(bytes, memory(0, 2), 2));
		EXPECT_EQ(DATA, receive_typed(pair.rx, bytes, 50));
		cursor_compare(&cursor, bytes, 50);
		EXPECT_STREQ("", cursor_verdict(&cursor, 150));
		pair_close(&pair);
	}
}

/* Transfers of all ways and the program's own bytes, in one record or more. */
TEST_F(tls, mixed)
{
	const struct file *file = &self->file;
	const struct {
		struct part part;
		uint32_t flags;
		bool own;
	} rows[] = {
		{ of_file(file, 4090, 1000), ZCOPY_MORE, false },
		{ of_memory(0, 100), ZCOPY_MORE, true },
		{ of_file(file, 5, 3000), ZCOPY_MORE | ZCOPY_SYNC, false },
		{ of_memory(9, 10), ZCOPY_MORE, false },
		{ of_file(file, 8191, 20000), ZCOPY_SYNC, false },
		{ of_file(file, 1, 1), ZCOPY_MORE, false },
		{ of_file(file, 2, RECORD), ZCOPY_MORE, false },
		{ of_memory(70, 7), 0, true },
		{ of_file(file, 77, 7777), ZCOPY_MORE | ZCOPY_SYNC, false },
		{ of_file(file, 100000, 100001), 0, false },
	};
	struct part parts[ARRAY_SIZE(rows)];
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct reader reader;
	struct pair pair;
	enum door door;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		parts[i] = rows[i].part;
	for (door = SEND; door < DOORS; door++) {
		pair_open(&pair, variant->transport, 0);
		reader_start(&reader, pair.rx, parts, ARRAY_SIZE(parts));
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct stretch *want = &parts[i].want;

			if (rows[i].own) {
				ASSERT_EQ(want->len,
					  send(pair.tx,
					       memory(want->pos, want->len),
					       want->len,
					       rows[i].flags ? MSG_MORE : 0));
				continue;
			}
			transfer = transfer_of(pair.tx, &parts[i], 1, i);
			transfer.flags = rows[i].flags;
			ASSERT_EQ(0, fly(door, self->device, &transfer,
					 &completion));
			EXPECT_EQ(want->len, completion.bytes);
			EXPECT_EQ(rows[i].flags & ZCOPY_SYNC ?
				  ZCOPY_C_RELEASED | ZCOPY_C_COPIED : 0,
				  completion.flags);
		}
		shutdown(pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader, parts_total(ALL_OF(parts)))) {
			TH_LOG("door %d", door);
		}
		pair_close(&pair);
	}
}

/* No record goes into the socket at once, and the reader comes late. */
TEST_F(tls, queue_waits)
{
	const struct part parts[] = {
		of_memory(0, 300), of_file(&self->file, 1, 200 * KIB),
		of_file(&self->file, 0, 0), of_memory(300, 1),
	};
	const uint64_t total = parts_total(ALL_OF(parts));
	struct zcopy_transfer transfers[] = {
		{}, {},
	};
	struct reader reader;
	struct pair pair;

	pair_open(&pair, variant->transport, TINY);
	transfers[0] = transfer_of(pair.tx, &parts[0], 2, 1);
	transfers[1] = transfer_of(pair.tx, &parts[2], 2, 2);
	submit_all(self->device, ALL_OF(transfers));
	ASSERT_TRUE(await_active(2));
	reader_start(&reader, pair.rx, parts, ARRAY_SIZE(parts));
	EXPECT_STREQ("", completes(self->device, 1,
				   parts_total(&parts[0], 2), 0, 0));
	EXPECT_STREQ("", completes(self->device, 2,
				   parts_total(&parts[2], 2), 0, 0));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, total));
	pair_close(&pair);
}

/* True when the reader comes to have so many bytes. */
static bool await_read(const struct reader *reader, uint64_t bytes)
{
	uint64_t since = 0;

	do {
		if (__atomic_load_n(&reader->cursor.got, __ATOMIC_RELAXED) ==
		    bytes)
			return true;
	} while (patience(&since));
	return false;
}

/* Read no more than it takes until the other side can send again. */
static bool read_until_room(struct cursor *cursor, const struct pair *pair)
{
	struct pollfd tx = { .fd = pair->tx, .events = POLLOUT };
	struct pollfd rx = { .fd = pair->rx, .events = POLLIN };
	uint64_t since = 0;

	while (!poll(&tx, 1, 0)) {
		if (poll(&rx, 1, 0))
			cursor_read(cursor, pair->rx, 4 * KIB);
		else if (!patience(&since))
			return false;
	}
	return true;
}

/*
 * What a full socket took of a record is not sent twice. The rest of it is
 * lost if a program that does not wait shuts its socket down right away.
 */
TEST_F(tls, full_again_and_again)
{
	const struct part all[] = {
		of_memory(0, 300), of_file(&self->file, 1, 300 * KIB),
		of_memory(300, 1),
	};
	struct zcopy_completion completion;
	struct part parts[ARRAY_SIZE(all)];
	struct cursor cursor = { .parts = all, .nr = ARRAY_SIZE(all) };
	size_t left = ARRAY_SIZE(all);
	struct reader reader;
	struct pair pair;
	int refusals = 0;

	memcpy(parts, all, sizeof(all));
	pair_open(&pair, variant->transport, TINY);
	set_nonblocking(pair.tx);
	while (left) {
		ASSERT_EQ(0, send_parts(self->device, pair.tx, parts, left, 0,
					&completion));
		left = parts_skip(parts, left, completion.bytes);
		ASSERT_EQ(left ? -EAGAIN : 0, completion.error);
		refusals += left > 0;
		ASSERT_TRUE(read_until_room(&cursor, &pair));
	}
	EXPECT_LT(1, refusals);
	reader_continue(&reader, pair.rx, &cursor);
	EXPECT_TRUE(await_read(&reader, parts_total(ALL_OF(all))));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(ALL_OF(all))));
	pair_close(&pair);
}

/* What went is whole records, and the program can go on behind them. */
TEST_F(tls, cancelled)
{
	struct part parts[] = { of_file(&self->file, 7, 0), of_memory(0, 10) };
	struct zcopy_transfer transfer;
	struct flight flight;
	struct reader reader;
	struct pair pair;
	enum door door;

	for (door = SUBMIT; door < DOORS; door++) {
		pair_open(&pair, variant->transport, TINY);
		parts[0] = of_file(&self->file, 7, 0);
		transfer = transfer_of(pair.tx, parts, 1, 1);
		flight_start(&flight, door, self->device, &transfer);
		ASSERT_TRUE(flight_waits(&flight));
		EXPECT_EQ(1, cancel_all(self->device));
		ASSERT_EQ(0, flight_finish(&flight));
		EXPECT_EQ(-ECANCELED, flight.send.completion.error);
		EXPECT_EQ(ZCOPY_C_CANCELLED, flight.send.completion.flags);
		EXPECT_LT(0, flight.send.completion.bytes);
		EXPECT_GT(SIZE - 7, flight.send.completion.bytes);

		parts[0].want.len = flight.send.completion.bytes;
		reader_start(&reader, pair.rx, parts, 2);
		ASSERT_EQ(10, send(pair.tx, memory(0, 10), 10, 0));
		EXPECT_TRUE(await_read(&reader, parts_total(ALL_OF(parts))));
		shutdown(pair.tx, SHUT_WR);
		EXPECT_STREQ("", reader_finish(&reader,
					       parts_total(ALL_OF(parts))));
		pair_close(&pair);
	}
}

/* Kernel TLS tells nobody when it is done with pages, so it gets a copy. */
TEST_F(tls, released)
{
	const uint32_t flags = ZCOPY_C_RELEASED | ZCOPY_C_COPIED;
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	struct file file;
	struct part part;
	struct pair pair;
	enum door door;

	for (door = SEND; door < DOORS; door++) {
		file_make(&file, TMPFS, 100001, SEED + 2);
		part = of_file(&file, 1, 0);
		roomy_open(&pair, variant->transport);
		transfer = transfer_of(pair.tx, &part, 1, 1);
		transfer.flags = ZCOPY_SYNC;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(100000, completion.bytes);
		EXPECT_EQ(0, completion.error);
		EXPECT_EQ(flags, completion.flags);

		transfer.flags = ZCOPY_NOTIFY;
		ASSERT_EQ(0, fly(door, self->device, &transfer, &completion));
		EXPECT_EQ(100000, completion.bytes);
		EXPECT_EQ(ZCOPY_C_MORE, completion.flags & ~ZCOPY_C_COPIED);
		EXPECT_STREQ("", completes(self->device, 1, 100000, 0, flags));

		/* The receiver has not read any of it. */
		file_write(&file, 0, 100001, SEED + 3);
		cursor = (struct cursor){ .parts = &part, .nr = 1 };
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, 100000));
		cursor.at = 0;
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, 100000));
		EXPECT_STREQ("", cursor_verdict(&cursor, 200000));
		pair_close(&pair);
		file_close(&file);
	}
}

/* Encrypted both ways, and a transfer each way at once. */
TEST_F(tls, both_ways)
{
	const struct part parts[] = {
		of_file(&self->file, 0, 0), of_memory(0, 99),
	};
	struct sender sender[2] = {};
	struct reader reader[2];
	struct pair pair;
	int ends[2], i;

	pair_open(&pair, variant->transport, 0);
	ASSERT_EQ(0, tls_start(pair.tx, TLS_RX, variant->transport));
	ASSERT_EQ(0, tls_start(pair.rx, TLS_TX, variant->transport));
	ends[0] = pair.tx;
	ends[1] = pair.rx;
	for (i = 0; i < 2; i++) {
		reader_start(&reader[i], ends[!i], parts, 2);
		sender[i] = (struct sender){
			.device = self->device, .socket = ends[i],
			.parts = parts, .nr = 2, .shut = true,
		};
		sender_start(&sender[i]);
	}
	for (i = 0; i < 2; i++) {
		sender_finish(&sender[i]);
		EXPECT_EQ(0, sender[i].result);
		EXPECT_EQ(SIZE + 99, sender[i].completion.bytes);
		EXPECT_STREQ("", reader_finish(&reader[i], SIZE + 99));
	}
	pair_close(&pair);
}

/* With TLS for the other direction alone, or for none yet, bytes go plain. */
TEST_F(tls, not_for_sending)
{
	const struct part parts[] = {
		of_memory(0, 99), of_file(&self->file, 1, 100001),
	};
	const uint64_t total = parts_total(ALL_OF(parts));
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct reader reader;
	struct pair pair;
	enum door door;
	int receives;

	for (receives = 0; receives < 2; receives++)
		for (door = SEND; door < DOORS; door++) {
			pair_open(&pair, variant->below, 0);
			ASSERT_EQ(0, setsockopt(pair.tx, IPPROTO_TCP, TCP_ULP,
						"tls", 4));
			ASSERT_EQ(0, receives ? tls_start(pair.tx, TLS_RX,
							  variant->transport) :
						0);
			reader_start(&reader, pair.rx, parts, 2);
			transfer = transfer_of(pair.tx, parts, 2, 1);
			ASSERT_EQ(0, fly(door, self->device, &transfer,
					 &completion));
			EXPECT_EQ(total, completion.bytes);
			EXPECT_EQ(0, completion.flags);
			shutdown(pair.tx, SHUT_WR);
			EXPECT_STREQ("", reader_finish(&reader, total));
			pair_close(&pair);
		}
}

TEST_HARNESS_MAIN
