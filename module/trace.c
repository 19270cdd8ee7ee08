// SPDX-License-Identifier: GPL-2.0-only
/* The trace events' one instance. */
#include "batch.h"
#include "transfer.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
