/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * zcopy: transfers of files to sockets, pipes and files, as gather lists of
 * page references.
 *
 * This header is the contract between /dev/zcopy and programs. All types have
 * a fixed width and the same layout for 32-bit and 64-bit callers. Structures
 * passed to an ioctl grow at their end only: the size encoded in the ioctl
 * number tells the module which version a program was built with, and what a
 * program leaves out reads as zero.
 */
#ifndef _UAPI_LINUX_ZCOPY_H
#define _UAPI_LINUX_ZCOPY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * define ZCOPY_MEMORY - value of zcopy_segment.fd that names a memory segment
 *
 * Not -1, so that the result of an open() that failed is never taken for it.
 */
#define ZCOPY_MEMORY	(-2)

/**
 * define ZCOPY_LOAD - value of zcopy_transfer.target that names no target
 *
 * The transfer brings its segments' bytes into memory, as readahead(2) does, and
 * completes when they are there: zcopy_completion.bytes of them, or with the error
 * for which they could not be. They stay as what a program has read stays; memory
 * segments are there already. Such a transfer waits for no other one. With
 * %ZCOPY_NODISKIO it says whether they are there.
 */
#define ZCOPY_LOAD	(-3)

/**
 * struct zcopy_segment - one part of a transfer
 * @addr:  file segment: offset of the first byte in the file, 0 to 2^63 - 1;
 *         memory segment: the user address of the first byte
 * @len:   bytes. In a file segment 0 means "to the end of the file", whose
 *         size is read again as the transfer goes; in a memory segment 0 means
 *         nothing
 * @fd:    a regular file or shared-memory object open for reading, or
 *         %ZCOPY_MEMORY
 * @flags: must be 0
 *
 * A memory segment is copied before the ioctl returns, so its buffer is the
 * caller's again at once. The file position of @fd is neither used nor moved.
 */
struct zcopy_segment {
	__u64 addr;
	__u64 len;
	__s32 fd;
	__u32 flags;
};

/**
 * DOC: files
 *
 * Where the page cache is the file (local filesystems such as ext4, XFS, Btrfs
 * or tmpfs, overlayfs over them) its pages are looked up and sent. Any other
 * regular file that sendfile(2) can send at an offset is asked for its bytes
 * first, which may wait: NFS, FUSE, 9p, files opened with O_DIRECT, DAX. Of FUSE
 * they are those that read(2) gives, whatever the file's size says. What makes its
 * content for who reads it (/proc, /sys) can be sent by %ZCOPY_IOC_SEND alone, since
 * its content may depend on the calling thread.
 */

/**
 * DOC: transfer flags
 *
 * %ZCOPY_NODISKIO
 *	Never read the disk: a page that is not cached and up to date ends the
 *	transfer with -EBUSY and the bytes that went. So does any part of a file
 *	that must be asked for its bytes, see above: whether that waits is not
 *	known before.
 * %ZCOPY_NOCACHE
 *	Drop from the page cache what this transfer brought in, once it is
 *	released. Pages that were cached before, and those that somebody else
 *	uses, maps or has written to meanwhile, stay; so do those of a file that
 *	must be asked for its bytes, as nobody tells who brought them in.
 * %ZCOPY_SYNC
 *	Complete at the release: when the target no longer references any page
 *	of the transfer, so that the files may be changed. Not with
 *	%ZCOPY_NOTIFY. Nobody can tell of a pipe: with this flag,
 *	%ZCOPY_NOTIFY, %ZCOPY_NOCACHE or %ZCOPY_LEASE it gets a copy, which is
 *	released at once. So does a socket with SO_ZEROCOPY, and one on which TCP
 *	probes for a larger MTU. A file has nothing but copies.
 * %ZCOPY_NOTIFY
 *	Two completions: one when all is sent, with %ZCOPY_C_MORE, and one at
 *	the release. The first one comes the way the transfer was submitted,
 *	the second one always by read(2) or %ZCOPY_IOC_SUBMIT. The transfer
 *	counts twice for the limits of the queue.
 * %ZCOPY_USER_READAHEAD
 *	Read ahead exactly zcopy_transfer.readahead pages, of which no more
 *	than 8 MiB are asked for at a time. Without this flag
 *	the larger of that number and the kernel's own heuristic is used. A file
 *	that must be asked for its bytes is read ahead as its own filesystem
 *	does it.
 * %ZCOPY_LEASE
 *	Hold a read lease, as fcntl(F_SETLEASE) knows it, on each file from now
 *	until the release. Who truncates a file or opens it for writing waits
 *	so long, but at most fs.lease-break-time; then the transfer ends with
 *	-ESTALE. The program's own leases are left alone.
 * %ZCOPY_MORE
 *	More data follows on this socket: do not push the last partial packet.
 *	It means nothing for other targets.
 * %ZCOPY_EXACT
 *	A file segment with a length gives exactly so many bytes, or the transfer
 *	fails there, with -ENODATA and %ZCOPY_C_TRUNCATED. So zcopy_completion.bytes
 *	are a prefix of the segments in any case, and tell which one failed. Without
 *	this flag the segments behind a file that ended early follow on what it
 *	gave. A segment "to the end of the file" gives what there is.
 * %ZCOPY_RESUME
 *	The program knows that earlier transfers to this target failed, and that
 *	what they lack is missing there: this one is to be sent all the same. See
 *	"a target that failed". It means nothing to %ZCOPY_IOC_SEND and for files.
 *
 * A flag the running module does not know is refused with EINVAL, never
 * ignored; zcopy_info.transfer_flags tells which ones it knows.
 */
