// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device and its ioctls. This door only translates: a request
 * becomes a transfer, and what became of the transfer an answer.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/zcopy.h>

#include "cancel.h"
#include "context.h"
#include "device.h"
#include "limits.h"
#include "queue.h"
#include "record.h"
#include "runner.h"
#include "send.h"
#include "sink.h"
#include "submitter.h"
#include "transfer.h"
#include "uring.h"
#include "user.h"
#include "version.h"

/* Copy out an answer to a caller that knows @usize bytes of it. */
static int put_answer(void __user *to, size_t usize, const void *answer,
		      size_t size)
{
	size_t known = min(usize, size);

	if (copy_to_user(to, answer, known))
		return -EFAULT;
	if (clear_user(to + known, usize - known))
		return -EFAULT;
	return 0;
}

static int do_info(void __user *arg, size_t usize)
{
	struct zcopy_info info = {
		.version = ZCOPY_VERSION_CODE,
		.transfer_flags = ZCOPY_FLAGS_SERVED,
		.features = ZCOPY_FEATURE_SEND | ZCOPY_FEATURE_STATS |
			    ZCOPY_FEATURE_SUBMIT | ZCOPY_FEATURE_URING |
			    ZCOPY_FEATURE_TARGETS | ZCOPY_FEATURE_EXACT |
			    ZCOPY_FEATURE_LOAD,
		.max_segments = zcopy_max_segments(),
		.max_memory = zcopy_max_memory(),
		.batch_bytes = ZCOPY_BATCH_BYTES,
		.max_queued_memory = zcopy_max_queued_memory(),
		.max_transfers = zcopy_max_transfers(),
		.max_completions = zcopy_max_completions(),
		.max_user_contexts = zcopy_max_user_contexts(),
		.max_user_transfers = zcopy_max_user_transfers(),
		.max_user_pages = zcopy_max_user_pages(),
		.max_user_reads = zcopy_max_user_reads(),
	};
	struct zcopy_user *user = zcopy_user_get(current_cred());
	u64 memory;

	if (!user)
		return -ENOMEM;
	memory = zcopy_user_uses(user, ZCOPY_USE_MEMORY);
	info.user_contexts = zcopy_user_uses(user, ZCOPY_USE_CONTEXTS);
	info.user_transfers = zcopy_user_uses(user, ZCOPY_USE_TRANSFERS);
	info.user_pages = DIV_ROUND_UP_ULL(memory, PAGE_SIZE);
	info.user_reads = zcopy_user_uses(user, ZCOPY_USE_READS);
	info.user_leases = zcopy_user_uses(user, ZCOPY_USE_LEASES);
	zcopy_user_put(user);
	return put_answer(arg, usize, &info, sizeof(info));
}

static int do_stats(struct zcopy_context *context, void __user *arg,
		    size_t usize)
{
	struct zcopy_stats stats = {};

	if (copy_from_user(&stats, arg, offsetofend(struct zcopy_stats, reserved)))
		return -EFAULT;
	if (stats.reserved)
		return -EINVAL;

	switch (stats.scope) {
	case ZCOPY_STATS_CONTEXT:
		zcopy_account_tell(&context->account, &stats);
		break;
	case ZCOPY_STATS_MODULE:
		/* Other users' doings. */
		if (!capable(CAP_SYS_ADMIN) && !capable(CAP_NET_ADMIN))
			return -EPERM;
		zcopy_account_tell_module(&stats);
		break;
	default:
		return -EINVAL;
	}
	return put_answer(arg, usize, &stats, sizeof(stats));
}

static int do_send(struct zcopy_context *context,
		   struct zcopy_send __user *arg, size_t usize)
{
	struct zcopy_send send;
	int err;

	err = copy_struct_from_user(&send, sizeof(send), arg, usize);
	if (err)
		return err;
	/* An answer that cannot be given is found out before the first byte. */
	if (copy_to_user(&arg->completion, &send.completion,
			 sizeof(send.completion)))
		return -EFAULT;

	err = zcopy_send_now(context, &send.transfer, &send.completion);
	if (err)
		return err;
	if (copy_to_user(&arg->completion, &send.completion,
			 sizeof(send.completion)))
		return -EFAULT;
	return 0;
}

