// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZCOPY_NOCACHE: after the release the page cache is as it was before, but for
 * what others have done meanwhile.
 */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/overlay.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	651U
#define SIZE	(2 * MIB)
#define PAGES	(SIZE / PAGE)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define LARGE	(48 * MIB)	/* of a file */
#define BOUND	(8 * MIB)	/* much less, and much more than a socket's */

/* Which pages are in the page cache. */
struct map {
	unsigned char pages[PAGES];
};

static struct map look(const struct file *file)
{
	void *area = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file->fd, 0);
	struct map map;
	size_t i;

	if (area == MAP_FAILED || mincore(area, SIZE, map.pages))
		die("mincore");
	munmap(area, SIZE);
	for (i = 0; i < PAGES; i++)
		map.pages[i] &= 1;
	return map;
}

/* Bring in one page, and no other. */
static void warm(const struct file *file, size_t page)
{
	static char bytes[PAGE];

	if (posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM) ||
	    pread(file->fd, bytes, PAGE, page * PAGE) != PAGE)
		die("read a page");
}

/* The release may take its time after the last byte; "" once it is so. */
static const char *await_map(const struct file *file, const struct map *want)
{
	static char text[100];
	uint64_t since = 0;
	struct map now;
	size_t i;

	do {
		now = look(file);
		if (!memcmp(&now, want, sizeof(now)))
			return "";
	} while (patience(&since));
	for (i = 0; now.pages[i] == want->pages[i]; i++)
		;
	snprintf(text, sizeof(text), "page %zu is %s the page cache", i,
		 now.pages[i] ? "in" : "not in");
	return text;
}

/* True when no more than so many pages of the range are left. */
static bool await_dropped(const struct file *file, uint64_t offset,
			  uint64_t len, size_t pages)
{
	uint64_t since = 0;

	do {
		if (file_resident(file, offset, len) <= pages)
			return true;
	} while (patience(&since));
	return false;
}

FIXTURE(nocache)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(nocache)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(nocache, name)				\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(ext4_wire4, WIRE4, EXT4);
OVER(xfs_wire6, WIRE6, XFS);
OVER(xfs_loopback, TCP4, XFS);
OVER(ext4_veth, VETH, EXT4);
OVER(ext4_unix, UNIX, EXT4);
OVER(tmpfs_wire4, WIRE4, TMPFS);
OVER(tmpfs_unix, UNIX, TMPFS);
OVER(overlay_wire4, WIRE4, OVERLAY);
OVER(overlay_lower_loopback, TCP4, OVERLAY_LOWER);

FIXTURE_SETUP(nocache)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
}

FIXTURE_TEARDOWN(nocache)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* On a connection of its own, received and compared. */
static void send_file(struct __test_metadata *_metadata,
		      FIXTURE_DATA(nocache) *self,
		      const FIXTURE_VARIANT(nocache) *variant, enum door door,
		      const struct part *part, uint32_t flags)
{
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	struct reader reader;
	struct pair pair;

	pair_open(&pair, variant->transport, 0);
	transfer = transfer_of(pair.tx, part, 1, 3);
	transfer.flags = flags | ZCOPY_NOCACHE;
	reader_start(&reader, pair.rx, part, 1);
	ASSERT_EQ(0, fly(door, self->device, &transfer, &done));
	EXPECT_EQ(0, done.error);
	EXPECT_EQ(part->want.len, done.bytes);
	if (flags & ZCOPY_NOTIFY)
		EXPECT_EQ(1, reap(self->device, &done, 1));
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, part->want.len));
	pair_close(&pair);
}

/* The same, and then the page cache is as it was before. */
static void leaves_no_trace(struct __test_metadata *_metadata,
			    FIXTURE_DATA(nocache) *self,
			    const FIXTURE_VARIANT(nocache) *variant,
			    enum door door, const struct part *part,
			    uint32_t flags)
{
	const struct map before = look(&self->file);

	send_file(_metadata, self, variant, door, part, flags);
	/* It looks twice: what comes next must not get in between. */
	EXPECT_TRUE(await_active(0));
	EXPECT_STREQ("", await_map(&self->file, &before)) {
		TH_LOG("door %d, flags %#x, %ju + %ju", door, flags,
		       (uintmax_t)part->want.pos, (uintmax_t)part->want.len);
	}
}

