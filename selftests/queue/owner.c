// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who owns a transfer: the owner is killed, descriptors are closed, reused and
 * shared, the module is unloaded, with transfers in every state.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/loading.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	231U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */

/* The states, as sockets; on each two transfers. */
enum { SPACE, DISK, DONE, STATES };

FIXTURE(owner)
{
	struct watch watch;
	struct file file;
	struct file cold;
	struct part parts[STATES][2];
	struct pair pairs[STATES];
};

FIXTURE_SETUP(owner)
{
	int i;

	disk_resume();		/* if a test before this one was killed */
	if (module_load() != -EEXIST)
		TH_LOG("the module was not loaded");
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	file_make(&self->cold, EXT4, SIZE, SEED + 1);
	file_chill(&self->cold);
	for (i = 0; i < STATES; i++)
		pair_open(&self->pairs[i], i == DISK ? UNIX : TCP4,
			  i == DONE ? 0 : SMALL);
	self->parts[SPACE][0] = of_file(&self->file, 0, 0);
	self->parts[SPACE][1] = of_file(&self->file, 7, 0);
	self->parts[DISK][0] = of_file(&self->cold, 0, 0);
	self->parts[DISK][1] = of_memory(3, 1000);
	self->parts[DONE][0] = of_memory(1, 2000);
	self->parts[DONE][1] = of_file(&self->file, 55, 3000);
}

FIXTURE_TEARDOWN(owner)
{
	disk_resume();
	EXPECT_STREQ("", file_intact(&self->file));
	EXPECT_STREQ("", file_intact(&self->cold));
	file_close(&self->file);
	file_close(&self->cold);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Bring transfers into every state; the disk must be suspended. */
static void submit_states(FIXTURE_DATA(owner) *self, int device)
{
	int state, i;

	for (state = 0; state < STATES; state++)
		for (i = 0; i < 2; i++)
			submit_one(device, self->pairs[state].tx,
				   &self->parts[state][i], state);
	/* The two that are complete stay unread. */
	if (!await(device, POLLIN) || !disk_await_readers(1))
		die("the transfers do not come into their states");
}

/*
 * Nothing is left, what waits for the disk included. The peers get what had gone,
 * then the end.
 */
static void expect_the_end(struct __test_metadata *_metadata,
			   FIXTURE_DATA(owner) *self)
{
	struct cursor cursor;
	int i;

	ASSERT_TRUE(await_active(0));
	for (i = 0; i < STATES; i++) {
		cursor = (struct cursor){ .parts = self->parts[i], .nr = 2 };
		while (await(self->pairs[i].rx, POLLIN) &&
		       cursor_read(&cursor, self->pairs[i].rx, MIB) > 0)
			;
		EXPECT_TRUE(at_end(self->pairs[i].rx));
		EXPECT_TRUE(i == DONE ? cursor.got == 5000 : cursor.got < SIZE);
		EXPECT_STREQ("", cursor_verdict(&cursor, cursor.got));
		close(self->pairs[i].rx);
	}
	EXPECT_TRUE(await_active(0));
}

static void reload(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
}

static pid_t owner_start(FIXTURE_DATA(owner) *self, int *ready)
{
	int report[2];
	pid_t child;
	int i;

	if (pipe(report))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		for (i = 0; i < STATES; i++)
			close(self->pairs[i].rx);
		submit_states(self, device_open());
		if (write(report[1], "", 1) != 1)
			die("report");
		for (;;)
			pause();
	}
	close(report[1]);
	*ready = report[0];
	for (i = 0; i < STATES; i++)
		close(self->pairs[i].tx);
	return child;
}

TEST_F(owner, killed)
{
	pid_t child;
	int ready;
	char byte;

	disk_suspend();
	child = owner_start(self, &ready);
	ASSERT_EQ(1, read(ready, &byte, 1));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	close(ready);
	expect_the_end(_metadata, self);
	disk_resume();
	reload(_metadata);
}

