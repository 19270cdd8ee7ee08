// SPDX-License-Identifier: GPL-2.0-only
/* A regular file as target: bytes, offsets, shared blocks, errors, ends. */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/ring.h"
#include "lib/target.h"
#include "lib/watch.h"

#define SIZE	(3 * MIB + 4321)
#define POSITION 7
#define LAST	((1ULL << 63) - 1)

FIXTURE(file)
{
	struct watch watch;
	struct file from;
	struct file to;
	int device;
};

FIXTURE_VARIANT(file)
{
	enum filesystem from;
	enum filesystem to;
};

#define WAY(name, a, b) \
	FIXTURE_VARIANT_ADD(file, name) { .from = a, .to = b }

WAY(ext4_ext4, EXT4, EXT4);
WAY(ext4_xfs, EXT4, XFS);
WAY(ext4_tmpfs, EXT4, TMPFS);
WAY(xfs_xfs, XFS, XFS);
WAY(xfs_ext4, XFS, EXT4);
WAY(memfd_xfs, MEMFD, XFS);

FIXTURE_SETUP(file)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->from, variant->from, SIZE, SEED);
	file_make(&self->to, variant->to, SIZE, OTHER);
	ASSERT_EQ(POSITION, lseek(self->to.rw, POSITION, SEEK_SET));
}

FIXTURE_TEARDOWN(file)
{
	EXPECT_EQ(POSITION, lseek(self->to.rw, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->from));
	close(self->device);
	file_close(&self->from);
	file_close(&self->to);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Segments of all kinds, to a place in the middle of the file. */
TEST_F(file, bytes)
{
	const struct part parts[] = {
		of_memory(0, 5001),
		of_file(&self->from, 0, 0),
		of_file(&self->from, 4097, 5000),
		of_memory(100, 11),
		of_file(&self->from, MIB, MIB),
	};
	const uint64_t total = parts_total(ALL_OF(parts));
	const uint64_t offset = 12345;
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, offset,
				ALL_OF(parts), 0, &completion));
	EXPECT_EQ(total, completion.bytes);
	EXPECT_EQ(0, completion.error);
	EXPECT_EQ(ZCOPY_C_COPIED, completion.flags);
	EXPECT_STREQ("", holds_parts(&self->to, offset, ALL_OF(parts)));
	EXPECT_STREQ("", file_holds(&self->to, 0,
				    (struct stretch){ OTHER, 0, offset }));
	EXPECT_EQ(offset + total, size_of(&self->to));
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(total, stats.bytes);
	EXPECT_EQ(total, stats.bytes_copied);
	EXPECT_EQ(5012, stats.bytes_memory);
	EXPECT_EQ(0, stats.socket_errors);
}

/* What lies behind the last byte stays, and so does the size. */
TEST_F(file, middle)
{
	const struct part part = of_file(&self->from, 1, 70000);
	struct zcopy_completion completion;

	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, MIB, &part, 1, 0,
				&completion));
	EXPECT_EQ(70000, completion.bytes);
	EXPECT_STREQ("", holds_parts(&self->to, MIB, &part, 1));
	EXPECT_STREQ("", file_holds(&self->to, 0,
				    (struct stretch){ OTHER, 0, MIB }));
	EXPECT_STREQ("", file_holds(&self->to, MIB + 70000,
				    (struct stretch){ OTHER, MIB + 70000,
						      SIZE - MIB - 70000 }));
	EXPECT_EQ(SIZE, size_of(&self->to));
}

/* Does every block of the file belong to another one too? */
static bool is_shared(const struct file *file)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[64];
	} all = { .map = { .fm_length = ~0ULL, .fm_flags = FIEMAP_FLAG_SYNC,
			   .fm_extent_count = 64 } };
	unsigned int i;

	if (ioctl(file->rw, FS_IOC_FIEMAP, &all) || !all.map.fm_mapped_extents)
		die("ask for the extents of a file");
	for (i = 0; i < all.map.fm_mapped_extents; i++)
		if (!(all.extents[i].fe_flags & FIEMAP_EXTENT_SHARED))
			return false;
	return true;
}

