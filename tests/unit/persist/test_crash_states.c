/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Crashes at every moment.  A node's data lives through changes, syncs,
 * rotations, snapshots and stops in a directory in memory; then, for each step
 * of what was done to files, states are made as a power loss or kill -9 there
 * may leave them, and every one is judged (course.h).
 *
 * The life that follows begins in such a state, or goes on in the same
 * directory, where what the first left un-synced is un-synced still.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "course.h"
#include "thin.h"

enum {
	STATES_MIN = 10000,
	COURSES = 10,
	LIVES = 4,
	ACTIONS_MIN = 60,
	ACTIONS_MORE = 200,
	VALUE_MAX = 40000,
	FILE_MIN = 1000,
	FILE_MORE = 30000,
	STEPS_MORE = 200,
};

static void snapshot_on(struct course *c)
{
	for (uint64_t n = rng_below(&c->dice, STEPS_MORE); n-- > 0;) {
		int result = bed_snapshot_step(&c->bed);

		assert_in_range(result, 0, 1);
		if (result == 0) {
			break;
		}
	}
}

static void live(struct course *c)
{
	uint64_t n = ACTIONS_MIN + rng_below(&c->dice, ACTIONS_MORE);

	while (n-- > 0) {
		ledger_act(&c->ledger, &c->bed, &c->dice);
		course_note(c);
		if (rng_below(&c->dice, 3) == 0) {
			assert_int_equal(bed_write(&c->bed), 0);
			course_note(c);
		}
		if (rng_below(&c->dice, 8) == 0) {
			assert_int_equal(bed_sync(&c->bed), 0);
			course_note(c);
		}
		if (!c->bed.snapshot && rng_below(&c->dice, 40) == 0) {
			assert_int_equal(bed_write(&c->bed), 0);
			assert_int_equal(bed_snapshot_begin(&c->bed), 0);
			course_note(c);
		}
		if (c->bed.snapshot && rng_below(&c->dice, 4) == 0) {
			snapshot_on(c);
			course_note(c);
		}
	}
	if (rng_below(&c->dice, 3) == 0) {
		assert_int_equal(course_stop(c), 0);
	}
}

static void judge_all(struct course *c)
{
	size_t end = memdir_position(c->m);

	for (size_t p = c->first + 1; p <= end; p += THIN) {
		course_judge(c, MEMDIR_POWER, p, rng_next(&c->dice));
		course_judge(c, MEMDIR_KILL, p, rng_next(&c->dice));
	}
}

/* In which state does the next life begin? */
static void go_on(struct course *c)
{
	switch (rng_below(&c->dice, 3)) {
	case 0:
		course_crash(c, MEMDIR_KILL);
		break;
	case 1:
		course_crash(c, MEMDIR_POWER);
		break;
	default:
		break;
	}
}

static void test_crash_states(void **state)
{
	unsigned states = 0, clean = 0, torn = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= COURSES; seed++) {
		struct course c;

		course_init(&c, seed, VALUE_MAX);
		for (int i = 0; i < LIVES; i++) {
			if (i > 0) {
				go_on(&c);
			}
			if (!course_open(&c, FILE_MIN + rng_below(&c.dice,
								  FILE_MORE))) {
				fail_msg("%s", c.bed.problem);
			}
			live(&c);
			course_die(&c);
			judge_all(&c);
		}
		states += c.states;
		clean += c.clean_states;
		torn += c.torn_states;
		course_release(&c);
	}
	print_message("%u states, %u of clean stops, %u torn\n", states, clean,
		      torn);
	assert_true(states >= STATES_MIN / THIN);
	assert_true(clean > states / 1000);
	assert_true(torn > states / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crash_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