/* tmpfs has no disk: its pages are the file, and stay. */
static void chill(FIXTURE_DATA(nocache) *self)
{
	if (file_has_disk(&self->file))
		file_chill(&self->file);
}

TEST_F(nocache, cold_file_is_dropped)
{
	const uint32_t flags[] = { 0, ZCOPY_SYNC, ZCOPY_NOTIFY };
	const struct part part = of_file(&self->file, 0, 0);
	int i;

	for (i = 0; i < 3 * DOORS; i++) {
		chill(self);
		leaves_no_trace(_metadata, self, variant, i % DOORS, &part,
				flags[i / DOORS]);
	}
}

TEST_F(nocache, cached_before_stays)
{
	const struct part part = of_file(&self->file, 0, 0);
	size_t i;

	/* All of it. */
	leaves_no_trace(_metadata, self, variant, SEND, &part, 0);
	leaves_no_trace(_metadata, self, variant, SUBMIT, &part,
			ZCOPY_NODISKIO);
	/* A page here and there. */
	chill(self);
	for (i = 0; i < PAGES; i += 1 + i % 7)
		warm(&self->file, i);
	leaves_no_trace(_metadata, self, variant, SUBMIT, &part, 0);
	/* The second half, in folios as large as they come. */
	chill(self);
	posix_fadvise(self->file.fd, 0, 0, POSIX_FADV_NORMAL);
	EXPECT_STREQ("", file_holds(&self->file, SIZE / 2,
				    (struct stretch){ SEED, SIZE / 2,
						      SIZE / 2 }));
	leaves_no_trace(_metadata, self, variant, URING, &part, 0);
}

/* Part of a file: neighbours and the pages at the ends, cached or not. */
TEST_F(nocache, ends_of_the_range)
{
	const struct {
		uint64_t offset;
		uint64_t len;
	} rows[] = {
		{ 0, 1 },
		{ 100 * PAGE, PAGE },
		{ 100 * PAGE + 1, PAGE },
		{ 100 * PAGE - 1, PAGE + 2 },
		{ 100 * PAGE, 50 * PAGE },
		{ 100 * PAGE + 99, 50 * PAGE },
		{ SIZE - 1, 1 },
		{ SIZE - 20 * PAGE - 7, 0 },
	};
	size_t i, warmed;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct part part = of_file(&self->file, rows[i].offset,
						 rows[i].len);
		const size_t first = part.want.pos / PAGE;
		const size_t last = (part.want.pos + part.want.len - 1) / PAGE;

		for (warmed = 0; warmed < 3; warmed++) {
			chill(self);
			if (warmed == 1 && first)
				warm(&self->file, first - 1);
			if (warmed == 1 && last + 1 < PAGES)
				warm(&self->file, last + 1);
			if (warmed == 2) {
				warm(&self->file, first);
				warm(&self->file, last);
			}
			leaves_no_trace(_metadata, self, variant, i % DOORS,
					&part, ZCOPY_USER_READAHEAD);
		}
	}
}

/* What a transfer that ends early has sent is dropped all the same. */
TEST_F(nocache, cancelled)
{
	struct part part = of_file(&self->file, 0, 0);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	struct pair pair;

	chill(self);
	pair_open(&pair, variant->transport, SMALL);
	transfer = transfer_of(pair.tx, &part, 1, 4);
	transfer.flags = ZCOPY_NOCACHE | ZCOPY_USER_READAHEAD;
	submit_all(self->device, &transfer, 1);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, SIZE / 4));
	EXPECT_EQ(1, cancel_user_data(self->device, 4));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(-ECANCELED, done.error);
	ASSERT_LE(SIZE / 4, done.bytes);
	EXPECT_TRUE(cursor_take(&cursor, pair.rx, done.bytes - SIZE / 4));
	EXPECT_STREQ("", cursor_verdict(&cursor, done.bytes));
	if (file_has_disk(&self->file))
		EXPECT_TRUE(await_dropped(&self->file, 0, done.bytes, 0));
	pair_close(&pair);
}

