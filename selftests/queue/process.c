// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers are threads of the process that submits: when they come and go, whose
 * they are to the rest of the machine.
 */
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	411U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534

FIXTURE(process)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(process)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
}

FIXTURE_TEARDOWN(process)
{
	if (self->device >= 0)
		close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* All arrives, and is told. */
static void receive_all(struct __test_metadata *_metadata,
			FIXTURE_DATA(process) *self)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(self->device, 0, SIZE, 0, 0));
}

TEST_F(process, none_for_what_is_sent_at_once)
{
	const struct part part = of_file(&self->file, 5, 10000);
	struct cursor cursor = { .parts = &part, .nr = 1 };

	submit_one(self->device, self->pair.tx, &part, 1);
	EXPECT_STREQ("", completes(self->device, 1, 10000, 0, 0));
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, 10000));
	EXPECT_EQ(0, threads(getpid(), HOT_WORKER));
	EXPECT_EQ(0, threads(getpid(), COLD_WORKER));
}

TEST_F(process, leave_with_the_context)
{
	unsigned int before = threads(getpid(), NULL);

	submit_one(self->device, self->pair.tx, &self->part, 0);
	EXPECT_EQ(1, threads(getpid(), HOT_WORKER));
	receive_all(_metadata, self);
	/* The next one finds it there. */
	EXPECT_LE(1, threads(getpid(), HOT_WORKER));
	close(self->device);
	EXPECT_EQ(0, threads(getpid(), HOT_WORKER));
	EXPECT_EQ(before, threads(getpid(), NULL));
	self->device = -1;
}

TEST_F(process, leave_when_all_has_ended)
{
	struct file cold, copy;
	struct part part;

	disk_resume();
	file_make(&cold, EXT4, SIZE, SEED + 1);
	file_make(&copy, XFS, PAGE, SEED + 2);
	file_chill(&cold);
	part = of_file(&cold, 0, 0);
	disk_suspend();
	/* Who writes a file waits for what it reads. */
	submit_one(self->device, copy.rw, &part, 1);
	ASSERT_TRUE(disk_await_readers(1));
	EXPECT_EQ(1, threads(getpid(), HOT_WORKER));
	EXPECT_EQ(1, threads(getpid(), COLD_WORKER));
	close(self->device);
	self->device = -1;
	/* It is waited for by nobody. */
	EXPECT_EQ(1, threads(getpid(), COLD_WORKER));
	disk_resume();
	EXPECT_TRUE(await_threads(getpid(), COLD_WORKER, 0));
	EXPECT_TRUE(await_threads(getpid(), HOT_WORKER, 0));
	file_close(&copy);
	file_close(&cold);
}

/* Who receives sees the program, and the user who submitted. */
TEST_F(process, credentials)
{
	const uid_t users[] = { 0, NOBODY };
	struct pair pairs[2];
	pid_t child;
	int i, status;

	for (i = 0; i < 2; i++) {
		pair_open(&pairs[i], UNIX, SMALL);
		ASSERT_EQ(0, setsockopt(pairs[i].rx, SOL_SOCKET, SO_PASSCRED,
					&(int){ 1 }, sizeof(int)));
	}
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct zcopy_completion done[2];

		submit_one(self->device, pairs[0].tx, &self->part, 0);
		/* After the first worker was made. */
		if (setresuid(NOBODY, NOBODY, NOBODY))
			die("setresuid");
		submit_one(self->device, pairs[1].tx, &self->part, 1);
		_exit(reap(self->device, done, 2) == 2 && !done[0].error &&
		      !done[1].error ? 0 : 1);
	}
	for (i = 0; i < 2; i++) {
		struct cursor cursor = { .parts = &self->part, .nr = 1 };

		while (cursor.got < SIZE && !cursor.wrong) {
			static char buffer[64 * KIB];
			char control[CMSG_SPACE(sizeof(struct ucred))];
			struct iovec data = { buffer, sizeof(buffer) };
			struct msghdr message = {
				.msg_iov = &data, .msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control),
			};
			ssize_t n = recvmsg(pairs[i].rx, &message, 0);
			struct ucred cred;

			ASSERT_LT(0, n);
			memcpy(&cred, CMSG_DATA(CMSG_FIRSTHDR(&message)),
			       sizeof(cred));
			ASSERT_EQ(child, cred.pid);
			ASSERT_EQ(users[i], cred.uid);
			cursor_compare(&cursor, buffer, n);
		}
		EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	pair_close(&pairs[0]);
	pair_close(&pairs[1]);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
