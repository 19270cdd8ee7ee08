// SPDX-License-Identifier: GPL-2.0-only
/* The sendfilev() of illumos: vectors of any length, and exact errors. */
#include <fcntl.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zcopy/sendfilev.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/disk.h"
#include "lib/watch.h"

#define SIZE	(MIB + 9)
#define BAD	(500 * KIB)	/* offset of a page that cannot be read */
#define LARGE	(300 * KIB)	/* more than a transfer takes of memory */
#define MANY	5000		/* more parts than it takes */
#define UNSET	77		/* in *xferred before a call */

FIXTURE(sendfilev)
{
	struct watch watch;
	struct file file;
	struct file other;
	struct pair pair;
};

FIXTURE_SETUP(sendfilev)
{
	struct sendfilevec part = { .sfv_fd = -1, .sfv_len = 1 };
	size_t bytes;

	/* The process's own context stays open for good: make it first. */
	ASSERT_EQ(-1, sendfilev(-1, &part, 1, &bytes));
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, 161);
	file_make(&self->other, TMPFS, 3 * PAGE + 5, 162);
	pair_open(&self->pair, TCP4, 0);
}

FIXTURE_TEARDOWN(sendfilev)
{
	EXPECT_EQ(0, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", file_intact(&self->other));
	pair_close(&self->pair);
	file_close(&self->other);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The parts of other tests are segments; here an exact length is due. */
static void vector_of(struct sendfilevec *vec, const struct part *parts,
		      size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		vec[i] = (struct sendfilevec){
			.sfv_fd = parts[i].segment.fd,
			.sfv_off = parts[i].segment.addr,
			.sfv_len = parts[i].want.len,
		};
}

static void sends(struct __test_metadata *_metadata, enum transport transport,
		  const struct part *parts, size_t nr)
{
	struct sendfilevec *vec = calloc(nr, sizeof(*vec));
	const uint64_t total = parts_total(parts, nr);
	struct reader reader;
	size_t bytes = UNSET;
	struct pair pair;

	ASSERT_NE(NULL, vec);
	vector_of(vec, parts, nr);
	pair_open(&pair, transport, 0);
	reader_start(&reader, pair.rx, parts, nr);
	EXPECT_EQ(total, sendfilev(pair.tx, vec, nr, &bytes)) {
		TH_LOG("%s", strerror(errno));
	}
	shutdown(pair.tx, SHUT_WR);
	EXPECT_EQ(total, bytes);
	EXPECT_STREQ("", reader_finish(&reader, total));
	pair_close(&pair);
	free(vec);
}

TEST_F(sendfilev, mixed)
{
	const enum transport transports[] = { TCP4, TCP6, WIRE4, UNIX };
	const struct part parts[] = {
		of_memory(0, 100),
		of_file(&self->file, 0, SIZE),
		of_memory(100, 7),
		of_file(&self->other, 5, PAGE),
		of_file(&self->file, SIZE - 1, 1),
		of_memory(5, 0),
		of_memory(1000, 1000),
	};
	size_t i, nr;

	for (i = 0; i < ARRAY_SIZE(transports); i++)
		sends(_metadata, transports[i], parts, ARRAY_SIZE(parts));
	for (nr = 1; nr < ARRAY_SIZE(parts); nr++)
		sends(_metadata, TCP4, parts, nr);
	file_chill(&self->file);
	sends(_metadata, TCP4, parts, ARRAY_SIZE(parts));
}

/* Not "all of the file", as it means elsewhere. */
TEST_F(sendfilev, no_bytes_of_a_file)
{
	struct sendfilevec vec[] = {
		{ .sfv_fd = self->file.fd, .sfv_off = 5, .sfv_len = 0 },
		{ .sfv_fd = SFV_FD_SELF, .sfv_off = (intptr_t)memory(0, 3),
		  .sfv_len = 3 },
	};
	size_t bytes = UNSET;
	char seen[9];

	EXPECT_EQ(3, sendfilev(self->pair.tx, vec, 2, &bytes));
	EXPECT_EQ(3, bytes);
	EXPECT_EQ(3, recv(self->pair.rx, seen, sizeof(seen), 0));
	EXPECT_EQ(0, sendfilev(self->pair.tx, vec, 1, &bytes));
	EXPECT_EQ(0, bytes);
}

/* More parts, and more memory, than one transfer takes. */
TEST_F(sendfilev, split)
{
	const struct part large[] = {
		of_memory(0, 10), of_memory(3, LARGE),
		of_file(&self->file, 1, 70000), of_memory(9, LARGE),
		of_memory(1, 65536), of_memory(2, 1),
	};
	static struct part parts[MANY];
	int i;

	sends(_metadata, TCP4, large, ARRAY_SIZE(large));
	sends(_metadata, UNIX, large, ARRAY_SIZE(large));
	for (i = 0; i < MANY; i++)
		parts[i] = i % 3 ? of_memory(i, i % 60) :
			   of_file(&self->file, i * 7, 1 + i % 100);
	sends(_metadata, TCP4, parts, MANY);
	for (i = 0; i < MANY; i++)
		parts[i] = of_memory(i, 100);
	sends(_metadata, TCP4, parts, MANY);
}

static struct tcp_info info_of(int fd)
{
	struct tcp_info info = { };
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		die("TCP_INFO");
	return info;
}

/*
 * The transfers of a vector share packets, and when an error keeps the rest
 * from following, nothing stays behind in the socket.
 */
TEST_F(sendfilev, split_is_pushed)
{
	static struct sendfilevec vec[MANY];
	static struct part parts[MANY];
	struct cursor cursor = { .parts = parts, .nr = MANY };
	const int on = 1;
	size_t bytes = UNSET;
	int i;

	ASSERT_EQ(0, setsockopt(self->pair.tx, IPPROTO_TCP, TCP_NODELAY, &on,
				sizeof(on)));
	for (i = 0; i < MANY; i++)
		parts[i] = of_memory(i, 1);
	vector_of(vec, parts, MANY);
	EXPECT_EQ(MANY, sendfilev(self->pair.tx, vec, MANY, &bytes));
	EXPECT_EQ(0, info_of(self->pair.tx).tcpi_notsent_bytes);
	EXPECT_GT(MANY / 1024 + 1, info_of(self->pair.tx).tcpi_data_segs_out);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, MANY));
	EXPECT_STREQ("", cursor_verdict(&cursor, MANY));

	/* The first part of a transfer is bad, behind others. */
	cursor = (struct cursor){ .parts = parts, .nr = MANY };
	vec[3 * 1024].sfv_fd = -1;
	EXPECT_EQ(-1, sendfilev(self->pair.tx, vec, MANY, &bytes));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(3 * 1024, bytes);
	EXPECT_EQ(0, info_of(self->pair.tx).tcpi_notsent_bytes);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 3 * 1024));
	EXPECT_STREQ("", cursor_verdict(&cursor, 3 * 1024));
}

