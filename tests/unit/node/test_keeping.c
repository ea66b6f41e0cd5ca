/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with a data directory: what waits, what is refused, what is there
 * after a restart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/clock.h"
#include "log/log.h"
#include "node_fixture.h"

struct kept {
	struct node_fixture node;
	char dir[64];
	int client;
};

static void start(struct kept *k, enum sync_policy sync)
{
	settings_init(&k->node.settings);
	k->node.settings.threads = 1;
	k->node.settings.data_dir = k->dir;
	k->node.settings.sync = (int)sync;
	k->node.settings.log_window = LOG_WINDOW_BYTES_MIN;
	node_fixture_start(&k->node);
	k->client = node_fixture_connect(&k->node, 0);
}

static void stop(struct kept *k)
{
	close(k->client);
	node_fixture_stop(&k->node);
}

static int set_up(void **state)
{
	struct kept *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	snprintf(k->dir, sizeof(k->dir), "/tmp/dozo-keeping-XXXXXX");
	assert_non_null(mkdtemp(k->dir));
	*state = k;
	return 0;
}

static void remove_one(void *arg, const char *name)
{
	assert_int_equal(dir_remove(arg, name), 0);
}

static int tear_down(void **state)
{
	struct kept *k = *state;
	int error = 0;
	struct dir *d = dir_system(k->dir, &error);

	assert_non_null(d);
	assert_int_equal(dir_list(d, remove_one, d), 0);
	dir_free(d);
	assert_int_equal(rmdir(k->dir), 0);
	free(k);
	return 0;
}

/* Waits until the server takes it. */
static void say_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		assert_int_equal(poll(&p, 1, HEAR_MS), 1);
		n = send(fd, text, left, MSG_NOSIGNAL);
		assert_true(n > 0);
		text += n;
		left -= (size_t)n;
	}
}

static void test_is_there_after_a_restart(void **state)
{
	static const enum sync_policy policies[] = { SYNC_ALWAYS, SYNC_EVERYSEC,
						     SYNC_NEVER };
	struct kept *k = *state;

	for (size_t i = 0; i < 3; i++) {
		start(k, policies[i]);
		if (i > 0) {
			say(k->client, "gets a\r\n");
			hear(k->client, "VALUE a 7 1 1\r\n1\r\nEND\r\n");
			say(k->client, "get b\r\n");
			hear(k->client, "END\r\n");
		} else {
			say(k->client, "set a 7 0 1\r\n1\r\n"
				       "set b 0 0 1\r\n2\r\ndelete b\r\n");
			hear(k->client, "STORED\r\nSTORED\r\nDELETED\r\n");
		}
		stop(k);
	}
}

#define REFUSED                                                                \
	"SERVER_ERROR read-only: changes cannot be kept on disk at present\r\n"

static void set_failed(struct kept *k, bool failed)
{
	atomic_store(&k->node.node->keeping.failed, failed);
}

static void test_read_only(void **state)
{
	struct kept *k = *state;

	start(k, SYNC_EVERYSEC);
	say(k->client, "set a 0 0 1\r\n1\r\n");
	hear(k->client, "STORED\r\n");
	set_failed(k, true);
	say(k->client, "set a 0 0 1\r\n2\r\n");
	hear(k->client, REFUSED);
	say(k->client, "set a 0 0 1 noreply\r\n2\r\nget a\r\n");
	hear(k->client, "VALUE a 0 1\r\n1\r\nEND\r\n");
	say(k->client, "gat 0 a\r\nmg a T0 v\r\nmg none N30\r\nflush_all\r\n"
		       "incr a 1\r\ndelete a\r\ntouch a 1\r\nms a 1\r\n2\r\n");
	for (int i = 0; i < 8; i++) {
		hear(k->client, REFUSED);
	}
	say(k->client, "mg a v\r\n");
	hear(k->client, "VA 1\r\n1\r\n");
	set_failed(k, false);
	say(k->client, "set a 0 0 1\r\n3\r\nget a\r\n");
	hear(k->client, "STORED\r\nVALUE a 0 1\r\n3\r\nEND\r\n");
	stop(k);
}

/* A value that is half there when the journal fails is refused at its end. */
static void test_read_only_while_receiving(void **state)
{
	struct kept *k = *state;
	int other;

	start(k, SYNC_EVERYSEC);
	other = node_fixture_connect(&k->node, 0);
	say(k->client, "set a 0 0 4\r\n12");
	/* Another client's answer says that the half has been seen... */
	say(other, "mn\r\n");
	hear(other, "MN\r\n");
	close(other);
	set_failed(k, true);
	say(k->client, "34\r\nget a\r\n");
	hear(k->client, REFUSED "END\r\n");
	set_failed(k, false);
	stop(k);
}

/* A reply that waits when the journal fails is never sent (K2). */
static void test_failure_ends_who_waits(void **state)
{
	struct kept *k = *state;
	struct node *n;

	settings_init(&k->node.settings);
	k->node.settings.threads = 1;
	node_fixture_start(&k->node);
	n = k->node.node;
	gate_move(&n->gate, 0);
	k->client = node_fixture_connect(&k->node, 0);
	say(k->client, "set a 0 0 1\r\n1\r\n");
	while (store_lsn(n->store) == 0) {
	}
	set_failed(k, true);
	keeping_committed(n, 0); /* wakes who waits */
	hear_end(k->client);
	stop(k);
}

