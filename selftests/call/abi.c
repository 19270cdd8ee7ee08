// SPDX-License-Identifier: GPL-2.0-only
/* The ioctls as such: numbers, sizes that grow, addresses, what INFO says. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define MOST	((1U << _IOC_SIZEBITS) - 1)
#define HEADER	10

FIXTURE(abi)
{
	struct watch watch;
	struct zcopy_segment segment;
	struct pair pair;
	char *argument;		/* MOST bytes, then no page */
	int device;
};

FIXTURE_VARIANT(abi)
{
	unsigned int command;
	unsigned int least;	/* size of the first version */
	unsigned int size;
	int tail;		/* errno if what is beyond is not zero */
};

FIXTURE_VARIANT_ADD(abi, info)
{
	.command = ZCOPY_IOC_INFO,
	.least = 40,
	.size = sizeof(struct zcopy_info),
};

FIXTURE_VARIANT_ADD(abi, stats)
{
	.command = ZCOPY_IOC_STATS,
	.least = 96,
	.size = sizeof(struct zcopy_stats),
};

FIXTURE_VARIANT_ADD(abi, send)
{
	.command = ZCOPY_IOC_SEND,
	.least = 72,
	.size = sizeof(struct zcopy_send),
	.tail = E2BIG,
};

#define AREA	(5 * PAGE)

FIXTURE_SETUP(abi)
{
	char *area;

	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, UNIX, 0);
	self->segment = of_memory(0, HEADER).segment;
	area = mmap(NULL, AREA, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, mprotect(area + AREA - PAGE, PAGE, PROT_NONE));
	self->argument = area;
}

FIXTURE_TEARDOWN(abi)
{
	munmap(self->argument, AREA);
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static char *valid(FIXTURE_DATA(abi) *self,
		   const FIXTURE_VARIANT(abi) *variant)
{
	struct zcopy_send *send = (void *)self->argument;

	memset(self->argument, 0, AREA - PAGE);
	if (variant->command == ZCOPY_IOC_SEND) {
		send->transfer.segments = (uintptr_t)&self->segment;
		send->transfer.nr_segments = 1;
		send->transfer.socket = self->pair.tx;
	}
	return self->argument;
}

static unsigned int sized(const FIXTURE_VARIANT(abi) *variant,
			  unsigned int size)
{
	return _IOC(_IOC_READ | _IOC_WRITE, ZCOPY_IOC_TYPE,
		    _IOC_NR(variant->command), size);
}

/* Bytes the peer got since the last time it was asked. */
static int arrived(FIXTURE_DATA(abi) *self)
{
	char bytes[64];
	ssize_t n = recv(self->pair.rx, bytes, sizeof(bytes), MSG_DONTWAIT);

	return n < 0 ? 0 : n;
}

static int issue(int device, unsigned int command, void *argument)
{
	return ioctl(device, command, argument) ? errno : 0;
}

TEST_F(abi, sizes)
{
	const int sent = variant->command == ZCOPY_IOC_SEND ? HEADER : 0;
	const struct {
		unsigned int size;
		int tail;	/* offset of a byte that is not 0 */
		int error;
	} rows[] = {
		{ 0, -1, EINVAL },
		{ 1, -1, EINVAL },
		{ variant->least - 1, -1, EINVAL },
		{ variant->least, -1, 0 },
		{ variant->size, -1, 0 },
		{ variant->size, variant->size, 0 },
		{ variant->size + 1, -1, 0 },
		{ variant->size + 1, variant->size, variant->tail },
		{ variant->size + 1, variant->size + 1, 0 },
		{ variant->size + 8, variant->size + 7, variant->tail },
		{ PAGE, -1, 0 },
		{ PAGE, PAGE - 1, variant->tail },
		{ PAGE + 1, -1, 0 },
		{ PAGE + 1, PAGE, variant->tail },
		{ MOST, -1, 0 },
		{ MOST, MOST - 1, variant->tail },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char *argument = valid(self, variant);

		if (rows[i].tail >= 0)
			argument[rows[i].tail] = 1;
		EXPECT_EQ(rows[i].error, issue(self->device,
					       sized(variant, rows[i].size),
					       argument)) {
			TH_LOG("size %u, byte %d set", rows[i].size,
			       rows[i].tail);
		}
		EXPECT_EQ(rows[i].error ? 0 : sent, arrived(self));
	}
}

/* A newer program reads zeros in what this module does not know. */
TEST_F(abi, tail)
{
	const unsigned int size = variant->size + 8;
	char *argument = valid(self, variant);
	unsigned int i;

	memset(argument + variant->size, variant->tail ? 0 : 0xa5, 8);
	memset(argument + size, 0x5a, 8);
	EXPECT_EQ(0, issue(self->device, sized(variant, size), argument));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(0, argument[variant->size + i]);
		EXPECT_EQ(0x5a, argument[size + i]);
	}
}

/* An older program's memory is not written to behind its structure. */
TEST_F(abi, short_argument)
{
	char *argument = valid(self, variant);
	unsigned int i;

	memset(argument + variant->least, 0x5a, PAGE);
	EXPECT_EQ(0, issue(self->device, sized(variant, variant->least),
			   argument));
	for (i = 0; i < PAGE; i++)
		EXPECT_EQ(0x5a, argument[variant->least + i]);
}

