// SPDX-License-Identifier: GPL-2.0-only
/* One call, by the preload shim or by the system call, and what came of it. */
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "call.h"
#include "shim.h"

static ssize_t (*shim)(int out, int in, off_t *offset, size_t count);

/* Of the last SIGPIPE; written by its handler in the thread that called. */
static struct {
	int count;
	int code;
	pid_t pid;
	uid_t uid;
	pid_t thread;
	off_t position;		/* of the file that was being sent */
} sigpipe;

static int sending = -1;	/* that file, while there is a call */

static void note(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	sigpipe.count++;
	sigpipe.code = info->si_code;
	sigpipe.pid = info->si_pid;
	sigpipe.uid = info->si_uid;
	sigpipe.thread = gettid();
	sigpipe.position = lseek(sending, 0, SEEK_CUR);
}

off_t caught_at(void)
{
	return sigpipe.position;
}

int caught(void)
{
	int count = sigpipe.count;

	sigpipe.count = 0;
	return count;
}

void shim_load(void)
{
	const struct sigaction action = {
		.sa_sigaction = note,
		.sa_flags = SA_SIGINFO,
	};
	void *library = dlopen(SHIM_LIBRARY, RTLD_NOW);

	if (!library)
		die("%s", dlerror());
	shim = (ssize_t (*)(int, int, off_t *, size_t))dlsym(library, "sendfile");
	if (!shim || (void *)shim == dlsym(RTLD_DEFAULT, "sendfile"))
		die("%s has no sendfile() of its own", SHIM_LIBRARY);
	if (sigaction(SIGPIPE, &action, NULL))
		die("sigaction");
}

/* The number of the last one that shim_descriptors() saw. */
static int shim_last;

int shim_descriptors(void)
{
	char path[64], target[64];
	int count = 0, fd;
	ssize_t n;

	for (fd = SHIM_LOWEST; fd < 4 * SHIM_LOWEST; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (!strcmp(target, DEVICE)) {
			shim_last = fd;
			count++;
		}
	}
	return count;
}

int shim_descriptor(void)
{
	if (shim_descriptors() != 1)
		die("the shim has %d descriptors", shim_descriptors());
	return shim_last;
}

ssize_t call(enum way way, int out, int in, off_t *offset, size_t count)
{
	ssize_t result;

	sending = in;
	if (way == BY_SHIM)
		return shim(out, in, offset, count);
	result = syscall(SYS_sendfile, out, in, offset, count);
	/* The compiler takes it that syscall() calls nothing in here. */
	atomic_signal_fence(memory_order_seq_cst);
	return result;
}

static uint64_t bytes_by_device(void)
{
	struct zcopy_stats stats;
	int device = device_open();

	device_stats(device, ZCOPY_STATS_MODULE, &stats);
	close(device);
	return stats.bytes;
}

static off_t position(int fd)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	return at < 0 ? -errno : at;
}

void outcome_call(struct outcome *outcome, enum way way, int out, int in,
		  off_t *offset, size_t count)
{
	uint64_t before = bytes_by_device();

	memset(outcome, 0, sizeof(*outcome));
	caught();
	errno = UNTOUCHED;
	outcome->result = call(way, out, in, offset, count);
	outcome->error = errno;
	outcome->signals = caught();
	if (outcome->signals) {
		outcome->code = sigpipe.code;
		outcome->from_here = sigpipe.pid == getpid() &&
				     sigpipe.uid == getuid() &&
				     sigpipe.thread == gettid();
	}
	outcome->by_device = bytes_by_device() - before;
	outcome->in_position = position(in);
	outcome->out_position = position(out);
}

/* Datagrams have no end: what was sent must come, and no more. */
static bool is_stream(int fd)
{
	socklen_t length = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) ||
	       type != SOCK_DGRAM;
}

static void receive(struct outcome *outcome, int fd)
{
	const size_t most = MIB;
	bool stream = is_stream(fd);
	ssize_t n;

	outcome->bytes = malloc(most);
	if (!outcome->bytes)
		die("memory for what is received");
	do {
		if (!stream && ((ssize_t)outcome->received >= outcome->result ||
				!await(fd, POLLIN)))
			return;
		n = read(fd, outcome->bytes + outcome->received,
			 most - outcome->received);
		if (n > 0)
			outcome->received += n;
	} while (n > 0);
}

void outcome_receive(struct outcome *outcome, struct end *end)
{
	/* Only a socket has to live on, as its peer may be told of its end. */
	if (shutdown(end->fd, SHUT_WR)) {
		close(end->fd);
		end->fd = -1;
	}
	if (end->far >= 0)
		receive(outcome, end->far);
	close(end->far);
	close(end->fd);
}

static char difference[128];

static bool differ(const char *what, intmax_t kernel, intmax_t shim)
{
	if (kernel == shim)
		return false;
	snprintf(difference, sizeof(difference), "%s: %jd, not %jd", what, shim,
		 kernel);
	return true;
}

const char *outcomes_same(struct outcome *kernel, struct outcome *shim)
{
	*difference = 0;
	if (!differ("result", kernel->result, shim->result) &&
	    !differ("errno", kernel->error, shim->error) &&
	    !differ("offset", kernel->offset, shim->offset) &&
	    !differ("position in", kernel->in_position, shim->in_position) &&
	    !differ("position out", kernel->out_position, shim->out_position) &&
	    !differ("SIGPIPE", kernel->signals, shim->signals) &&
	    !differ("si_code", kernel->code, shim->code) &&
	    !differ("si_pid", kernel->from_here, shim->from_here) &&
	    !differ("received", kernel->received, shim->received) &&
	    !differ("by the device", kernel->by_device, 0) &&
	    kernel->received &&
	    memcmp(kernel->bytes, shim->bytes, kernel->received))
		snprintf(difference, sizeof(difference), "other bytes came out");
	free(kernel->bytes);
	free(shim->bytes);
	return difference;
}
