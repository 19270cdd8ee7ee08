// SPDX-License-Identifier: GPL-2.0-only
/*
 * The preload shim in all that a process may do around it: threads, children,
 * signal handlers, descriptors it closes, a root it leaves; its two variables
 * in the environment, and the line it writes at exit.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/shim.h"
#include "lib/watch.h"

#define SIZE	100003

FIXTURE(preload_process)
{
	struct watch watch;
	struct file file;
	int device;
	int root;
};

FIXTURE_SETUP(preload_process)
{
	shim_load();
	watch_begin(&self->watch);
	file_make(&self->file, EXT4, SIZE, 171);
	self->device = device_open();
	self->root = open("/", O_PATH | O_CLOEXEC);
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(preload_process)
{
	close(self->root);
	EXPECT_STREQ("", file_intact(&self->file));
	close(self->device);
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* Bytes through the device since the last time. */
static uint64_t by_device(int device)
{
	static uint64_t before;
	struct zcopy_stats stats;
	uint64_t since;

	device_stats(device, ZCOPY_STATS_MODULE, &stats);
	since = stats.bytes - before;
	before = stats.bytes;
	return since;
}

/* The whole file over a connection of its own; "" when it arrived. */
static const char *send_whole(const struct file *file, enum transport transport)
{
	const struct part part = of_file(file, 0, 0);
	struct reader reader;
	const char *verdict;
	struct pair pair;
	off_t offset = 0;
	ssize_t n;

	pair_open(&pair, transport, 0);
	reader_start(&reader, pair.rx, &part, 1);
	do {
		n = call(BY_SHIM, pair.tx, file->fd, &offset, SIZE);
	} while (n > 0);
	shutdown(pair.tx, SHUT_WR);
	verdict = reader_finish(&reader, SIZE);
	pair_close(&pair);
	return *verdict || !n ? verdict : "the call failed";
}

static void *send_often(void *argument)
{
	int i;

	for (i = 0; i < 20; i++) {
		const char *verdict = send_whole(argument, i % 2 ? UNIX : TCP4);

		if (*verdict)
			return "a file did not arrive";
	}
	return "";
}

/* Threads that all find out at once, again and again, that it is gone. */
#define FINDERS		4
#define ROUNDS		2000

static pthread_barrier_t barrier;

static void *find_out(void *argument)
{
	const struct file *file = argument;
	const char *verdict = "";
	char buffer[10];
	struct pair pair;
	int i;

	pair_open(&pair, UNIX, 0);
	for (i = 0; i < ROUNDS; i++) {
		off_t offset = 0;

		pthread_barrier_wait(&barrier);
		if (call(BY_SHIM, pair.tx, file->fd, &offset, sizeof(buffer)) !=
		    sizeof(buffer))
			verdict = "a call failed";
		pthread_barrier_wait(&barrier);
		if (recv(pair.rx, buffer, sizeof(buffer), MSG_DONTWAIT) !=
		    sizeof(buffer))
			verdict = "bytes are missing";
	}
	pair_close(&pair);
	return (void *)verdict;
}

/* Close those of the device that the finders may have; how many there were. */
static int close_found(int lowest)
{
	int fd, count = 0;

	for (fd = lowest; fd < lowest + FINDERS; fd++)
		count += !close(fd);
	return count;
}

TEST_F(preload_process, threads)
{
	int lowest = shim_descriptor(), rounds_with_one = 0;
	pthread_t threads[FINDERS];
	void *verdict;
	size_t i;

	by_device(self->device);
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, FINDERS + 1));
	for (i = 0; i < FINDERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, find_out,
					    &self->file));
	for (i = 0; i < ROUNDS; i++) {
		rounds_with_one += close_found(lowest) == 1;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	for (i = 0; i < FINDERS; i++) {
		pthread_join(threads[i], &verdict);
		EXPECT_STREQ("", verdict);
	}
	pthread_barrier_destroy(&barrier);
	EXPECT_EQ(FINDERS * ROUNDS * 10, by_device(self->device));
	EXPECT_EQ(ROUNDS, rounds_with_one);
	EXPECT_EQ(1, shim_descriptors());
}

/* Each with connections of its own. */
TEST_F(preload_process, connections)
{
	pthread_t threads[8];
	void *verdict;
	size_t i;

	close(shim_descriptor());
	by_device(self->device);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, send_often,
					    &self->file));
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		pthread_join(threads[i], &verdict);
		EXPECT_STREQ("", verdict);
	}
	EXPECT_EQ(8 * 20 * SIZE, by_device(self->device));
	EXPECT_EQ(1, shim_descriptors());
}

TEST_F(preload_process, children)
{
	pthread_t thread;
	void *verdict;
	int status, i;

	by_device(self->device);
	ASSERT_EQ(0, pthread_create(&thread, NULL, send_often, &self->file));
	for (i = 0; i < 4; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			bool good = !*send_whole(&self->file, TCP4);

			/* What a child does to it is its own affair. */
			close(shim_descriptor());
			_exit(!good || *send_whole(&self->file, TCP4));
		}
		EXPECT_STREQ("", send_whole(&self->file, TCP4));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	pthread_join(thread, &verdict);
	EXPECT_STREQ("", verdict);
	EXPECT_EQ((20 + 3 * 4) * SIZE, by_device(self->device));
}

