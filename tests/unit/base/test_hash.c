/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash against published XXH3 values, with and without a seed: a key
 * must hash alike in every build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

#define PRIME32 2654435761ULL
#define PRIME64 11400714785074694797ULL

/* The buffer that the published values were made from. */
static void fill(unsigned char *to, size_t len)
{
	uint64_t state = PRIME32;

	for (size_t i = 0; i < len; i++) {
		to[i] = (unsigned char)(state >> 56);
		state *= PRIME64;
	}
}

static void test_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t plain;
		uint64_t seeded; /* with PRIME64 */
	} vectors[] = {
		{ 0, 0x2D06800538D394C2ULL, 0xA8A6B918B2F0364AULL },
		{ 1, 0xC44BDFF4074EECDBULL, 0x032BE332DD766EF8ULL },
		{ 6, 0x27B56A84CD2D7325ULL, 0x84589C116AB59AB9ULL },
		{ 12, 0xA713DAF0DFBB77E7ULL, 0xE7303E1B2336DE0EULL },
		{ 24, 0xA3FE70BF9D3510EBULL, 0x850E80FC35BDD690ULL },
		{ 48, 0x397DA259ECBA1F11ULL, 0xADC2CBAA44ACC616ULL },
		{ 80, 0xBCDEFBBB2C47C90AULL, 0xC6DD0CB699532E73ULL },
		{ 195, 0xCD94217EE362EC3AULL, 0xBA68003D370CB3D9ULL },
	};
	unsigned char bytes[256];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		assert_true(hash_bytes(bytes, vectors[i].len, 0) ==
			    vectors[i].plain);
		assert_true(hash_bytes(bytes, vectors[i].len, PRIME64) ==
			    vectors[i].seeded);
	}
}

/* It must not matter where in memory a key stands. */
static void test_unaligned(void **state)
{
	unsigned char bytes[300];
	unsigned char shifted[308];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t shift = 1; shift < 8; shift++) {
		memcpy(shifted + shift, bytes, sizeof(bytes));
		for (size_t len = 0; len <= 250; len++) {
			assert_true(hash_bytes(shifted + shift, len, 7) ==
				    hash_bytes(bytes, len, 7));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_unaligned),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
