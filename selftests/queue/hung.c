// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mount whose server answers nothing: whoever queues transfers of its files
 * keeps nobody from anything, and leaves nothing behind.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/hung.h"
#include "lib/loading.h"
#include "lib/place.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	421U
#define SIZE	(256 * KIB)
#define MANY	300		/* targets */
#define MOST	(10 * MANY)
#define APART	(256 * KIB)	/* more than is read ahead */

/* Two users, and neither is root. */
#define ATTACKER	65533
#define VICTIM		65534

FIXTURE(hung)
{
	struct watch watch;
	struct file cold[3];	/* the process's own, and the other's */
	struct file copy;
	struct file served;	/* by another server, or its fd is -1 */
	struct hung *hung;	/* the attacker's mount */
	int report[2];
};

FIXTURE_SETUP(hung)
{
	int i;

	if (module_load() != -EEXIST)
		TH_LOG("the module was not loaded");
	watch_begin(&self->watch);
	for (i = 0; i < 3; i++) {
		file_make(&self->cold[i], EXT4, SIZE, SEED + i);
		file_chill(&self->cold[i]);
	}
	file_make(&self->copy, EXT4, PAGE, SEED + 3);
	self->served.fd = -1;
	if (*place_missing(PLACE_NFS)) {
		TH_LOG("without another server: %s", place_missing(PLACE_NFS));
	} else {
		self->served = place_open(PLACE_NFS);
		/* For file_chill(): nobody writes to it. */
		self->served.rw = dup(self->served.fd);
	}
	self->hung = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->hung);
	ASSERT_EQ(0, pipe(self->report));
	descriptors_allow(3 * MOST + 200);
}

FIXTURE_TEARDOWN(hung)
{
	int i;

	/* If the test ended before it was. */
	if (self->hung->process)
		kill(self->hung->process, SIGKILL);
	munmap(self->hung, PAGE);
	close(self->report[0]);
	close(self->report[1]);
	if (self->served.fd >= 0)
		place_close(&self->served);
	file_close(&self->copy);
	for (i = 0; i < 3; i++) {
		EXPECT_STREQ("", file_intact(&self->cold[i]));
		file_close(&self->cold[i]);
	}
	EXPECT_STREQ("", watch_end(&self->watch));
}

FIXTURE_VARIANT(hung)
{
	bool reads;		/* of the mount's file, to sockets */
	bool writes;		/* to it */
	unsigned int targets;	/* of each kind: sockets, and open files */
};

#define ROW(name, reading, writing, nr)					\
	FIXTURE_VARIANT_ADD(hung, name)					\
	{								\
		.reads = reading, .writes = writing, .targets = nr,	\
	}

ROW(reads, true, false, MANY);
ROW(writes, false, true, MANY);
ROW(both, true, true, MANY);
ROW(thousands, true, true, MOST);

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

/* Becomes the attacker, with so many files of the mount open to write. */
static int become_attacker(const FIXTURE_VARIANT(hung) *variant, int files[MOST])
{
	unsigned int i;

	for (i = 0; variant->writes && i < variant->targets; i++)
		files[i] = hung_open();
	become(ATTACKER);
	return device_open();
}

/* Transfers that no worker comes back from. */
static void queue_many(int device, struct hung *hung, const int files[MOST],
		       const FIXTURE_VARIANT(hung) *variant)
{
	const struct part bytes = of_memory(0, 100);
	static struct pair pairs[MOST];
	struct part part = {};
	unsigned int i;

	for (i = 0; variant->reads && i < variant->targets; i++) {
		pair_open(&pairs[i], UNIX, 0);
		part.segment = (struct zcopy_segment){
			.fd = hung->fd, .addr = i * APART, .len = PAGE,
		};
		submit_one(device, pairs[i].tx, &part, i);
	}
	for (i = 0; variant->writes && i < variant->targets; i++)
		submit_one(device, files[i], &bytes, i);
	if (!hung_await(hung, 1))
		die("no worker asks the server");
}

static void say(FIXTURE_DATA(hung) *self, char what)
{
	if (write(self->report[1], &what, 1) != 1)
		die("report");
}

