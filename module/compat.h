/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels zcopy supports; no other file asks for a
 * version.
 */
#ifndef ZCOPY_COMPAT_H
#define ZCOPY_COMPAT_H

#include <linux/kernel.h>
#include <linux/version.h>

/*
 * Fragments without references of their own, and pages that nobody may write to,
 * rest on what the network stack was taught in 2026. A release that lacks some of it
 * lets users write to files that they may only read, or to memory that is free:
 *
 *   6.12    .87 ESP does not decrypt shared fragments in place, .92 GRO does not
 *           merge packets that a flight waits for, .94 pedit copies all that it
 *           writes to, .109 and .110 nobody ends a flight for a packet's clone, .112
 *           ESP gives fragments references before it changes them
 *   6.13 to 6.17, 6.19
 *           ended before
 *   6.18    .28 ESP, as above; .36 pedit, as above
 *   7.0     .5 ESP, as above
 *
 * Of the other changes, in 6.18 and later, the first releases are not known here.
 * Distributions that keep the number of an old release and add fixes are taken by the
 * number.
 */
#define ZCOPY_KERNEL_LACKS(code)					\
	((code) < KERNEL_VERSION(6, 12, 112) ||				\
	 ((code) >= KERNEL_VERSION(6, 13, 0) &&				\
	  (code) < KERNEL_VERSION(6, 18, 36)) ||			\
	 ((code) >= KERNEL_VERSION(6, 19, 0) &&				\
	  (code) < KERNEL_VERSION(7, 0, 5)))

#if ZCOPY_KERNEL_LACKS(LINUX_VERSION_CODE)
#error "zcopy needs Linux 6.12.112, 6.18.36, 7.0.5 or a newer one of these series"
#endif

#ifndef CONFIG_VHOST_TASK
#error "zcopy needs a kernel with CONFIG_VHOST_TASK, as any with KVM or vhost has it"
#endif

#ifndef CONFIG_64BIT
#error "zcopy needs a 64-bit kernel: its counters are 64-bit words"
#endif

/*
 * The same of the kernel that runs, by its name: one that checks the versions of
 * symbols alone takes modules that were built for another release.
 */
static inline bool zcopy_compat_runs_on(const char *release)
{
	unsigned int major, minor, patch = 0;

	/* A release candidate has no third number. */
	if (sscanf(release, "%u.%u.%u", &major, &minor, &patch) < 2)
		return false;
	return !ZCOPY_KERNEL_LACKS(KERNEL_VERSION(major, minor, patch));
}

#endif /* ZCOPY_COMPAT_H */