/*
 * With --fsync=always whatever shows or denies a change waits until that is
 * durable: here nothing becomes so, because a record in front of it is not
 * published.  What has to do with no key does not wait.
 */
static void test_what_waits_for_the_journal(void **state)
{
	static const char *const waits[] = {
		"set k 0 0 1\r\n2\r\n", "get k\r\n",     "delete none\r\n",
		"get none\r\n",         "touch k 0\r\n", "incr none 1\r\n",
		"mg none\r\n",          "flush_all\r\n",
	};
	static const char *const replies[] = {
		"STORED\r\n",    "VALUE k 0 1\r\n2\r\nEND\r\n",
		"NOT_FOUND\r\n", "END\r\n",
		"TOUCHED\r\n",   "NOT_FOUND\r\n",
		"EN\r\n",        "OK\r\n",
	};
	enum { N = sizeof(waits) / sizeof(waits[0]) };
	struct kept *k = *state;
	struct record form = { .kind = RECORD_FLUSH_AT };
	struct log_slot slot;
	int clients[N];

	start(k, SYNC_ALWAYS);
	say(k->client, "set k 0 0 1\r\n1\r\n");
	hear(k->client, "STORED\r\n");
	assert_true(log_reserve(k->node.node->keeping.log, &form, &slot));
	for (int i = 0; i < N; i++) {
		clients[i] = node_fixture_connect(&k->node, 0);
		say(clients[i], waits[i]);
		/* It has been executed when this one is answered. */
		say(k->client, "mn\r\n");
		hear(k->client, "MN\r\n");
	}
	for (int i = 0; i < N; i++) {
		hear_nothing_yet(clients[i]);
	}
	log_publish(k->node.node->keeping.log, &slot, &form);
	keeping_ring(k->node.node);
	for (int i = 0; i < N; i++) {
		hear(clients[i], replies[i]);
		close(clients[i]);
	}
	stop(k);
}

/* A record that is not published stops the journal; so the window fills. */
static void test_full_log_makes_writers_wait(void **state)
{
	struct kept *k = *state;
	struct record form = { .kind = RECORD_FLUSH_AT };
	struct log_slot slot;
	char value[100001];
	int reader;

	start(k, SYNC_EVERYSEC);
	reader = node_fixture_connect(&k->node, 0);
	assert_true(log_reserve(k->node.node->keeping.log, &form, &slot));
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	while (!log_is_full(k->node.node->keeping.log)) {
		say(k->client, "set a 0 0 100000\r\n");
		say(k->client, value);
		say(k->client, "\r\n");
		hear(k->client, "STORED\r\n");
	}
	say(k->client, "set b 0 0 1\r\n1\r\nget b\r\n");
	for (int i = 0; i < 100; i++) {
		say(reader, "get b\r\n");
		hear(reader, "END\r\n");
	}
	hear_nothing_yet(k->client);
	log_publish(k->node.node->keeping.log, &slot, &form);
	keeping_ring(k->node.node);
	hear(k->client, "STORED\r\nVALUE b 0 1\r\n1\r\nEND\r\n");
	close(reader);
	stop(k);
}

enum { LATE_VALUES = 16, LATE_BYTES = 1000000, LATE_REST = 1000 };

/*
 * Values that were let in while the log had room, and of which the last bytes
 * come when it is full, wait for room as well.
 */
static void test_full_log_makes_late_values_wait(void **state)
{
	struct kept *k = *state;
	struct record form = { .kind = RECORD_FLUSH_AT };
	struct log_slot slot;
	int late[LATE_VALUES];
	char rest[LATE_REST + 1] = { 0 };

	start(k, SYNC_EVERYSEC);
	memset(rest, 'x', LATE_REST);
	assert_true(log_reserve(k->node.node->keeping.log, &form, &slot));
	for (int i = 0; i < LATE_VALUES; i++) {
		char line[64];

		late[i] = node_fixture_connect(&k->node, 0);
		snprintf(line, sizeof(line), "set late%d 0 0 %d\r\n", i,
			 LATE_BYTES);
		say(late[i], line);
		for (int n = 0; n < LATE_BYTES - LATE_REST; n += LATE_REST) {
			say_all(late[i], rest);
		}
	}
	for (int i = 0; i < LATE_VALUES; i++) {
		say_all(late[i], rest);
		say_all(late[i], "\r\n");
	}
	/* They are there, as far as they get. */
	while (!log_is_full(k->node.node->keeping.log)) {
	}
	for (int i = 0; i < 100; i++) {
		say(k->client, "mn\r\n");
		hear(k->client, "MN\r\n");
	}
	log_publish(k->node.node->keeping.log, &slot, &form);
	keeping_ring(k->node.node);
	for (int i = 0; i < LATE_VALUES; i++) {
		hear(late[i], "STORED\r\n");
		close(late[i]);
	}
	stop(k);
}

