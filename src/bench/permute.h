/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One-to-one scattering of numbers: neighbours land far from each other, and
 * no two land on the same place.  Multiplying by an odd number and folding
 * the high bits down can each be undone within a word of any width, so what
 * is made of them can, too.
 */
#ifndef DOZO_BENCH_PERMUTE_H
#define DOZO_BENCH_PERMUTE_H

#include <stdint.h>

/* Permutes the numbers below 2^bits; bits from 2 to 64. */
static inline uint64_t permute_bits(uint64_t x, unsigned bits)
{
	uint64_t mask = UINT64_MAX >> (64 - bits);
	unsigned half = bits / 2;

	x ^= x >> half;
	x = (x * 0x9e3779b97f4a7c15ULL) & mask;
	x ^= x >> half;
	x = (x * 0xd6e8feb86659fd93ULL) & mask;
	return x ^ (x >> half);
}

/*
 * Permutes the numbers below `count`: those below the next power of two are
 * permuted until one falls below `count`, in less than two steps on average.
 */
static inline uint64_t permute_below(uint64_t x, uint64_t count)
{
	unsigned bits = 2;

	if (count > 4) {
		bits = 64U - (unsigned)__builtin_clzll(count - 1);
	}
	do {
		x = permute_bits(x, bits);
	} while (x >= count);
	return x;
}

#endif
