/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passing over all items: each that lives exactly once, the dead not at all,
 * whatever else goes on between two steps.
 */
#include "store_fixture.h"

enum { ITEMS = 5000 };

struct seen {
	unsigned times[2 * ITEMS];
};

static void note(void *arg, const struct item_view *v)
{
	struct seen *seen = arg;
	unsigned long n = strtoul(v->key + 4, NULL, 10);

	assert_true(v->key_len == 16 && n < 2 * ITEMS);
	seen->times[n]++;
}

static void test_each_once(void **state)
{
	static struct seen seen;
	struct fixture f;
	uint64_t cursor = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	memset(&seen, 0, sizeof(seen));
	for (uint64_t i = 0; i < ITEMS; i++) {
		/* Every thousandth lives apart, every third expires. */
		put_number(&f, i, i % 1000 == 0 ? 50000 : 20,
			   i % 3 == 0 ? NOW + 10 : 0);
	}
	f.now = NOW + 10;
	while (store_scan(f.c, &cursor, f.now, note, &seen)) {
	}
	for (unsigned i = 0; i < ITEMS; i++) {
		assert_int_equal(seen.times[i], i % 3 == 0 ? 0 : 1);
	}
	/* It says so again when it is asked beyond the end. */
	assert_false(store_scan(f.c, &cursor, f.now, note, &seen));
	fixture_close(&f);
}

/* What is overwritten moves, what is new comes; what stays is seen once. */
static void test_changes_between_steps(void **state)
{
	static struct seen seen;
	struct fixture f;
	uint64_t cursor = 0;
	uint64_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	memset(&seen, 0, sizeof(seen));
	for (uint64_t i = 0; i < ITEMS; i++) {
		put_number(&f, i, 20, 0);
	}
	while (store_scan(f.c, &cursor, f.now, note, &seen)) {
		for (int i = 0; i < 10; i++, n++) {
			put_number(&f, n % ITEMS, 30, 0);
			put_number(&f, ITEMS + n % ITEMS, 30, 0);
		}
	}
	assert_true(n > 0);
	for (unsigned i = 0; i < ITEMS; i++) {
		assert_int_equal(seen.times[i], 1);
		assert_true(seen.times[ITEMS + i] <= 1);
	}
	fixture_close(&f);
}

static void test_flushed_is_not_seen(void **state)
{
	static struct seen seen;
	struct fixture f;
	uint64_t cursor = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	memset(&seen, 0, sizeof(seen));
	put_number(&f, 1, 20, 0);
	flush(&f);
	put_number(&f, 2, 20, 0);
	while (store_scan(f.c, &cursor, f.now, note, &seen)) {
	}
	assert_int_equal(seen.times[1], 0);
	assert_int_equal(seen.times[2], 1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_changes_between_steps),
		cmocka_unit_test(test_flushed_is_not_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
