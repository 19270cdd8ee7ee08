// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transfers that are refused: every errno, and the order of the checks. After
 * each refusal nothing has happened.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define POSITION	5
#define BYTES		100

#ifndef O_NOTIFICATION_PIPE
#define O_NOTIFICATION_PIPE	O_EXCL
#endif

/* A fault is a value in a field of a request that is valid without it. */
struct fault {
	const char *name;
	int rank;	/* the lower one is found first */
	int error;
	void *field;
	size_t size;
	uint64_t value;
	bool or;
};

FIXTURE(refuse)
{
	struct watch watch;
	struct zcopy_info info;
	struct pair pair;
	struct file file;
	struct zcopy_send send;
	struct zcopy_segment *segments;	/* memory, file, memory */
	struct fault faults[128];
	size_t nr_faults;
	char *hole;			/* the page before it is mapped */
	int device;
	int pipe;			/* write end of one in descriptors */
	int descriptors[32];
	size_t nr_descriptors;
};

static void reset(FIXTURE_DATA(refuse) *self)
{
	memset(&self->send, 0xa5, sizeof(self->send.completion));
	self->send.transfer = (struct zcopy_transfer){
		.segments = (uintptr_t)self->segments,
		.nr_segments = 3,
		.socket = self->pair.tx,
	};
	self->segments[0] = of_memory(0, BYTES).segment;
	self->segments[1] = of_file(&self->file, 0, BYTES).segment;
	self->segments[2] = of_memory(BYTES, BYTES).segment;
}

FIXTURE_SETUP(refuse)
{
	int ends[2];
	size_t i;

	watch_begin(&self->watch);
	self->device = device_open();
	device_info(self->device, &self->info);
	pair_open(&self->pair, TCP4, 0);
	file_make(&self->file, EXT4, 64 * KIB, 31);
	ASSERT_EQ(POSITION, lseek(self->file.fd, POSITION, SEEK_SET));
	/* Room for one more than allowed, all of them valid. */
	self->segments = calloc(self->info.max_segments + 1,
				sizeof(*self->segments));
	ASSERT_NE(NULL, self->segments);
	for (i = 0; i <= self->info.max_segments; i++)
		self->segments[i].fd = ZCOPY_MEMORY;
	self->hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->hole);
	self->hole += PAGE;
	ASSERT_EQ(0, munmap(self->hole, PAGE));
	reset(self);
	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	self->descriptors[self->nr_descriptors++] = ends[0];
	self->pipe = ends[1];
}

FIXTURE_TEARDOWN(refuse)
{
	struct zcopy_stats stats, none = {};
	char byte;

	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(0, memcmp(&none, &stats, sizeof(none)));
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(POSITION, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));

	/* Nothing holds a pipe or a socket that was refused or went along. */
	while (self->nr_descriptors)
		close(self->descriptors[--self->nr_descriptors]);
	EXPECT_TRUE(await(self->pipe, POLLERR));
	close(self->pipe);
	close(self->pair.tx);
	EXPECT_TRUE(await(self->pair.rx, POLLIN));
	EXPECT_EQ(0, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	close(self->pair.rx);
	munmap(self->hole - PAGE, PAGE);
	free(self->segments);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The errno; nothing may have been written to the completion. */
static int refused(struct __test_metadata *_metadata,
		   FIXTURE_DATA(refuse) *self)
{
	struct zcopy_completion untouched;
	int error;

	memset(&untouched, 0xa5, sizeof(untouched));
	error = ioctl(self->device, ZCOPY_IOC_SEND, &self->send) ? errno : 0;
	EXPECT_EQ(0, memcmp(&untouched, &self->send.completion,
			    sizeof(untouched)));
	return error;
}

/* Keep a descriptor until the end of the test. */
static int keep(FIXTURE_DATA(refuse) *self, int fd)
{
	if (fd < 0)
		die("open a descriptor for a test");
	self->descriptors[self->nr_descriptors++] = fd;
	return fd;
}

static void add(FIXTURE_DATA(refuse) *self, const char *name, int rank,
		int error, void *field, size_t size, uint64_t value)
{
	self->faults[self->nr_faults++] = (struct fault){
		.name = name, .rank = rank, .error = error, .field = field,
		.size = size, .value = value,
		.or = field == &self->send.transfer.flags,
	};
}

#define ADD(name, rank, error, field, value) \
	add(self, name, rank, error, &(field), sizeof(field), (uint64_t)(value))

static int unix_socket(int type)
{
	return socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
}

static int listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || listen(fd, 1))
		die("listen");
	return fd;
}

static int reopened(FIXTURE_DATA(refuse) *self, int flags)
{
	return keep(self, open_again(self->file.rw, flags));
}

