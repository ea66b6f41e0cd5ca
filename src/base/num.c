/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal numbers.  Both directions stand in the path of every request, so
 * they are loops over bytes and not the C library's locale-aware functions.
 */
#include <string.h>

#include "base/num.h"

/* As many digits cannot overflow. */
enum { SAFE_DIGITS = NUM_DIGITS - 1 };

bool num_parse_u64(const char *s, size_t len, uint64_t *out)
{
	uint64_t n = 0;

	if (len == 0 || len > NUM_DIGITS) {
		return false;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned char)s[i] - (unsigned)'0';

		if (digit > 9) {
			return false;
		}
		if (i < SAFE_DIGITS) {
			n = n * 10 + digit;
		} else if (__builtin_mul_overflow(n, 10, &n) ||
			   __builtin_add_overflow(n, digit, &n)) {
			return false;
		}
	}
	*out = n;
	return true;
}

bool num_parse_u32(const char *s, size_t len, uint32_t *out)
{
	uint64_t n;

	if (!num_parse_u64(s, len, &n) || n > UINT32_MAX) {
		return false;
	}
	*out = (uint32_t)n;
	return true;
}

bool num_parse_s64(const char *s, size_t len, int64_t *out)
{
	bool negative = len > 0 && s[0] == '-';
	uint64_t n;

	if (negative) {
		s++;
		len--;
	}
	if (!num_parse_u64(s, len, &n)) {
		return false;
	}
	if (negative) {
		if (n > (uint64_t)INT64_MAX + 1) {
			return false;
		}
		*out = (int64_t)(0 - n);
		return true;
	}
	if (n > INT64_MAX) {
		return false;
	}
	*out = (int64_t)n;
	return true;
}

static size_t count_digits(uint64_t n)
{
	size_t digits = 1;

	while (n >= 1000) {
		n /= 1000;
		digits += 3;
	}
	return digits + (n >= 10) + (n >= 100);
}

size_t num_format_u64(char *out, uint64_t n)
{
	size_t len = count_digits(n);

	for (size_t at = len; at > 0; at--) {
		out[at - 1] = (char)('0' + n % 10);
		n /= 10;
	}
	return len;
}