#define ZCOPY_NODISKIO		0x01
#define ZCOPY_NOCACHE		0x02
#define ZCOPY_SYNC		0x04
#define ZCOPY_NOTIFY		0x08
#define ZCOPY_USER_READAHEAD	0x10
#define ZCOPY_LEASE		0x20
#define ZCOPY_MORE		0x40
#define ZCOPY_EXACT		0x80
#define ZCOPY_RESUME		0x100

/**
 * DOC: a target that failed
 *
 * The peer of a connection must never take the bytes of one response for the rest
 * of another. So when a queued transfer to a socket or pipe ends with an error, or
 * cancelled, with bytes missing, what is queued behind it on that target ends too,
 * with -ECANCELED and %ZCOPY_C_CANCELLED, and so does whatever the same process
 * submits there in this context from then on: the completion that says so may have
 * been delivered, and yet not been seen by who submits. The same is true of a
 * transfer that %ZCOPY_IOC_SUBMIT refuses once its target was found good, and of
 * each one that an SQE asks for and that is refused, if it can be read at all.
 *
 * It ends when the program says that it knows: by %ZCOPY_RESUME on the next
 * transfer, or by %ZCOPY_CANCEL_TARGET. What it says is about what has failed by
 * then, and what ends behind that; a transfer that fails later is not among it, but
 * for those that %ZCOPY_CANCEL_TARGET itself ends. Where several threads send to one
 * target, one of them says so, or they agree. -EAGAIN and -EINTR are no failure to
 * %ZCOPY_IOC_SUBMIT, which accepts nothing behind a transfer that it refuses.
 *
 * A target that failed counts as a completion that was not read, until then or until
 * it is closed; those with %ZCOPY_RESUME and %ZCOPY_LOAD are accepted all the same. Of
 * a named pipe nobody can tell whether it was closed and opened again: only the last
 * 256 of these that failed are remembered, and a program that closes one says first
 * that it knows.
 *
 * %ZCOPY_C_TRUNCATED without %ZCOPY_EXACT is no failure. %ZCOPY_IOC_SEND, whose caller
 * hears of each before the next, files as targets, other processes and other
 * contexts stand outside of this.
 */

/** define ZCOPY_MAX_READAHEAD - largest zcopy_transfer.readahead, in pages */
#define ZCOPY_MAX_READAHEAD	65535U

