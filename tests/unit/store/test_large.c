/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large values and the memory that is kept of them.  The fixture's end checks
 * each time that all that was charged is accounted for.
 */
#include "base/arena.h"
#include "store/large.h"
#include "store_fixture.h"

enum { VALUE = 100000 };

static uint64_t spare_bytes(const struct fixture *f)
{
	return atomic_load(&f->s->pool.spare_bytes);
}

static struct large *large_of(struct fixture *f, uint64_t n)
{
	struct store_key key = key_of(f, n);
	struct store_entry e;
	struct large *l = NULL;

	if (store_open(f->c, &key, f->now, &e)) {
		l = entry_borrow(&e);
	}
	store_close(&e);
	if (l != NULL) {
		large_return(f->s, l);
	}
	return l;
}

static void remove_number(struct fixture *f, uint64_t n)
{
	struct store_key key = key_of(f, n);
	struct change out;

	assert_int_equal(store_remove(f->c, &key, false, 0, f->now, &out),
			 STORE_OK);
}

static void test_memory_is_used_again(void **state)
{
	struct fixture f;
	struct large *first;
	uint64_t used;

	(void)state;
	fixture_open(&f, 64 * MIB, true);
	assert_int_equal(put_number(&f, 1, VALUE, 0), STORE_OK);
	first = large_of(&f, 1);
	assert_non_null(first);
	used = budget_used(store_budget(f.s));
	remove_number(&f, 1);
	assert_int_equal(spare_bytes(&f), large_cost(16, VALUE));
	/* The table may have given a bucket back. */
	assert_in_range(budget_used(store_budget(f.s)), used - 200, used);
	assert_int_equal(put_number(&f, 2, VALUE, 0), STORE_OK);
	assert_ptr_equal(large_of(&f, 2), first);
	assert_int_equal(spare_bytes(&f), 0);
	assert_in_range(budget_used(store_budget(f.s)), used - 200, used + 200);
	fixture_close(&f);
}

/* The nearest size is taken, and made to fit. */
static void test_memory_is_made_to_fit(void **state)
{
	static const uint32_t next[] = { VALUE - 3 * 4096, VALUE + 5 * 4096 };
	struct fixture f;

	(void)state;
	fixture_open(&f, 64 * MIB, true);
	for (int i = 0; i < 2; i++) {
		uint64_t before = budget_used(store_budget(f.s));

		assert_int_equal(put_number(&f, 1, VALUE, 0), STORE_OK);
		assert_int_equal(put_number(&f, 2, 4 * VALUE, 0), STORE_OK);
		remove_number(&f, 1);
		remove_number(&f, 2);
		assert_int_equal(put_number(&f, 3, next[i], 0), STORE_OK);
		assert_int_equal(spare_bytes(&f), large_cost(16, 4 * VALUE));
		remove_number(&f, 3);
		assert_true(large_spares_drop(&f.s->pool));
		assert_false(large_spares_drop(&f.s->pool));
		assert_true(budget_used(store_budget(f.s)) - before <
			    large_cost(16, VALUE));
	}
	fixture_close(&f);
}

static void test_little_is_kept(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 64 * MIB, true);
	for (uint64_t n = 0; n < 100; n++) {
		assert_int_equal(put_number(&f, n, VALUE, 0), STORE_OK);
	}
	for (uint64_t n = 0; n < 100; n++) {
		remove_number(&f, n);
	}
	assert_in_range(spare_bytes(&f), MIB, 2 * MIB);
	fixture_close(&f);
}

/* When a segment is needed, what is spare goes before an item does. */
static void test_spares_go_before_items(void **state)
{
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, false);
	while (put_number(&f, n, VALUE, 0) == STORE_OK) {
		n++;
	}
	remove_number(&f, 0);
	remove_number(&f, 1);
	assert_int_equal(spare_bytes(&f), 2 * large_cost(16, VALUE));
	for (uint64_t i = 0; i < 1500; i++) {
		assert_int_equal(put_number(&f, 1000 + i, 90, 0), STORE_OK);
	}
	assert_int_equal(spare_bytes(&f), 0);
	fixture_close(&f);
}

/* Sizes around the least that has pages of its own: none is mistaken. */
static void test_at_the_border_of_mappings(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint32_t len = 16000; len < 16500; len++) {
		assert_int_equal(put_number(&f, 1, 17000, 0), STORE_OK);
		remove_number(&f, 1);
		assert_int_equal(put_number(&f, 2, len, 0), STORE_OK);
		store_verify(f.s);
		assert_int_equal(state_charged(f.s),
				 budget_used(store_budget(f.s)));
	}
	fixture_close(&f);
}

/* Pages or bookkeeping refused: an error, and nothing is lost or leaked. */
static void test_refused_with_a_spare(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 64 * MIB, true);
	assert_int_equal(put_number(&f, 1, VALUE, 0), STORE_OK);
	assert_int_equal(put_number(&f, 2, VALUE, 0), STORE_OK);
	remove_number(&f, 1);
	f.fail_in = 1;
	assert_int_equal(put_number(&f, 3, VALUE, 0), STORE_NO_MEMORY);
	assert_int_equal(f.fail_in, 0);
	assert_int_equal(spare_bytes(&f), 0);
	assert_non_null(large_of(&f, 2));
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_is_used_again),
		cmocka_unit_test(test_memory_is_made_to_fit),
		cmocka_unit_test(test_little_is_kept),
		cmocka_unit_test(test_spares_go_before_items),
		cmocka_unit_test(test_at_the_border_of_mappings),
		cmocka_unit_test(test_refused_with_a_spare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
