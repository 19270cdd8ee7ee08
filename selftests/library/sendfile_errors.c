// SPDX-License-Identifier: GPL-2.0-only
/*
 * FreeBSD's sendfile(): its errors, what went when it failed, and that a
 * program can go on from there.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/sendfile.h"

#define BAD	(500 * KIB)	/* offset of a page that cannot be read */

/* What FreeBSD's page lists, as far as Linux has it. */
TEST_F(sendfile, errors)
{
	struct iovec bad[] = { { NULL, 10 } };
	struct iovec good[] = { { memory(0, 10), 10 } };
	struct iovec *many = calloc(IOV_MAX + 1, sizeof(*many));
	struct iovec *const nowhere = (struct iovec *)8;
	char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct sf_hdtr bad_header = { bad, 1, NULL, 0 };
	struct sf_hdtr bad_trailer = { NULL, 0, bad, 1 };
	struct sf_hdtr negative = { good, -1, NULL, 0 };
	struct sf_hdtr negative_trailer = { NULL, 0, good, -1 };
	struct sf_hdtr too_many = { many, IOV_MAX + 1, NULL, 0 };
	struct sf_hdtr no_headers = { nowhere, 1, NULL, 0 };
	struct sf_hdtr no_trailers = { NULL, 0, nowhere, 1 };
	/* All but the last is there. */
	struct sf_hdtr half_headers = {
		(struct iovec *)(area + PAGE) - 300, 301, NULL, 0,
	};
	struct sf_hdtr *const half = (struct sf_hdtr *)(area + PAGE - 16);
	const int file = self->file.fd, tx = self->pair.tx;
	int direct = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int folder = open("/", O_RDONLY | O_CLOEXEC);
	int proc = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
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
		{ file, tx, 0, (struct sf_hdtr *)8, 0, EFAULT },
		{ file, tx, 0, half, 0, EFAULT },
		{ file, tx, 0, &no_headers, 0, EFAULT },
		{ file, tx, 0, &no_trailers, 0, EFAULT },
		{ file, tx, 0, &half_headers, 0, EFAULT },
		{ folder, tx, 0, NULL, 0, EINVAL },
		{ tx, tx, 0, NULL, 0, EINVAL },
		{ file, udp, 0, NULL, 0, EINVAL },
		{ file, tx, -1, NULL, 0, EINVAL },
		{ file, tx, INT64_MIN, NULL, 0, EINVAL },
		{ file, tx, 0, &negative, 0, EINVAL },
		{ file, tx, 0, &negative_trailer, 0, EINVAL },
		{ file, tx, 0, &too_many, 0, EINVAL },
		{ file, alone, 0, NULL, 0, ENOTCONN },
		{ file, file, 0, NULL, 0, ENOTSOCK },
		{ proc, tx, 0, NULL, 0, EOPNOTSUPP },
	};
	off_t bytes;
	size_t i;
	int bit;

	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, mprotect(area + PAGE, PAGE, PROT_NONE));
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
	munmap(area, 2 * PAGE);
	free(many);
	close(direct);
	close(alone);
	close(udp);
	close(folder);
	close(proc);
	close(write_only);
}

/* FreeBSD's documented bug: there the call does not fail. */
TEST_F(sendfile, bad_sbytes)
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

TEST_F(sendfile, again)
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

/* SIGPIPE would end the test; neither part of the call raises it. */
TEST_F(sendfile, pipe)
{
	struct iovec iovec = { memory(0, 10), 10 };
	struct sf_hdtr header = { &iovec, 1, NULL, 0 };
	struct sf_hdtr trailer = { NULL, 0, &iovec, 1 };
	struct sf_hdtr *const hdtrs[] = { NULL, &header, &trailer };
	off_t bytes;
	size_t i;

	signal(SIGPIPE, SIG_DFL);
	ASSERT_EQ(0, shutdown(self->pair.tx, SHUT_WR));
	for (i = 0; i < ARRAY_SIZE(hdtrs); i++) {
		bytes = UNSET;
		EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0,
					     hdtrs[i], &bytes, 0));
		EXPECT_EQ(EPIPE, errno);
		EXPECT_EQ(0, bytes);
	}
}

