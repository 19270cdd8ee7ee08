// SPDX-License-Identifier: GPL-2.0-only
/*
 * The preload shim against the system call, for every kind of descriptor and
 * every kind of argument: what came of the two calls is the same.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/hung.h"
#include "lib/peer.h"
#include "lib/shim.h"
#include "lib/watch.h"

#define SIZE	END_SIZE
#define START	5	/* position of every file before a call */
#define COUNT	END_BYTES

FIXTURE(preload)
{
	struct watch watch;
};

FIXTURE_SETUP(preload)
{
	shim_load();
	watch_begin(&self->watch);
	ends_begin();
}

FIXTURE_TEARDOWN(preload)
{
	EXPECT_STREQ("", ends_finish());
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Where a call is to begin, and the word it gets a pointer to. */
struct start {
	const char *name;
	off_t position;		/* of the file */
	off_t *pointer;		/* or NULL */
	off_t value;		/* there, if it can be written to */
	bool writable;
	bool odd;		/* the device is not asked */
};

/* One call in a situation made for it. */
static void try(enum way way, const struct kind *in_kind,
		const struct kind *out_kind, const struct start *start,
		size_t count, struct outcome *outcome)
{
	struct end in = { -1, -1 }, out = { -1, -1 };

	in_kind->make(&in);
	out_kind->make(&out);
	lseek(in.fd, start->position, SEEK_SET);
	lseek(out.fd, START, SEEK_SET);
	if (start->writable)
		memcpy(start->pointer, &start->value, sizeof(start->value));
	outcome_call(outcome, way, out.fd, in.fd, start->pointer, count);
	if (start->writable)
		memcpy(&outcome->offset, start->pointer, sizeof(off_t));
	outcome_receive(outcome, &out);
	close(in.fd);
	close(in.far);
}

static void compare(struct __test_metadata *_metadata, const struct kind *in,
		    const struct kind *out, const struct start *start, size_t count)
{
	bool served = in->served && out->served && !start->odd;
	struct outcome kernel, shim;

	try(BY_KERNEL, in, out, start, count, &kernel);
	try(BY_SHIM, in, out, start, count, &shim);
	EXPECT_STREQ("", outcomes_same(&kernel, &shim)) {
		TH_LOG("%s to %s, %s, count %#zx", in->name, out->name,
		       start->name, count);
	}
	EXPECT_EQ(served && shim.result > 0 ? shim.result : 0, shim.by_device) {
		TH_LOG("%s to %s, %s, count %#zx: by the device", in->name,
		       out->name, start->name, count);
	}
}

static void compare_all(struct __test_metadata *_metadata, const struct start *start)
{
	const struct kind *in, *out;

	for (in = preload_ins; in->name; in++)
		for (out = preload_outs; out->name; out++)
			if (in->usual || out->usual)
				compare(_metadata, in, out, start, COUNT);
}

TEST_F(preload, descriptors_position)
{
	const struct start start = { "position", .position = START };

	compare_all(_metadata, &start);
}

TEST_F(preload, descriptors_offset)
{
	off_t offset;
	const struct start start = {
		"offset", START, &offset, 3, .writable = true,
	};

	compare_all(_metadata, &start);
}

/* Of ext4 with blocks of 4 KiB; no file is as long. */
#define LARGEST	0xffffffff000LL

static const off_t places[] = {
	0, 1, 4096, SIZE - 1, SIZE, SIZE + 1, LARGEST - 1, LARGEST, LARGEST + 1,
	INT64_MAX - 5, INT64_MAX, -1, -4096, INT64_MIN,
};

static const size_t lengths[] = {
	0, 1, SIZE - 1, SIZE, SIZE + 1, 0x7fffefff, 0x7ffff000, 0x7ffff001,
	0x80000000, 0xffffffff, LARGEST - 1, LARGEST, INT64_MAX - SIZE,
	INT64_MAX - 1, INT64_MAX, (size_t)INT64_MAX + 1, SIZE_MAX,
};

TEST_F(preload, arguments)
{
	const struct kind *file = kind_named(preload_ins, "ext4");
	const struct kind *local = kind_named(preload_outs, "unix");
	size_t p, l;

	for (p = 0; p < ARRAY_SIZE(places); p++) {
		for (l = 0; l < ARRAY_SIZE(lengths); l++) {
			off_t offset;
			char name[64];
			struct start start = {
				name, START, &offset, places[p],
				.writable = true,
			};

			snprintf(name, sizeof(name), "offset %jd",
				 (intmax_t)places[p]);
			compare(_metadata, file, local, &start,
				lengths[l]);
			/* A position cannot be everywhere an offset can. */
			start = (struct start){ .name = name,
						.position = places[p] };
			snprintf(name, sizeof(name), "position %jd",
				 (intmax_t)places[p]);
			compare(_metadata, file, local, &start,
				lengths[l]);
		}
	}
}

/* What is wrong with a pointer shows before the call or after it. */
TEST_F(preload, pointers)
{
	const struct kind *tcp = kind_named(preload_outs, "tcp4");
	const struct kind *in;
	char *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct start starts[] = {
		{ "low address", START, (off_t *)8, .odd = true },
		{ "high address", START, (off_t *)-8L, .odd = true },
		{ "not aligned", START, (off_t *)(pages + 4), 7,
		  .writable = true, .odd = true },
		{ "not aligned at all", START, (off_t *)(pages + 1), 7,
		  .writable = true, .odd = true },
		{ "read only", START, (off_t *)(pages + PAGE), .odd = true },
		{ "half read only", START, (off_t *)(pages + PAGE - 4),
		  .odd = true },
		{ "no page", START, (off_t *)(pages + 2 * PAGE), .odd = true },
		{ "half a page", START, (off_t *)(pages + 2 * PAGE - 4),
		  .odd = true },
		{ "good", START, (off_t *)pages, 7, .writable = true },
		{ "end of a page", START, (off_t *)(pages + PAGE - 8), 7,
		  .writable = true },
	};
	size_t i;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, mprotect(pages + PAGE, PAGE, PROT_READ));
	ASSERT_EQ(0, munmap(pages + 2 * PAGE, PAGE));
	for (i = 0; i < ARRAY_SIZE(starts); i++)
		for (in = preload_ins; in->name; in++)
			compare(_metadata, in, tcp, &starts[i], COUNT);
	munmap(pages, 2 * PAGE);
}

