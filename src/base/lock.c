/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contended half of the four-byte lock: spin, then sleep.  A taker that
 * has slept marks the lock as having sleepers, even if it was the last one:
 * one wake-up too many costs little, one too few costs a thread.
 */
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/lock.h"

enum { SPIN_ROUNDS = 100 };

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

void lock_wait(struct lock *l)
{
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		uint32_t state = atomic_load_explicit(&l->state,
						      memory_order_relaxed);

		if (state == 0 &&
		    atomic_compare_exchange_weak_explicit(
			    &l->state, &state, 1, memory_order_acquire,
			    memory_order_relaxed)) {
			return;
		}
		cpu_relax();
	}
	while (atomic_exchange_explicit(&l->state, 2, memory_order_acquire) !=
	       0) {
		syscall(SYS_futex, &l->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL,
			0);
	}
}

void lock_wake(struct lock *l)
{
	syscall(SYS_futex, &l->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
