// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation that zcopy makes, or has made for it, fails once: each call
 * is repeated with its first, second, third ... chance to fail taken, until it
 * runs out of chances. What comes back must be an error <linux/zcopy.h> names,
 * what arrived at the peer must agree with it, and nothing may be left behind.
 * It needs a kernel with fault injection: that of "make check-debug".
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/loading.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define FOLDER	"/sys/kernel/debug/"
#define NTH	"/proc/thread-self/fail-nth"
#define SIZE	(64 * KIB + 123)

/* What can fail: allocations, or copies from and to the program's memory. */
enum kind { ALLOCATIONS, COPIES };

static const char *const attributes[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

static enum kind kind_of(const char *attribute)
{
	return strcmp(attribute, "fail_usercopy") ? ALLOCATIONS : COPIES;
}

static void set(const char *attribute, const char *name, uint64_t value)
{
	char path[128], text[32];
	int fd;

	snprintf(path, sizeof(path), FOLDER "%s/%s", attribute, name);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("write to %s", path);
	close(fd);
}

static uint64_t get(const char *attribute, const char *name)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), FOLDER "%s/%s", attribute, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die("read %s", path);
	close(fd);
	return strtoull(text, NULL, 10);
}

/* Where a kernel function begins, and where the next one does. */
static void locate(const char *function, uint64_t *begin, uint64_t *end)
{
	FILE *symbols = fopen("/proc/kallsyms", "re");
	uint64_t address;
	char name[512];

	*begin = 0;
	*end = UINT64_MAX;
	if (!symbols)
		die("open /proc/kallsyms");
	while (!*begin &&
	       fscanf(symbols, "%" SCNx64 " %*c %511s%*[^\n]", &address, name) == 2)
		if (!strcmp(name, function))
			*begin = address;
	rewind(symbols);
	while (fscanf(symbols, "%" SCNx64 " %*c %*s%*[^\n]", &address) == 1)
		if (address > *begin && address < *end)
			*end = address;
	fclose(symbols);
	if (!*begin)
		die("%s is not in /proc/kallsyms", function);
}

/* What this function of the kernel asks for, it gets. */
static void spare(const char *attribute, const char *function)
{
	uint64_t begin, end;

	locate(function, &begin, &end);
	set(attribute, "reject-start", begin);
	set(attribute, "reject-end", end);
}

/*
 * Only what is called from a module can fail, and zcopy is the only module. Who is
 * to make a thread and has no memory for its stack complains in the kernel's log, so
 * he is spared; before that there is enough that can fail.
 */
static void aim(const char *attribute, bool at_module)
{
	spare(attribute, "copy_process");
	set(attribute, "probability", 0);
	set(attribute, "verbose", 0);
	set(attribute, "task-filter", 0);
	set(attribute, "require-start", at_module ? 0xffffffffa0000000 : 1);
	set(attribute, "require-end", at_module ? 0xffffffffff000000 : 1);
	set(attribute, "stacktrace-depth", 32);
}

/* The chance of that number, from now on, is taken; 0: none. */
static void arm(unsigned int nth)
{
	int fd = open(NTH, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || dprintf(fd, "%u", nth) < 0)
		die("write to " NTH);
	close(fd);
}

/* True when it came to that chance. */
static bool disarm(void)
{
	FILE *nth = fopen(NTH, "re");
	unsigned int left;

	if (!nth || fscanf(nth, "%u", &left) != 1)
		die("read " NTH);
	fclose(nth);
	arm(0);
	return !left;
}

FIXTURE(fault)
{
	struct watch watch;
	struct file file;
	struct part parts[4];
	int device;
	int error;		/* the only one that may come */
};

FIXTURE_VARIANT(fault)
{
	enum kind kind;
	enum filesystem filesystem;
	enum transport transport;
	bool cold;
};

FIXTURE_VARIANT_ADD(fault, memory_ext4_tcp)
{
	.kind = ALLOCATIONS, .filesystem = EXT4, .transport = TCP4,
};

FIXTURE_VARIANT_ADD(fault, memory_cold_ext4_wire)
{
	.kind = ALLOCATIONS, .filesystem = EXT4, .transport = WIRE4,
	.cold = true,
};

FIXTURE_VARIANT_ADD(fault, memory_cold_xfs_unix)
{
	.kind = ALLOCATIONS, .filesystem = XFS, .transport = UNIX,
	.cold = true,
};

FIXTURE_VARIANT_ADD(fault, memory_tmpfs_tls)
{
	.kind = ALLOCATIONS, .filesystem = TMPFS, .transport = TLS,
};

FIXTURE_VARIANT_ADD(fault, copies)
{
	.kind = COPIES, .filesystem = XFS, .transport = TCP6,
};

