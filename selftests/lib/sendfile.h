/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of FreeBSD's sendfile() share: a file on a disk that can be
 * held up and broken, a connection, and a call that must succeed.
 */
#ifndef SENDFILE_H
#define SENDFILE_H

#include <sys/socket.h>
#include <zcopy/sendfile.h>

#include "kselftest_harness.h"

#include "overlay.h"
#include "peer.h"
#include "watch.h"

#define SEED	141U
#define SIZE	(MIB + 9)
#define LARGE	(300 * KIB)	/* more than a transfer takes of memory */
#define UNSET	77		/* in *sbytes before a call */

FIXTURE(sendfile)
{
	struct watch watch;
	struct file file;
	struct pair pair;
};

FIXTURE_VARIANT(sendfile)
{
	enum filesystem filesystem;
};

FIXTURE_VARIANT_ADD(sendfile, ext4) { .filesystem = EXT4 };
FIXTURE_VARIANT_ADD(sendfile, overlay) { .filesystem = OVERLAY };
FIXTURE_VARIANT_ADD(sendfile, overlay_lower) { .filesystem = OVERLAY_LOWER };

FIXTURE_SETUP(sendfile)
{
	off_t bytes;

	/* The process's own context stays open for good: make it first. */
	ASSERT_EQ(-1, zcopy_sendfile(-1, -1, 0, 0, NULL, &bytes, 0));
	watch_begin(&self->watch);
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	pair_open(&self->pair, TCP4, 0);
}

FIXTURE_TEARDOWN(sendfile)
{
	EXPECT_EQ(0, lseek(self->file.fd, 0, SEEK_CUR));
	EXPECT_STREQ("", file_intact(&self->file));
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* One call, over a connection of its own, and all that it must leave behind. */
static inline void sends_over(struct __test_metadata *_metadata, int fd,
			      enum transport transport, off_t offset,
			      size_t nbytes, struct sf_hdtr *hdtr,
			      const struct part *parts, size_t nr, int flags)
{
	const uint64_t total = parts_total(parts, nr);
	struct reader reader;
	struct pair pair;
	off_t bytes = UNSET;

	pair_open(&pair, transport, 0);
	reader_start(&reader, pair.rx, parts, nr);
	EXPECT_EQ(0, zcopy_sendfile(fd, pair.tx, offset, nbytes, hdtr, &bytes,
				    flags)) {
		TH_LOG("%s", strerror(errno));
	}
	shutdown(pair.tx, SHUT_WR);
	EXPECT_EQ(total, bytes);
	EXPECT_STREQ("", reader_finish(&reader, total));
	pair_close(&pair);
}

static inline void sends(struct __test_metadata *_metadata,
			 FIXTURE_DATA(sendfile) *self, off_t offset,
			 size_t nbytes, struct sf_hdtr *hdtr,
			 const struct part *parts, size_t nr, int flags)
{
	sends_over(_metadata, self->file.fd, TCP4, offset, nbytes, hdtr, parts,
		   nr, flags);
}

#endif
