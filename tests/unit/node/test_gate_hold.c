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

static struct node_fixture fixture;

static int setup(void **state)
{
	(void)state;
	settings_init(&fixture.settings);
	fixture.settings.threads = 1;
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

static void commit(uint64_t lsn)
{
	keeping_committed(fixture.node, lsn);
}

/* Whatever was sent to the worker before has been executed. */
static void barrier(int other)
{
	say(other, "mn\r\n");
	hear(other, "MN\r\n");
}

static void write_is_held(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);

	(void)state;
	barrier(b);
	say(a, "set k 0 0 1\r\n1\r\n");
	while (store_lsn(fixture.node->store) == 0) {
		barrier(b);
	}
	barrier(b);
	hear_nothing_yet(a);
	commit(store_lsn(fixture.node->store));
	hear(a, "STORED\r\n");
	close(a);
	close(b);
}

static void dependent_read_is_held(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);
	int c = node_fixture_connect(&fixture, 0);
	uint64_t before;

	(void)state;
	barrier(c);
	before = store_lsn(fixture.node->store);
	say(a, "set dep 0 0 1\r\n1\r\n");
	while (store_lsn(fixture.node->store) == before) {
		barrier(c);
	}
	/* The reader sees the new value, so its reply must wait as well. */
	say(b, "get dep\r\n");
	say(b, "mn\r\n");
	for (int i = 0; i < 100; i++) {
		barrier(c);
	}
	hear_nothing_yet(a);
	hear_nothing_yet(b);
	commit(store_lsn(fixture.node->store));
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
	uint64_t before;

	(void)state;
	barrier(b);
	before = store_lsn(fixture.node->store);
	say(a, "ms quiet 1 q\r\n1\r\n");
	while (store_lsn(fixture.node->store) == before) {
		barrier(b);
	}
	barrier(b);
	say(a, "mn\r\n");
	for (int i = 0; i < 100; i++) {
		barrier(b);
	}
	hear_nothing_yet(a);
	commit(store_lsn(fixture.node->store));
	hear(a, "MN\r\n");
	close(a);
	close(b);
}

static void held_session_may_end(void **state)
{
	int a = node_fixture_connect(&fixture, 0);
	int b = node_fixture_connect(&fixture, 0);
	uint64_t before;

	(void)state;
	barrier(b);
	before = store_lsn(fixture.node->store);
	say(a, "set gone 0 0 1\r\n1\r\n");
	while (store_lsn(fixture.node->store) == before) {
		barrier(b);
	}
	close(a);
	barrier(b);
	commit(store_lsn(fixture.node->store));
	barrier(b);
	close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(write_is_held),
		cmocka_unit_test(dependent_read_is_held),
		cmocka_unit_test(quiet_write_holds_the_next_reply),
		cmocka_unit_test(held_session_may_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
