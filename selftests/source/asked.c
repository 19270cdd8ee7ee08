// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may say that a file is not read: a listener of fanotify, that takes its time.
 * It is asked before anything is sent, and about what the file has grown by.
 */
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED		95U
#define OTHER_SEED	96U
#define SIZE		(2 * MIB)
#define GROWTH		(64 * KIB)
#define BUFFER		(64 * (int)KIB)
#define USER_DATA	4242
#define OTHER_DATA	4343

/* Of Linux 6.14, and not in all C libraries' headers yet. */
#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS	0x00100000
#endif

FIXTURE(asked)
{
	struct watch watch;
	struct file file;
	struct file other;		/* nobody listens */
	struct pair pair;
	struct pair other_pair;
	struct part part;
	struct zcopy_transfer transfer;
	struct flight flight;
	pthread_t thread;		/* hands it in */
	sem_t handed_in;
	sem_t over;
	enum door door;
	int listener;
	uint64_t event;			/* that it listens for */
	int device;
};

FIXTURE_VARIANT(asked)
{
	enum filesystem filesystem;
	enum door door;
	bool before;		/* a listener that may fill the file before it is read */
};

#define ROW(name, place, by, fills)					\
	FIXTURE_VARIANT_ADD(asked, name)				\
	{								\
		.filesystem = place, .door = by, .before = fills,	\
	}

ROW(ext4_send, EXT4, SEND, false);
ROW(ext4_submit, EXT4, SUBMIT, true);
ROW(ext4_uring, EXT4, URING, false);
ROW(xfs_send, XFS, SEND, true);
ROW(xfs_submit, XFS, SUBMIT, false);
ROW(xfs_uring, XFS, URING, true);

static bool has_pre_access(void)
{
	unsigned int major, minor;
	struct utsname name;

	if (uname(&name) ||
	    sscanf(name.release, "%u.%u", &major, &minor) != 2)
		die("uname");
	return major > 6 || (major == 6 && minor >= 14);
}

FIXTURE_SETUP(asked)
{
	watch_begin(&self->watch);
	self->device = device_open();
	pair_open(&self->pair, UNIX, BUFFER);
	pair_open(&self->other_pair, UNIX, 0);
	file_make(&self->other, variant->filesystem, GROWTH, OTHER_SEED);
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	self->listener = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC,
				       O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->listener);
	self->event = FAN_ACCESS_PERM;
	if (variant->before && has_pre_access())
		self->event = FAN_PRE_ACCESS;
	else if (variant->before)
		TH_LOG("as FAN_ACCESS_PERM: this kernel has no FAN_PRE_ACCESS");
	ASSERT_EQ(0, fanotify_mark(self->listener, FAN_MARK_ADD, self->event,
				   self->file.fd, NULL));
	/* Later kernels look for listeners only as a file is opened. */
	close(self->file.fd);
	self->file.fd = open_again(self->file.rw, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->file.fd);
	/* To its end, wherever that is by then. */
	self->part = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, USER_DATA);
	self->door = variant->door;
}

FIXTURE_TEARDOWN(asked)
{
	/* Who is asked no more has allowed it. */
	close(self->listener);
	pair_close(&self->other_pair);
	pair_close(&self->pair);
	file_close(&self->other);
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void *hand_in(void *argument)
{
	FIXTURE_DATA(asked) *self = argument;

	flight_start(&self->flight, self->door, self->device, &self->transfer);
	sem_post(&self->handed_in);
	/* A ring answers to the thread that submitted. */
	sem_wait(&self->over);
	return NULL;
}

/* By a thread of its own, since who hands it in waits for the answer. */
static void begin(FIXTURE_DATA(asked) *self)
{
	if (sem_init(&self->handed_in, 0, 0) || sem_init(&self->over, 0, 0) ||
	    pthread_create(&self->thread, NULL, hand_in, self))
		die("make a thread");
}

/* Of the answered one: as flight_finish(). */
static int finish(FIXTURE_DATA(asked) *self)
{
	int error = flight_finish(&self->flight);

	sem_post(&self->over);
	pthread_join(self->thread, NULL);
	return error;
}

/* Waits for a question and answers it with FAN_ALLOW or FAN_DENY. */
static void answer(FIXTURE_DATA(asked) *self, uint32_t word)
{
	struct fanotify_response response = { .response = word };
	struct {
		struct fanotify_event_metadata about;
		char range[64];		/* that is to be read */
	} question;

	if (!await(self->listener, POLLIN))
		die("nobody was asked");
	if (read(self->listener, &question, sizeof(question)) !=
	    question.about.event_len || question.about.mask != self->event)
		die("an unknown question");
	response.fd = question.about.fd;
	if (write(self->listener, &response, sizeof(response)) !=
	    (ssize_t)sizeof(response))
		die("nobody took the word");
	close(question.about.fd);
}

TEST_F(asked, refused)
{
	char byte;

	begin(self);
	ASSERT_TRUE(await(self->listener, POLLIN));
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	answer(self, FAN_DENY);
	sem_wait(&self->handed_in);
	EXPECT_EQ(-EPERM, finish(self));
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, reap_now(self->device, &self->flight.send.completion, 1));
}

/* Others are served meanwhile, of the same process and context. */
static void serve_another(struct __test_metadata *_metadata,
			  FIXTURE_DATA(asked) *self)
{
	const struct part part = of_file(&self->other, 0, GROWTH);
	struct cursor cursor = { .parts = &part, .nr = 1 };

	submit_one(self->device, self->other_pair.tx, &part, OTHER_DATA);
	EXPECT_TRUE(cursor_take(&cursor, self->other_pair.rx, GROWTH));
	EXPECT_STREQ("", cursor_verdict(&cursor, GROWTH));
	EXPECT_STREQ("", completes(self->device, OTHER_DATA, GROWTH, 0, 0));
}

static void grow(struct __test_metadata *_metadata, FIXTURE_DATA(asked) *self,
		 uint32_t word)
{
	const struct zcopy_completion *done = &self->flight.send.completion;
	const struct part wants = { .want = { SEED, 0, SIZE + GROWTH } };
	const uint64_t bytes = word == FAN_DENY ? SIZE : SIZE + GROWTH;
	struct cursor cursor = { .parts = &wants, .nr = 1 };

	begin(self);
	answer(self, FAN_ALLOW);
	sem_wait(&self->handed_in);
	file_write(&self->file, SIZE, GROWTH, SEED);

	ASSERT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	ASSERT_TRUE(await(self->listener, POLLIN));
	serve_another(_metadata, self);
	EXPECT_FALSE(cursor.error);
	answer(self, word);
	ASSERT_EQ(0, finish(self));
	EXPECT_EQ(bytes, done->bytes);
	EXPECT_EQ(word == FAN_DENY ? -EPERM : 0, done->error);
	EXPECT_EQ(word == FAN_DENY ? ZCOPY_C_FILE_ERROR : 0, done->flags);
	ASSERT_TRUE(cursor_take(&cursor, self->pair.rx, bytes - SIZE));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
	EXPECT_STREQ("", cursor_verdict(&cursor, bytes));
}

TEST_F(asked, growth_refused)
{
	grow(_metadata, self, FAN_DENY);
}

TEST_F(asked, growth_allowed)
{
	grow(_metadata, self, FAN_ALLOW);
}

TEST_HARNESS_MAIN
