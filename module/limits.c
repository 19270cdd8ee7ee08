// SPDX-License-Identifier: GPL-2.0-only
/*
 * The limits, as module parameters. They may be changed while the module runs
 * and count for what is submitted from then on.
 */
#include <linux/errno.h>
#include <linux/kstrtox.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>

#include "limits.h"

struct limit {
	unsigned int value;
	unsigned int min;
	unsigned int max;
};

static int set_limit(const char *text, const struct kernel_param *param)
{
	struct limit *limit = param->arg;
	unsigned int value;
	int err;

	err = kstrtouint(text, 0, &value);
	if (err)
		return err;
	if (value < limit->min || value > limit->max)
		return -ERANGE;
	WRITE_ONCE(limit->value, value);
	return 0;
}

static int get_limit(char *text, const struct kernel_param *param)
{
	const struct limit *limit = param->arg;

	return sysfs_emit(text, "%u\n", READ_ONCE(limit->value));
}

static const struct kernel_param_ops limit_ops = {
	.set = set_limit,
	.get = get_limit,
};

static struct limit max_segments = { 1024, 1, 4096 };
module_param_cb(max_segments, &limit_ops, &max_segments, 0644);
MODULE_PARM_DESC(max_segments, "Segments a transfer (1-4096, default 1024)");

static struct limit max_memory = { SZ_64K, SZ_4K, SZ_1M };
module_param_cb(max_memory, &limit_ops, &max_memory, 0644);
MODULE_PARM_DESC(max_memory,
		 "Bytes of a transfer's memory segments (4096-1048576, default 65536)");

static struct limit max_transfers = { 16384, 1, 1U << 20 };
module_param_cb(max_transfers, &limit_ops, &max_transfers, 0644);
MODULE_PARM_DESC(max_transfers,
		 "Queued transfers of a context (1-1048576, default 16384)");

static struct limit max_completions = { 32768, 1, 1U << 21 };
module_param_cb(max_completions, &limit_ops, &max_completions, 0644);
MODULE_PARM_DESC(max_completions,
		 "Queued transfers and unread completions of a context (1-2097152, default 32768)");

static struct limit max_queued_memory = { SZ_64M, SZ_4K, SZ_1G };
module_param_cb(max_queued_memory, &limit_ops, &max_queued_memory, 0644);
MODULE_PARM_DESC(max_queued_memory,
		 "Bytes of memory segments in a context's queue (4096-1073741824, default 67108864)");

static struct limit max_user_contexts = { 8192, 1, 1U << 20 };
module_param_cb(max_user_contexts, &limit_ops, &max_user_contexts, 0644);
MODULE_PARM_DESC(max_user_contexts,
		 "Opens of the device of a user (1-1048576, default 8192)");

static struct limit max_user_transfers = { 1U << 20, 1, 1U << 26 };
module_param_cb(max_user_transfers, &limit_ops, &max_user_transfers, 0644);
MODULE_PARM_DESC(max_user_transfers,
		 "Queued transfers of a user (1-67108864, default 1048576)");

/* 0: not given. */
static struct limit max_user_pages = { 0, 1, UINT_MAX };
module_param_cb(max_user_pages, &limit_ops, &max_user_pages, 0644);
MODULE_PARM_DESC(max_user_pages,
		 "Pages of kernel memory of a user (1-4294967295, default a sixteenth of the machine's)");

static struct limit max_user_reads = { 16384, 1, 1U << 20 };
module_param_cb(max_user_reads, &limit_ops, &max_user_reads, 0644);
MODULE_PARM_DESC(max_user_reads,
		 "Reads of a user that no thread waits for (1-1048576, default 16384)");

void zcopy_limits_init(void)
{
	if (!max_user_pages.value)
		max_user_pages.value = clamp(totalram_pages() / 16, 1UL,
					     (unsigned long)UINT_MAX);
}

unsigned int zcopy_max_segments(void)
{
	return READ_ONCE(max_segments.value);
}

unsigned int zcopy_max_memory(void)
{
	return READ_ONCE(max_memory.value);
}

unsigned int zcopy_max_transfers(void)
{
	return READ_ONCE(max_transfers.value);
}

unsigned int zcopy_max_completions(void)
{
	return READ_ONCE(max_completions.value);
}

unsigned int zcopy_max_queued_memory(void)
{
	return READ_ONCE(max_queued_memory.value);
}

unsigned int zcopy_max_user_contexts(void)
{
	return READ_ONCE(max_user_contexts.value);
}

unsigned int zcopy_max_user_transfers(void)
{
	return READ_ONCE(max_user_transfers.value);
}

unsigned int zcopy_max_user_pages(void)
{
	return READ_ONCE(max_user_pages.value);
}

unsigned int zcopy_max_user_reads(void)
{
	return READ_ONCE(max_user_reads.value);
}
