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
 * That pages are released when the network has let go of them, and that nobody
 * writes to them meanwhile, rests on what the network stack was taught in 2026. A
 * release that lacks some of it lets users write to files that they may only read,
 * or tells them too early:
 *
 *   6.12    .87 ESP does not decrypt shared fragments in place, .91 who moves fragments
 *           keeps the mark that they are shared, .92 GRO does not merge packets that a
 *           flight waits for, .94 pedit copies all that it writes to, .109 and .110
 *           nobody ends a flight for a packet's clone, .112 ESP gives fragments
 *           references before it changes them
 *   6.18    .28 ESP, .36 pedit, .42 IP-TFS keeps the mark, .50 and .51 clones
 *   7.2     .4 and .5 clones
 *   6.13 to 6.17, 6.19 to 7.1
 *           ended before the last of these
 *
 * Distributions that keep the number of an old release and add fixes are taken by the
 * number.
 */
#define ZCOPY_KERNEL_LACKS(code)					\
	((code) < KERNEL_VERSION(6, 12, 112) ||				\
	 ((code) >= KERNEL_VERSION(6, 13, 0) &&				\
	  (code) < KERNEL_VERSION(6, 18, 51)) ||			\
	 ((code) >= KERNEL_VERSION(6, 19, 0) &&				\
	  (code) < KERNEL_VERSION(7, 2, 5)))

#if ZCOPY_KERNEL_LACKS(LINUX_VERSION_CODE)
#error "zcopy needs Linux 6.12.112, 6.18.51 or newer ones of these series, or 7.2.5 or newer"
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

/* Newer ones than the tests were run with are told of once a build, by main.c. */
#if defined(ZCOPY_COMPAT_TELLS) && LINUX_VERSION_CODE >= KERNEL_VERSION(7, 4, 0)
#pragma message("zcopy was tested with Linux 6.12 to 7.3; this one is newer")
#endif

/* A test reads the above outside of the kernel. */
#ifdef __KERNEL__
#include <linux/io_uring/cmd.h>
#include <linux/pagemap.h>

/*
 * io_uring_cmd_done() has got another function for the second number of a wide
 * completion.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
#define zcopy_compat_cmd_done	io_uring_cmd_done
#else
#define zcopy_compat_cmd_done	io_uring_cmd_done32
#endif

/* io_uring_sqe_cmd() has got the type of what it finds. */
#ifdef io_uring_sqe_cmd
#define zcopy_compat_sqe_cmd	io_uring_sqe_cmd
#else
#define zcopy_compat_sqe_cmd(sqe, type)	((const type *)io_uring_sqe_cmd(sqe))
#endif

/*
 * Defines @name, to be passed to io_uring_cmd_complete_in_task(), which calls
 * @run(cmd, issue_flags, dead). @dead: the task that it is run for is gone.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define ZCOPY_COMPAT_TASK_WORK(name, run)				\
static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)	\
{									\
	run(cmd, issue_flags, issue_flags & IO_URING_F_TASK_DEAD);	\
}
#else
#define ZCOPY_COMPAT_TASK_WORK(name, run)				\
static void name(struct io_tw_req req, io_tw_token_t tw)		\
{									\
	run(io_uring_cmd_from_tw(req),					\
	    IO_URING_CMD_TASK_WORK_ISSUE_FLAGS, tw.cancel);		\
}
#endif

/* Asked, without a check that it is there, who else has the file open. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define ZCOPY_COMPAT_LEASE_CONFLICT(function)
#else
#define ZCOPY_COMPAT_LEASE_CONFLICT(function)	.lm_open_conflict = (function),
#endif

/* The lock that keeps holes from being punched meanwhile has become the caller's. */
static inline void zcopy_compat_ra_unbounded(struct readahead_control *ractl,
					     unsigned long pages)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	page_cache_ra_unbounded(ractl, pages, 0);
#else
	filemap_invalidate_lock_shared(ractl->mapping);
	page_cache_ra_unbounded(ractl, pages, 0);
	filemap_invalidate_unlock_shared(ractl->mapping);
#endif
}

#endif /* __KERNEL__ */
#endif /* ZCOPY_COMPAT_H */
