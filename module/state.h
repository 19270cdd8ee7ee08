/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a stream, and the one function that changes it: whoever runs
 * the stream and whoever wakes it agree by nothing else. It has no other part
 * of the kernel than the atomic operations, so that the test
 * queue/state runs it as it stands here, with two threads.
 */
#ifndef ZCOPY_STATE_H
#define ZCOPY_STATE_H

#include <linux/atomic.h>
#include <linux/bug.h>

/* What a stream does. */
enum zcopy_state {
	/*
	 * Somebody runs it, or its work is queued: the runner. He alone may
	 * take the head off the queue and free the stream.
	 */
	ZCOPY_STATE_RUN,
	/* The runner is about to wait for room; a wake-up ... */
	ZCOPY_STATE_ARM,
	/* ... came meanwhile, so he goes on. */
	ZCOPY_STATE_WOKEN,
	/* Nobody runs it: whose wake-up ends this state queues its work. */
	ZCOPY_STATE_WAIT,
	ZCOPY_NR_STATES,
};

/* What happens to it. */
enum zcopy_event {
	ZCOPY_EVENT_ARM,	/* the runner: I look for room now */
	ZCOPY_EVENT_WAIT,	/* the runner: there was none */
	ZCOPY_EVENT_GO_ON,	/* the runner: there was, or a reason to end */
	ZCOPY_EVENT_WAKE,	/* anybody: there may be; or it is to end */
	ZCOPY_NR_EVENTS,
};

/**
 * zcopy_state_move - something happened to a stream
 * @state: enum zcopy_state of the stream
 * @event: what
 *
 * A full memory barrier, whatever comes out: what was written before, such as
 * room in a socket or the wish to cancel, is seen by whoever does not see the
 * new state yet, and goes by its look at the stream's target and transfers.
 *
 * Context: any.
 * Return: the state before. ZCOPY_EVENT_WAKE in ZCOPY_STATE_WAIT makes the
 * caller the runner; ZCOPY_EVENT_WAIT in ZCOPY_STATE_ARM makes him none.
 */
static inline enum zcopy_state zcopy_state_move(atomic_t *state,
						enum zcopy_event event)
{
	static const signed char next[ZCOPY_NR_EVENTS][ZCOPY_NR_STATES] = {
		/*			RUN, ARM, WOKEN, WAIT; -1: never */
		[ZCOPY_EVENT_ARM]   = { ZCOPY_STATE_ARM, -1, -1, -1 },
		[ZCOPY_EVENT_WAIT]  = { -1, ZCOPY_STATE_WAIT, ZCOPY_STATE_RUN, -1 },
		[ZCOPY_EVENT_GO_ON] = { -1, ZCOPY_STATE_RUN, ZCOPY_STATE_RUN, -1 },
		[ZCOPY_EVENT_WAKE]  = { ZCOPY_STATE_RUN, ZCOPY_STATE_WOKEN,
					ZCOPY_STATE_WOKEN, ZCOPY_STATE_RUN },
	};
	int old = atomic_read(state), new;

	do {
		new = next[event][old];
		if (WARN_ON_ONCE(new < 0))
			return old;
		/* Also where nothing changes: it is the barrier. */
	} while (!atomic_try_cmpxchg(state, &old, new));
	return old;
}

#endif /* ZCOPY_STATE_H */
