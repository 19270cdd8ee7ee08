// SPDX-License-Identifier: GPL-2.0-only
/*
 * The release and the peer, who need not be there: it does not read, resets,
 * disappears. And the release and the program, which may end before it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/loading.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	631U
#define SIZE	MIB		/* much more than the receiver takes unread */
#define SMALL	(64 * 1024)	/* of a socket buffer */

/* The card that a transport's receiver has. */
static const char *card_of(enum transport transport)
{
	if (transport == TCP4)
		return "link set lo";
	return transport == VETH ? "-n right link set veth0" :
				   "-n right link set wire0";
}

static void card_down(enum transport transport)
{
	if (run("ip %s down", card_of(transport)))
		die("set the card down");
}

/* What it loses when it is down comes back. */
static void card_up(enum transport transport)
{
	uint64_t since = 0;

	if (run("ip %s up", card_of(transport)) ||
	    run("ip -n right address replace fd09::2/64 dev wire0 nodad"))
		die("set the card up");
	while (!run("ip -n right link show | grep -q 'state DOWN'"))
		if (!patience(&since))
			die("the card does not come up");
}

FIXTURE(peer)
{
	struct watch watch;
	struct file file;
	struct pair pair;
	struct part part;
	struct zcopy_transfer transfer;
	struct cursor cursor;
	struct flight flight;
	int device;
};

FIXTURE_VARIANT(peer)
{
	enum transport transport;
	enum filesystem filesystem;
};

#define OVER(name, how, where)						\
	FIXTURE_VARIANT_ADD(peer, name)					\
	{								\
		.transport = how, .filesystem = where,			\
	}

OVER(wire4, WIRE4, XFS);
OVER(wire6, WIRE6, EXT4);
OVER(loopback, TCP4, TMPFS);
OVER(veth, VETH, EXT4);

FIXTURE_SETUP(peer)
{
	if (module_load() != -EEXIST)
		TH_LOG("the module was not loaded");
	/* If a test before this one was killed. */
	card_up(variant->transport);
	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, SEED);
	roomy_open(&self->pair, variant->transport);
	self->part = of_file(&self->file, 0, 0);
	self->transfer = transfer_of(self->pair.tx, &self->part, 1, 7);
	self->transfer.flags = ZCOPY_SYNC;
	self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
}

FIXTURE_TEARDOWN(peer)
{
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Pages are held for sure only where nothing of the kernel copies them. */
static bool holds(const FIXTURE_VARIANT(peer) *variant)
{
	return is_wire(variant->transport);
}

static uint64_t folios_held(void)
{
	int device = device_open();
	uint64_t nr = stats_of(device, ZCOPY_STATS_MODULE).folios_held;

	close(device);
	return nr;
}

/* All is sent; the peer has read nothing. */
static void take_off(struct __test_metadata *_metadata,
		     FIXTURE_DATA(peer) *self,
		     const FIXTURE_VARIANT(peer) *variant, enum door door)
{
	const uint64_t before = accepted(self->pair.tx);

	flight_start(&self->flight, door, self->device, &self->transfer);
	ASSERT_TRUE(await_accepted(self->pair.tx, before + SIZE));
	if (!holds(variant))
		return;
	if (self->transfer.flags & ZCOPY_SYNC)
		ASSERT_TRUE(flight_waits(&self->flight));
	EXPECT_LT(0, folios_held());
}

/* The completion at the release, of a transfer that was sent whole. */
static void land(struct __test_metadata *_metadata, FIXTURE_DATA(peer) *self,
		 const FIXTURE_VARIANT(peer) *variant)
{
	const struct zcopy_completion *done = &self->flight.send.completion;

	ASSERT_EQ(0, flight_finish(&self->flight));
	EXPECT_EQ(7, done->user_data);
	EXPECT_EQ(SIZE, done->bytes);
	EXPECT_EQ(0, done->error);
	/* What never left was not copied. */
	EXPECT_EQ(ZCOPY_C_RELEASED, done->flags & ~ZCOPY_C_COPIED);
	if (holds(variant))
		EXPECT_EQ(ZCOPY_C_RELEASED, done->flags);
}

static void take(struct __test_metadata *_metadata, FIXTURE_DATA(peer) *self,
		 uint64_t len)
{
	EXPECT_TRUE(cursor_take(&self->cursor, self->pair.rx, len));
	EXPECT_STREQ("", cursor_verdict(&self->cursor, self->cursor.got));
}

TEST_F(peer, does_not_read)
{
	int door;

	for (door = 0; door < DOORS; door++) {
		take_off(_metadata, self, variant, door);
		take(_metadata, self, SIZE / 2);
		if (holds(variant)) {
			EXPECT_TRUE(flight_waits(&self->flight));
			EXPECT_LT(0, folios_held());
		}
		take(_metadata, self, SIZE / 2);
		land(_metadata, self, variant);
		self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	}
	pair_close(&self->pair);
}

/* Its reset frees what it has not acknowledged. */
TEST_F(peer, resets)
{
	int door;

	for (door = 0; door < DOORS; door++) {
		take_off(_metadata, self, variant, door);
		reset_on_close(self->pair.rx);
		close(self->pair.rx);
		land(_metadata, self, variant);
		close(self->pair.tx);
		roomy_open(&self->pair, variant->transport);
		self->transfer.socket = self->pair.tx;
	}
	pair_close(&self->pair);
}

/* The same in the middle: that is an error, and all is free even so. */
TEST_F(peer, resets_midway)
{
	const struct zcopy_completion *done = &self->flight.send.completion;
	int door;

	for (door = 0; door < DOORS; door++) {
		pair_close(&self->pair);
		pair_open(&self->pair, variant->transport, SMALL);
		self->transfer.socket = self->pair.tx;
		flight_start(&self->flight, door, self->device,
			     &self->transfer);
		ASSERT_TRUE(flight_waits(&self->flight));
		reset_on_close(self->pair.rx);
		close(self->pair.rx);
		ASSERT_EQ(0, flight_finish(&self->flight));
		EXPECT_TRUE(done->error == -ECONNRESET ||
			    done->error == -EPIPE);
		EXPECT_GT(SIZE, done->bytes);
		EXPECT_EQ(ZCOPY_C_RELEASED | ZCOPY_C_SOCKET_ERROR,
			  done->flags & ~ZCOPY_C_COPIED);
		self->pair.rx = dup(self->pair.tx);
	}
	pair_close(&self->pair);
}

/*
 * Its card is down: nothing comes from it any more, not even a reset. Who sends
 * gives up, by closing the socket or by dissolving the connection.
 */
TEST_F(peer, disappears)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	int door;

	for (door = 0; door < DOORS; door++) {
		take_off(_metadata, self, variant, door);
		card_down(variant->transport);
		EXPECT_TRUE(flight_waits(&self->flight));
		if (door == SEND) {
			/* Closing is not enough: the call uses the socket. */
			ASSERT_EQ(0, connect(self->pair.tx, &nobody,
					     sizeof(nobody)));
		} else {
			reset_on_close(self->pair.tx);
		}
		close(self->pair.tx);
		land(_metadata, self, variant);
		close(self->pair.rx);
		card_up(variant->transport);
		roomy_open(&self->pair, variant->transport);
		self->transfer.socket = self->pair.tx;
	}
	pair_close(&self->pair);
}

