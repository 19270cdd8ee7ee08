// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine goes to sleep, or is about to write its memory to the disk: from
 * then on workers do nothing, and afterwards they go on. Nobody could look at them
 * meanwhile, but the kernel keeps a trace.
 */
#include <poll.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	441U
#define OTHER	442U
#define SIZE	(16 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define COPIES	10000
#define POWER	"/sys/power/"
#define DELAY	"/sys/module/suspend/parameters/pm_test_delay"
#define TRACING	"/sys/kernel/tracing/"

FIXTURE(freezer)
{
	struct watch watch;
	struct file from;
	struct file to;
	struct part part;
	struct pair pair;
	int device;
	bool testable;
};

FIXTURE_VARIANT(freezer)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(freezer, sleep) { .state = "freeze" };
FIXTURE_VARIANT_ADD(freezer, hibernation) { .state = "disk" };

static void set(const char *file, const char *text)
{
	if (!write_text(file, text))
		die("write %s to %s", text, file);
}

FIXTURE_SETUP(freezer)
{
	watch_begin(&self->watch);
	/* To another filesystem, or no byte would have to be copied. */
	file_make(&self->from, EXT4, SIZE, SEED);
	file_make(&self->to, XFS, SIZE, OTHER);
	self->part = of_file(&self->from, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
	self->testable = !access(POWER "pm_test", W_OK);
	if (!self->testable)
		return;
	/* Half the way, and back after a while. */
	set(POWER "pm_test", "freezer");
	set(DELAY, "1");
	set(TRACING "trace", "");
	/* Else the scheduler's code is patched too, which emulators trip over. */
	set(TRACING "options/record-cmd", "0");
	set(TRACING "events/power/suspend_resume/enable", "1");
	set(TRACING "events/zcopy/zcopy_batch/enable", "1");
}

FIXTURE_TEARDOWN(freezer)
{
	if (self->testable) {
		set(TRACING "events/zcopy/zcopy_batch/enable", "0");
		set(TRACING "events/power/suspend_resume/enable", "0");
		set(TRACING "trace", "");
		set(DELAY, "5");
		set(POWER "pm_test", "none");
	}
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->from));
	file_close(&self->from);
	file_close(&self->to);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* When an event was, if this line of the trace is one, or 0. */
static double time_of(const char *line, const char *event)
{
	const char *at = strstr(line, event);

	if (!at)
		return 0;
	while (at > line && at[-1] != ' ')
		at--;
	return strtod(at, NULL);
}

/* What the trace says of the time before all went on, and after. */
struct account {
	double last;	/* batch before */
	double thaw;
	unsigned int before;
	unsigned int after;
};

static void read_trace(struct account *account)
{
	FILE *trace = fopen(TRACING "trace", "re");
	char line[500];
	double time;

	if (!trace)
		die("open the trace");
	while (fgets(line, sizeof(line), trace)) {
		time = time_of(line, ": zcopy_batch:");
		if (time && !account->thaw)
			account->last = time;
		account->before += time && !account->thaw;
		account->after += time && account->thaw;
		time = time_of(line, ": suspend_resume: thaw_processes[0] begin");
		if (time)
			account->thaw = time;
	}
	fclose(trace);
}

/* Copies all the time, which no program has to take part in. */
static void submit_copies(FIXTURE_DATA(freezer) *self)
{
	static struct zcopy_transfer transfers[COPIES];
	int i;

	for (i = 0; i < COPIES; i++)
		transfers[i] = transfer_of(self->to.rw, &self->part, 1, i);
	submit_all(self->device, transfers, COPIES);
}

TEST_F(freezer, all_stand_still)
{
	static struct zcopy_completion done[COPIES];
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	struct account account = {};
	int waiting = device_open();
	size_t nr, i;

	if (!self->testable) {
		close(waiting);
		SKIP(return, "the kernel has no test of its freezer");
	}
	submit_one(waiting, self->pair.tx, &self->part, 1);
	submit_copies(self);
	nr = reap(self->device, done, 1);
	/* It returns when all has thawed. */
	EXPECT_TRUE(write_text(POWER "state", variant->state));
	nr += reap_now(self->device, done + nr, COPIES - nr);
	/* There was work for all of the time, and still is. */
	ASSERT_GT(COPIES, nr);
	nr += reap(self->device, done + nr, 1);
	set(TRACING "tracing_on", "0");
	read_trace(&account);
	set(TRACING "tracing_on", "1");
	TH_LOG("%u batches, %.2f s of nothing, %u batches", account.before,
	       account.thaw - account.last, account.after);
	EXPECT_LT(0, account.before);
	EXPECT_LT(0.5, account.thaw - account.last);
	EXPECT_LT(0, account.after);

	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	EXPECT_STREQ("", completes(waiting, 1, SIZE, 0, 0));
	close(waiting);
	EXPECT_LT(0, cancel_all(self->device));
	nr += reap(self->device, done + nr, COPIES - nr);
	ASSERT_EQ(COPIES, nr);
	for (i = 0; i < nr; i++)
		if (done[i].error != -ECANCELED)
			EXPECT_EQ(SIZE, done[i].error ?: (int64_t)done[i].bytes);
	EXPECT_STREQ("", file_holds(&self->to, 0,
				    (struct stretch){ SEED, 0, SIZE }));
}

TEST_HARNESS_MAIN