/*
 * Others come to use pages between their way into the page cache and the
 * release; only the wire leaves the time for that for sure.
 */
FIXTURE(others)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct cursor cursor;
	int device;
};

FIXTURE_VARIANT(others)
{
	enum transport transport;
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(others, ext4_wire4)
{
	.transport = WIRE4,
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(others, xfs_wire6)
{
	.transport = WIRE6,
	.filesystem = XFS,
};

FIXTURE_VARIANT_ADD(others, overlay_wire4)
{
	.transport = WIRE4,
	.filesystem = OVERLAY,
};

/* The cold file is sent, and nobody has read it. */
FIXTURE_SETUP(others)
{
	struct zcopy_transfer transfer;

	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	file_chill(&self->file);
	roomy_open(&self->pair, variant->transport);
	self->part = of_file(&self->file, 0, 0);
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	transfer = transfer_of(self->pair.tx, &self->part, 1, 8);
	transfer.flags = ZCOPY_NOCACHE;
	submit_all(self->device, &transfer, 1);
	ASSERT_TRUE(await_accepted(self->pair.tx, SIZE));
	ASSERT_STREQ("", completes(self->device, 8, SIZE, 0, 0));
}

FIXTURE_TEARDOWN(others)
{
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The release comes: pages far from those in use are dropped, these stay. */
static void expect_to_stay(struct __test_metadata *_metadata,
			   FIXTURE_DATA(others) *self, size_t page)
{
	const size_t far[] = { 0, PAGES / 2, PAGES - 1 };
	size_t i;

	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, SIZE));
	for (i = 0; i < ARRAY_SIZE(far); i++)
		EXPECT_TRUE(await_dropped(&self->file, far[i] * PAGE, PAGE, 0));
	EXPECT_EQ(1, file_resident(&self->file, page * PAGE, PAGE));
}

TEST_F(others, write)
{
	static char bytes[10];

	/* The same bytes, so that what is on its way stays right. */
	pattern(bytes, sizeof(bytes), SEED, 130 * PAGE + 5);
	ASSERT_EQ(sizeof(bytes), pwrite(self->file.rw, bytes, sizeof(bytes),
					130 * PAGE + 5));
	expect_to_stay(_metadata, self, 130);
}

TEST_F(others, map)
{
	void *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE,
			 self->file.fd, 130 * PAGE);

	ASSERT_NE(MAP_FAILED, map);
	expect_to_stay(_metadata, self, 130);
	munmap(map, PAGE);
}

/* Another transfer, which does not ask to have anything dropped. */
TEST_F(others, send)
{
	const struct part part = of_file(&self->file, 130 * PAGE, PAGE);
	struct cursor cursor = { .parts = &part, .nr = 1 };
	struct pair other;

	pair_open(&other, UNIX, 0);
	submit_one(self->device, other.tx, &part, 9);
	ASSERT_STREQ("", completes(self->device, 9, PAGE, 0, 0));
	expect_to_stay(_metadata, self, 130);
	EXPECT_TRUE(cursor_take(&cursor, other.rx, PAGE));
	EXPECT_STREQ("", cursor_verdict(&cursor, PAGE));
	pair_close(&other);
}

TEST_F(others, read)
{
	posix_fadvise(self->file.fd, 0, 0, POSIX_FADV_RANDOM);
	warm(&self->file, 130);
	expect_to_stay(_metadata, self, 130);
}

FIXTURE(large)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	int device;
};

