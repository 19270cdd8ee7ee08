// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program's memory may be a file of a server that does not answer. Who shares the
 * context with such a program does not wait for it, and what has to be done for it
 * meanwhile is done.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/hung.h"
#include "lib/loading.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	481U
#define SIZE	1000

FIXTURE(mapping)
{
	struct watch watch;
	struct file file;
	struct part parts[2];
	struct pair pair;
	int device;
	int report[2];
	char *memory;		/* of the server's file, in the processes below */
};

FIXTURE_SETUP(mapping)
{
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, SEED);
	pair_open(&self->pair, UNIX, 0);
	self->device = device_open();
	ASSERT_EQ(0, pipe(self->report));
}

FIXTURE_TEARDOWN(mapping)
{
	close(self->report[0]);
	close(self->report[1]);
	if (self->device >= 0)
		close(self->device);
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Those of the next one go on to the same socket. */
static int submit_memory(FIXTURE_DATA(mapping) *self, const void *memory,
			 uint64_t user_data)
{
	struct zcopy_segment segment = {
		.fd = ZCOPY_MEMORY, .addr = (uintptr_t)memory, .len = SIZE,
	};
	struct zcopy_transfer transfer = {
		.target = self->pair.tx, .segments = (uintptr_t)&segment,
		.nr_segments = 1, .user_data = user_data,
	};
	struct zcopy_submit submit = submit_of(&transfer, 1);

	if (submit_call(self->device, &submit))
		die("submit");
	return submit.error;
}

/* What a process does whose memory does not come: true, as it should. */
typedef bool (*stuck_work)(FIXTURE_DATA(mapping) *self);
/* And what another one does meanwhile. */
typedef void (*other_work)(FIXTURE_DATA(mapping) *self);

/*
 * A server's process, which is the other one too. With it the server goes, and who
 * waits for its answer gets none.
 */
static void run_both(struct __test_metadata *_metadata, FIXTURE_DATA(mapping) *self,
		     stuck_work stuck, other_work other)
{
	char what = '?';
	int status;
	pid_t child;

	/* Of whom the server's process leaves behind. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		struct hung hung;

		hung_make(&hung);
		self->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE, hung.fd, 0);
		if (self->memory == MAP_FAILED)
			die("mmap");
		child = fork();
		if (child < 0)
			die("fork");
		if (!child) {
			close(hung.server);
			what = stuck(self) ? 'o' : 'x';
			if (write(self->report[1], &what, 1) != 1)
				die("report");
			_exit(0);
		}
		if (!hung_await(&hung, 1))
			die("nobody reads the memory");
		other(self);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_TRUE(await(self->report[0], POLLIN));
	ASSERT_EQ(1, read(self->report[0], &what, 1));
	EXPECT_EQ('o', what);
	ASSERT_LT(0, waitpid(-1, &status, 0));
	EXPECT_EQ(0, status);
}

static bool submits(FIXTURE_DATA(mapping) *self)
{
	return submit_memory(self, self->memory, 1) == -EFAULT;
}

static void submits_too(FIXTURE_DATA(mapping) *self)
{
	static const char memory[SIZE];

	if (submit_memory(self, memory, 2))
		die("refused");
	if (*completes(self->device, 2, SIZE, 0, 0))
		die("it does not complete");
}

TEST_F(mapping, of_what_is_sent)
{
	run_both(_metadata, self, submits, submits_too);
}

static bool collects(FIXTURE_DATA(mapping) *self)
{
	struct zcopy_submit submit = {
		.completions = (uintptr_t)self->memory,
		.transfer_size = sizeof(struct zcopy_transfer),
		.max_completions = 1, .min_completions = 1, .timeout = -1,
	};
	static const char memory[SIZE];

	if (submit_memory(self, memory, 3))
		die("refused");
	/* It is there then, for him or another one. */
	return submit_call(self->device, &submit) == -EFAULT &&
	       !*completes(self->device, 3, SIZE, 0, 0);
}

/* The next one is his, whether he waits or asks. */
static void collects_too(FIXTURE_DATA(mapping) *self)
{
	struct zcopy_completion done;

	if (reap_now(self->device, &done, 1))
		die("it has two of them");
	submits_too(self);
}

TEST_F(mapping, of_completions)
{
	run_both(_metadata, self, collects, collects_too);
}

static bool leases(FIXTURE_DATA(mapping) *self)
{
	struct part parts[2] = { of_file(&self->file, 0, 0) };
	struct zcopy_transfer transfer;
	struct zcopy_submit submit;

	parts[1].segment = (struct zcopy_segment){
		.fd = ZCOPY_MEMORY, .addr = (uintptr_t)self->memory, .len = SIZE,
	};
	transfer = transfer_of(self->pair.tx, parts, 2, 4);
	transfer.flags = ZCOPY_LEASE;
	submit = submit_of(&transfer, 1);
	return !submit_call(self->device, &submit) && submit.error == -EFAULT;
}

static void breaks(FIXTURE_DATA(mapping) *self)
{
	const struct timespec moment = { .tv_nsec = 100 * 1000 * 1000 };

	if (open_nonblocking(&self->file, O_WRONLY) != -EAGAIN)
		die("there is no lease");
	/* Its deadline, which tells nobody that it is over. */
	nanosleep(&moment, NULL);
}

/* The time of a lease is over before its transfer is. Nobody works for it yet. */
TEST_F(mapping, beside_a_lease)
{
	const unsigned int usual = break_time(0);

	file_seal(&self->file);
	run_both(_metadata, self, leases, breaks);
	break_time(usual);
	/* Nothing holds the context, or the module. */
	close(self->device);
	self->device = -1;
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
}

TEST_HARNESS_MAIN
