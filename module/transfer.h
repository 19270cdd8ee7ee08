/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_TRANSFER_H
#define ZCOPY_TRANSFER_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/zcopy.h>

#include "batch.h"
#include "stats.h"
#include "crew.h"

struct cred;
struct zcopy_context;
struct zcopy_lease;
struct zcopy_memory;
struct zcopy_record;
struct zcopy_stream;
struct zcopy_stretch;
struct zcopy_submitter;
struct zcopy_xfer;

/* The transfer flags this module serves. */
#define ZCOPY_FLAGS_SERVED	(ZCOPY_NODISKIO | ZCOPY_NOCACHE | ZCOPY_SYNC | \
				 ZCOPY_NOTIFY | ZCOPY_USER_READAHEAD | \
				 ZCOPY_LEASE | ZCOPY_MORE | ZCOPY_EXACT | \
				 ZCOPY_RESUME)

/* zcopy_range.len of a file range that ends where the file ends. */
#define ZCOPY_TO_EOF		U64_MAX

/**
 * struct zcopy_range - the bytes of a segment still to be sent
 * @file: where they come from; the range owns a reference. NULL: memory
 * @memory: memory only: where they are; the range owns a reference
 * @checked: file only, if @cached: it may be read up to there
 * @pos:  next byte: offset in @file, or in @memory
 * @len:  bytes left, or %ZCOPY_TO_EOF
 * @cached: the page-cache source serves @file, not the universal one
 *
 * A memory segment that spans page allocations is several ranges.
 */
struct zcopy_range {
	struct file *file;
	union {
		struct zcopy_memory *memory;
		u64 checked;
	};
	u64 pos;
	u64 len;
	bool cached;
};

/**
 * struct zcopy_brought - pages of a file that were read from the disk
 * @range: whose file it is
 * @first: page offset of the first one
 * @end:   page offset behind the last one
 */
struct zcopy_brought {
	unsigned int range;
	pgoff_t first;
	pgoff_t end;
};

/**
 * struct zcopy_xfer_ops - what is called when something happens to a transfer
 * @over:     its result is final, and it is off its stream's queue. Drops the
 *            use of who ran it
 * @lost:     it is over, and its submitter is gone before its release: what of
 *            it needs a process is to be given back, and it is to be told
 * @released: the last use of it is gone. Destroys it. Any context but hard
 *            interrupt, if it was @lost
 * @expire:   the time of a broken lease is over: end the transfer at *@place,
 *            if that is not NULL, which zcopy_context.lock guards
 * @refused:  it is not accepted, and its target would have been good. Called
 *            before it is destroyed
 *
 * They are its owner's, who stands above all that a transfer passes through.
 * Context: process, without a lock; may sleep.
 */
struct zcopy_xfer_ops {
	void (*over)(struct zcopy_xfer *xfer);
	void (*lost)(struct zcopy_xfer *xfer);
	void (*released)(struct zcopy_xfer *xfer);
	void (*expire)(struct zcopy_context *context, struct zcopy_xfer **place);
	void (*refused)(struct zcopy_xfer *xfer);
};