/* A whole file becomes one that shares its blocks, where it can. */
TEST_F(file, whole)
{
	const bool can = variant->from == XFS && variant->to == XFS;
	const struct part part = of_file(&self->from, 0, 0);
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	ASSERT_EQ(0, ftruncate(self->to.rw, 0));
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 0, &part, 1, 0,
				&completion));
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_EQ(can ? 0 : ZCOPY_C_COPIED, completion.flags);
	EXPECT_STREQ("", holds_parts(&self->to, 0, &part, 1));
	EXPECT_EQ(SIZE, size_of(&self->to));
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(can ? 0 : SIZE, stats.bytes_copied);
	if (variant->to == XFS)
		EXPECT_EQ(can, is_shared(&self->to));
	/* They are not the same file all the same. */
	file_write(&self->to, 0, 2 * PAGE, OTHER);
	EXPECT_STREQ("", file_intact(&self->from));
}

/* Blocks are shared as far as they are whole. */
TEST_F(file, part)
{
	const struct part parts[] = { of_file(&self->from, 8 * PAGE, MIB),
				      of_file(&self->from, PAGE, 2 * PAGE + 1),
				      of_memory(0, 10) };
	const uint64_t shared = MIB + 2 * PAGE;
	const bool can = variant->from == XFS && variant->to == XFS;
	struct zcopy_completion completion;
	struct zcopy_stats stats;

	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 4 * PAGE,
				ALL_OF(parts), 0, &completion));
	EXPECT_EQ(shared + 11, completion.bytes);
	EXPECT_STREQ("", holds_parts(&self->to, 4 * PAGE, ALL_OF(parts)));
	EXPECT_STREQ("", file_holds(&self->to, 4 * PAGE + shared + 11,
				    (struct stretch){ OTHER,
						      4 * PAGE + shared + 11,
						      PAGE }));
	stats = stats_of(self->device, ZCOPY_STATS_CONTEXT);
	EXPECT_EQ(can ? 11 : shared + 11, stats.bytes_copied);
}

/* Holes are bytes like others. */
TEST_F(file, holes)
{
	struct part parts[] = { of_file(&self->from, 0, 0) };
	struct zcopy_completion completion;

	ASSERT_EQ(0, ftruncate(self->from.rw, 0));
	ASSERT_EQ(0, ftruncate(self->from.rw, SIZE));
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 1, parts, 1, 0,
				&completion));
	EXPECT_EQ(SIZE, completion.bytes);
	parts[0].want.seed = ZEROS;
	EXPECT_STREQ("", holds_parts(&self->to, 1, parts, 1));
	file_write(&self->from, 0, SIZE, SEED);
}

TEST_F(file, flags)
{
	const struct part part = of_file(&self->from, 0, 0);
	struct zcopy_completion completion;

	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 1, &part, 1,
				ZCOPY_SYNC, &completion));
	EXPECT_EQ(ZCOPY_C_COPIED | ZCOPY_C_RELEASED, completion.flags);
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 1, &part, 1,
				ZCOPY_NOTIFY, &completion));
	EXPECT_EQ(ZCOPY_C_COPIED | ZCOPY_C_MORE, completion.flags);
	EXPECT_STREQ("", completes(self->device, 99, SIZE, 0,
				   ZCOPY_C_COPIED | ZCOPY_C_RELEASED));
	if (file_has_disk(&self->from)) {
		file_chill(&self->from);
		EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 0, &part, 1,
					ZCOPY_NODISKIO, &completion));
		EXPECT_EQ(-EBUSY, completion.error);
		EXPECT_EQ(0, completion.bytes);
		EXPECT_EQ(0, file_resident(&self->from, 0, SIZE));
		EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 1, &part, 1,
					ZCOPY_NOCACHE, &completion));
		EXPECT_EQ(SIZE, completion.bytes);
		EXPECT_EQ(0, file_resident(&self->from, 0, SIZE));
	}
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 1, &part, 1,
				ZCOPY_MORE, &completion));
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_STREQ("", holds_parts(&self->to, 1, &part, 1));
}

/* A file that ends early moves up what stands behind it. */
TEST_F(file, truncated)
{
	const struct part parts[] = { of_file(&self->from, SIZE - 5000, 9000),
				      of_memory(0, 100) };
	struct zcopy_completion completion;

	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, 0, ALL_OF(parts), 0,
				&completion));
	EXPECT_EQ(5100, completion.bytes);
	EXPECT_EQ(ZCOPY_C_COPIED | ZCOPY_C_TRUNCATED, completion.flags);
	EXPECT_STREQ("", holds_parts(&self->to, 0, ALL_OF(parts)));
}

