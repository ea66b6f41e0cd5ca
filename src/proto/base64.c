/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Base64 for keys, which are short.  The decoder takes only what the encoder
 * would have written, so that a key has one encoded form.
 */
#include <stdint.h>

#include "proto/base64.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789+/";

static uint32_t group_of(const char *from, size_t len)
{
	uint32_t group = 0;

	for (size_t i = 0; i < 3; i++) {
		group <<= 8;
		if (i < len) {
			group |= (unsigned char)from[i];
		}
	}
	return group;
}

size_t base64_encode(char *to, const char *from, size_t len)
{
	char *start = to;

	while (len > 0) {
		size_t step = len < 3 ? len : 3;
		uint32_t group = group_of(from, step);

		to[0] = alphabet[group >> 18];
		to[1] = alphabet[group >> 12 & 63];
		to[2] = step > 1 ? alphabet[group >> 6 & 63] : '=';
		to[3] = step > 2 ? alphabet[group & 63] : '=';
		to += 4;
		from += step;
		len -= step;
	}
	return (size_t)(to - start);
}

/* The six bits of a letter, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	if (c == '+') {
		return 62;
	}
	return c == '/' ? 63 : -1;
}

/* Four letters, the last `pad` of them '=', to a group of 24 bits. */
static bool group_from(const char *from, size_t pad, uint32_t *group)
{
	*group = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - pad ? value_of(from[i]) : 0;

		if (value < 0) {
			return false;
		}
		*group = *group << 6 | (uint32_t)value;
	}
	/* Bits that no byte takes must be 0. */
	return (*group & ((1U << (8 * pad)) - 1)) == 0;
}

bool base64_decode(char *to, size_t room, const char *from, size_t len,
		   size_t *out_len)
{
	size_t pad = 0;
	size_t out = 0;

	if (len == 0 || len % 4 != 0) {
		return false;
	}
	if (from[len - 1] == '=') {
		pad = from[len - 2] == '=' ? 2 : 1;
	}
	if (len / 4 * 3 - pad > room) {
		return false;
	}
	for (size_t at = 0; at < len; at += 4) {
		size_t group_pad = at + 4 == len ? pad : 0;
		uint32_t group;

		if (!group_from(from + at, group_pad, &group)) {
			return false;
		}
		for (size_t i = 0; i < 3 - group_pad; i++) {
			to[out++] = (char)(group >> (16 - 8 * i) & 0xff);
		}
	}
	*out_len = out;
	return true;
}
