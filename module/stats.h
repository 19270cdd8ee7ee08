/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_STATS_H
#define ZCOPY_STATS_H

#include <linux/atomic.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct zcopy_stats;

/*
 * What is counted of one transfer, of a context, of the module: these words of
 * struct zcopy_stats, in its order.
 */
union zcopy_counts {
	struct {
		u64 transfers;
		u64 bytes;
		u64 bytes_memory;
		u64 bytes_copied;
		u64 batches;
		u64 folios;
		u64 disk_waits;
		u64 file_errors;
		u64 socket_errors;
	};
	u64 words[9];
};

/**
 * struct zcopy_account - the books of a context
 * @lock:        guards @counts, and @active where a transfer comes to be in them
 * @counts:      of transfers that ended
 * @active:      transfers that have not ended
 * @folios_held: page-cache folios on gather lists
 * @reads:       struct zcopy_read, armed or about to be
 */
struct zcopy_account {
	spinlock_t lock;	/* any context, a leaf */
	union zcopy_counts counts;
	atomic_long_t active;
	atomic_long_t folios_held;
	atomic_long_t reads;
};

void zcopy_account_init(struct zcopy_account *account);
void zcopy_account_begin(struct zcopy_account *account);
void zcopy_account_end(struct zcopy_account *account,
		       const union zcopy_counts *counts);
void zcopy_account_copied(struct zcopy_account *account, u64 bytes);
void zcopy_account_hold(struct zcopy_account *account, long folios);
void zcopy_account_read_begun(struct zcopy_account *account);
void zcopy_account_read_over(struct zcopy_account *account);
void zcopy_account_tell(struct zcopy_account *account,
			struct zcopy_stats *stats);
void zcopy_account_tell_module(struct zcopy_stats *stats);

#endif /* ZCOPY_STATS_H */
