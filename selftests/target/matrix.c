// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every source to every target through every door, as a table: what arrives is
 * right, or the transfer is refused with the errno that is documented.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/door.h"
#include "lib/place.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED	461U
#define SIZE	(200 * KIB)
#define OFFSET	4097		/* of what is sent: odd, and ... */
#define LENGTH	(100 * KIB + 1)	/* ... across many pages */

/* Where files come from. */
static const struct source {
	enum place_id place;
	const char *name;	/* of what is no place: */
	const char *path;	/* a file that is there, or NULL: a memfd */
	int error;
} sources[] = {
	{ .place = PLACE_NFS },
	{ .place = PLACE_EXT4 },
	{ .place = PLACE_EXT4_DIRECT },
	{ .place = PLACE_XFS },
	{ .place = PLACE_TMPFS },
	{ .place = PLACE_BTRFS },
	{ .place = PLACE_BTRFS_COMPRESSED },
	{ .place = PLACE_SQUASHFS },
	{ .place = PLACE_EROFS },
	{ .place = PLACE_OVERLAY_UPPER },
	{ .place = PLACE_OVERLAY_LOWER },
	{ .place = PLACE_FUSE },
	{ .place = PLACE_9P },
	{ .name = "memfd" },
	/* It can only be read. */
	{ .name = "proc", .path = "/proc/self/cmdline", .error = EOPNOTSUPP },
	{ .name = "character device", .path = "/dev/zero", .error = ESPIPE },
};

static int open_pipe(struct pair *pair)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	*pair = (struct pair){ .tx = ends[1], .rx = ends[0] };
	return 0;
}

static int open_file(struct pair *pair)
{
	pair->tx = open(directory(XFS), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	pair->rx = open_again(pair->tx, O_RDONLY);
	return pair->rx < 0 ? -1 : 0;
}

static int open_datagrams(struct pair *pair)
{
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, (int *)pair);
}

static int open_packets(struct pair *pair)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			  (int *)pair);
}

/* Where they go to. */
static const struct target {
	const char *name;
	enum transport transport;
	const char *module;	/* what the kernel has to load, or NULL */
	/* For what is no transport; returns 0 or ends the test. */
	int (*open)(struct pair *pair);
	bool late;		/* is read when all is there */
	int error;
} targets[] = {
	{ "tcp4", .transport = TCP4 },
	{ "tcp6", .transport = TCP6 },
	{ "wire4", .transport = WIRE4 },
	{ "wire6", .transport = WIRE6 },
	{ "mptcp", .transport = MPTCP },
	{ "unix", .transport = UNIX },
	{ "vsock", .transport = VSOCK, .module = "vsock_loopback" },
	{ "tls1.2", .transport = TLS, .module = "tls" },
	{ "tls1.3", .transport = TLS13_256, .module = "tls" },
	{ "pipe", .open = open_pipe },
	{ "file", .open = open_file, .late = true },
	{ "dgram", .open = open_datagrams, .error = EPROTONOSUPPORT },
	{ "seqpkt", .open = open_packets, .error = EPROTONOSUPPORT },
};

#define NR_SOURCES	(sizeof(sources) / sizeof(*sources))
#define NR_TARGETS	(sizeof(targets) / sizeof(*targets))

/* What became of each cell; shared with the test's processes. */
static char (*cells)[NR_TARGETS][DOORS];

FIXTURE(matrix)
{
	struct watch watch;
	struct file file;
	int device;
};

FIXTURE_VARIANT(matrix)
{
	size_t source;
};

FIXTURE_SETUP(matrix)
{
	const struct source *source = &sources[variant->source];

	if (!source->name && *place_missing(source->place))
		SKIP(return, "%s", place_missing(source->place));
	watch_begin(&self->watch);
	self->device = device_open();
	if (!source->name) {
		self->file = place_open(source->place);
	} else if (source->path) {
		self->file.fd = open(source->path, O_RDONLY | O_CLOEXEC);
		self->file.size = SIZE;
		ASSERT_LE(0, self->file.fd);
	} else {
		file_make(&self->file, MEMFD, SIZE, SEED);
	}
}

