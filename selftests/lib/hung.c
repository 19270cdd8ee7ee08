// SPDX-License-Identifier: GPL-2.0-only
/* The least FUSE server: a folder with one file, which is hardly ever read. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "content.h"
#include "hung.h"

#define PLACE	"/tmp/hung"
#define ROOT	1		/* node numbers */
#define FILE_	2
#define FOREVER	1000000		/* seconds that an answer is good for */

/* FUSE_DIRECT_IO_ALLOW_MMAP, which older headers do not have. */
#define ALLOW_MMAP	(1ULL << 36)

#define NOTHING	(-4095)		/* in place of an answer */

/* Answers of all kinds; the kernel asks for a length. */
union answer {
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	struct fuse_attr_out attr;
	struct fuse_open_out open;
	struct fuse_write_out write;
	struct fuse_lseek_out seek;
	char bytes[256 * KIB];
};

static struct fuse_attr attributes(const struct hung *hung, uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = PAGE };

	attr.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0644;
	attr.size = node == ROOT ? 0 : hung->size;
	return attr;
}

/* What answer_to() says to a read or a write. */
static int answer_file(struct hung *hung, const struct fuse_in_header *in,
		       union answer *answer)
{
	const struct fuse_write_in *out = (const void *)(in + 1);
	const struct fuse_read_in *from = (const void *)(in + 1);
	/* What is said from now on is for the next one. */
	bool answers = __atomic_load_n(&hung->answers, __ATOMIC_SEQ_CST);
	int error = __atomic_load_n(&hung->error, __ATOMIC_SEQ_CST);
	uint64_t size;

	hung->thread = in->pid;
	__atomic_store_n(&hung->user, in->uid, __ATOMIC_SEQ_CST);
	if (!answers)
		memcpy(hung->unanswered, in, sizeof(hung->unanswered));
	__atomic_fetch_add(&hung->asked, 1, __ATOMIC_SEQ_CST);
	if (!answers)
		return NOTHING;
	if (error)
		return -error;
	if (in->opcode == FUSE_WRITE) {
		answer->write.size = out->size;
		return sizeof(answer->write);
	}
	if (from->offset >= hung->content)
		return 0;
	size = hung->content - from->offset;
	if (size > from->size)
		size = from->size;
	pattern(answer->bytes, size,
		__atomic_load_n(&hung->seed, __ATOMIC_SEQ_CST) + from->fh,
		from->offset);
	return size;
}

static int answer_seek(const struct hung *hung, const struct fuse_lseek_in *in,
		       union answer *answer)
{
	if (!hung->seeks)
		return -EOPNOTSUPP;
	if (in->offset >= hung->content)
		return -ENXIO;
	answer->seek.offset = in->whence == SEEK_DATA ? in->offset : hung->content;
	return sizeof(answer->seek);
}

/* What is said to a request: its length, -errno, or NOTHING. */
static int answer_to(struct hung *hung, const struct fuse_in_header *in,
		     union answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	switch (in->opcode) {
	case FUSE_INIT:
		answer->init.major = FUSE_KERNEL_VERSION;
		answer->init.minor = 31;
		answer->init.max_readahead = 128 * KIB;
		answer->init.max_write = 64 * KIB;
		if (hung->async)
			answer->init.flags |= FUSE_ASYNC_READ;
		if (hung->mapped) {
			answer->init.flags |= FUSE_INIT_EXT;
			answer->init.flags2 = ALLOW_MMAP >> 32;
		}
		return sizeof(answer->init);
	case FUSE_LOOKUP:
		answer->entry.nodeid = FILE_;
		answer->entry.entry_valid = FOREVER;
		answer->entry.attr_valid = FOREVER;
		answer->entry.attr = attributes(hung, FILE_);
		return sizeof(answer->entry);
	case FUSE_GETATTR:
		answer->attr.attr_valid = FOREVER;
		answer->attr.attr = attributes(hung, in->nodeid);
		return sizeof(answer->attr);
	case FUSE_OPEN:
		/* A server that is killed closes the file itself, unanswered. */
		answer->open.open_flags = FOPEN_NOFLUSH;
		if (hung->direct)
			answer->open.open_flags |= FOPEN_DIRECT_IO;
		hung->opened++;
		answer->open.fh = hung->fresh ? hung->opened : 0;
		return sizeof(answer->open);
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return 0;
	case FUSE_READ:
	case FUSE_WRITE:
		return answer_file(hung, in, answer);
	case FUSE_LSEEK:
		return answer_seek(hung, (const void *)(in + 1), answer);
	case FUSE_INTERRUPT:
		return hung->listens ? -EINTR : NOTHING;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return NOTHING;
	}
	return -EOPNOTSUPP;
}

/* False when nobody is there any more who could be answered. */
static bool say(struct hung *hung, const struct fuse_in_header *in,
		union answer *answer, int len)
{
	const struct fuse_interrupt_in *other = (const void *)(in + 1);
	struct fuse_out_header out = { .len = sizeof(out) };
	struct iovec parts[2];