FIXTURE_SETUP(fault)
{
	size_t i;

	if (access(FOLDER "fail_usercopy/require-start", W_OK))
		SKIP(return, "the kernel has no fault injection");

	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		aim(attributes[i], kind_of(attributes[i]) == variant->kind);
	set("failslab", "ignore-gfp-wait", 0);
	set("fail_page_alloc", "ignore-gfp-wait", 0);
	set("fail_page_alloc", "ignore-gfp-highmem", 0);
	set("fail_page_alloc", "min-order", 0);
	self->error = variant->kind == ALLOCATIONS ? -ENOMEM : -EFAULT;

	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, variant->filesystem, SIZE, 55);
	self->parts[0] = of_memory(0, 300);
	self->parts[1] = of_file(&self->file, 0, 0);
	self->parts[2] = of_memory(300, 6000);
	self->parts[3] = of_file(&self->file, 5000, 10000);
}

FIXTURE_TEARDOWN(fault)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		set(attributes[i], "probability", 0);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

TEST_F(fault, open)
{
	unsigned int nth;
	bool hit = true, failed = false;
	int fd, error;

	for (nth = 1; hit; nth++) {
		arm(nth);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		error = fd < 0 ? -errno : 0;
		hit = disarm();
		/* The kernel does without some of its own. */
		EXPECT_TRUE(!error || (hit && error == self->error)) {
			TH_LOG("at chance %u: %d", nth, error);
		}
		failed |= error;
		if (fd >= 0)
			close(fd);
	}
	/* It has nothing to copy. */
	EXPECT_EQ(variant->kind == ALLOCATIONS, failed);
}

static void expect_error(struct __test_metadata *_metadata,
			 FIXTURE_DATA(fault) *self,
			 const FIXTURE_VARIANT(fault) *variant, int error,
			 uint32_t flags)
{
	/* What kernel TLS says of a record that it found no memory for. */
	if (variant->transport == TLS && error == -EBADMSG) {
		EXPECT_EQ(ZCOPY_C_SOCKET_ERROR, flags & ~ZCOPY_C_COPIED);
		return;
	}
	EXPECT_EQ(self->error, error);
	EXPECT_EQ(0, flags & ~ZCOPY_C_COPIED);
}

TEST_F_TIMEOUT(fault, send, 120)
{
	const uint64_t total = parts_total(self->parts, 4);
	struct zcopy_completion completion;
	struct reader reader;
	struct pair pair;
	unsigned int nth;
	bool hit = true;
	int error;

	for (nth = 1; hit && nth < 10000; nth++) {
		if (variant->cold)
			file_chill(&self->file);
		pair_open(&pair, variant->transport, 0);
		reader_start(&reader, pair.rx, self->parts, 4);
		memset(&completion, 0, sizeof(completion));
		arm(nth);
		error = send_parts(self->device, pair.tx, self->parts, 4, 0,
				   &completion);
		hit = disarm();
		shutdown(pair.tx, SHUT_WR);
		if (variant->kind == COPIES && error) {
			/* The first copies refuse, the last one loses the answer. */
			pthread_join(reader.thread, NULL);
			EXPECT_EQ(0, reader.cursor.wrong);
			EXPECT_TRUE(!reader.cursor.got ||
				    reader.cursor.got == total);
		} else {
			EXPECT_STREQ("", reader_finish(&reader, completion.bytes));
		}
		pair_close(&pair);

		if (error || completion.error) {
			expect_error(_metadata, self, variant,
				     error ?: completion.error,
				     completion.flags);
			EXPECT_TRUE(hit);
		} else {
			EXPECT_EQ(total, completion.bytes);
		}
		if (_metadata->exit_code) {
			TH_LOG("at chance %u", nth);
			break;
		}
	}
	EXPECT_FALSE(hit);
	EXPECT_LT(3, nth);
}

/* Reads what is there and ends when all transfers have: returns how many. */
static size_t reap_all(int device, struct zcopy_completion *completions,
		       size_t max)
{
	struct zcopy_submit submit = {
		.transfer_size = sizeof(struct zcopy_transfer),
		.completions = (uintptr_t)completions,
		.max_completions = max,
		.min_completions = max,
		.timeout = -1,
	};

	errno = -submit_call(device, &submit);
	if (errno)
		die("collect completions");
	return submit.completed;
}

