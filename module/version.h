/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ZCOPY_VERSION_H
#define ZCOPY_VERSION_H

/* One place for the module's version, as a number and as a string. */
#define ZCOPY_VERSION_MAJOR	0
#define ZCOPY_VERSION_MINOR	1
#define ZCOPY_VERSION_PATCH	0

#define ZCOPY_VERSION_CODE						\
	(ZCOPY_VERSION_MAJOR << 16 | ZCOPY_VERSION_MINOR << 8 |		\
	 ZCOPY_VERSION_PATCH)

#define ZCOPY_VERSION_STRING						\
	__stringify(ZCOPY_VERSION_MAJOR) "."				\
	__stringify(ZCOPY_VERSION_MINOR) "."				\
	__stringify(ZCOPY_VERSION_PATCH)

#endif /* ZCOPY_VERSION_H */