/* One that waits in the call is killed there. */
TEST_F(owner, killed_while_it_waits)
{
	struct pair *pair = &self->pairs[SPACE];
	struct zcopy_completion done;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		transfer = transfer_of(pair->tx, self->parts[SPACE], 2, 0);
		submit = submit_of(&transfer, 1);
		submit.completions = (uintptr_t)&done;
		submit.max_completions = 1;
		submit.min_completions = 1;
		submit.timeout = -1;
		submit_call(device_open(), &submit);
		_exit(0);
	}
	ASSERT_TRUE(await_active(1));
	ASSERT_TRUE(await_sleep(child));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(await_active(0));
	for (child = 0; child < STATES; child++)
		pair_close(&self->pairs[child]);
	reload(_metadata);
}

TEST_F(owner, device_closed)
{
	int device = device_open();
	int i;

	disk_suspend();
	submit_states(self, device);
	for (i = 0; i < STATES; i++)
		close(self->pairs[i].tx);
	close(device);
	expect_the_end(_metadata, self);
	disk_resume();
	reload(_metadata);
}

/*
 * The module stays for as long as the disk takes to answer what it was asked, and
 * nobody waits for that.
 */
TEST_F(owner, unload_refused)
{
	int device = device_open();
	int i;

	disk_suspend();
	submit_states(self, device);
	for (i = 0; i < STATES; i++)
		close(self->pairs[i].tx);
	close(device);
	expect_the_end(_metadata, self);
	EXPECT_EQ(-EAGAIN, module_unload());
	/* And it is as it was before. */
	device = device_open();
	close(device);
	EXPECT_EQ(-EAGAIN, module_unload());
	disk_resume();
	reload(_metadata);
}

/* What was accepted needs the program's descriptors no more. */
TEST_F(owner, descriptors_closed)
{
	int device = device_open();
	struct file file = self->file, cold = self->cold;
	struct reader readers[STATES];
	int i, k;

	file.fd = dup(file.fd);
	cold.fd = dup(cold.fd);
	self->parts[SPACE][0] = of_file(&file, 0, 0);
	self->parts[SPACE][1] = of_file(&file, 7, 0);
	self->parts[DISK][0] = of_file(&cold, 0, 0);
	self->parts[DONE][1] = of_file(&file, 55, 3000);
	disk_suspend();
	submit_states(self, device);
	close(file.fd);
	close(cold.fd);
	for (i = 0; i < STATES; i++)
		close(self->pairs[i].tx);
	disk_resume();
	for (i = 0; i < STATES; i++)
		reader_start(&readers[i], self->pairs[i].rx, self->parts[i], 2);
	/* All of it arrives, and the end right behind it. */
	for (i = 0; i < STATES; i++) {
		EXPECT_STREQ("", reader_finish(&readers[i],
					       parts_total(self->parts[i], 2)));
		close(self->pairs[i].rx);
	}
	for (k = 0; k < 2 * STATES; k++) {
		struct zcopy_completion done;

		ASSERT_EQ(1, reap(device, &done, 1));
		EXPECT_EQ(0, done.error);
	}
	close(device);
}

/* Not even if their numbers come to mean something else. */
TEST_F(owner, descriptors_reused)
{
	int device = device_open();
	struct reader readers[STATES];
	struct file other;
	struct pair wrong;
	int i;

	file_make(&other, XFS, SIZE, SEED + 2);
	pair_open(&wrong, TCP4, 0);
	disk_suspend();
	submit_states(self, device);
	ASSERT_EQ(self->cold.fd, dup2(other.fd, self->cold.fd));
	ASSERT_EQ(self->file.fd, dup2(other.fd, self->file.fd));
	for (i = 0; i < STATES; i++)
		ASSERT_EQ(self->pairs[i].tx,
			  dup2(wrong.tx, self->pairs[i].tx));
	disk_resume();
	for (i = 0; i < STATES; i++)
		reader_start(&readers[i], self->pairs[i].rx, self->parts[i], 2);
	for (i = 0; i < STATES; i++) {
		EXPECT_STREQ("", reader_finish(&readers[i],
					       parts_total(self->parts[i], 2)));
		pair_close(&self->pairs[i]);
	}
	close(wrong.tx);
	EXPECT_TRUE(at_end(wrong.rx));
	close(wrong.rx);
	/* For the teardown. */
	ASSERT_EQ(self->cold.fd, dup2(self->cold.rw, self->cold.fd));
	ASSERT_EQ(self->file.fd, dup2(self->file.rw, self->file.fd));
	file_close(&other);
	close(device);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
