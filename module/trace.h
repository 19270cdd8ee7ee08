/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of a transfer. Guarantee: each one that was accepted shows one
 * zcopy_begin, then any number of zcopy_batch (its part of a gather list that
 * the target took some of; of no elements: what the target's filesystem shared
 * or copied by itself) and zcopy_wait, then one zcopy_end, all with the same
 * @xfer; what was sent of its batches adds up to the bytes of its end.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM zcopy

#if !defined(ZCOPY_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ZCOPY_TRACE_H

#include <linux/tracepoint.h>

#include "transfer.h"

TRACE_EVENT(zcopy_begin,
	TP_PROTO(const struct zcopy_xfer *xfer),
	TP_ARGS(xfer),
	TP_STRUCT__entry(
		__field(const void *, xfer)
		__field(u64, user_data)
		__field(unsigned int, ranges)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->xfer = xfer;
		__entry->user_data = xfer->result.user_data;
		__entry->ranges = xfer->nr;
		__entry->flags = xfer->flags;
	),
	TP_printk("xfer=%p user_data=%#llx ranges=%u flags=%#x",
		  __entry->xfer, __entry->user_data, __entry->ranges,
		  __entry->flags)
);

TRACE_EVENT(zcopy_batch,
	TP_PROTO(const struct zcopy_xfer *xfer, unsigned int elements,
		 size_t bytes, bool more, size_t sent),
	TP_ARGS(xfer, elements, bytes, more, sent),
	TP_STRUCT__entry(
		__field(const void *, xfer)
		__field(unsigned int, elements)
		__field(size_t, bytes)
		__field(bool, more)
		__field(size_t, sent)
	),
	TP_fast_assign(
		__entry->xfer = xfer;
		__entry->elements = elements;
		__entry->bytes = bytes;
		__entry->more = more;
		__entry->sent = sent;
	),
	TP_printk("xfer=%p elements=%u bytes=%zu more=%d sent=%zu",
		  __entry->xfer, __entry->elements, __entry->bytes,
		  __entry->more, __entry->sent)
);

TRACE_EVENT(zcopy_wait,
	TP_PROTO(const struct zcopy_xfer *xfer, bool disk),
	TP_ARGS(xfer, disk),
	TP_STRUCT__entry(
		__field(const void *, xfer)
		__field(bool, disk)
	),
	TP_fast_assign(
		__entry->xfer = xfer;
		__entry->disk = disk;
	),
	TP_printk("xfer=%p for=%s", __entry->xfer,
		  __entry->disk ? "disk" : "space")
);

TRACE_EVENT(zcopy_end,
	TP_PROTO(const struct zcopy_xfer *xfer),
	TP_ARGS(xfer),
	TP_STRUCT__entry(
		__field(const void *, xfer)
		__field(u64, user_data)
		__field(u64, bytes)
		__field(int, error)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->xfer = xfer;
		__entry->user_data = xfer->result.user_data;
		__entry->bytes = xfer->result.bytes;
		__entry->error = xfer->result.error;
		__entry->flags = xfer->result.flags;
	),
	TP_printk("xfer=%p user_data=%#llx bytes=%llu error=%d flags=%#x",
		  __entry->xfer, __entry->user_data, __entry->bytes,
		  __entry->error, __entry->flags)
);

#endif /* ZCOPY_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
