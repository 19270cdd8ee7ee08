// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one user's workers may come to sleep for is nothing to anybody else: files
 * that take long to close, and sockets whose lock somebody keeps.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/late.h"
#include "lib/plain.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	451U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define MANY	300		/* sockets */

/* Two users, and neither is root. */
#define ATTACKER	65533
#define VICTIM		65534

static int port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (void *)&address, &len))
		die("getsockname");
	return ntohs(address.sin_port);
}

/* True when the socket of this port comes to wait for its peer to be closed. */
static bool await_lingering(int port)
{
	uint64_t since = 0;
	char command[100];

	snprintf(command, sizeof(command),
		 "ss -Htn state fin-wait-1 'sport = :%d' | grep -q .", port);
	do {
		if (!system(command))
			return true;
	} while (patience(&since));
	return false;
}

static int processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		die("sched_getaffinity");
	return CPU_COUNT(&set);
}

/* A worker has the last of a socket that takes an hour to be closed. */
static void linger(int device, const struct part *part)
{
	const struct linger hour = { .l_onoff = 1, .l_linger = 3600 };
	struct zcopy_completion done;
	struct pair pair;
	int port;

	pair_open(&pair, TCP4, SMALL);
	if (setsockopt(pair.tx, SOL_SOCKET, SO_LINGER, &hour, sizeof(hour)))
		die("SO_LINGER");
	port = port_of(pair.tx);
	submit_one(device, pair.tx, part, 1);
	close(pair.tx);
	if (cancel_user_data(device, 1) != 1 || reap(device, &done, 1) != 1 ||
	    done.error != -ECANCELED)
		die("the transfer is not cancelled");
	if (!await_lingering(port))
		die("the socket is not being closed");
}

/* More than there are processors: who closes one is not there for work. */
static void linger_more(int device, const struct part *part)
{
	int i;

	for (i = 0; i < processors() + 2; i++)
		linger(device, part);
}

static struct late late;

/* Who receives to memory that never comes. */
struct holder {
	int fd;
	char *page;
};

static void *hold(void *argument)
{
	const struct holder *holder = argument;

	recv(holder->fd, holder->page, 1, 0);
	return NULL;
}

/* So many sockets are locked, and have a part of a transfer, with more to come. */
static void hold_tcp(int device, const struct part *part, int nr)
{
	static struct holder holders[MANY];
	struct pair pair;
	pthread_t thread;
	int i;

	for (i = 0; i < nr; i++) {
		pair_open(&pair, TCP4, SMALL);
		holders[i] = (struct holder){ pair.tx, late.memory + i * PAGE };
		submit_one(device, pair.tx, part, 1 + i);
		if (send(pair.rx, "", 1, 0) != 1 || !await(pair.tx, POLLIN))
			die("send");
	}
	for (i = 0; i < nr; i++) {
		errno = pthread_create(&thread, NULL, hold, &holders[i]);
		if (errno)
			die("make a thread");
	}
	if (!late_await(&late, nr))
		die("the sockets are not locked");
}

/*
 * So many sockets have transfers over kernel TLS, and are full. Who sends there keeps a
 * lock of it while he waits for room.
 */
static void hold_tls(int device, const struct part *part, struct pair *pairs, int nr)
{
	static struct plain senders[MANY];
	int i;

	for (i = 0; i < nr; i++) {
		pair_open(&pairs[i], TLS, SMALL);
		submit_one(device, pairs[i].tx, part, 1 + i);
	}
	for (i = 0; i < nr; i++)
		if (!await_full(pairs[i].tx))
			die("a socket is not full");
	for (i = 0; i < nr; i++)
		plain_start(&senders[i], pairs[i].tx, memory(0, SIZE), SIZE);
	for (i = 0; i < nr; i++)
		if (!plain_blocked(&senders[i]))
			die("kernel TLS is not locked");
}

static void cancel_each(int device, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (cancel_user_data(device, 1 + i) != 1)
			die("not all are cancelled");
}

/* So many workers, or more, come to sleep for what only somebody else can end. */
static void await_kept(unsigned int nr)
{
	uint64_t since = 0;

	while (threads_at_disk(HOT_WORKER) < nr)
		if (!patience(&since))
			die("the workers are not kept");
}

/* As many as there are processors: a worker is left. */
static void lock_some(int device, const struct part *part)
{
	hold_tcp(device, part, processors());
	cancel_each(device, processors());
	await_kept(processors());
}

static void lock_all(int device, const struct part *part)
{
	hold_tcp(device, part, MANY);
	cancel_each(device, MANY);
	await_kept(processors());
}