static void *close_socket(void *argument)
{
	FIXTURE_DATA(peer) *self = argument;

	close(self->pair.tx);
	return NULL;
}

/* The program closes its socket; what is in it goes on its way. */
TEST_F(peer, socket_lingers)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 600 };
	pthread_t closer;
	int i;

	for (i = 0; i < 2; i++) {
		take_off(_metadata, self, variant, i ? URING : SUBMIT);
		/* In the background, and while close() waits for it. */
		if (i)
			ASSERT_EQ(0, setsockopt(self->pair.tx, SOL_SOCKET,
						SO_LINGER, &linger,
						sizeof(linger)));
		ASSERT_EQ(0, pthread_create(&closer, NULL, close_socket, self));
		if (!i)
			pthread_join(closer, NULL);
		if (holds(variant))
			EXPECT_TRUE(flight_waits(&self->flight));
		take(_metadata, self, SIZE);
		if (i)
			pthread_join(closer, NULL);
		EXPECT_TRUE(at_end(self->pair.rx));
		land(_metadata, self, variant);
		close(self->pair.rx);
		roomy_open(&self->pair, variant->transport);
		self->transfer.socket = self->pair.tx;
		self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	}
	pair_close(&self->pair);
}

/* A child that waits for the release in a call, for ever. */
static pid_t child_start(FIXTURE_DATA(peer) *self, enum door door)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (child)
		return child;
	if (door == SEND) {
		struct zcopy_send send = { .transfer = self->transfer };

		ioctl(device_open(), ZCOPY_IOC_SEND, &send);
	} else {
		fly(door, device_open(), &self->transfer,
		    &self->flight.send.completion);
	}
	_exit(0);
}

TEST_F(peer, program_is_killed)
{
	int door, status;
	pid_t child;

	for (door = 0; door < DOORS; door++) {
		child = child_start(self, door);
		ASSERT_TRUE(await_accepted(self->pair.tx, SIZE));
		if (holds(variant))
			ASSERT_TRUE(await_sleep(child));
		close(self->pair.tx);
		ASSERT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		/* What the socket had taken arrives, and then the end. */
		while (await(self->pair.rx, POLLIN) &&
		       cursor_read(&self->cursor, self->pair.rx, MIB) > 0)
			;
		EXPECT_STREQ("", cursor_verdict(&self->cursor, SIZE));
		if (holds(variant))
			EXPECT_TRUE(WIFSIGNALED(status));
		close(self->pair.rx);
		EXPECT_TRUE(await_active(0));
		roomy_open(&self->pair, variant->transport);
		self->transfer.socket = self->pair.tx;
		self->cursor = (struct cursor){ .parts = &self->part, .nr = 1 };
	}
	pair_close(&self->pair);
}

/*
 * Nobody is left to be told of the release. Until it comes the module cannot
 * go: its code is what the network calls then.
 */
static void close_device(struct __test_metadata *_metadata,
			 FIXTURE_DATA(peer) *self,
			 const FIXTURE_VARIANT(peer) *variant, uint32_t flags)
{
	int error;

	self->transfer.flags = flags;
	take_off(_metadata, self, variant, SUBMIT);
	close(self->device);
	if (holds(variant)) {
		error = module_unload();
		EXPECT_TRUE(error == -EAGAIN || error == -EBUSY) {
			TH_LOG("error %d", error);
		}
		EXPECT_LT(0, folios_held());
	}
	take(_metadata, self, SIZE);
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, module_load());
	self->device = device_open();
	pair_close(&self->pair);
}

TEST_F(peer, device_closed)
{
	close_device(_metadata, self, variant, ZCOPY_SYNC);
}

TEST_F(peer, device_closed_with_notify)
{
	close_device(_metadata, self, variant, ZCOPY_NOTIFY);
}

static pid_t maker;

static void leave_card(void)
{
	if (getpid() != maker)
		return;
	card_up(WIRE4);
	card_up(TCP4);
}

int main(int argc, char **argv)
{
	veth_make();
	maker = getpid();
	if (atexit(leave_card))
		die("arrange for the card");
	return test_harness_run(argc, argv);
}
