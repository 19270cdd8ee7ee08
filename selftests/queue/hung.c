// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mount whose server answers nothing: whoever queues transfers of its files
 * keeps nobody from anything, and leaves nothing behind.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/hung.h"
#include "lib/loading.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	421U
#define SIZE	(256 * KIB)
#define MANY	300

FIXTURE(hung)
{
	struct watch watch;
	struct file cold[2];	/* the other's, and the process's own */
	struct file copy;
	int report[2];
};

FIXTURE_SETUP(hung)
{
	int i;

	if (module_load() != -EEXIST)
		TH_LOG("the module was not loaded");
	watch_begin(&self->watch);
	for (i = 0; i < 2; i++) {
		file_make(&self->cold[i], EXT4, SIZE, SEED + i);
		file_chill(&self->cold[i]);
	}
	file_make(&self->copy, EXT4, PAGE, SEED + 2);
	ASSERT_EQ(0, pipe(self->report));
	descriptors_allow(2 * MANY + 200);
}

FIXTURE_TEARDOWN(hung)
{
	int i;

	close(self->report[0]);
	close(self->report[1]);
	file_close(&self->copy);
	for (i = 0; i < 2; i++) {
		EXPECT_STREQ("", file_intact(&self->cold[i]));
		file_close(&self->cold[i]);
	}
	EXPECT_STREQ("", watch_end(&self->watch));
}

FIXTURE_VARIANT(hung)
{
	bool reads;		/* of the mount's file, to sockets */
	bool writes;		/* to it */
};

FIXTURE_VARIANT_ADD(hung, reads) { .reads = true };
FIXTURE_VARIANT_ADD(hung, writes) { .writes = true };
FIXTURE_VARIANT_ADD(hung, both) { .reads = true, .writes = true };

/* A cold file to a socket, or 0 when it does not come. */
static uint64_t send_cold(int device, const struct file *file)
{
	const struct part part = of_file(file, 0, 0);
	struct zcopy_completion done = {};
	struct pair pair;

	pair_open(&pair, UNIX, 2 * SIZE);
	submit_one(device, pair.tx, &part, 1000);
	if (reap(device, &done, 1) != 1 || done.error || done.user_data != 1000)
		done.bytes = 0;
	pair_close(&pair);
	return done.bytes;
}

/* Transfers that no worker comes back from. */
static void queue_many(int device, struct hung *hung, bool reads,
		       bool writes)
{
	static struct part parts[2];
	static struct pair pairs[MANY];
	int i;

	parts[0].segment = (struct zcopy_segment){ .fd = hung->fd, .len = PAGE };
	parts[1] = of_memory(0, 100);
	for (i = 0; reads && i < MANY; i++) {
		pair_open(&pairs[i], UNIX, 0);
		submit_one(device, pairs[i].tx, &parts[0], i);
	}
	for (i = 0; writes && i < MANY; i++)
		submit_one(device, hung->fd, &parts[1], i);
	if (!hung_await(hung))
		die("no worker asks the server");
}

static void say(FIXTURE_DATA(hung) *self, char what)
{
	if (write(self->report[1], &what, 1) != 1)
		die("report");
}

static pid_t start_attacker(FIXTURE_DATA(hung) *self,
			    const FIXTURE_VARIANT(hung) *variant)
{
	pid_t child = fork();
	struct hung hung;
	int device;

	if (child < 0)
		die("fork");
	if (child)
		return child;
	device = device_open();
	hung_make(&hung);
	queue_many(device, &hung, variant->reads, variant->writes);
	say(self, 'q');
	/* Its own other mounts go on. */
	say(self, send_cold(device, &self->cold[1]) == SIZE ? 'o' : 'x');
	for (;;)
		pause();
}

static char hear(FIXTURE_DATA(hung) *self)
{
	char what = '?';

	if (!await(self->report[0], POLLIN) || read(self->report[0], &what, 1) != 1)
		return '?';
	return what;
}

static void expect_nothing_left(struct __test_metadata *_metadata, pid_t child)
{
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(await_active(0));
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
}

TEST_F(hung, others_go_on)
{
	pid_t child = start_attacker(self, variant);
	int device = device_open();
	const struct part part = of_file(&self->cold[0], 0, 0);
	struct zcopy_completion done;

	ASSERT_EQ('q', hear(self));
	EXPECT_EQ(SIZE, send_cold(device, &self->cold[0]));
	file_chill(&self->cold[0]);
	submit_one(device, self->copy.rw, &part, 5);
	ASSERT_EQ(1, reap(device, &done, 1));
	EXPECT_EQ(0, done.error);
	EXPECT_EQ(SIZE, done.bytes);
	EXPECT_EQ('o', hear(self));
	close(device);
	expect_nothing_left(_metadata, child);
}

/*
 * The server's only descriptor waits in a socket that is kept open by transfers
 * whose worker waits for the server. Nobody but the worker's process knows.
 */
TEST_F(hung, server_in_the_target)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		int device = device_open();
		struct part part;
		struct hung hung;
		struct pair pair;
		int i;

		hung_make(&hung);
		pair_open(&pair, UNIX, 0);
		part.segment = (struct zcopy_segment){ .fd = hung.fd, .len = PAGE };
		for (i = 0; i < 5; i++)
			submit_one(device, pair.tx, &part, i);
		queue_many(device, &hung, variant->reads, variant->writes);
		send_descriptor(pair.rx, hung.server);
		close(hung.server);
		close(device);
		say(self, 'q');
		for (;;)
			pause();
	}
	ASSERT_EQ('q', hear(self));
	expect_nothing_left(_metadata, child);
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
