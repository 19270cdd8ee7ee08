// SPDX-License-Identifier: GPL-2.0-only
/* libzcopy: the thin calls, and FreeBSD's sendfile(). */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <zcopy/sendfile.h>
#include <zcopy/zcopy.h>

#include "kselftest_harness.h"

#include "flight.h"

#define SIZE	(MIB + 9)
#define UNSET	77		/* in *sbytes before a call */

FIXTURE(library)
{
	struct watch watch;
	struct file file;
	struct pair pair;
};

FIXTURE_SETUP(library)
{
	off_t bytes;

	/* The process's own context stays open for good: make it first. */
	ASSERT_EQ(-1, zcopy_sendfile(-1, -1, 0, 0, NULL, &bytes, 0));
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, 141);
	pair_open(&self->pair, TCP4, 0);
}

FIXTURE_TEARDOWN(library)
{
	EXPECT_EQ(0, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(library, open_and_close)
{
	struct zcopy *zcopy = NULL, *other = NULL;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	ASSERT_EQ(0, zcopy_open(&other));
	EXPECT_NE(zcopy, other);
	EXPECT_NE(zcopy_fd(zcopy), zcopy_fd(other));
	EXPECT_EQ(FD_CLOEXEC, fcntl(zcopy_fd(zcopy), F_GETFD));
	zcopy_close(zcopy);
	zcopy_close(other);
	zcopy_close(NULL);
}

TEST_F(library, info)
{
	struct zcopy_info library, module;
	int device = device_open();
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	memset(&library, 0xa5, sizeof(library));
	EXPECT_EQ(0, zcopy_info(zcopy, &library));
	device_info(device, &module);
	EXPECT_EQ(0, memcmp(&library, &module, sizeof(module)));
	zcopy_close(zcopy);
	close(device);
}

TEST_F(library, send_and_stats)
{
	const struct part parts[] = {
		of_memory(0, 300),
		of_file(&self->file, 5, 1000),
		of_file(&self->file, 4096, 0),
	};
	const uint64_t total = parts_total(parts, 3);
	struct zcopy_completion completion;
	struct zcopy_segment segments[3];
	struct zcopy_transfer transfer;
	struct zcopy_stats stats;
	struct reader reader;
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	zcopy_segment_memory(&segments[0], memory(0, 300), 300);
	zcopy_segment_file(&segments[1], self->file.fd, 5, 1000);
	zcopy_segment_file(&segments[2], self->file.fd, 4096, 0);
	zcopy_transfer_init(&transfer, self->pair.tx, segments, 3);
	transfer.user_data = 99;
	reader_start(&reader, self->pair.rx, parts, 3);
	EXPECT_EQ(0, zcopy_send(zcopy, &transfer, &completion));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, total));
	EXPECT_EQ(99, completion.user_data);
	EXPECT_EQ(total, completion.bytes);
	EXPECT_EQ(0, completion.error);

	EXPECT_EQ(0, zcopy_stats(zcopy, ZCOPY_STATS_CONTEXT, &stats));
	EXPECT_EQ(1, stats.transfers);
	EXPECT_EQ(total, stats.bytes);
	EXPECT_EQ(300, stats.bytes_memory);
	EXPECT_EQ(0, zcopy_stats(zcopy, ZCOPY_STATS_MODULE, &stats));
	EXPECT_LE(1, stats.transfers);
	zcopy_close(zcopy);
}

