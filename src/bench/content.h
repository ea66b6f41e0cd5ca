/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is stored: key, size and value as functions of a number, so that
 * whoever reads an item back can tell every byte of it without having kept
 * anything, and one run can check what another has stored.
 *
 * A key is hexadecimal digits, the number permuted; different numbers give
 * different keys.  A value begins with eight bytes that tell number and size,
 * then follows a text of fixed random letters, from a place that depends on
 * both.  All is printable and without a line end.
 *
 * Thread rule: after content_init() it is only read; any thread.
 */
#ifndef DOZO_BENCH_CONTENT_H
#define DOZO_BENCH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How large values are; the size of one depends on its number alone. */
enum size_kind {
	SIZE_FIXED,     /* max bytes */
	SIZE_RANGE,     /* min to max, each as often */
	SIZE_LOGNORMAL, /* median * exp(sigma * normal), 1 to max */
};

struct size_law {
	enum size_kind kind;
	uint32_t min;
	uint32_t max;
	double median;
	double sigma;
};

struct content {
	uint32_t key_size;
	unsigned key_bits; /* of the number that a key can show */
	struct size_law law;
	uint32_t *quantiles; /* of SIZE_LOGNORMAL */
	char *letters;
};

/* key_size from 1 to 250.  False when memory ran out. */
bool content_init(struct content *c, uint32_t key_size,
		  const struct size_law *law);
void content_release(struct content *c);

/* The highest number for which a key of that size has room. */
uint64_t content_number_max(uint32_t key_size);

/* Writes the key_size bytes of a key; the end of them. */
char *content_key(const struct content *c, uint64_t number, char *out);

uint32_t content_size(const struct content *c, uint64_t number);

/* Writes the `size` bytes of a value; the end of them. */
char *content_value(const struct content *c, uint64_t number, uint32_t size,
		    char *out);

/* Are the n bytes at p those from `at` on of that value? */
bool content_matches(const struct content *c, uint64_t number, uint32_t size,
		     uint64_t at, const char *p, size_t n);

#endif
