/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_DEVICE_H
#define ZCOPY_DEVICE_H

int zcopy_device_init(void);
void zcopy_device_exit(void);

#endif /* ZCOPY_DEVICE_H */
