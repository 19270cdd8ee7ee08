// SPDX-License-Identifier: GPL-2.0-only
/* Transfers through any door, and the sockets they wait in. */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "door.h"
#include "submit.h"

/* Both namespaces of the wire have an end; nothing else is in their way. */
#define VETH_NAME	"veth0"

static void *send_alone(void *argument)
{
	struct flight *flight = argument;
	sigset_t children;

	/* Programs that a test runs meanwhile are none of this thread's business. */
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &children, NULL);
	__atomic_store_n(&flight->tid, gettid(), __ATOMIC_RELEASE);
	if (ioctl(flight->device, ZCOPY_IOC_SEND, &flight->send))
		flight->result = -errno;
	__atomic_store_n(&flight->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void submit(struct flight *flight)
{
	struct zcopy_submit submit = submit_of(&flight->send.transfer, 1);

	errno = -submit_call(flight->device, &submit);
	if (errno)
		die("ZCOPY_IOC_SUBMIT");
	flight->result = submit.error;
	flight->done = !submit.accepted;
}

void flight_start(struct flight *flight, enum door door, int device,
		  const struct zcopy_transfer *transfer)
{
	memset(flight, 0, sizeof(*flight));
	flight->door = door;
	flight->device = device;
	flight->send.transfer = *transfer;
	/* Another's name, to see whether a completion was written. */
	flight->send.completion.user_data = ~transfer->user_data;
	switch (door) {
	case SEND:
		errno = pthread_create(&flight->thread, NULL, send_alone,
				       flight);
		if (errno)
			die("start a thread");
		break;
	case SUBMIT:
		submit(flight);
		break;
	default:
		ring_open(&flight->ring, 4, 0);
		ring_send(&flight->ring, device, &flight->send.transfer,
			  &flight->send.completion, transfer->user_data);
		ring_submit(&flight->ring);
	}
}

/* The CQE and the completion say the same. */
static void answered(struct flight *flight, const struct answer *answer)
{
	const struct zcopy_completion *completion = &flight->send.completion;

	flight->done = true;
	if (completion->user_data != flight->send.transfer.user_data)
		flight->result = answer->res;
	else if (answer->res != (completion->error ?:
				 (int64_t)completion->bytes))
		die("CQE %d, completion %llu, %d", answer->res,
		    (unsigned long long)completion->bytes, completion->error);
}

bool flight_ended(struct flight *flight)
{
	struct answer answer;

	if (__atomic_load_n(&flight->done, __ATOMIC_ACQUIRE))
		return true;
	if (flight->door == SUBMIT)
		flight->done = reap_now(flight->device,
					&flight->send.completion, 1);
	else if (flight->door == URING && ring_peek(&flight->ring, &answer))
		answered(flight, &answer);
	return flight->door == SEND ? false : flight->done;
}

bool flight_waits(struct flight *flight)
{
	uint64_t since = 0;
	pid_t tid;

	if (flight->door != SEND)
		return !flight_ended(flight);
	do {
		if (flight_ended(flight))
			return false;
		tid = __atomic_load_n(&flight->tid, __ATOMIC_ACQUIRE);
		if (tid && sleeps(tid))
			return !flight_ended(flight);
	} while (patience(&since));
	return false;
}

int flight_finish(struct flight *flight)
{
	struct answer answer;

	if (flight->door == SEND) {
		pthread_join(flight->thread, NULL);
	} else if (flight->door == SUBMIT) {
		if (!flight->done && reap(flight->device,
					  &flight->send.completion, 1) != 1)
			die("no completion comes");
	} else {
		if (!flight->done) {
			if (!ring_next(&flight->ring, &answer))
				die("no CQE comes");
			answered(flight, &answer);
		}
		ring_close(&flight->ring);
	}
	if (!flight->result && flight->send.completion.user_data !=
			       flight->send.transfer.user_data)
		die("the completion is another transfer's");
	return flight->result;
}

int fly(enum door door, int device, const struct zcopy_transfer *transfer,
	struct zcopy_completion *completion)
{
	struct flight flight;
	int error;

	flight_start(&flight, door, device, transfer);
	error = flight_finish(&flight);
	*completion = flight.send.completion;
	return error;
}

const char *carry(enum door door, int device, enum transport transport,
		  const struct part *parts, size_t nr, uint32_t flags,
		  struct zcopy_completion *completion)
{
	struct zcopy_transfer transfer;
	struct reader reader;
	const char *verdict;
	struct pair pair;
	int error;

	pair_open(&pair, transport, 0);
	transfer = transfer_of(pair.tx, parts, nr, 1);
	transfer.flags = flags;
	reader_start(&reader, pair.rx, parts, nr);
	error = fly(door, device, &transfer, completion);
	shutdown(pair.tx, SHUT_WR);
	verdict = reader_finish(&reader, error ? 0 : completion->bytes);
	pair_close(&pair);
	errno = -error;
	if (error)
		die("the transfer was refused");
	return verdict;
}

bool cursor_release(struct cursor *cursor, int fd, struct flight *flight,
		    uint64_t most)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	uint64_t since = 0;

	while (!flight_ended(flight)) {
		if (poll(&poller, 1, 1) == 1 && cursor && cursor->got < most &&
		    cursor_read(cursor, fd, 16 * KIB) <= 0)
			return false;
		if (!patience(&since))
			return false;
	}
	return true;
}

