/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The histogram: its error at every size, its shares against sorted numbers,
 * and merging.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/histogram.h"
#include "base/rand.h"

static struct histogram *new_histogram(void)
{
	struct histogram *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	return h;
}

/* Of two entries, the lower is read with the error of its bucket alone. */
static void check_error(uint64_t n)
{
	struct histogram *h = new_histogram();
	uint64_t seen;
	uint64_t off;

	histogram_add(h, n);
	histogram_add(h, UINT64_MAX);
	seen = histogram_at(h, 0.5);
	off = seen > n ? seen - n : n - seen;
	assert_true(n < 256 ? off == 0 : off * 250 <= n);
	free(h);
}

static void test_error(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 2000; n++) {
		check_error(n);
	}
	for (unsigned shift = 10; shift < 64; shift++) {
		check_error((1ULL << shift) - 1);
		check_error(1ULL << shift);
		check_error((1ULL << shift) + (1ULL << (shift - 8)));
		check_error((1ULL << shift) + (1ULL << (shift - 1)));
	}
}

/* Buckets rise with their numbers, without a gap. */
static void test_buckets_in_order(void **state)
{
	unsigned last = 0;

	(void)state;
	for (uint64_t n = 1; n < 100000; n++) {
		unsigned bucket = histogram_bucket(n);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static void test_shares(void **state)
{
	enum { COUNT = 20000 };
	static const double shares[] = { 0.0001, 0.5, 0.9, 0.99, 0.999, 1 };
	uint64_t *all = calloc(COUNT, sizeof(*all));
	struct histogram *h = new_histogram();
	double sum = 0;
	struct rng r;

	(void)state;
	assert_non_null(all);
	rng_init(&r, 7);
	for (size_t i = 0; i < COUNT; i++) {
		all[i] = rng_next(&r) >> (20 + rng_below(&r, 40));
		histogram_add(h, all[i]);
		sum += (double)all[i];
	}
	qsort(all, COUNT, sizeof(*all), compare);
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		double right = (double)all[(size_t)(shares[i] * COUNT) - 1];
		double seen = (double)histogram_at(h, shares[i]);

		assert_true(seen >= right * 0.995 && seen <= right * 1.005);
	}
	assert_true(h->max == all[COUNT - 1]);
	assert_true(histogram_mean(h) > sum / COUNT * 0.999999);
	assert_true(histogram_mean(h) < sum / COUNT * 1.000001);
	free(all);
	free(h);
}

static void test_few(void **state)
{
	struct histogram *h = new_histogram();

	(void)state;
	assert_int_equal(histogram_at(h, 0.5), 0);
	assert_true(histogram_mean(h) == 0);
	histogram_add(h, 1000000);
	assert_int_equal(histogram_at(h, 0), 1000000);
	assert_int_equal(histogram_at(h, 0.9999), 1000000);
	for (int i = 0; i < 9; i++) {
		histogram_add(h, 5);
	}
	/* Nine of ten do not exceed 5; no more. */
	assert_int_equal(histogram_at(h, 0.9), 5);
	assert_int_equal(histogram_at(h, 0.91), 1000000);
	free(h);
}

static void test_merge(void **state)
{
	struct histogram *a = new_histogram();
	struct histogram *b = new_histogram();
	struct histogram *both = new_histogram();

	(void)state;
	for (uint64_t i = 1; i < 3000; i++) {
		histogram_add(i % 3 == 0 ? a : b, i * i);
		histogram_add(both, i * i);
	}
	histogram_merge(a, b);
	assert_memory_equal(a, both, sizeof(*a));
	free(a);
	free(b);
	free(both);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_buckets_in_order),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