/* Many kernels have none. */
static void add_notification_pipe(FIXTURE_DATA(refuse) *self)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NOTIFICATION_PIPE)) {
		if (errno != ENOPKG)
			die("make a pipe for notifications");
		return;
	}
	keep(self, ends[0]);
	ADD("pipe for notifications", 8, EPROTONOSUPPORT,
	    self->send.transfer.target, keep(self, ends[1]));
}

/* A regular file that sendfile(2) cannot send either. */
static int unserved(FIXTURE_DATA(refuse) *self)
{
	return keep(self, open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
}

static void add_request_faults(FIXTURE_DATA(refuse) *self)
{
	struct zcopy_transfer *transfer = &self->send.transfer;

	ADD("unknown flag", 1, EINVAL, transfer->flags, 1U << 31);
	ADD("reserved", 1, EINVAL, transfer->reserved, 1ULL << 63);
	ADD("offset beyond", 1, EINVAL, transfer->offset, 1ULL << 63);
	ADD("readahead", 1, EINVAL, transfer->readahead,
	    ZCOPY_MAX_READAHEAD + 1);
	ADD("no segments", 1, EINVAL, transfer->nr_segments, 0);
	ADD("SYNC and NOTIFY", 1, EINVAL, transfer->flags,
	    ZCOPY_SYNC | ZCOPY_NOTIFY);
	ADD("too many segments", 3, EMSGSIZE, transfer->nr_segments,
	    self->info.max_segments + 1);
	ADD("no vector", 4, EFAULT, transfer->segments, 0);
	ADD("vector beyond", 4, EFAULT, transfer->segments,
	    (uintptr_t)self->hole - 2 * sizeof(struct zcopy_segment));
	ADD("socket -1", 5, EBADF, transfer->socket, -1);
	ADD("socket O_PATH", 5, EBADF, transfer->socket,
	    reopened(self, O_PATH));
	ADD("target is a folder", 6, ENOTSOCK, transfer->target,
	    keep(self, open("/", O_RDONLY | O_CLOEXEC)));
	ADD("target is a device", 6, ENOTSOCK, transfer->target, self->device);
	ADD("target is an eventfd", 6, ENOTSOCK, transfer->target,
	    keep(self, eventfd(0, EFD_CLOEXEC)));
	ADD("file to read", 7, EBADF, transfer->target, self->file.fd);
	ADD("pipe to read", 7, EBADF, transfer->target, self->descriptors[0]);
	ADD("datagrams", 8, EPROTONOSUPPORT, transfer->target,
	    keep(self, unix_socket(SOCK_DGRAM)));
	add_notification_pipe(self);
	ADD("file of /proc", 8, EPROTONOSUPPORT, transfer->target,
	    keep(self, open("/proc/self/comm", O_RDWR | O_CLOEXEC)));
	ADD("not connected", 9, ENOTCONN, transfer->target,
	    keep(self, unix_socket(SOCK_STREAM)));
	ADD("listening", 9, ENOTCONN, transfer->target,
	    keep(self, listening()));
	ADD("offset", 10, EINVAL, transfer->offset, 1);
	ADD("O_APPEND", 10, EINVAL, transfer->target,
	    reopened(self, O_WRONLY | O_APPEND));
	ADD("source is target", 400, EINVAL, transfer->target, self->file.rw);
}

static void add_segment_faults(FIXTURE_DATA(refuse) *self, int i)
{
	struct zcopy_segment *segment = &self->segments[i];
	int rank = 100 * (i + 1);

	ADD("segment flags", rank + 1, EINVAL, segment->flags, 1);
	if (segment->fd == ZCOPY_MEMORY) {
		/* What is before it counts too. */
		ADD("memory", rank + 3, EMSGSIZE, segment->len,
		    self->info.max_memory + 1 - (i ? BYTES : 0));
		ADD("no memory", rank + 4, EFAULT, segment->addr, 0);
		ADD("memory beyond", rank + 4, EFAULT, segment->addr,
		    (uintptr_t)self->hole - BYTES + 1);
		return;
	}
	ADD("offset", rank + 1, EINVAL, segment->addr, 1ULL << 63);
	ADD("length", rank + 2, EOVERFLOW, segment->len, 1ULL << 63);
	ADD("file -1", rank + 5, EBADF, segment->fd, -1);
	ADD("file O_PATH", rank + 5, EBADF, segment->fd,
	    reopened(self, O_PATH));
	ADD("file O_WRONLY", rank + 5, EBADF, segment->fd,
	    reopened(self, O_WRONLY));
	ADD("pipe", rank + 6, ESPIPE, segment->fd, self->descriptors[0]);
	ADD("no splice_read", rank + 7, EOPNOTSUPP, segment->fd,
	    unserved(self));
	/* The test has it open for writing. */
	ADD("lease", rank + 8, EAGAIN, self->send.transfer.flags, ZCOPY_LEASE);
}

static void apply(const struct fault *fault)
{
	if (fault->or)
		*(uint32_t *)fault->field |= fault->value;
	else
		memcpy(fault->field, &fault->value, fault->size);
}

/* Each fault alone, and each two of them: the one checked first wins. */
TEST_F(refuse, order)
{
	const struct fault *a, *b, *first;
	size_t i, j;
	int s;

	add_request_faults(self);
	for (s = 0; s < 3; s++)
		add_segment_faults(self, s);
	for (i = 0; i < self->nr_faults; i++) {
		a = &self->faults[i];
		for (j = i; j < self->nr_faults; j++) {
			b = &self->faults[j];
			if (i != j && a->field == b->field && !a->or)
				continue;
			first = a->rank <= b->rank ? a : b;
			reset(self);
			apply(a);
			apply(b);
			EXPECT_EQ(first->error, refused(_metadata, self)) {
				TH_LOG("%s (%d), %s (%d)", a->name, a->rank,
				       b->name, b->rank);
			}
		}
	}
	/* Two memory faults that need each other. */
	reset(self);
	self->segments[0].len = self->info.max_memory;
	self->segments[0].addr = 0;
	EXPECT_EQ(EFAULT, refused(_metadata, self));
}

TEST_F(refuse, flag_bits)
{
	const uint32_t known = ZCOPY_NODISKIO | ZCOPY_NOCACHE | ZCOPY_SYNC |
			       ZCOPY_NOTIFY | ZCOPY_USER_READAHEAD |
			       ZCOPY_LEASE | ZCOPY_MORE | ZCOPY_EXACT |
			       ZCOPY_RESUME;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		const uint32_t flag = 1U << bit;

		if (known & flag)
			continue;
		reset(self);
		self->send.transfer.flags = flag;
		EXPECT_EQ(EINVAL, refused(_metadata, self)) {
			TH_LOG("flag bit %d", bit);
		}
		/* Flags that are served make no difference. */
		self->send.transfer.flags |= known & ~ZCOPY_NOTIFY;
		EXPECT_EQ(EINVAL, refused(_metadata, self));
	}
}