/* Ditto, what waits in a record of TLS, which is dropped when the socket is closed. */
TEST_F(sendfilev, split_is_pushed_by_tls)
{
	const struct part part = of_memory(0, 100);
	struct sendfilevec vec[2] = { { }, { .sfv_fd = -1, .sfv_len = 1 } };
	struct cursor cursor = { .parts = &part, .nr = 1 };
	size_t bytes = UNSET;
	struct pair pair;

	vector_of(vec, &part, 1);
	pair_open(&pair, TLS, 0);
	EXPECT_EQ(-1, sendfilev(pair.tx, vec, 2, &bytes));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(100, bytes);
	close(pair.tx);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, 100));
	EXPECT_STREQ("", cursor_verdict(&cursor, 100));
	close(pair.rx);
}

/* What is before the bad part arrives, *xferred says so, and nothing more. */
TEST_F(sendfilev, errors_of_a_part)
{
	int folder = open("/", O_RDONLY | O_CLOEXEC);
	/* A regular file of some size that sendfile(2) cannot send either. */
	int proc = open("/proc/bus/pci/00/00.0", O_RDONLY | O_CLOEXEC);
	int write_only = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const int file = self->file.fd;
	const struct {
		struct sendfilevec part;
		size_t sent;	/* of the part */
		int error;
	} rows[] = {
		{ { -1, 0, 0, 1 }, 0, EBADF },
		{ { -3, 0, 0, 1 }, 0, EBADF },
		{ { write_only, 0, 0, 1 }, 0, EBADF },
		{ { SFV_FD_SELF, 0, 8, 1 }, 0, EFAULT },
		{ { folder, 0, 0, 1 }, 0, EINVAL },
		{ { self->pair.tx, 0, 0, 1 }, 0, EINVAL },
		{ { file, 1, 0, 1 }, 0, EINVAL },
		{ { file, 0, -1, 1 }, 0, EINVAL },
		{ { file, 0, INT64_MAX, 1 }, 0, EINVAL },
		{ { file, 0, 0, (size_t)SSIZE_MAX + 1 }, 0, EINVAL },
		{ { file, 0, 0, SSIZE_MAX }, 0, EINVAL },
		{ { file, 0, 0, SIZE + 1 }, SIZE, EINVAL },
		{ { file, 0, SIZE - 5, 6 }, 5, EINVAL },
		{ { file, 0, SIZE, 1 }, 0, EINVAL },
		{ { proc, 0, 0, 1 }, 0, EOPNOTSUPP },
	};
	const size_t before[] = { 0, 1, 2, 7, 1023, 1024, 1500 };
	size_t i, k, n;

	ASSERT_LE(0, proc);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (k = 0; k < ARRAY_SIZE(before); k++) {
			static struct sendfilevec vec[1600];
			static struct part parts[1600];
			struct reader reader;
			size_t bytes = UNSET;
			struct pair pair;

			/* Only with something before it the sum is too much. */
			if (rows[i].part.sfv_len == SSIZE_MAX && !before[k])
				continue;
			for (n = 0; n < 1600; n++)
				parts[n] = of_memory(n, 3);
			vector_of(vec, parts, 1600);
			n = before[k];
			vec[n] = rows[i].part;
			parts[n] = of_file(&self->file, rows[i].part.sfv_off,
					   rows[i].sent);
			pair_open(&pair, TCP4, 0);
			/* A file segment without a length is all of it. */
			reader_start(&reader, pair.rx, parts,
				     n + !!rows[i].sent);
			EXPECT_EQ(-1, sendfilev(pair.tx, vec, n + 3, &bytes));
			EXPECT_EQ(rows[i].error, errno) {
				TH_LOG("row %zu behind %zu", i, n);
			}
			EXPECT_EQ(3 * n + rows[i].sent, bytes) {
				TH_LOG("row %zu behind %zu", i, n);
			}
			shutdown(pair.tx, SHUT_WR);
			EXPECT_STREQ("", reader_finish(&reader, 3 * n +
						       rows[i].sent));
			pair_close(&pair);
		}
	}
	close(folder);
	close(proc);
	close(write_only);
}

