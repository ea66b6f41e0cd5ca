/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C against the examples of RFC 3720 (B.4), and its two ways against
 * each other and against the definition, a bit at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "base/rand.h"

static uint32_t by_definition(uint32_t crc, const unsigned char *p, size_t n)
{
	crc = ~crc;
	for (; n > 0; n--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
		}
	}
	return ~crc;
}

static void expect(const void *data, size_t n, uint32_t crc)
{
	assert_int_equal(crc32c(0, data, n), crc);
	assert_int_equal(crc32c_portable(0, data, n), crc);
	assert_int_equal(by_definition(0, data, n), crc);
}

static void test_rfc_3720(void **state)
{
	static const unsigned char read_command[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
		0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
		0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0,
	};
	unsigned char data[32];

	(void)state;
	memset(data, 0, sizeof(data));
	expect(data, sizeof(data), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	expect(data, sizeof(data), 0x62a8ab43);
	for (unsigned char i = 0; i < 32; i++) {
		data[i] = i;
	}
	expect(data, sizeof(data), 0x46dd794e);
	for (unsigned char i = 0; i < 32; i++) {
		data[i] = (unsigned char)(31 - i);
	}
	expect(data, sizeof(data), 0x113fdb5c);
	expect(read_command, sizeof(read_command), 0xd9963a56);
	expect("123456789", 9, 0xe3069283);
	expect("", 0, 0);
}

enum { BYTES = 4096 };

static void fill(unsigned char *data, size_t n, uint64_t seed)
{
	struct rng r;

	rng_init(&r, seed);
	for (size_t i = 0; i < n; i++) {
		data[i] = (unsigned char)rng_next(&r);
	}
}

/* Every length to past two rounds of streams, at every alignment. */
static void test_ways_agree(void **state)
{
	static unsigned char data[BYTES];

	(void)state;
	fill(data, sizeof(data), 1);
	for (size_t from = 0; from < 8; from++) {
		uint32_t expected = 0;

		for (size_t n = 0; n + from <= 3400; n++) {
			assert_int_equal(crc32c(0, data + from, n), expected);
			assert_int_equal(crc32c_portable(0, data + from, n),
					 expected);
			expected = by_definition(expected, data + from + n, 1);
		}
	}
}

/* A sum can be continued anywhere. */
static void test_in_pieces(void **state)
{
	static unsigned char data[BYTES];
	uint32_t whole;

	(void)state;
	fill(data, sizeof(data), 2);
	whole = by_definition(0, data, sizeof(data));
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		uint32_t a = crc32c(0, data, cut);
		uint32_t b = crc32c_portable(0, data, cut);

		assert_int_equal(crc32c(b, data + cut, sizeof(data) - cut),
				 whole);
		assert_int_equal(crc32c_portable(a, data + cut,
						 sizeof(data) - cut),
				 whole);
	}
}

static void test_flipped_bit_shows(void **state)
{
	static unsigned char data[2048];
	uint32_t whole;

	(void)state;
	fill(data, sizeof(data), 3);
	whole = crc32c(0, data, sizeof(data));
	for (size_t bit = 0; bit < sizeof(data) * 8; bit++) {
		data[bit / 8] ^= (unsigned char)(1U << bit % 8);
		assert_int_not_equal(crc32c(0, data, sizeof(data)), whole);
		data[bit / 8] ^= (unsigned char)(1U << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_3720),
		cmocka_unit_test(test_ways_agree),
		cmocka_unit_test(test_in_pieces),
		cmocka_unit_test(test_flipped_bit_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
