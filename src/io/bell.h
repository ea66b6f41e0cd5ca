/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bell: threads ring it when there is something to do for one that sleeps.
 * Ringing costs one atomic addition while nobody sleeps.
 *
 * No wake-up is lost: the sleeper reads the count first, then looks whether
 * there is work, then waits for the count to have changed.
 *
 *	seen = bell_count(b);
 *	if (no work) {
 *		bell_wait(b, seen, timeout_ms);
 *	}
 *
 * A zeroed bell is ready.  Thread rule: any thread rings, one waits.
 */
#ifndef DOZO_IO_BELL_H
#define DOZO_IO_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bell {
	_Atomic uint32_t count;
	_Atomic uint32_t asleep;
};

static inline uint32_t bell_count(const struct bell *b)
{
	return atomic_load(&b->count);
}

/* The slow half of bell_ring(). */
void bell_wake(struct bell *b);

static inline void bell_ring(struct bell *b)
{
	atomic_fetch_add(&b->count, 1);
	if (__builtin_expect(atomic_load(&b->asleep) != 0, 0)) {
		bell_wake(b);
	}
}

/*
 * Sleeps until the count is no longer `seen`, or `timeout_ms` have passed;
 * true: it was rung.
 */
bool bell_wait(struct bell *b, uint32_t seen, uint64_t timeout_ms);

#endif
