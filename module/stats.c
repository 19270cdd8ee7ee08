// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters: a transfer counts for itself and is added to the books of its
 * context and of the module when it ends, so nothing is shared while it runs.
 */
#include <linux/percpu.h>
#include <linux/zcopy.h>

#include "stats.h"

/* The module's books, one set a CPU; a gauge may go up here and down there. */
struct module_counts {
	union zcopy_counts counts;
	long active;
	long folios_held;
	long reads;
};

static DEFINE_PER_CPU(struct module_counts, module_counts);

void zcopy_account_init(struct zcopy_account *account)
{
	spin_lock_init(&account->lock);
}

/* A transfer begins; zcopy_account_end() is its counterpart. */
void zcopy_account_begin(struct zcopy_account *account)
{
	atomic_long_inc(&account->active);
	this_cpu_inc(module_counts.active);
}

/* A transfer ended: enter what it counted. Any context but hard interrupt. */
void zcopy_account_end(struct zcopy_account *account,
		       const union zcopy_counts *counts)
{
	unsigned long flags;
	size_t i;

	spin_lock_irqsave(&account->lock, flags);
	for (i = 0; i < ARRAY_SIZE(counts->words); i++)
		account->counts.words[i] += counts->words[i];
	/* Under the lock: nobody sees it as both, or neither. */
	atomic_long_dec(&account->active);
	spin_unlock_irqrestore(&account->lock, flags);

	for (i = 0; i < ARRAY_SIZE(counts->words); i++)
		this_cpu_add(module_counts.counts.words[i], counts->words[i]);
	this_cpu_dec(module_counts.active);
}

/* The network had to copy bytes. Any context: netpoll's frees have interrupts off. */
void zcopy_account_copied(struct zcopy_account *account, u64 bytes)
{
	unsigned long flags;

	spin_lock_irqsave(&account->lock, flags);
	account->counts.bytes_copied += bytes;
	spin_unlock_irqrestore(&account->lock, flags);
	this_cpu_add(module_counts.counts.bytes_copied, bytes);
}

/* Gather lists of the context took (or with a minus sign, dropped) folios. */
void zcopy_account_hold(struct zcopy_account *account, long folios)
{
	if (!folios)
		return;
	atomic_long_add(folios, &account->folios_held);
	this_cpu_add(module_counts.folios_held, folios);
}

void zcopy_account_read_begun(struct zcopy_account *account)
{
	atomic_long_inc(&account->reads);
	this_cpu_inc(module_counts.reads);
}

void zcopy_account_read_over(struct zcopy_account *account)
{
	atomic_long_dec(&account->reads);
	this_cpu_dec(module_counts.reads);
}

static void add_counts(struct zcopy_stats *stats,
		       const union zcopy_counts *counts)
{
	u64 *to = &stats->transfers;
	size_t i;

	BUILD_BUG_ON(offsetof(struct zcopy_stats, active) -
		     offsetof(struct zcopy_stats, transfers) != sizeof(*counts));
	for (i = 0; i < ARRAY_SIZE(counts->words); i++)
		to[i] += READ_ONCE(counts->words[i]);
}

void zcopy_account_tell(struct zcopy_account *account,
			struct zcopy_stats *stats)
{
	unsigned long flags;

	spin_lock_irqsave(&account->lock, flags);
	add_counts(stats, &account->counts);
	stats->active = atomic_long_read(&account->active);
	spin_unlock_irqrestore(&account->lock, flags);
	stats->folios_held = atomic_long_read(&account->folios_held);
	stats->reads = atomic_long_read(&account->reads);
}

void zcopy_account_tell_module(struct zcopy_stats *stats)
{
	long active = 0, folios_held = 0, reads = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct module_counts *m = per_cpu_ptr(&module_counts, cpu);

		add_counts(stats, &m->counts);
		active += READ_ONCE(m->active);
		folios_held += READ_ONCE(m->folios_held);
		reads += READ_ONCE(m->reads);
	}
	/* Read while they move, one CPU after the other: never below zero. */
	stats->active = max(active, 0L);
	stats->folios_held = max(folios_held, 0L);
	stats->reads = max(reads, 0L);
}