/**
 * struct zcopy_transfer - one unit of work: a vector of segments to a target
 * @user_data:   any value; comes back in the completion
 * @segments:    user address of an array of struct zcopy_segment, sent in order
 * @nr_segments: elements of @segments, 1 to zcopy_info.max_segments
 * @target:      descriptor of a connected stream socket: TCP (IPv4, IPv6,
 *               kernel TLS included), MPTCP, AF_UNIX or AF_VSOCK; or, with
 *               %ZCOPY_FEATURE_TARGETS, of a pipe or a regular file that is
 *               open for writing; or, with %ZCOPY_FEATURE_LOAD, %ZCOPY_LOAD
 * @socket:      the same, by its older name
 * @flags:       ZCOPY_* transfer flags
 * @readahead:   pages, 0 to %ZCOPY_MAX_READAHEAD
 * @offset:      where in a file the first byte goes, 0 to 2^63 - 1; 0 for
 *               sockets, pipes and %ZCOPY_LOAD
 * @reserved:    must be 0
 *
 * The file position of @target is neither used nor moved. A file grows as
 * needed; what of it lies beyond the last byte stays. Where its filesystem can
 * make the file share blocks with a segment's, it does, and nothing is copied.
 */
struct zcopy_transfer {
	__u64 user_data;
	__u64 segments;
	__u32 nr_segments;
	union {
		__s32 target;
		__s32 socket;
	};
	__u32 flags;
	__u32 readahead;
	__u64 offset;
	__u64 reserved;
};

/**
 * DOC: completion flags
 *
 * %ZCOPY_C_MORE
 *	The transfer has one more completion, at its release.
 * %ZCOPY_C_RELEASED
 *	The target no longer references any page of the transfer.
 * %ZCOPY_C_COPIED
 *	The kernel had to copy payload: the socket's protocol or the card it
 *	sends through cannot gather, or somebody at this end receives or
 *	watches the packets. That may be known at the release only. Of a file:
 *	not all of it are blocks shared with the segments' files.
 * %ZCOPY_C_CANCELLED
 *	The transfer was cancelled after @bytes, or one before it on the same
 *	target failed; zcopy_completion.error is -ECANCELED.
 * %ZCOPY_C_TRUNCATED
 *	A file ended before the length asked for. The segments behind it were
 *	sent all the same; with %ZCOPY_EXACT nothing of them was.
 * %ZCOPY_C_LEASE_BROKEN
 *	Somebody wants to change a file of a transfer with %ZCOPY_LEASE, or had
 *	to wait until now. In a completion of the release without
 *	%ZCOPY_C_RELEASED: the time ran out before the release, and the peer may
 *	have got bytes of a file that was changed meanwhile.
 * %ZCOPY_C_FILE_ERROR
 *	zcopy_completion.error is the file's.
 * %ZCOPY_C_TARGET_ERROR
 *	zcopy_completion.error is the target's. %ZCOPY_C_SOCKET_ERROR is its
 *	older name.
 */
#define ZCOPY_C_MORE		0x01
#define ZCOPY_C_RELEASED	0x02
#define ZCOPY_C_COPIED		0x04
#define ZCOPY_C_TRUNCATED	0x08
#define ZCOPY_C_LEASE_BROKEN	0x10
#define ZCOPY_C_CANCELLED	0x20
#define ZCOPY_C_FILE_ERROR	0x40
#define ZCOPY_C_TARGET_ERROR	0x80
#define ZCOPY_C_SOCKET_ERROR	ZCOPY_C_TARGET_ERROR