TEST_F_TIMEOUT(fault, submit, 120)
{
	const uint64_t total = parts_total(self->parts, 4);
	struct zcopy_completion completions[4];
	struct zcopy_transfer transfers[2];
	struct zcopy_submit submit;
	struct reader readers[2];
	struct pair pairs[2];
	unsigned int nth;
	bool hit = true;
	size_t nr, i;
	int error;

	for (nth = 1; hit && nth < 10000; nth++) {
		uint64_t bytes[2] = {};

		if (variant->cold)
			file_chill(&self->file);
		for (i = 0; i < 2; i++) {
			pair_open(&pairs[i], variant->transport, 0);
			reader_start(&readers[i], pairs[i].rx, self->parts, 4);
			transfers[i] = transfer_of(pairs[i].tx, self->parts, 4, i);
		}
		submit = submit_of(transfers, 2);
		arm(nth);
		error = submit_call(self->device, &submit);
		hit = disarm();

		nr = reap_all(self->device, completions, 4);
		for (i = 0; i < nr; i++) {
			bytes[completions[i].user_data] = completions[i].bytes;
			if (completions[i].error)
				expect_error(_metadata, self, variant,
					     completions[i].error,
					     completions[i].flags);
			else
				EXPECT_EQ(total, completions[i].bytes);
		}
		if (error) {
			EXPECT_EQ(self->error, error);
		} else {
			EXPECT_EQ(nr, submit.accepted);
			EXPECT_EQ(nr < 2 ? self->error : 0, submit.error);
		}
		for (i = 0; i < 2; i++) {
			shutdown(pairs[i].tx, SHUT_WR);
			EXPECT_STREQ("", reader_finish(&readers[i], bytes[i]));
			pair_close(&pairs[i]);
			free((void *)(uintptr_t)transfers[i].segments);
		}
		if (_metadata->exit_code) {
			TH_LOG("at chance %u", nth);
			break;
		}
	}
	EXPECT_FALSE(hit);
	EXPECT_LT(3, nth);
}

/* Here chance decides, as workers cannot be armed. */
TEST_F_TIMEOUT(fault, workers, 120)
{
	const uint64_t total = parts_total(self->parts, 4);
	struct zcopy_completion completions[8];
	struct zcopy_transfer transfers[8];
	struct reader readers[8];
	struct pair pairs[8];
	uint64_t taken = 0;
	int round;
	size_t nr, i;

	if (variant->kind != ALLOCATIONS || !variant->cold)
		SKIP(return, "only allocations for reading the disk: no worker runs");

	for (round = 0; round < 20; round++) {
		uint64_t bytes[8] = {};

		file_chill(&self->file);
		for (i = 0; i < 8; i++) {
			pair_open(&pairs[i], variant->transport, 0);
			reader_start(&readers[i], pairs[i].rx, self->parts, 4);
			transfers[i] = transfer_of(pairs[i].tx, self->parts, 4, i);
		}
		submit_all(self->device, transfers, 8);
		for (i = 0; i < 2; i++) {
			set(attributes[i], "times", 1000000);
			set(attributes[i], "interval", 1);
			set(attributes[i], "probability", 20);
		}
		nr = reap_all(self->device, completions, 8);
		for (i = 0; i < 2; i++) {
			set(attributes[i], "probability", 0);
			taken += 1000000 - get(attributes[i], "times");
		}
		ASSERT_EQ(8, nr);
		for (i = 0; i < nr; i++) {
			bytes[completions[i].user_data] = completions[i].bytes;
			EXPECT_EQ(completions[i].error ? -ENOMEM : 0,
				  completions[i].error);
			if (!completions[i].error)
				EXPECT_EQ(total, completions[i].bytes);
		}
		for (i = 0; i < 8; i++) {
			shutdown(pairs[i].tx, SHUT_WR);
			EXPECT_STREQ("", reader_finish(&readers[i], bytes[i]));
			pair_close(&pairs[i]);
			free((void *)(uintptr_t)transfers[i].segments);
		}
	}
	EXPECT_LT(0, taken);
}

/* The module itself: one that cannot start leaves nothing behind. */
TEST_F_TIMEOUT(fault, load, 240)
{
	unsigned int nth;
	bool hit = true;
	int error, descriptors;
	size_t i;

	if (variant->kind != ALLOCATIONS || variant->transport != TCP4)
		SKIP(return, "loading knows neither files nor sockets: once is enough");
	close(self->device);
	/* Without memory it complains in the kernel's log, too; no thread is made here. */
	for (i = 0; i < ARRAY_SIZE(attributes); i++)
		spare(attributes[i], "__kmem_cache_create_args");
	for (nth = 1; hit && nth < 10000; nth++) {
		ASSERT_EQ(0, module_unload());
		arm(nth);
		error = module_load();
		hit = disarm();
		if (error) {
			EXPECT_EQ(-ENOMEM, error);
			EXPECT_NE(0, access(DEVICE, F_OK));
			EXPECT_NE(0, access("/sys/module/zcopy", F_OK));
			ASSERT_EQ(0, module_load());
		}
		if (_metadata->exit_code) {
			TH_LOG("at chance %u", nth);
			break;
		}
	}
	EXPECT_LT(3, nth);
	self->device = device_open();
	/* The kernel's log has a line for each device that it could not add. */
	descriptors = self->watch.descriptors;
	close(self->watch.kmsg);
	watch_begin(&self->watch);
	self->watch.descriptors = descriptors;
}

TEST_HARNESS_MAIN
