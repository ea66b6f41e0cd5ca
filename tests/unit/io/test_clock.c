/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clocks: that they go on, agree with the wall at the start, and that the
 * store's can be moved and held without losing time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "io/clock.h"

static void the_clocks_agree(void **state)
{
	uint64_t us = clock_us();
	uint64_t ms = clock_ms();
	uint64_t wall = clock_wall_us();
	struct timespec t;

	(void)state;
	assert_true(ms >= us / 1000);
	assert_true(clock_us() >= us);
	assert_return_code(clock_gettime(CLOCK_REALTIME, &t), 0);
	assert_true((uint64_t)t.tv_sec >= wall / 1000000);
	assert_true((uint64_t)t.tv_sec <= wall / 1000000 + 60);
}

/* Read between two looks at the wall clock, it is between them. */
static void the_store_starts_at_unix_time(void **state)
{
	struct store_clock c;
	uint64_t before_s;
	uint64_t after_s;
	uint32_t now_s;

	(void)state;
	store_clock_init(&c);
	before_s = clock_wall_us() / 1000000;
	now_s = store_clock_s(&c, clock_ms());
	after_s = (clock_wall_us() + 1000) / 1000000;
	/* The two clocks are read one after the other: 1 ms of slack. */
	assert_true(now_s + 1 >= before_s);
	assert_true(now_s <= after_s);
}

static void a_second_is_a_thousand_ms(void **state)
{
	struct store_clock c = { .base_ms = 5000, .base_s = 1000000 };

	(void)state;
	assert_int_equal(store_clock_s(&c, 5000), 1000000);
	assert_int_equal(store_clock_s(&c, 5999), 1000000);
	assert_int_equal(store_clock_s(&c, 6000), 1000001);
	assert_int_equal(store_clock_s(&c, 5000 + 86400000), 1086400);
}

static void it_moves_both_ways(void **state)
{
	struct store_clock c = { .base_ms = 5000, .base_s = 1000000 };

	(void)state;
	store_clock_move(&c, 100);
	assert_int_equal(store_clock_s(&c, 7000), 1000102);
	store_clock_move(&c, -40);
	assert_int_equal(store_clock_s(&c, 7000), 1000062);
}

static void it_stands_still_and_goes_on(void **state)
{
	struct store_clock c = { .base_ms = 5000, .base_s = 1000000 };

	(void)state;
	store_clock_freeze(&c, 8000);
	assert_int_equal(store_clock_s(&c, 8000), 1000003);
	assert_int_equal(store_clock_s(&c, 99000), 1000003);
	store_clock_move(&c, 10);
	assert_int_equal(store_clock_s(&c, 99000), 1000013);
	store_clock_freeze(&c, 99000);
	assert_int_equal(store_clock_s(&c, 99000), 1000013);
	store_clock_thaw(&c);
	assert_int_equal(store_clock_s(&c, 9000), 1000014);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clocks_agree),
		cmocka_unit_test(the_store_starts_at_unix_time),
		cmocka_unit_test(a_second_is_a_thousand_ms),
		cmocka_unit_test(it_moves_both_ways),
		cmocka_unit_test(it_stands_still_and_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
