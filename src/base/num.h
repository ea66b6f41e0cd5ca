/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal numbers as the protocol writes them: plain digits, no sign but
 * where a function says so, nothing before and nothing behind, no overflow.
 * All take a pointer and a length; nothing here looks for an end by itself.
 */
#ifndef DOZO_BASE_NUM_H
#define DOZO_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUM_DIGITS = 20 }; /* the longest u64, without an end byte */

/* One to twenty digits of a number below 2^64. */
bool num_parse_u64(const char *s, size_t len, uint64_t *out);

/* The same below 2^32. */
bool num_parse_u32(const char *s, size_t len, uint32_t *out);

/* Digits with an optional '-' in front, within 64 bits. */
bool num_parse_s64(const char *s, size_t len, int64_t *out);

/* Writes `n` in decimal to `out` (NUM_DIGITS bytes, no end); its length. */
size_t num_format_u64(char *out, uint64_t n);

#endif
