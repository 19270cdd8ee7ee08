// SPDX-License-Identifier: GPL-2.0-only
/* The calls of the queue. */
#include <poll.h>
#include <sys/ioctl.h>

#include "call.h"
#include "submit.h"

/* A test is a process of its own: segments are freed when it ends. */
struct zcopy_transfer transfer_of(int socket, const struct part *parts,
				  size_t nr, uint64_t user_data)
{
	const struct zcopy_segment *segments = &parts->segment;
	struct zcopy_segment *copy;
	size_t i;

	if (nr > 1) {
		copy = calloc(nr, sizeof(*copy));
		if (!copy)
			die("memory for the segments");
		for (i = 0; i < nr; i++)
			copy[i] = parts[i].segment;
		segments = copy;
	}
	return (struct zcopy_transfer){
		.user_data = user_data,
		.segments = (uintptr_t)segments,
		.nr_segments = nr,
		.socket = socket,
	};
}

int submit_call(int device, struct zcopy_submit *submit)
{
	return ioctl(device, ZCOPY_IOC_SUBMIT, submit) ? -errno : 0;
}

int cancel_call(int device, struct zcopy_cancel *cancel)
{
	return ioctl(device, ZCOPY_IOC_CANCEL, cancel) ? -errno : 0;
}

struct zcopy_submit submit_of(const struct zcopy_transfer *transfers, size_t nr)
{
	return (struct zcopy_submit){
		.transfers = (uintptr_t)transfers,
		.nr_transfers = nr,
		.transfer_size = sizeof(*transfers),
	};
}

void submit_all(int device, const struct zcopy_transfer *transfers, size_t nr)
{
	struct zcopy_submit submit = submit_of(transfers, nr);

	errno = -submit_call(device, &submit);
	if (errno)
		die("ZCOPY_IOC_SUBMIT");
	errno = -submit.error;
	if (submit.accepted != nr || submit.error)
		die("%u of %zu transfers accepted", submit.accepted, nr);
}

void submit_one(int device, int socket, const struct part *part,
		uint64_t user_data)
{
	const struct zcopy_transfer transfer = transfer_of(socket, part, 1,
							   user_data);

	submit_all(device, &transfer, 1);
}

static size_t reap_until(int device, struct zcopy_completion *completions,
			 size_t max, size_t min, int64_t timeout)
{
	struct zcopy_submit submit = {
		.transfer_size = sizeof(struct zcopy_transfer),
		.completions = (uintptr_t)completions,
		.max_completions = max,
		.min_completions = min,
		.timeout = timeout,
	};

	errno = -submit_call(device, &submit);
	if (errno)
		die("collect completions");
	return submit.completed;
}

size_t reap_now(int device, struct zcopy_completion *completions, size_t max)
{
	return reap_until(device, completions, max, 0, 0);
}

size_t reap(int device, struct zcopy_completion *completions, size_t nr)
{
	size_t done = 0, n;

	/* One at a time would be slow, all at once would hide progress. */
	do {
		n = reap_until(device, completions + done, nr - done, 1,
			       PATIENCE_MS * 1000000LL);
		done += n;
	} while (n && done < nr);
	return done;
}

const char *completes(int device, uint64_t user_data, uint64_t bytes, int error,
		      uint32_t flags)
{
	static char text[200];
	struct zcopy_completion is;

	if (reap(device, &is, 1) != 1)
		return "no completion comes";
	if (is.user_data == user_data && is.bytes == bytes &&
	    is.error == error && is.flags == flags)
		return "";
	snprintf(text, sizeof(text),
		 "%llu: %llu bytes, error %d, flags %#x, and not %llu: %llu, %d, %#x",
		 (unsigned long long)is.user_data, (unsigned long long)is.bytes,
		 is.error, is.flags, (unsigned long long)user_data,
		 (unsigned long long)bytes, error, flags);
	return text;
}

static int cancel(int device, struct zcopy_cancel cancel)
{
	int error = cancel_call(device, &cancel);

	return error ? error : (int)cancel.cancelled;
}

int cancel_user_data(int device, uint64_t user_data)
{
	return cancel(device, (struct zcopy_cancel){
		.user_data = user_data, .what = ZCOPY_CANCEL_USER_DATA });
}

int cancel_socket(int device, int socket)
{
	return cancel(device, (struct zcopy_cancel){
		.socket = socket, .what = ZCOPY_CANCEL_SOCKET });
}

int cancel_all(int device)
{
	return cancel(device, (struct zcopy_cancel){
		.what = ZCOPY_CANCEL_ALL });
}

struct zcopy_stats stats_of(int device, uint32_t scope)
{
	struct zcopy_stats stats;

	device_stats(device, scope, &stats);
	return stats;
}

bool await_active(uint64_t nr)
{
	int device = device_open();
	bool reached = false;
	int tries;

	for (tries = 0; tries < PATIENCE_MS && !reached; tries++) {
		struct zcopy_stats stats = stats_of(device, ZCOPY_STATS_MODULE);

		reached = stats.active == nr && (nr || !stats.folios_held);
		if (!reached)
			poll(NULL, 0, 1);
	}
	close(device);
	return reached;
}
