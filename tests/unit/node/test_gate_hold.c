/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The output path holds a reply until the gate has passed the LSN that it
 * depends on (CONSISTENCY L4, R2), and nothing else waits for it.
 *
 * All clients are on one worker, which handles their requests in the order
 * in which they were sent: when a later, independent request has been
 * answered, the earlier one has been executed, and if its reply is not there
 * it is held.
 */
#include "node_fixture.h"

enum { IDLE_S = 60 };

static struct node_fixture fixture;

static int setup(void **state)
{
	(void)state;
	settings_init(&fixture.settings);
	fixture.settings.threads = 1;
	fixture.settings.idle_timeout_s = IDLE_S;
	node_fixture_start(&fixture);
	gate_move(&fixture.node->gate, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	node_fixture_stop(&fixture);
	return 0;
}

/* Whatever was sent to the worker before has been executed. */
static void barrier(int other)
{
	say(other, "mn\r\n");
	hear(other, "MN\r\n");
}

/* Says on `a` what changes something, and sees to it that it has been done. */
static void change(int a, int other, const char *text)
{
	uint64_t before;

	barrier(other);
	before = store_lsn(fixture.node->store);
	say(a, text);
	while (store_lsn(fixture.node->store) == before) {
		barrier(other);
	}
	barrier(other);
}

/* All that there is. */
static void commit_all(void)
{
	keeping_committed(fixture.node, store_lsn(fixture.node->store));
}

static void write_is_held(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);

	(void)state;
	change(a, b, "set k 0 0 1\r\n1\r\n");
	hear_nothing_yet(a);
	commit_all();
	hear(a, "STORED\r\n");
	close(a);
	close(b);
}

static void dependent_read_is_held(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);
	int c = node_fixture_connect(&fixture, 0);

	(void)state;
	change(a, c, "set dep 0 0 1\r\n1\r\n");
	/* The reader sees the new value, so its reply must wait as well. */
	say(b, "get dep\r\n");
	say(b, "mn\r\n");
	for (int i = 0; i < 100; i++) {
		barrier(c);
	}
	hear_nothing_yet(a);
	hear_nothing_yet(b);
	commit_all();
	hear(a, "STORED\r\n");
	hear(b, "VALUE dep 0 1\r\n1\r\nEND\r\nMN\r\n");
	close(a);
	close(b);
	close(c);
}

/* MN says that the quiet ones before it are done, also in a later turn. */
static void quiet_write_holds_the_next_reply(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);

	(void)state;
	change(a, b, "ms quiet 1 q\r\n1\r\n");
	say(a, "mn\r\n");
	for (int i = 0; i < 100; i++) {
		barrier(b);
	}
	hear_nothing_yet(a);
	commit_all();
	hear(a, "MN\r\n");
	close(a);
	close(b);
}

static void held_session_may_end(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);

	(void)state;
	change(a, b, "set gone 0 0 1\r\n1\r\n");
	close(a);
	barrier(b);
	commit_all();
	barrier(b);
	close(b);
}

/*
 * Who has just been told what was held for long is not idle.  The other one
 * is, and tells that the look at both has been taken.
 */
static void held_session_is_not_idle(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);
	struct store_clock *clock = &fixture.node->clock;

	(void)state;
	change(a, b, "set slow 0 0 1\r\n1\r\n");
	store_clock_move(clock, IDLE_S - 10);
	commit_all();
	hear(a, "STORED\r\n");
	store_clock_move(clock, 20);
	hear_end(b);
	say(a, "mn\r\n");
	hear(a, "MN\r\n");
	close(a);
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_is_held),
		cmocka_unit_test(dependent_read_is_held),
		cmocka_unit_test(quiet_write_holds_the_next_reply),
		cmocka_unit_test(held_session_may_end),
		cmocka_unit_test(held_session_is_not_idle),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
