// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom others see at work: who receives from an AF_UNIX socket, and the server of
 * a filesystem. It is the process that submitted, and its user.
 */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/hung.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	441U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define NOBODY	65534

/* Not in the C library's headers yet. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD	76
#endif
#define PASSED_PIDFD	4	/* SCM_PIDFD */

FIXTURE(sender)
{
	struct watch watch;
	struct file file;
	struct part part;
	int report[2];
};

FIXTURE_VARIANT(sender)
{
	bool by_thread;		/* a thread submits that is not the first one */
};

FIXTURE_VARIANT_ADD(sender, first_thread) { .by_thread = false };
FIXTURE_VARIANT_ADD(sender, other_thread) { .by_thread = true };

FIXTURE_SETUP(sender)
{
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	ASSERT_EQ(0, pipe(self->report));
}

FIXTURE_TEARDOWN(sender)
{
	close(self->report[0]);
	close(self->report[1]);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

struct order {
	int device;
	int target;
	uint64_t offset;	/* in a file */
	const struct part *part;
};

static void *submit_order(void *argument)
{
	const struct order *order = argument;
	struct zcopy_transfer transfer = transfer_of(order->target, order->part,
						     1, 0);

	transfer.offset = order->offset;
	submit_all(order->device, &transfer, 1);
	return NULL;
}

static void submit_by(const FIXTURE_VARIANT(sender) *variant,
		      struct order order)
{
	pthread_t thread;

	if (!variant->by_thread) {
		submit_order(&order);
		return;
	}
	errno = pthread_create(&thread, NULL, submit_order, &order);
	if (errno)
		die("make a thread");
	/* It is gone when the worker goes on. */
	pthread_join(thread, NULL);
}

static void pass(struct __test_metadata *_metadata, int fd, int option)
{
	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, option, &(int){ 1 },
				sizeof(int)));
}

/* What the kernel says of who sent a message. */
struct said {
	struct ucred cred;
	int pidfd;
};

static ssize_t hear(int fd, char *buffer, size_t size, struct said *said)
{
	char control[CMSG_SPACE(sizeof(said->cred)) +
		     CMSG_SPACE(sizeof(said->pidfd))];
	struct iovec data = { buffer, size };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, 0);
	struct cmsghdr *header;

	*said = (struct said){ .pidfd = -1 };
	if (n <= 0)
		return n;
	for (header = CMSG_FIRSTHDR(&message); header;
	     header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_type == SCM_CREDENTIALS)
			memcpy(&said->cred, CMSG_DATA(header), sizeof(said->cred));
		if (header->cmsg_type == PASSED_PIDFD)
			memcpy(&said->pidfd, CMSG_DATA(header),
			       sizeof(said->pidfd));
	}
	return n;
}

/* Which process it is a descriptor of; -1 for none. */
static pid_t process_of(int pidfd)
{
	char path[64], line[100];
	pid_t process = -1;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	info = fopen(path, "re");
	if (!info)
		return -1;
	while (fgets(line, sizeof(line), info))
		if (sscanf(line, "Pid: %d", &process) == 1)
			break;
	fclose(info);
	return process;
}

TEST_F(sender, pidfd)
{
	struct cursor cursor = { .parts = &self->part, .nr = 1 };
	static char buffer[64 * KIB];
	struct order order = { .part = &self->part };
	struct pair pair;
	int pidfd = -1;
	pid_t child;

	pair_open(&pair, UNIX, SMALL);
	order.target = pair.tx;
	pass(_metadata, pair.rx, SO_PASSCRED);
	pass(_metadata, pair.rx, SO_PASSPIDFD);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		become(NOBODY);
		order.device = device_open();
		submit_by(variant, order);
		for (;;)
			pause();
	}
	/* The first bytes went in the call, the others are a worker's. */
	while (cursor.got < SIZE && !cursor.wrong) {
		struct said said;
		ssize_t n;

		ASSERT_TRUE(await(pair.rx, POLLIN));
		n = hear(pair.rx, buffer, sizeof(buffer), &said);
		ASSERT_LT(0, n);
		ASSERT_EQ(child, said.cred.pid);
		ASSERT_EQ(NOBODY, said.cred.uid);
		ASSERT_EQ(NOBODY, said.cred.gid);
		ASSERT_EQ(child, process_of(said.pidfd));
		if (pidfd >= 0)
			close(pidfd);
		pidfd = said.pidfd;
		cursor_compare(&cursor, buffer, n);
	}
	EXPECT_STREQ("", cursor_verdict(&cursor, SIZE));
	/* And it tells the end of the process, no thread's. */
	EXPECT_EQ(0, poll(&(struct pollfd){ pidfd, POLLIN, 0 }, 1, 0));
	ASSERT_EQ(0, kill(child, SIGKILL));
	EXPECT_TRUE(await(pidfd, POLLIN));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	close(pidfd);
	pair_close(&pair);
}

/* A process that waits for a server's answer, and who the server says it is. */
static pid_t start_waiting(FIXTURE_DATA(sender) *self,
			   const FIXTURE_VARIANT(sender) *variant)
{
	const struct part bytes = of_memory(0, 100);
	pid_t child = fork();
	struct part part = {};
	struct hung hung;
	struct pair pair;
	int device, i;

	if (child < 0)
		die("fork");
	if (child)
		return child;
	hung_make(&hung);
	become(NOBODY);
	device = device_open();
	pair_open(&pair, UNIX, 0);
	part.segment = (struct zcopy_segment){ .fd = hung.fd, .len = PAGE };
	for (i = 1; i <= 2; i++) {
		/* Far from the page that is read already. */
		submit_by(variant, i == 1 ?
			  (struct order){ device, pair.tx, 0, &part } :
			  (struct order){ device, hung.fd, GIB / 2, &bytes });
		if (!hung_await(&hung, i))
			die("no worker asks the server");
		if (write(self->report[1], &hung, sizeof(hung)) != sizeof(hung))
			die("report");
	}
	for (;;)
		pause();
}

/* The server is asked to read by one thread, and to write by another. */
TEST_F(sender, server)
{
	pid_t child = start_waiting(self, variant);
	pid_t first = 0;
	int i;

	for (i = 0; i < 2; i++) {
		struct hung hung = {};

		ASSERT_TRUE(await(self->report[0], POLLIN));
		ASSERT_EQ(sizeof(hung), read(self->report[0], &hung, sizeof(hung)));
		EXPECT_EQ(NOBODY, hung.user);
		EXPECT_NE(first, hung.thread);
		EXPECT_NE(child, hung.thread);
		EXPECT_TRUE(is_thread(child, hung.thread, COLD_WORKER));
		EXPECT_TRUE(await_sleep(hung.thread));
		first = hung.thread;
	}
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(await_active(0));
}

TEST_HARNESS_MAIN