/* The call as a whole: nothing is sent. */
TEST_F(sendfilev, errors)
{
	struct sendfilevec vec[] = {
		{ .sfv_fd = SFV_FD_SELF, .sfv_off = (intptr_t)memory(0, 3),
		  .sfv_len = 3 },
	};
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	int alone = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int event = eventfd(0, EFD_CLOEXEC);
	const int tx = self->pair.tx;
	const struct {
		int fd;
		const struct sendfilevec *vec;
		int count;
		int error;
	} rows[] = {
		{ tx, vec, 0, EINVAL },
		{ tx, vec, -1, EINVAL },
		{ tx, vec, INT_MIN, EINVAL },
		{ -1, vec, 1, EBADF },
		{ event, vec, 1, EINVAL },
		{ self->file.rw, vec, 1, EINVAL },
		{ netlink, vec, 1, EAFNOSUPPORT },
		{ udp, vec, 1, EPROTOTYPE },
		{ alone, vec, 1, ENOTCONN },
		{ tx, NULL, 1, EFAULT },
		{ tx, (struct sendfilevec *)8, 1, EFAULT },
		{ tx, (struct sendfilevec *)8, INT_MAX, EFAULT },
	};
	size_t bytes, i;
	char byte;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bytes = UNSET;
		EXPECT_EQ(-1, sendfilev(rows[i].fd, rows[i].vec, rows[i].count,
					&bytes));
		EXPECT_EQ(rows[i].error, errno) {
			TH_LOG("row %zu", i);
		}
		EXPECT_EQ(0, bytes);
	}
	EXPECT_EQ(-1, sendfilev(tx, vec, 1, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, sendfilev(tx, vec, 1, (size_t *)8));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	close(event);
	close(netlink);
	close(alone);
	close(udp);
}

