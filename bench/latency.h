/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log-linear histogram of nanoseconds: 32 steps for each power of two, so
 * a figure read from it is at most 3 % above the true one, at any size.
 */
#ifndef DOZO_BENCH_LATENCY_H
#define DOZO_BENCH_LATENCY_H

#include <stdint.h>

enum {
	LATENCY_STEP_BITS = 5,
	LATENCY_STEPS = 1 << LATENCY_STEP_BITS,
	LATENCY_BUCKETS = (64 - LATENCY_STEP_BITS + 1) * LATENCY_STEPS
};

struct latency {
	uint64_t count;
	uint64_t bucket[LATENCY_BUCKETS];
};

static inline void latency_add(struct latency *l, uint64_t ns)
{
	unsigned top = 63U - (unsigned)__builtin_clzll(ns | 1);
	uint64_t at = ns;

	if (top >= LATENCY_STEP_BITS) {
		unsigned shift = top - LATENCY_STEP_BITS;

		at = ((uint64_t)shift << LATENCY_STEP_BITS) + (ns >> shift);
	}
	l->bucket[at]++;
	l->count++;
}

/* The nanoseconds that `share` (0 to 1) of the entries do not exceed. */
static inline uint64_t latency_at(const struct latency *l, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)l->count);
	uint64_t seen = 0;

	for (uint64_t at = 0; at < LATENCY_BUCKETS; at++) {
		seen += l->bucket[at];
		if (l->bucket[at] != 0 && seen >= wanted) {
			uint64_t shift = at >> LATENCY_STEP_BITS;

			if (shift == 0) {
				return at;
			}
			shift--;
			at -= shift << LATENCY_STEP_BITS;
			return ((at + 1) << shift) - 1;
		}
	}
	return 0;
}

#endif
