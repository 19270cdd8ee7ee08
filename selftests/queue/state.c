// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a stream: module/state.h, compiled into this program as it is.
 * One thread runs the stream, as wait_for_space() in module/runner.c does; the
 * others make room and wake it. Whatever the order, a stream that waits while
 * there is room must have been given to somebody, and to one alone.
 */
#include <pthread.h>
#include <sched.h>
#include <ucontext.h>

#include "kselftest_harness.h"

#include "lib/common.h"
#include "module/state.h"

#define WAITS	2000000UL
#define WAKERS	2	/* at most */
#define STREAMS	256

/* As several processors have these in their hands, none shares a cache line. */
#define LINE	(128 - sizeof(long))

/**
 * struct stream - what is shared of a stream
 * @state: see module/state.h
 * @room:  there is room in its target
 * @given: times that a wake-up made its caller the runner
 * @waits: what wait_for_room() found
 */
struct stream {
	atomic_t state;
	char after_state[LINE];
	int room;
	char after_room[LINE];
	int given;
	char after_given[LINE];
	bool waits;
};

/* In every order, by one thread; else with random pauses, by two. */
static __thread bool exploring;
static __thread uint32_t random_state;

static void explore_step(void);
static void explore_order(void);
static void explore_store(int *to, int value);

static uint32_t random_number(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 16;
}

