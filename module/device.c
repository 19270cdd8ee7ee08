// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device and its ioctls. This door only translates: a request
 * becomes a transfer, and what became of the transfer an answer.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched/xacct.h>
#include <linux/uaccess.h>
#include <linux/zcopy.h>

#include "context.h"
#include "device.h"
#include "transfer.h"
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
	const struct zcopy_info info = {
		.version = ZCOPY_VERSION_CODE,
		.transfer_flags = ZCOPY_FLAGS_SERVED,
		.features = ZCOPY_FEATURE_SEND | ZCOPY_FEATURE_STATS,
		.max_segments = ZCOPY_MAX_SEGMENTS,
		.max_memory = ZCOPY_MAX_MEMORY,
		.batch_bytes = ZCOPY_BATCH_BYTES,
	};

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
		zcopy_account_read(&context->account, &stats);
		break;
	case ZCOPY_STATS_MODULE:
		zcopy_account_read_module(&stats);
		break;
	default:
		return -EINVAL;
	}
	return put_answer(arg, usize, &stats, sizeof(stats));
}

/* One transfer, here and now. */
static int run_now(struct zcopy_context *context,
		   const struct zcopy_transfer *transfer,
		   struct zcopy_completion *completion)
{
	struct zcopy_xfer *xfer;
	int err = 0;

	xfer = zcopy_xfer_create(context, transfer);
	if (IS_ERR(xfer))
		return PTR_ERR(xfer);

	zcopy_xfer_run(xfer, ZCOPY_MAY_READ | ZCOPY_MAY_WAIT);
	*completion = xfer->result;
	zcopy_xfer_destroy(xfer);

	add_rchar(current, completion->bytes);
	add_wchar(current, completion->bytes);
	inc_syscr(current);
	inc_syscw(current);

	/* Interrupted before the first byte: as if it had not been called. */
	if (completion->error == -ERESTARTSYS || completion->error == -EINTR) {
		if (!completion->bytes)
			err = completion->error;
		completion->error = -EINTR;
	}
	return err;
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

	err = run_now(context, &send.transfer, &send.completion);
	if (err)
		return err;
	if (copy_to_user(&arg->completion, &send.completion,
			 sizeof(send.completion)))
		return -EFAULT;
	return 0;
}

/* An argument must hold at least the first version of its structure. */
#define SIZE_INFO_V1	32
#define SIZE_STATS_V1	96
#define SIZE_SEND_V1	72

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
	}
	return -ENOTTY;
}

static int zcopy_open(struct inode *inode, struct file *file)
{
	struct zcopy_context *context = zcopy_context_create();

	if (!context)
		return -ENOMEM;
	file->private_data = context;
	return nonseekable_open(inode, file);
}

static int zcopy_release(struct inode *inode, struct file *file)
{
	zcopy_context_destroy(file->private_data);
	return 0;
}

static const struct file_operations zcopy_fops = {
	.owner = THIS_MODULE,
	.open = zcopy_open,
	.release = zcopy_release,
	.unlocked_ioctl = zcopy_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
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
	BUILD_BUG_ON(sizeof(struct zcopy_send) != SIZE_SEND_V1);
	BUILD_BUG_ON(sizeof(struct zcopy_info) != SIZE_INFO_V1);
	BUILD_BUG_ON(sizeof(struct zcopy_stats) != SIZE_STATS_V1);
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