static void *drop_all(void *argument)
{
	static char unused[MIB];
	uint64_t total = 0;
	int fd = *(int *)argument;
	ssize_t n;

	/* TCP forgets what it is not asked to copy. */
	while ((n = recv(fd, unused, sizeof(unused), MSG_TRUNC)) > 0)
		total += n;
	return (void *)total;
}

/* More than the kernel sends in one call: two million pages. */
TEST_F_TIMEOUT(preload, largest, 900)
{
	struct outcome outcomes[2];
	struct file large;
	enum way way;

	file_make(&large, MEMFD, 0, ZEROS);
	ASSERT_EQ(0, ftruncate(large.rw, 0x80000000 + PAGE));
	for (way = BY_KERNEL; way <= BY_SHIM; way++) {
		off_t offset = 100;
		pthread_t thread;
		struct pair pair;
		void *total;

		pair_open(&pair, TCP4, 0);
		ASSERT_EQ(0, pthread_create(&thread, NULL, drop_all, &pair.rx));
		outcome_call(&outcomes[way], way, pair.tx, large.fd, &offset,
			     0x80000000);
		outcomes[way].offset = offset;
		shutdown(pair.tx, SHUT_WR);
		pthread_join(thread, &total);
		EXPECT_EQ(0x7ffff000, (uint64_t)total);
		pair_close(&pair);
	}
	EXPECT_EQ(0x7ffff000, outcomes[BY_SHIM].result);
	EXPECT_EQ(0x7ffff000, outcomes[BY_SHIM].by_device);
	EXPECT_STREQ("", outcomes_same(&outcomes[BY_KERNEL],
				       &outcomes[BY_SHIM]));
	file_close(&large);
}

static void send_other_size(enum way way, uint64_t size, bool direct,
			    struct outcome outcomes[2])
{
	const struct kind *local = kind_named(preload_outs, "unix");
	struct hung hung;
	int i;

	hung_make_lying(&hung, size, 100, false, direct, false);
	/* What the first left in memory may be what the second sends. */
	for (i = 0; i < 2; i++, hung.seed++) {
		struct end out = { -1, -1 };
		int in = open(HUNG_FILE, O_RDONLY | O_CLOEXEC);

		local->make(&out);
		outcome_call(&outcomes[i], way, out.fd, in, NULL, COUNT);
		outcome_receive(&outcomes[i], &out);
		close(in);
	}
	hung_end(&hung);
}

/* A file of FUSE has other bytes than its size says, and they change. */
TEST_F(preload, other_size)
{
	static const uint64_t sizes[] = { 0, 10, 100, 5000 };
	struct outcome kernel[2], shim[2];
	size_t i, k;

	for (i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		send_other_size(BY_KERNEL, sizes[i / 2], i % 2, kernel);
		send_other_size(BY_SHIM, sizes[i / 2], i % 2, shim);
		for (k = 0; k < 2; k++)
			EXPECT_STREQ("", outcomes_same(&kernel[k], &shim[k])) {
				TH_LOG("size %llu, %s",
				       (unsigned long long)sizes[i / 2],
				       i % 2 ? "in no page cache" : "cached");
			}
	}
}

TEST_HARNESS_MAIN