/**
 * struct zcopy_completion - what became of a transfer
 * @user_data: that of the transfer
 * @bytes:     bytes the target accepted, of all segments together; they are a
 *             prefix of the segment vector unless %ZCOPY_C_TRUNCATED is set and
 *             %ZCOPY_EXACT was not
 * @error:     0, or a negative errno that ended the transfer after @bytes
 * @flags:     ZCOPY_C_* completion flags
 *
 * Values of @error and their one cause:
 *
 * ======== ==================================================================
 * -EAGAIN  ZCOPY_IOC_SEND: the socket or pipe is O_NONBLOCK, or SO_SNDTIMEO ran
 *          out, and it is full, or not connected yet, or TCP has no memory; else:
 *          it had to wait, and a limit (RLIMIT_NPROC, a control group's) keeps the
 *          process from having a thread for that
 * -EINVAL  it had to wait, and the process can have no thread for that since it
 *          called unshare(2) or setns(2) with CLONE_NEWPID; with
 *          ZCOPY_C_TARGET_ERROR: the file has become O_APPEND
 * -EBUSY   ZCOPY_NODISKIO, and a page was not in memory, or might not be
 * -ECANCELED
 *          with ZCOPY_C_CANCELLED: see ZCOPY_IOC_CANCEL and "a target that failed"
 * -EINTR   ZCOPY_IOC_SEND only: a signal arrived; with ZCOPY_SYNC and all bytes
 *          sent it kept the call from waiting for the release
 * -EPIPE   the socket was shut down for sending, here or by the peer; nobody
 *          has the pipe open for reading
 * -EFBIG   with ZCOPY_C_TARGET_ERROR: the file would grow over what its
 *          filesystem can hold, or over the RLIMIT_FSIZE of the process when
 *          it submitted the transfer. SIGXFSZ is not raised
 * -EIO     with ZCOPY_C_FILE_ERROR: the file could not be read
 * -ENODATA with ZCOPY_C_FILE_ERROR and ZCOPY_C_TRUNCATED: ZCOPY_EXACT, and the
 *          file ended before the length asked for
 * -ESTALE  with ZCOPY_C_LEASE_BROKEN: the time of a broken lease ran out before
 *          all was sent
 * -ENOMEM  no memory for the gather list or for a page of the file
 * other    with ZCOPY_C_TARGET_ERROR: the socket's pending error (ECONNRESET,
 *          ETIMEDOUT, ...) or that of the target's filesystem (ENOSPC, EDQUOT,
 *          EIO, ...); with ZCOPY_C_FILE_ERROR: the source's filesystem's
 * ======== ==================================================================
 */
struct zcopy_completion {
	__u64 user_data;
	__u64 bytes;
	__s32 error;
	__u32 flags;
};

/**
 * struct zcopy_send - argument of ZCOPY_IOC_SEND
 * @completion: out; keeps its value when the ioctl fails
 * @transfer:   in
 */
struct zcopy_send {
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
};

/**
 * struct zcopy_submit - argument of ZCOPY_IOC_SUBMIT
 * @transfers:       in; user address of an array of struct zcopy_transfer
 * @completions:     in; user address of an array that completions go to, or 0
 * @nr_transfers:    in; elements of @transfers, may be 0
 * @transfer_size:   in; sizeof(struct zcopy_transfer) of the program
 * @max_completions: in; elements of @completions, 0 if that is 0
 * @min_completions: in; wait until so many can be given or no transfer is under
 *                   way, 0 to @max_completions; it does not wait with @error
 * @timeout:         in; nanoseconds to wait at most; negative: for ever. What is
 *                   left of them comes back when a signal ends the call before
 *                   a transfer was accepted or a completion given
 * @accepted:        out; transfers that were accepted, the first ones of
 *                   @transfers
 * @completed:       out; elements of @completions that were filled
 * @error:           out; why the transfer behind the accepted ones was
 *                   refused: a negative errno of ZCOPY_IOC_SEND's list;
 *                   -EAGAIN, a limit of the queue is reached; or -EINTR, the
 *                   process is being stopped, frozen or killed; else 0
 * @reserved:        must be 0
 */
struct zcopy_submit {
	__u64 transfers;
	__u64 completions;
	__u32 nr_transfers;
	__u32 transfer_size;
	__u32 max_completions;
	__u32 min_completions;
	__s64 timeout;
	__u32 accepted;
	__u32 completed;
	__s32 error;
	__u32 reserved;
};

/* What zcopy_cancel.what names. */
#define ZCOPY_CANCEL_USER_DATA	0	/* transfers with this user_data */
#define ZCOPY_CANCEL_TARGET	1	/* transfers to this open file */
#define ZCOPY_CANCEL_SOCKET	ZCOPY_CANCEL_TARGET
#define ZCOPY_CANCEL_ALL	2	/* all of this context */

/**
 * struct zcopy_cancel - argument of ZCOPY_IOC_CANCEL
 * @user_data: in; for %ZCOPY_CANCEL_USER_DATA, else 0
 * @target:    in; descriptor, for %ZCOPY_CANCEL_TARGET, else 0. Transfers to the
 *             same file, opened once more, are others
 * @socket:    the same, by its older name
 * @what:      in; ZCOPY_CANCEL_*
 * @cancelled: out; transfers that this call asked to end; one that was asked
 *             before is not counted again
 * @reserved:  must be 0
 */
struct zcopy_cancel {
	__u64 user_data;
	union {
		__s32 target;
		__s32 socket;
	};
	__u32 what;
	__u32 cancelled;
	__u32 reserved;
};

