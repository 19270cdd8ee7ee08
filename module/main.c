// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the others. */
#define ZCOPY_COMPAT_TELLS
#include <linux/module.h>
#include <linux/stringify.h>
#include <linux/utsname.h>

#include "batch.h"
#include "compat.h"
#include "device.h"
#include "version.h"
#include "limits.h"
#include "worker.h"

static int __init zcopy_init(void)
{
	int err;

	if (!zcopy_compat_runs_on(init_utsname()->release)) {
		pr_err("zcopy: Linux %s lacks fixes that it needs\n",
		       init_utsname()->release);
		return -ENOEXEC;
	}
	err = zcopy_batch_init();
	if (err)
		return err;
	zcopy_limits_init();
	err = zcopy_worker_init();
	if (err)
		goto exit_batch;
	err = zcopy_device_init();
	if (err)
		goto exit_worker;
	return 0;

exit_worker:
	zcopy_worker_exit();
exit_batch:
	zcopy_batch_exit();
	return err;
}

static void __exit zcopy_exit(void)
{
	zcopy_device_exit();
	zcopy_worker_exit();
	zcopy_batch_exit();
}

module_init(zcopy_init);
module_exit(zcopy_exit);

MODULE_DESCRIPTION("File-to-socket transfers as gather lists of page references");
MODULE_AUTHOR("The zcopy authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(ZCOPY_VERSION_STRING);