/* The peer is gone: what is sent first tells its kernel, which tells ours. */
TEST_F(sendfile, peer_closed)
{
	uint64_t since = 0;
	struct pair pair;
	off_t bytes;

	signal(SIGPIPE, SIG_DFL);
	pair_open(&pair, TCP4, 0);
	close(pair.rx);
	ASSERT_TRUE(await(pair.tx, POLLRDHUP));
	while (!zcopy_sendfile(self->file.fd, pair.tx, 0, 1, NULL, &bytes, 0)) {
		EXPECT_EQ(1, bytes);
		ASSERT_TRUE(patience(&since));
	}
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(0, bytes);
	close(pair.tx);
}

static void ignore(int number)
{
	(void)number;
}

struct call {
	int file;
	int socket;
	struct sf_hdtr *hdtr;
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
	call->result = zcopy_sendfile(call->file, call->socket, 0, 0,
				      call->hdtr, &call->bytes, call->flags);
	call->error = errno;
	return NULL;
}

/* The signal comes while a header, the file, or a trailer waits for room. */
TEST_F(sendfile, interrupted)
{
	const struct sigaction action = { .sa_handler = ignore };
	struct iovec header = { memory(0, LARGE), LARGE };
	struct iovec trailer = { memory(7, LARGE), LARGE };
	struct sf_hdtr hdtr = { &header, 1, &trailer, 1 };
	const struct part parts[] = {
		of_memory(0, LARGE), of_file(&self->file, 0, 0),
		of_memory(7, LARGE),
	};
	const struct {
		uint64_t taken;
		uint64_t most;
	} rows[] = {
		{ 0, LARGE },
		{ LARGE + 1, LARGE + SIZE },
		{ LARGE + SIZE + 1, LARGE + SIZE + LARGE },
	};
	pthread_t thread;
	size_t i;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cursor cursor = { .parts = parts, .nr = 3 };
		struct call call = { .file = self->file.fd, .hdtr = &hdtr };
		struct pair pair;

		pair_open(&pair, TCP4, 16 * KIB);
		call.socket = pair.tx;
		ASSERT_EQ(0, pthread_create(&thread, NULL, call_sendfile,
					    &call));
		EXPECT_TRUE(cursor_take(&cursor, pair.rx, rows[i].taken));
		while (!__atomic_load_n(&call.tid, __ATOMIC_ACQUIRE))
			;
		ASSERT_TRUE(await_sleep(call.tid));
		ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
		pthread_join(thread, NULL);
		EXPECT_EQ(-1, call.result);
		EXPECT_EQ(EINTR, call.error);
		ASSERT_LE(rows[i].taken, call.bytes);
		EXPECT_GT(rows[i].most, call.bytes);
		shutdown(pair.tx, SHUT_WR);
		EXPECT_TRUE(cursor_take(&cursor, pair.rx,
					call.bytes - rows[i].taken));
		EXPECT_EQ(0, cursor_read(&cursor, pair.rx, 1));
		EXPECT_STREQ("", cursor_verdict(&cursor, call.bytes));
		pair_close(&pair);
	}
}

/* All is sent, and the signal comes while the call waits for the peer. */
TEST_F(sendfile, sync_interrupted)
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

/* One that the process has open, or -1. */
static int device_descriptor(void)
{
	char path[64], target[64];
	ssize_t n;
	int fd;

	for (fd = 3; fd < 4096; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (!strcmp(target, DEVICE))
			return fd;
	}
	return -1;
}

