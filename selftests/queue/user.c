// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user can make the kernel hold, by all his processes and opens of the
 * device; and that nobody else has less for it.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/parameter.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	431U
#define SIZE	MIB
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534
#define INSIDE	100000		/* a user of a namespace that nobody owns */
#define LIMIT	10
#define LAST	32		/* pages of a large transfer */
#define FILES	100		/* of a transfer that has many */

FIXTURE(user)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	unsigned int pages;
};

FIXTURE_SETUP(user)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->pages = parameter_get("max_user_pages");
}

FIXTURE_TEARDOWN(user)
{
	disk_resume();
	if (parameter_set("max_user_contexts", 8192) ||
	    parameter_set("max_user_transfers", 1 << 20) ||
	    parameter_set("max_user_pages", self->pages) ||
	    parameter_set("max_user_reads", 16384))
		die("give the limits their values back");
	pair_close(&self->pair);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Runs in a process of a user's; true when that says so. */
static bool as(uid_t user, bool (*work)(FIXTURE_DATA(user) *self),
	       FIXTURE_DATA(user) *self)
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (setresgid(user, user, user) || setresuid(user, user, user))
			die("be user %u", user);
		_exit(!work(self));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		die("run a child");
	return !status;
}

/* How many transfers that have to wait are accepted, of so many; with what error. */
static unsigned int offer(FIXTURE_DATA(user) *self, int device,
			  const struct part *part, size_t nr, int *error)
{
	unsigned int accepted = 0;
	size_t i;

	*error = 0;
	for (i = 0; i < nr && !*error; i++) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		transfer = transfer_of(self->pair.tx, part, 1, i);
		submit = submit_of(&transfer, 1);
		if (submit_call(device, &submit))
			die("ZCOPY_IOC_SUBMIT");
		accepted += submit.accepted;
		*error = submit.error;
	}
	return accepted;
}

static struct zcopy_info info_of(int device)
{
	struct zcopy_info info;

	device_info(device, &info);
	return info;
}

/*
 * Two contexts have no more than one; and one's end is the other's room, of which it
 * hears if it was refused, and if it only asked.
 */
static bool two_contexts(FIXTURE_DATA(user) *self)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int one = device_open(), other = device_open();
	int waiter = epoll_create1(EPOLL_CLOEXEC), error;
	struct zcopy_completion done[LIMIT];

	/* There was room at first, and who is told otherwise does not look again. */
	if (epoll_ctl(waiter, EPOLL_CTL_ADD, other, &event) ||
	    epoll_wait(waiter, &event, 1, 0) != 1)
		return false;
	if (offer(self, one, &self->part, LIMIT - 3, &error) != LIMIT - 3 || error ||
	    !device_says(one, POLLOUT) ||
	    offer(self, other, &self->part, LIMIT, &error) != 3 ||
	    error != -EAGAIN || !device_says(one, 0) ||
	    info_of(other).user_transfers != LIMIT)
		return false;
	if (cancel_all(one) != LIMIT - 3 ||
	    epoll_wait(waiter, &event, 1, PATIENCE_MS) != 1 ||
	    !(event.events & EPOLLOUT) || !device_says(other, POLLOUT))
		return false;
	close(waiter);
	if (reap(one, done, LIMIT - 3) != LIMIT - 3 ||
	    offer(self, other, &self->part, LIMIT, &error) != LIMIT - 3 ||
	    !device_says(one, 0) || !device_says(other, 0))
		return false;
	waiter = epoll_create1(EPOLL_CLOEXEC);
	event = (struct epoll_event){ .events = EPOLLOUT | EPOLLET };
	if (epoll_ctl(waiter, EPOLL_CTL_ADD, one, &event) ||
	    epoll_wait(waiter, &event, 1, 0) != 0 || cancel_all(other) != LIMIT ||
	    epoll_wait(waiter, &event, 1, PATIENCE_MS) != 1 ||
	    !(event.events & EPOLLOUT) || !device_says(one, POLLOUT))
		return false;
	close(waiter);
	return reap(other, done, LIMIT) == LIMIT;
}

