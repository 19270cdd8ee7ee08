// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files whose content the kernel makes for who reads it: /proc and /sys. Their
 * size says nothing, and the queue refuses them.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

FIXTURE(source_generated)
{
	struct watch watch;
	struct pair pair;
	char *want;
	char *seen;
	size_t size;
	int device;
	int fd;
};

FIXTURE_VARIANT(source_generated)
{
	const char *path;
};

#define ROW(name, file) \
	FIXTURE_VARIANT_ADD(source_generated, name) { .path = (file) }
ROW(version, "/proc/version");
ROW(filesystems, "/proc/filesystems");
ROW(resources, "/proc/iomem");
ROW(sysctl, "/proc/sys/kernel/osrelease");
ROW(attribute, "/sys/devices/system/cpu/online");
ROW(binary, "/sys/kernel/notes");
/* Many of the stretches that the universal source reads, a page at a time. */
ROW(types, "/sys/kernel/btf/vmlinux");
ROW(cgroup, "/sys/fs/cgroup/cgroup.controllers");

#define MOST	(16 * MIB)

/* What read() gives from the offset on. */
static void collect(struct __test_metadata *_metadata,
		    FIXTURE_DATA(source_generated) *self, uint64_t offset)
{
	ssize_t n;

	self->size = 0;
	do {
		n = pread(self->fd, self->want + self->size, 64 * KIB,
			  offset + self->size);
		ASSERT_LE(0, n);
		self->size += n;
		ASSERT_GE(MOST - 64 * KIB, self->size);
	} while (n);
}

FIXTURE_SETUP(source_generated)
{
	if (access(variant->path, R_OK))
		SKIP(return, "this kernel has no %s", variant->path);
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, TCP4, 0);
	self->fd = open(variant->path, O_RDONLY | O_CLOEXEC);
	self->want = malloc(MOST);
	self->seen = malloc(MOST);
	ASSERT_TRUE(self->fd >= 0 && self->want && self->seen);
	collect(_metadata, self, 0);
	ASSERT_LE(4, self->size);
}

FIXTURE_TEARDOWN(source_generated)
{
	free(self->want);
	free(self->seen);
	close(self->fd);
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void *receive(void *argument)
{
	FIXTURE_DATA(source_generated) *self = argument;
	size_t got = 0;
	ssize_t n;

	do {
		n = recv(self->pair.rx, self->seen + got, MOST - got, 0);
		got += n > 0 ? n : 0;
	} while (n > 0);
	return (void *)got;
}

/* Send the parts; returns how many bytes arrived. */
static size_t exchange(struct __test_metadata *_metadata,
		       FIXTURE_DATA(source_generated) *self,
		       const struct part *parts, size_t nr,
		       struct zcopy_completion *completion)
{
	pthread_t thread;
	void *got;

	ASSERT_EQ(0, pthread_create(&thread, NULL, receive, self));
	EXPECT_EQ(0, send_parts(self->device, self->pair.tx, parts, nr, 0,
				completion));
	shutdown(self->pair.tx, SHUT_WR);
	pthread_join(thread, &got);
	return (size_t)got;
}

static void arrives(struct __test_metadata *_metadata,
		    FIXTURE_DATA(source_generated) *self, uint64_t offset)
{
	struct part part = { .segment = { .addr = offset, .fd = self->fd } };
	struct zcopy_completion completion;

	collect(_metadata, self, offset);
	ASSERT_EQ(self->size, exchange(_metadata, self, &part, 1, &completion));
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(0, completion.flags);
	EXPECT_EQ(self->size, completion.bytes);
	EXPECT_EQ(0, memcmp(self->want, self->seen, self->size));
}

TEST_F(source_generated, whole)
{
	arrives(_metadata, self, 0);
}

TEST_F(source_generated, odd_offset)
{
	arrives(_metadata, self, 3);
}

/* More was asked for than there is. */
TEST_F(source_generated, too_long)
{
	struct part parts[] = {
		{ .segment = { .addr = 1, .fd = self->fd } },
		of_memory(0, 1),
	};
	struct zcopy_completion completion;

	collect(_metadata, self, 1);
	parts[0].segment.len = self->size + 1;
	ASSERT_EQ(self->size + 1,
		  exchange(_metadata, self, parts, 2, &completion));
	EXPECT_EQ(self->size + 1, completion.bytes);
	EXPECT_EQ(ZCOPY_C_TRUNCATED, completion.flags);
	EXPECT_EQ(0, memcmp(self->want, self->seen, self->size));
	EXPECT_EQ(memory(0, 1)[0], self->seen[self->size]);
}

/* A worker is not who may read it. */
TEST_F(source_generated, queue)
{
	const struct part part = { .segment = { .fd = self->fd } };
	const struct zcopy_transfer transfer = transfer_of(self->pair.tx, &part,
							   1, 1);
	struct zcopy_submit submit = submit_of(&transfer, 1);
	struct zcopy_completion completion;

	EXPECT_EQ(0, submit_call(self->device, &submit));
	EXPECT_EQ(0, submit.accepted);
	EXPECT_EQ(-EOPNOTSUPP, submit.error);
	EXPECT_EQ(0, reap_now(self->device, &completion, 1));
}

/* What depends on who reads is that of the caller. */
TEST(namespace)
{
	static const char name[] = "elsewhere";
	struct zcopy_completion completion;
	struct part part = {};
	char seen[64] = "";
	struct pair pair;
	int device, fd;

	if (unshare(CLONE_NEWUTS) && errno == EINVAL)
		SKIP(return, "this kernel has no UTS namespaces");
	ASSERT_EQ(0, sethostname(name, strlen(name)));
	device = device_open();
	pair_open(&pair, TCP4, 0);
	fd = open("/proc/sys/kernel/hostname", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	part.segment.fd = fd;
	ASSERT_EQ(0, send_parts(device, pair.tx, &part, 1, 0, &completion));
	EXPECT_EQ(strlen(name) + 1, completion.bytes);
	EXPECT_EQ(strlen(name) + 1, recv(pair.rx, seen, sizeof(seen), 0));
	EXPECT_STREQ("elsewhere\n", seen);
	close(fd);
	pair_close(&pair);
	close(device);
}

TEST_HARNESS_MAIN
