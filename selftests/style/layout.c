// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of what programs and module share. Compiled for 64 and for 32
 * bits, never linked: a difference is an error of the compiler.
 */
#include <linux/zcopy.h>

#define SIZE(type, size)						\
	_Static_assert(sizeof(struct type) == (size), #type " has changed")
#define FIELD(type, field, offset)					\
	_Static_assert(__builtin_offsetof(struct type, field) == (offset), \
		       #type "." #field " has moved")

SIZE(zcopy_segment, 24);
FIELD(zcopy_segment, addr, 0);
FIELD(zcopy_segment, len, 8);
FIELD(zcopy_segment, fd, 16);
FIELD(zcopy_segment, flags, 20);

SIZE(zcopy_transfer, 48);
FIELD(zcopy_transfer, user_data, 0);
FIELD(zcopy_transfer, segments, 8);
FIELD(zcopy_transfer, nr_segments, 16);
FIELD(zcopy_transfer, target, 20);
FIELD(zcopy_transfer, socket, 20);
FIELD(zcopy_transfer, flags, 24);
FIELD(zcopy_transfer, readahead, 28);
FIELD(zcopy_transfer, offset, 32);
FIELD(zcopy_transfer, reserved, 40);

SIZE(zcopy_completion, 24);
FIELD(zcopy_completion, user_data, 0);
FIELD(zcopy_completion, bytes, 8);
FIELD(zcopy_completion, error, 16);
FIELD(zcopy_completion, flags, 20);

SIZE(zcopy_send, 72);
FIELD(zcopy_send, completion, 0);
FIELD(zcopy_send, transfer, 24);

SIZE(zcopy_info, 80);
FIELD(zcopy_info, version, 0);
FIELD(zcopy_info, transfer_flags, 4);
FIELD(zcopy_info, features, 8);
FIELD(zcopy_info, max_segments, 16);
FIELD(zcopy_info, max_memory, 20);
FIELD(zcopy_info, batch_bytes, 24);
FIELD(zcopy_info, max_queued_memory, 28);
FIELD(zcopy_info, max_transfers, 32);
FIELD(zcopy_info, max_completions, 36);
FIELD(zcopy_info, max_user_contexts, 40);
FIELD(zcopy_info, user_contexts, 56);
FIELD(zcopy_info, reserved, 76);

SIZE(zcopy_stats, 104);
FIELD(zcopy_stats, scope, 0);
FIELD(zcopy_stats, transfers, 8);
FIELD(zcopy_stats, bytes_copied, 32);
FIELD(zcopy_stats, folios_held, 88);
FIELD(zcopy_stats, reads, 96);

SIZE(zcopy_submit, 56);
FIELD(zcopy_submit, transfers, 0);
FIELD(zcopy_submit, completions, 8);
FIELD(zcopy_submit, nr_transfers, 16);
FIELD(zcopy_submit, transfer_size, 20);
FIELD(zcopy_submit, max_completions, 24);
FIELD(zcopy_submit, min_completions, 28);
FIELD(zcopy_submit, timeout, 32);
FIELD(zcopy_submit, accepted, 40);
FIELD(zcopy_submit, completed, 44);
FIELD(zcopy_submit, error, 48);
FIELD(zcopy_submit, reserved, 52);

SIZE(zcopy_cancel, 24);
FIELD(zcopy_cancel, user_data, 0);
FIELD(zcopy_cancel, socket, 8);
FIELD(zcopy_cancel, what, 12);
FIELD(zcopy_cancel, cancelled, 16);
FIELD(zcopy_cancel, reserved, 20);

SIZE(zcopy_uring, 16);
FIELD(zcopy_uring, transfer, 0);
FIELD(zcopy_uring, completion, 8);

_Static_assert(ZCOPY_IOC_INFO == 0xc050dc00, "ZCOPY_IOC_INFO has changed");
_Static_assert(ZCOPY_IOC_STATS == 0xc068dc01, "ZCOPY_IOC_STATS has changed");
_Static_assert(ZCOPY_IOC_SEND == 0xc048dc02, "ZCOPY_IOC_SEND has changed");
_Static_assert(ZCOPY_IOC_SUBMIT == 0xc038dc03,
	       "ZCOPY_IOC_SUBMIT has changed");
_Static_assert(ZCOPY_IOC_CANCEL == 0xc018dc04,
	       "ZCOPY_IOC_CANCEL has changed");