/* The two exclude each other, whatever comes with them. */
TEST_F(refuse, sync_and_notify)
{
	const uint32_t both = ZCOPY_SYNC | ZCOPY_NOTIFY;
	uint32_t others;

	for (others = 0; others < 0x200; others++) {
		reset(self);
		self->send.transfer.flags = both | others;
		EXPECT_EQ(EINVAL, refused(_metadata, self)) {
			TH_LOG("flags %#x", both | others);
		}
	}
}

TEST_F(refuse, reserved_bits)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		reset(self);
		self->send.transfer.reserved = 1ULL << bit;
		EXPECT_EQ(EINVAL, refused(_metadata, self));
	}
	for (bit = 0; bit < 32; bit++) {
		reset(self);
		self->segments[bit % 3].flags = 1U << bit;
		EXPECT_EQ(EINVAL, refused(_metadata, self));
	}
}

TEST_F(refuse, numbers)
{
	const struct {
		uint64_t offset;
		uint64_t len;
		int error;
	} ranges[] = {
		{ 1ULL << 63, 0, EINVAL },
		{ UINT64_MAX, 0, EINVAL },
		{ UINT64_MAX, UINT64_MAX, EINVAL },
		{ 0, 1ULL << 63, EOVERFLOW },
		{ 0, UINT64_MAX, EOVERFLOW },
		{ 1, INT64_MAX, EOVERFLOW },
		{ INT64_MAX, 1, EOVERFLOW },
		{ INT64_MAX, UINT64_MAX, EOVERFLOW },
	};
	const uint32_t counts[] = { self->info.max_segments + 1, 1U << 16,
				    INT32_MAX, 1U << 31, UINT32_MAX };
	const uint32_t readaheads[] = { ZCOPY_MAX_READAHEAD + 1, UINT32_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		reset(self);
		self->segments[1].addr = ranges[i].offset;
		self->segments[1].len = ranges[i].len;
		EXPECT_EQ(ranges[i].error, refused(_metadata, self)) {
			TH_LOG("range %zu", i);
		}
	}
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		reset(self);
		self->send.transfer.nr_segments = counts[i];
		EXPECT_EQ(EMSGSIZE, refused(_metadata, self));
	}
	for (i = 0; i < ARRAY_SIZE(readaheads); i++) {
		reset(self);
		self->send.transfer.readahead = readaheads[i];
		EXPECT_EQ(EINVAL, refused(_metadata, self));
		self->send.transfer.flags = ZCOPY_USER_READAHEAD;
		EXPECT_EQ(EINVAL, refused(_metadata, self));
	}
	reset(self);
	self->segments[0].len = self->info.max_memory / 2 + 1;
	self->segments[2].len = self->info.max_memory / 2 + 1;
	EXPECT_EQ(EMSGSIZE, refused(_metadata, self));
	/* No sum of lengths wraps. */
	self->segments[0].len = BYTES;
	self->segments[2].len = UINT64_MAX;
	EXPECT_EQ(EMSGSIZE, refused(_metadata, self));
	self->segments[2].len = (1ULL << 32);
	EXPECT_EQ(EMSGSIZE, refused(_metadata, self));
}

