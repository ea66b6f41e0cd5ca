/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded dice: the chaos programs draw every choice from here, so that the
 * seed they print repeats the same choices. The generator is splitmix64.
 * A struct dice belongs to one thread.
 */
#ifndef DOZO_CHAOS_DICE_H
#define DOZO_CHAOS_DICE_H

#include <stdint.h>

struct dice {
	uint64_t state;
};

/* The next 64 bits. */
static inline uint64_t dice_roll(struct dice *dice)
{
	uint64_t z;

	dice->state += 0x9e3779b97f4a7c15ULL;
	z = dice->state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* A number below limit, which is not 0. The bias of the modulus is far
 * below what any of these tests could see. */
static inline uint64_t dice_below(struct dice *dice, uint64_t limit)
{
	return dice_roll(dice) % limit;
}

#endif
