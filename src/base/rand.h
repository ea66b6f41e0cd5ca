/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small pseudo-random generator with its state in the open: xoshiro256**
 * (D. Blackman, S. Vigna, "Scrambled Linear Pseudorandom Number Generators",
 * 2018), seeded through splitmix64.  For choices that must be repeatable from
 * a seed; not for secrets.
 */
#ifndef DOZO_BASE_RAND_H
#define DOZO_BASE_RAND_H

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);

/* A number from 0 to bound - 1; bound at least 1. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
