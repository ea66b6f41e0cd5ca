/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The items of the memory benchmarks: key, size and content of a value are
 * functions of a number, so that whoever reads an item back can tell every
 * byte of it without having kept anything.  Different numbers have different
 * keys (the scattering is one to one), and their values are cut from
 * different places of one block of random text, so that a value under a
 * wrong key does not pass.
 */
#ifndef DOZO_BENCH_KNOWN_ITEM_H
#define DOZO_BENCH_KNOWN_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ITEM_KEY_BYTES = 16,
	ITEM_VALUE_LIMIT = 64 * 1024, /* longest value */
	ITEM_PLACES = 1 << 17         /* places where a value may begin */
};

/* How long the values are. */
struct item_sizes {
	bool lognormal;
	size_t max; /* of a fixed size: the size */
	double median, sigma;
};

struct items {
	struct item_sizes sizes;
	char *block; /* of all values; owned */
};

/*
 * `sizes` is a number, or lognormal:MEDIAN:SIGMA:MAX (sizes from 1 to MAX).
 * Ends the process with status 2 if it is neither.
 */
void items_init(struct items *it, const char *sizes);
void items_release(struct items *it);

/* Writes the ITEM_KEY_BYTES of key `number`, hexadecimal digits. */
void item_key_write(uint64_t number, char *out);

size_t item_size(const struct items *it, uint64_t number);

/* The item_size() bytes of the value; they stay where they are. */
const char *item_value(const struct items *it, uint64_t number);

#endif