static bool one_is_accepted(FIXTURE_DATA(user) *self)
{
	struct zcopy_completion done;
	int device = device_open(), error;

	return device_says(device, POLLOUT) &&
	       offer(self, device, &self->part, 1, &error) == 1 &&
	       cancel_all(device) == 1 && reap(device, &done, 1) == 1;
}

TEST_F(user, transfers)
{
	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	EXPECT_TRUE(as(NOBODY, two_contexts, self));
}

/* Has what one may have elsewhere, and is refused in a context that others have, too. */
static void be_refused(FIXTURE_DATA(user) *self, int device)
{
	int error;

	pair_open(&self->pair, TCP4, SMALL);
	if (offer(self, device_open(), &self->part, LIMIT, &error) != LIMIT ||
	    offer(self, device, &self->part, 1, &error) || error != -EAGAIN)
		die("be at the limit");
}

static int wait_for_room(int device, uint32_t flags)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET | flags };
	int waiter = epoll_create1(EPOLL_CLOEXEC);

	if (epoll_ctl(waiter, EPOLL_CTL_ADD, device, &event) ||
	    epoll_wait(waiter, &event, 1, 0))
		die("there is room at first");
	return waiter;
}

/* Has room as his transfers fail. */
static void be_told(FIXTURE_DATA(user) *self, int device, int talk)
{
	struct epoll_event event;
	int waiter;
	char byte;

	be_refused(self, device);
	waiter = wait_for_room(device, EPOLLEXCLUSIVE);
	if (write(talk, "", 1) != 1 || read(talk, &byte, 1) != 1)
		die("ask for room");
	close(self->pair.rx);
	if (epoll_wait(waiter, &event, 1, PATIENCE_MS) != 1 ||
	    !device_says(device, POLLOUT))
		die("there is room, and nobody says so");
}

/* Has none. */
static void wait_in_vain(FIXTURE_DATA(user) *self, int device, int talk)
{
	struct epoll_event event;
	int waiter;

	be_refused(self, device);
	waiter = wait_for_room(device, EPOLLEXCLUSIVE);
	if (write(talk, "", 1) != 1 || epoll_wait(waiter, &event, 1, -1) < 0)
		die("wait for room");
	pause();
}

