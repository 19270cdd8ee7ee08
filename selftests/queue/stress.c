// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads on one queue that submit, cancel and close at random. What the
 * receivers got must be, transfer by transfer and each in one piece, what the
 * completions say.
 */
#include <sched.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define SEED		301U
#define SIZE		(2 * MIB)
#define SMALL		(64 * 1024)	/* of a socket buffer */
#define THREADS		4
#define SOCKETS		5
#define EACH		150		/* transfers of a thread */
#define TRANSFERS	(THREADS * EACH)
#define MAGIC		0x7a636f70U

/* What each transfer begins with. */
struct header {
	uint32_t magic;
	uint32_t id;
	uint64_t len;		/* of the piece of the file behind it */
};

struct job {
	struct header header;
	struct part part;
	int socket;
	struct zcopy_completion done;
	unsigned int completed;		/* times */
	bool arrived;
};

/* A receiver that keeps what it gets. */
struct sink {
	pthread_t thread;
	struct pair pair;
	char *bytes;
	size_t len;
};

FIXTURE(stress)
{
	struct watch watch;
	struct file file;
	struct sink sinks[SOCKETS];
	struct job jobs[TRANSFERS];
	unsigned int seed;
	int device;
};

FIXTURE_SETUP(stress)
{
	const char *given = getenv("ZCOPY_FUZZ_SEED");

	watch_begin(&self->watch);
	self->device = device_open();
	file_make(&self->file, TMPFS, SIZE, SEED);
	if (given)
		self->seed = strtoul(given, NULL, 0);
	else if (getrandom(&self->seed, sizeof(self->seed), 0) < 0)
		die("getrandom");
	TH_LOG("ZCOPY_FUZZ_SEED=%u", self->seed);
}

FIXTURE_TEARDOWN(stress)
{
	close(self->device);
	EXPECT_STREQ("", file_intact(&self->file));
	file_close(&self->file);
	EXPECT_STREQ("", watch_end(&self->watch));
}

static void *sink_run(void *argument)
{
	struct sink *sink = argument;
	ssize_t n;

	do {
		sink->bytes = realloc(sink->bytes, sink->len + 256 * KIB);
		if (!sink->bytes)
			die("memory for what arrives");
		n = recv(sink->pair.rx, sink->bytes + sink->len, 256 * KIB, 0);
		sink->len += n > 0 ? n : 0;
	} while (n > 0);
	return NULL;
}

static void job_prepare(FIXTURE_DATA(stress) *self, uint32_t id,
			unsigned int *random)
{
	struct job *job = &self->jobs[id];

	job->part = of_file(&self->file, rand_r(random) % SIZE,
			    1 + rand_r(random) % (rand_r(random) % 8 ?
						  8 * KIB : 256 * KIB));
	job->header = (struct header){ MAGIC, id, job->part.want.len };
	job->socket = rand_r(random) % SOCKETS;
}

static struct zcopy_transfer job_transfer(FIXTURE_DATA(stress) *self,
					  uint32_t id,
					  struct zcopy_segment segments[2])
{
	struct job *job = &self->jobs[id];

	segments[0] = (struct zcopy_segment){
		.addr = (uintptr_t)&job->header,
		.len = sizeof(job->header),
		.fd = ZCOPY_MEMORY,
	};
	segments[1] = job->part.segment;
	return (struct zcopy_transfer){
		.user_data = id,
		.segments = (uintptr_t)segments,
		.nr_segments = 2,
		.socket = self->sinks[job->socket].pair.tx,
	};
}

struct worker {
	FIXTURE_DATA(stress) *self;
	pthread_t thread;
	uint32_t first;
	bool cancels;
};