/* Workers come for the room that there is now, and find the lock of kernel TLS kept. */
static void lock_tls(int device, const struct part *part, int nr)
{
	static char bytes[SMALL];
	struct pair pairs[MANY];
	int i;

	hold_tls(device, part, pairs, nr);
	for (i = 0; i < nr; i++)
		while (recv(pairs[i].rx, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
			;
}

static void lock_some_tls(int device, const struct part *part)
{
	lock_tls(device, part, processors());
}

static void lock_all_tls(int device, const struct part *part)
{
	lock_tls(device, part, MANY);
}

/* The lock is kept, and what ends has nothing to do with it. */
static void end_all_tls(int device, const struct part *part)
{
	struct zcopy_completion done;
	struct pair pairs[MANY];
	int i;

	hold_tls(device, part, pairs, MANY);
	cancel_each(device, MANY);
	for (i = 0; i < MANY; i++)
		if (reap(device, &done, 1) != 1 || done.error != -ECANCELED)
			die("a transfer does not end");
}

FIXTURE(neighbour)
{
	struct watch watch;
	struct file file;
	struct part part;
	int report[2];
};

FIXTURE_VARIANT(neighbour)
{
	void (*attack)(int device, const struct part *part);
	bool spares_itself;	/* the attacker's own other transfers go on */
};

FIXTURE_VARIANT_ADD(neighbour, lingers)
{
	.attack = linger,
	.spares_itself = true,
};

FIXTURE_VARIANT_ADD(neighbour, lingers_more)
{
	.attack = linger_more,
	.spares_itself = true,
};

FIXTURE_VARIANT_ADD(neighbour, locks_some)
{
	.attack = lock_some,
	.spares_itself = true,
};

FIXTURE_VARIANT_ADD(neighbour, locks_all)
{
	.attack = lock_all,
};

FIXTURE_VARIANT_ADD(neighbour, locks_some_tls)
{
	.attack = lock_some_tls,
	.spares_itself = true,
};

FIXTURE_VARIANT_ADD(neighbour, locks_all_tls)
{
	.attack = lock_all_tls,
};

FIXTURE_VARIANT_ADD(neighbour, ends_all_tls)
{
	.attack = end_all_tls,
	.spares_itself = true,
};

FIXTURE_SETUP(neighbour)
{
	ASSERT_EQ(0, run("modprobe tls"));
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	ASSERT_EQ(0, pipe(self->report));
	descriptors_allow(2 * MANY + 200);
}

FIXTURE_TEARDOWN(neighbour)
{
	close(self->report[0]);
	close(self->report[1]);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* More than the socket takes, of a program that is through with it. */
static void send_part(int device, const struct part *part, struct pair *pair)
{
	pair_open(pair, TCP4, SMALL);
	submit_one(device, pair->tx, part, 0);
	/* The transfer has the last of it. */
	close(pair->tx);
}

/* All of it comes, and then the end: 0. */
static int receive_part(const struct part *part, struct pair *pair)
{
	struct cursor cursor = { .parts = part, .nr = 1 };

	if (!cursor_take(&cursor, pair->rx, SIZE) ||
	    *cursor_verdict(&cursor, SIZE))
		return 1;
	if (!at_end(pair->rx))
		return 2;
	close(pair->rx);
	return 0;
}

static int send_and_close(void *argument)
{
	FIXTURE_DATA(neighbour) *self = argument;
	int device = device_open(), error;
	struct pair pair;

	send_part(device, &self->part, &pair);
	error = receive_part(&self->part, &pair);
	close(device);
	return error;
}

static void say(FIXTURE_DATA(neighbour) *self, char what)
{
	if (write(self->report[1], &what, 1) != 1)
		die("report");
}

static char hear(FIXTURE_DATA(neighbour) *self)
{
	char what = '?';

	if (!await(self->report[0], POLLIN) ||
	    read(self->report[0], &what, 1) != 1)
		return '?';
	return what;
}

/* Of the attacker's other transfers some were there before, and some come later. */
static void attack(FIXTURE_DATA(neighbour) *self,
		   const FIXTURE_VARIANT(neighbour) *variant)
{
	struct pair before, after;
	int device;

	late_make(&late, MANY * PAGE);
	become(ATTACKER);
	/* A test that fails leaves none. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		die("prctl");
	device = device_open();
	send_part(device, &self->part, &before);
	variant->attack(device, &self->part);
	say(self, 'q');
	if (!variant->spares_itself)
		return;
	/* This thread has nothing to do with them. */
	say(self, receive_part(&self->part, &before) ? 'x' : 'o');
	/* Who has nothing to do leaves; who closes a socket is no help. */
	close(dup(device));
	send_part(device, &self->part, &after);
	say(self, receive_part(&self->part, &after) ? 'x' : 'o');
}

TEST_F(neighbour, goes_on)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		attack(self, variant);
		for (;;)
			pause();
	}
	ASSERT_EQ('q', hear(self));
	EXPECT_EQ(0, as_user(VICTIM, send_and_close, self));
	if (variant->spares_itself) {
		EXPECT_EQ('o', hear(self));
		EXPECT_EQ('o', hear(self));
	}
	/* And the attacker is not kept from its end. */
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_TRUE(await_active(0));
	EXPECT_EQ(0, as_user(VICTIM, send_and_close, self));
}

TEST_HARNESS_MAIN
