// SPDX-License-Identifier: GPL-2.0-only
/* The device, transfers through it, and the watch for what they leave. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "common.h"

int slowdown(void)
{
	const char *text = getenv("ZCOPY_SLOWDOWN");
	int factor = text ? atoi(text) : 1;

	return factor > 1 ? factor : 1;
}

/* In place of the C library's: the harness limits a test's time by it. */
unsigned int alarm(unsigned int seconds)
{
	const struct itimerval after = {
		.it_value.tv_sec = (time_t)seconds * slowdown(),
	};
	struct itimerval before;

	setitimer(ITIMER_REAL, &after, &before);
	return before.it_value.tv_sec;
}

int device_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("open " DEVICE);
	return fd;
}

void device_info(int device, struct zcopy_info *info)
{
	memset(info, 0, sizeof(*info));
	if (ioctl(device, ZCOPY_IOC_INFO, info))
		die("ZCOPY_IOC_INFO");
}

void device_stats(int device, uint32_t scope, struct zcopy_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->scope = scope;
	if (ioctl(device, ZCOPY_IOC_STATS, stats))
		die("ZCOPY_IOC_STATS");
}

int send_parts(int device, int socket, const struct part *parts, size_t nr,
	       uint32_t flags, struct zcopy_completion *completion)
{
	struct zcopy_segment *segments = calloc(nr + 1, sizeof(*segments));
	struct zcopy_send send = {
		.transfer = {
			.user_data = 0x1122334455667788ULL ^ nr,
			.segments = (uintptr_t)segments,
			.nr_segments = nr,
			.socket = socket,
			.flags = flags,
		},
	};
	int error = 0;
	size_t i;

	if (!segments)
		die("memory for the segments");
	for (i = 0; i < nr; i++)
		segments[i] = parts[i].segment;
	if (ioctl(device, ZCOPY_IOC_SEND, &send))
		error = -errno;
	else if (send.completion.user_data != send.transfer.user_data)
		die("the completion carries another transfer's user_data");
	*completion = send.completion;
	free(segments);
	return error;
}

const char *deliver(int device, enum transport transport,
		    const struct part *parts, size_t nr, uint32_t flags,
		    struct zcopy_completion *completion)
{
	static char text[128];
	struct reader reader;
	struct pair pair;
	const char *verdict;
	int error;

	pair_open(&pair, transport, 0);
	reader_start(&reader, pair.rx, parts, nr);
	error = send_parts(device, pair.tx, parts, nr, flags, completion);
	shutdown(pair.tx, SHUT_WR);
	verdict = reader_finish(&reader, error ? 0 : completion->bytes);
	pair_close(&pair);
	if (!error || *verdict)
		return verdict;
	snprintf(text, sizeof(text), "refused: %s", strerror(-error));
	return text;
}

static void *send_alone(void *argument)
{
	struct sender *sender = argument;

	__atomic_store_n(&sender->tid, gettid(), __ATOMIC_RELEASE);
	sender->result = send_parts(sender->device, sender->socket,
				    sender->parts, sender->nr, sender->flags,
				    &sender->completion);
	if (sender->shut)
		shutdown(sender->socket, SHUT_WR);
	__atomic_store_n(&sender->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void sender_start(struct sender *sender)
{
	sender->tid = 0;
	sender->done = false;
	errno = pthread_create(&sender->thread, NULL, send_alone, sender);
	if (errno)
		die("start a sender");
}

/*
 * The kernel's name for where a task waits is not stable, its state is: from
 * the moment a sender announced itself it sleeps interruptibly nowhere but in
 * the ioctl, waiting for room in the socket.
 */
bool sleeps(pid_t tid)
{
	char path[64], line[256] = "";
	char state = '?';
	char *end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	if (fgets(line, sizeof(line), stat)) {
		end = strrchr(line, ')');
		if (end)
			state = end[2];
	}
	fclose(stat);
	return state == 'S';
}

bool await_sleep(pid_t tid)
{
	uint64_t since = 0;

	do {
		if (sleeps(tid))
			return true;
	} while (patience(&since));
	return false;
}

bool sender_blocked(struct sender *sender)
{
	pid_t tid;

	do {
		tid = __atomic_load_n(&sender->tid, __ATOMIC_ACQUIRE);
	} while (!tid);
	return await_sleep(tid) &&
	       !__atomic_load_n(&sender->done, __ATOMIC_ACQUIRE);
}

void sender_finish(struct sender *sender)
{
	pthread_join(sender->thread, NULL);
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int n = 0;

	if (!directory)
		die("open /proc/self/fd");
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

void watch_begin(struct watch *watch)
{
	watch->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (watch->kmsg < 0 || lseek(watch->kmsg, 0, SEEK_END) < 0)
		die("open /dev/kmsg");
	watch->descriptors = count_descriptors();
}

/* Others may log; what speaks of zcopy or of a kernel in trouble is ours. */
static const char *kernel_messages(int kmsg)
{
	static const char *const words[] = { "zcopy", "BUG", "WARNING",
					     "Call Trace", "refcount" };
	static char record[8192];
	size_t i;
	ssize_t n;

	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return "";
		record[n] = 0;
		for (i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (strstr(record, words[i]))
				return record;
	}
}

const char *watch_end(struct watch *watch)
{
	static char text[256];
	const char *messages = kernel_messages(watch->kmsg);
	int descriptors = count_descriptors();
	struct zcopy_stats stats;
	int device = device_open();
	uint64_t since = 0;

	/* The network may have to let go of pages first. */
	do {
		device_stats(device, ZCOPY_STATS_MODULE, &stats);
	} while ((stats.active || stats.folios_held) && patience(&since));
	close(device);
	close(watch->kmsg);
	if (stats.active || stats.folios_held)
		snprintf(text, sizeof(text), "%llu transfers, %llu folios left",
			 (unsigned long long)stats.active,
			 (unsigned long long)stats.folios_held);
	else if (descriptors != watch->descriptors)
		snprintf(text, sizeof(text), "%d descriptors, %d before",
			 descriptors, watch->descriptors);
	else if (*messages)
		snprintf(text, sizeof(text), "kernel log: %.200s", messages);
	else
		return "";
	return text;
}

bool patience(uint64_t *since)
{
	struct timespec time;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now = time.tv_sec * 1000ULL + time.tv_nsec / 1000000;
	if (!*since)
		*since = now;
	poll(NULL, 0, 1);
	return now - *since < (uint64_t)PATIENCE_MS;
}

int run(const char *format, ...)
{
	char command[4096];
	va_list arguments;
	int status;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	fflush(stdout);
	status = system(command);
	if (status)
		printf("# status %#x of: %s\n", status, command);
	return status;
}