static void *worker_run(void *argument)
{
	FIXTURE_DATA(stress) *self = ((struct worker *)argument)->self;
	const struct worker *worker = argument;
	unsigned int random = self->seed + worker->first;
	uint32_t id = worker->first, end = id + EACH;

	while (id < end) {
		struct zcopy_segment segments[8][2];
		struct zcopy_transfer transfers[8];
		uint32_t nr = 1 + rand_r(&random) % 8, i;

		if (nr > end - id)
			nr = end - id;
		for (i = 0; i < nr; i++) {
			job_prepare(self, id + i, &random);
			transfers[i] = job_transfer(self, id + i, segments[i]);
		}
		submit_all(self->device, transfers, nr);
		id += nr;
		if (!worker->cancels)
			continue;
		if (rand_r(&random) % 2)
			cancel_user_data(self->device,
					 rand_r(&random) % TRANSFERS);
		if (rand_r(&random) % 16 == 0)
			cancel_socket(self->device,
				      self->sinks[rand_r(&random) % SOCKETS].pair.tx);
		if (rand_r(&random) % 64 == 0)
			cancel_all(self->device);
	}
	return NULL;
}

static void collect(struct __test_metadata *_metadata,
		    FIXTURE_DATA(stress) *self)
{
	struct zcopy_completion done[16];
	size_t total = 0, n, i;

	while (total < TRANSFERS) {
		/* Between two submits there may be nothing under way. */
		n = reap(self->device, done, 1);
		n += reap_now(self->device, done + n, 15);
		for (i = 0; i < n; i++) {
			ASSERT_GT(TRANSFERS, done[i].user_data);
			self->jobs[done[i].user_data].done = done[i];
			self->jobs[done[i].user_data].completed++;
		}
		total += n;
		if (!n)
			sched_yield();
	}
}

/* The transfer that these bytes are the beginning of, or NULL. */
static struct job *recognize(FIXTURE_DATA(stress) *self, int socket,
			     const char *at, size_t left)
{
	struct header header = {};
	size_t i;

	memcpy(&header, at, left < sizeof(header) ? left : sizeof(header));
	if (header.magic == MAGIC && header.id < TRANSFERS &&
	    self->jobs[header.id].done.bytes >= sizeof(header))
		return &self->jobs[header.id];
	/* One that was cancelled in the middle of its header. */
	for (i = 0; i < TRANSFERS; i++) {
		struct job *job = &self->jobs[i];
		size_t bytes = job->done.bytes;

		if (job->socket == socket && !job->arrived && bytes &&
		    bytes < sizeof(header) && bytes <= left &&
		    !memcmp(at, &job->header, bytes))
			return job;
	}
	return NULL;
}

static bool is_right(const struct job *job, const char *at)
{
	uint64_t len = job->done.bytes;
	static char good[512 * KIB];

	if (len < sizeof(job->header))
		return true;
	len -= sizeof(job->header);
	if (len > job->part.want.len ||
	    memcmp(at, &job->header, sizeof(job->header)))
		return false;
	pattern(good, len, job->part.want.seed, job->part.want.pos);
	return !memcmp(at + sizeof(job->header), good, len);
}

/* Cut what arrived into transfers. */
static void check_sink(struct __test_metadata *_metadata,
		       FIXTURE_DATA(stress) *self, int socket)
{
	const struct sink *sink = &self->sinks[socket];
	int64_t last[THREADS];
	size_t at = 0;

	memset(last, 0xff, sizeof(last));
	while (at < sink->len) {
		struct job *job = recognize(self, socket, sink->bytes + at,
					    sink->len - at);

		ASSERT_NE(NULL, job) {
			TH_LOG("socket %d: unknown bytes at %zu", socket, at);
		}
		ASSERT_EQ(socket, job->socket);
		ASSERT_FALSE(job->arrived);
		ASSERT_GE(sink->len - at, job->done.bytes);
		ASSERT_TRUE(is_right(job, sink->bytes + at));
		/* Those of one thread in the order it submitted them. */
		ASSERT_LT(last[job->header.id / EACH], job->header.id);
		last[job->header.id / EACH] = job->header.id;
		job->arrived = true;
		at += job->done.bytes;
	}
}

