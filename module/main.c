// SPDX-License-Identifier: GPL-2.0-only
/* Starts and stops the others. */
#include <linux/module.h>
#include <linux/stringify.h>

#include "batch.h"
#include "compat.h"
#include "device.h"
#include "lease.h"
#include "release.h"
#include "stream.h"
#include "version.h"

static int __init zcopy_init(void)
{
	int err;

	err = zcopy_batch_init();
	if (err)
		return err;
	err = zcopy_lease_init();
	if (err)
		goto exit_batch;
	err = zcopy_release_init();
	if (err)
		goto exit_lease;
	err = zcopy_stream_init();
	if (err)
		goto exit_release;
	err = zcopy_device_init();
	if (err)
		goto exit_stream;
	return 0;

exit_stream:
	zcopy_stream_exit();
exit_release:
	zcopy_release_exit();
exit_lease:
	zcopy_lease_exit();
exit_batch:
	zcopy_batch_exit();
	return err;
}

static void __exit zcopy_exit(void)
{
	zcopy_device_exit();
	zcopy_stream_exit();
	zcopy_release_exit();
	zcopy_lease_exit();
	zcopy_batch_exit();
}

module_init(zcopy_init);
module_exit(zcopy_exit);

MODULE_DESCRIPTION("File-to-socket transfers as gather lists of page references");
MODULE_AUTHOR("The zcopy authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(ZCOPY_VERSION_STRING);