static pid_t start_as(uid_t user, FIXTURE_DATA(user) *self, int device,
		      void (*work)(FIXTURE_DATA(user) *self, int device, int talk),
		      int *talk)
{
	pid_t child;
	int ends[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		die("socketpair");
	child = fork();
	if (!child) {
		if (setresgid(user, user, user) || setresuid(user, user, user))
			die("be user %u", user);
		work(self, device, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (child < 0 || read(ends[0], &byte, 1) != 1)
		die("have a child ask");
	*talk = ends[0];
	return child;
}

/* Two users share a context: each hears of his own room, whoever came first. */
TEST_F(user, transfers_in_one_context)
{
	int device = device_open(), talk[2], status, first;
	pid_t waits, told;

	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	for (first = 0; first < 2; first++) {
		if (first)
			waits = start_as(NOBODY - 1, self, device, wait_in_vain,
					 &talk[0]);
		told = start_as(NOBODY, self, device, be_told, &talk[1]);
		if (!first)
			waits = start_as(NOBODY - 1, self, device, wait_in_vain,
					 &talk[0]);
		ASSERT_TRUE(await_sleep(waits));
		ASSERT_EQ(1, write(talk[1], "", 1));
		ASSERT_EQ(told, waitpid(told, &status, 0));
		EXPECT_EQ(0, status);
		ASSERT_EQ(0, kill(waits, SIGKILL));
		ASSERT_EQ(waits, waitpid(waits, NULL, 0));
		close(talk[0]);
		close(talk[1]);
		EXPECT_TRUE(await_active(0));
	}
	close(device);
}

static void send_and_be_told(FIXTURE_DATA(user) *self, int device, int talk)
{
	const struct part byte = of_memory(0, 1);
	struct zcopy_completion done;
	struct pair pair;

	(void)self;
	pair_open(&pair, TCP4, SMALL);
	if (send_parts(device, pair.tx, &byte, 1, 0, &done) ||
	    send_parts(device, pair.tx, &byte, 1, ZCOPY_NOTIFY, &done) != -EAGAIN ||
	    write(talk, "", 1) != 1)
		die("not refused");
}

/* The second completion of a call is for who opened the device to pay. */
TEST_F(user, told_at_another_s_expense)
{
	int device = device_open(), talk, status, error;
	struct zcopy_completion done[LIMIT];
	pid_t child;

	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	EXPECT_EQ(LIMIT, offer(self, device, &self->part, LIMIT, &error));
	child = start_as(NOBODY, self, device, send_and_be_told, &talk);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	close(talk);
	EXPECT_EQ(LIMIT, cancel_all(device));
	EXPECT_EQ(LIMIT, reap(device, done, LIMIT));
	close(device);
}

/* Nobody else has less. */
TEST_F(user, others_have_their_own)
{
	int device = device_open(), error;
	struct zcopy_completion done[LIMIT];

	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	EXPECT_EQ(LIMIT, offer(self, device, &self->part, LIMIT + 1, &error));
	EXPECT_EQ(-EAGAIN, error);
	EXPECT_TRUE(as(NOBODY, one_is_accepted, self));
	EXPECT_EQ(LIMIT, cancel_all(device));
	EXPECT_EQ(LIMIT, reap(device, done, LIMIT));
	close(device);
}

/* Two users: the owner, and one of those who he was given. */
static void map(pid_t process, const char *what, uid_t owner)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", process, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "0 %u 1\n1 %d 1\n", owner, INSIDE) < 0)
		die("write %s", path);
	close(fd);
}

/* A user of the owner's namespace has all but four of what one may have. */
static pid_t start_inside(FIXTURE_DATA(user) *self, uid_t owner)
{
	int ready[2], go[2], error;
	pid_t child;
	char byte;

	if (pipe(ready) || pipe(go))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		if (setresgid(owner, owner, owner) ||
		    setresuid(owner, owner, owner) ||
		    unshare(CLONE_NEWUSER) || write(ready[1], "", 1) != 1 ||
		    read(go[0], &byte, 1) != 1 || setresuid(1, 1, 1))
			die("be a user of a namespace");
		if (offer(self, device_open(), &self->part, LIMIT - 4, &error) !=
		    LIMIT - 4 || write(ready[1], "", 1) != 1)
			die("submit");
		for (;;)
			pause();
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &byte, 1) != 1)
		die("the namespace is not made");
	map(child, "uid_map", owner);
	if (write(go[1], "", 1) != 1 || read(ready[0], &byte, 1) != 1)
		die("the transfers are not submitted");
	close(ready[0]);
	close(go[1]);
	return child;
}

static bool four_are_accepted(FIXTURE_DATA(user) *self)
{
	int device = device_open(), error;

	return offer(self, device, &self->part, LIMIT, &error) == 4 &&
	       error == -EAGAIN && info_of(device).user_transfers == LIMIT;
}

/* The users of a namespace are its owner's, however many he has. */
TEST_F(user, namespaces)
{
	pid_t inside;

	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	inside = start_inside(self, NOBODY);
	EXPECT_TRUE(as(NOBODY, four_are_accepted, self));
	EXPECT_TRUE(as(0, one_is_accepted, self));
	ASSERT_EQ(0, kill(inside, SIGKILL));
	ASSERT_EQ(inside, waitpid(inside, NULL, 0));
	EXPECT_TRUE(await_active(0));
	EXPECT_TRUE(as(NOBODY, one_is_accepted, self));
}

/* Root makes them for others, who do not know of each other: he pays for all. */
TEST_F(user, namespaces_of_root)
{
	int device = device_open(), error;
	struct zcopy_completion done[LIMIT];
	pid_t inside;

	ASSERT_EQ(0, parameter_set("max_user_transfers", LIMIT));
	EXPECT_EQ(LIMIT, offer(self, device, &self->part, LIMIT + 1, &error));
	EXPECT_EQ(-EAGAIN, error);
	inside = start_inside(self, 0);
	EXPECT_EQ(2 * LIMIT - 4, info_of(device).user_transfers);
	ASSERT_EQ(0, kill(inside, SIGKILL));
	ASSERT_EQ(inside, waitpid(inside, NULL, 0));
	EXPECT_TRUE(await_active(LIMIT));
	EXPECT_EQ(LIMIT, cancel_all(device));
	EXPECT_EQ(LIMIT, reap(device, done, LIMIT));
	close(device);
}

