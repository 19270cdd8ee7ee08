// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a process ends, with transfers in every state, and that it does end though
 * its workers are threads of it.
 */
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/submit.h"
#include "lib/threads.h"
#include "lib/watch.h"

#define SEED	411U
#define SIZE	(2 * MIB)
#define SMALL	(64 * 1024)	/* of a socket buffer */
#define PATTERN	"/proc/sys/kernel/core_pattern"

FIXTURE(death)
{
	struct watch watch;
	struct file file;
	struct part part;
	struct pair pair;
	int device;
};

FIXTURE_SETUP(death)
{
	disk_resume();		/* if a test before this one was killed */
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
}

FIXTURE_TEARDOWN(death)
{
	disk_resume();
	close(self->device);
	pair_close(&self->pair);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

enum end { KILL, EXIT, LAST_THREAD, LAST_OF_TWO, EXEC, EXEC_BY_THREAD, CORE,
	   ENDS };

static const char *const names[ENDS] = {
	"kill", "exit", "last thread", "last of two threads", "exec",
	"exec by a thread", "core",
};

static void *execute(void *unused)
{
	(void)unused;
	execl("/bin/sleep", "sleep", "1000", NULL);
	die("exec");
}

/* The first thread has left before. */
static void *leave(void *unused)
{
	(void)unused;
	if (!await_state(getpid(), 'Z'))
		die("the first thread stays");
	syscall(SYS_exit, 0);
	return NULL;
}

static void start(void *(*work)(void *unused))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, NULL))
		die("make a thread");
}

/* In the child: end, or be another program. */
static void end_by(enum end end)
{
	switch (end) {
	case EXIT:
		_exit(0);
	case LAST_OF_TWO:
		start(leave);
		syscall(SYS_exit, 0);
		break;
	case LAST_THREAD:
		syscall(SYS_exit, 0);
		break;
	case CORE:
		abort();
	case EXEC_BY_THREAD:
		start(execute);
		break;
	case EXEC:
		execute(NULL);
	default:
		break;
	}
	for (;;)
		pause();
}

enum { SPACE, DISK, WRITTEN, FLYING, STATES };

/* In the child: bring transfers into every state, and say so. */
static void submit_states(FIXTURE_DATA(death) *self, const struct part *parts,
			  const int *targets, int report)
{
	struct zcopy_transfer transfer;
	int i;

	for (i = 0; i < FLYING; i++)
		submit_one(self->device, targets[i], &parts[i], i);
	transfer = transfer_of(targets[FLYING], &parts[FLYING], 1, FLYING);
	transfer.flags = ZCOPY_SYNC;
	submit_all(self->device, &transfer, 1);
	if (!disk_await_readers(2) || !await_accepted(targets[FLYING], MIB) ||
	    write(report, "", 1) != 1)
		die("the transfers do not come into their states");
}

/* Each is told once, for what it came to. */
static void expect_told(struct __test_metadata *_metadata,
			const struct zcopy_completion *done)
{
	unsigned int seen[STATES] = {}, i;

	for (i = 0; i < STATES; i++) {
		ASSERT_GT(STATES, done[i].user_data);
		seen[done[i].user_data]++;
		EXPECT_EQ(0, done[i].flags & ZCOPY_C_RELEASED);
		EXPECT_EQ(done[i].user_data == FLYING ? 0 : -ECANCELED,
			  done[i].error);
		if (done[i].user_data == FLYING)
			EXPECT_EQ(MIB, done[i].bytes);
	}
	for (i = 0; i < STATES; i++)
		EXPECT_EQ(1, seen[i]);
}

/*
 * A process ends, with transfers in every state. Those who share its context hear
 * of each of them, once; nothing is left. Returns what wait(2) says of it.
 */