/* Daemons close all they have; the call opens the device again. */
TEST_F(sendfile, after_closefrom)
{
	const struct part whole = of_file(&self->file, 0, 0);
	int fd, zero;

	while ((fd = device_descriptor()) >= 0)
		close(fd);
	sends(_metadata, self, 0, 0, NULL, &whole, 1, 0);
	/* And when its number belongs to something else by now. */
	fd = device_descriptor();
	ASSERT_LE(0, fd);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(fd, dup2(zero, fd));
	close(zero);
	sends(_metadata, self, 0, 0, NULL, &whole, 1, 0);
	/* That is left alone. */
	EXPECT_EQ(0, close(fd));
}

/* Non-blocking, from header to trailer, as a program goes on after EAGAIN. */
TEST_F(sendfile, again_everywhere)
{
	struct iovec header = { memory(0, LARGE), LARGE };
	struct iovec trailer = { memory(7, LARGE), LARGE };
	struct sf_hdtr hdtr = { &header, 1, &trailer, 1 };
	const struct part parts[] = {
		of_memory(0, LARGE), of_file(&self->file, 0, 0),
		of_memory(7, LARGE),
	};
	const uint64_t total = parts_total(parts, 3);
	struct cursor cursor = { .parts = parts, .nr = 3 };
	uint64_t done = 0;
	off_t bytes;
	struct pair pair;
	int again = 0;

	pair_open(&pair, TCP4, 16 * KIB);
	set_nonblocking(pair.tx);
	while (done < total) {
		const uint64_t h = done < LARGE ? done : LARGE;
		const uint64_t f = done < LARGE + SIZE ? done - h : SIZE;
		const uint64_t t = done - h - f;

		header.iov_base = memory(h, LARGE - h);
		header.iov_len = LARGE - h;
		trailer.iov_base = memory(7 + t, LARGE - t);
		trailer.iov_len = LARGE - t;
		if (zcopy_sendfile(self->file.fd, pair.tx, f, 0, &hdtr, &bytes,
				   0)) {
			ASSERT_EQ(EAGAIN, errno);
			again++;
		} else {
			EXPECT_EQ(total, done + bytes);
		}
		done += bytes;
		ASSERT_TRUE(cursor_take(&cursor, pair.rx, bytes));
	}
	EXPECT_LT(3, again);
	EXPECT_EQ(total, done);
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	pair_close(&pair);
}

TEST_F(sendfile, bad_disk)
{
	struct iovec header = { memory(0, 100), 100 };
	struct sf_hdtr hdtr = { &header, 1, &header, 1 };
	const struct part parts[] = {
		of_memory(0, 100), of_file(&self->file, 0, 0),
		of_memory(0, 100),
	};
	struct reader reader;
	off_t bytes = UNSET;

	disk_break(&self->file, BAD);
	file_chill(&self->file);
	reader_start(&reader, self->pair.rx, parts, 3);
	EXPECT_EQ(-1, zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, &hdtr,
				     &bytes, SF_USER_READAHEAD));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(100 + BAD, bytes);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, 100 + BAD));
	disk_mend();
}

/* The buffer that a long vector needs; in a process of its own. */
static int without_memory(FIXTURE_DATA(sendfile) *self, struct sf_hdtr *hdtr)
{
	const struct rlimit none = { 0, 0 };
	off_t bytes = UNSET;
	size_t size;

	if (setrlimit(RLIMIT_AS, &none))
		return 1;
	for (size = MIB; size >= 16; size /= 2)
		while (malloc(size))
			;
	if (zcopy_sendfile(self->file.fd, self->pair.tx, 0, 0, hdtr, &bytes,
			   0) != -1)
		return 2;
	if (errno != ENOBUFS)
		return 3;
	return bytes ? 4 : 0;
}

TEST_F(sendfile, no_buffers)
{
	static struct iovec headers[IOV_MAX];
	struct sf_hdtr hdtr = { headers, IOV_MAX, NULL, 0 };
	int status, i;
	pid_t child;

	for (i = 0; i < IOV_MAX; i++)
		headers[i] = (struct iovec){ memory(i, 1), 1 };
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(without_memory(self, &hdtr));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

int main(int argc, char **argv)
{
	disk_make();
	overlay_make();
	return test_harness_run(argc, argv);
}
