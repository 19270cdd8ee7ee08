// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random requests against a model of what must become of them. The seed is
 * printed; ZCOPY_FUZZ_SEED and ZCOPY_FUZZ_ROUNDS set it and how many there are.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "lib/call.h"
#include "lib/submit.h"
#include "lib/watch.h"

#define ROUNDS	400
#define FILES	4

FIXTURE(fuzz)
{
	struct watch watch;
	struct zcopy_info info;
	struct file files[FILES];
	struct zcopy_segment *segments;
	struct part *parts;
	struct zcopy_send send;
	uint64_t state;
	uint64_t rounds;
	int unserved;
	int folder;
	int datagrams;
	int device;
};

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t any(FIXTURE_DATA(fuzz) *self)
{
	uint64_t x = self->state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static uint64_t below(FIXTURE_DATA(fuzz) *self, uint64_t limit)
{
	return any(self) % limit;
}

static bool one_in(FIXTURE_DATA(fuzz) *self, uint64_t n)
{
	return !below(self, n);
}

FIXTURE_SETUP(fuzz)
{
	const enum filesystem filesystems[FILES] = { EXT4, XFS, TMPFS, MEMFD };
	uint64_t seed;
	int i;

	ASSERT_EQ(sizeof(seed), getrandom(&seed, sizeof(seed), 0));
	seed = setting("ZCOPY_FUZZ_SEED", seed);
	TH_LOG("ZCOPY_FUZZ_SEED=%ju", (uintmax_t)seed);
	self->state = seed;
	self->rounds = setting("ZCOPY_FUZZ_ROUNDS", ROUNDS);

	watch_begin(&self->watch);
	self->device = device_open();
	device_info(self->device, &self->info);
	for (i = 0; i < FILES; i++)
		file_make(&self->files[i], filesystems[i],
			  below(self, 300 * KIB), 160 + i);
	/* One that has no splice_read. */
	self->unserved = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	self->folder = open("/", O_RDONLY | O_CLOEXEC);
	self->datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSERT_TRUE(self->unserved >= 0 && self->folder >= 0 &&
		    self->datagrams >= 0);
	self->segments = calloc(self->info.max_segments + 1,
				sizeof(*self->segments));
	self->parts = calloc(self->info.max_segments + 1,
			     sizeof(*self->parts));
	ASSERT_TRUE(self->segments && self->parts);
}

FIXTURE_TEARDOWN(fuzz)
{
	int i;

	free(self->segments);
	free(self->parts);
	close(self->unserved);
	close(self->folder);
	close(self->datagrams);
	for (i = 0; i < FILES; i++) {
		EXPECT_STREQ("", file_intact(&self->files[i]));
		file_close(&self->files[i]);
	}
	close(self->device);
	EXPECT_STREQ("", watch_end(&self->watch));
}

/* A length or an offset: often at a border, now and then far away. */
static uint64_t place(FIXTURE_DATA(fuzz) *self, uint64_t size)
{
	switch (below(self, 8)) {
	case 0:
		return size;
	case 1:
		return size + 1 + below(self, 10000);
	case 2:
		return below(self, size / PAGE + 1) * PAGE;
	case 3:
		return below(self, size / PAGE + 1) * PAGE + 4095;
	case 4:
		return below(self, 1ULL << 62);
	default:
		return below(self, size + 1);
	}
}

static struct part random_part(FIXTURE_DATA(fuzz) *self)
{
	const struct file *file = &self->files[below(self, FILES)];
	struct part part;

	if (one_in(self, 3))
		return of_memory(below(self, 5000),
				 one_in(self, 4) ? 0 : below(self, 3000));
	part = of_file(file, place(self, file->size),
		       one_in(self, 3) ? 0 : place(self, file->size));
	return part;
}

/* Make a segment that is refused, and tell with which errno. */
static int spoil(FIXTURE_DATA(fuzz) *self, struct zcopy_segment *segment)
{
	bool in_memory = segment->fd == ZCOPY_MEMORY;

	switch (below(self, 6)) {
	case 0:
		segment->flags = 1U << below(self, 32);
		return -EINVAL;
	case 1:
		segment->fd = -1;
		/* An address is no offset that could be wrong. */
		segment->addr = 0;
		segment->len = 0;
		return -EBADF;
	case 2:
		if (in_memory) {
			segment->len = self->info.max_memory + 1 +
				       below(self, UINT32_MAX);
			return -EMSGSIZE;
		}
		segment->addr |= 1ULL << 63;
		return -EINVAL;
	case 3:
		if (in_memory) {
			segment->addr = below(self, 4096);
			segment->len = 1 + below(self, 20);
			return -EFAULT;
		}
		segment->addr = 1 + below(self, INT64_MAX);
		segment->len = INT64_MAX;
		return -EOVERFLOW;
	case 4:
		segment->fd = self->folder;
		segment->addr = 0;
		segment->len = 0;
		return -ESPIPE;
	default:
		segment->fd = self->unserved;
		segment->addr = 0;
		segment->len = 0;
		return -EOPNOTSUPP;
	}
}

/*
 * Flags that are served together. What ZCOPY_MORE holds back would be waited
 * for by ZCOPY_SYNC until TCP's timer sends it: right, and slow.
 */
static uint32_t random_flags(FIXTURE_DATA(fuzz) *self)
{
	uint32_t flags = any(self) & self->info.transfer_flags & ~ZCOPY_LEASE;

	if (flags & ZCOPY_SYNC)
		flags &= ~(ZCOPY_NOTIFY | ZCOPY_MORE);
	return one_in(self, 20) ? flags | ZCOPY_LEASE : flags;
}

/*
 * Fill in a request. Returns the errno it is refused with, or 0; then the
 * first *arrive parts say what arrives, and *truncated whether a file is too short.
 */
static int random_request(FIXTURE_DATA(fuzz) *self, int socket,
			  bool *truncated, uint32_t *arrive)
{
	struct zcopy_transfer *transfer = &self->send.transfer;
	uint64_t in_memory = 0;
	int error = 0, spoilt;
	uint32_t nr, i;

	nr = one_in(self, 20) ? self->info.max_segments - below(self, 2) :
				below(self, 12);
	*truncated = false;
	*arrive = nr;
	*transfer = (struct zcopy_transfer){
		.user_data = any(self),
		.segments = (uintptr_t)self->segments,
		.nr_segments = nr,
		.socket = socket,
		.flags = random_flags(self),
		.readahead = one_in(self, 2) ? below(self, 70) : 0,
	};
	for (i = 0; i < nr; i++) {
		struct part *part = &self->parts[i];
		struct zcopy_segment *segment = &part->segment;

		*part = random_part(self);
		spoilt = nr < 20 && one_in(self, 30) ? spoil(self, segment) : 0;
		self->segments[i] = *segment;
		if (segment->fd == ZCOPY_MEMORY && !spoilt) {
			in_memory += segment->len;
			if (in_memory > self->info.max_memory)
				spoilt = -EMSGSIZE;
		} else if (segment->fd == ZCOPY_MEMORY && spoilt == -EFAULT) {
			if (in_memory + segment->len > self->info.max_memory)
				spoilt = -EMSGSIZE;
		} else if (!spoilt && transfer->flags & ZCOPY_LEASE) {
			/* The test has all files open for writing. */
			spoilt = segment->fd == self->files[MEMFD].fd ?
				 -ENOLCK : -EAGAIN;
		}
		error = error ?: spoilt;
		if (segment->fd == ZCOPY_MEMORY || !segment->len ||
		    part->want.len >= segment->len)
			continue;
		/* It ends with the first one that is. */
		if (!*truncated && transfer->flags & ZCOPY_EXACT)
			*arrive = i + 1;
		*truncated = true;
	}
	/* From the last check to the first: the earlier one wins. */
	if (one_in(self, 40)) {
		transfer->socket = self->datagrams;
		error = -EPROTONOSUPPORT;
	} else if (one_in(self, 40)) {
		transfer->socket = self->folder;
		error = -ENOTSOCK;
	} else if (one_in(self, 40)) {
		transfer->socket = -1 - (int)below(self, INT32_MAX);
		error = -EBADF;
	}
	if (one_in(self, 40)) {
		transfer->segments = below(self, 4096);
		error = -EFAULT;
	}
	if (one_in(self, 40)) {
		transfer->nr_segments = self->info.max_segments + 1 +
					below(self, UINT32_MAX / 2);
		error = -EMSGSIZE;
	}
	if (!transfer->nr_segments)
		error = -EINVAL;
	if (one_in(self, 40)) {
		transfer->flags |= ZCOPY_SYNC | ZCOPY_NOTIFY;
		error = -EINVAL;
	}
	if (one_in(self, 40)) {
		transfer->readahead = ZCOPY_MAX_READAHEAD + 1 +
				      below(self, INT32_MAX);
		error = -EINVAL;
	}
	if (one_in(self, 40)) {
		transfer->reserved = 1 + below(self, 1 << 20);
		error = -EINVAL;
	}
	if (one_in(self, 40)) {
		transfer->flags |= 1U << (9 + below(self, 23));
		error = -EINVAL;
	}
	return error;
}

/* Of a transfer that was not refused; the first completion, if it has two. */
static uint32_t completion_flags(uint32_t flags, bool truncated)
{
	return (truncated ? ZCOPY_C_TRUNCATED : 0) |
	       (truncated && flags & ZCOPY_EXACT ? ZCOPY_C_FILE_ERROR : 0) |
	       (flags & ZCOPY_SYNC ? ZCOPY_C_RELEASED : 0) |
	       (flags & ZCOPY_NOTIFY ? ZCOPY_C_MORE : 0);
}

/*
 * Whoever waits for the release gets a copy of AF_UNIX, always, and of TCP on
 * loopback sooner or later.
 */
static uint32_t copied(uint32_t flags, enum transport transport, uint64_t total,
		       uint32_t is)
{
	if (!total || !(flags & (ZCOPY_SYNC | ZCOPY_NOTIFY | ZCOPY_NOCACHE |
				 ZCOPY_LEASE)))
		return 0;
	return transport == UNIX ? ZCOPY_C_COPIED : is & ZCOPY_C_COPIED;
}

/* "" when the second completion of a transfer is as the first one said. */
static const char *notice(FIXTURE_DATA(fuzz) *self)
{
	struct zcopy_completion second, want = self->send.completion;

	if (reap(self->device, &second, 1) != 1)
		return "it does not come";
	want.flags ^= ZCOPY_C_MORE | ZCOPY_C_RELEASED;
	want.flags |= second.flags & ZCOPY_C_COPIED;
	return memcmp(&want, &second, sizeof(want)) ? "it differs" : "";
}

TEST_F(fuzz, model)
{
	const struct zcopy_completion *completion = &self->send.completion;
	const enum transport transports[] = { TCP4, TCP6, UNIX };
	uint64_t round, refused = 0, sent = 0, notices = 0, total;
	enum transport transport;
	struct reader reader;
	struct pair pair;
	uint32_t flags, arrive;
	bool truncated;
	int error;

	for (round = 0; round < self->rounds; round++) {
		transport = transports[below(self, 3)];
		pair_open(&pair, transport, 0);
		error = random_request(self, pair.tx, &truncated, &arrive);
		if (error)
			arrive = 0;
		total = parts_total(self->parts, arrive);
		reader_start(&reader, pair.rx, self->parts, arrive);
		memset(&self->send.completion, 0,
		       sizeof(self->send.completion));
		ASSERT_EQ(error, ioctl(self->device, ZCOPY_IOC_SEND,
				       &self->send) ? -errno : 0) {
			TH_LOG("round %ju", (uintmax_t)round);
		}
		shutdown(pair.tx, SHUT_WR);
		ASSERT_STREQ("", reader_finish(&reader, total)) {
			TH_LOG("round %ju", (uintmax_t)round);
		}
		pair_close(&pair);
		ASSERT_EQ(total, completion->bytes);
		flags = self->send.transfer.flags;
		ASSERT_EQ(!error && truncated && flags & ZCOPY_EXACT ? -ENODATA : 0,
			  completion->error);
		if (error) {
			ASSERT_EQ(0, completion->flags);
		} else {
			ASSERT_EQ(completion_flags(flags, truncated) |
				  copied(flags, transport, total,
					 completion->flags),
				  completion->flags) {
				TH_LOG("round %ju", (uintmax_t)round);
			}
		}
		if (completion->flags & ZCOPY_C_MORE) {
			ASSERT_STREQ("", notice(self));
			notices++;
		}
		refused += !!error;
		sent += !error;
	}
	TH_LOG("%ju sent, %ju refused", (uintmax_t)sent, (uintmax_t)refused);
	EXPECT_LT(0, sent);
	EXPECT_LT(0, refused);
	EXPECT_LT(0, notices);
}

/* Numbers, sizes and bytes without any sense: nothing breaks, nothing stays. */
TEST_F(fuzz, garbage)
{
	static uint64_t argument[512];
	struct pair pair;
	uint64_t round;
	size_t i;

	pair_open(&pair, TCP4, 0);
	set_nonblocking(pair.tx);
	for (round = 0; round < 20 * self->rounds; round++) {
		const unsigned int command =
			_IOC(one_in(self, 3) ? below(self, 4) : 3,
			     ZCOPY_IOC_TYPE, below(self, 4),
			     one_in(self, 2) ? below(self, 200) :
					       sizeof(struct zcopy_send));

		for (i = 0; i < 32; i++)
			argument[i] = one_in(self, 3) ? any(self) :
							below(self, 30);
		if (one_in(self, 2)) {
			struct zcopy_send *send = (void *)argument;

			send->transfer.segments = (uintptr_t)(argument + 9);
			send->transfer.nr_segments = 1 + below(self, 5);
			send->transfer.flags &= self->info.transfer_flags;
			send->transfer.reserved = 0;
		}
		if (ioctl(self->device, command, argument)) {
			ASSERT_TRUE(errno == ENOTTY || errno == EINVAL ||
				    errno == E2BIG || errno == EFAULT ||
				    errno == EOPNOTSUPP || errno == EMSGSIZE ||
				    errno == EBADF || errno == ENOTSOCK ||
				    errno == EPROTONOSUPPORT ||
				    errno == ENOTCONN || errno == EOVERFLOW ||
				    errno == ESPIPE) {
				TH_LOG("errno %d", errno);
			}
		}
	}
	pair_close(&pair);
}

TEST_HARNESS_MAIN
