/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Death by time and by flush: when it is seen, and when its memory is back.
 * Time is moved, never waited for.
 */
#include "store_fixture.h"

static enum store_miss miss_of(struct fixture *f, struct store_key key)
{
	struct store_entry e;
	enum store_miss miss;

	store_open(f->c, &key, f->now, &e);
	miss = e.miss;
	store_close(&e);
	return miss;
}

static void test_expiry_on_access(void **state)
{
	struct fixture f;
	struct store_key key;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	put_number(&f, 1, 10, NOW + 5);
	put_number(&f, 2, 10, 0);
	f.now = NOW + 4;
	assert_true(has_number(&f, 1));
	f.now = NOW + 5;
	key = key_of(&f, 1);
	assert_int_equal(miss_of(&f, key), MISS_EXPIRED);
	assert_int_equal(miss_of(&f, key), MISS_ABSENT);
	assert_true(has_number(&f, 2));
	assert_int_equal(stats_of(&f).items, 1);
	assert_int_equal(stats_of(&f).reclaimed, 1);
	assert_int_equal(stats_of(&f).expired_unfetched, 0);
	/* Stored with a time that is over: stored, and not there. */
	assert_int_equal(put_number(&f, 3, 10, 1), STORE_OK);
	assert_false(has_number(&f, 3));
	assert_int_equal(stats_of(&f).expired_unfetched, 1);
	fixture_close(&f);
}

/*
 * Items that expire are removed by upkeep alone, and ten seconds later what
 * they held is at most a twentieth of the memory, however they are mixed with
 * items that live.
 */
static void sweep_share(uint32_t one_in)
{
	struct fixture f;
	struct store_stats st;
	uint64_t held;
	uint64_t n = 0;

	fixture_open(&f, 16 * MIB, true);
	while (budget_used(store_budget(f.s)) < 14 * MIB) {
		put_number(&f, n, 100, n % one_in == 0 ? NOW + 30 : 0);
		n++;
	}
	f.now = NOW + 29;
	maintain(&f);
	assert_int_equal(stats_of(&f).items, n);
	f.now = NOW + 30;
	maintain(&f);
	st = stats_of(&f);
	held = (st.segments_small + st.segments_main) * st.segment_size -
	       st.item_bytes;
	/* What is still in the open segment may be found on access only. */
	assert_true(st.items <= n - n / one_in + 200);
	assert_true(st.swept > 0 && st.items_checked >= st.swept);
	assert_true(held <= 16 * MIB / 20);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(has_number(&f, i), i % one_in != 0);
	}
	fixture_close(&f);
}

static void test_sweep(void **state)
{
	(void)state;
	sweep_share(2);
	sweep_share(3);
	sweep_share(10);
}

/*
 * Something expires in each segment each second.  It is all gone ten seconds
 * after the last, and the sweep has not been over all items each time.
 */
static void test_sweep_does_not_hurry(void **state)
{
	enum { ITEMS = 60000, TTL_MAX = 20 };
	struct fixture f;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < ITEMS; i++) {
		uint32_t ttl = (uint32_t)(i % (2 * TTL_MAX));

		put_number(&f, i, 100, ttl >= TTL_MAX ? 0 : f.now + 1 + ttl);
	}
	for (int t = 0; t < TTL_MAX + 10; t++) {
		f.now++;
		maintain(&f);
	}
	assert_true(stats_of(&f).items <= ITEMS / 2 + 200);
	assert_true(stats_of(&f).items_checked < 6 * ITEMS);
	fixture_close(&f);
}

/* A later time to live saves an item, an earlier one is found. */
static void test_sweep_follows_touch(void **state)
{
	struct fixture f;
	struct store_entry e;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < 20000; i++) {
		put_number(&f, i, 100, i < 10000 ? NOW + 10 : NOW + 100);
	}
	for (uint64_t i = 0; i < 20000; i++) {
		struct store_key key = key_of(&f, i);

		if (i % 2 == 0) {
			assert_int_equal(store_open_touch(f.c, &key,
							  i < 10000 ?
								  NOW + 100 :
								  NOW + 10,
							  f.now, &e),
					 STORE_OK);
			store_close(&e);
		}
	}
	f.now = NOW + 10;
	maintain(&f);
	/* 5,000 of each kind stay; one segment may be open. */
	assert_true(stats_of(&f).items >= 10000);
	assert_true(stats_of(&f).items <= 10200);
	f.now = NOW + 100;
	maintain(&f);
	assert_true(stats_of(&f).items <= 200);
	fixture_close(&f);
}

