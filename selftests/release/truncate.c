// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that change while a transfer that tells its release is in flight. What
 * is not acknowledged yet may show the change, as the contract says; nothing
 * else does, nothing is missing, and nothing is left behind.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	731U
#define OTHER	732U
#define SIZE	MIB
#define HEADER	40
#define TOTAL	(SIZE + 2 * HEADER)
#define MIDDLE	(SIZE / 2)
#define WITHIN	(MIDDLE + 1234)	/* a page */

/* What may be seen of a byte that changed: zero, or the other seed's. */
enum trace { UNCHANGED, ZERO, NEW };

struct change {
	const char *name;
	bool (*make)(const struct file *file, char *map);
	uint64_t start;		/* of what changed */
	uint64_t end;
	enum trace trace;
};

static bool to_nothing(const struct file *file, char *map)
{
	(void)map;
	return !ftruncate(file->rw, 0);
}

static bool to_the_middle(const struct file *file, char *map)
{
	(void)map;
	return !ftruncate(file->rw, MIDDLE);
}

static bool into_a_page(const struct file *file, char *map)
{
	(void)map;
	return !ftruncate(file->rw, WITHIN);
}

static bool to_nothing_and_back(const struct file *file, char *map)
{
	(void)map;
	return !ftruncate(file->rw, 0) && !ftruncate(file->rw, SIZE);
}

static bool extend(const struct file *file, char *map)
{
	(void)map;
	file_write(file, SIZE, 3 * PAGE + 1, OTHER);
	return true;
}

static bool punch(const struct file *file, char *map)
{
	(void)map;
	return !fallocate(file->rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  WITHIN, SIZE / 4);
}

static bool zero_range(const struct file *file, char *map)
{
	(void)map;
	/* tmpfs has none; there a hole is the same. */
	return !fallocate(file->rw, FALLOC_FL_ZERO_RANGE, WITHIN, SIZE / 4) ||
	       punch(file, map);
}

static bool write_through_a_mapping(const struct file *file, char *map)
{
	(void)file;
	pattern(map + WITHIN, SIZE / 4, OTHER, WITHIN);
	return true;
}

static bool write_by_call(const struct file *file, char *map)
{
	(void)map;
	file_write(file, WITHIN, SIZE / 4, OTHER);
	return true;
}

static bool replace(const struct file *file, char *map)
{
	char old[200], new[200];
	int fd;

	(void)map;
	snprintf(old, sizeof(old), "%s/old", directory(file->filesystem));
	snprintf(new, sizeof(new), "%s/new", directory(file->filesystem));
	fd = open(new, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	return fd >= 0 && !close(fd) && !rename(new, old) && !unlink(old);
}

static const struct change changes[] = {
	{ "truncated to nothing", to_nothing, 0, SIZE, ZERO },
	{ "truncated to the middle", to_the_middle, MIDDLE, SIZE, ZERO },
	{ "truncated into a page", into_a_page, WITHIN, SIZE, ZERO },
	{ "truncated and long again", to_nothing_and_back, 0, SIZE, ZERO },
	{ "extended", extend, 0, 0, UNCHANGED },
	{ "hole punched", punch, WITHIN, WITHIN + SIZE / 4, ZERO },
	{ "range zeroed", zero_range, WITHIN, WITHIN + SIZE / 4, ZERO },
	{ "mapping written", write_through_a_mapping, WITHIN,
	  WITHIN + SIZE / 4, NEW },
	{ "written", write_by_call, WITHIN, WITHIN + SIZE / 4, NEW },
	{ "replaced", replace, 0, 0, UNCHANGED },
};

FIXTURE(change)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part parts[3];
	struct zcopy_transfer transfer;
	struct flight flight;
	char *map;
	int device;
};

FIXTURE_VARIANT(change)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(change, name)				\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(ext4_wire4, WIRE4, EXT4);
OVER(xfs_wire4, WIRE4, XFS);
OVER(xfs_wire6, WIRE6, XFS);
OVER(tmpfs_wire6, WIRE6, TMPFS);
OVER(ext4_loopback, TCP4, EXT4);
OVER(xfs_veth, VETH, XFS);
OVER(xfs_unix, UNIX, XFS);

FIXTURE_SETUP(change)
{
	watch_begin(&self->watch);
	self->device = device_open();
	roomy_open(&self->pair, variant->transport);
}

FIXTURE_TEARDOWN(change)
{
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A new file, named so that it can be replaced, and a transfer of it. */
static void prepare(FIXTURE_DATA(change) *self,
		    const FIXTURE_VARIANT(change) *variant, uint32_t flags)
{
	char name[200], path[64];

	file_make(&self->file, variant->filesystem, SIZE, SEED);
	snprintf(name, sizeof(name), "%s/old", directory(variant->filesystem));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->file.rw);
	unlink(name);
	if (linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW))
		die("give the file a name");
	self->map = file_map(&self->file);
	self->parts[0] = of_memory(0, HEADER);
	self->parts[1] = of_file(&self->file, 0, SIZE);
	self->parts[2] = of_memory(HEADER, HEADER);
	self->transfer = transfer_of(self->pair.tx, self->parts, 3, 2);
	self->transfer.flags = flags;
}