static void stress(struct __test_metadata *_metadata,
		   FIXTURE_DATA(stress) *self, bool cancels)
{
	struct worker workers[THREADS];
	size_t i, whole = 0;

	for (i = 0; i < SOCKETS; i++) {
		struct sink *sink = &self->sinks[i];

		pair_open(&sink->pair, i % 2 ? UNIX : TCP4, SMALL);
		ASSERT_EQ(0, pthread_create(&sink->thread, NULL, sink_run,
					    sink));
	}
	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .self = self, .first = i * EACH,
					      .cancels = cancels };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL,
					    worker_run, &workers[i]));
	}
	collect(_metadata, self);
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < SOCKETS; i++) {
		struct sink *sink = &self->sinks[i];

		shutdown(sink->pair.tx, SHUT_WR);
		pthread_join(sink->thread, NULL);
		check_sink(_metadata, self, i);
		pair_close(&sink->pair);
		free(sink->bytes);
	}
	for (i = 0; i < TRANSFERS; i++) {
		const struct job *job = &self->jobs[i];

		ASSERT_EQ(1, job->completed);
		ASSERT_EQ(!!job->done.bytes, job->arrived);
		if (!job->done.error) {
			ASSERT_EQ(sizeof(job->header) + job->header.len,
				  job->done.bytes);
			whole++;
		} else {
			ASSERT_EQ(-ECANCELED, job->done.error);
			ASSERT_EQ(ZCOPY_C_CANCELLED, job->done.flags);
		}
	}
	TH_LOG("%zu of %d transfers went whole", whole, TRANSFERS);
	EXPECT_TRUE(cancels || whole == TRANSFERS);
	EXPECT_LT(0, whole);
}

TEST_F(stress, submit)
{
	stress(_metadata, self, false);
}

TEST_F(stress, submit_and_cancel)
{
	stress(_metadata, self, true);
}

/* Contexts that come and go, and sockets that do. */
static void *close_at_random(void *argument)
{
	FIXTURE_DATA(stress) *self = ((struct worker *)argument)->self;
	const struct worker *worker = argument;
	unsigned int random = self->seed + worker->first;
	int round, i, k;

	for (round = 0; round < 25; round++) {
		struct part parts[10];
		int device = device_open();
		struct cursor cursors[3];
		struct pair pairs[3];
		int early[3];

		for (i = 0; i < 10; i++)
			parts[i] = of_file(&self->file,
					   rand_r(&random) % SIZE, 0);
		for (i = 0; i < 3; i++) {
			pair_open(&pairs[i], rand_r(&random) % 2 ? UNIX : TCP4,
				  SMALL);
			cursors[i] = (struct cursor){ .parts = parts,
						      .nr = 10 };
		}
		for (k = 0; k < 10; k++)
			for (i = 0; i < 3; i++)
				submit_one(device, pairs[i].tx, &parts[k], k);
		for (i = 0; i < 3; i++) {
			if (rand_r(&random) % 2)
				cursor_take(&cursors[i], pairs[i].rx,
					    rand_r(&random) %
					    parts[0].want.len);
			early[i] = rand_r(&random) % 3;
			if (early[i] == 0)
				close(pairs[i].tx);
			if (early[i] == 1)
				close(pairs[i].rx);
		}
		if (rand_r(&random) % 2)
			cancel_user_data(device, rand_r(&random) % 10);
		close(device);
		for (i = 0; i < 3; i++) {
			if (early[i] != 0)
				close(pairs[i].tx);
			if (early[i] != 1)
				close(pairs[i].rx);
			if (cursors[i].wrong)
				die("wrong byte at %llu",
				    (unsigned long long)cursors[i].wrong - 1);
		}
	}
	return NULL;
}

TEST_F(stress, close_at_random)
{
	struct worker workers[THREADS];
	size_t i;

	for (i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .self = self, .first = i };
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL,
					    close_at_random, &workers[i]));
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	EXPECT_TRUE(await_active(0));
}

TEST_HARNESS_MAIN
