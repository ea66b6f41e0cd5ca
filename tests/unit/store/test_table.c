/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of a shard, against a plain array: everything inserted is found
 * until it is removed, through growth, overflow around the end, shrinking and
 * refused allocations; and what it costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "store/table.h"

enum { ITEMS = 4000 };

struct fixture {
	struct table t;
	struct supply supply;
	struct rng rng;
	bool refuse;
	uint32_t tags[ITEMS];
	bool present[ITEMS];
};

static bool deny(void *arg)
{
	struct fixture *f = arg;

	return f->refuse;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		return -1;
	}
	budget_init(&f->supply.budget, 1 << 30);
	f->supply.deny = deny;
	f->supply.deny_arg = f;
	rng_init(&f->rng, 20);
	for (int i = 0; i < ITEMS; i++) {
		f->tags[i] = table_tag(rng_next(&f->rng));
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	table_release(&f->t, &f->supply);
	assert_int_equal(budget_used(&f->supply.budget), 0);
	free(f);
	return 0;
}

static uint64_t location(int i)
{
	return 1000 + (uint64_t)i;
}

static void insert(struct fixture *f, int i)
{
	uint64_t *slot = table_insert(&f->t, &f->supply, f->tags[i],
				      location(i));

	assert_non_null(slot);
	assert_int_equal(slot_location(*slot), location(i));
	assert_int_equal(slot_tag(*slot), f->tags[i]);
	assert_int_equal(slot_count(*slot), 0);
	f->present[i] = true;
}

static void take_out(struct fixture *f, int i)
{
	uint64_t *slot = table_find(&f->t, f->tags[i], location(i));

	assert_non_null(slot);
	table_remove(&f->t, &f->supply, slot);
	f->present[i] = false;
}

static void check_all(struct fixture *f)
{
	table_verify(&f->t);
	for (int i = 0; i < ITEMS; i++) {
		uint64_t *slot = table_find(&f->t, f->tags[i], location(i));

		assert_int_equal(slot != NULL, f->present[i]);
	}
}

static void test_random(void **state)
{
	struct fixture *f = *state;

	for (int step = 0; step < 60000; step++) {
		/* Waves: the table grows and shrinks several times. */
		uint32_t wave = step / 6000 % 2 == 0 ? 70 : 30;
		int i = (int)rng_below(&f->rng, ITEMS);

		if (rng_below(&f->rng, 100) < wave) {
			if (!f->present[i]) {
				insert(f, i);
			}
		} else if (f->present[i]) {
			take_out(f, i);
		}
		if (step % 3000 == 0) {
			check_all(f);
		}
	}
	check_all(f);
}

/* All homes are at the end, so that everything flows over to the front. */
static void test_overflow(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 300; i++) {
		f->tags[i] = SLOT_TAG_MASK - (uint32_t)(i % 3);
		insert(f, i);
		table_verify(&f->t);
	}
	for (int i = 0; i < 300; i += 2) {
		take_out(f, i);
		table_verify(&f->t);
	}
	check_all(f);
	for (int i = 1; i < 300; i += 2) {
		take_out(f, i);
		table_verify(&f->t);
	}
	check_all(f);
}

/* Without memory it fills to its last slot, and then says so. */
static void test_refused(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	f->refuse = true;
	assert_null(table_insert(&f->t, &f->supply, f->tags[0], 1000));
	f->refuse = false;
	for (; n < 500; n++) {
		insert(f, n);
	}
	f->refuse = true;
	while (table_nbuckets(&f->t) * BUCKET_SLOTS > f->t.count) {
		insert(f, n++);
	}
	assert_null(table_insert(&f->t, &f->supply, f->tags[n], location(n)));
	check_all(f);
	f->refuse = false;
	insert(f, n);
	check_all(f);
}

static void test_counts(void **state)
{
	struct fixture *f = *state;
	uint64_t *slot;

	insert(f, 0);
	slot = table_find(&f->t, f->tags[0], location(0));
	slot_set_count(slot, SLOT_COUNT_MAX);
	slot_set_location(slot, 77);
	assert_int_equal(slot_count(*slot), SLOT_COUNT_MAX);
	assert_int_equal(slot_tag(*slot), f->tags[0]);
	assert_null(table_find(&f->t, f->tags[0], location(0)));
	assert_non_null(table_find(&f->t, f->tags[0], 77));
}

/*
 * Bytes for each item, at every size from a thousand items on: never more
 * than 9.3, growth steps and rounding to whole buckets included.
 */
static void test_cost(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < ITEMS; i++) {
		insert(f, i);
		if (i >= 1000) {
			assert_true((double)table_cost(&f->t) / (i + 1) < 9.3);
		}
	}
}

/* Room that is expected comes at once, and goes if nobody came. */
static void test_expected(void **state)
{
	struct fixture *f = *state;
	size_t cost = table_expect_cost(&f->t, ITEMS);
	uint32_t n;

	table_expect(&f->t, &f->supply, ITEMS);
	assert_int_equal(table_cost(&f->t), cost);
	assert_int_equal(budget_used(&f->supply.budget), cost);
	assert_true((double)cost / ITEMS < 9);
	n = table_nbuckets(&f->t);
	for (int i = 0; i < ITEMS; i++) {
		insert(f, i);
	}
	assert_int_equal(table_nbuckets(&f->t), n);
	check_all(f);
	/* What fits stays, and so does what is nearly large enough. */
	table_fit(&f->t, &f->supply);
	assert_int_equal(table_expect_cost(&f->t, ITEMS + ITEMS / 25), 0);
	table_expect(&f->t, &f->supply, ITEMS + ITEMS / 25);
	table_expect(&f->t, &f->supply, 10);
	assert_int_equal(table_nbuckets(&f->t), n);
	table_expect(&f->t, &f->supply, 3 * ITEMS);
	assert_true(table_nbuckets(&f->t) > 2 * n);
	check_all(f);
	f->refuse = true;
	table_fit(&f->t, &f->supply);
	assert_true(table_nbuckets(&f->t) > 2 * n);
	f->refuse = false;
	table_fit(&f->t, &f->supply);
	assert_int_equal(table_nbuckets(&f->t), n);
	check_all(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expected, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