static int expect_end(struct __test_metadata *_metadata,
		      FIXTURE_DATA(death) *self, enum end end, pid_t *process)
{
	struct zcopy_completion done[STATES];
	struct file cold, target;
	struct part parts[STATES];
	struct pair disk, wire;
	int report[2], status;
	pid_t child;
	char byte;

	file_make(&cold, EXT4, SIZE, SEED + 1);
	file_make(&target, EXT4, PAGE, SEED + 2);
	file_chill(&cold);
	roomy_open(&wire, WIRE4);
	pair_open(&disk, UNIX, 0);
	parts[SPACE] = self->part;
	parts[DISK] = of_file(&cold, 0, 0);
	parts[WRITTEN] = of_file(&cold, MIB, 1000);
	parts[FLYING] = of_file(&self->file, 0, MIB);
	ASSERT_EQ(0, pipe(report));
	disk_suspend();
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		const int targets[] = { self->pair.tx, disk.tx, target.rw,
					wire.tx };

		submit_states(self, parts, targets, report[1]);
		end_by(end);
	}
	*process = child;
	ASSERT_EQ(1, read(report[0], &byte, 1));
	if (end == KILL)
		ASSERT_EQ(0, kill(child, SIGKILL));
	/* The disk is not waited for, nor the peer. */
	EXPECT_EQ(STATES, reap(self->device, done, STATES));
	EXPECT_TRUE(await_threads(child, HOT_WORKER, 0));
	EXPECT_TRUE(await_threads(child, COLD_WORKER, 0));
	if (end == EXEC || end == EXEC_BY_THREAD)
		ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	disk_resume();
	expect_told(_metadata, done);
	EXPECT_EQ(0, reap_now(self->device, done, 1));
	/* The folios of what the peer has not acknowledged. */
	pair_close(&wire);
	pair_close(&disk);
	pair_close(&self->pair);
	EXPECT_TRUE(await_active(0));
	pair_open(&self->pair, TCP4, SMALL);
	close(report[0]);
	close(report[1]);
	file_close(&cold);
	file_close(&target);
	return status;
}

TEST_F(death, ends)
{
	enum end end;
	pid_t child;

	for (end = 0; end < ENDS; end++) {
		int status = expect_end(_metadata, self, end, &child);

		TH_LOG("%s: %#x", names[end], status);
		EXPECT_EQ(end == EXIT ? 0 : end == CORE ? SIGABRT : SIGKILL,
			  status & ~WCOREFLAG);
	}
}

/* "" when the file is all of a core dump. */
static const char *dump_verdict(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = 0;
	Elf64_Ehdr header;
	Elf64_Phdr part;
	struct stat stat;
	int i;

	if (fd < 0)
		return "there is no core dump";
	if (read(fd, &header, sizeof(header)) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_type != ET_CORE)
		return "it is no core dump";
	for (i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), header.e_phoff +
			  i * sizeof(part)) != sizeof(part))
			return "it lacks parts";
		if (end < (off_t)(part.p_offset + part.p_filesz))
			end = part.p_offset + part.p_filesz;
	}
	if (fstat(fd, &stat))
		die("stat");
	close(fd);
	return end > (off_t)MIB / 4 && stat.st_size == end ? "" :
							     "it is cut short";
}

/* The workers end first, and keep it from nothing. */
TEST_F(death, dumps_core)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char before[200] = "", pattern[200], path[300];
	FILE *file = fopen(PATTERN, "re");
	struct rlimit limit;
	pid_t child;
	int status;

	if (!file)
		SKIP(return, "the kernel cannot dump core");
	ASSERT_TRUE(fgets(before, sizeof(before), file));
	fclose(file);
	snprintf(pattern, sizeof(pattern), "%s/core.%%p", directory(TMPFS));
	ASSERT_EQ(0, getrlimit(RLIMIT_CORE, &limit));
	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &all));
	ASSERT_TRUE(write_text(PATTERN, pattern));
	status = expect_end(_metadata, self, CORE, &child);
	EXPECT_TRUE(write_text(PATTERN, before));
	ASSERT_EQ(0, setrlimit(RLIMIT_CORE, &limit));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_TRUE(WCOREDUMP(status));
	snprintf(path, sizeof(path), "%s/core.%d", directory(TMPFS), child);
	EXPECT_STREQ("", dump_verdict(path));
	unlink(path);
}

/*
 * A worker that has nothing to do keeps no process. But it is the last thread to
 * end, and the number that wait(2) gives is the worker's.
 */
TEST_F(death, last_thread_with_an_idle_worker)
{
	pid_t child = fork();
	int status;

	ASSERT_LE(0, child);
	if (!child) {
		struct zcopy_completion done;
		pid_t worker;

		submit_one(self->device, self->pair.tx, &self->part, 0);
		worker = thread_of(getpid(), HOT_WORKER);
		if (cancel_all(self->device) != 1 ||
		    reap(self->device, &done, 1) != 1 || !await_sleep(worker))
			die("have a worker that is idle");
		syscall(SYS_exit, 7);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	TH_LOG("%#x", status);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_TRUE(await_active(0));
}

int main(int argc, char **argv)
{
	disk_make();
	return test_harness_run(argc, argv);
}