/* Queue transfers until one is refused; how many were accepted. */
static unsigned int submit_all(struct zcopy_context *context,
			       const struct zcopy_submit *submit, int *error)
{
	void __user *from = u64_to_user_ptr(submit->transfers);
	struct zcopy_submitter *submitter = zcopy_submitter_get(context);
	unsigned int i;
	LIST_HEAD(ready);

	*error = submitter ? 0 : -ENOMEM;
	for (i = 0; submitter && i < submit->nr_transfers; i++) {
		struct zcopy_transfer transfer;
		struct zcopy_record *record;

		/* Nobody will hear of it. */
		*error = fatal_signal_pending(current) ? -EINTR :
			 copy_struct_from_user(&transfer, sizeof(transfer),
					       from, submit->transfer_size);
		if (*error)
			break;
		record = zcopy_queue_add(submitter, &transfer, NULL, &ready);
		if (IS_ERR(record)) {
			*error = PTR_ERR(record);
			break;
		}
		from += submit->transfer_size;
		cond_resched();
	}
	/* Only now: what is sent knows what comes behind it. */
	zcopy_runner_run_ready(&ready);
	if (submitter)
		zcopy_submitter_put(submitter);
	return i;
}

static int do_submit(struct zcopy_context *context,
		     struct zcopy_submit __user *arg, size_t usize)
{
	struct zcopy_submit submit;
	ktime_t timeout, end;
	ssize_t completed;
	unsigned int min;
	int err;

	err = copy_struct_from_user(&submit, sizeof(submit), arg, usize);
	if (err)
		return err;
	/* An answer that cannot be given is found out before the first byte. */
	if (put_answer(arg, usize, &submit, sizeof(submit)))
		return -EFAULT;
	if (submit.reserved ||
	    submit.transfer_size < sizeof(struct zcopy_transfer) ||
	    submit.min_completions > submit.max_completions)
		return -EINVAL;
	/* All of each is looked at. */
	if (submit.transfer_size > PAGE_SIZE)
		return -E2BIG;

	end = ktime_add_safe(ktime_get(), submit.timeout);
	submit.accepted = submit_all(context, &submit, &submit.error);
	min = submit.error ? 0 : submit.min_completions;
	timeout = submit.timeout < 0 ? KTIME_MAX : submit.timeout;
	completed = zcopy_record_wait_and_read(context,
					       u64_to_user_ptr(submit.completions),
					       submit.max_completions, min, timeout,
					       &err);
	submit.completed = max_t(ssize_t, completed, 0);
	if (!submit.accepted && !submit.completed) {
		if (completed < 0)
			return completed;
		/* Begun anew, the call waits for what is left of the time. */
		if (err == -ERESTARTSYS && submit.timeout >= 0 &&
		    put_user(max(ktime_sub(end, ktime_get()), 0), &arg->timeout))
			return -EFAULT;
		if (err == -ERESTARTSYS)
			return err;
	}
	return put_answer(arg, usize, &submit, sizeof(submit));
}

static int cancel_target(struct zcopy_context *context,
			 struct zcopy_cancel *request)
{
	struct file *target = fget(request->target);
	struct zcopy_submitter *submitter;

	if (!target)
		return -EBADF;
	if (!zcopy_sink_knows(target)) {
		fput(target);
		return -ENOTSOCK;
	}
	submitter = zcopy_submitter_find(context);
	request->cancelled = zcopy_cancel_target(context, target, submitter);
	if (submitter)
		zcopy_submitter_put(submitter);
	fput(target);
	return 0;
}

static int cancel(struct zcopy_context *context, struct zcopy_cancel *request)
{
	if (request->reserved ||
	    (request->user_data && request->what != ZCOPY_CANCEL_USER_DATA) ||
	    (request->target && request->what != ZCOPY_CANCEL_TARGET))
		return -EINVAL;

	switch (request->what) {
	case ZCOPY_CANCEL_USER_DATA:
		request->cancelled = zcopy_cancel_user_data(context,
							    request->user_data);
		return 0;
	case ZCOPY_CANCEL_TARGET:
		return cancel_target(context, request);
	case ZCOPY_CANCEL_ALL:
		request->cancelled = zcopy_cancel_all(context, false);
		return 0;
	}
	return -EINVAL;
}

static int do_cancel(struct zcopy_context *context,
		     struct zcopy_cancel __user *arg, size_t usize)
{
	struct zcopy_cancel request;
	int err;

	err = copy_struct_from_user(&request, sizeof(request), arg, usize);
	if (err)
		return err;
	err = cancel(context, &request);
	if (err)
		return err;
	return put_answer(arg, usize, &request, sizeof(request));
}

/* An argument must hold at least the first version of its structure. */
#define SIZE_INFO_V1	40
#define SIZE_STATS_V1	96
#define SIZE_SEND_V1	72
#define SIZE_SUBMIT_V1	56
#define SIZE_CANCEL_V1	24