static void test_sweep_of_large_values(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < 20; i++) {
		put_number(&f, i, 100000, i % 2 == 0 ? NOW + 10 : 0);
	}
	f.now = NOW + 9;
	maintain(&f);
	assert_int_equal(stats_of(&f).large_count, 20);
	f.now = NOW + 10;
	maintain(&f);
	assert_int_equal(stats_of(&f).large_count, 10);
	flush(&f);
	maintain(&f);
	assert_int_equal(stats_of(&f).large_count, 0);
	assert_int_equal(stats_of(&f).large_bytes, 0);
	fixture_close(&f);
}

/* One call does about what it is asked to do, no more. */
static void test_upkeep_is_bounded(void **state)
{
	struct fixture f;
	uint64_t checked;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < 50000; i++) {
		put_number(&f, i, 100, NOW + 1);
	}
	f.now = NOW + 1;
	for (int i = 0; i < 20; i++) {
		checked = stats_of(&f).items_checked;
		store_maintain(f.c, f.now, 100);
		assert_true(stats_of(&f).items_checked - checked <= 110);
	}
	maintain(&f);
	assert_true(stats_of(&f).items <= 200);
	fixture_close(&f);
}

/* ---- flush ------------------------------------------------------------- */

static void test_flush(void **state)
{
	struct fixture f;
	uint64_t barrier;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < 10000; i++) {
		put_number(&f, i, 100, 0);
	}
	barrier = flush(&f);
	assert_int_equal(barrier, store_lsn(f.s));
	assert_int_equal(stats_of(&f).barrier, barrier);
	/* In the same second: what comes later lives. */
	put_number(&f, 5, 100, 0);
	assert_true(has_number(&f, 5));
	assert_false(has_number(&f, 6));
	assert_int_equal(miss_of(&f, key_of(&f, 7)), MISS_FLUSHED);
	maintain(&f);
	/* All but one, and but those in the segment that is open. */
	assert_true(stats_of(&f).items < 150);
	assert_true(has_number(&f, 5));
	fixture_close(&f);
}

/* The memory of what was flushed is used again without evicting anything. */
static void test_flushed_memory_comes_back(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (int round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < 50000; i++) {
			put_number(&f, i, 100, 0);
		}
		assert_int_equal(f.evicted, 0);
		for (uint64_t i = 0; i < 50000; i++) {
			assert_true(has_number(&f, i));
		}
		flush(&f);
	}
	fixture_close(&f);
}

static void test_delayed_flush(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	put_number(&f, 1, 10, 0);
	flush_at(&f, NOW + 2);
	assert_true(stats_of(&f).flush_pending);
	put_number(&f, 2, 10, 0);
	f.now = NOW + 1;
	assert_true(has_number(&f, 1));
	put_number(&f, 3, 10, 0);
	/* In its second everything is hidden, also what is stored in it. */
	f.now = NOW + 2;
	assert_false(has_number(&f, 1));
	assert_false(has_number(&f, 3));
	put_number(&f, 4, 10, 0);
	assert_false(has_number(&f, 4));
	put_number(&f, 5, 10, 0);
	/* When it is over, what is stored lives. */
	f.now = NOW + 3;
	put_number(&f, 6, 10, 0);
	assert_true(has_number(&f, 6));
	assert_false(has_number(&f, 5));
	assert_false(stats_of(&f).flush_pending);
	fixture_close(&f);
}

static void test_flush_replaces_delayed(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	flush_at(&f, NOW + 2);
	flush(&f);
	put_number(&f, 1, 10, 0);
	f.now = NOW + 10;
	assert_true(has_number(&f, 1));
	flush_at(&f, NOW + 20);
	flush_at(&f, NOW + 30);
	f.now = NOW + 25;
	assert_true(has_number(&f, 1));
	/* Upkeep alone makes it take effect, too. */
	f.now = NOW + 31;
	maintain(&f);
	assert_false(stats_of(&f).flush_pending);
	assert_false(has_number(&f, 1));
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expiry_on_access),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_sweep_does_not_hurry),
		cmocka_unit_test(test_sweep_follows_touch),
		cmocka_unit_test(test_sweep_of_large_values),
		cmocka_unit_test(test_upkeep_is_bounded),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_flushed_memory_comes_back),
		cmocka_unit_test(test_delayed_flush),
		cmocka_unit_test(test_flush_replaces_delayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
