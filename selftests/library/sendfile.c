// SPDX-License-Identifier: GPL-2.0-only
/*
 * FreeBSD's sendfile(): what arrives. What its manual page promises,
 * Documentation/freebsd.rst tells where.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/sendfile.h"
#include "lib/submit.h"

TEST_F(sendfile, whole_and_ranges)
{
	struct iovec headers[] = {
		{ memory(0, 100), 100 }, { memory(100, 0), 0 },
		{ memory(100, 50), 50 },
	};
	struct iovec trailers[] = {
		{ memory(900, 10), 10 }, { memory(910, 1), 1 },
	};
	struct sf_hdtr both = { headers, 3, trailers, 2 };
	struct sf_hdtr header = { headers, 3, NULL, 0 };
	struct sf_hdtr trailer = { NULL, 0, trailers, 2 };
	struct sf_hdtr none = { NULL, 5, NULL, 5 };
	const struct part whole[] = {
		of_memory(0, 150), of_file(&self->file, 0, 0),
		of_memory(900, 11),
	};
	const struct part some[] = {
		of_memory(0, 150), of_file(&self->file, 4097, 12345),
		of_memory(900, 11),
	};
	const struct part beyond[] = {
		of_memory(0, 150), of_memory(900, 11),
	};
	const struct part longer[] = {
		of_memory(0, 150), of_file(&self->file, SIZE - 7, 0),
		of_memory(900, 11),
	};

	sends(_metadata, self, 0, 0, NULL, whole + 1, 1, 0);
	sends(_metadata, self, 0, SIZE, NULL, whole + 1, 1, 0);
	sends(_metadata, self, 0, 0, &none, whole + 1, 1, 0);
	sends(_metadata, self, 0, 0, &both, whole, 3, 0);
	sends(_metadata, self, 0, 0, &header, whole, 2, 0);
	sends(_metadata, self, 0, 0, &trailer, whole + 1, 2, 0);
	sends(_metadata, self, 4097, 12345, &both, some, 3, 0);
	/* Beyond the end: success, header and trailer all the same. */
	sends(_metadata, self, SIZE, 0, &both, beyond, 2, 0);
	sends(_metadata, self, SIZE + 1, 100, &both, beyond, 2, 0);
	sends(_metadata, self, INT64_MAX, 0, &both, beyond, 2, 0);
	/* A length beyond the end: what there is. */
	sends(_metadata, self, SIZE - 7, 8, &both, longer, 3, 0);
	sends(_metadata, self, SIZE - 7, SIZE_MAX, &both, longer, 3, 0);
	/* Flags that are served change nothing of what arrives. */
	sends(_metadata, self, 0, 0, &both, whole, 3, SF_NODISKIO);
	sends(_metadata, self, 0, 0, &both, whole, 3,
	      SF_FLAGS(16, SF_USER_READAHEAD));
	sends(_metadata, self, 0, 0, &both, whole, 3, SF_FLAGS(0xffff, 0));
	sends(_metadata, self, 0, 0, &both, whole, 3, SF_SYNC);
	sends(_metadata, self, 0, 0, &both, whole, 3,
	      SF_FLAGS(7, SF_NOCACHE | SF_SYNC));
}

TEST_F(sendfile, many_iovecs)
{
	static struct iovec headers[1000];
	static struct part parts[1001];
	struct sf_hdtr hdtr = { headers, 1000, NULL, 0 };
	int i;

	for (i = 0; i < 1000; i++) {
		headers[i] = (struct iovec){ memory(i * 3, i % 5), i % 5 };
		parts[i] = of_memory(i * 3, i % 5);
	}
	parts[1000] = of_file(&self->file, 0, 0);
	sends(_metadata, self, 0, 0, &hdtr, parts, 1001, 0);
}

/* No place to count to is none of the caller's faults. */
TEST_F(sendfile, without_sbytes)
{
	const struct part part = of_file(&self->file, 0, 1000);
	struct cursor cursor = { .parts = &part, .nr = 1 };

	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 1000, NULL,
				    NULL, 0));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 1000));
	EXPECT_STREQ("", cursor_verdict(&cursor, 1000));
}

