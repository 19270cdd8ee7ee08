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

#include "lib/breaker.h"
#include "lib/call.h"
#include "lib/disk.h"
#include "lib/door.h"
#include "lib/hung.h"
#include "lib/parameter.h"
#include "lib/records.h"
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
	unsigned int cold_workers;
	int device;
};

FIXTURE_SETUP(death)
{
	disk_resume();		/* if a test before this one was killed */
	ASSERT_EQ(0, run("modprobe tls"));
	/* The least: of one filesystem two of them may wait. */
	self->cold_workers = parameter_get("cold_workers");
	ASSERT_EQ(0, parameter_set("cold_workers", 4));
	watch_begin(&self->watch);
	file_make(&self->file, XFS, SIZE, SEED);
	self->part = of_file(&self->file, 0, 0);
	pair_open(&self->pair, TCP4, SMALL);
	self->device = device_open();
}

FIXTURE_TEARDOWN(death)
{
	disk_resume();
	ASSERT_EQ(0, parameter_set("cold_workers", self->cold_workers));
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

/* What transfers wait for; those that were taken whole come last. */
enum state {
	SPACE,
	ROOM,		/* in a pipe */
	LEASED,		/* as SPACE, and it has a lease */
	DISK,
	WRITTEN,	/* the same, in a worker, to go on to a file */
	DROPPED,	/* cancelled, for what was asked of the disk, to drop it */
	TO_DROP,	/* ditto, and for a worker */
	ANSWER,		/* of a file's server, which gives none */
	RECORDS,	/* in kernel TLS, for room in its socket */
	BROKEN,		/* its release, and so does who wants to change the file */
	FLYING,		/* its release */
	STATES,
};

static const uint32_t flags_of[STATES] = {
	[LEASED] = ZCOPY_LEASE,
	[DROPPED] = ZCOPY_NOCACHE | ZCOPY_SYNC,
	[TO_DROP] = ZCOPY_NOCACHE | ZCOPY_SYNC,
	[BROKEN] = ZCOPY_LEASE | ZCOPY_SYNC,
	[FLYING] = ZCOPY_SYNC,
};

/* What there is for them: their parts, where they go, and who keeps them waiting. */
struct scene {
	struct file cold, target, leased, broken;
	struct part parts[STATES];
	struct pair pairs[STATES];
	struct hung hung;
	struct breaker breaker;
	struct pair order;
	int device;
};

static struct part part_of(const struct scene *scene, enum state state,
			   const struct file *file)
{
	switch (state) {
	case LEASED:
		return of_file(&scene->leased, 0, 0);
	case DISK ... TO_DROP:
		return of_file(&scene->cold, (state - DISK) * MIB, SMALL);
	case ANSWER:
		return (struct part){ .segment = { .fd = scene->hung.fd, .len = PAGE } };
	case RECORDS:
		return of_file(file, 0, RECORD);
	case BROKEN:
		return of_file(&scene->broken, 0, MIB);
	case FLYING:
		return of_file(file, 0, MIB);
	default:
		return of_file(file, 0, 0);
	}
}

static void open_target(struct pair *pair, enum state state)
{
	int ends[2];

	switch (state) {
	case SPACE:
	case LEASED:
		pair_open(pair, TCP4, SMALL);
		break;
	case ROOM:
		if (pipe2(ends, O_CLOEXEC))
			die("pipe");
		*pair = (struct pair){ .tx = ends[1], .rx = ends[0] };
		break;
	case RECORDS:
		records_open(pair);
		break;
	case BROKEN:
	case FLYING:
		roomy_open(pair, WIRE4);
		break;
	default:
		pair_open(pair, UNIX, 0);
	}
}

static void scene_make(struct scene *scene, FIXTURE_DATA(death) *self, bool deaf)
{
	enum state state;

	scene->device = self->device;
	file_make(&scene->cold, EXT4, 4 * MIB, SEED + 1);
	file_chill(&scene->cold);
	file_make(&scene->target, EXT4, PAGE, SEED + 2);
	file_make(&scene->leased, XFS, SIZE, SEED + 3);
	file_seal(&scene->leased);
	file_make(&scene->broken, XFS, SIZE, SEED + 4);
	file_seal(&scene->broken);
	if (deaf)
		hung_make(&scene->hung);
	else
		hung_make_async(&scene->hung);
	for (state = 0; state < STATES; state++) {
		scene->parts[state] = part_of(scene, state, &self->file);
		open_target(&scene->pairs[state], state);
	}
	pair_open(&scene->order, UNIX, 0);
	disk_suspend();
}

static void scene_close(struct scene *scene)
{
	enum state state;

	disk_resume();
	hung_abort();
	/* The folios of what a peer has not acknowledged go with it. */
	for (state = 0; state < STATES; state++)
		pair_close(&scene->pairs[state]);
	pair_close(&scene->order);
	hung_end(&scene->hung);
	file_close(&scene->cold);
	file_close(&scene->target);
	file_close(&scene->leased);
	file_close(&scene->broken);
}

/* In the child: bring transfers into every state, say so, and wait for the order. */
static void submit_states(struct scene *scene)
{
	const struct pair *pairs = scene->pairs;
	struct zcopy_transfer transfer;
	struct zcopy_completion done;
	enum state state;
	char byte;

	for (state = 0; state < STATES; state++) {
		transfer = transfer_of(state == WRITTEN ? scene->target.rw :
				       pairs[state].tx, &scene->parts[state], 1,
				       state);
		transfer.flags = flags_of[state];
		submit_all(scene->device, &transfer, 1);
		if (state != TO_DROP)
			continue;
		/* One worker waits for the disk, one more then: there is none for both. */
		if (!disk_await_readers(4) ||
		    cancel_user_data(scene->device, DROPPED) != 1 ||
		    cancel_user_data(scene->device, TO_DROP) != 1 ||
		    !disk_await_readers(5))
			die("nothing comes to be dropped");
	}
	if (!await_accepted(pairs[BROKEN].tx, MIB) ||
	    !await_accepted(pairs[FLYING].tx, MIB) ||
	    reap_now(scene->device, &done, 1) ||
	    write(scene->order.tx, "", 1) != 1 ||
	    read(scene->order.tx, &byte, 1) != 1)
		die("the transfers do not come into their states");
}

/* Each is told once, for what it came to. */
static void expect_told(struct __test_metadata *_metadata, const struct scene *scene,
			const struct zcopy_completion *done)
{
	unsigned int seen = 0, i;

	for (i = 0; i < STATES; i++) {
		const uint64_t state = done[i].user_data;
		const uint32_t flags = done[i].flags;

		ASSERT_GT(STATES, state);
		seen |= 1U << state;
		EXPECT_EQ(state >= RECORDS ? 0 : -ECANCELED, done[i].error);
		if (state >= RECORDS)
			EXPECT_EQ(scene->parts[state].want.len, done[i].bytes);
		/* Nothing but its pages keeps what is to be dropped. */
		EXPECT_EQ(state == DROPPED || state == TO_DROP,
			  !!(flags & ZCOPY_C_RELEASED));
		EXPECT_EQ(state == BROKEN, !!(flags & ZCOPY_C_LEASE_BROKEN));
	}
	EXPECT_EQ((1U << STATES) - 1, seen);
}

/* Leases end with their process: who waits, and who comes, has the file. */
static void expect_no_leases(struct __test_metadata *_metadata, struct scene *scene)
{
	uint64_t since = 0;

	EXPECT_EQ(0, breaker_finish(&scene->breaker));
	while (open_nonblocking(&scene->leased, O_WRONLY))
		ASSERT_TRUE(patience(&since));
}

/*
 * A process ends, with transfers in every state. Those who share its context hear
 * of each of them, once; nothing is left. Where a server is deaf the process
 * stays until that is over, and one of its transfers. Returns what wait(2) says of it.
 */
static int expect_end(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self,
		      enum end end, bool deaf, pid_t *process)
{
	struct zcopy_completion done[STATES], more;
	const size_t at_once = STATES - deaf;
	struct scene scene;
	pid_t child;
	int status;
	char byte;

	scene_make(&scene, self, deaf);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		submit_states(&scene);
		end_by(end);
	}
	*process = child;
	ASSERT_EQ(1, read(scene.order.rx, &byte, 1));
	ASSERT_TRUE(hung_await(&scene.hung, 1));
	breaker_start(&scene.breaker, &scene.broken, OPEN_WRITE);
	ASSERT_TRUE(breaker_waits(&scene.breaker));
	ASSERT_EQ(1, write(scene.order.rx, "", 1));
	if (end == KILL)
		ASSERT_EQ(0, kill(child, SIGKILL));
	/* The disk is not waited for, nor the peer. */
	EXPECT_EQ(at_once, reap(self->device, done, at_once));
	expect_no_leases(_metadata, &scene);
	EXPECT_EQ(0, reap_now(self->device, &more, 1));
	if (deaf) {
		hung_abort();
		EXPECT_EQ(1, reap(self->device, &done[at_once], 1));
	}
	EXPECT_TRUE(await_threads(child, HOT_WORKER, 0));
	EXPECT_TRUE(await_threads(child, COLD_WORKER, 0));
	if (end == EXEC || end == EXEC_BY_THREAD)
		ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	expect_told(_metadata, &scene, done);
	EXPECT_EQ(0, reap_now(self->device, &more, 1));
	scene_close(&scene);
	EXPECT_TRUE(await_active(0));
	return status;
}

