/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_LIMITS_H
#define ZCOPY_LIMITS_H

/* What a program can make the kernel hold; module parameters. */
unsigned int zcopy_max_segments(void);
unsigned int zcopy_max_memory(void);
unsigned int zcopy_max_transfers(void);
unsigned int zcopy_max_completions(void);
unsigned int zcopy_max_queued_memory(void);
unsigned int zcopy_max_user_contexts(void);
unsigned int zcopy_max_user_transfers(void);
unsigned int zcopy_max_user_pages(void);
unsigned int zcopy_max_user_reads(void);

void zcopy_limits_init(void);

#endif /* ZCOPY_LIMITS_H */