FIXTURE_VARIANT(large)
{
	enum transport transport;
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(large, xfs_wire4)
{
	.transport = WIRE4,
	.filesystem = XFS,
};

FIXTURE_VARIANT_ADD(large, ext4_loopback)
{
	.transport = TCP4,
	.filesystem = EXT4,
};

FIXTURE_VARIANT_ADD(large, ext4_unix)
{
	.transport = UNIX,
	.filesystem = EXT4,
};

FIXTURE_SETUP(large)
{
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, LARGE, SEED);
	pair_open(&self->pair, variant->transport, SMALL);
	self->part = of_file(&self->file, 0, 0);
}

FIXTURE_TEARDOWN(large)
{
	close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The page cache holds what is on its way, however long the file is. */
TEST_F(large, cache_does_not_grow)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	int i;

	file_chill(&self->file);
	transfer = transfer_of(self->pair.tx, &self->part, 1, 1);
	transfer.flags = ZCOPY_NOCACHE;
	submit_all(self->device, &transfer, 1);
	for (i = 0; i < 12; i++) {
		ASSERT_TRUE(cursor_take(&cursor, self->pair.rx, LARGE / 12));
		ASSERT_TRUE(await_dropped(&self->file, 0, LARGE, BOUND / PAGE));
	}
	EXPECT_STREQ("", cursor_verdict(&cursor, LARGE));
	ASSERT_EQ(1, reap(self->device, &done, 1));
	EXPECT_EQ(LARGE, done.bytes);
	EXPECT_EQ(0, done.error);
	EXPECT_TRUE(await_dropped(&self->file, 0, LARGE, 0));
}

/*
 * A filesystem whose blocks are larger than a page: what comes into memory are
 * folios of a block at least, of which an element of a gather list may be the
 * end alone.
 */
FIXTURE(blocks)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(blocks)
{
	enum transport transport;
};

FIXTURE_VARIANT_ADD(blocks, wire4) { .transport = WIRE4 };
FIXTURE_VARIANT_ADD(blocks, loopback) { .transport = TCP4 };
/* The socket copies: pages are judged before the transfer has moved on. */
FIXTURE_VARIANT_ADD(blocks, unix) { .transport = UNIX };

FIXTURE_SETUP(blocks)
{
	char image[PATH_MAX], place[PATH_MAX];

	/* Goes with this process, whatever becomes of it. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a mount namespace");
	snprintf(image, sizeof(image), "%s/image", directory(EXT4));
	snprintf(place, sizeof(place), "%s/place", directory(EXT4));
	ASSERT_EQ(0, run("truncate -s 512M %s", image));
	ASSERT_EQ(0, run("mkfs.xfs -q -b size=16k %s", image));
	ASSERT_EQ(0, run("mkdir %s && mount -o loop %s %s", place, image, place));
	ASSERT_EQ(0, unlink(image));
	setenv("ZCOPY_TESTDIR_XFS", place, 1);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, XFS, SIZE, SEED);
}

FIXTURE_TEARDOWN(blocks)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
	EXPECT_EQ(0, run("umount $ZCOPY_TESTDIR_XFS && rmdir $ZCOPY_TESTDIR_XFS"));
}

TEST_F(blocks, dropped_as_a_whole)
{
	/* A block is four pages. */
	const uint64_t offsets[] = { 0, PAGE, 3 * PAGE + 9, 40 * PAGE - 1 };
	const uint64_t lengths[] = { 0, 1, 100 * KIB, MIB };
	size_t i;

	for (i = 0; i < 16; i++) {
		const struct part part = of_file(&self->file, offsets[i / 4],
						 lengths[i % 4]);
		const struct map none = {};
		struct zcopy_completion done;

		file_chill(&self->file);
		EXPECT_STREQ("", carry(i % DOORS, self->device,
				       variant->transport, &part, 1,
				       ZCOPY_NOCACHE, &done));
		EXPECT_TRUE(await_active(0));
		EXPECT_STREQ("", await_map(&self->file, &none)) {
			TH_LOG("%ju bytes at %ju", (uintmax_t)part.want.len,
			       (uintmax_t)part.want.pos);
		}
	}
}

int main(int argc, char **argv)
{
	overlay_make();
	veth_make();
	return test_harness_run(argc, argv);
}
