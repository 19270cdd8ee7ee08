// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of FUSE whose size is not that of their content, and such whose server
 * has each read come to itself: the command copies and sends what read(2) gives,
 * and the next time what it gives then.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

#include "lib/content.h"
#include "lib/hung.h"
#include "lib/watch.h"

#define OUT	"/tmp/command-source"

FIXTURE(command_source)
{
	struct watch watch;
	struct hung hung;
};

FIXTURE_VARIANT(command_source)
{
	uint64_t size;
	uint64_t content;
	bool seeks;
	bool direct;
	bool mapped;
};

FIXTURE_VARIANT_ADD(command_source, honest)
{
	.size = 3 * MIB + 1,
	.content = 3 * MIB + 1,
};

FIXTURE_VARIANT_ADD(command_source, direct)
{
	.size = 3 * MIB + 1,
	.content = 3 * MIB + 1,
	.direct = true,
};

FIXTURE_VARIANT_ADD(command_source, no_size)
{
	.size = 0,
	.content = 100,
	.direct = true,
};

FIXTURE_VARIANT_ADD(command_source, small_size)
{
	.size = 10,
	.content = 300000,
	.direct = true,
};

/* It says that it can be mapped all the same. */
FIXTURE_VARIANT_ADD(command_source, small_size_mapped)
{
	.size = 10,
	.content = 300000,
	.direct = true,
	.mapped = true,
};

FIXTURE_VARIANT_ADD(command_source, large_size)
{
	.size = 1 * GIB,
	.content = 100,
	.direct = true,
};

/* The kernel corrects the size by what it reads. */
FIXTURE_VARIANT_ADD(command_source, large_size_cached)
{
	.size = 1 * MIB,
	.content = 100,
};

/* There is no hole behind the content. */
FIXTURE_VARIANT_ADD(command_source, large_size_seeks)
{
	.size = 1 * MIB,
	.content = 5000,
	.seeks = true,
};

FIXTURE_VARIANT_ADD(command_source, nothing)
{
	.size = 4096,
	.content = 0,
	.seeks = true,
};

FIXTURE_SETUP(command_source)
{
	watch_begin(&self->watch);
	hung_make_lying(&self->hung, variant->size, variant->content,
			variant->seeks, variant->direct, variant->mapped);
	/* A test that failed may have left it. */
	if (run("rm -rf " OUT) || mkdir(OUT, 0700))
		die("make " OUT);
}

FIXTURE_TEARDOWN(command_source)
{
	run("rm -r " OUT);
	hung_end(&self->hung);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* The file arrived as the server has it by now. */
static const char *arrived(const struct hung *hung)
{
	static char got[4 * MIB], wanted[4 * MIB];
	int fd = open(OUT "/got", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, got, sizeof(got));

	close(fd);
	pattern(wanted, hung->content, hung->seed, 0);
	if (n < 0 || (uint64_t)n != hung->content)
		printf("# %zd bytes\n", n);
	return n < 0 || (uint64_t)n != hung->content ? "other bytes than there are" :
	       memcmp(got, wanted, n) ? "other content" : "";
}

static void change(struct hung *hung)
{
	__atomic_add_fetch(&hung->seed, 1, __ATOMIC_SEQ_CST);
}

TEST_F(command_source, copied)
{
	int i;

	for (i = 0; i < 2; i++, change(&self->hung)) {
		ASSERT_EQ(0, run("zcopy cp " HUNG_FILE " " OUT "/got"));
		EXPECT_STREQ("", arrived(&self->hung));
	}
}

TEST_F(command_source, to_fifo)
{
	ASSERT_EQ(0, run("cd " OUT "; mkfifo fifo; cat fifo >got &\n"
			 "zcopy cp " HUNG_FILE " fifo && wait $!"));
	EXPECT_STREQ("", arrived(&self->hung));
}

/* The second time not what the first has left in memory. */
TEST_F(command_source, sent)
{
	static const char *const methods[] = { "zcopy", "zcopy", "sendfile", "rw" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++, change(&self->hung)) {
		ASSERT_EQ(0, run("cd " OUT "; rm -f port; mkfifo port;"
				 "zcopy recv --quiet --print-port -o got 0 >port &\n"
				 "read -r port <port;"
				 "zcopy send --quiet --method %s "
				 HUNG_FILE " 127.0.0.1:$port && wait $!",
				 methods[i]));
		EXPECT_STREQ("", arrived(&self->hung));
	}
}

static int leased = -1;

static void give_up(int number)
{
	if (fcntl(leased, F_SETLEASE, F_UNLCK))
		die("signal %d: give the lease up", number);
}

/* Somebody has a lease to write, and gives it up when he is told to. */
TEST(of_a_lease)
{
	const char *const commands[] = {
		"zcopy cp " OUT "/leased " OUT "/got",
		"zcopy warm --quiet " OUT "/leased",
	};
	size_t i;

	ASSERT_EQ(0, run("rm -rf " OUT "; mkdir " OUT "; echo content >" OUT "/leased"));
	ASSERT_NE(SIG_ERR, signal(SIGIO, give_up));
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		leased = open(OUT "/leased", O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, leased);
		ASSERT_EQ(0, fcntl(leased, F_SETLEASE, F_WRLCK));
		EXPECT_EQ(0, run("%s", commands[i]));
		EXPECT_EQ(F_UNLCK, fcntl(leased, F_GETLEASE));
		close(leased);
	}
	EXPECT_EQ(0, run("cmp " OUT "/leased " OUT "/got"));
	run("rm -r " OUT);
}

TEST_HARNESS_MAIN