/* Files of /sys have a size that is more than there is to read. */
TEST_F(sendfilev, shorter_than_its_size)
{
	int sys = open("/sys/kernel/fscaps", O_RDONLY | O_CLOEXEC);
	const struct sendfilevec vec[] = {
		{ .sfv_fd = SFV_FD_SELF, .sfv_off = (intptr_t)memory(0, 3),
		  .sfv_len = 3 },
		{ .sfv_fd = sys, .sfv_len = PAGE },
	};
	char want[32], seen[64];
	size_t bytes = UNSET;
	ssize_t n;

	n = read(sys, want, sizeof(want));
	ASSERT_LT(0, n);
	EXPECT_EQ(-1, sendfilev(self->pair.tx, vec, 2, &bytes));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(3 + n, bytes);
	ASSERT_TRUE(receive(self->pair.rx, seen, 3 + n));
	EXPECT_EQ(0, memcmp(seen, memory(0, 3), 3));
	EXPECT_EQ(0, memcmp(seen + 3, want, n));
	close(sys);
}

/* A program goes on with the part that *xferred names. */
TEST_F(sendfilev, again)
{
	struct part parts[] = {
		of_memory(0, LARGE), of_file(&self->file, 0, SIZE),
		of_memory(7, LARGE), of_file(&self->other, 1, PAGE),
	};
	struct part left[4];
	struct cursor cursor = { .parts = parts, .nr = 4 };
	const uint64_t total = parts_total(parts, 4);
	struct sendfilevec vec[4];
	uint64_t done = 0;
	size_t bytes, nr;
	struct pair pair;
	int again = 0;

	pair_open(&pair, TCP4, 16 * KIB);
	set_nonblocking(pair.tx);
	while (done < total) {
		memcpy(left, parts, sizeof(parts));
		nr = parts_skip(left, 4, done);
		vector_of(vec, left, nr);
		if (sendfilev(pair.tx, vec, nr, &bytes) < 0) {
			ASSERT_EQ(EAGAIN, errno);
			again++;
		}
		done += bytes;
		ASSERT_TRUE(cursor_take(&cursor, pair.rx, bytes));
	}
	EXPECT_LT(3, again);
	EXPECT_EQ(total, done);
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	pair_close(&pair);
}

static int signals;		/* atomic */

