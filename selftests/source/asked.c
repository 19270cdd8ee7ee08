// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may say that a file is not read: a listener of fanotify, that takes its time.
 * It is asked before anything is sent, and about what the file has grown by.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
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
	struct sender sender;
	pthread_t thread;		/* the queue's caller */
	int result;
	int listener;
	uint64_t event;			/* that it listens for */
	int device;
};

FIXTURE_VARIANT(asked)
{
	enum filesystem filesystem;
	bool queue;
	bool before;		/* a listener that may fill the file before it is read */
};

#define ROW(name, place, by_queue, fills)				\
	FIXTURE_VARIANT_ADD(asked, name)				\
	{								\
		.filesystem = place, .queue = by_queue, .before = fills, \
	}

ROW(ext4_send, EXT4, false, false);
ROW(ext4_queue, EXT4, true, true);
ROW(xfs_send, XFS, false, true);
ROW(xfs_queue, XFS, true, false);

static int listen_to(FIXTURE_DATA(asked) *self)
{
	return fanotify_mark(self->listener, FAN_MARK_ADD, self->event,
			     self->file.fd, NULL);
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
	self->event = variant->before ? FAN_PRE_ACCESS : FAN_ACCESS_PERM;
	if (listen_to(self) && variant->before && errno == EINVAL) {
		TH_LOG("this kernel has no FAN_PRE_ACCESS: as FAN_ACCESS_PERM");
		self->event = FAN_ACCESS_PERM;
	}
	ASSERT_EQ(0, listen_to(self));
	/* Later kernels look for listeners only as a file is opened. */
	close(self->file.fd);
	self->file.fd = open_again(self->file.rw, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->file.fd);
	/* To its end, wherever that is by then. */
	self->part = of_file(&self->file, 0, 0);
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

static void *submit(void *argument)
{
	FIXTURE_DATA(asked) *self = argument;
	struct zcopy_transfer transfer = transfer_of(self->pair.tx, &self->part, 1,
						     USER_DATA);
	struct zcopy_submit submit = submit_of(&transfer, 1);

	self->result = submit_call(self->device, &submit) ?: submit.error;
	return NULL;
}

/* By a thread of its own, since the caller waits for the answer. */
static void begin(FIXTURE_DATA(asked) *self, bool queue)
{
	self->sender = (struct sender){
		.device = self->device, .socket = self->pair.tx,
		.parts = &self->part, .nr = 1,
	};
	if (!queue)
		sender_start(&self->sender);
	else if (pthread_create(&self->thread, NULL, submit, self))
		die("pthread_create");
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

/* Of SEND, or of the submission. */
static int refused(FIXTURE_DATA(asked) *self, bool queue)
{
	if (!queue) {
		sender_finish(&self->sender);
		return self->sender.result;
	}
	pthread_join(self->thread, NULL);
	return self->result;
}

/* "" when the whole transfer ends like this. */
static const char *ends(FIXTURE_DATA(asked) *self, bool queue, uint64_t bytes,
			int error, uint32_t flags)
{
	const struct zcopy_completion *completion = &self->sender.completion;

	if (queue)
		return completes(self->device, USER_DATA, bytes, error, flags);
	sender_finish(&self->sender);
	if (self->sender.result || completion->bytes != bytes ||
	    completion->error != error || completion->flags != flags)
		return "SEND ended in another way";
	return "";
}

TEST_F(asked, refused)
{
	char byte;

	begin(self, variant->queue);
	ASSERT_TRUE(await(self->listener, POLLIN));
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	answer(self, FAN_DENY);
	EXPECT_EQ(-EPERM, refused(self, variant->queue));
	EXPECT_EQ(-1, recv(self->pair.rx, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, reap_now(self->device, &self->sender.completion, 1));
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
		 bool queue, uint32_t word)
{
	const struct part wants = { .want = { SEED, 0, SIZE + GROWTH } };
	const uint64_t bytes = word == FAN_DENY ? SIZE : SIZE + GROWTH;
	struct cursor cursor = { .parts = &wants, .nr = 1 };

	begin(self, queue);
	answer(self, FAN_ALLOW);
	ASSERT_TRUE(queue ? !refused(self, true) : sender_blocked(&self->sender));
	file_write(&self->file, SIZE, GROWTH, SEED);

	ASSERT_TRUE(cursor_take(&cursor, self->pair.rx, SIZE));
	ASSERT_TRUE(await(self->listener, POLLIN));
	serve_another(_metadata, self);
	EXPECT_FALSE(cursor.error);
	answer(self, word);
	EXPECT_STREQ("", ends(self, queue, bytes,
			      word == FAN_DENY ? -EPERM : 0,
			      word == FAN_DENY ? ZCOPY_C_FILE_ERROR : 0));
	ASSERT_TRUE(cursor_take(&cursor, self->pair.rx, bytes - SIZE));
	shutdown(self->pair.tx, SHUT_WR);
	EXPECT_TRUE(at_end(self->pair.rx));
	EXPECT_STREQ("", cursor_verdict(&cursor, bytes));
}

TEST_F(asked, growth_refused)
{
	grow(_metadata, self, variant->queue, FAN_DENY);
}

TEST_F(asked, growth_allowed)
{
	grow(_metadata, self, variant->queue, FAN_ALLOW);
}

TEST_HARNESS_MAIN