/**
 * struct zcopy_uring - what an SQE of IORING_OP_URING_CMD holds in sqe->cmd
 * @transfer:   user address of a struct zcopy_transfer
 * @completion: user address of a struct zcopy_completion
 *
 * sqe->fd is the device, sqe->cmd_op is %ZCOPY_URING_SEND. @transfer, its
 * segments and its memory are read before io_uring_enter() returns; in a ring
 * with IORING_SETUP_SQPOLL, and for an SQE that is linked behind another or
 * drained, before the completion.
 *
 * Kernels that do not copy an SQE (Linux 6.12) read one that is linked behind
 * another in its place in the ring, when its turn comes, unless it has IOSQE_ASYNC
 * or IOSQE_IO_DRAIN. If another one lies there by then, with another user_data, fd
 * or cmd_op, it is refused, with -EBADR. A program that gives requests under way the
 * same user_data, or writes that last, sets IOSQE_ASYNC.
 *
 * cqe->res is negative when the transfer was refused (an errno of
 * ZCOPY_IOC_SEND's list; -EAGAIN, a limit of the queue is reached; -EINTR, the
 * process is being stopped, frozen or killed; or -EBADR, see above; nothing was
 * sent and @completion keeps its value) or ended by an error, which @completion
 * holds too, with the bytes that went. Otherwise cqe->res is the bytes, or INT_MAX
 * if they are more; @completion always has the exact number, and so has big_cqe[0]
 * in a ring with IORING_SETUP_CQE32, or with IORING_SETUP_CQE_MIXED, where each of
 * these CQEs is a large one. @completion is written before the CQE can be seen,
 * unless the thread that submitted has exited: then it keeps its value.
 *
 * These transfers count for the context's limits as others do. Their
 * completions come from the ring, not from read() or ZCOPY_IOC_SUBMIT, but for
 * the second one of %ZCOPY_NOTIFY.
 * ZCOPY_IOC_CANCEL ends them, and so does the exit of the ring;
 * IORING_OP_ASYNC_CANCEL does not find requests of devices (Linux 6.12 to 7.3). A
 * ring with IORING_SETUP_IOPOLL gets -EOPNOTSUPP on Linux 6.12; on 7.3 it is served.
 */
struct zcopy_uring {
	__u64 transfer;
	__u64 completion;
};

#define ZCOPY_URING_SEND	0

/**
 * DOC: feature bits
 *
 * %ZCOPY_FEATURE_SEND
 *	ZCOPY_IOC_SEND is there.
 * %ZCOPY_FEATURE_STATS
 *	ZCOPY_IOC_STATS is there.
 * %ZCOPY_FEATURE_SUBMIT
 *	The queue: ZCOPY_IOC_SUBMIT, ZCOPY_IOC_CANCEL, read(2), poll(2).
 * %ZCOPY_FEATURE_URING
 *	IORING_OP_URING_CMD with %ZCOPY_URING_SEND.
 * %ZCOPY_FEATURE_TARGETS
 *	zcopy_transfer.target may be a pipe or a regular file. Without this bit
 *	only sockets are served, and zcopy_transfer.offset must be 0.
 * %ZCOPY_FEATURE_EXACT
 *	%ZCOPY_EXACT and %ZCOPY_RESUME, and what "a target that failed" says.
 * %ZCOPY_FEATURE_LOAD
 *	zcopy_transfer.target may be %ZCOPY_LOAD.
 */
#define ZCOPY_FEATURE_SEND	0x01ULL
#define ZCOPY_FEATURE_STATS	0x02ULL
#define ZCOPY_FEATURE_SUBMIT	0x04ULL
#define ZCOPY_FEATURE_URING	0x08ULL
#define ZCOPY_FEATURE_TARGETS	0x10ULL
#define ZCOPY_FEATURE_EXACT	0x20ULL
#define ZCOPY_FEATURE_LOAD	0x40ULL

