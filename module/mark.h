/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_MARK_H
#define ZCOPY_MARK_H

struct file;
struct inode;
struct list_head;
struct zcopy_context;
struct zcopy_stream;

void zcopy_mark_identify(struct zcopy_stream *stream, struct file *target);
struct inode *zcopy_mark_make_sure(struct zcopy_stream *stream, struct file *target);
void zcopy_mark_keep_inode(struct zcopy_stream *stream, struct file *target);
void zcopy_mark_set(struct zcopy_stream *stream, struct list_head *gone);
void zcopy_mark_unset(struct zcopy_stream *stream);
void zcopy_mark_sweep(struct zcopy_context *context, unsigned int nr,
		      struct list_head *gone);
void zcopy_mark_forget(struct zcopy_stream *stream, struct list_head *gone);
void zcopy_mark_free_all(struct list_head *gone);

#endif /* ZCOPY_MARK_H */
