// SPDX-License-Identifier: GPL-2.0-only
/* The device, and transfers through it. */
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "call.h"

int device_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("open " DEVICE);
	return fd;
}

void device_info(int device, struct zcopy_info *info)
{
	memset(info, 0, sizeof(*info));
	if (ioctl(device, ZCOPY_IOC_INFO, info))
		die("ZCOPY_IOC_INFO");
}

bool device_says(int device, short events)
{
	struct pollfd poller = { .fd = device, .events = POLLOUT };

	poll(&poller, 1, 0);
	return poller.revents == events;
}

void device_stats(int device, uint32_t scope, struct zcopy_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->scope = scope;
	if (ioctl(device, ZCOPY_IOC_STATS, stats))
		die("ZCOPY_IOC_STATS");
}

int send_parts(int device, int socket, const struct part *parts, size_t nr,
	       uint32_t flags, struct zcopy_completion *completion)
{
	struct zcopy_segment *segments = calloc(nr + 1, sizeof(*segments));
	struct zcopy_send send = {
		.transfer = {
			.user_data = 0x1122334455667788ULL ^ nr,
			.segments = (uintptr_t)segments,
			.nr_segments = nr,
			.socket = socket,
			.flags = flags,
		},
	};
	int error = 0;
	size_t i;

	if (!segments)
		die("memory for the segments");
	for (i = 0; i < nr; i++)
		segments[i] = parts[i].segment;
	if (ioctl(device, ZCOPY_IOC_SEND, &send))
		error = -errno;
	else if (send.completion.user_data != send.transfer.user_data)
		die("the completion carries another transfer's user_data");
	*completion = send.completion;
	free(segments);
	return error;
}

const char *deliver(int device, enum transport transport,
		    const struct part *parts, size_t nr, uint32_t flags,
		    struct zcopy_completion *completion)
{
	static char text[128];
	struct reader reader;
	struct pair pair;
	const char *verdict;
	int error;

	pair_open(&pair, transport, 0);
	reader_start(&reader, pair.rx, parts, nr);
	error = send_parts(device, pair.tx, parts, nr, flags, completion);
	shutdown(pair.tx, SHUT_WR);
	verdict = reader_finish(&reader, error ? 0 : completion->bytes);
	pair_close(&pair);
	if (!error || *verdict)
		return verdict;
	snprintf(text, sizeof(text), "refused: %s", strerror(-error));
	return text;
}

static void *send_alone(void *argument)
{
	struct sender *sender = argument;

	__atomic_store_n(&sender->tid, gettid(), __ATOMIC_RELEASE);
	sender->result = send_parts(sender->device, sender->socket,
				    sender->parts, sender->nr, sender->flags,
				    &sender->completion);
	if (sender->shut)
		shutdown(sender->socket, SHUT_WR);
	__atomic_store_n(&sender->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void sender_start(struct sender *sender)
{
	sender->tid = 0;
	sender->done = false;
	errno = pthread_create(&sender->thread, NULL, send_alone, sender);
	if (errno)
		die("start a sender");
}

bool sender_blocked(struct sender *sender)
{
	pid_t tid;

	do {
		tid = __atomic_load_n(&sender->tid, __ATOMIC_ACQUIRE);
	} while (!tid);
	return await_sleep(tid) &&
	       !__atomic_load_n(&sender->done, __ATOMIC_ACQUIRE);
}

void sender_finish(struct sender *sender)
{
	pthread_join(sender->thread, NULL);
}
