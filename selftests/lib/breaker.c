// SPDX-License-Identifier: GPL-2.0-only
/* Breaking leases, and waiting for them. */
#include <fcntl.h>

#include "breaker.h"

#define BREAK_TIME	"/proc/sys/fs/lease-break-time"

static int change(const struct file *file, enum breaking how)
{
	char path[64];
	int fd;

	if (how == TRUNCATE) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
		return truncate(path, 0) ? -errno : 0;
	}
	fd = open_again(file->fd, how == OPEN_WRITE ? O_WRONLY : O_RDWR | O_TRUNC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static void *change_alone(void *argument)
{
	struct breaker *breaker = argument;

	__atomic_store_n(&breaker->tid, gettid(), __ATOMIC_RELEASE);
	breaker->result = change(breaker->file, breaker->how);
	__atomic_store_n(&breaker->done, true, __ATOMIC_RELEASE);
	return NULL;
}

void breaker_start(struct breaker *breaker, const struct file *file,
		   enum breaking how)
{
	*breaker = (struct breaker){ .file = file, .how = how };
	errno = pthread_create(&breaker->thread, NULL, change_alone, breaker);
	if (errno)
		die("start a breaker");
}

bool breaker_ended(struct breaker *breaker)
{
	return __atomic_load_n(&breaker->done, __ATOMIC_ACQUIRE);
}

bool breaker_waits(struct breaker *breaker)
{
	uint64_t since = 0;
	pid_t tid;

	do {
		if (breaker_ended(breaker))
			return false;
		tid = __atomic_load_n(&breaker->tid, __ATOMIC_ACQUIRE);
		if (tid && sleeps(tid))
			return !breaker_ended(breaker);
	} while (patience(&since));
	return false;
}

int breaker_finish(struct breaker *breaker)
{
	pthread_join(breaker->thread, NULL);
	return breaker->result;
}

int open_nonblocking(const struct file *file, int flags)
{
	int fd = open_again(file->fd, flags | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

void file_seal(struct file *file)
{
	int fd;

	if (fsync(file->rw))
		die("fsync");
	fd = open_again(file->fd, O_RDONLY);
	if (fd < 0 || dup3(fd, file->rw, O_CLOEXEC) < 0)
		die("give up writing to a file");
	close(fd);
}

unsigned int break_time(unsigned int seconds)
{
	unsigned int before;
	FILE *file = fopen(BREAK_TIME, "r+e");

	if (!file || fscanf(file, "%u", &before) != 1 ||
	    fseek(file, 0, SEEK_SET) || fprintf(file, "%u\n", seconds) < 0 ||
	    fclose(file))
		die("set " BREAK_TIME);
	return before;
}

static unsigned int usual;
static pid_t maker;

static void restore(void)
{
	if (getpid() == maker)
		break_time(usual);
}

void break_time_long(void)
{
	usual = break_time(BREAK_LONG);
	maker = getpid();
	if (atexit(restore))
		die("arrange for the break time");
}