/* One file may be both ends, as long as they lie apart. */
TEST_F(file, same_file)
{
	struct part parts[] = { of_file(&self->to, 0, MIB),
				of_file(&self->to, 0, 0) };
	struct zcopy_completion completion;

	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, MIB - 1,
				      parts, 1, 0, &completion));
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, 0,
				      parts, 1, 0, &completion));
	/* It would never end. */
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, SIZE,
				      parts + 1, 1, 0, &completion));
	/* The first segment goes there, but the second one meets itself. */
	parts[1] = of_file(&self->to, 3 * MIB, 1000);
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, 2 * MIB,
				      parts, 2, 0, &completion));
	/* How far the first segment reaches only its end will tell. */
	parts[0] = of_file(&self->from, 0, 0);
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, 0,
				      parts, 2, 0, &completion));
	EXPECT_STREQ("", file_intact(&self->to));
	parts[0] = of_file(&self->to, 0, MIB);
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, MIB, parts, 1, 0,
				&completion));
	EXPECT_EQ(MIB, completion.bytes);
	EXPECT_STREQ("", holds_parts(&self->to, MIB, parts, 1));
	EXPECT_STREQ("", holds_parts(&self->to, 0, parts, 1));
}

/* Refused for what the whole of a transfer is; call/refuse.c has the rest. */
TEST_F(file, refused)
{
	const struct part part = of_file(&self->from, 0, 10);
	struct zcopy_completion completion;

	EXPECT_EQ(-EOVERFLOW, copy_parts(self->device, self->to.rw, LAST - 9,
					 &part, 1, 0, &completion));
	EXPECT_EQ(-EINVAL, copy_parts(self->device, self->to.rw, LAST + 1,
				      &part, 1, 0, &completion));
	EXPECT_EQ(-EBADF, copy_parts(self->device, self->to.fd, 0, &part, 1, 0,
				     &completion));
	EXPECT_STREQ("", file_intact(&self->to));
	/* What the filesystem cannot hold is an error of the target. */
	EXPECT_EQ(0, copy_parts(self->device, self->to.rw, LAST - 10, &part, 1,
				0, &completion));
	EXPECT_EQ(variant->to == EXT4 ? -EFBIG : 0, completion.error);
	EXPECT_EQ(variant->to == EXT4 ? 0 : 10, completion.bytes);
	EXPECT_EQ(variant->to == EXT4 ? ZCOPY_C_TARGET_ERROR : 0,
		  completion.flags & ZCOPY_C_TARGET_ERROR);
}

/* The limit of who submits, for a worker too, and without a signal. */
TEST_F(file, size_limit)
{
	const uint64_t at[] = { 0, 1 };
	const struct part part = of_file(&self->from, 0, 0);
	struct rlimit limit, before;
	struct zcopy_transfer transfer;
	struct zcopy_completion completion;
	size_t i;

	ASSERT_EQ(SIG_DFL, signal(SIGXFSZ, SIG_DFL));
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &before));
	for (i = 0; i < 2; i++) {
		const uint64_t room = 2 * MIB + 1 - at[i];

		limit = before;
		limit.rlim_cur = 2 * MIB + 1;
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
		EXPECT_EQ(0, copy_parts(self->device, self->to.rw, at[i], &part,
					1, 0, &completion));
		EXPECT_EQ(-EFBIG, completion.error);
		EXPECT_EQ(room, completion.bytes);
		EXPECT_EQ(ZCOPY_C_TARGET_ERROR,
			  completion.flags & ~ZCOPY_C_COPIED);
		transfer = transfer_of(self->to.rw, &part, 1, i);
		transfer.offset = at[i];
		submit_all(self->device, &transfer, 1);
		ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &before));
		ASSERT_EQ(1, reap(self->device, &completion, 1));
		EXPECT_EQ(-EFBIG, completion.error);
		EXPECT_EQ(room, completion.bytes);
	}
	EXPECT_STREQ("", file_holds(&self->to, 2 * MIB + 1,
				    (struct stretch){ OTHER, 2 * MIB + 1,
						      MIB }));
}

