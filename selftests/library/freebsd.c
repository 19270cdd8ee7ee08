// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program for FreeBSD, lib/freebsd_server.c, serves files; and the name
 * sendfile means both systems' function, whichever header comes first.
 */
#include <sys/socket.h>
#include <zcopy/sendfile.h>
#include <sys/sendfile.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/freebsd_server.h"
#include "lib/overlay.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SIZE	(3 * MIB + 77)
#define SMALL	(16 * KIB)	/* of a socket's buffer */

FIXTURE(freebsd)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	int device;
};

FIXTURE_VARIANT(freebsd)
{
	enum filesystem filesystem;
	enum transport transport;
	bool blocking;
	enum when_busy when_busy;
};

#define SERVED(name, where, how, blocks, busy)				\
	FIXTURE_VARIANT_ADD(freebsd, name)				\
	{								\
		.filesystem = where, .transport = how,			\
		.blocking = blocks, .when_busy = busy,			\
	}

SERVED(ext4_try_again, EXT4, TCP4, true, TRY_AGAIN);
SERVED(ext4_read_it, EXT4, TCP4, true, READ_IT);
SERVED(ext4_nonblocking, EXT4, WIRE4, false, TRY_AGAIN);
SERVED(xfs_nonblocking, XFS, TCP6, false, READ_IT);
SERVED(tmpfs_nonblocking, TMPFS, UNIX, false, TRY_AGAIN);
SERVED(memfd, MEMFD, TCP4, true, TRY_AGAIN);
SERVED(overlay_try_again, OVERLAY, TCP4, true, TRY_AGAIN);
SERVED(overlay_lower_nonblocking, OVERLAY_LOWER, WIRE4, false, READ_IT);

FIXTURE_SETUP(freebsd)
{
	/* The process's own context stays open for good: make it first. */
	ASSERT_EQ(-1, sendfile(-1, -1, 0, 0, NULL, NULL, 0));
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, 151);
	pair_open(&self->pair, variant->transport, SMALL);
	if (!variant->blocking)
		set_nonblocking(self->pair.tx);
}

FIXTURE_TEARDOWN(freebsd)
{
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static uint64_t transfers(int device)
{
	return stats_of(device, ZCOPY_STATS_MODULE).transfers;
}

/* A whole file and a range, with what is around, cold and then hot. */
TEST_F(freebsd, serve)
{
	const struct part parts[] = {
		of_memory(0, 100), of_memory(100, 200),
		of_file(&self->file, 0, 0), of_memory(500, 50),
		of_memory(0, 100), of_memory(100, 200),
		of_file(&self->file, 4099, 100000), of_memory(500, 50),
	};
	const struct part *const range = parts + 4;
	const uint64_t before = transfers(self->device);
	struct iovec head[2], tail[1];
	struct tally tally = { };
	struct reader reader;
	int i;

	if (file_has_disk(&self->file))
		file_chill(&self->file);
	reader_start(&reader, self->pair.rx, parts, 8);
	for (i = 0; i < 2; i++) {
		head[0] = (struct iovec){ memory(0, 100), 100 };
		head[1] = (struct iovec){ memory(100, 200), 200 };
		tail[0] = (struct iovec){ memory(500, 50), 50 };
		EXPECT_EQ(0, serve(self->pair.tx, self->file.fd, i ? 4099 : 0,
				   i ? 100000 : 0, head, 2, tail, 1,
				   variant->when_busy, &tally));
	}
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, parts_total(parts, 8)));
	EXPECT_EQ(parts_total(parts, 4) + parts_total(range, 4), tally.sent);
	EXPECT_EQ(file_has_disk(&self->file), tally.busy > 0);
	EXPECT_EQ(!variant->blocking, tally.again > 0);
	EXPECT_LE(before + 2, transfers(self->device));
}

struct with_a_member {
	bool sendfile;
};

/* Both functions in one source, and things that are called like them. */
TEST_F(freebsd, names)
{
	const struct part parts[] = {
		of_memory(0, 10), of_file(&self->file, 5, 100),
		of_file(&self->file, 7, 200),
	};
	struct cursor cursor = { .parts = parts, .nr = 3 };
	const uint64_t before = transfers(self->device);
	struct with_a_member config = { .sendfile = true };
	off_t bytes = 0, offset = 7;

	EXPECT_TRUE(config.sendfile);
	EXPECT_EQ(0, sendfile(self->file.fd, self->pair.tx, 5, 100,
			      &(struct sf_hdtr){
				      &(struct iovec){ memory(0, 10), 10 }, 1,
				      NULL, 0 },
			      &bytes, SF_SYNC));
	EXPECT_EQ(110, bytes);
	EXPECT_EQ(before + 1, transfers(self->device));
	/* Linux's: other arguments, and none of the module's business. */
	EXPECT_EQ(200, sendfile(self->pair.tx, self->file.fd, &offset, 200));
	EXPECT_EQ(207, offset);
	EXPECT_EQ(before + 1, transfers(self->device));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 310));
	EXPECT_STREQ("", cursor_verdict(&cursor, 310));
}

int main(int argc, char **argv)
{
	overlay_make();
	return test_harness_run(argc, argv);
}