/**
 * struct zcopy_info - argument of ZCOPY_IOC_INFO, all of it out
 * @version:        of the module: major << 16 | minor << 8 | patch
 * @transfer_flags: the transfer flags that are served
 * @features:       ZCOPY_FEATURE_* bits
 * @max_segments:   segments a transfer
 * @max_memory:     bytes of all memory segments of a transfer together
 * @batch_bytes:    most bytes of one gather list, which no other sender's come between
 * @max_queued_memory: bytes of memory segments of a context's queued transfers
 *                  that have not ended, from which on no other is accepted
 * @max_transfers:  transfers of a context that have not ended
 * @max_completions: transfers of a context that have not ended and completions
 *                  not read, together
 * @max_user_contexts: opens of the device of a user; open(2) says EMFILE
 * @max_user_transfers: queued transfers of a user that have not been released
 * @max_user_pages: pages of kernel memory of a user's transfers and completions,
 *                  of all that is allocated for them
 * @max_user_reads: pages that a user's transfers wait for without a thread
 * @user_contexts:  how many the calling user has now ...
 * @user_transfers: ... those of calls that wait included
 * @user_pages:     ditto
 * @user_reads:     ditto
 * @user_leases:    leases that he has; not more than RLIMIT_NOFILE, unless he has
 *                  CAP_SYS_RESOURCE
 * @reserved:       0
 *
 * A user is a real user id; of a user namespace's users the owner has all that
 * they have, too. Who is below his limit is let in, and may go beyond it with that.
 */
struct zcopy_info {
	__u32 version;
	__u32 transfer_flags;
	__u64 features;
	__u32 max_segments;
	__u32 max_memory;
	__u32 batch_bytes;
	__u32 max_queued_memory;
	__u32 max_transfers;
	__u32 max_completions;
	__u32 max_user_contexts;
	__u32 max_user_transfers;
	__u32 max_user_pages;
	__u32 max_user_reads;
	__u32 user_contexts;
	__u32 user_transfers;
	__u32 user_pages;
	__u32 user_reads;
	__u32 user_leases;
	__u32 reserved;
};

/* Whose counters ZCOPY_IOC_STATS reads. */
#define ZCOPY_STATS_CONTEXT	0	/* this open file description's */
#define ZCOPY_STATS_MODULE	1	/* all since the module was loaded */

/**
 * struct zcopy_stats - argument of ZCOPY_IOC_STATS
 * @scope:         in: %ZCOPY_STATS_CONTEXT or %ZCOPY_STATS_MODULE
 * @reserved:      must be 0
 * @transfers:     transfers that ended, in whatever way; one whose flags are
 *                 about its release ends, here, with that
 * @bytes:         bytes targets accepted
 * @bytes_memory:  of those, bytes of memory segments
 * @bytes_copied:  of those, bytes the kernel copied, for the reasons given at
 *                 %ZCOPY_C_COPIED
 * @batches:       gather lists handed to targets, i.e. sendmsg calls or writes
 * @folios:        folios of files put on gather lists
 * @disk_waits:    times a transfer waited for a page that was not in memory, or
 *                 for a file that must be asked for its bytes
 * @file_errors:   completions with %ZCOPY_C_FILE_ERROR
 * @socket_errors: completions with %ZCOPY_C_TARGET_ERROR
 * @active:        transfers that have not ended, or that have asked for their
 *                 release and not been released, now
 * @folios_held:   references of the module on folios of files, now
 * @reads:         pages that are being read and that no thread waits for, now.
 *                 One that a transfer does not wait for any more, since it was
 *                 cancelled, counts until the disk has answered
 */
struct zcopy_stats {
	__u32 scope;
	__u32 reserved;
	__u64 transfers;
	__u64 bytes;
	__u64 bytes_memory;
	__u64 bytes_copied;
	__u64 batches;
	__u64 folios;
	__u64 disk_waits;
	__u64 file_errors;
	__u64 socket_errors;
	__u64 active;
	__u64 folios_held;
	__u64 reads;
};