static bool opens(FIXTURE_DATA(user) *self)
{
	int devices[4], i;

	(void)self;
	for (i = 0; i < 3; i++)
		devices[i] = device_open();
	if (open(DEVICE, O_RDWR | O_CLOEXEC) >= 0 || errno != EMFILE ||
	    info_of(devices[0]).user_contexts != 3)
		return false;
	close(devices[0]);
	devices[0] = open(DEVICE, O_RDWR | O_CLOEXEC);
	return devices[0] >= 0;
}

TEST_F(user, contexts)
{
	ASSERT_EQ(0, parameter_set("max_user_contexts", 3));
	EXPECT_TRUE(as(NOBODY, opens, self));
	EXPECT_TRUE(as(NOBODY, opens, self));
}

/*
 * Segments by the thousand, over several contexts, and bytes that keep pages. The
 * last transfer may go beyond the limit.
 */
static bool takes_memory(FIXTURE_DATA(user) *self)
{
	const unsigned int limit = parameter_get("max_user_pages");
	const struct part byte = of_memory(0, 1);
	const int devices[] = { device_open(), device_open(), device_open() };
	static struct part many[1024];
	unsigned int first, second, i;
	int device, error, cancelled = 0;

	for (i = 0; i < 1024; i++)
		many[i] = self->part;
	for (first = 0, error = 0; !error; first++) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		transfer = transfer_of(self->pair.tx, many, 1024, first);
		submit = submit_of(&transfer, 1);
		if (submit_call(devices[first % 3], &submit))
			die("ZCOPY_IOC_SUBMIT");
		error = submit.error;
	}
	/* Each of them is 40 KiB of ranges, at least. */
	if (error != -EAGAIN || first > limit / 10 ||
	    info_of(devices[0]).user_pages > limit + LAST)
		return false;
	for (i = 0; i < 3; i++)
		if (!device_says(devices[i], 0))
			return false;
	for (i = 0; i < 3; i++)
		cancelled += cancel_all(devices[i]);
	if (cancelled != (int)first - 1)
		return false;
	for (i = 0; i < 3; i++)
		if (!device_says(devices[i], POLLOUT) || close(devices[i]))
			return false;
	device = device_open();
	/* Not even for a byte, if an acknowledgment is late. */
	set_send_buffer(self->pair.tx, 1);
	second = offer(self, device, &byte, 1 << 20, &error);
	return error == -EAGAIN && second < limit * PAGE / 512 &&
	       info_of(device).user_pages <= limit + LAST && device_says(device, 0);
}

TEST_F(user, memory)
{
	ASSERT_EQ(0, parameter_set("max_user_pages", 1000));
	EXPECT_TRUE(as(NOBODY, takes_memory, self));
	EXPECT_TRUE(await_active(0));
}

/* Nor can he keep others from opening files by keeping so many open himself. */
static bool takes_files(FIXTURE_DATA(user) *self)
{
	const unsigned int limit = parameter_get("max_user_pages");
	struct part parts[FILES];
	int device = device_open(), error = 0, i;
	unsigned int accepted;

	for (accepted = 0; !error; accepted++) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		for (i = 0; i < FILES; i++) {
			parts[i] = self->part;
			parts[i].segment.fd = open_again(self->part.segment.fd,
							 O_RDONLY);
			if (parts[i].segment.fd < 0)
				die("open the file again");
		}
		transfer = transfer_of(self->pair.tx, parts, FILES, accepted);
		submit = submit_of(&transfer, 1);
		if (submit_call(device, &submit))
			die("ZCOPY_IOC_SUBMIT");
		error = submit.error;
		for (i = 0; i < FILES; i++)
			close(parts[i].segment.fd);
	}
	return error == -EAGAIN && accepted * FILES <= limit * PAGE / KIB + FILES &&
	       device_says(device, 0) && cancel_all(device) == (int)accepted - 1 &&
	       device_says(device, POLLOUT);
}

