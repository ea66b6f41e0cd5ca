/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What stays, what goes and what that costs when memory is short.
 */
#include "store_fixture.h"

/* ---- density ----------------------------------------------------------- */

#define LIMIT (16 * MIB)

/* Fills until well into eviction; bytes of the limit for each item. */
static double bytes_per_item(uint64_t limit, uint32_t value_len)
{
	struct fixture f;
	uint64_t n = limit / (16 + value_len + 20) * 9 / 8;
	struct store_stats st;
	double each;

	fixture_open(&f, limit, true);
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(put_number(&f, i, value_len, 0), STORE_OK);
	}
	st = stats_of(&f);
	assert_true(st.evictions > 0);
	assert_true(st.memory_used <= st.memory_limit);
	assert_true(st.memory_used > st.memory_limit - st.memory_limit / 50);
	each = (double)limit / (double)st.items;
	fixture_close(&f);
	return each;
}

/*
 * At most 24 bytes beside key and value, everything included: header 12,
 * table 9, ghost 1.5, and 1 % of the memory that is free at any time.
 */
static void test_density_of_small_items(void **state)
{
	const uint32_t lens[] = { 32, 64 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		double each = bytes_per_item(LIMIT, lens[i]);

		print_message("%u byte values: %.2f bytes of overhead\n",
			      lens[i], each - 16 - lens[i]);
		assert_true(each - 16 - lens[i] <= 24);
	}
}

/*
 * Of larger items the free 1 % is many bytes, and the end of a segment
 * (1/1024 of the memory), less than an item, is wasted.  So these may take in
 * addition 1.2 % and an equal part of one item.  The tables of shards with
 * few items are less full: 34 bytes beside that.
 */
static void test_density_of_large_items(void **state)
{
	const uint32_t lens[] = { 500, 2048, 3500 };

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		double item = lens[i] + 16.0;
		double each = bytes_per_item(LIMIT, lens[i]);
		uint32_t in_segment = (uint32_t)(LIMIT / 1024) /
				      (lens[i] + 16 + 12);
		double waste = item * 0.012 + item / in_segment;

		print_message("%u byte values: %.2f bytes of overhead\n",
			      lens[i], each - item);
		assert_true(each - item <= 34 + waste);
	}
}

/* ---- what stays -------------------------------------------------------- */

/* What is read again and again survives a long passage of other keys. */
static void test_hot_survive_a_scan(void **state)
{
	enum { HOT = 2000, SCAN = 150000 };
	struct fixture f;
	int lost = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < HOT; i++) {
		put_number(&f, i, 100, 0);
		has_number(&f, i);
	}
	for (uint64_t i = 0; i < SCAN; i++) {
		put_number(&f, HOT + i, 100, 0);
		if (i % 10 == 0) {
			has_number(&f, i / 10 % HOT);
		}
	}
	for (uint64_t i = 0; i < HOT; i++) {
		lost += has_number(&f, i) ? 0 : 1;
	}
	assert_true(lost < HOT / 100);
	assert_true(stats_of(&f).evictions > SCAN / 2);
	assert_int_equal(stats_of(&f).evictions, f.evicted);
	fixture_close(&f);
}

/* A key that comes back soon after its eviction goes to main. */
static void test_ghost_brings_back_to_main(void **state)
{
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	while (f.evicted < 5000) {
		put_number(&f, n++, 100, 0);
	}
	assert_int_equal(stats_of(&f).ghost_hits, 0);
	for (uint64_t i = 0; i < 1000; i++) {
		assert_false(has_number(&f, i));
		put_number(&f, i, 100, 0);
	}
	assert_true(stats_of(&f).ghost_hits > 900);
	/* Main has them; a passage of new keys does not reach them there. */
	for (uint64_t i = 0; i < 20000; i++) {
		put_number(&f, n++, 100, 0);
	}
	for (uint64_t i = 0; i < 1000; i += 100) {
		assert_true(has_number(&f, i));
	}
	fixture_close(&f);
}

/*
 * Items of two sizes, each read once: what is left of each in per cent after
 * a passage of new ones of the same kind.
 */
static void survivors(uint32_t even_len, uint32_t odd_len, unsigned *even,
		      unsigned *odd)
{
	enum { OLD = 6000, NEW = 40000 };
	struct fixture f;

	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < OLD; i++) {
		put_number(&f, i, i % 2 == 0 ? even_len : odd_len, 0);
		has_number(&f, i);
	}
	for (uint64_t i = OLD; i < OLD + NEW; i++) {
		put_number(&f, i, i % 2 == 0 ? even_len : odd_len, 0);
		has_number(&f, i);
	}
	*even = 0;
	*odd = 0;
	for (uint64_t i = 0; i < OLD + NEW; i += 2) {
		*even += has_number(&f, i) ? 1 : 0;
		*odd += has_number(&f, i + 1) ? 1 : 0;
	}
	fixture_close(&f);
}

