/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters with one writer and any number of readers: a worker counts in its
 * own, a reader sums over workers.  No lock and no atomic read-modify-write;
 * a plain load, add and store that the compiler may not tear.
 */
#ifndef DOZO_BASE_COUNTER_H
#define DOZO_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t counter;

static inline uint64_t counter_read(const counter *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* By the owner only.  `n` may be a negative number converted to unsigned. */
static inline void counter_add(counter *c, uint64_t n)
{
	atomic_store_explicit(c, counter_read(c) + n, memory_order_relaxed);
}

static inline void counter_set(counter *c, uint64_t n)
{
	atomic_store_explicit(c, n, memory_order_relaxed);
}

#endif