TEST_F(user, files)
{
	ASSERT_EQ(0, fchmod(self->part.segment.fd, 0444));
	ASSERT_EQ(0, parameter_set("max_user_pages", 1000));
	EXPECT_TRUE(as(NOBODY, takes_files, self));
	EXPECT_TRUE(await_active(0));
}

static bool leases(FIXTURE_DATA(user) *self)
{
	const struct rlimit limit = { 40, 40 };
	int device, error = 0;
	unsigned int accepted;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
	device = device_open();
	for (accepted = 0; !error; accepted++) {
		struct zcopy_transfer transfer;
		struct zcopy_submit submit;

		transfer = transfer_of(self->pair.tx, &self->part, 1, accepted);
		transfer.flags = ZCOPY_LEASE;
		submit = submit_of(&transfer, 1);
		if (submit_call(device, &submit))
			die("ZCOPY_IOC_SUBMIT");
		error = submit.error;
	}
	return error == -EMFILE && accepted - 1 == 40 &&
	       info_of(device).user_leases == 40;
}

TEST_F(user, leases)
{
	ASSERT_EQ(0, fchown(self->file.fd, NOBODY, NOBODY));
	/* Nobody else has it open. */
	close(self->file.rw);
	self->file.rw = -1;
	EXPECT_TRUE(as(NOBODY, leases, self));
	/* What went to the peer keeps its pages. */
	pair_close(&self->pair);
	EXPECT_TRUE(await_active(0));
	pair_open(&self->pair, TCP4, SMALL);
	self->file.rw = open_again(self->file.fd, O_RDWR);
}

/*
 * What is accepted is sent: beyond the limit a thread waits for the page. What is not
 * hears of it.
 */
TEST_F(user, reads)
{
	enum { MANY = 20, FEW = 4 };
	struct zcopy_transfer transfers[MANY];
	struct zcopy_completion done[MANY];
	int device = device_open(), error;
	struct pair pairs[MANY];
	struct part parts[MANY];
	struct file cold;
	int i;

	file_make(&cold, EXT4, SIZE, SEED + 1);
	file_chill(&cold);
	ASSERT_EQ(0, parameter_set("max_user_reads", FEW));
	disk_suspend();
	for (i = 0; i < MANY; i++) {
		pair_open(&pairs[i], UNIX, 0);
		parts[i] = of_file(&cold, i * PAGE, PAGE);
		transfers[i] = transfer_of(pairs[i].tx, &parts[i], 1, i);
	}
	submit_all(device, transfers, MANY);
	EXPECT_TRUE(disk_await_readers(FEW + 2));
	EXPECT_EQ(FEW, info_of(device).user_reads);
	EXPECT_EQ(FEW, stats_of(device, ZCOPY_STATS_CONTEXT).reads);
	EXPECT_EQ(0, offer(self, device, &self->part, 1, &error));
	EXPECT_EQ(-EAGAIN, error);
	EXPECT_TRUE(device_says(device, 0));
	disk_resume();
	EXPECT_EQ(MANY, reap(device, done, MANY));
	for (i = 0; i < MANY; i++) {
		struct cursor cursor = { .parts = &parts[i], .nr = 1 };

		EXPECT_EQ(0, done[i].error);
		EXPECT_TRUE(cursor_take(&cursor, pairs[i].rx, PAGE));
		EXPECT_STREQ("", cursor_verdict(&cursor, PAGE));
		pair_close(&pairs[i]);
	}
	EXPECT_EQ(0, info_of(device).user_reads);
	EXPECT_TRUE(device_says(device, POLLOUT));
	close(device);
	file_close(&cold);
}

/* What others do is not told to everybody. */
static bool asks(FIXTURE_DATA(user) *self)
{
	struct zcopy_stats stats = { .scope = ZCOPY_STATS_MODULE };
	int device = device_open();

	(void)self;
	if (!ioctl(device, ZCOPY_IOC_STATS, &stats) || errno != EPERM)
		return false;
	stats.scope = ZCOPY_STATS_CONTEXT;
	return !ioctl(device, ZCOPY_IOC_STATS, &stats);
}

TEST_F(user, counters_of_all)
{
	EXPECT_TRUE(as(NOBODY, asks, self));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