/* More of it than a transfer takes: in bytes, and in iovecs. */
TEST_F(sendfile, large_headers)
{
	static struct iovec many[IOV_MAX];
	static struct part parts[IOV_MAX + 2];
	struct iovec header = { memory(0, LARGE), LARGE };
	struct iovec trailers[] = {
		{ memory(1, 60 * KIB), 60 * KIB }, { memory(2, 9), 9 },
		{ memory(3, LARGE), LARGE },
	};
	struct sf_hdtr large = { &header, 1, trailers, 3 };
	struct sf_hdtr both = { many, IOV_MAX, many, IOV_MAX };
	static struct part twice[2 * IOV_MAX + 1];
	off_t bytes = UNSET;
	int i;

	parts[0] = of_memory(0, LARGE);
	parts[1] = of_file(&self->file, 5, 70000);
	for (i = 0; i < 3; i++)
		parts[2 + i] = of_memory(1 + i, trailers[i].iov_len);
	sends(_metadata, self, 5, 70000, &large, parts, 5, 0);
	sends(_metadata, self, 5, 70000, &large, parts, 5, SF_NODISKIO);
	sends(_metadata, self, 5, 70000, &large, parts, 5, SF_SYNC);

	for (i = 0; i < IOV_MAX; i++) {
		many[i] = (struct iovec){ memory(i * 5, i % 150), i % 150 };
		twice[i] = of_memory(i * 5, i % 150);
		twice[IOV_MAX + 1 + i] = twice[i];
	}
	twice[IOV_MAX] = of_file(&self->file, 0, 0);
	sends(_metadata, self, 0, 0, &both, twice, 2 * IOV_MAX + 1, 0);

	/* What can be refused is refused before the first byte. */
	EXPECT_EQ(-1, zcopy_sendfile(-1, self->pair.tx, 0, 0, &large, &bytes,
				     0));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(0, bytes);
	EXPECT_EQ(-1, recv(self->pair.rx, &i, 1, MSG_DONTWAIT));
}

TEST_F(sendfile, shared_memory)
{
	const enum filesystem filesystems[] = { TMPFS, MEMFD };
	struct iovec header = { memory(0, 100), 100 };
	struct sf_hdtr hdtr = { &header, 1, &header, 1 };
	struct file posix = { .seed = SEED, .size = SIZE };
	struct file file;
	struct part parts[] = {
		of_memory(0, 100), { }, of_memory(0, 100),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(filesystems); i++) {
		file_make(&file, filesystems[i], SIZE, SEED);
		parts[1] = of_file(&file, 77, 0);
		sends_over(_metadata, file.fd, TCP4, 77, 0, &hdtr, parts, 3, 0);
		sends_over(_metadata, file.fd, TCP4, 77, 0, &hdtr, parts, 3,
			   SF_NODISKIO | SF_NOCACHE | SF_SYNC);
		file_close(&file);
	}
	posix.rw = shm_open("/zcopy", O_CREAT | O_EXCL | O_RDWR, 0600);
	ASSERT_LE(0, posix.rw);
	file_write(&posix, 0, SIZE, SEED);
	posix.fd = shm_open("/zcopy", O_RDONLY, 0);
	ASSERT_EQ(0, shm_unlink("/zcopy"));
	parts[1] = of_file(&posix, 77, 0);
	sends_over(_metadata, posix.fd, TCP4, 77, 0, &hdtr, parts, 3, 0);
	close(posix.fd);
	close(posix.rw);
}

TEST_F(sendfile, stream_sockets)
{
	const enum transport transports[] = { TCP4, TCP6, WIRE4, WIRE6, UNIX };
	struct iovec header = { memory(0, 100), 100 };
	struct sf_hdtr hdtr = { &header, 1, &header, 1 };
	const struct part parts[] = {
		of_memory(0, 100), of_file(&self->file, 0, 0),
		of_memory(0, 100),
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(transports); i++)
		sends_over(_metadata, self->file.fd, transports[i], 0, 0, &hdtr,
			   parts, 3, 0);
}

/* By reference, over a card that gathers, the header apart. */
TEST_F(sendfile, zero_copy)
{
	struct iovec header = { memory(0, 100), 100 };
	struct sf_hdtr hdtr = { &header, 1, NULL, 0 };
	const struct part parts[] = {
		of_memory(0, 100), of_file(&self->file, 0, 0),
	};
	int device = device_open();
	struct zcopy_stats before = stats_of(device, ZCOPY_STATS_MODULE), after;

	sends_over(_metadata, self->file.fd, WIRE4, 0, 0, &hdtr, parts, 2, 0);
	after = stats_of(device, ZCOPY_STATS_MODULE);
	EXPECT_EQ(100 + SIZE, after.bytes - before.bytes);
	EXPECT_EQ(100, after.bytes_memory - before.bytes_memory);
	EXPECT_EQ(before.bytes_copied, after.bytes_copied);
	EXPECT_LT(before.folios, after.folios);
	close(device);
}

/* What the program writes itself keeps its place, though the file is cold. */
TEST_F(sendfile, order_with_writes)
{
	const struct part parts[] = {
		of_memory(0, 10), of_file(&self->file, 0, 0),
		of_memory(50, 10),
	};
	const uint64_t total = parts_total(parts, 3);
	struct reader reader;

	file_chill(&self->file);
	reader_start(&reader, self->pair.rx, parts, 3);
	EXPECT_EQ(10, write(self->pair.tx, memory(0, 10), 10));
	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, NULL,
				    NULL, 0));
	EXPECT_EQ(10, write(self->pair.tx, memory(50, 10), 10));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, total));
}

int main(int argc, char **argv)
{
	disk_make();
	overlay_make();
	return test_harness_run(argc, argv);
}