TEST_F(abi, addresses)
{
	char *end = self->argument + AREA - PAGE;
	void *const bad[] = {
		NULL,
		(void *)1,
		(void *)0xffff888000000000,	/* the kernel's */
		(void *)0xffffffff81000000,
		(void *)0x8000000000000000,	/* not canonical */
		(void *)-1L,
		end,
		end - 1,
		end - variant->size + 1,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		valid(self, variant);
		EXPECT_EQ(EFAULT, issue(self->device, variant->command,
					bad[i])) {
			TH_LOG("address %p", bad[i]);
		}
	}

	/* The last one that is good, aligned to nothing. */
	memmove(end - variant->size, valid(self, variant), variant->size);
	EXPECT_EQ(0, issue(self->device, variant->command,
			   end - variant->size));
}

/* An answer that cannot be written is no reason to have acted. */
TEST_F(abi, read_only)
{
	char *argument = valid(self, variant);

	ASSERT_EQ(0, mprotect(argument, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, issue(self->device, variant->command, argument));
	EXPECT_EQ(0, arrived(self));
	ASSERT_EQ(0, mprotect(argument, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, issue(self->device, variant->command, argument));
}

TEST_F(abi, unknown_numbers)
{
	const unsigned int nr = _IOC_NR(variant->command);
	const unsigned int rows[] = {
		_IOC(_IOC_NONE, ZCOPY_IOC_TYPE, nr, variant->size),
		_IOC(_IOC_READ, ZCOPY_IOC_TYPE, nr, variant->size),
		_IOC(_IOC_WRITE, ZCOPY_IOC_TYPE, nr, variant->size),
		_IOC(_IOC_READ | _IOC_WRITE, ZCOPY_IOC_TYPE + 1, nr,
		     variant->size),
		_IOC(_IOC_READ | _IOC_WRITE, ZCOPY_IOC_TYPE, nr + 0x80,
		     variant->size),
	};
	unsigned int unused;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(ENOTTY, issue(self->device, rows[i],
					valid(self, variant))) {
			TH_LOG("number %#x", rows[i]);
		}
	}
	for (unused = _IOC_NR(ZCOPY_IOC_CANCEL) + 1; unused < 256; unused++)
		EXPECT_EQ(ENOTTY, issue(self->device,
					_IOC(_IOC_READ | _IOC_WRITE,
					     ZCOPY_IOC_TYPE, unused,
					     variant->size),
					valid(self, variant)));
	EXPECT_EQ(0, arrived(self));
}

TEST(info)
{
	const uint32_t known = ZCOPY_NODISKIO | ZCOPY_NOCACHE | ZCOPY_SYNC |
			       ZCOPY_NOTIFY | ZCOPY_USER_READAHEAD |
			       ZCOPY_LEASE | ZCOPY_MORE | ZCOPY_EXACT |
			       ZCOPY_RESUME;
	struct zcopy_info info;
	int device = device_open();

	memset(&info, 0xa5, sizeof(info));
	ASSERT_EQ(0, ioctl(device, ZCOPY_IOC_INFO, &info));
	EXPECT_NE(0, info.version);
	EXPECT_EQ(known, info.transfer_flags);
	EXPECT_EQ(ZCOPY_FEATURE_SEND, info.features & ZCOPY_FEATURE_SEND);
	EXPECT_EQ(ZCOPY_FEATURE_STATS, info.features & ZCOPY_FEATURE_STATS);
	EXPECT_LT(0, info.max_segments);
	EXPECT_LT(0, info.max_memory);
	EXPECT_LT(0, info.batch_bytes);
	EXPECT_LE(info.max_memory, info.max_queued_memory);
	EXPECT_LT(0, info.max_transfers);
	EXPECT_LE(info.max_transfers, info.max_completions);
	close(device);
}

/* As with sendfile(2), no privilege is needed. */
TEST(device_node)
{
	struct stat stat;

	ASSERT_EQ(0, lstat(DEVICE, &stat));
	EXPECT_TRUE(S_ISCHR(stat.st_mode));
	EXPECT_EQ(0666, stat.st_mode & 07777);
}

TEST(unprivileged)
{
	struct zcopy_completion completion;
	struct part part = of_memory(0, HEADER);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct pair pair;
	int device;

	ASSERT_EQ(0, setgid(65534));
	ASSERT_EQ(0, setuid(65534));
	device = device_open();
	pair_open(&pair, TCP4, 0);
	EXPECT_EQ(0, send_parts(device, pair.tx, &part, 1, 0, &completion));
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, HEADER));
	EXPECT_STREQ("", cursor_verdict(&cursor, HEADER));
	pair_close(&pair);
	close(device);
}

/* What a refused open mode could be good for: none is refused. */
TEST(open_modes)
{
	const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	struct zcopy_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int device = open(DEVICE, modes[i]);

		ASSERT_LE(0, device);
		device_info(device, &info);
		close(device);
	}
}

TEST_HARNESS_MAIN
