/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_SINK_H
#define ZCOPY_SINK_H

#include <linux/fs.h>
#include <linux/net.h>
#include <linux/wait.h>

struct poll_table_struct;
struct zcopy_batch;
struct zcopy_xfer;

/*
 * A target may be NULL, which is that of ZCOPY_LOAD: it takes everything at once, and
 * keeps nothing.
 */

/* Is a target a regular file, which sleeps for locks and disks? */
static inline bool zcopy_sink_is_file(const struct file *target)
{
	return target && S_ISREG(file_inode(target)->i_mode);
}

/* Does it wait for room by itself? */
static inline bool zcopy_sink_blocks(struct file *target)
{
	return target && sock_from_file(target);
}

bool zcopy_sink_knows(struct file *target);
bool zcopy_sink_holds_files(struct file *target);
int zcopy_sink_check(struct file *target, loff_t offset);
size_t zcopy_sink_share(struct zcopy_xfer *xfer);
ssize_t zcopy_sink_send(struct file *target, struct zcopy_batch *batch,
			bool more, bool wait, bool *copied);
bool zcopy_sink_ready(struct file *target, struct poll_table_struct *table);
long zcopy_sink_patience(struct file *target);
bool zcopy_sink_restarts(struct file *target);
int zcopy_sink_wait(struct file *target, long *patience, unsigned int in_vain);
bool zcopy_sink_wakes(struct file *target, const wait_queue_head_t *head);
size_t zcopy_sink_room(struct file *target);
bool zcopy_sink_lags(struct file *target);
void zcopy_sink_push(struct file *target, bool last);
void zcopy_sink_close_by_nobody(struct file *target);

#endif /* ZCOPY_SINK_H */