static void expect_ends(struct __test_metadata *_metadata, FIXTURE_DATA(death) *self,
			bool deaf)
{
	enum end end;
	pid_t child;

	for (end = 0; end < ENDS; end++) {
		int status = expect_end(_metadata, self, end, deaf, &child);

		TH_LOG("%s: %#x", names[end], status);
		EXPECT_EQ(end == EXIT ? 0 : end == CORE ? SIGABRT : SIGKILL,
			  status & ~WCOREFLAG);
	}
}

TEST_F(death, ends)
{
	expect_ends(_metadata, self, false);
}

/* One of its workers is where not even SIGKILL is heard. */
TEST_F(death, ends_beside_a_deaf_server)
{
	expect_ends(_metadata, self, true);
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
	status = expect_end(_metadata, self, CORE, false, &child);
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

/*
 * In the child: makes workers of both kinds and has them leave, for ever. A context
 * that others have open, too, goes on.
 */
static void begin_for_ever(FIXTURE_DATA(death) *self, bool shared, int report)
{
	struct zcopy_completion done[3];
	struct file target;
	struct pair pairs[2];
	int i;

	file_make(&target, TMPFS, PAGE, SEED + 1);
	for (;;) {
		int device = shared ? dup(self->device) : device_open();

		for (i = 0; i < 2; i++) {
			pair_open(&pairs[i], TCP4, SMALL);
			submit_one(device, pairs[i].tx, &self->part, i);
		}
		submit_one(device, target.rw, &self->part, 2);
		if (cancel_all(device) < 2 || reap(device, done, 3) != 3)
			die("the transfers do not end");
		close(device);
		for (i = 0; i < 2; i++)
			pair_close(&pairs[i]);
		if (write(report, "", 1) != 1)
			die("report");
	}
}

/* At any moment of that nothing is lost but what the process would have been told. */
TEST_F(death, killed_as_workers_come_and_go)
{
	unsigned int i, rounds = 0;

	for (i = 0; i < how_often(200); i++) {
		struct zcopy_completion done[3];
		char bytes[100];
		int report[2];
		pid_t child;
		int status;

		ASSERT_EQ(0, pipe2(report, O_CLOEXEC));
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			begin_for_ever(self, i % 2, report[1]);
		/* In the first round, or later. */
		usleep(random() % (100000 * slowdown()));
		ASSERT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(SIGKILL, status);
		close(report[1]);
		while (read(report[0], bytes, 1) == 1)
			rounds++;
		close(report[0]);
		EXPECT_TRUE(await_active(0));
		EXPECT_GE(3, reap_now(self->device, done, 3));
		EXPECT_EQ(0, reap_now(self->device, done, 1));
	}
	TH_LOG("%u rounds", rounds);
}

int main(int argc, char **argv)
{
	disk_make();
	break_time_long();
	return test_harness_run(argc, argv);
}
