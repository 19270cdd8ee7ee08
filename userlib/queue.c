// SPDX-License-Identifier: LGPL-2.1-or-later
/* The queue's ioctls. */
#include <zcopy/queue.h>
#include "context.h"

int zcopy_submit_and_wait(struct zcopy *zcopy,
			  const struct zcopy_transfer *transfers,
			  unsigned int count,
			  struct zcopy_completion *completions,
			  unsigned int max, unsigned int min,
			  long long timeout, unsigned int *accepted, int *error)
{
	struct zcopy_submit arg = {
		.transfers = (uintptr_t)transfers,
		.completions = (uintptr_t)completions,
		.nr_transfers = count,
		.transfer_size = sizeof(*transfers),
		.max_completions = max,
		.min_completions = min,
		.timeout = timeout,
	};
	int failed;

	failed = zcopy_control(zcopy, ZCOPY_IOC_SUBMIT, &arg);
	if (failed) {
		arg.accepted = 0;
		arg.completed = 0;
		arg.error = count ? failed : 0;
	}
	if (accepted)
		*accepted = arg.accepted;
	if (error)
		*error = arg.error;
	return failed ? failed : (int)arg.completed;
}

int zcopy_submit(struct zcopy *zcopy, const struct zcopy_transfer *transfers,
		 unsigned int count, int *error)
{
	unsigned int accepted;
	int refused;
	int failed;

	failed = zcopy_submit_and_wait(zcopy, transfers, count, NULL, 0, 0, 0,
				       &accepted, &refused);
	if (error)
		*error = refused;
	if (failed)
		return failed;
	return accepted ? (int)accepted : refused;
}

int zcopy_wait_completions(struct zcopy *zcopy,
			   struct zcopy_completion *completions,
			   unsigned int max, unsigned int min,
			   long long timeout)
{
	return zcopy_submit_and_wait(zcopy, NULL, 0, completions, max, min,
				     timeout, NULL, NULL);
}

int zcopy_peek_completions(struct zcopy *zcopy,
			   struct zcopy_completion *completions,
			   unsigned int max)
{
	return zcopy_wait_completions(zcopy, completions, max, 0, 0);
}

static int cancel(struct zcopy *zcopy, struct zcopy_cancel *arg)
{
	int failed = zcopy_control(zcopy, ZCOPY_IOC_CANCEL, arg);

	return failed ? failed : (int)arg->cancelled;
}

int zcopy_cancel(struct zcopy *zcopy, __u64 user_data)
{
	struct zcopy_cancel arg = {
		.user_data = user_data,
		.what = ZCOPY_CANCEL_USER_DATA,
	};

	return cancel(zcopy, &arg);
}

int zcopy_cancel_socket(struct zcopy *zcopy, int socket)
{
	struct zcopy_cancel arg = {
		.socket = socket,
		.what = ZCOPY_CANCEL_SOCKET,
	};

	return cancel(zcopy, &arg);
}

int zcopy_cancel_all(struct zcopy *zcopy)
{
	struct zcopy_cancel arg = { .what = ZCOPY_CANCEL_ALL };

	return cancel(zcopy, &arg);
}