/* The errno comes back as it is, negative, and errno is left alone. */
TEST_F(library, errors)
{
	struct zcopy_completion completion, untouched;
	struct zcopy_segment segment = of_memory(0, 10).segment;
	struct zcopy_transfer transfer;
	struct zcopy_stats stats;
	struct zcopy_info info;
	struct zcopy *zcopy;

	ASSERT_EQ(0, zcopy_open(&zcopy));
	memset(&completion, 0xa5, sizeof(completion));
	untouched = completion;
	zcopy_transfer_init(&transfer, -1, &segment, 1);
	EXPECT_EQ(-EBADF, zcopy_send(zcopy, &transfer, &completion));
	transfer.target = zcopy_fd(zcopy);
	EXPECT_EQ(-ENOTSOCK, zcopy_send(zcopy, &transfer, &completion));
	transfer.target = self->file.fd;
	EXPECT_EQ(-EBADF, zcopy_send(zcopy, &transfer, &completion));
	transfer.flags = ZCOPY_SYNC | ZCOPY_NOTIFY;
	EXPECT_EQ(-EINVAL, zcopy_send(zcopy, &transfer, &completion));
	transfer.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, zcopy_send(zcopy, &transfer, &completion));
	EXPECT_EQ(0, memcmp(&completion, &untouched, sizeof(untouched)));
	EXPECT_EQ(-EINVAL, zcopy_stats(zcopy, 2, &stats));
	close(zcopy_fd(zcopy));
	EXPECT_EQ(-EBADF, zcopy_info(zcopy, &info));
	EXPECT_EQ(-EBADF, zcopy_stats(zcopy, 0, &stats));
	zcopy_close(zcopy);
}

/* One call of zcopy_sendfile() and all that it must leave behind. */
static void sends(struct __test_metadata *_metadata,
		  FIXTURE_DATA(library) *self, off_t offset, size_t nbytes,
		  struct sf_hdtr *hdtr, const struct part *parts, size_t nr,
		  int flags)
{
	const uint64_t total = parts_total(parts, nr);
	struct reader reader;
	struct pair pair;
	off_t bytes = UNSET;

	pair_open(&pair, TCP4, 0);
	reader_start(&reader, pair.rx, parts, nr);
	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, pair.tx, offset, nbytes,
				    hdtr, &bytes, flags)) {
		TH_LOG("%s", strerror(errno));
	}
	shutdown(pair.tx, SHUT_WR);
	EXPECT_EQ(total, bytes);
	EXPECT_STREQ("", reader_finish(&reader, total));
	pair_close(&pair);
}

TEST_F(library, sendfile)
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

TEST_F(library, sendfile_many_iovecs)
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
TEST_F(library, sendfile_without_sbytes)
{
	const struct part part = of_file(&self->file, 0, 1000);
	struct cursor cursor = { .parts = &part, .nr = 1 };

	EXPECT_EQ(0, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 1000, NULL,
				    NULL, 0));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 1000));
	EXPECT_STREQ("", cursor_verdict(&cursor, 1000));
}

