/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers: their order, and what may be done to them while they fire.
 */
#include "loop_fixture.h"

struct note_timer {
	struct io_timer timer;
	struct io_loop *loop;
	char name;
	char *notes;
	struct io_timer *victim; /* cancelled when this one fires */
	int repeats;
	bool stops;
};

static void note_fire(struct io_timer *t)
{
	struct note_timer *n = list_entry(t, struct note_timer, timer);
	size_t len = strlen(n->notes);

	n->notes[len] = n->name;
	n->notes[len + 1] = '\0';
	if (n->victim != NULL) {
		io_timer_cancel(n->victim);
	}
	if (n->repeats > 0) {
		n->repeats--;
		io_timer_set(n->loop, t, 0);
	}
	if (n->stops) {
		io_loop_stop(n->loop);
	}
}

static void note_init(struct note_timer *n, struct io_loop *l, char name,
		      char *notes)
{
	memset(n, 0, sizeof(*n));
	n->loop = l;
	n->name = name;
	n->notes = notes;
	io_timer_init(&n->timer, note_fire);
}

static void they_fire_in_order_of_time(void **state)
{
	static const uint64_t after_ms[] = { 30, 10, 20, 10, 0, 40 };
	struct io_loop *l = io_loop_new();
	struct note_timer timers[6];
	char notes[16] = "";
	uint64_t begin_ms = io_loop_now_ms(l);

	(void)state;
	for (int i = 0; i < 6; i++) {
		note_init(&timers[i], l, (char)('a' + i), notes);
		io_timer_set(l, &timers[i].timer, after_ms[i]);
	}
	timers[5].stops = true;
	run_until_stopped(l);
	assert_string_equal(notes, "ebdcaf");
	assert_true(io_loop_now_ms(l) - begin_ms >= 40);
	io_loop_free(l);
}

static void they_move_and_are_cancelled(void **state)
{
	struct io_loop *l = io_loop_new();
	struct note_timer timers[4];
	char notes[16] = "";

	(void)state;
	for (int i = 0; i < 4; i++) {
		note_init(&timers[i], l, (char)('a' + i), notes);
		io_timer_set(l, &timers[i].timer, (uint64_t)i);
	}
	io_timer_set(l, &timers[0].timer, 20);
	timers[0].stops = true;
	io_timer_cancel(&timers[1].timer);
	io_timer_cancel(&timers[1].timer);
	run_until_stopped(l);
	assert_string_equal(notes, "cda");
	io_loop_free(l);
}

/* Both are due in the same turn. */
static void one_cancels_another_that_is_due(void **state)
{
	struct io_loop *l = io_loop_new();
	struct note_timer timers[3];
	char notes[16] = "";

	(void)state;
	for (int i = 0; i < 3; i++) {
		note_init(&timers[i], l, (char)('a' + i), notes);
		io_timer_set(l, &timers[i].timer, 0);
	}
	timers[0].victim = &timers[1].timer;
	timers[2].stops = true;
	run_until_stopped(l);
	assert_string_equal(notes, "ac");
	io_loop_free(l);
}

/* Set to 0 it comes in the next turn, behind whoever is due in this one. */
static void one_that_repeats_holds_up_nobody(void **state)
{
	struct io_loop *l = io_loop_new();
	struct note_timer again;
	struct note_timer other;
	char notes[16] = "";

	(void)state;
	note_init(&again, l, 'a', notes);
	note_init(&other, l, 'o', notes);
	again.repeats = 2;
	io_timer_set(l, &again.timer, 0);
	io_timer_set(l, &other.timer, 0);
	run_until_settled(l);
	assert_string_equal(notes, "aoaa");
	io_loop_free(l);
}

/* A loop that waits for a timer sleeps; it does not wake in between. */
static void waiting_costs_no_turns(void **state)
{
	struct io_loop *l = io_loop_new();
	struct note_timer t;
	char notes[16] = "";

	(void)state;
	note_init(&t, l, 'a', notes);
	t.stops = true;
	io_timer_set(l, &t.timer, 200);
	run_until_stopped(l);
	assert_string_equal(notes, "a");
	assert_in_range(counter_read(&io_loop_stats(l)->turns), 1, 3);
	io_loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_fire_in_order_of_time),
		cmocka_unit_test(they_move_and_are_cancelled),
		cmocka_unit_test(one_cancels_another_that_is_due),
		cmocka_unit_test(one_that_repeats_holds_up_nobody),
		cmocka_unit_test(waiting_costs_no_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