/* ---- a gat of many keys ------------------------------------------------- */

enum { GAT_KEYS = 40, GAT_BYTES = 100000 };

static void set_big(int client)
{
	char value[GAT_BYTES + 1] = { 0 };

	memset(value, 'x', GAT_BYTES);
	say_all(client, "set big 0 0 100000\r\n");
	say_all(client, value);
	say_all(client, "\r\n");
	hear(client, "STORED\r\n");
}

/*
 * Asks for a big value, GAT_KEYS times; nobody reads the answer, so it stops on
 * the way.
 */
static void say_long_gat(const struct kept *k)
{
	const counter *paused = &k->node.node->workers[0].counters.turns_paused;

	set_big(k->client);
	say(k->client, "gat 0");
	for (int i = 0; i < GAT_KEYS; i++) {
		say(k->client, " big");
	}
	say(k->client, "\r\n");
	while (counter_read(paused) == 0) {
	}
}

struct heard {
	unsigned lines;
	char tail[128]; /* the last bytes */
};

/* Reads what has come within a moment. */
static void hear_more(int fd, struct heard *h)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char got[16 * KIB];
	ssize_t n = 0;

	if (poll(&p, 1, 1) == 1) {
		n = recv(fd, got, sizeof(got), 0);
		assert_true(n > 0);
	}
	for (ssize_t i = 0; i < n; i++) {
		h->lines += got[i] == '\n';
		memmove(h->tail, h->tail + 1, sizeof(h->tail) - 2);
		h->tail[sizeof(h->tail) - 2] = got[i];
	}
}

/* Reads to the end of the answer. */
static void hear_long_gat(const struct kept *k, struct heard *h,
			  const char *end)
{
	const char *at = h->tail + sizeof(h->tail) - 1 - strlen(end);
	uint64_t deadline = clock_ms() + HEAR_MS;

	while (strcmp(at, end) != 0) {
		assert_true(clock_ms() < deadline);
		hear_more(k->client, h);
	}
}

static uint64_t log_waits(const struct kept *k)
{
	return counter_read(&k->node.node->workers[0].counters.log_waits);
}

/* The log fills while the gat is on its way: it waits, and misses nothing. */
static void test_full_log_makes_a_long_gat_wait(void **state)
{
	struct kept *k = *state;
	struct record form = { .kind = RECORD_FLUSH_AT };
	struct log_slot slot;
	struct heard h = { 0 };
	int other;

	start(k, SYNC_NEVER);
	other = node_fixture_connect(&k->node, 0);
	assert_true(log_reserve(k->node.node->keeping.log, &form, &slot));
	say_long_gat(k);
	while (!log_is_full(k->node.node->keeping.log)) {
		set_big(other);
	}
	while (log_waits(k) == 0) {
		assert_int_not_equal(h.tail[sizeof(h.tail) - 4], 'D');
		hear_more(k->client, &h);
	}
	log_publish(k->node.node->keeping.log, &slot, &form);
	keeping_ring(k->node.node);
	hear_long_gat(k, &h, "\r\nEND\r\n");
	assert_int_equal(h.lines, 2 * GAT_KEYS + 1);
	close(other);
	stop(k);
}

static void test_read_only_ends_a_long_gat(void **state)
{
	struct kept *k = *state;
	struct heard h = { 0 };

	start(k, SYNC_NEVER);
	say_long_gat(k);
	set_failed(k, true);
	hear_long_gat(k, &h, REFUSED);
	assert_in_range(h.lines, 3, 2 * GAT_KEYS);
	set_failed(k, false);
	say(k->client, "mn\r\n");
	hear(k->client, "MN\r\n");
	stop(k);
}

static void test_a_second_node_is_refused(void **state)
{
	struct kept *k = *state;
	char why[NODE_WHY_SIZE] = "";

	start(k, SYNC_EVERYSEC);
	assert_null(node_new(&k->node.settings, why));
	assert_non_null(strstr(why, k->dir));
	assert_non_null(strstr(why, "another process"));
	stop(k);
}

static void test_archive_is_another_directory(void **state)
{
	struct kept *k = *state;
	char why[NODE_WHY_SIZE] = "";

	start(k, SYNC_EVERYSEC);
	stop(k);
	k->node.settings.archive_dir = k->dir;
	assert_null(node_new(&k->node.settings, why));
	assert_non_null(strstr(why, "--archive-dir"));
}

#define KEEPING_TEST(test)                                                     \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEEPING_TEST(test_is_there_after_a_restart),
		KEEPING_TEST(test_read_only),
		KEEPING_TEST(test_read_only_while_receiving),
		KEEPING_TEST(test_failure_ends_who_waits),
		KEEPING_TEST(test_what_waits_for_the_journal),
		KEEPING_TEST(test_full_log_makes_writers_wait),
		KEEPING_TEST(test_full_log_makes_late_values_wait),
		KEEPING_TEST(test_full_log_makes_a_long_gat_wait),
		KEEPING_TEST(test_read_only_ends_a_long_gat),
		KEEPING_TEST(test_a_second_node_is_refused),
		KEEPING_TEST(test_archive_is_another_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
