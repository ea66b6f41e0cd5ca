/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and values from numbers.  This runs for each request and each reply,
 * so a value is copied from, and compared with, a text that was made once
 * instead of being computed.  The length of the text is a prime: pieces of a
 * large value that were mixed up, whatever the power of two they are cut at,
 * are not alike.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rand.h"
#include "bench/content.h"
#include "bench/permute.h"

enum {
	LETTERS = 65521,
	HEAD = 8, /* bytes that tell number and size */
	DIGITS = 16,
	/* Steps of a log-normal law: its ends lie one in 32,768 out. */
	QUANTILES = 16384
};

static const uint64_t LETTERS_SEED = 0x646f7a6f;

uint64_t content_number_max(uint32_t key_size)
{
	return key_size >= DIGITS ? UINT64_MAX : (1ULL << (4 * key_size)) - 1;
}

/* ---- sizes -------------------------------------------------------------- */

/* The x below which a normal variable falls with probability p <= 0.5. */
static double normal_quantile(double p)
{
	double low = -10;
	double high = 0;

	for (int i = 0; i < 48; i++) {
		double middle = (low + high) / 2;

		if (erfc(-middle / M_SQRT2) / 2 < p) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return (low + high) / 2;
}

static uint32_t lognormal_size(const struct size_law *law, double normal)
{
	double size = round(law->median * exp(law->sigma * normal));

	if (size < 1) {
		return 1;
	}
	return size > law->max ? law->max : (uint32_t)size;
}

static bool quantiles_make(struct content *c)
{
	c->quantiles = calloc(QUANTILES, sizeof(*c->quantiles));
	if (c->quantiles == NULL) {
		return false;
	}
	for (unsigned i = 0; i < QUANTILES / 2; i++) {
		double z = normal_quantile((i + 0.5) / QUANTILES);

		c->quantiles[i] = lognormal_size(&c->law, z);
		c->quantiles[QUANTILES - 1 - i] = lognormal_size(&c->law, -z);
	}
	return true;
}

uint32_t content_size(const struct content *c, uint64_t number)
{
	uint64_t x;
	uint64_t choices;

	if (c->law.kind == SIZE_FIXED) {
		return c->law.max;
	}
	x = permute_bits(number + 0x73697a65, 64) >> 32;
	if (c->law.kind == SIZE_LOGNORMAL) {
		return c->quantiles[x % QUANTILES];
	}
	choices = (uint64_t)c->law.max - c->law.min + 1;
	return c->law.min + (uint32_t)(x * choices >> 32);
}

/* ---- keys --------------------------------------------------------------- */

char *content_key(const struct content *c, uint64_t number, char *out)
{
	uint64_t x = permute_bits(number, c->key_bits);
	uint32_t left = c->key_size;

	x <<= 64 - c->key_bits;
	for (;;) {
		uint32_t part = left < DIGITS ? left : DIGITS;
		uint64_t digits = x;

		for (uint32_t i = 0; i < part; i++) {
			*out++ = "0123456789abcdef"[digits >> 60];
			digits <<= 4;
		}
		left -= part;
		if (left == 0) {
			return out;
		}
		x = permute_bits(x + 1, 64);
	}
}

/* ---- values ------------------------------------------------------------- */

bool content_init(struct content *c, uint32_t key_size,
		  const struct size_law *law)
{
	struct rng rng;

	memset(c, 0, sizeof(*c));
	c->key_size = key_size;
	c->key_bits = key_size < DIGITS ? 4 * key_size : 64;
	c->law = *law;
	c->letters = malloc(LETTERS);
	if (c->letters == NULL ||
	    (law->kind == SIZE_LOGNORMAL && !quantiles_make(c))) {
		content_release(c);
		return false;
	}
	rng_init(&rng, LETTERS_SEED);
	for (unsigned i = 0; i < LETTERS; i++) {
		c->letters[i] = (char)(' ' + rng_below(&rng, '~' - ' ' + 1));
	}
	return true;
}

void content_release(struct content *c)
{
	free(c->letters);
	free(c->quantiles);
	c->letters = NULL;
	c->quantiles = NULL;
}

/* What the first bytes and the place in the letters are made of. */
static uint64_t value_mark(uint64_t number, uint32_t size)
{
	return permute_bits(number ^ ((uint64_t)size << 40) ^ 0x76616c7565ULL,
			    64);
}

static uint64_t head_word(uint64_t mark)
{
	return (mark & 0x3f3f3f3f3f3f3f3fULL) + 0x2020202020202020ULL;
}

/* The letters from byte `at` of the value on; *run of them in one piece. */
static const char *letters_from(const struct content *c, uint64_t mark,
				uint64_t at, size_t *run)
{
	size_t place = (size_t)(((mark >> 32) + at) % LETTERS);

	*run = LETTERS - place;
	return c->letters + place;
}

char *content_value(const struct content *c, uint64_t number, uint32_t size,
		    char *out)
{
	uint64_t mark = value_mark(number, size);
	uint64_t head = head_word(mark);
	char *end = out + size;
	uint64_t at = size < HEAD ? size : HEAD;

	memcpy(out, &head, (size_t)at);
	out += at;
	while (out < end) {
		size_t run;
		const char *letters = letters_from(c, mark, at, &run);

		run = run < (size_t)(end - out) ? run : (size_t)(end - out);
		memcpy(out, letters, run);
		out += run;
		at += run;
	}
	return end;
}

bool content_matches(const struct content *c, uint64_t number, uint32_t size,
		     uint64_t at, const char *p, size_t n)
{
	uint64_t mark = value_mark(number, size);
	const char *end = p + n;

	if (at < HEAD && n > 0) {
		uint64_t word = head_word(mark);
		char head[HEAD];
		size_t part = HEAD - (size_t)at;

		memcpy(head, &word, HEAD);
		part = part < n ? part : n;
		if (memcmp(p, head + at, part) != 0) {
			return false;
		}
		p += part;
		at += part;
	}
	while (p < end) {
		size_t run;
		const char *letters = letters_from(c, mark, at, &run);

		run = run < (size_t)(end - p) ? run : (size_t)(end - p);
		if (memcmp(p, letters, run) != 0) {
			return false;
		}
		p += run;
		at += run;
	}
	return true;
}
