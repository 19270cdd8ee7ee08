// SPDX-License-Identifier: GPL-2.0-only
/* Many at once: on one context, on one socket, in several processes. */
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SENDERS	8
#define ROUNDS	10
#define SIZE	(512 * KIB + 3)

FIXTURE(parallel)
{
	struct watch watch;
	struct file files[SENDERS];
	int device;
};

FIXTURE_VARIANT(parallel)
{
	enum filesystem filesystem;
	enum transport transport;
};

FIXTURE_VARIANT_ADD(parallel, ext4_tcp4)
{
	.filesystem = EXT4,
	.transport = TCP4,
};

FIXTURE_VARIANT_ADD(parallel, xfs_unix)
{
	.filesystem = XFS,
	.transport = UNIX,
};

FIXTURE_SETUP(parallel)
{
	int i;

	watch_begin(&self->watch);
	self->device = device_open();
	for (i = 0; i < SENDERS; i++)
		file_make(&self->files[i], variant->filesystem, SIZE, 120 + i);
}

FIXTURE_TEARDOWN(parallel)
{
	int i;

	for (i = 0; i < SENDERS; i++) {
		EXPECT_STREQ("", file_intact(&self->files[i]));
		file_close(&self->files[i]);
	}
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* One sender a socket, all on one context, header and file each. */
TEST_F(parallel, one_context)
{
	struct sender senders[SENDERS];
	struct reader readers[SENDERS];
	struct part parts[SENDERS][4];
	struct pair pairs[SENDERS];
	struct zcopy_stats stats;
	uint64_t total = 0;
	int i, round;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < SENDERS; i++) {
			struct file *file = &self->files[i];

			parts[i][0] = of_memory(i * 1000, 300 + i);
			parts[i][1] = of_file(file, 0, 0);
			parts[i][2] = of_memory(i * 7, 3000);
			/* The same file for all of them. */
			parts[i][3] = of_file(&self->files[0], i, 100 * KIB);
			pair_open(&pairs[i], variant->transport, 0);
			reader_start(&readers[i], pairs[i].rx, parts[i], 4);
			senders[i] = (struct sender){
				.device = self->device, .socket = pairs[i].tx,
				.parts = parts[i], .nr = 4, .shut = true,
			};
		}
		for (i = 0; i < SENDERS; i++)
			sender_start(&senders[i]);
		for (i = 0; i < SENDERS; i++) {
			const uint64_t all = parts_total(parts[i], 4);

			sender_finish(&senders[i]);
			EXPECT_EQ(0, senders[i].result);
			EXPECT_EQ(0, senders[i].completion.error);
			EXPECT_EQ(all, senders[i].completion.bytes);
			EXPECT_STREQ("", reader_finish(&readers[i], all));
			pair_close(&pairs[i]);
			total += all;
		}
	}
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(ROUNDS * SENDERS, stats.transfers);
	EXPECT_EQ(total, stats.bytes);
}

/* A file whose bytes all have the highest bit set, or not. */
static void marked(struct file *file, char *stream, bool high)
{
	uint64_t i;

	pattern(stream, SIZE, file->seed, 0);
	for (i = 0; i < SIZE; i++)
		stream[i] = high ? stream[i] | 0x80 : stream[i] & 0x7f;
	if (pwrite(file->rw, stream, SIZE, 0) != (ssize_t)SIZE)
		die("write a test file");
	memcpy(stream + SIZE, stream, SIZE);
}

/*
 * Two on one socket. How they mix is not said, but none loses a byte, none gets
 * one out of order, and the stream is a merge of the two.
 */
TEST_F(parallel, one_socket)
{
	const uint64_t size = 2 * SIZE;
	char *streams[2] = { malloc(size), malloc(size) };
	char *seen = malloc(2 * size);
	struct sender senders[2];
	struct part parts[2][2];
	struct file files[2];
	uint64_t at[2] = {}, got = 0;
	struct pair pair;
	int i;

	ASSERT_TRUE(streams[0] && streams[1] && seen);
	pair_open(&pair, variant->transport, 64 * 1024);
	for (i = 0; i < 2; i++) {
		file_make(&files[i], variant->filesystem, SIZE, 150 + i);
		marked(&files[i], streams[i], i);
		parts[i][0] = of_file(&files[i], 0, 0);
		parts[i][1] = of_file(&files[i], 0, 0);
		senders[i] = (struct sender){
			.device = self->device, .socket = pair.tx,
			.parts = parts[i], .nr = 2,
		};
		sender_start(&senders[i]);
	}
	while (got < 2 * size) {
		ssize_t n = recv(pair.rx, seen + got, 2 * size - got, 0);

		ASSERT_LT(0, n);
		got += n;
	}
	for (i = 0; i < 2; i++) {
		sender_finish(&senders[i]);
		EXPECT_EQ(0, senders[i].completion.error);
		EXPECT_EQ(size, senders[i].completion.bytes);
		file_close(&files[i]);
	}
	for (got = 0; got < 2 * size; got++) {
		i = !!(seen[got] & 0x80);
		ASSERT_GT(size, at[i]);
		ASSERT_EQ(streams[i][at[i]], seen[got]);
		at[i]++;
	}
	free(streams[0]);
	free(streams[1]);
	free(seen);
	pair_close(&pair);
}

/* Children with the parent's context, all sending the same file. */
TEST_F(parallel, forked)
{
	struct part part = of_file(&self->files[0], 0, 0);
	struct zcopy_completion completion;
	struct zcopy_stats stats;
	pid_t children[SENDERS];
	int i, status;

	for (i = 0; i < SENDERS; i++) {
		children[i] = fork();
		ASSERT_LE(0, children[i]);
		if (!children[i]) {
			const char *verdict = deliver(self->device,
						      variant->transport,
						      &part, 1, 0,
						      &completion);

			_exit(*verdict || completion.bytes != SIZE);
		}
	}
	for (i = 0; i < SENDERS; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_EQ(0, status);
	}
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(SENDERS, stats.transfers);
	EXPECT_EQ(SENDERS * SIZE, stats.bytes);
}

TEST_HARNESS_MAIN
