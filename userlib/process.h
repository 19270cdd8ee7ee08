/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The context of the process, for calls that are not given one. All return 0
 * or a negative errno and leave errno alone.
 */
#ifndef ZCOPY_PROCESS_H
#define ZCOPY_PROCESS_H

#include <zcopy/zcopy.h>

int zcopy_process_open(void);
int zcopy_process_send(const struct zcopy_transfer *transfer,
		       struct zcopy_completion *completion);
int zcopy_process_info(struct zcopy_info *info);

#endif /* ZCOPY_PROCESS_H */