/* What the handler sends, of a file and to a socket of its own. */
static struct {
	int out;
	int in;
	off_t offset;
	int failures;
} handler;

/* Once more soon, but not before the program has had its turn. */
static void send_in_handler(int number)
{
	const struct itimerval soon = { .it_value.tv_usec = 500 };
	const int saved = errno;

	(void)number;
	if (call(BY_SHIM, handler.out, handler.in, &handler.offset, 1000) < 1)
		handler.failures++;
	if (handler.offset < SIZE)
		setitimer(ITIMER_REAL, &soon, NULL);
	errno = saved;
}

TEST_F(preload_process, handler)
{
	const struct sigaction action = {
		.sa_handler = send_in_handler,
		.sa_flags = SA_RESTART,
	};
	const struct part part = of_file(&self->file, 0, 0);
	struct reader reader;
	struct pair pair;

	pair_open(&pair, UNIX, 0);
	reader_start(&reader, pair.rx, &part, 1);
	handler.out = pair.tx;
	handler.in = self->file.rw;
	close(shim_descriptor());
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, raise(SIGALRM));
	do {
		ASSERT_STREQ("", send_whole(&self->file, TCP4));
	} while (__atomic_load_n(&handler.offset, __ATOMIC_RELAXED) < SIZE);
	EXPECT_EQ(0, handler.failures);
	shutdown(pair.tx, SHUT_WR);
	EXPECT_STREQ("", reader_finish(&reader, SIZE));
	pair_close(&pair);
	}

TEST_F(preload_process, descriptor)
{
	int fd = shim_descriptor();
	struct stat before, after;

	/* A new program does not get it. */
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));

	close(fd);
	by_device(self->device);
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(SIZE, by_device(self->device));

	/* It may be the program's own by now: that stays open, and unused. */
	fd = shim_descriptor();
	ASSERT_EQ(fd, dup2(self->file.rw, fd));
	ASSERT_EQ(0, fstat(fd, &before));
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(SIZE, by_device(self->device));
	ASSERT_EQ(0, fstat(fd, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
	close(fd);
	EXPECT_EQ(1, shim_descriptors());
}

/* Closed, as daemons do, with a program's first file in its place. */
TEST_F(preload_process, all_closed)
{
	int fd = shim_descriptor(), i;
	int kept;

	for (i = 0; i < 3; i++) {
		close(fd);
		ASSERT_LE(0, kept = fcntl(self->file.fd, F_DUPFD_CLOEXEC, fd));
		EXPECT_EQ(fd, kept);
		by_device(self->device);
		EXPECT_STREQ("", send_whole(&self->file, UNIX));
		EXPECT_EQ(SIZE, by_device(self->device));
		close(kept);
		fd = shim_descriptor();
		ASSERT_LE(0, fd);
	}
}

/* Without the device all goes as ever, and with it by the device again. */
TEST_F(preload_process, device_missing)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	close(shim_descriptor());
	ASSERT_EQ(0, mount(directory(TMPFS), "/dev", NULL, MS_BIND, NULL));
	by_device(self->device);
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(0, by_device(self->device));
	ASSERT_EQ(0, umount("/dev"));
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(SIZE, by_device(self->device));

	/* In its place something that is not the device. */
	close(shim_descriptor());
	ASSERT_EQ(0, mount("/dev/null", DEVICE, NULL, MS_BIND, NULL));
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(0, by_device(self->device));
	EXPECT_EQ(0, shim_descriptors());
	ASSERT_EQ(0, umount(DEVICE));
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(SIZE, by_device(self->device));
}

/* Servers go to an empty root before their first call. */
TEST_F(preload_process, change_of_root)
{
	by_device(self->device);
	ASSERT_EQ(0, chroot(directory(TMPFS)));
	EXPECT_STREQ("", send_whole(&self->file, TCP4));
	EXPECT_EQ(SIZE, by_device(self->device));
	ASSERT_EQ(0, fchdir(self->root));
	ASSERT_EQ(0, chroot("."));
}

/* No room for a descriptor: the system call needs none. */
TEST_F(preload_process, no_descriptor_left)
{
	struct rlimit limit, few;
	struct pair pair;
	off_t offset = 0;

	pair_open(&pair, UNIX, 0);
	close(shim_descriptor());
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	few = limit;
	few.rlim_cur = 1;
	by_device(self->device);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_EQ(100, call(BY_SHIM, pair.tx, self->file.fd, &offset, 100));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, by_device(self->device));
	EXPECT_EQ(100, call(BY_SHIM, pair.tx, self->file.fd, &offset, 100));
	EXPECT_EQ(100, by_device(self->device));
	pair_close(&pair);
}

/* The path of a file of preload_environment. */
static const char *path_of(const char *name)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/preload-%s",
		 directory(TMPFS), name);
	return path[turn];
}

/*
 * This program as one that knows nothing of the shim. What it does is counted
 * on below.
 */
