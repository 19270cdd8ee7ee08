// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lease that is broken while its transfer is in any of its states: in time
 * for the transfer to end well, and not in time.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	691U
#define SIZE	MIB
#define HEADER	123
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define SHORT	1

/* What a completion may know already, though it does not wait for it. */
#define EARLY	(ZCOPY_C_COPIED | ZCOPY_C_RELEASED)

enum state {
	QUEUED,		/* behind another transfer */
	SPACE,		/* waits for room in the socket */
	DISK,		/* waits for the disk */
	SENT,		/* the peer has not acknowledged all of it */
};

FIXTURE(state)
{
	struct watch watch;
	struct file file;
	struct file front;
	struct pair pair;
	struct part parts[3];		/* one before it, header and file */
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	struct breaker breaker;
	int device;
};

FIXTURE_VARIANT(state)
{
	enum transport transport;
	enum state state;
};

#define STATE(name, how, which)						\
	FIXTURE_VARIANT_ADD(state, name)				\
	{								\
		.transport = how, .state = which,			\
	}

STATE(queued_wire4, WIRE4, QUEUED);
STATE(queued_loopback, TCP4, QUEUED);
STATE(queued_unix, UNIX, QUEUED);
STATE(space_wire6, WIRE6, SPACE);
STATE(space_loopback, TCP4, SPACE);
STATE(space_unix, UNIX, SPACE);
STATE(disk_wire4, WIRE4, DISK);
STATE(disk_veth, VETH, DISK);
STATE(disk_unix, UNIX, DISK);
STATE(sent_wire4, WIRE4, SENT);
STATE(sent_wire6, WIRE6, SENT);

FIXTURE_SETUP(state)
{
	disk_resume();		/* if a test before this one was killed */
	break_time(BREAK_LONG);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, EXT4, SIZE, SEED);
	file_make(&self->front, TMPFS, SIZE, SEED + 1);
	file_seal(&self->file);
	if (variant->state == SENT)
		roomy_open(&self->pair, variant->transport);
	else
		pair_open(&self->pair, variant->transport, SMALL);
	self->parts[0] = of_file(&self->front, 0, 0);
	self->parts[1] = of_memory(0, HEADER);
	self->parts[2] = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, self->parts + 1, 2, 4);
	self->transfer.flags = ZCOPY_LEASE;
}

FIXTURE_TEARDOWN(state)
{
	disk_resume();
	pair_close(&self->pair);
	/* A lease ends with the release, which may take its time. */
	EXPECT_TRUE(await_active(0));
	close(self->device);
	EXPECT_EQ(0, open_nonblocking(&self->file, O_WRONLY));
	file_close(&self->file);
	file_close(&self->front);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Bring the transfer into its state. */
static void get_there(struct __test_metadata *_metadata,
		      FIXTURE_DATA(state) *self,
		      const FIXTURE_VARIANT(state) *variant)
{
	switch (variant->state) {
	case QUEUED:
		submit_one(self->device, self->pair.tx, &self->parts[0], 3);
		submit_all(self->device, &self->transfer, 1);
		ASSERT_TRUE(await_active(2));
		break;
	case SPACE:
		submit_all(self->device, &self->transfer, 1);
		ASSERT_TRUE(await_active(1));
		break;
	case DISK:
		file_chill(&self->file);
		disk_suspend();
		submit_all(self->device, &self->transfer, 1);
		ASSERT_TRUE(disk_await_readers(1));
		break;
	case SENT:
		submit_all(self->device, &self->transfer, 1);
		ASSERT_TRUE(await_accepted(self->pair.tx, SIZE + HEADER));
		if (!(self->transfer.flags & ZCOPY_SYNC))
			ASSERT_TRUE(await(self->device, POLLIN));
		break;
	}
}

/* Where the receiver's bytes begin among the parts. */
static struct cursor from_the_start(FIXTURE_DATA(state) *self,
				    const FIXTURE_VARIANT(state) *variant)
{
	const bool first = variant->state == QUEUED;

	return (struct cursor){
		.parts = self->parts + !first, .nr = first ? 3 : 2,
	};
}

/* A completion, and it is the transfer's; the one before it is well too. */
static void expect_done(struct __test_metadata *_metadata,
			FIXTURE_DATA(state) *self,
			const FIXTURE_VARIANT(state) *variant)
{
	struct zcopy_completion done[2];
	const size_t nr = variant->state == QUEUED ? 2 : 1;
	size_t i;

	ASSERT_EQ(nr, reap(self->device, done, nr));
	for (i = 0; i < nr; i++) {
		if (done[i].user_data == 4) {
			self->done = done[i];
			continue;
		}
		EXPECT_EQ(3, done[i].user_data);
		EXPECT_EQ(SIZE, done[i].bytes);
		EXPECT_EQ(0, done[i].error);
		EXPECT_EQ(0, done[i].flags & ~EARLY);
	}
	EXPECT_EQ(4, self->done.user_data);
}

/*
 * The file is emptied once all of it is released, and not before: every byte
 * that arrives is of the file as it was.
 */
static void in_time(struct __test_metadata *_metadata,
		    FIXTURE_DATA(state) *self,
		    const FIXTURE_VARIANT(state) *variant, uint32_t flags)
{
	struct cursor cursor;
	uint64_t total;

	self->transfer.flags |= flags;
	get_there(_metadata, self, variant);
	breaker_start(&self->breaker, &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&self->breaker));
	if (variant->state == DISK) {
		disk_resume();
		EXPECT_FALSE(breaker_ended(&self->breaker));
	}
	cursor = from_the_start(self, variant);
	total = parts_total(cursor.parts, cursor.nr);
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	expect_done(_metadata, self, variant);
	EXPECT_EQ(SIZE + HEADER, self->done.bytes);
	EXPECT_EQ(0, self->done.error);
}

