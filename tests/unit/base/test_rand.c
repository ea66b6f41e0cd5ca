/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator against its authors' reference numbers, and its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"

/* xoshiro256** from the state 1, 2, 3, 4. */
static void test_sequence(void **state)
{
	static const uint64_t expected[] = {
		11520ULL,
		0ULL,
		1509978240ULL,
		1215971899390074240ULL,
		1216172134540287360ULL,
		607988272756665600ULL,
		16172922978634559625ULL,
		8476171486693032832ULL,
		10595114339597558777ULL,
		2904607092377533576ULL,
	};
	struct rng r = { { 1, 2, 3, 4 } };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		assert_true(rng_next(&r) == expected[i]);
	}
}

/* splitmix64 from 1234567 makes the state. */
static void test_seed(void **state)
{
	struct rng r;

	(void)state;
	rng_init(&r, 1234567);
	assert_true(r.s[0] == 6457827717110365317ULL);
	assert_true(r.s[1] == 3203168211198807973ULL);
	assert_true(r.s[2] == 9817491932198370423ULL);
	assert_true(r.s[3] == 4593380528125082431ULL);
}

static void test_repeats_from_seed(void **state)
{
	struct rng a;
	struct rng b;
	struct rng c;
	int differ = 0;

	(void)state;
	rng_init(&a, 0);
	rng_init(&b, 0);
	rng_init(&c, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t n = rng_next(&a);

		assert_true(n == rng_next(&b));
		differ += n != rng_next(&c);
	}
	assert_true(differ > 990);
}

/* Each of ten comes up about a tenth of the time; nothing above the bound. */
static void test_below(void **state)
{
	enum { ROUNDS = 100000, BOUND = 10 };
	int counts[BOUND] = { 0 };
	struct rng r;

	(void)state;
	rng_init(&r, 42);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = rng_below(&r, BOUND);

		assert_true(n < BOUND);
		counts[n]++;
	}
	for (int i = 0; i < BOUND; i++) {
		assert_in_range(counts[i], 9500, 10500);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(rng_below(&r, 1), 0);
		assert_true(rng_below(&r, UINT64_MAX) < UINT64_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_repeats_from_seed),
		cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