/**
 * struct zcopy_xfer - a transfer in the kernel
 * @ops:       whom to tell
 * @submitter: who submitted it; the transfer owns a reference
 * @context:   that one's
 * @target:    where it goes, NULL with ZCOPY_LOAD; the transfer owns a reference
 *             until it is over, and NULL then. The runner's, but for
 *             zcopy_stream_lose_target() while it is @asleep
 * @offset:    where in a target file the next byte goes
 * @size_limit: the submitter's RLIMIT_FSIZE
 * @unshared:  the range whose file can share no blocks with the target, or @nr
 * @uses:      see release.c
 * @flags:     ZCOPY_* transfer flags
 * @readahead: pages
 * @memory:    bytes of its memory segments
 * @charged:   bytes of kernel memory that its user pays for it
 * @result:    the completion, growing as the transfer goes
 * @counts:    what it counted so far
 * @queued:    not only the submitter's thread runs it
 * @corked:    the target holds bytes back that only a push sets free
 * @tail:      ditto, and the end of the transfer before may be among them
 * @asleep:    its runner waits for a file, and keeps off the target: under
 *             zcopy_context.lock
 * @begun:     its stream's runner has it; nobody else may end it, under
 *             zcopy_context.lock
 * @cancelled: it is to end; set by anybody, read by who runs it
 * @expired:   ditto, since the time of a broken lease ran out
 * @failed:    ditto, with this error; the runner's
 * @known:     the program knows that it ends early: what stands behind it goes on;
 *             under zcopy_context.lock
 * @gap:       the number of a gap that it stands behind, so that it is to end; 0:
 *             none. Under zcopy_context.lock until it is the head, see stream.c
 * @resumes:   the program knew of the gaps with numbers up to this one when it
 *             submitted it
 * @stripped:  it has no files, no pages and no target any more; set under
 *             zcopy_context.lock
 * @copied:    the network had to copy; set by anybody
 * @ra_range:  the range @ra and @alone are about, or @nr
 * @ra:        readahead state; the file's own is left to its readers
 * @alone:     see struct zcopy_need
 * @next:      first range with bytes left
 * @nr:        ranges
 * @behind:    the transfer that follows at once on the target, begun too, or
 *             NULL: its bytes may share this one's gather list, and they push
 *             what is held back
 * @stream:    whose queue it is in, or NULL; under zcopy_context.lock
 * @link:      place in that queue, then in zcopy_submitter.flying; under
 *             zcopy_context.lock
 * @work:      drops its pages where that may sleep
 * @by_user_data: in zcopy_context.by_user_data while it is in a queue and not
 *             @cancelled
 * @rcu:       frees it
 * @record:    where the completion goes, or the first one of two; queued
 *             transfers only, and NULL from then on, or from when its request
 *             waits no longer; under zcopy_context.lock
 * @notice:    where the second completion goes, %ZCOPY_NOTIFY only
 * @leases:    %ZCOPY_LEASE only: on its files
 * @brought:   %ZCOPY_NOCACHE only: the pages it brought in last, of a range
 * @stretch:   what the universal source has read for the run that follows, and
 *             NULL between runs: a transfer that waits holds no pages
 * @cred:      the submitter's, for who runs it later; queued transfers only
 * @ranges:    what is left to send
 *
 * One thread at a time runs a transfer; but for what is marked otherwise
 * nothing in here needs a lock.
 */
struct zcopy_xfer {
	const struct zcopy_xfer_ops *ops;
	struct zcopy_submitter *submitter;
	struct zcopy_context *context;
	struct file *target;
	loff_t offset;
	u64 size_limit;
	unsigned int unshared;
	atomic_t uses;
	u32 flags;
	u32 readahead;
	u32 memory;
	u32 charged;
	struct zcopy_completion result;
	union zcopy_counts counts;
	bool queued;
	bool corked;
	bool tail;
	bool asleep;
	bool begun;
	bool cancelled;
	bool expired;
	bool stripped;
	bool copied;
	int failed;
	bool known;
	u64 gap;
	u64 resumes;
	unsigned int ra_range;
	struct file_ra_state ra;
	pgoff_t alone;
	unsigned int next;
	unsigned int nr;
	struct zcopy_xfer *behind;
	struct zcopy_stream *stream;
	struct list_head link;
	struct zcopy_work work;
	union {
		struct rb_node by_user_data;
		struct rcu_head rcu;
	};
	struct zcopy_record *record;
	struct zcopy_record *notice;
	struct zcopy_lease *leases;
	struct zcopy_brought brought;
	struct zcopy_stretch *stretch;
	const struct cred *cred;
	struct zcopy_range ranges[] __counted_by(nr);
};

struct zcopy_xfer *zcopy_xfer_create(struct zcopy_submitter *submitter,
				     const struct zcopy_xfer_ops *ops,
				     unsigned int nr);
void zcopy_xfer_leave_target(struct zcopy_xfer *xfer);
struct file *zcopy_xfer_get_file(struct zcopy_xfer *xfer, unsigned int range);
void zcopy_xfer_strip(struct zcopy_xfer *xfer);
void zcopy_xfer_free(struct zcopy_xfer *xfer);
void zcopy_xfer_destroy(struct zcopy_xfer *xfer);

#endif /* ZCOPY_TRANSFER_H */
