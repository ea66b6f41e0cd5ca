/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decimal numbers: what is one, what is not, and the edges of 32 and 64 bits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"

struct number {
	const char *text;
	bool ok;
	uint64_t value;
};

static const struct number numbers[] = {
	{ "0", true, 0 },
	{ "7", true, 7 },
	{ "0007", true, 7 },
	{ "00000000000000000001", true, 1 },
	{ "4294967295", true, UINT32_MAX },
	{ "4294967296", true, UINT32_MAX + 1ULL },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "18446744073709551616", false, 0 },
	{ "18446744073709551625", false, 0 },
	{ "99999999999999999999", false, 0 },
	{ "000000000000000000001", false, 0 },
	{ "", false, 0 },
	{ "-", false, 0 },
	{ "-1", false, 0 },
	{ "+1", false, 0 },
	{ " 1", false, 0 },
	{ "1 ", false, 0 },
	{ "1x", false, 0 },
	{ "0x1", false, 0 },
	{ "1.0", false, 0 },
	{ "/", false, 0 },
	{ ":", false, 0 },
	{ "\xb1", false, 0 },
};

/* A copy that ends where its memory ends. */
static char *exact(const char *text, size_t *len)
{
	char *copy;

	*len = strlen(text);
	copy = malloc(*len > 0 ? *len : 1);
	assert_non_null(copy);
	memcpy(copy, text, *len);
	return copy;
}

static void test_parse_u64(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		const struct number *n = &numbers[i];
		size_t len;
		char *text = exact(n->text, &len);
		uint64_t got = 12345;

		assert_int_equal(num_parse_u64(text, len, &got), n->ok);
		assert_true(got == (n->ok ? n->value : 12345));
		free(text);
	}
	assert_false(num_parse_u64("1\0", 2, &(uint64_t){ 0 }));
}

static void test_parse_u32(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		const struct number *n = &numbers[i];
		bool ok = n->ok && n->value <= UINT32_MAX;
		uint32_t got = 12345;

		assert_int_equal(num_parse_u32(n->text, strlen(n->text), &got),
				 ok);
		assert_int_equal(got, ok ? (uint32_t)n->value : 12345);
	}
}

static void check_s64(const char *text, bool ok, int64_t value)
{
	int64_t got = 12345;

	assert_int_equal(num_parse_s64(text, strlen(text), &got), ok);
	assert_true(got == (ok ? value : 12345));
}

static void test_parse_s64(void **state)
{
	(void)state;
	check_s64("0", true, 0);
	check_s64("-0", true, 0);
	check_s64("-1", true, -1);
	check_s64("9223372036854775807", true, INT64_MAX);
	check_s64("9223372036854775808", false, 0);
	check_s64("-9223372036854775808", true, INT64_MIN);
	check_s64("-9223372036854775809", false, 0);
	check_s64("18446744073709551615", false, 0);
	check_s64("-18446744073709551615", false, 0);
	check_s64("", false, 0);
	check_s64("-", false, 0);
	check_s64("--1", false, 0);
	check_s64("+1", false, 0);
	check_s64("1-", false, 0);
	check_s64("- 1", false, 0);
}

static void check_format(uint64_t n)
{
	char expected[NUM_DIGITS + 1];
	char got[NUM_DIGITS + 1];
	size_t len;
	uint64_t back;

	snprintf(expected, sizeof(expected), "%llu", (unsigned long long)n);
	memset(got, 'x', sizeof(got));
	len = num_format_u64(got, n);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(got, expected, len);
	assert_int_equal(got[len], 'x');
	assert_true(num_parse_u64(got, len, &back));
	assert_true(back == n);
}

static void test_format_u64(void **state)
{
	uint64_t power = 1;

	(void)state;
	check_format(0);
	check_format(UINT64_MAX);
	for (int digits = 1; digits < NUM_DIGITS; digits++) {
		check_format(power - 1);
		check_format(power);
		check_format(power * 9);
		power *= 10;
	}
	check_format(power);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_u32),
		cmocka_unit_test(test_parse_s64),
		cmocka_unit_test(test_format_u64),
	};

	return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