bool is_wire(enum transport transport)
{
	return transport == WIRE4 || transport == WIRE6;
}

uint32_t flags_released(enum transport transport)
{
	return ZCOPY_C_RELEASED | (is_wire(transport) ? 0 : ZCOPY_C_COPIED);
}

void roomy_open(struct pair *pair, enum transport transport)
{
	const int room = 8 * MIB;

	pair_open(pair, transport, 64 * KIB);
	if (setsockopt(pair->tx, SOL_SOCKET, SO_SNDBUFFORCE, &room,
		       sizeof(room)))
		die("SO_SNDBUFFORCE");
}

uint64_t accepted(int fd)
{
	struct tcp_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info.tcpi_bytes_sent - info.tcpi_bytes_retrans +
	       info.tcpi_notsent_bytes;
}

bool await_accepted(int fd, uint64_t bytes)
{
	uint64_t since = 0;

	do {
		if (accepted(fd) == bytes)
			return true;
	} while (patience(&since));
	return false;
}

bool await_full(int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	uint64_t since = 0;

	do {
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
			die("TCP_INFO");
		/* The peer has said that he takes no more. */
		if (!info.tcpi_unacked && info.tcpi_notsent_bytes &&
		    !poll(&poller, 1, 0))
			return true;
	} while (patience(&since));
	return false;
}

bool receive(int fd, char *buffer, uint64_t len)
{
	ssize_t n;

	while (len) {
		if (!await(fd, POLLIN))
			return false;
		n = recv(fd, buffer, len, 0);
		if (n <= 0)
			return false;
		buffer += n;
		len -= n;
	}
	return true;
}

void reset_on_close(int fd)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
}

void hog_open(struct pair *hog)
{
	roomy_open(hog, TCP4);
	reset_on_close(hog->tx);
	while (send(hog->tx, memory(0, 64 * KIB), 64 * KIB, MSG_DONTWAIT) > 0)
		;
}

char *file_map(const struct file *file)
{
	char *map = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 file->rw, 0);

	if (map == MAP_FAILED)
		die("mmap a file");
	return map;
}

static pid_t maker;

static void veth_remove(void)
{
	if (getpid() == maker && run("ip -n left link delete " VETH_NAME))
		die("remove the veth");
}

void veth_make(void)
{
	/* A program that was killed leaves it behind. */
	run("ip -n left link delete " VETH_NAME " 2>/dev/null || true");
	if (run("ip -n left link add " VETH_NAME
		" type veth peer name " VETH_NAME " netns right") ||
	    run("ip -n left address add 10.10.0.1/24 dev " VETH_NAME) ||
	    run("ip -n right address add 10.10.0.2/24 dev " VETH_NAME) ||
	    run("ip -n left link set " VETH_NAME " up") ||
	    run("ip -n right link set " VETH_NAME " up"))
		die("make a veth");
	maker = getpid();
	if (atexit(veth_remove))
		die("arrange for the veth");
}
