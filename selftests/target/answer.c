// SPDX-License-Identifier: GPL-2.0-only
/*
 * A server of FUSE may answer a read or a write with any errno. Each ends the transfer,
 * whatever the module itself means by it.
 */
#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SIZE	1000ULL
#define LAST	133		/* of the errnos that programs know */
#define MOST	511		/* that a server can answer */
#define SIDES	(ZCOPY_C_FILE_ERROR | ZCOPY_C_TARGET_ERROR)

FIXTURE(answer)
{
	struct watch watch;
	struct hung hung;
	struct pair pair;
	int device;
};

FIXTURE_VARIANT(answer)
{
	enum door door;
};

FIXTURE_VARIANT_ADD(answer, send) { .door = SEND };
FIXTURE_VARIANT_ADD(answer, submit) { .door = SUBMIT };
FIXTURE_VARIANT_ADD(answer, uring) { .door = URING };

FIXTURE_SETUP(answer)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, TCP4, 0);
	hung_make_lying(&self->hung, GIB, GIB, false, true, false);
}

FIXTURE_TEARDOWN(answer)
{
	hung_end(&self->hung);
	pair_close(&self->pair);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/*
 * Is it nobody's fault, or said in another way? The kernel itself takes EFAULT of a read
 * for EAGAIN.
 */
static bool is_told_otherwise(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOMEM ||
	       error == ENOBUFS || error == ENOSR || error == EFAULT;
}

/* "" if the transfer of the part ends with the error of that side. */
static const char *ends(FIXTURE_DATA(answer) *self, enum door door, int target,
			const struct part *part, int error, uint32_t side)
{
	static char text[100];
	struct zcopy_transfer transfer = transfer_of(target, part, 1, error);
	struct zcopy_completion done = {};
	int refused;

	/* What stands behind a failure goes on. */
	transfer.flags = ZCOPY_RESUME;
	hung_fail(&self->hung, error);
	refused = -fly(door, self->device, &transfer, &done);
	hung_fail(&self->hung, 0);
	/* Nobody interrupted a call, but it may say so. */
	if (refused == EINTR && error == EINTR)
		return "";
	if (!refused && !done.bytes && done.error && is_told_otherwise(error))
		return "";
	if (!refused && !done.bytes && done.error == -error &&
	    (done.flags & SIDES) == side)
		return "";
	snprintf(text, sizeof(text), "errno %d: refused %d, error %d, flags 0x%x", error,
		 refused, done.error, done.flags);
	return text;
}

static int next(int error)
{
	return error == LAST ? MOST : error + 1;
}

TEST_F(answer, to_a_read)
{
	const struct part part = { .segment = { .fd = self->hung.fd, .len = SIZE } };
	int error;

	for (error = 1; error <= MOST; error = next(error))
		EXPECT_STREQ("", ends(self, variant->door, self->pair.tx, &part, error,
				      ZCOPY_C_FILE_ERROR));
}

TEST_F(answer, to_a_write)
{
	const struct part part = of_memory(0, SIZE);
	int error;

	for (error = 1; error <= MOST; error = next(error))
		EXPECT_STREQ("", ends(self, variant->door, self->hung.fd, &part, error,
				      ZCOPY_C_TARGET_ERROR));
}

TEST_HARNESS_MAIN