static void count(int number)
{
	(void)number;
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

struct call {
	const struct sendfilevec *vec;
	int count;
	int socket;
	pid_t tid;
	ssize_t result;
	int error;
	size_t bytes;
};

static void *call_sendfilev(void *argument)
{
	struct call *call = argument;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	call->result = sendfilev(call->socket, call->vec, call->count,
				 &call->bytes);
	call->error = errno;
	return NULL;
}

TEST_F(sendfilev, interrupted)
{
	const struct sigaction action = { .sa_handler = count };
	const struct part parts[] = {
		of_memory(0, 100), of_file(&self->file, 0, SIZE),
	};
	struct cursor cursor = { .parts = parts, .nr = 2 };
	struct sendfilevec vec[2];
	struct call call = { .vec = vec, .count = 2 };
	pthread_t thread;
	struct pair pair;

	vector_of(vec, parts, 2);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	pair_open(&pair, TCP4, 16 * KIB);
	call.socket = pair.tx;
	ASSERT_EQ(0, pthread_create(&thread, NULL, call_sendfilev, &call));
	while (!__atomic_load_n(&call.tid, __ATOMIC_ACQUIRE))
		;
	ASSERT_TRUE(await_sleep(call.tid));
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	pthread_join(thread, NULL);
	EXPECT_EQ(-1, call.result);
	EXPECT_EQ(EINTR, call.error);
	EXPECT_LT(0, call.bytes);
	EXPECT_GT(SIZE, call.bytes);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, call.bytes));
	EXPECT_EQ(0, cursor_read(&cursor, pair.rx, 1));
	EXPECT_STREQ("", cursor_verdict(&cursor, call.bytes));
	pair_close(&pair);
}

/* Unlike other calls of this library, and like illumos, with the signal. */
TEST_F(sendfilev, pipe)
{
	const struct sigaction action = { .sa_handler = count };
	const struct part part = of_memory(0, 10);
	struct sendfilevec vec;
	size_t bytes = UNSET;

	vector_of(&vec, &part, 1);
	ASSERT_EQ(0, sigaction(SIGPIPE, &action, NULL));
	ASSERT_EQ(0, shutdown(self->pair.tx, SHUT_WR));
	signals = 0;
	EXPECT_EQ(-1, sendfilev(self->pair.tx, &vec, 1, &bytes));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(0, bytes);
	EXPECT_EQ(1, __atomic_load_n(&signals, __ATOMIC_RELAXED));
}

TEST_F(sendfilev, bad_disk)
{
	const struct part parts[] = {
		of_memory(0, 100), of_file(&self->file, 0, SIZE),
		of_memory(0, 100),
	};
	struct sendfilevec vec[3];
	struct reader reader;
	size_t bytes = UNSET;

	vector_of(vec, parts, 3);
	disk_break(&self->file, BAD);
	file_chill(&self->file);
	reader_start(&reader, self->pair.rx, parts, 3);
	EXPECT_EQ(-1, sendfilev(self->pair.tx, vec, 3, &bytes));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(100 + BAD, bytes);
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, 100 + BAD));
	disk_mend();
}

/* The buffer that a long vector needs; in a process of its own. */
static int without_memory(FIXTURE_DATA(sendfilev) *self,
			  const struct sendfilevec *vec, int nr)
{
	const struct rlimit none = { 0, 0 };
	size_t bytes = UNSET;
	size_t size;

	if (setrlimit(RLIMIT_AS, &none))
		return 1;
	for (size = MIB; size >= 16; size /= 2)
		while (malloc(size))
			;
	if (sendfilev(self->pair.tx, vec, nr, &bytes) != -1)
		return 2;
	if (errno != ENOMEM)
		return 3;
	return bytes ? 4 : 0;
}

TEST_F(sendfilev, no_memory)
{
	static struct sendfilevec vec[100];
	int status;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(without_memory(self, vec, 100));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* EACCES: a device that nobody may open. */
TEST_F(sendfilev, no_permission)
{
	const struct part part = of_memory(0, 10);
	struct sendfilevec vec;
	size_t bytes = UNSET;
	int status, fd;
	pid_t child;

	vector_of(&vec, &part, 1);
	ASSERT_EQ(0, chmod(DEVICE, 0600));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		/* As a user who has no descriptor of it yet. */
		for (fd = 3; fd < 4096; fd++)
			if (fd != self->pair.tx)
				close(fd);
		if (setresuid(1000, 1000, 1000))
			_exit(1);
		if (sendfilev(self->pair.tx, &vec, 1, &bytes) != -1)
			_exit(2);
		_exit(errno != EACCES || bytes);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, chmod(DEVICE, 0666));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
