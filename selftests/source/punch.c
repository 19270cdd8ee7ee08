// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holes punched into a file while exactly its pages are asked for: what is read of
 * the disk meanwhile must not outlive what the disk had there.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/watch.h"

#define SEED	91U
#define PAGES	64ULL
#define SIZE	(PAGES * PAGE)
#define ROUNDS	60

FIXTURE(punch)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	int device;
};

FIXTURE_VARIANT(punch)
{
	enum filesystem filesystem;
	uint32_t flags;
};

#define ROW(name, place, how)						\
	FIXTURE_VARIANT_ADD(punch, name)				\
	{								\
		.filesystem = place, .flags = how,			\
	}

ROW(ext4, EXT4, ZCOPY_USER_READAHEAD);
ROW(ext4_dropped, EXT4, ZCOPY_USER_READAHEAD | ZCOPY_NOCACHE);
ROW(xfs, XFS, ZCOPY_USER_READAHEAD);

FIXTURE_SETUP(punch)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, UNIX, 0);
	file_make(&self->file, variant->filesystem, SIZE, SEED);
}

FIXTURE_TEARDOWN(punch)
{
	pair_close(&self->pair);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

struct asker {
	pthread_t thread;
	const struct file *file;
	const struct pair *pair;
	int device;
	uint32_t flags;
	bool enough;		/* atomic */
	uint64_t asked;		/* atomic; how often */
};

/* A byte of each page, again and again. */
static void *ask(void *argument)
{
	struct asker *asker = argument;
	struct zcopy_completion completion;
	struct part part;
	uint64_t nr = 0;
	char byte;

	while (!__atomic_load_n(&asker->enough, __ATOMIC_ACQUIRE)) {
		part = of_file(asker->file, nr++ % PAGES * PAGE, 1);
		if (send_parts(asker->device, asker->pair->tx, &part, 1,
			       asker->flags, &completion) ||
		    completion.error ||
		    recv(asker->pair->rx, &byte, 1, 0) != 1)
			die("send");
		__atomic_fetch_add(&asker->asked, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST_F(punch, asked_meanwhile)
{
	struct asker asker = {
		.file = &self->file, .pair = &self->pair,
		.device = self->device, .flags = variant->flags,
	};
	unsigned int i, rounds = how_often(ROUNDS);
	uint64_t since, asked;

	for (i = 0; i < rounds; i++) {
		asked = asker.asked;
		since = 0;
		file_write(&self->file, 0, SIZE, SEED);
		file_chill(&self->file);
		__atomic_store_n(&asker.enough, false, __ATOMIC_RELEASE);
		ASSERT_EQ(0, pthread_create(&asker.thread, NULL, ask, &asker));
		while (__atomic_load_n(&asker.asked, __ATOMIC_ACQUIRE) == asked)
			ASSERT_TRUE(patience(&since));
		ASSERT_EQ(0, fallocate(self->file.rw,
				       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       0, SIZE));
		__atomic_store_n(&asker.enough, true, __ATOMIC_RELEASE);
		pthread_join(asker.thread, NULL);
		/* In the page cache and on the disk. */
		ASSERT_STREQ("", file_holds(&self->file, 0,
					    (struct stretch){ ZEROS, 0, SIZE })) {
			TH_LOG("round %u", i);
		}
	}
}

TEST_HARNESS_MAIN