/* What is small stays longer for the same use; equals are equal. */
static void test_room_costs_accesses(void **state)
{
	unsigned even;
	unsigned odd;

	(void)state;
	survivors(100, 1500, &even, &odd);
	print_message("100 bytes: %u stay, 1500 bytes: %u\n", even, odd);
	assert_true(odd > 0 && even > odd + odd / 3);
	survivors(801, 800, &even, &odd);
	assert_true(odd > even - even / 10 && even > odd - odd / 10);
}

/* The counts that tell what kind of items went. */
static void test_eviction_counts(void **state)
{
	struct fixture f;
	struct store_stats st;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < 200000; i++) {
		put_number(&f, i, 100, 0);
		if (i % 3 == 0) {
			has_number(&f, i);
		}
	}
	st = stats_of(&f);
	assert_true(st.evicted_unfetched > 0 && st.evicted_active > 0);
	assert_int_equal(st.evicted_unfetched + st.evicted_active,
			 st.evictions);
	store_stats_reset(f.s);
	st = stats_of(&f);
	assert_int_equal(st.evictions, 0);
	assert_true(st.items > 0);
	fixture_close(&f);
}

/*
 * What fits stays, though all of it is overwritten again and again: dead
 * bytes are cleaned out before anything alive goes.
 */
static void test_overwriting_keeps_what_fits(void **state)
{
	enum { LEN = 100, EACH = LEN + 16 + 24, ROUNDS = 4 };
	const uint64_t keys = LIMIT / EACH * 4 / 5;
	struct fixture f;
	uint64_t moved;
	uint64_t sets = 0;

	(void)state;
	fixture_open(&f, LIMIT, true);
	for (uint64_t i = 0; i < keys; i++) {
		put_number(&f, i, LEN, 0);
	}
	for (uint64_t i = 0; i < keys * ROUNDS; i++, sets++) {
		uint64_t mixed = i * 0x9e3779b97f4a7c15ULL;

		put_number(&f, (mixed ^ mixed >> 29) % keys, LEN, 0);
	}
	assert_int_equal(stats_of(&f).evictions, 0);
	assert_int_equal(stats_of(&f).items, keys);
	moved = stats_of(&f).moved;
	print_message("%.2f copies for each set\n",
		      (double)moved / (double)sets);
	assert_true(moved < 3 * sets);
	fixture_close(&f);
}

static void test_large_values_are_evicted(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(put_number(&f, i, 100000, 0), STORE_OK);
		assert_true(budget_used(store_budget(f.s)) <= 8 * MIB);
		if (i > 0) {
			assert_true(has_number(&f, 0));
		}
	}
	assert_true(stats_of(&f).large_count >= 60);
	/* And make room for small ones. */
	for (uint64_t i = 1000; i < 80000; i++) {
		assert_int_equal(put_number(&f, i, 100, 0), STORE_OK);
	}
	assert_true(stats_of(&f).large_count < 10);
	fixture_close(&f);
}

static void test_what_can_never_fit(void **state)
{
	struct store_key key;
	struct reservation r;
	struct fixture f;

	(void)state;
	fixture_open(&f, 8 * MIB, true);
	put_number(&f, 1, 100, 0);
	key = key_named(&f, "huge");
	assert_int_equal(store_reserve(f.c, &key, 1U << 30, 0, 0, false, NOW,
				       &r),
			 STORE_NO_MEMORY);
	assert_true(has_number(&f, 1));
	assert_int_equal(stats_of(&f).out_of_memory, 1);
	fixture_close(&f);
}

/* ---- the price --------------------------------------------------------- */

/*
 * No request pays for more than a few segments: the walk is bounded by what
 * the request takes, but for the moment when nothing is free.
 */
static void test_no_request_pays_for_all(void **state)
{
	struct fixture f;
	uint64_t most = 0;
	uint64_t before;
	uint64_t after;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < 100000; i++) {
		put_number(&f, i, 100, 0);
		has_number(&f, i / 2);
	}
	for (uint64_t i = 100000; i < 250000; i++) {
		before = counter_read(&f.c->tally.moved) + f.evicted;
		put_number(&f, i, 100, 0);
		after = counter_read(&f.c->tally.moved) + f.evicted;
		has_number(&f, i - 50000);
		most = after - before > most ? after - before : most;
	}
	print_message("most items touched by one request: %llu\n",
		      (unsigned long long)most);
	/* A segment has 16 KiB here: 128 such items. */
	assert_true(most > 0 && most <= 6 * 128);
	fixture_close(&f);
}