static int program(void)
{
	struct pair local, copying;
	int in = open(path_of("data"), O_RDONLY);
	off_t offset = 10;
	int ends[2];

	pair_open(&local, UNIX, 0);
	pair_open(&copying, MPTCP, 0);
	if (in < 0 || pipe(ends))
		die("open what is needed");
	if (sendfile(local.tx, in, &offset, 1000) != 1000 || offset != 1010 ||
	    sendfile64(local.tx, in, NULL, 300) != 300 ||
	    sendfile(copying.tx, in, NULL, 70) != 70 ||
	    sendfile(ends[1], in, NULL, 5) != 5 ||
	    sendfile(ends[1], in, NULL, 6) != 6 ||
	    sendfile(-1, in, NULL, 1) != -1 ||
	    sendfile(local.tx, in, NULL, 0) != 0)
		return 1;
	/* A child tells its own part, or nothing if it has none. */
	if (!fork())
		exit(0);
	wait(NULL);
	if (!fork()) {
		sendfile(local.tx, in, NULL, 20);
		exit(0);
	}
	wait(NULL);
	return 0;
}

static const char child_line[] =
	": calls=1 by_reference=20 copied=0 fallbacks=0 by_system_call=0\n";
static const char parent_line[] =
	": calls=7 by_reference=1300 copied=70 fallbacks=3 by_system_call=11 EBADF=1 ENOTSOCK=2\n";

/* Run it with these variables; what it and the shim wrote. */
static const char *run_program(const char *variables)
{
	static char output[4096];
	char command[1024];
	char path[256];
	FILE *stream;
	ssize_t n;

	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		die("find this program");
	path[n] = 0;
	snprintf(command, sizeof(command), "LD_PRELOAD=%s %s %s program 2>&1",
		 SHIM_LIBRARY, variables, path);
	stream = popen(command, "re");
	if (!stream)
		die("popen");
	n = fread(output, 1, sizeof(output) - 1, stream);
	output[n] = 0;
	if (pclose(stream))
		die("%s: %s", command, output);
	return output;
}

/* Two lines, each with the name and number of its process. */
static const char *tells_all(const char *output)
{
	const char *second = strchr(output, '\n');
	int child, parent;

	if (!second ||
	    sscanf(output, "zcopy-preload: process[%d]", &child) != 1 ||
	    sscanf(++second, "zcopy-preload: process[%d]", &parent) != 1 ||
	    child == parent ||
	    strncmp(strchr(output, ']') + 1, child_line, strlen(child_line)) ||
	    strcmp(strchr(second, ']') + 1, parent_line))
		return output;
	return "";
}

FIXTURE(preload_environment)
{
	int device;
};

FIXTURE_SETUP(preload_environment)
{
	struct file file;
	int copy;

	self->device = device_open();
	file_make(&file, TMPFS, SIZE, 172);
	copy = open(path_of("data"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ASSERT_EQ(SIZE, sendfile(copy, file.fd, NULL, SIZE));
	close(copy);
	file_close(&file);
	by_device(self->device);
}

FIXTURE_TEARDOWN(preload_environment)
{
	unlink(path_of("data"));
	close(self->device);
}

TEST_F(preload_environment, on)
{
	EXPECT_STREQ("", run_program(""));
	EXPECT_EQ(1390, by_device(self->device));
	EXPECT_STREQ("", run_program("ZCOPY_PRELOAD=1"));
	EXPECT_EQ(1390, by_device(self->device));
	EXPECT_STREQ("", run_program("ZCOPY_PRELOAD_SUMMARY=0"));
	EXPECT_STREQ("", run_program("ZCOPY_PRELOAD_SUMMARY="));
}

TEST_F(preload_environment, off)
{
	EXPECT_STREQ("", run_program("ZCOPY_PRELOAD=0"));
	EXPECT_STREQ("", run_program("ZCOPY_PRELOAD=0 ZCOPY_PRELOAD_SUMMARY=1"));
	EXPECT_EQ(0, by_device(self->device));
}

TEST_F(preload_environment, summary)
{
	EXPECT_STREQ("", tells_all(run_program("ZCOPY_PRELOAD_SUMMARY=1")));
}

TEST_F(preload_environment, summary_file)
{
	const char *path = path_of("summary");
	char variable[256];
	char output[4096];
	ssize_t n;
	int fd;

	snprintf(variable, sizeof(variable), "ZCOPY_PRELOAD_SUMMARY=%s", path);
	EXPECT_STREQ("", run_program(variable));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	n = read(fd, output, sizeof(output) - 1);
	ASSERT_LT(0, n);
	output[n] = 0;
	EXPECT_STREQ("", tells_all(output));
	/* It is added to. */
	EXPECT_STREQ("", run_program(variable));
	n = read(fd, output, sizeof(output) - 1);
	ASSERT_LT(0, n);
	output[n] = 0;
	EXPECT_STREQ("", tells_all(output));
	close(fd);
	unlink(path);
	/* Nothing is lost where no file can be. */
	EXPECT_STREQ("", tells_all(run_program("ZCOPY_PRELOAD_SUMMARY=/proc/x")));
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "program"))
		return program();
	return test_harness_run(argc, argv);
}
