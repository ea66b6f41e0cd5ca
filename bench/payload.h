/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmark stores: key and value as functions of a number, so that
 * whoever reads an item back can tell every byte of it without having kept
 * anything.  Different numbers give different keys (the mixing is one to
 * one) and, but for chance, different values; so a value under a wrong key
 * does not pass.  Values are printable and hold no line end: the zero-work
 * server counts requests by their line ends.
 */
#ifndef DOZO_BENCH_PAYLOAD_H
#define DOZO_BENCH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PAYLOAD_KEY_BYTES = 16 };

/* A one-to-one scattering of 64-bit numbers. */
static inline uint64_t payload_mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

/* Writes the PAYLOAD_KEY_BYTES of key `number`, hexadecimal digits. */
static inline void payload_key_write(uint64_t number, char *out)
{
	uint64_t x = payload_mix(number);

	for (int i = 0; i < PAYLOAD_KEY_BYTES; i++) {
		out[i] = "0123456789abcdef"[x >> 60];
		x <<= 4;
	}
}

/* Writes the `size` bytes of the value under key `number`. */
static inline void payload_value_write(uint64_t number, char *out, size_t size)
{
	uint64_t state = payload_mix(number ^ 0x76616c7565ULL);

	for (size_t at = 0; at < size; at += sizeof(state)) {
		uint64_t word = state & 0x3f3f3f3f3f3f3f3fULL;
		size_t part = size - at;

		word += 0x2020202020202020ULL;
		memcpy(out + at, &word,
		       part < sizeof(word) ? part : sizeof(word));
		state = (state ^ (state >> 31)) * 0x9e3779b97f4a7c15ULL + 1;
	}
}

#endif