/* What FreeBSD's page lists, as far as Linux has it. */
TEST_F(library, sendfile_errors)
{
	struct iovec bad[] = { { NULL, 10 } };
	struct iovec good[] = { { memory(0, 10), 10 } };
	struct iovec much[] = { { memory(0, MIB), MIB } };
	struct iovec *many = calloc(IOV_MAX + 1, sizeof(*many));
	struct sf_hdtr bad_header = { bad, 1, NULL, 0 };
	struct sf_hdtr bad_trailer = { NULL, 0, bad, 1 };
	struct sf_hdtr negative = { good, -1, NULL, 0 };
	struct sf_hdtr negative_trailer = { NULL, 0, good, -1 };
	struct sf_hdtr too_many = { many, IOV_MAX + 1, NULL, 0 };
	struct sf_hdtr over_the_limit = { many, IOV_MAX, NULL, 0 };
	struct sf_hdtr too_much = { much, 1, NULL, 0 };
	const int file = self->file.fd, tx = self->pair.tx;
	int direct = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int folder = open("/", O_RDONLY | O_CLOEXEC);
	int proc = open("/proc/version", O_RDONLY | O_CLOEXEC);
	int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct {
		int fd;
		int socket;
		off_t offset;
		struct sf_hdtr *hdtr;
		int flags;
		int error;
	} rows[] = {
		{ -1, tx, 0, NULL, 0, EBADF },
		{ direct, tx, 0, NULL, 0, EBADF },
		{ write_only, tx, 0, NULL, 0, EBADF },
		{ file, -1, 0, NULL, 0, EBADF },
		{ file, tx, 0, &bad_header, 0, EFAULT },
		{ file, tx, 0, &bad_trailer, 0, EFAULT },
		{ folder, tx, 0, NULL, 0, EINVAL },
		{ tx, tx, 0, NULL, 0, EINVAL },
		{ file, udp, 0, NULL, 0, EINVAL },
		{ file, tx, -1, NULL, 0, EINVAL },
		{ file, tx, INT64_MIN, NULL, 0, EINVAL },
		{ file, tx, 0, &negative, 0, EINVAL },
		{ file, tx, 0, &negative_trailer, 0, EINVAL },
		{ file, tx, 0, &too_many, 0, EINVAL },
		{ file, tx, 0, &over_the_limit, 0, EMSGSIZE },
		{ file, tx, 0, &too_much, 0, EMSGSIZE },
		{ file, alone, 0, NULL, 0, ENOTCONN },
		{ file, file, 0, NULL, 0, ENOTSOCK },
		{ proc, tx, 0, NULL, 0, EOPNOTSUPP },
	};
	off_t bytes;
	size_t i;
	int bit;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bytes = UNSET;
		errno = 0;
		EXPECT_EQ(-1, zcopy_sendfile(rows[i].fd, rows[i].socket,
					     rows[i].offset, 0, rows[i].hdtr,
					     &bytes, rows[i].flags));
		EXPECT_EQ(rows[i].error, errno) {
			TH_LOG("row %zu", i);
		}
		EXPECT_EQ(0, bytes);
	}
	for (bit = 0; bit < 16; bit++) {
		const int known = SF_NODISKIO | SF_SYNC | SF_USER_READAHEAD |
				  SF_NOCACHE;

		if (known & (1 << bit))
			continue;
		EXPECT_EQ(-1, zcopy_sendfile(file, tx, 0, 0, NULL, &bytes,
					     1 << bit));
		EXPECT_EQ(EINVAL, errno) {
			TH_LOG("flag bit %d", bit);
		}
	}
	/* Nothing of all that went. */
	EXPECT_EQ(-1, recv(self->pair.rx, &bit, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	free(many);
	close(direct);
	close(alone);
	close(udp);
	close(folder);
	close(proc);
	close(write_only);
}

/* FreeBSD's documented bug: there the call does not fail. */
TEST_F(library, sendfile_bad_sbytes)
{
	char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	off_t *bad[4];
	size_t i;
	char byte;

	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, mprotect(area + PAGE, PAGE, PROT_READ));
	bad[0] = (off_t *)8;
	bad[1] = (off_t *)0xffff888000000000;
	bad[2] = (off_t *)(area + PAGE);
	bad[3] = (off_t *)(area + PAGE - 4);	/* half of it */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0,
					     NULL, bad[i], 0));
		EXPECT_EQ(EFAULT, errno);
	}
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	munmap(area, 2 * PAGE);
}

TEST_F(library, sendfile_again)
{
	const struct part whole = of_file(&self->file, 0, 0);
	struct reader reader;
	off_t done = 0, bytes;
	struct pair pair;
	int calls = 0;

	pair_open(&pair, TCP4, 32 * 1024);
	set_nonblocking(pair.tx);
	ASSERT_EQ(-1, zcopy_sendfile(self->file.fd, pair.tx, 0, 0, NULL, &bytes,
				     0));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(0, bytes);
	EXPECT_GT(SIZE, bytes);
	done = bytes;
	reader_start(&reader, pair.rx, &whole, 1);
	while (done < (off_t)SIZE) {
		ASSERT_TRUE(await(pair.tx, POLLOUT));
		if (zcopy_sendfile(self->file.fd, pair.tx, done, 0, NULL,
				   &bytes, 0))
			ASSERT_EQ(EAGAIN, errno);
		done += bytes;
		calls++;
	}
	EXPECT_LT(0, calls);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
	pair_close(&pair);
}

