/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ghost: remembers what was evicted last, forgets the oldest, answers
 * once, is seldom wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rand.h"
#include "store/ghost.h"

enum { BUCKETS = 600 };

static bool deny_all(void *arg)
{
	(void)arg;
	return true;
}

static void fill(struct ghost *g, struct supply *s, uint64_t *hashes, int n,
		 uint64_t seed)
{
	struct rng rng;

	rng_init(&rng, seed);
	for (int i = 0; i < n; i++) {
		hashes[i] = rng_next(&rng);
		ghost_add(g, s, hashes[i], BUCKETS);
	}
}

static int count_there(struct ghost *g, const uint64_t *hashes, int from,
		       int to)
{
	int there = 0;

	for (int i = from; i < to; i++) {
		there += ghost_take(g, hashes[i]) ? 1 : 0;
	}
	return there;
}

static void test_remembers(void **state)
{
	struct supply s = { .deny = NULL };
	struct ghost g = { .lines = NULL };
	uint64_t hashes[1000];

	(void)state;
	assert_false(ghost_take(&g, 1));
	fill(&g, &s, hashes, 1000, 1);
	/* A third of the capacity of 3,100: nearly all must be there. */
	assert_true(count_there(&g, hashes, 0, 1000) > 990);
	/* And an answer is given once. */
	assert_true(count_there(&g, hashes, 0, 1000) < 10);
	assert_int_equal(budget_used(&s.budget), ghost_cost(&g));
	ghost_release(&g, &s);
	assert_int_equal(budget_used(&s.budget), 0);
}

static void test_forgets_the_oldest(void **state)
{
	struct supply s = { .deny = NULL };
	struct ghost g = { .lines = NULL };
	uint64_t hashes[10000];

	(void)state;
	fill(&g, &s, hashes, 10000, 2);
	assert_true(count_there(&g, hashes, 8500, 10000) > 1450);
	assert_true(count_there(&g, hashes, 0, 4000) < 100);
	ghost_release(&g, &s);
}

static void test_seldom_wrong(void **state)
{
	struct supply s = { .deny = NULL };
	struct ghost g = { .lines = NULL };
	uint64_t hashes[3000];
	struct rng rng;
	int wrong = 0;

	(void)state;
	fill(&g, &s, hashes, 3000, 3);
	rng_init(&rng, 4);
	for (int i = 0; i < 100000; i++) {
		wrong += ghost_take(&g, rng_next(&rng)) ? 1 : 0;
	}
	assert_true(wrong < 100);
	ghost_release(&g, &s);
}

/* When the table has grown, what was remembered is not all lost. */
static void test_grows(void **state)
{
	struct supply s = { .deny = NULL };
	struct ghost g = { .lines = NULL };
	uint64_t hashes[1000];

	(void)state;
	fill(&g, &s, hashes, 1000, 5);
	ghost_add(&g, &s, 12345, BUCKETS * 2);
	assert_true(g.nlines >= BUCKETS * 2 / 8);
	assert_true(count_there(&g, hashes, 0, 1000) > 900);
	ghost_release(&g, &s);
}

static void test_without_memory(void **state)
{
	struct supply s = { .deny = deny_all };
	struct ghost g = { .lines = NULL };

	(void)state;
	ghost_add(&g, &s, 12345, BUCKETS);
	assert_false(ghost_take(&g, 12345));
	assert_int_equal(ghost_cost(&g), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_remembers),
		cmocka_unit_test(test_forgets_the_oldest),
		cmocka_unit_test(test_seldom_wrong),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
