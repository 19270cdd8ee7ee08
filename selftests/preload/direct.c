// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of FUSE without a page cache: sendfile(2) gives what one has all the same,
 * and so does the preload shim, though the device gives what read(2) does.
 */
#include <fcntl.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/hung.h"
#include "lib/shim.h"
#include "lib/watch.h"

#define COUNT	(64 * KIB)

FIXTURE(preload_direct)
{
	struct watch watch;
	struct hung hung;
};

FIXTURE_VARIANT(preload_direct)
{
	uint64_t says;
	uint64_t has;
};

#define ROW(name, size, bytes)						\
	FIXTURE_VARIANT_ADD(preload_direct, name) { .says = size, .has = bytes }

ROW(no_size, 0, 100);
ROW(too_large, MIB, 4096 + 100);
ROW(too_small, 100, 70 * KIB);
ROW(as_it_says, 70000, 70000);

FIXTURE_SETUP(preload_direct)
{
	shim_load();
	watch_begin(&self->watch);
	hung_make_fresh(&self->hung, variant->says, variant->has);
}

FIXTURE_TEARDOWN(preload_direct)
{
	hung_end(&self->hung);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Another file's content each time that it is opened, and old bytes of this one. */
TEST_F(preload_direct, same)
{
	struct outcome outcomes[2];
	enum way way;
	int fd, i;

	for (i = 0; i < 2; i++) {
		fd = hung_open();
		for (way = BY_KERNEL; way <= BY_SHIM; way++) {
			struct end end;

			ASSERT_EQ(0, socketpair(AF_UNIX,
						SOCK_STREAM | SOCK_CLOEXEC, 0,
						(int *)&end));
			ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
			outcome_call(&outcomes[way], way, end.fd, fd, NULL,
				     COUNT);
			outcome_receive(&outcomes[way], &end);
		}
		EXPECT_STREQ("", outcomes_same(&outcomes[BY_KERNEL],
					       &outcomes[BY_SHIM]));
		close(fd);
	}
}

TEST_HARNESS_MAIN