FIXTURE_TEARDOWN(matrix)
{
	const struct source *source = &sources[variant->source];

	if (!source->path)
		EXPECT_STREQ("", file_intact(&self->file));
	if (!source->name)
		place_close(&self->file);
	else if (source->path)
		close(self->file.fd);
	else
		file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* One cell: "" when all is as it should be. */
static const char *cell(int device, const struct file *file,
			const struct target *target, enum door door, int error)
{
	static char text[128];
	const struct part parts[] = {
		of_memory(door, 77), of_file(file, OFFSET, LENGTH),
	};
	const uint64_t total = parts_total(ALL_OF(parts));
	struct zcopy_completion completion;
	struct zcopy_transfer transfer;
	struct reader reader;
	const char *verdict;
	struct pair pair;
	int refused;

	if (!target->open)
		pair_open(&pair, target->transport, 0);
	else if (target->open(&pair))
		die("open the target %s", target->name);
	transfer = transfer_of(pair.tx, parts, 2, door);
	if (error)
		set_nonblocking(pair.rx);	/* there is no end to wait for */
	if (!target->late)
		reader_start(&reader, pair.rx, parts, 2);
	refused = -fly(door, device, &transfer, &completion);
	if (target->late)
		reader_start(&reader, pair.rx, parts, 2);
	/* The reader comes to the end. */
	shutdown(pair.tx, SHUT_WR);
	close(pair.tx);
	verdict = reader_finish(&reader, refused ? 0 : total);
	close(pair.rx);
	if (refused != error)
		snprintf(text, sizeof(text), "errno %d, not %d", refused, error);
	else if (!refused &&
		 (completion.bytes != total || completion.error ||
		  (completion.flags & ~ZCOPY_C_COPIED)))
		snprintf(text, sizeof(text), "%llu bytes, error %d, flags %#x",
			 (unsigned long long)completion.bytes,
			 completion.error, completion.flags);
	else
		return verdict;
	return text;
}

TEST_F(matrix, to)
{
	const struct source *source = &sources[variant->source];
	const char *verdict;
	enum door door;
	size_t i;

	for (i = 0; i < NR_TARGETS; i++) {
		/* The target is looked at first. */
		const int error = targets[i].error ?: source->error;

		for (door = SEND; door < DOORS; door++) {
			verdict = cell(self->device, &self->file, &targets[i],
				       door, error);
			cells[variant->source][i][door] = *verdict ? '!' :
							  error ? '-' :
							  "SQU"[door];
			EXPECT_STREQ("", verdict) {
				TH_LOG("to %s, door %d", targets[i].name, door);
			}
		}
	}
}

static const char *name_of(const struct source *source)
{
	return source->name ?: places[source->place].name;
}

static pid_t maker;

static void print_table(void)
{
	size_t s, t;

	if (getpid() != maker)
		return;
	printf("# The matrix: what each source gives each target, by each engine\n");
	printf("# (S: ZCOPY_IOC_SEND, Q: the queue, U: io_uring; - refused as\n");
	printf("# documented, ! wrong, . not run)\n#\n# %-18s", "");
	for (t = 0; t < NR_TARGETS; t++)
		printf(" %-7s", targets[t].name);
	for (s = 0; s < NR_SOURCES; s++) {
		printf("\n# %-18s", name_of(&sources[s]));
		for (t = 0; t < NR_TARGETS; t++)
			printf(" %-7.*s", DOORS, cells[s][t]);
		if (sources[s].error)
			printf(" %s", strerrorname_np(sources[s].error));
	}
	printf("\n#\n");
	for (t = 0; t < NR_TARGETS; t++)
		if (targets[t].error)
			printf("# %s: %s\n", targets[t].name,
			       strerrorname_np(targets[t].error));
}

int main(int argc, char **argv)
{
	/* A variant a source: the table above is all there is to change. */
	static struct __fixture_variant_metadata variants[NR_SOURCES];
	static struct _fixture_variant_matrix data[NR_SOURCES];
	size_t i;

	cells = mmap(NULL, NR_SOURCES * sizeof(*cells), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cells == MAP_FAILED)
		die("mmap");
	memset(cells, '.', NR_SOURCES * sizeof(*cells));
	for (i = 0; i < NR_TARGETS; i++)
		if (targets[i].module && run("modprobe %s", targets[i].module))
			die("load a module");
	for (i = 0; i < NR_SOURCES; i++) {
		if (!sources[i].name)
			place_make(sources[i].place, SIZE, SEED);
		data[i].source = i;
		variants[i].name = name_of(&sources[i]);
		variants[i].data = &data[i];
		__register_fixture_variant(&_matrix_fixture_object,
					   &variants[i]);
	}
	maker = getpid();
	if (atexit(print_table))
		die("arrange for the table");
	return test_harness_run(argc, argv);
}