static void random_pause(uint32_t most)
{
	uint32_t i;

	for (i = random_number() % most; i; i--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void atomic_step(void)
{
	if (exploring)
		explore_step();
	else if (random_number() % 512)
		random_pause(64);
	else
		sched_yield();	/* as if there were but one processor */
}

void atomic_order(void)
{
	if (exploring)
		explore_order();
}

/* The runner. Sets whether the stream waits and is no longer his. */
static void wait_for_room(struct stream *stream)
{
	int room;

	zcopy_state_move(&stream->state, ZCOPY_EVENT_ARM);
	atomic_step();
	room = __atomic_load_n(&stream->room, __ATOMIC_RELAXED);
	if (room) {
		zcopy_state_move(&stream->state, ZCOPY_EVENT_GO_ON);
		stream->waits = false;
	} else {
		stream->waits = zcopy_state_move(&stream->state,
						 ZCOPY_EVENT_WAIT) ==
				ZCOPY_STATE_ARM;
	}
}

static void kick(struct stream *stream)
{
	if (zcopy_state_move(&stream->state, ZCOPY_EVENT_WAKE) ==
	    ZCOPY_STATE_WAIT)
		__atomic_add_fetch(&stream->given, 1, __ATOMIC_RELAXED);
}

/*
 * How it was done before: two attempts, each of which is right for the state it
 * expects, and between them the runner may go from one to the other.
 */
static void kick_twice(struct stream *stream)
{
	int old = ZCOPY_STATE_WAIT;

	if (atomic_try_cmpxchg(&stream->state, &old, ZCOPY_STATE_RUN)) {
		__atomic_add_fetch(&stream->given, 1, __ATOMIC_RELAXED);
		return;
	}
	old = ZCOPY_STATE_ARM;
	atomic_try_cmpxchg(&stream->state, &old, ZCOPY_STATE_WOKEN);
}

static void make_room(struct stream *stream, void (*wake)(struct stream *))
{
	atomic_step();
	if (exploring)
		explore_store(&stream->room, 1);
	else
		__atomic_store_n(&stream->room, 1, __ATOMIC_RELAXED);
	wake(stream);
}

static void begin(struct stream *stream)
{
	stream->state.counter = ZCOPY_STATE_RUN;
	stream->room = 0;
	stream->given = 0;
}

/* All have done their part, and there is room. */
static bool is_right(const struct stream *stream)
{
	return stream->state.counter == ZCOPY_STATE_RUN &&
	       stream->given == stream->waits;
}

/*
 * Every order of the steps, each run from the beginning: the threads are
 * coroutines, and a step of which one is next is a choice. With buffers, a plain
 * store stays in that of its processor, and others do not see it, until an
 * operation of that processor which is ordered, or until it is chosen to leave.
 */
struct coroutine {
	ucontext_t context;
	char stack[64 * 1024];
	bool over;
	int *to;		/* NULL: nothing is in the buffer */
	int value;
};

static struct coroutine coroutines[1 + WAKERS];
static ucontext_t explorer;
static struct stream explored;
static int running, wakers;
static bool buffers;
static void (*wake_with)(struct stream *stream);

static void explore_step(void)
{
	swapcontext(&coroutines[running].context, &explorer);
}

static void empty_buffer(struct coroutine *coroutine)
{
	if (coroutine->to)
		*coroutine->to = coroutine->value;
	coroutine->to = NULL;
}

static void explore_order(void)
{
	empty_buffer(&coroutines[running]);
}

static void explore_store(int *to, int value)
{
	coroutines[running].to = to;
	coroutines[running].value = value;
	if (!buffers)
		empty_buffer(&coroutines[running]);
}

static void coroutine_main(int number)
{
	if (number)
		make_room(&explored, wake_with);
	else
		wait_for_room(&explored);
	coroutines[number].over = true;
}

/* Up to the first step of each. */
static void coroutines_start(void)
{
	int i;

	for (i = 0; i <= wakers; i++) {
		struct coroutine *coroutine = &coroutines[i];

		coroutine->over = false;
		coroutine->to = NULL;
		getcontext(&coroutine->context);
		coroutine->context.uc_stack.ss_sp = coroutine->stack;
		coroutine->context.uc_stack.ss_size = sizeof(coroutine->stack);
		coroutine->context.uc_link = &explorer;
		makecontext(&coroutine->context, (void (*)(void))coroutine_main,
			    1, i);
		running = i;
		swapcontext(&explorer, &coroutine->context);
	}
}

/*
 * Make a choice among what can come next, and say how many there are: a step of
 * each that is not over, and what is in each buffer. False: nothing can.
 */
static bool choose(unsigned int choice, unsigned int *choices)
{
	struct coroutine *steps = NULL, *leaves = NULL;
	int i;

	*choices = 0;
	for (i = 0; i <= wakers; i++) {
		struct coroutine *coroutine = &coroutines[i];

		if (!coroutine->over && (*choices)++ == choice)
			steps = coroutine;
		if (coroutine->to && (*choices)++ == choice)
			leaves = coroutine;
	}
	if (leaves)
		empty_buffer(leaves);
	if (steps) {
		running = steps - coroutines;
		swapcontext(&explorer, &steps->context);
	}
	return steps || leaves;
}

/* How many orders there are, and how many of them go wrong. */
static void explore(void (*wake)(struct stream *stream), int nr,
		    unsigned long *orders, unsigned long *wrong)
{
	unsigned int choice[100] = {}, choices[100], depth, step;

	exploring = true;
	wake_with = wake;
	wakers = nr;
	*orders = 0;
	*wrong = 0;
	do {
		begin(&explored);
		coroutines_start();
		for (step = 0; step < 100; step++) {
			if (!choose(choice[step], &choices[step]))
				break;
		}
		++*orders;
		*wrong += !is_right(&explored);

		/* The last choice that can be made in another way. */
		for (depth = step; depth; depth--) {
			if (++choice[depth - 1] < choices[depth - 1])
				break;
			choice[depth - 1] = 0;
		}
	} while (depth);
	exploring = false;
}

TEST(every_order)
{
	unsigned long orders, wrong;

	explore(kick, 2, &orders, &wrong);
	TH_LOG("%lu orders", orders);
	EXPECT_LT(1000, orders);
	EXPECT_EQ(0, wrong);
}

/* Each move is a full barrier, even where the state stays as it is. */
TEST(every_order_of_stores)
{
	unsigned long orders, wrong;

	buffers = true;
	explore(kick, 1, &orders, &wrong);
	TH_LOG("%lu orders", orders);
	EXPECT_LT(100, orders);
	EXPECT_EQ(0, wrong);
}

/* The explorer finds what it is for. */
TEST(orders_that_lose_a_wakeup)
{
	unsigned long orders, wrong;

	explore(kick_twice, 1, &orders, &wrong);
	TH_LOG("%lu of %lu orders", wrong, orders);
	EXPECT_NE(0, wrong);
}

/* A barrier that is there only where the state changes. */
static void kick_changes(struct stream *stream)
{
	int old = atomic_read(&stream->state);

	if (old == ZCOPY_STATE_ARM || old == ZCOPY_STATE_WAIT)
		kick(stream);
}

TEST(orders_of_stores_that_lose_a_wakeup)
{
	unsigned long orders, wrong;

	buffers = true;
	explore(kick_changes, 1, &orders, &wrong);
	TH_LOG("%lu of %lu orders", wrong, orders);
	EXPECT_NE(0, wrong);
}

/*
 * Two threads that go from stream to stream side by side: who is ahead waits a
 * moment for the other, in case that one has a processor.
 */
static struct stream streams[STREAMS];
static pthread_barrier_t barrier;
static bool stop;
static struct {
	unsigned long at;
	char after[LINE];
} runner, waker;

static void keep_pace(unsigned long *own, const unsigned long *other)
{
	int i;

	__atomic_store_n(own, *own + 1, __ATOMIC_RELAXED);
	for (i = 0; i < 300; i++)
		if (__atomic_load_n(other, __ATOMIC_RELAXED) >= *own)
			break;
	random_pause(100);
}

static void *waker_main(void *arg)
{
	size_t i;

	random_state = 1;
	for (;;) {
		pthread_barrier_wait(&barrier);
		if (stop)
			return arg;
		for (i = 0; i < STREAMS; i++) {
			keep_pace(&waker.at, &runner.at);
			make_room(&streams[i], wake_with);
		}
		pthread_barrier_wait(&barrier);
	}
}

/* How many of nr waits go wrong; until the first one, if any is enough. */
static unsigned long run_threads(void (*wake)(struct stream *stream),
				 unsigned long nr, bool any)
{
	unsigned long waits = 0, goes_on = 0, wrong = 0;
	pthread_t thread;
	size_t i;

	random_state = 2;
	wake_with = wake;
	if (pthread_barrier_init(&barrier, NULL, 2) ||
	    pthread_create(&thread, NULL, waker_main, NULL))
		die("a thread");
	while (waits < nr && goes_on < 50 * nr && !(any && wrong)) {
		for (i = 0; i < STREAMS; i++)
			begin(&streams[i]);
		pthread_barrier_wait(&barrier);
		for (i = 0; i < STREAMS; i++) {
			keep_pace(&runner.at, &waker.at);
			wait_for_room(&streams[i]);
		}
		pthread_barrier_wait(&barrier);
		for (i = 0; i < STREAMS; i++) {
			waits += streams[i].waits;
			goes_on += !streams[i].waits;
			wrong += !is_right(&streams[i]);
		}
	}
	stop = true;
	pthread_barrier_wait(&barrier);
	if (pthread_join(thread, NULL))
		die("join a thread");
	printf("# %lu waits, %lu times there was room at once, %lu wrong\n", waits,
	       goes_on, wrong);
	return wrong;
}

TEST(two_threads)
{
	EXPECT_EQ(0, run_threads(kick, WAITS / slowdown(), false));
}

/* Nor would these let it pass. */
TEST(two_threads_that_lose_a_wakeup)
{
	EXPECT_NE(0, run_threads(kick_twice, 10 * WAITS, true));
}

TEST_HARNESS_MAIN