static long zcopy_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zcopy_context *context = file->private_data;
	void __user *uarg = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);

	/* Numbers are compared without their size, which may have grown. */
	switch (cmd & ~IOCSIZE_MASK) {
	case ZCOPY_IOC_INFO & ~IOCSIZE_MASK:
		return size < SIZE_INFO_V1 ? -EINVAL : do_info(uarg, size);
	case ZCOPY_IOC_STATS & ~IOCSIZE_MASK:
		return size < SIZE_STATS_V1 ? -EINVAL :
					      do_stats(context, uarg, size);
	case ZCOPY_IOC_SEND & ~IOCSIZE_MASK:
		return size < SIZE_SEND_V1 ? -EINVAL :
					     do_send(context, uarg, size);
	case ZCOPY_IOC_SUBMIT & ~IOCSIZE_MASK:
		return size < SIZE_SUBMIT_V1 ? -EINVAL :
					       do_submit(context, uarg, size);
	case ZCOPY_IOC_CANCEL & ~IOCSIZE_MASK:
		return size < SIZE_CANCEL_V1 ? -EINVAL :
					       do_cancel(context, uarg, size);
	}
	return -ENOTTY;
}

static ssize_t zcopy_read(struct file *file, char __user *to, size_t size,
			  loff_t *unused)
{
	struct zcopy_context *context = file->private_data;
	size_t max = size / sizeof(struct zcopy_completion);
	ssize_t given;
	int err;

	if (!max)
		return -EINVAL;
	max = min_t(size_t, max, INT_MAX / sizeof(struct zcopy_completion));
	for (;;) {
		given = zcopy_record_read(context, (void __user *)to, max);
		if (given < 0)
			return given;
		if (given)
			return given * sizeof(struct zcopy_completion);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(context->wait,
					       READ_ONCE(context->nr_unread));
		if (err)
			return err;
	}
}

static __poll_t zcopy_poll(struct file *file, poll_table *wait)
{
	return zcopy_queue_poll(file->private_data, file, wait);
}

static int zcopy_open(struct inode *inode, struct file *file)
{
	struct zcopy_context *context = zcopy_context_create(&zcopy_queue_context_ops);

	if (IS_ERR(context))
		return PTR_ERR(context);
	file->private_data = context;
	return nonseekable_open(inode, file);
}

/* Called for each descriptor that is closed, be it by the process's exit. */
static int zcopy_flush(struct file *file, fl_owner_t owner)
{
	zcopy_queue_part(file->private_data);
	return 0;
}

static int zcopy_release(struct inode *inode, struct file *file)
{
	struct zcopy_context *context = file->private_data;

	zcopy_queue_close(context);
	zcopy_submitter_leave_all(context);
	zcopy_context_put(context);
	return 0;
}

static const struct file_operations zcopy_fops = {
	.owner = THIS_MODULE,
	.open = zcopy_open,
	.flush = zcopy_flush,
	.release = zcopy_release,
	.read = zcopy_read,
	.poll = zcopy_poll,
	.unlocked_ioctl = zcopy_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.uring_cmd = zcopy_uring_cmd,
};

/* For everybody: it gives no right that sendfile(2) does not give. */
static struct miscdevice zcopy_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "zcopy",
	.mode = 0666,
	.fops = &zcopy_fops,
};

/* Sizes and offsets are the contract, for 32-bit callers too. */
static void check_abi(void)
{
	BUILD_BUG_ON(sizeof(struct zcopy_segment) != 24);
	BUILD_BUG_ON(sizeof(struct zcopy_transfer) != 48);
	BUILD_BUG_ON(sizeof(struct zcopy_completion) != 24);
	BUILD_BUG_ON(sizeof(struct zcopy_uring) != 16);
	BUILD_BUG_ON(sizeof(struct zcopy_send) != SIZE_SEND_V1);
	BUILD_BUG_ON(sizeof(struct zcopy_info) != SIZE_INFO_V1 + 40);
	BUILD_BUG_ON(sizeof(struct zcopy_stats) != SIZE_STATS_V1 + 8);
	BUILD_BUG_ON(sizeof(struct zcopy_submit) != SIZE_SUBMIT_V1);
	BUILD_BUG_ON(sizeof(struct zcopy_cancel) != SIZE_CANCEL_V1);
}

int zcopy_device_init(void)
{
	check_abi();
	return misc_register(&zcopy_device);
}

void zcopy_device_exit(void)
{
	misc_deregister(&zcopy_device);
}