	out.unique = in->opcode == FUSE_INTERRUPT ? other->unique : in->unique;
	out.error = len < 0 ? len : 0;
	out.len += len > 0 ? len : 0;
	parts[0] = (struct iovec){ &out, sizeof(out) };
	parts[1] = (struct iovec){ answer, out.len - sizeof(out) };
	if (writev(hung->server, parts, 2) >= 0)
		return true;
	/* Its only descriptor was given away meanwhile. */
	if (errno == EBADF)
		return false;
	/* One that was interrupted meanwhile is gone. */
	if (errno != ENOENT)
		die("answer request %u", in->opcode);
	return true;
}

static void *serve(void *argument)
{
	struct hung *hung = argument;
	const int server = hung->server;
	static char request[MIB];

	for (;;) {
		const struct fuse_in_header *in = (const void *)request;
		ssize_t n = read(server, request, sizeof(request));
		static union answer answer;
		int len;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* Unmounted, or aborted. */
		if (n < (ssize_t)sizeof(*in))
			return NULL;
		len = answer_to(hung, in, &answer);
		if (len != NOTHING && !say(hung, in, &answer, len))
			return NULL;
	}
}

/* Have somebody else serve. */
static void serve_apart(struct hung *hung)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		serve(hung);
		_exit(0);
	}
	hung->process = child;
	close(hung->server);
}

static void start(struct hung *hung, bool apart)
{
	char options[100];

	if (access("/dev/fuse", F_OK) && run("modprobe fuse"))
		die("load fuse");
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make a mount namespace");
	if (mkdir(PLACE, 0700) && errno != EEXIST)
		die("make " PLACE);
	hung->server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (hung->server < 0)
		die("open /dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", hung->server);
	if (mount("hung", PLACE, "fuse", MS_NOSUID | MS_NODEV, options))
		die("mount on " PLACE);
	hung->asked = 0;
	hung->seed = HUNG_SEED;
	if (apart)
		serve_apart(hung);
	else if (pthread_create(&hung->serves, NULL, serve, hung))
		die("make a thread");
	hung->fd = hung_open();
}

int hung_open(void)
{
	int fd = open(HUNG_FILE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("open " HUNG_FILE);
	return fd;
}

void hung_make(struct hung *hung)
{
	*hung = (struct hung){ .size = GIB, .content = GIB };
	start(hung, false);
}

void hung_make_apart(struct hung *hung)
{
	*hung = (struct hung){ .size = GIB, .content = GIB };
	start(hung, true);
}

void hung_make_listening(struct hung *hung)
{
	*hung = (struct hung){
		.size = GIB,
		.content = GIB,
		.listens = true,
		.direct = true,
	};
	start(hung, false);
}

void hung_make_async(struct hung *hung)
{
	*hung = (struct hung){ .size = GIB, .content = GIB, .async = true };
	start(hung, false);
}

void hung_make_fresh(struct hung *hung, uint64_t size, uint64_t content)
{
	*hung = (struct hung){
		.size = size, .content = content, .direct = true, .fresh = true,
		.answers = true,
	};
	start(hung, false);
}

uint32_t hung_seed(const struct hung *hung)
{
	return HUNG_SEED + (hung->fresh ? hung->opened : 0);
}

void hung_make_lying(struct hung *hung, uint64_t size, uint64_t content,
		     bool seeks, bool direct, bool mapped)
{
	*hung = (struct hung){
		.size = size,
		.content = content,
		.seeks = seeks,
		.direct = direct,
		.mapped = mapped,
		.answers = true,
	};
	start(hung, false);
}

void hung_abort(void)
{
	/* Its file is open: there is nothing but the end of all requests. */
	if (!umount2(PLACE, MNT_FORCE) || errno != EBUSY)
		die("abort " PLACE);
}

void hung_end(struct hung *hung)
{
	close(hung->fd);
	if (umount(PLACE))
		die("unmount " PLACE);
	pthread_join(hung->serves, NULL);
	close(hung->server);
}

bool hung_await(struct hung *hung, unsigned int nr)
{
	uint64_t since = 0;

	while (__atomic_load_n(&hung->asked, __ATOMIC_SEQ_CST) < nr)
		if (!patience(&since))
			return false;
	return true;
}

bool hung_await_user(struct hung *hung, uid_t user)
{
	uint64_t since = 0;

	if (!hung_await(hung, 1))
		return false;
	while (__atomic_load_n(&hung->user, __ATOMIC_SEQ_CST) != user)
		if (!patience(&since))
			return false;
	return true;
}

void hung_answer(struct hung *hung, bool answers)
{
	__atomic_store_n(&hung->answers, answers, __ATOMIC_SEQ_CST);
}

void hung_answer_late(struct hung *hung)
{
	const struct fuse_in_header *in = (const void *)hung->unanswered;
	static union answer answer;

	hung_answer(hung, true);
	say(hung, in, &answer, answer_to(hung, in, &answer));
}

void hung_fail(struct hung *hung, int error)
{
	__atomic_store_n(&hung->error, error, __ATOMIC_SEQ_CST);
}
