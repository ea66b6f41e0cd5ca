/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys and values from numbers: keys differ, sizes follow their law, and of
 * a value every byte counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "bench/content.h"

static const struct size_law FIXED = { .kind = SIZE_FIXED, .max = 100 };

static void test_short_keys_differ(void **state)
{
	char *seen = calloc(65536, 1);
	struct content c;

	(void)state;
	assert_non_null(seen);
	assert_true(content_init(&c, 4, &FIXED));
	assert_int_equal(content_number_max(4), 65535);
	for (uint64_t n = 0; n < 65536; n++) {
		char key[5] = "";
		char *end;
		unsigned long at;

		assert_ptr_equal(content_key(&c, n, key), key + 4);
		at = strtoul(key, &end, 16);
		assert_true(end == key + 4 && !seen[at]);
		seen[at] = 1;
	}
	content_release(&c);
	free(seen);
}

static void test_key_sizes(void **state)
{
	(void)state;
	for (uint32_t size = 1; size <= KEY_MAX; size++) {
		char a[KEY_MAX + 2];
		char b[KEY_MAX + 2];
		struct content c;

		memset(a, '!', sizeof(a));
		assert_true(content_init(&c, size, &FIXED));
		assert_ptr_equal(content_key(&c, 1, a), a + size);
		content_key(&c, 2, b);
		assert_int_equal(strspn(a, "0123456789abcdef"), size);
		assert_memory_not_equal(a, b, size);
		content_release(&c);
	}
	assert_true(content_number_max(16) == UINT64_MAX);
	assert_true(content_number_max(250) == UINT64_MAX);
}

/* One wrong bit anywhere is seen, however the value is cut into two. */
static void check_value(const struct content *c, uint32_t size)
{
	char *value = malloc(size + 1);

	assert_non_null(value);
	value[size] = '!';
	assert_ptr_equal(content_value(c, 9, size, value), value + size);
	assert_int_equal(value[size], '!');
	assert_true(content_matches(c, 9, size, 0, value, size));
	for (uint32_t i = 0; i < size; i += 1 + size / 300) {
		assert_true(value[i] >= ' ' && value[i] <= '~');
		assert_true(content_matches(c, 9, size, 0, value, i));
		assert_true(
			content_matches(c, 9, size, i, value + i, size - i));
		value[i] ^= 1;
		assert_false(content_matches(c, 9, size, 0, value, size));
		assert_false(
			content_matches(c, 9, size, i, value + i, size - i));
		value[i] ^= 1;
	}
	if (size >= 4) {
		assert_false(content_matches(c, 8, size, 0, value, size));
		assert_false(content_matches(c, 9, size - 1, 0, value, 4));
	}
	free(value);
}

static void test_values(void **state)
{
	static const uint32_t sizes[] = {
		0,     1,     2,     7,     8,      9,      16,     100,
		65513, 65521, 65522, 65536, 131072, 300000, 1048576
	};
	struct content c;

	(void)state;
	assert_true(content_init(&c, 16, &FIXED));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		check_value(&c, sizes[i]);
	}
	content_release(&c);
}

/* A large value with two pieces exchanged is another. */
static void test_pieces_differ(void **state)
{
	enum { SIZE = 1 << 20, PIECE = 1 << 16 };
	char *value = malloc(SIZE);
	struct content c;

	(void)state;
	assert_non_null(value);
	assert_true(content_init(&c, 16, &FIXED));
	content_value(&c, 3, SIZE, value);
	for (uint64_t at = PIECE; at < SIZE; at += PIECE) {
		assert_false(content_matches(&c, 3, SIZE, at, value, PIECE));
	}
	content_release(&c);
	free(value);
}

static void test_range(void **state)
{
	static const struct size_law law = { .kind = SIZE_RANGE,
					     .min = 10,
					     .max = 19 };
	int counts[20] = { 0 };
	struct content c;

	(void)state;
	assert_true(content_init(&c, 16, &law));
	for (uint64_t n = 0; n < 100000; n++) {
		uint32_t size = content_size(&c, n);

		assert_true(size >= 10 && size <= 19);
		counts[size]++;
	}
	for (int i = 10; i <= 19; i++) {
		assert_in_range(counts[i], 9500, 10500);
	}
	content_release(&c);
}

/* Median 200, sigma 1: e to the one lies one deviation out. */
static void test_lognormal(void **state)
{
	static const struct size_law law = {
		.kind = SIZE_LOGNORMAL, .median = 200, .sigma = 1, .max = 4000
	};
	int below_median = 0;
	int below_deviation = 0;
	int at_max = 0;
	struct content c;

	(void)state;
	assert_true(content_init(&c, 16, &law));
	for (uint64_t n = 0; n < 100000; n++) {
		uint32_t size = content_size(&c, n);

		assert_true(size >= 1 && size <= 4000);
		assert_int_equal(size, content_size(&c, n));
		below_median += size < 200;
		below_deviation += size < 544;
		at_max += size == 4000;
	}
	assert_in_range(below_median, 49000, 51000);
	assert_in_range(below_deviation, 83600, 84700); /* 84.13 % */
	assert_in_range(at_max, 80, 220);               /* 0.14 % reach 4,000 */
	content_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_keys_differ),
		cmocka_unit_test(test_key_sizes),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_pieces_differ),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_lognormal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
