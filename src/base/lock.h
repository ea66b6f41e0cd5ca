/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A lock of four bytes, for structures of which there are thousands.
 *
 * Uncontended it costs one atomic exchange to take and one to give back.
 * Contended it spins a short while, since all holders hold it for well under
 * a microsecond, and then sleeps in the kernel, so that a holder that lost
 * its processor does not make others burn theirs.  The states follow
 * U. Drepper, "Futexes Are Tricky" (2011), section 6: free, held, held with
 * sleepers.
 *
 * A zeroed lock is free.  Not recursive.  Never held over I/O.
 */
#ifndef DOZO_BASE_LOCK_H
#define DOZO_BASE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
	_Atomic uint32_t state; /* 0 free, 1 held, 2 held with sleepers */
};

/* The slow halves; called by the inline ones only. */
void lock_wait(struct lock *l);
void lock_wake(struct lock *l);

static inline void lock_take(struct lock *l)
{
	uint32_t free_state = 0;

	if (__builtin_expect(!atomic_compare_exchange_strong_explicit(
				     &l->state, &free_state, 1,
				     memory_order_acquire,
				     memory_order_relaxed),
			     0)) {
		lock_wait(l);
	}
}

/* Takes it if that needs no waiting. */
static inline bool lock_try(struct lock *l)
{
	uint32_t free_state = 0;

	return atomic_compare_exchange_strong_explicit(&l->state, &free_state,
						       1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void lock_give(struct lock *l)
{
	if (__builtin_expect(atomic_exchange_explicit(
				     &l->state, 0, memory_order_release) == 2,
			     0)) {
		lock_wake(l);
	}
}

#endif
