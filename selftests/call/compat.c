// SPDX-License-Identifier: GPL-2.0-only
/*
 * 32-bit callers. A 64-bit program enters the kernel as one of them with
 * int 0x80, all its addresses below 4 GiB; style/layout.c checks the layout for
 * them.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define IA32_IOCTL	54
#define SIZE		(50 * KIB + 1)

/* What a 32-bit program would hold: everything low. */
struct low {
	struct zcopy_info info;
	struct zcopy_stats stats;
	struct zcopy_send send;
	struct zcopy_segment segments[3];
	char memory[200];
};

FIXTURE(compat)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct low *low;
	int device;
};

FIXTURE_SETUP(compat)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, TCP4, 0);
	file_make(&self->file, EXT4, SIZE, 101);
	self->low = mmap(NULL, sizeof(*self->low), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, self->low);
}

FIXTURE_TEARDOWN(compat)
{
	munmap(self->low, sizeof(*self->low));
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* 0 or -errno. */
static int ioctl32(int fd, unsigned int command, void *argument)
{
	int result;

	/* The kernel may clobber what 32-bit programs do not have. */
	asm volatile("int $0x80"
		     : "=a" (result)
		     : "0" (IA32_IOCTL), "b" (fd), "c" (command),
		       "d" ((uint32_t)(uintptr_t)argument)
		     : "memory", "r8", "r9", "r10", "r11");
	return result;
}

TEST_F(compat, information)
{
	struct zcopy_info info;

	device_info(self->device, &info);
	EXPECT_EQ(0, ioctl32(self->device, ZCOPY_IOC_INFO, &self->low->info));
	EXPECT_EQ(0, memcmp(&info, &self->low->info, sizeof(info)));
}

TEST_F(compat, transfer)
{
	const struct part parts[] = {
		of_memory(0, 200),
		of_file(&self->file, 0, 0),
		of_memory(0, 200),
	};
	const uint64_t total = parts_total(parts, 3);
	struct low *low = self->low;
	struct cursor cursor = { .parts = parts, .nr = 3 };
	struct zcopy_stats stats;
	int i;

	memcpy(low->memory, memory(0, 200), 200);
	for (i = 0; i < 3; i++) {
		low->segments[i] = parts[i].segment;
		if (i != 1)
			low->segments[i].addr = (uintptr_t)low->memory;
	}
	low->send.transfer.user_data = UINT64_MAX - 7;
	low->send.transfer.segments = (uintptr_t)low->segments;
	low->send.transfer.nr_segments = 3;
	low->send.transfer.socket = self->pair.tx;
	ASSERT_EQ(0, ioctl32(self->device, ZCOPY_IOC_SEND, &low->send));
	EXPECT_EQ(UINT64_MAX - 7, low->send.completion.user_data);
	EXPECT_EQ(total, low->send.completion.bytes);
	EXPECT_EQ(0, low->send.completion.error);
	EXPECT_EQ(0, low->send.completion.flags);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));

	EXPECT_EQ(0, ioctl32(self->device, ZCOPY_IOC_STATS, &low->stats));
	EXPECT_EQ(total, low->stats.bytes);
	device_stats(self->device, ZCOPY_STATS_CONTEXT, &stats);
	EXPECT_EQ(0, memcmp(&stats, &low->stats, sizeof(stats)));
}

TEST_F(compat, refused)
{
	struct low *low = self->low;

	EXPECT_EQ(-ENOTTY, ioctl32(self->device, ZCOPY_IOC_INFO + 0x80,
				   &low->info));
	EXPECT_EQ(-EFAULT, ioctl32(self->device, ZCOPY_IOC_INFO, NULL));
	low->stats.scope = 7;
	EXPECT_EQ(-EINVAL, ioctl32(self->device, ZCOPY_IOC_STATS, &low->stats));
	low->send.transfer.nr_segments = 1;
	low->send.transfer.segments = (uintptr_t)low->segments;
	low->send.transfer.socket = -1;
	EXPECT_EQ(-EBADF, ioctl32(self->device, ZCOPY_IOC_SEND, &low->send));
	/* An address such a program cannot have is bad, not cut short. */
	low->send.transfer.segments |= 1ULL << 47;
	EXPECT_EQ(-EFAULT, ioctl32(self->device, ZCOPY_IOC_SEND, &low->send));
}

TEST_HARNESS_MAIN