static void finish(FIXTURE_DATA(change) *self)
{
	char name[200];

	munmap(self->map, SIZE);
	snprintf(name, sizeof(name), "%s/old",
		 directory(self->file.filesystem));
	unlink(name);
	file_close(&self->file);
}

/* Old, or what the change made of it where a change may be seen. */
static bool allowed(const struct change *change, uint64_t offset, char seen,
		    char old, char new, bool late)
{
	if (seen == old)
		return true;
	if (!late)
		return false;
	/* Zeros come by the page, whatever is in the file then. */
	if (change->trace == ZERO)
		return !seen && offset >= change->start / PAGE * PAGE &&
		       offset / PAGE <= (change->end - 1) / PAGE;
	return offset >= change->start && offset < change->end && seen == new;
}

/* The rest of a transfer; late: its release is still to come. */
static void check_rest(struct __test_metadata *_metadata,
		       FIXTURE_DATA(change) *self, const struct change *change,
		       uint64_t got, bool late)
{
	static char seen[TOTAL], old[SIZE], new[SIZE];
	uint64_t i;

	pattern(old, SIZE, SEED, 0);
	pattern(new, SIZE, OTHER, 0);
	ASSERT_TRUE(receive(self->pair.rx, seen + got, TOTAL - got));
	for (i = got; i < HEADER; i++)
		ASSERT_EQ(*memory(i, 1), seen[i]);
	for (; i < HEADER + SIZE; i++) {
		const uint64_t offset = i - HEADER;

		ASSERT_TRUE(allowed(change, offset, seen[i], old[offset],
				    new[offset], late)) {
			TH_LOG("%s: offset %ju: %#x, old %#x, new %#x, late %d",
			       change->name, (uintmax_t)offset, seen[i],
			       old[offset], new[offset], late);
		}
	}
	for (; i < TOTAL; i++)
		ASSERT_EQ(*memory(i - SIZE, 1), seen[i]);
}

static void expect_completion(struct __test_metadata *_metadata,
			      const FIXTURE_VARIANT(change) *variant,
			      const struct zcopy_completion *done,
			      const char *name)
{
	EXPECT_EQ(TOTAL, done->bytes);
	EXPECT_EQ(0, done->error);
	/* It was sent whole: it does not matter how long the file is now. */
	EXPECT_EQ(flags_released(variant->transport), done->flags) {
		TH_LOG("%s", name);
	}
}

TEST_F(change, before_the_release)
{
	struct zcopy_completion done;
	uint64_t since;
	bool late;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		const uint64_t before = variant->transport == UNIX ? 0 :
					accepted(self->pair.tx);

		since = 0;
		prepare(self, variant, i % 2 ? ZCOPY_SYNC : ZCOPY_NOTIFY);
		flight_start(&self->flight, i % DOORS, self->device,
			     &self->transfer);
		if (variant->transport != UNIX)
			ASSERT_TRUE(await_accepted(self->pair.tx,
						   before + TOTAL));
		/* A copy is released as soon as it is made. */
		while (variant->transport == UNIX &&
		       !flight_ended(&self->flight))
			ASSERT_TRUE(patience(&since));
		/* Once it is released, no change is seen any more. */
		late = i % 2 == 0 || !flight_ended(&self->flight);
		if (is_wire(variant->transport))
			ASSERT_TRUE(late);
		ASSERT_TRUE(changes[i].make(&self->file, self->map)) {
			TH_LOG("%s", changes[i].name);
		}
		check_rest(_metadata, self, &changes[i], 0, late);
		ASSERT_EQ(0, flight_finish(&self->flight));
		done = self->flight.send.completion;
		if (i % 2 == 0)
			ASSERT_EQ(1, reap(self->device, &done, 1));
		expect_completion(_metadata, variant, &done, changes[i].name);
		finish(self);
	}
}

/* What the receiver's kernel has is the file as it was, whoever reads it. */
TEST_F(change, after_the_release)
{
	struct cursor cursor;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		prepare(self, variant, ZCOPY_SYNC);
		cursor = (struct cursor){ .parts = self->parts, .nr = 3 };
		flight_start(&self->flight, i % DOORS, self->device,
			     &self->transfer);
		EXPECT_TRUE(cursor_release(&cursor, self->pair.rx,
					   &self->flight,
					   UINT64_MAX));
		ASSERT_EQ(0, flight_finish(&self->flight));
		expect_completion(_metadata, variant,
				  &self->flight.send.completion,
				  changes[i].name);
		ASSERT_TRUE(changes[i].make(&self->file, self->map)) {
			TH_LOG("%s", changes[i].name);
		}
		EXPECT_STREQ("", cursor_verdict(&cursor, cursor.got));
		check_rest(_metadata, self, &changes[i], cursor.got, false);
		finish(self);
	}
}

int main(int argc, char **argv)
{
	veth_make();
	return test_harness_run(argc, argv);
}