/* Errors of the target's filesystem: it is full, or says no. */
TEST_F(file, target_errors)
{
	const struct part part = of_file(&self->from, 0, 0);
	struct zcopy_completion completion;
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/small", directory(TMPFS));
	ASSERT_EQ(0, mkdir(path, 0700));
	ASSERT_EQ(0, mount("none", path, "tmpfs", 0, "size=1m"));
	fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, copy_parts(self->device, fd, 0, &part, 1, 0, &completion));
	EXPECT_EQ(-ENOSPC, completion.error);
	EXPECT_EQ(MIB, completion.bytes);
	EXPECT_EQ(ZCOPY_C_TARGET_ERROR | ZCOPY_C_COPIED, completion.flags);
	close(fd);
	EXPECT_EQ(0, umount(path));
	EXPECT_EQ(0, rmdir(path));

	fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(0, copy_parts(self->device, fd, 0, &part, 1, 0, &completion));
	EXPECT_EQ(-EPERM, completion.error);
	EXPECT_EQ(0, completion.bytes);
	EXPECT_EQ(ZCOPY_C_TARGET_ERROR, completion.flags);
	close(fd);
}

/* Transfers of the queue keep their order, and each tells how far it is. */
TEST_F(file, queued)
{
	const struct part parts[] = { of_file(&self->from, 0, MIB),
				      of_file(&self->from, MIB, MIB + 1),
				      of_memory(0, 777) };
	struct zcopy_transfer transfers[3];
	uint64_t offset = 0;
	size_t i;

	for (i = 0; i < 3; i++) {
		transfers[i] = transfer_of(self->to.rw, &parts[i], 1, i);
		transfers[i].offset = offset + 3;
		offset += parts[i].want.len;
	}
	submit_all(self->device, transfers, 3);
	for (i = 0; i < 3; i++)
		EXPECT_STREQ("", completes(self->device, i, parts[i].want.len,
					   0, ZCOPY_C_COPIED));
	EXPECT_STREQ("", holds_parts(&self->to, 3, ALL_OF(parts)));
}

TEST_F(file, ring)
{
	const struct part part = of_file(&self->from, 0, 0);
	struct zcopy_transfer transfer = transfer_of(self->to.rw, &part, 1, 1);
	struct zcopy_completion completion;
	struct answer answer;
	struct ring ring;

	transfer.offset = 77;
	ring_open(&ring, 4, 0);
	ring_send(&ring, self->device, &transfer, &completion, 3);
	ring_submit(&ring);
	EXPECT_TRUE(ring_next(&ring, &answer));
	EXPECT_EQ(SIZE, answer.res);
	EXPECT_EQ(SIZE, completion.bytes);
	EXPECT_STREQ("", holds_parts(&self->to, 77, &part, 1));
	ring_close(&ring);
}

static void nothing(int signal)
{
	(void)signal;
}

struct pest {
	pthread_t thread;
	pthread_t victim;
	bool stop;		/* atomic */
};

static void *send_signals(void *argument)
{
	struct pest *pest = argument;

	while (!__atomic_load_n(&pest->stop, __ATOMIC_ACQUIRE)) {
		pthread_kill(pest->victim, SIGUSR1);
		poll(NULL, 0, 1);
	}
	return NULL;
}

/* Signals end a call after the write that it is at, and the count is exact. */
TEST_F(file, signals)
{
	const struct sigaction action = { .sa_handler = nothing };
	struct pest pest = { .victim = pthread_self() };
	const struct part whole = of_file(&self->from, 0, 0);
	unsigned int interrupted = 0;
	uint64_t since = 0;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_create(&pest.thread, NULL, send_signals, &pest));
	do {
		uint64_t done = 0;

		while (done < SIZE) {
			const struct part part = of_file(&self->from, done, 0);
			struct zcopy_completion completion = { .bytes = 0 };
			int error;

			error = copy_parts(self->device, self->to.rw, done + 1,
					   &part, 1, 0, &completion);
			EXPECT_TRUE(!error || error == -EINTR);
			EXPECT_TRUE(!completion.error ||
				    completion.error == -EINTR);
			interrupted += completion.error == -EINTR;
			done += completion.bytes;
		}
	} while (!interrupted && patience(&since));
	__atomic_store_n(&pest.stop, true, __ATOMIC_RELEASE);
	pthread_join(pest.thread, NULL);
	EXPECT_NE(0, interrupted);
	EXPECT_STREQ("", holds_parts(&self->to, 1, &whole, 1));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