/**
 * DOC: ioctls
 *
 * Errors common to all of them:
 *
 * ======= ===================================================================
 * EFAULT  the argument cannot be read or written
 * ENOTTY  unknown ioctl number
 * EINVAL  the argument is smaller than its first version
 * ======= ===================================================================
 *
 * An argument that is larger than the module knows: what comes back beyond the
 * known part is zero (INFO, STATS); what goes in must be zero (E2BIG).
 *
 * %ZCOPY_IOC_INFO
 *	Version, features, limits, and the calling user's use. ENOMEM.
 *
 * %ZCOPY_IOC_STATS
 *	Counters. EINVAL also: unknown scope or a reserved word that is not 0.
 *	EPERM: %ZCOPY_STATS_MODULE is for who has CAP_SYS_ADMIN or CAP_NET_ADMIN
 *	in the first user namespace.
 *
 * %ZCOPY_IOC_SEND
 *	One transfer on the calling thread. It returns 0 when the transfer was
 *	accepted; what became of it is in zcopy_send.completion, an error there
 *	included. It blocks for the disk (unless %ZCOPY_NODISKIO) and, unless
 *	the target is O_NONBLOCK, for room in the socket, at most SO_SNDTIMEO
 *	each time, or in the pipe. It never raises SIGPIPE. Writing to a file
 *	blocks as write(2) does.
 *
 *	It fails when the transfer was refused; then nothing was sent and
 *	nothing changed. Causes in the order they are checked, but for a lease's,
 *	which stand together, a security module's about the target, which comes
 *	before the segments, and a limit of the user's, which comes first of all;
 *	a segment is checked whole before the next one:
 *
 *	================ ======================================================
 *	E2BIG            the argument is larger than known, its rest not zero
 *	EINVAL           unknown flag, %ZCOPY_SYNC with %ZCOPY_NOTIFY,
 *	                 %ZCOPY_NOCACHE with %ZCOPY_LOAD, reserved
 *	                 word not 0, offset over 2^63-1, readahead over
 *	                 %ZCOPY_MAX_READAHEAD, no segments
 *	EMSGSIZE         more segments than zcopy_info.max_segments
 *	EFAULT           the segment vector cannot be read
 *	EBADF            @target is not an open descriptor
 *	ENOTSOCK         @target is neither a socket, a pipe nor a regular file
 *	EBADF            the pipe or file is not open for writing
 *	EPROTONOSUPPORT  the socket is not one of the stream sockets named
 *	                 above; the pipe is one of O_NOTIFICATION_PIPE; the
 *	                 file, such as one of /proc, is not written through a
 *	                 page cache or by pages at any offset
 *	ENOTCONN         the socket is neither connected nor about to be, or
 *	                 listens
 *	EINVAL           offset is not 0 and @target no file or %ZCOPY_LOAD, or
 *	                 the file is O_APPEND
 *	EINVAL           a segment's flags are not 0, its offset is over 2^63-1
 *	EOVERFLOW        a file segment's offset + len is over 2^63 - 1
 *	EMSGSIZE         memory segments together exceed zcopy_info.max_memory
 *	EFAULT           a memory segment cannot be read
 *	EBADF            a file segment's descriptor is not open for reading
 *	ESPIPE           it is neither a regular file nor a shared-memory object,
 *	                 or it cannot be read at an offset
 *	EOPNOTSUPP       the kernel has no way to send it: it has no splice_read,
 *	                 as files of hugetlbfs and some of /proc; or %ZCOPY_LOAD,
 *	                 and what is read of it stays nowhere: O_DIRECT, /proc,
 *	                 /sys
 *	EACCES, EPERM    a security module said so; EACCES also: %ZCOPY_LEASE
 *	                 and the file belongs to another user (see CAP_LEASE)
 *	EMFILE           %ZCOPY_LEASE and the user has as many leases as
 *	                 RLIMIT_NOFILE allows open files
 *	EAGAIN           %ZCOPY_LEASE and the file is open for writing, on
 *	                 overlayfs also mapped so by who has it open no more,
 *	                 or somebody waits for that, or has a lease to write
 *	ENOLCK           %ZCOPY_LEASE and its filesystem, or fs.leases-enable,
 *	                 grants no leases; memfd and System V shared memory,
 *	                 which nobody opens, have none
 *	EOVERFLOW        offset + the length of all segments is over 2^63 - 1
 *	EINVAL           a file segment is of the target file and overlaps what
 *	                 is written to; one that ends where the file ends does
 *	EAGAIN           %ZCOPY_NOTIFY and a limit of the queue is reached; or
 *	                 that, %ZCOPY_NOCACHE or %ZCOPY_LEASE and a limit of the
 *	                 user's transfers, memory or reads; or its
 *	                 release is waited for, and a limit keeps the process from
 *	                 having a thread for that
 *	EINVAL           ditto, since it called unshare(2) or setns(2) with
 *	                 CLONE_NEWPID
 *	EINTR            a signal arrived before the first byte, whose handler
 *	                 was not installed with SA_RESTART, or the socket has
 *	                 a SO_SNDTIMEO
 *	ENOMEM           no memory for the transfer
 *	================ ======================================================
 *
 * %ZCOPY_IOC_SUBMIT
 *	Queue transfers and, if asked, wait for completions. It waits neither
 *	for what a disk has to read nor for room in a target: of what can be sent at once the first
 *	1 MiB for each target, or a little more, is sent before it returns, the
 *	rest later, in the order of submission for each target and independently
 *	of other targets. Completions of a target come in that
 *	order too, those of cancelled transfers excepted. A target is an open
 *	file description: a file that was opened twice is two. Files are always
 *	written later. O_NONBLOCK of a target does not matter. A refused
 *	transfer ends the call's acceptance; those before it run. It returns 0
 *	with @accepted, @completed and @error, and fails with:
 *
 *	================ ======================================================
 *	EINVAL           reserved word not 0, transfer_size below its first
 *	                 version, min_completions over max_completions
 *	E2BIG            transfer_size over a page, or as above
 *	EFAULT           completions cannot be written, and none was given; no
 *	                 completion is lost
 *	EINTR            a signal arrived while it waited, whose handler was not
 *	                 installed with SA_RESTART; nothing was accepted and no
 *	                 completion given
 *	================ ======================================================
 *
 *	A transfers address that cannot be read is EFAULT in @error. A file whose
 *	content depends on who reads it (/proc, /sys) is EOPNOTSUPP there.
 *
 * %ZCOPY_IOC_CANCEL
 *	Ask transfers to end early. Each still has its completion: with
 *	%ZCOPY_C_CANCELLED and the bytes that went, or what it would have had
 *	anyway if all was sent first. One that waits for pages of ext4, XFS, Btrfs
 *	or F2FS ends at once, another one that waits for a disk or a server when
 *	that has answered, and one to a file after the write it is at. Of those to
 *	one target that the call asks, the newest end first. Others that are queued
 *	behind them on a socket or pipe end too, see "a target that failed"; but not
 *	with %ZCOPY_CANCEL_TARGET, after which the target is as good as new to the
 *	calling process.
 *	One that another thread submits while the call runs may be asked too. It
 *	returns 0 with @cancelled, 0 included.
 *
 *	================ ======================================================
 *	EINVAL           unknown @what, a reserved word not 0, or a field that
 *	                 @what does not use not 0
 *	EBADF            the target is not an open descriptor
 *	ENOTSOCK         it is neither a socket, a pipe nor a regular file
 *	================ ======================================================
 *
 * read(2) gives struct zcopy_completion records, as many whole ones as fit and
 * are there; it waits for the first one unless the device is O_NONBLOCK
 * (EAGAIN). EINVAL: not even one fits. EFAULT, EINTR as ever; a record is given
 * exactly once.
 *
 * poll(2): POLLIN, completions can be read; POLLOUT, a transfer would be
 * accepted.
 *
 * Closing the last descriptor of a context cancels its transfers and discards
 * its completions. Queued transfers end with the process that submitted them, and
 * when it executes another program, whoever else has the context open. Once a
 * process has closed a descriptor of the context, its transfers to an AF_UNIX
 * socket that nobody has open any more end too.
 */
#define ZCOPY_IOC_TYPE		0xDC
#define ZCOPY_IOC_INFO		_IOWR(ZCOPY_IOC_TYPE, 0x00, struct zcopy_info)
#define ZCOPY_IOC_STATS		_IOWR(ZCOPY_IOC_TYPE, 0x01, struct zcopy_stats)
#define ZCOPY_IOC_SEND		_IOWR(ZCOPY_IOC_TYPE, 0x02, struct zcopy_send)
#define ZCOPY_IOC_SUBMIT	_IOWR(ZCOPY_IOC_TYPE, 0x03, struct zcopy_submit)
#define ZCOPY_IOC_CANCEL	_IOWR(ZCOPY_IOC_TYPE, 0x04, struct zcopy_cancel)

#endif /* _UAPI_LINUX_ZCOPY_H */