/* ---- without eviction -------------------------------------------------- */

static void test_refuses_and_keeps(void **state)
{
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, false);
	while (put_number(&f, n, 100, 0) == STORE_OK) {
		n++;
	}
	/* It was nearly full. */
	assert_true(n * (116 + 24) > 8 * MIB - 8 * MIB / 20);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(put_number(&f, n + 5, 100, 0),
				 STORE_NO_MEMORY);
	}
	for (uint64_t i = 0; i < n; i++) {
		assert_true(has_number(&f, i));
	}
	assert_int_equal(f.evicted, 0);
	assert_true(budget_used(store_budget(f.s)) <= 8 * MIB);
	fixture_close(&f);
}

/* Overwriting goes on for ever, as long as a small part is free. */
static void test_overwrites_for_ever(void **state)
{
	struct fixture f;
	uint64_t n = 0;

	(void)state;
	fixture_open(&f, 8 * MIB, false);
	while (put_number(&f, n, 100, 0) == STORE_OK) {
		n++;
	}
	/* A twentieth is removed, all over the segments. */
	for (uint64_t i = 0; i < n; i += 20) {
		struct store_key key = key_of(&f, i);
		struct change out;

		assert_int_equal(store_remove(f.c, &key, false, 0, NOW, &out),
				 STORE_OK);
	}
	for (uint64_t i = 0; i < 4 * n; i++) {
		uint64_t k = i * 7919 % n;

		if (k % 20 != 0) {
			assert_int_equal(put_number(&f, k, 100, 0), STORE_OK);
		}
	}
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(has_number(&f, i), i % 20 != 0);
	}
	assert_int_equal(f.evicted, 0);
	fixture_close(&f);
}

/* ---- the limit --------------------------------------------------------- */

static void test_lowered_limit(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < 110000; i++) {
		put_number(&f, i, 100, 0);
	}
	assert_true(store_set_limit(f.s, 8 * MIB));
	/* By requests alone. */
	for (uint64_t i = 0; i < 60000; i++) {
		assert_int_equal(put_number(&f, i, 100, 0), STORE_OK);
	}
	assert_true(budget_used(store_budget(f.s)) <= 8 * MIB);
	/* And up again. */
	assert_false(store_set_limit(f.s, 33 * MIB));
	assert_true(store_set_limit(f.s, 32 * MIB));
	for (uint64_t i = 0; i < 150000; i++) {
		put_number(&f, i, 100, 0);
	}
	assert_int_equal(stats_of(&f).items, 150000);
	fixture_close(&f);
}

static void test_lowered_limit_by_upkeep(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < 110000; i++) {
		put_number(&f, i, 100, 0);
	}
	assert_true(store_set_limit(f.s, 8 * MIB));
	maintain(&f);
	assert_true(budget_used(store_budget(f.s)) <= 8 * MIB);
	assert_true(stats_of(&f).items > 30000);
	fixture_close(&f);
}

/* Memory that others take from the budget is given up by the store. */
static void test_others_take_memory(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	for (uint64_t i = 0; i < 200000; i++) {
		put_number(&f, i, 100, 0);
	}
	budget_force(store_budget(f.s), 4 * MIB);
	for (uint64_t i = 0; i < 60000; i++) {
		put_number(&f, i, 100, 0);
	}
	assert_false(budget_over(store_budget(f.s)));
	budget_give(store_budget(f.s), 4 * MIB);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_density_of_small_items),
		cmocka_unit_test(test_density_of_large_items),
		cmocka_unit_test(test_hot_survive_a_scan),
		cmocka_unit_test(test_ghost_brings_back_to_main),
		cmocka_unit_test(test_room_costs_accesses),
		cmocka_unit_test(test_eviction_counts),
		cmocka_unit_test(test_overwriting_keeps_what_fits),
		cmocka_unit_test(test_large_values_are_evicted),
		cmocka_unit_test(test_what_can_never_fit),
		cmocka_unit_test(test_no_request_pays_for_all),
		cmocka_unit_test(test_refuses_and_keeps),
		cmocka_unit_test(test_overwrites_for_ever),
		cmocka_unit_test(test_lowered_limit),
		cmocka_unit_test(test_lowered_limit_by_upkeep),
		cmocka_unit_test(test_others_take_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
