/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The items of the memory benchmarks.  See known_item.h.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "known_item.h"

/* A one-to-one scattering of 64-bit numbers. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

/* From 0 (never reached) to 1. */
static double unit(uint64_t x)
{
	return ((double)(x >> 11) + 0.5) / 9007199254740992.0;
}

static void block_fill(char *block, size_t len)
{
	struct rng rng;

	rng_init(&rng, 1);
	for (size_t i = 0; i < len; i++) {
		block[i] = (char)(' ' + 1 + rng_below(&rng, 94));
	}
}

static void sizes_parse(struct item_sizes *s, const char *text)
{
	char after;

	if (sscanf(text, "lognormal:%lf:%lf:%zu%c", &s->median, &s->sigma,
		   &s->max, &after) == 3) {
		s->lognormal = true;
	} else if (sscanf(text, "%zu%c", &s->max, &after) != 1) {
		errx(2, "%s: a size or lognormal:MEDIAN:SIGMA:MAX", text);
	}
	if (s->max > ITEM_VALUE_LIMIT ||
	    (s->lognormal && (s->max == 0 || s->median <= 0))) {
		errx(2, "%s: values of up to %d bytes", text, ITEM_VALUE_LIMIT);
	}
}

void items_init(struct items *it, const char *sizes)
{
	size_t len = (size_t)ITEM_PLACES + ITEM_VALUE_LIMIT;

	memset(it, 0, sizeof(*it));
	sizes_parse(&it->sizes, sizes);
	it->block = malloc(len);
	if (it->block == NULL) {
		err(2, "memory");
	}
	block_fill(it->block, len);
}

void items_release(struct items *it)
{
	free(it->block);
}

void item_key_write(uint64_t number, char *out)
{
	uint64_t x = mix(number);

	for (int i = 0; i < ITEM_KEY_BYTES; i++) {
		out[i] = "0123456789abcdef"[x >> 60];
		x <<= 4;
	}
}

size_t item_size(const struct items *it, uint64_t number)
{
	uint64_t x = mix(number ^ 0x73697a65ULL);
	double normal, size;

	if (!it->sizes.lognormal) {
		return it->sizes.max;
	}
	/* Box and Muller, 1958 */
	normal = sqrt(-2 * log(unit(x))) *
		 cos(6.283185307179586 * unit(mix(x ^ 1)));
	size = it->sizes.median * exp(it->sizes.sigma * normal);
	if (size < 1) {
		return 1;
	}
	return size < (double)it->sizes.max ? (size_t)size : it->sizes.max;
}

const char *item_value(const struct items *it, uint64_t number)
{
	return it->block + mix(number ^ 0x76616c7565ULL) % ITEM_PLACES;
}