static pid_t start_attacker(FIXTURE_DATA(hung) *self,
			    const FIXTURE_VARIANT(hung) *variant,
			    void (*make)(struct hung *hung))
{
	static int files[MOST];
	pid_t child = fork();
	int device;

	if (child < 0)
		die("fork");
	if (child)
		return child;
	make(self->hung);
	device = become_attacker(variant, files);
	queue_many(device, self->hung, files, variant);
	say(self, 'q');
	/* Its own other mounts go on. */
	say(self, send_cold(device, &self->cold[0]) == SIZE ? 'o' : 'x');
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

/* What another user does meanwhile: 0 when all of it comes. */
static int be_victim(void *argument)
{
	FIXTURE_DATA(hung) *self = argument;
	const struct part part = of_file(&self->cold[2], 0, 0);
	struct zcopy_completion done;
	int device = device_open();

	if (send_cold(device, &self->cold[1]) != SIZE)
		return 1;
	submit_one(device, self->copy.rw, &part, 5);
	if (reap(device, &done, 1) != 1 || done.error || done.bytes != SIZE)
		return 2;
	/* A server that does answer. */
	if (self->served.fd >= 0 && send_cold(device, &self->served) != SIZE)
		return 3;
	return 0;
}

static void expect_others_go_on(struct __test_metadata *_metadata,
				FIXTURE_DATA(hung) *self)
{
	file_chill(&self->cold[1]);
	file_chill(&self->cold[2]);
	if (self->served.fd >= 0)
		file_chill(&self->served);
	EXPECT_EQ(0, as_user(VICTIM, be_victim, self));
}

static void expect_nothing_left(struct __test_metadata *_metadata, pid_t child)
{
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(await_active(0));
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
}

TEST_F(hung, others_go_on)
{
	pid_t child = start_attacker(self, variant, hung_make);

	ASSERT_EQ('q', hear(self));
	expect_others_go_on(_metadata, self);
	EXPECT_EQ('o', hear(self));
	ASSERT_EQ(0, kill(child, SIGKILL));
	expect_nothing_left(_metadata, child);
}

/* Not even who is killed is let go while a server that was asked may answer. */
TEST_F(hung, server_stopped)
{
	pid_t child = start_attacker(self, variant, hung_make_apart);

	ASSERT_EQ('q', hear(self));
	ASSERT_EQ('o', hear(self));
	ASSERT_EQ(0, kill(self->hung->process, SIGSTOP));
	expect_others_go_on(_metadata, self);
	ASSERT_EQ(0, kill(child, SIGKILL));
	expect_others_go_on(_metadata, self);
	ASSERT_EQ(0, kill(self->hung->process, SIGKILL));
	self->hung->process = 0;
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
		static int files[MOST];
		struct part part;
		struct hung hung;
		struct pair pair;
		int device, i;

		hung_make(&hung);
		device = become_attacker(variant, files);
		pair_open(&pair, UNIX, 0);
		part.segment = (struct zcopy_segment){ .fd = hung.fd, .len = PAGE };
		for (i = 0; i < 5; i++)
			submit_one(device, pair.tx, &part, i);
		queue_many(device, &hung, files, variant);
		send_descriptor(pair.rx, hung.server);
		close(hung.server);
		close(device);
		say(self, 'q');
		for (;;)
			pause();
	}
	ASSERT_EQ('q', hear(self));
	expect_others_go_on(_metadata, self);
	ASSERT_EQ(0, kill(child, SIGKILL));
	expect_nothing_left(_metadata, child);
	expect_others_go_on(_metadata, self);
}

/* Who cancels a transfer at the moment that it is handed over. */
struct canceller {
	int device;
	int socket;
	unsigned int round;	/* atomic */
	unsigned int done;	/* atomic */
};

static void *cancel_each(void *argument)
{
	struct canceller *canceller = argument;
	unsigned int round = 0;

	for (;;) {
		while (__atomic_load_n(&canceller->round, __ATOMIC_SEQ_CST) == round)
			;
		while (cancel_socket(canceller->device, canceller->socket) < 1)
			;
		round++;
		__atomic_store_n(&canceller->done, round, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Nobody comes back from the server for what is to be read there. */
static void be_cancelled(void)
{
	static struct pair pairs[MANY];
	struct canceller canceller = { .device = device_open() };
	struct part part = {};
	struct hung hung;
	pthread_t thread;
	unsigned int i;

	hung_make(&hung);
	part.segment = (struct zcopy_segment){ .fd = hung.fd, .len = PAGE };
	for (i = 0; i < 12; i++) {
		pair_open(&pairs[i], UNIX, 0);
		submit_one(canceller.device, pairs[i].tx, &part, i);
	}
	if (!hung_await(&hung, 1))
		die("no worker asks the server");
	pair_open(&pairs[i], UNIX, 0);
	canceller.socket = pairs[i].tx;
	if (pthread_create(&thread, NULL, cancel_each, &canceller))
		die("make a thread");
	for (i = 1; i <= how_often(500); i++) {
		__atomic_store_n(&canceller.round, i, __ATOMIC_SEQ_CST);
		submit_one(canceller.device, canceller.socket, &part, 1000 + i);
		if (*completes(canceller.device, 1000 + i, 0, -ECANCELED,
			       ZCOPY_C_CANCELLED))
			die("round %u: it does not end", i);
		while (__atomic_load_n(&canceller.done, __ATOMIC_SEQ_CST) != i)
			;
	}
	_exit(0);
}

TEST(cancelled_as_it_is_queued)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child)
		be_cancelled();
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(await_active(0));
}

int main(int argc, char **argv)
{
	/* Before the disk, which has no room for it. */
	place_make(PLACE_NFS, SIZE, SEED + 4);
	disk_make();
	return test_harness_run(argc, argv);
}