TEST_F(refuse, addresses)
{
	const uint64_t hole = (uintptr_t)self->hole;
	const uint64_t bad[] = {
		0, 1, 0xffff888000000000, 0xffffffff81000000, 1ULL << 63,
		UINT64_MAX, UINT64_MAX - BYTES / 2, 0x7ffffffff000,
		hole, hole - 1, hole - 3 * sizeof(struct zcopy_segment) + 1,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		reset(self);
		self->send.transfer.segments = bad[i];
		EXPECT_EQ(EFAULT, refused(_metadata, self)) {
			TH_LOG("vector at %#jx", (uintmax_t)bad[i]);
		}
		reset(self);
		self->segments[0].addr = bad[i];
		EXPECT_EQ(EFAULT, refused(_metadata, self)) {
			TH_LOG("memory at %#jx", (uintmax_t)bad[i]);
		}
		/* Found before a byte of what is in front of it went. */
		reset(self);
		self->segments[2].addr = bad[i];
		EXPECT_EQ(EFAULT, refused(_metadata, self));
	}
	reset(self);
	ASSERT_EQ(0, mprotect(self->hole - PAGE, PAGE, PROT_NONE));
	self->segments[0].addr = hole - PAGE;
	EXPECT_EQ(EFAULT, refused(_metadata, self));
}

TEST_F(refuse, files)
{
	const char *const trace = "/sys/kernel/tracing/trace_pipe";
	const struct {
		const char *name;
		int fd;
		int error;
	} rows[] = {
		{ "-1", -1, EBADF },
		{ "not ZCOPY_MEMORY", -3, EBADF },
		{ "AT_FDCWD", AT_FDCWD, EBADF },
		{ "lowest", INT32_MIN, EBADF },
		{ "closed", 1000000, EBADF },
		{ "O_PATH", reopened(self, O_PATH), EBADF },
		{ "O_WRONLY", reopened(self, O_WRONLY), EBADF },
		{ "write end of a pipe", self->pipe, EBADF },
		{ "read end of a pipe", self->descriptors[0], ESPIPE },
		{ "directory", keep(self, open("/", O_RDONLY | O_CLOEXEC)),
		  ESPIPE },
		{ "character device",
		  keep(self, open("/dev/zero", O_RDONLY | O_CLOEXEC)),
		  ESPIPE },
		{ "itself", self->device, ESPIPE },
		{ "eventfd", keep(self, eventfd(1, EFD_CLOEXEC)), ESPIPE },
		{ "epoll", keep(self, epoll_create1(EPOLL_CLOEXEC)), ESPIPE },
		{ "socket", self->pair.rx, ESPIPE },
		{ "the very socket", self->pair.tx, ESPIPE },
		{ "no splice_read", unserved(self), EOPNOTSUPP },
		{ "no offsets", keep(self, open(trace, O_RDONLY | O_CLOEXEC)),
		  ESPIPE },
		{ "huge pages",
		  keep(self, memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB)),
		  EOPNOTSUPP },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(self);
		self->segments[1].fd = rows[i].fd;
		EXPECT_EQ(rows[i].error, refused(_metadata, self)) {
			TH_LOG("file: %s", rows[i].name);
		}
	}
}

/* A segment is checked whole before the next one, in the order of the vector. */
TEST_F(refuse, first_segment_first)
{
	reset(self);
	self->segments[1].fd = unserved(self);
	self->segments[2].flags = 1;
	EXPECT_EQ(EOPNOTSUPP, refused(_metadata, self));
	reset(self);
	self->segments[0].addr = 0;
	self->segments[1].flags = 1;
	EXPECT_EQ(EFAULT, refused(_metadata, self));
}

/* The last of very many segments. */
TEST_F(refuse, last_segment)
{
	const uint32_t last = self->info.max_segments - 1;
	uint32_t i;

	reset(self);
	for (i = 0; i < last; i++)
		self->segments[i] = of_file(&self->file, i, 10).segment;
	self->segments[last].fd = -1;
	self->send.transfer.nr_segments = last + 1;
	EXPECT_EQ(EBADF, refused(_metadata, self));
}

TEST_HARNESS_MAIN