TEST_F(state, broken_in_time)
{
	uint32_t broken = ZCOPY_C_LEASE_BROKEN;

	/* It was complete before anybody came. */
	if (variant->state == SENT)
		broken = 0;
	in_time(_metadata, self, variant, 0);
	EXPECT_EQ(broken, self->done.flags & ~EARLY);
}

TEST_F(state, broken_in_time_with_sync)
{
	in_time(_metadata, self, variant, ZCOPY_SYNC);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN | flags_released(variant->transport),
		  self->done.flags);
}

TEST_F(state, broken_in_time_with_notify)
{
	struct zcopy_completion done[4], *released = NULL;
	const size_t nr = variant->state == QUEUED ? 3 : 2;
	struct cursor cursor = from_the_start(self, variant);
	const uint64_t total = parts_total(cursor.parts, cursor.nr);
	size_t i;

	self->transfer.flags |= ZCOPY_NOTIFY;
	get_there(_metadata, self, variant);
	breaker_start(&self->breaker, &self->file, TRUNCATE);
	ASSERT_TRUE(breaker_waits(&self->breaker));
	disk_resume();
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, total));
	EXPECT_STREQ("", cursor_verdict(&cursor, total));
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	ASSERT_EQ(nr, reap(self->device, done, nr));
	for (i = 0; i < nr; i++)
		if (done[i].user_data == 4 && !(done[i].flags & ZCOPY_C_MORE))
			released = &done[i];
	ASSERT_NE(NULL, released);
	EXPECT_EQ(SIZE + HEADER, released->bytes);
	EXPECT_EQ(0, released->error);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN | flags_released(variant->transport),
		  released->flags);
}

/* The header may have gone; of the file no more than fitted in the socket. */
static void expect_stale(struct __test_metadata *_metadata,
			 FIXTURE_DATA(state) *self,
			 const FIXTURE_VARIANT(state) *variant,
			 struct cursor *cursor)
{
	const uint64_t before = variant->state == QUEUED ? SIZE : 0;
	struct zcopy_transfer transfer;
	uint64_t total;

	expect_done(_metadata, self, variant);
	EXPECT_EQ(-ESTALE, self->done.error);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN, self->done.flags & ~EARLY);
	EXPECT_GT(SIZE, self->done.bytes);
	if (variant->state == QUEUED)
		EXPECT_EQ(0, self->done.bytes);
	if (variant->state == DISK)
		EXPECT_GE(HEADER, self->done.bytes);
	/* Exactly so many come, then what is sent afterwards. */
	total = before + self->done.bytes;
	EXPECT_TRUE(cursor_take(cursor, self->pair.rx, total - cursor->got));
	EXPECT_STREQ("", cursor_verdict(cursor, total));
	transfer = transfer_of(self->pair.tx, &self->parts[1], 1, 5);
	transfer.flags = ZCOPY_RESUME;
	submit_all(self->device, &transfer, 1);
	ASSERT_STREQ("", completes(self->device, 5, HEADER, 0, 0));
	*cursor = (struct cursor){ .parts = self->parts + 1, .nr = 1 };
	EXPECT_TRUE(cursor_take(cursor, self->pair.rx, HEADER));
	EXPECT_STREQ("", cursor_verdict(cursor, HEADER));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
}

/* The time runs out, and who wanted to open the file for writing does. */
TEST_F(state, broken_too_late)
{
	struct cursor cursor = from_the_start(self, variant);

	break_time(SHORT);
	get_there(_metadata, self, variant);
	breaker_start(&self->breaker, &self->file, OPEN_WRITE);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	disk_resume();
	if (variant->state == SENT) {
		/* All is sent: what is late is the release alone. */
		expect_done(_metadata, self, variant);
		EXPECT_EQ(SIZE + HEADER, self->done.bytes);
		EXPECT_EQ(0, self->done.error);
		EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE + HEADER));
		EXPECT_STREQ("", cursor_verdict(&cursor, SIZE + HEADER));
		return;
	}
	if (variant->state == QUEUED)
		EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	expect_stale(_metadata, self, variant, &cursor);
}

/* The same; it is told when the peer has acknowledged what went. */
TEST_F(state, broken_too_late_with_sync)
{
	struct cursor cursor = from_the_start(self, variant);
	struct pollfd told = { .fd = self->device, .events = POLLIN };
	struct pollfd reader = { .fd = self->pair.rx, .events = POLLIN };
	uint64_t since = 0;

	break_time(SHORT);
	self->transfer.flags |= ZCOPY_SYNC;
	get_there(_metadata, self, variant);
	breaker_start(&self->breaker, &self->file, OPEN_WRITE);
	EXPECT_EQ(0, breaker_finish(&self->breaker));
	disk_resume();
	if (variant->state != SENT) {
		if (variant->state == QUEUED)
			EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
		while (!poll(&told, 1, 1) && patience(&since))
			if (poll(&reader, 1, 0))
				EXPECT_LT(0, cursor_read(&cursor, reader.fd,
							 MIB));
		expect_stale(_metadata, self, variant, &cursor);
		return;
	}
	EXPECT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE + HEADER));
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE + HEADER));
	expect_done(_metadata, self, variant);
	EXPECT_EQ(SIZE + HEADER, self->done.bytes);
	EXPECT_EQ(0, self->done.error);
	EXPECT_EQ(ZCOPY_C_LEASE_BROKEN,
		  self->done.flags & ~ZCOPY_C_RELEASED);
}

int main(int argc, char **argv)
{
	disk_make();
	veth_make();
	break_time_long();
	return test_harness_run(argc, argv);
}
