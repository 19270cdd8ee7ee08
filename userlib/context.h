/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the library share. */
#ifndef ZCOPY_CONTEXT_H
#define ZCOPY_CONTEXT_H

struct zcopy {
	int fd;		/* constant from zcopy_open() to zcopy_close() */
};

/* context.c; they return 0 or a negative errno */
int zcopy_open_device(struct zcopy *zcopy);
void zcopy_close_device(const struct zcopy *zcopy);
int zcopy_control(const struct zcopy *zcopy, unsigned long request, void *arg);

#endif /* ZCOPY_CONTEXT_H */
