/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zipf's law against the exact probabilities, and the scattering of ranks:
 * one to one at every width.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "bench/permute.h"
#include "bench/zipf.h"

enum { DRAWS = 400000 };

static const double DRAWN = DRAWS;

/*
 * Pearson's test: the squared distance of the counts from the law, in units
 * of its variance, stays within six deviations of its expectation.  Ranks
 * that come up less than ten times on average are taken together.
 */
static void check_law(uint64_t ranks, double theta)
{
	uint64_t *counts = calloc(ranks + 1, sizeof(*counts));
	double norm = 0;
	double sum = 0;
	double rest_expected = 0;
	double rest_seen = 0;
	double freedom = -1;
	struct zipf z;
	struct rng r;

	assert_non_null(counts);
	rng_init(&r, 11);
	zipf_init(&z, ranks, theta);
	for (int i = 0; i < DRAWS; i++) {
		uint64_t rank = zipf_draw(&z, &r);

		assert_true(rank >= 1 && rank <= ranks);
		counts[rank]++;
	}
	for (uint64_t k = 1; k <= ranks; k++) {
		norm += pow((double)k, -theta);
	}
	for (uint64_t k = 1; k <= ranks; k++) {
		double expected = DRAWN * pow((double)k, -theta) / norm;
		double off = (double)counts[k] - expected;

		if (expected < 10) {
			rest_expected += expected;
			rest_seen += (double)counts[k];
			continue;
		}
		sum += off * off / expected;
		freedom++;
	}
	if (rest_expected > 10) {
		double off = rest_seen - rest_expected;

		sum += off * off / rest_expected;
		freedom++;
	}
	if (sum > freedom + 6 * sqrt(2 * freedom + 1)) {
		fail_msg("%llu ranks, theta %g: %g for %g degrees of freedom",
			 (unsigned long long)ranks, theta, sum, freedom);
	}
	free(counts);
}

static void test_law(void **state)
{
	static const double thetas[] = {
		0.2, 0.5, 0.8, 0.99, 1, 1.01, 1.2, 2, 3
	};

	(void)state;
	for (size_t i = 0; i < sizeof(thetas) / sizeof(*thetas); i++) {
		check_law(1, thetas[i]);
		check_law(2, thetas[i]);
		check_law(10, thetas[i]);
		check_law(1000, thetas[i]);
		check_law(100000, thetas[i]);
	}
}

/* The most frequent of ten million, by its exact probability. */
static void test_many_ranks(void **state)
{
	enum { RANKS = 10000000 };
	double norm = 0;
	double expected;
	double firsts = 0;
	struct zipf z;
	struct rng r;

	(void)state;
	for (int k = 1; k <= RANKS; k++) {
		norm += pow(k, -0.99);
	}
	expected = DRAWN / norm;
	rng_init(&r, 5);
	zipf_init(&z, RANKS, 0.99);
	for (int i = 0; i < DRAWS; i++) {
		firsts += zipf_draw(&z, &r) == 1;
	}
	assert_true(fabs(firsts - expected) < 6 * sqrt(expected));
}

static void test_permute_bits(void **state)
{
	(void)state;
	for (unsigned bits = 2; bits <= 16; bits++) {
		char *seen = calloc(1UL << bits, 1);

		assert_non_null(seen);
		for (uint64_t x = 0; x < 1UL << bits; x++) {
			uint64_t y = permute_bits(x, bits);

			assert_true(y < 1UL << bits && !seen[y]);
			seen[y] = 1;
		}
		free(seen);
	}
	assert_true(permute_bits(1, 64) > UINT32_MAX);
}

static void test_permute_below(void **state)
{
	static const uint64_t counts[] = { 1, 2, 3, 5, 8, 9, 1000, 65537 };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		char *seen = calloc(counts[i], 1);

		assert_non_null(seen);
		for (uint64_t x = 0; x < counts[i]; x++) {
			uint64_t y = permute_below(x, counts[i]);

			assert_true(y < counts[i] && !seen[y]);
			seen[y] = 1;
		}
		free(seen);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_law),
		cmocka_unit_test(test_many_ranks),
		cmocka_unit_test(test_permute_bits),
		cmocka_unit_test(test_permute_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