TEST_F(library, sendfile_busy)
{
	struct iovec header = { memory(0, 10), 10 };
	struct sf_hdtr hdtr = { &header, 1, NULL, 0 };
	off_t bytes = UNSET;
	char seen[20];

	file_chill(&self->file);
	EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, &hdtr,
				     &bytes, SF_NODISKIO));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(10, bytes);
	EXPECT_TRUE(await(self->pair.rx, POLLIN));
	EXPECT_EQ(10, recv(self->pair.rx, seen, sizeof(seen), 0));
}

TEST_F(library, sendfile_pipe)
{
	off_t bytes = UNSET;

	/* A signal would end the test. */
	signal(SIGPIPE, SIG_DFL);
	ASSERT_EQ(0, shutdown(self->pair.tx, SHUT_WR));
	EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, NULL,
				     &bytes, 0));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(0, bytes);
}

static void ignore(int number)
{
	(void)number;
}

struct call {
	int file;
	int socket;
	int flags;
	pid_t tid;
	int result;
	int error;
	off_t bytes;
};

static void *call_sendfile(void *argument)
{
	struct call *call = argument;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	call->result = zcopy_sendfile(call->file, call->socket, 0, 0, NULL,
				      &call->bytes, call->flags);
	call->error = errno;
	return NULL;
}

TEST_F(library, sendfile_interrupted)
{
	const struct sigaction action = { .sa_handler = ignore };
	const struct part whole = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &whole, .nr = 1 };
	struct call call = { .file = self->file.fd };
	pthread_t thread;
	struct pair pair;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pair_open(&pair, TCP4, 32 * 1024);
	call.socket = pair.tx;
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_sendfile, &call));
	while (!__atomic_load_n(&call.tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(call.tid));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-1, call.result);
	EXPECT_EQ(EINTR, call.error);
	EXPECT_LT(0, call.bytes);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, call.bytes));
	EXPECT_STREQ("", cursor_verdict(&cursor, call.bytes));
	pair_close(&pair);
}

/* All is sent, and the signal comes while the call waits for the peer. */
TEST_F(library, sendfile_sync_interrupted)
{
	const struct sigaction action = { .sa_handler = ignore };
	const struct part whole = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &whole, .nr = 1 };
	struct call call = { .file = self->file.fd, .flags = SF_SYNC };
	pthread_t thread;
	struct pair pair;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	roomy_open(&pair, TCP4);
	call.socket = pair.tx;
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_sendfile, &call));
	ASSERT_TRUE(await_accepted(pair.tx, SIZE));
	ASSERT_TRUE(await_sleep(call.tid));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-1, call.result);
	EXPECT_EQ(EINTR, call.error);
	EXPECT_EQ(SIZE, call.bytes);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	pair_close(&pair);
}

/* Daemons close all they have; the call opens the device again. */
TEST_F(library, sendfile_after_closefrom)
{
	const struct part whole = of_file(&self->file, 0, 0);
	int fd, zero;

	for (fd = 3; fd < 100; fd++) {
		char path[64], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 &&
		    !strcmp(target, DEVICE))
			close(fd);
	}
	sends(_metadata, self, 0, 0, NULL, &whole, 1, 0);
	/* And when its number belongs to something else by now. */
	for (fd = 3; fd < 100; fd++) {
		char path[64], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) <= 0 ||
		    strcmp(target, DEVICE))
			continue;
		zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
		ASSERT_EQ(fd, dup2(zero, fd));
		close(zero);
		sends(_metadata, self, 0, 0, NULL, &whole, 1, 0);
		close(fd);
		break;
	}
	EXPECT_GT(100, fd);
}

TEST_HARNESS_MAIN
