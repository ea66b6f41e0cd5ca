/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's window by one thread: order, bounds, what readers see and what
 * stays for them.  The threads are in test_log_threads.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log_fixture.h"

#define CHUNK (256 * KIB)

enum { PARTS = 16 };

/* The budget of the one log that there is at a time. */
static struct budget budget;

static struct log *make_log(uint64_t window_bytes, uint64_t retain_bytes)
{
	const struct log_config config = {
		.window_bytes = window_bytes,
		.retain_bytes = retain_bytes,
		.budget = &budget,
	};
	struct log *l;

	budget_init(&budget, 0);
	l = log_new(&config);
	assert_non_null(l);
	return l;
}

/* All memory has been given back. */
static void end_log(struct log *l)
{
	log_free(l);
	assert_true(budget_used(&budget) == 0);
}

static struct log_stats stats_of(const struct log *l)
{
	struct log_stats stats;

	log_stats(l, &stats);
	return stats;
}

static void test_numbers(void **state)
{
	const uint64_t epoch_7 = 7ULL << 44;
	struct log *l = make_log(MIB, 0);

	(void)state;
	assert_true(log_lsn(l) == 0);
	assert_true(fixture_append(l, 1, 10) == 1);
	log_begin(l, 1000);
	assert_true(log_lsn(l) == 1000);
	assert_true(fixture_append(l, 2, 10) == 1001);
	assert_true(fixture_append(l, 3, 10) == 1002);
	log_begin(l, epoch_7 + 5);
	assert_true(fixture_append(l, 4, 10) == epoch_7 + 6);
	assert_true(log_lsn(l) == epoch_7 + 6);
	assert_true(stats_of(l).records == 4);
	assert_true(stats_of(l).bytes == 4 * 48);
	end_log(l);
}

/* Through many chunks, with records of all sizes, in a bounded window. */
static void test_many_chunks(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct log_cursor c;
	struct rng r;
	uint64_t seen = 0;

	(void)state;
	rng_init(&r, 1);
	assert_true(log_cursor_open(l, &c, 0, true));
	for (uint64_t n = 1; n <= 20000; n++) {
		uint32_t len = (uint32_t)rng_below(&r, 2000);

		assert_true(fixture_append(l, n, len) == n);
		if (rng_below(&r, 100) == 0 || log_is_full(l)) {
			seen += fixture_drain(&c);
		}
		assert_true(stats_of(l).window_bytes <= 2 * MIB);
		assert_true(stats_of(l).window_bytes == budget_used(&budget));
	}
	seen += fixture_drain(&c);
	assert_true(seen == 20000);
	assert_true(stats_of(l).bytes > 50 * CHUNK);
	log_cursor_close(&c);
	end_log(l);
}

/* After a burst the memory goes back, but for a few spare chunks. */
static void test_burst_is_given_back(void **state)
{
	struct log *l = make_log(16 * MIB, 0);
	struct log_cursor c;
	uint64_t n = 0;

	(void)state;
	assert_true(log_cursor_open(l, &c, 0, true));
	while (!log_is_full(l)) {
		n++;
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_true(budget_used(&budget) >= 16 * MIB);
	assert_true(fixture_drain(&c) == n);
	assert_true(budget_used(&budget) <= MIB + 2 * CHUNK);
	assert_true(stats_of(l).waiting_bytes == 0);
	log_cursor_close(&c);
	end_log(l);
}

static void test_big_records(void **state)
{
	static const uint32_t lens[] = { 100,      300 * 1024, 100,
					 100,      CHUNK - 32, CHUNK - 100,
					 5U << 20, 5U << 20,   7,
					 1U << 20 };
	enum { COUNT = sizeof(lens) / sizeof(*lens) };
	struct log *l = make_log(64 * MIB, 0);
	struct log_cursor keeping;
	struct log_cursor other;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &other, 0, false));
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < COUNT; i++) {
			uint64_t n = round * COUNT + i + 1;

			assert_true(fixture_append(l, n, lens[i]) == n);
		}
		assert_true(fixture_drain(&other) == COUNT);
		assert_true(fixture_drain(&keeping) == COUNT);
	}
	log_cursor_close(&other);
	log_cursor_close(&keeping);
	end_log(l);
}

/* A keeping cursor is shown several chunks, within what it asks for. */
static void test_parts(void **state)
{
	struct log *l = make_log(64 * MIB, 0);
	struct iovec part[PARTS];
	struct log_cursor c;
	uint64_t last;
	uint64_t end;
	int count;

	(void)state;
	assert_true(log_cursor_open(l, &c, 0, true));
	for (uint64_t n = 1; n <= 2000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_int_equal(log_cursor_look(&c, part, 3, UINT64_MAX, &count,
					 &last),
			 LOG_SOME);
	assert_int_equal(count, 3);
	assert_true(fixture_read(part, count, 0, NULL, NULL) == last);
	assert_true(last > 700 && last < 800);
	log_cursor_pass(&c, last);

	/* 1032 bytes each: five are in 6000, and one comes in any case. */
	assert_int_equal(log_cursor_look(&c, part, 3, 6000, &count, &last),
			 LOG_SOME);
	assert_true(last == c.lsn + 5);
	assert_true(fixture_read(part, count, c.lsn, NULL, NULL) == last);
	assert_int_equal(log_cursor_look(&c, part, 3, 5 * 1032, &count, &last),
			 LOG_SOME);
	assert_true(last == c.lsn + 5);
	assert_int_equal(log_cursor_look(&c, part, 3, 0, &count, &last),
			 LOG_SOME);
	assert_true(last == c.lsn + 1 && count == 1);
	log_cursor_pass(&c, last);

	/* To the end of a chunk, when the next record is too much. */
	assert_int_equal(log_cursor_look(&c, part, 1, UINT64_MAX, &count,
					 &last),
			 LOG_SOME);
	assert_int_equal(log_cursor_look(&c, part, 3, part[0].iov_len + 100,
					 &count, &end),
			 LOG_SOME);
	assert_true(count == 1 && end == last);

	/* Over the end of a chunk. */
	assert_int_equal(log_cursor_look(&c, part, PARTS, 400000, &count,
					 &last),
			 LOG_SOME);
	assert_true(last == c.lsn + 400000 / 1032 && count >= 2);
	assert_true(fixture_read(part, count, c.lsn, NULL, NULL) == last);
	log_cursor_pass(&c, last);
	assert_true(fixture_drain(&c) == 2000 - last);
	log_cursor_close(&c);
	end_log(l);
}

static void expect_none(struct log_cursor *c)
{
	struct iovec part[PARTS];
	uint64_t last;
	int count;

	assert_int_equal(log_cursor_look(c, part, PARTS, UINT64_MAX, &count,
					 &last),
			 LOG_NONE);
	assert_int_equal(count, 0);
	assert_true(last == c->lsn);
}

enum { SLOTS = 600 };

/*
 * What is reserved and not published ends what a reader sees, within a chunk
 * and at its ends: published from the last to the first, nothing is seen
 * before the first.
 */
static void test_unpublished_stops(void **state)
{
	static char value[1000];
	struct log *l = make_log(64 * MIB, 0);
	struct log_slot slots[SLOTS];
	struct log_cursor keeping;
	struct log_cursor other;
	struct record r;
	char key[8];

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &other, 0, false));
	for (uint64_t n = 1; n <= SLOTS; n++) {
		r = fixture_record(n, key, value, sizeof(value));
		assert_true(log_reserve(l, &r, &slots[n - 1]));
		assert_true(slots[n - 1].lsn == n && log_lsn(l) == n);
	}
	for (uint64_t n = SLOTS; n >= 2; n--) {
		r = fixture_record(n, key, value, sizeof(value));
		log_publish(l, &slots[n - 1], &r);
		if (n % 50 == 0) {
			expect_none(&keeping);
			expect_none(&other);
		}
	}
	r = fixture_record(1, key, value, sizeof(value));
	log_publish(l, &slots[0], &r);
	assert_true(fixture_drain(&other) == SLOTS);
	assert_true(fixture_drain(&keeping) == SLOTS);
	log_cursor_close(&keeping);
	log_cursor_close(&other);
	end_log(l);
}

/* Each that is published shows itself and those that waited for it. */
static void test_published_in_the_middle(void **state)
{
	static char value[1000];
	struct log *l = make_log(64 * MIB, 0);
	struct log_slot slots[SLOTS];
	struct log_cursor c;
	struct record r;
	char key[8];

	(void)state;
	assert_true(log_cursor_open(l, &c, 0, true));
	for (uint64_t n = 1; n <= SLOTS; n++) {
		r = fixture_record(n, key, value, sizeof(value));
		assert_true(log_reserve(l, &r, &slots[n - 1]));
	}
	for (uint64_t n = 2; n <= SLOTS; n += 2) {
		r = fixture_record(n, key, value, sizeof(value));
		log_publish(l, &slots[n - 1], &r);
	}
	for (uint64_t n = 1; n <= SLOTS; n += 2) {
		expect_none(&c);
		r = fixture_record(n, key, value, sizeof(value));
		log_publish(l, &slots[n - 1], &r);
		assert_true(fixture_drain(&c) == 2);
	}
	log_cursor_close(&c);
	end_log(l);
}

/* Full at the window, refused at twice that, and well again after a pass. */
static void test_window_bound(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct log_cursor c;
	uint64_t n = 0;

	(void)state;
	assert_true(log_cursor_open(l, &c, 0, true));
	while (fixture_append(l, n + 1, 992) != 0) {
		n++;
		assert_true(log_is_full(l) == (n >= 1024));
		assert_true(stats_of(l).waiting_bytes == n * 1024);
	}
	assert_true(n == 2048);
	assert_true(log_lsn(l) == n);
	assert_true(stats_of(l).records == n);
	assert_true(fixture_append(l, n + 1, 992) == 0);
	assert_true(fixture_drain(&c) == n);
	assert_false(log_is_full(l));
	assert_true(fixture_append(l, n + 1, 992) == n + 1);
	log_cursor_close(&c);
	end_log(l);
}

/* The slower of two keeping cursors counts, and nobody when both are gone. */
static void test_slowest_counts(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct log_cursor a;
	struct log_cursor b;
	uint64_t n = 0;

	(void)state;
	assert_true(log_cursor_open(l, &a, 0, true));
	assert_true(log_cursor_open(l, &b, 0, true));
	while (!log_is_full(l)) {
		n++;
		assert_true(fixture_append(l, n, 1000) == n);
	}
	fixture_drain(&a);
	assert_true(log_is_full(l));
	fixture_drain(&b);
	assert_false(log_is_full(l));
	log_cursor_close(&a);
	while (!log_is_full(l)) {
		n++;
		assert_true(fixture_append(l, n, 1000) == n);
	}
	log_cursor_close(&b);
	assert_false(log_is_full(l));
	assert_true(stats_of(l).waiting_bytes == 0);
	for (uint64_t i = 0; i < 10000; i++) {
		n++;
		assert_true(fixture_append(l, n, 1000) == n);
		assert_false(log_is_full(l));
	}
	assert_true(stats_of(l).window_bytes <= 3 * CHUNK);
	end_log(l);
}

/* A record of more than twice the window passes, also if others wait. */
static void test_larger_than_all(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct log_cursor c;

	(void)state;
	assert_true(log_cursor_open(l, &c, 0, true));
	assert_true(fixture_append(l, 1, 5U << 20) == 1);
	assert_true(log_is_full(l));
	assert_true(fixture_append(l, 2, 1) == 0);
	assert_true(fixture_drain(&c) == 1);
	assert_true(fixture_append(l, 2, 1) == 2);
	assert_true(fixture_append(l, 3, 5U << 20) == 3);
	assert_true(fixture_append(l, 4, 1) == 0);
	assert_true(fixture_drain(&c) == 2);
	assert_true(fixture_append(l, 4, 1) == 4);
	log_cursor_close(&c);
	end_log(l);
}

/* A cursor stands anywhere in the window, and nowhere else. */
static void test_open_anywhere(void **state)
{
	struct log *l = make_log(64 * MIB, 0);
	struct log_cursor keeping;
	struct log_cursor c;

	(void)state;
	log_begin(l, 100);
	assert_true(log_cursor_open(l, &keeping, 100, true));
	for (uint64_t n = 101; n <= 1100; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_false(log_cursor_open(l, &c, 99, false));
	assert_false(log_cursor_open(l, &c, 0, true));
	assert_false(log_cursor_open(l, &c, 1101, false));
	assert_false(log_cursor_open(l, &c, UINT64_MAX, false));
	for (uint64_t lsn = 100; lsn <= 1100; lsn++) {
		assert_true(log_cursor_open(l, &c, lsn, lsn % 2 == 0));
		assert_true(fixture_drain(&c) == 1100 - lsn);
		expect_none(&c);
		log_cursor_close(&c);
	}
	log_cursor_close(&keeping);
	end_log(l);
}

/* It stays in memory for a while after the keeping cursor has passed. */
static void test_retained(void **state)
{
	struct log *l = make_log(MIB, 2 * MIB);
	struct log_cursor keeping;
	struct log_cursor c;
	uint64_t n;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	for (n = 1; n <= 10000; n++) {
		assert_true(fixture_append(l, n, 992) == n);
		fixture_drain(&keeping);
	}
	n--;
	assert_true(log_cursor_open(l, &c, n - 2048, false));
	assert_true(fixture_drain(&c) == 2048);
	log_cursor_close(&c);
	assert_false(log_cursor_open(l, &c, n - 2048 - 2 * 256, false));
	assert_true(stats_of(l).window_bytes <= 2 * MIB + 3 * CHUNK);
	log_cursor_close(&keeping);
	end_log(l);
}

static enum log_look look(struct log_cursor *c, struct iovec *part,
			  uint64_t *last)
{
	int count;
	enum log_look result = log_cursor_look(c, part, 1, UINT64_MAX, &count,
					       last);

	assert_true((count > 0) == (result == LOG_SOME));
	return result;
}

/* Whoever does not keep is left behind, and told. */
static void test_behind(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct iovec part;
	struct log_cursor keeping;
	struct log_cursor c;
	uint64_t last;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &c, 0, false));
	for (uint64_t n = 1; n <= 1000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
		fixture_drain(&keeping);
	}
	assert_int_equal(look(&c, &part, &last), LOG_BEHIND);
	assert_int_equal(look(&c, &part, &last), LOG_BEHIND);
	log_cursor_close(&c);
	assert_true(log_cursor_open(l, &c, 1000, false));
	assert_int_equal(look(&c, &part, &last), LOG_NONE);
	assert_true(fixture_append(l, 1001, 10) == 1001);
	assert_true(fixture_drain(&c) == 1);
	log_cursor_close(&c);
	log_cursor_close(&keeping);
	end_log(l);
}

/* One that has read all is not behind when its chunk goes. */
static void test_not_behind_at_the_end(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct log_cursor keeping;
	struct log_cursor c;
	uint64_t n = 0;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &c, 0, false));
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 100; i++) {
			n++;
			assert_true(fixture_append(l, n, 1000) == n);
		}
		assert_true(fixture_drain(&c) == 100);
		assert_true(fixture_drain(&keeping) == 100);
	}
	log_cursor_close(&c);
	log_cursor_close(&keeping);
	end_log(l);
}

/* W3: what was shown stays, however much is written behind it. */
static void test_shown_stays(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct iovec part;
	struct iovec again;
	struct log_cursor keeping;
	struct log_cursor c;
	uint64_t last;
	uint64_t unused;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &c, 0, false));
	for (uint64_t n = 1; n <= 10; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_int_equal(look(&c, &part, &last), LOG_SOME);
	assert_true(last == 10);
	for (uint64_t n = 11; n <= 5000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
		fixture_drain(&keeping);
	}
	/* Only the chunk that it was shown stays, beside the others. */
	assert_true(stats_of(l).window_bytes <= 4 * CHUNK);
	assert_int_equal(look(&c, &again, &unused), LOG_BEHIND);
	assert_true(fixture_read(&part, 1, 0, NULL, NULL) == 10);
	log_cursor_pass(&c, 10);
	assert_true(c.lsn == 10);
	assert_int_equal(look(&c, &again, &unused), LOG_BEHIND);
	log_cursor_close(&c);
	log_cursor_close(&keeping);
	end_log(l);
}

/* The same for one that closes without a pass: no memory is lost. */
static void test_shown_and_closed(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct iovec part;
	struct log_cursor c[3];
	uint64_t last;

	(void)state;
	assert_true(fixture_append(l, 1, 1000) == 1);
	for (int i = 0; i < 3; i++) {
		assert_true(log_cursor_open(l, &c[i], 0, false));
		assert_int_equal(look(&c[i], &part, &last), LOG_SOME);
	}
	for (uint64_t n = 2; n <= 5000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	for (int i = 0; i < 3; i++) {
		assert_true(fixture_read(&part, 1, 0, NULL, NULL) == 1);
		log_cursor_close(&c[i]);
	}
	assert_true(stats_of(l).window_bytes <= 3 * CHUNK);
	end_log(l);
}

/*
 * One that was shown the rest of a chunk goes on in the next, though the
 * first has left the window meanwhile.
 */
static void test_goes_on_behind_what_left(void **state)
{
	struct log *l = make_log(MIB, 0);
	struct iovec part;
	struct log_cursor keeping;
	struct log_cursor c;
	struct log_cursor late;
	uint64_t last;
	uint64_t n = 0;

	(void)state;
	assert_true(log_cursor_open(l, &keeping, 0, true));
	assert_true(log_cursor_open(l, &c, 0, false));
	while (stats_of(l).window_bytes < 2 * CHUNK) {
		n++;
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_int_equal(look(&c, &part, &last), LOG_SOME);
	assert_true(last == n - 1);
	assert_true(fixture_drain(&keeping) == n);
	assert_false(log_cursor_open(l, &late, 0, false));
	assert_true(fixture_read(&part, 1, 0, NULL, NULL) == last);
	log_cursor_pass(&c, last);
	assert_true(fixture_drain(&c) == 1);
	log_cursor_close(&c);
	log_cursor_close(&keeping);
	end_log(l);
}

/* K3: without a keeping cursor, what is being filled stays in the window. */
static void test_filling_stays(void **state)
{
	static char value[1000];
	struct log *l = make_log(MIB, 0);
	struct log_cursor c;
	struct log_slot slot;
	struct record r;
	struct iovec part;
	uint64_t last;
	char key[8];

	(void)state;
	r = fixture_record(1, key, value, sizeof(value));
	assert_true(log_reserve(l, &r, &slot));
	for (uint64_t n = 2; n <= 3000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_true(log_cursor_open(l, &c, 0, false));
	expect_none(&c);
	r = fixture_record(1, key, value, sizeof(value));
	log_publish(l, &slot, &r);
	assert_int_equal(look(&c, &part, &last), LOG_SOME);
	assert_true(fixture_read(&part, 1, 0, NULL, NULL) == last);
	assert_true(last > 200);
	log_cursor_close(&c);
	assert_true(stats_of(l).window_bytes <= 3 * CHUNK);
	end_log(l);
}

static void test_begin_forgets(void **state)
{
	struct log *l = make_log(64 * MIB, 64 * MIB);
	struct log_cursor c;

	(void)state;
	for (uint64_t n = 1; n <= 3000; n++) {
		assert_true(fixture_append(l, n, n == 3000 ? 1 << 20 : 1000) ==
			    n);
	}
	assert_true(stats_of(l).window_bytes > 3 * MIB);
	log_begin(l, 5000);
	assert_false(log_cursor_open(l, &c, 3000, false));
	assert_false(log_cursor_open(l, &c, 4999, false));
	assert_true(log_cursor_open(l, &c, 5000, true));
	for (uint64_t n = 5001; n <= 9000; n++) {
		assert_true(fixture_append(l, n, 1000) == n);
	}
	assert_true(fixture_drain(&c) == 4000);
	log_cursor_close(&c);
	end_log(l);
}

static void test_charged_later(void **state)
{
	struct log_config config = { .window_bytes = MIB };
	struct log *l = log_new(&config);
	struct budget b;

	(void)state;
	assert_non_null(l);
	budget_init(&b, 0);
	log_charge(l, &b);
	assert_true(budget_used(&b) == stats_of(l).window_bytes);
	assert_true(budget_used(&b) > 0);
	log_free(l);
	assert_true(budget_used(&b) == 0);
}

static void test_too_large_for_the_format(void **state)
{
	const struct record r = {
		.kind = RECORD_ITEM,
		.key = "k",
		.key_len = 1,
		.value_len = UINT32_MAX,
	};
	struct log *l = make_log(MIB, 0);
	struct log_slot slot;

	(void)state;
	assert_false(log_reserve(l, &r, &slot));
	assert_true(log_lsn(l) == 0);
	end_log(l);
}

struct denial {
	unsigned asked;
	unsigned fails; /* which of them, from 1 */
};

static bool deny(void *arg)
{
	struct denial *d = arg;

	d->asked++;
	return d->asked == d->fails;
}

/*
 * Small and big records, a burst and its end, while the n-th allocation
 * fails.  What was refused has not happened, and is taken the second time.
 */
static void run_with_denial(struct denial *d)
{
	const struct log_config config = {
		.window_bytes = 8 * MIB,
		.budget = &budget,
		.deny = deny,
		.deny_arg = d,
	};
	struct log_cursor c;
	struct log *l;

	budget_init(&budget, 0);
	l = log_new(&config);
	if (l == NULL) {
		assert_true(budget_used(&budget) == 0);
		return;
	}
	assert_true(log_cursor_open(l, &c, 0, true));
	for (uint64_t n = 1; n <= 200; n++) {
		uint32_t len = n % 50 == 0 ? 300 * 1024 : 20000;

		if (fixture_append(l, n, len) == 0) {
			assert_true(log_lsn(l) == n - 1);
			assert_true(fixture_append(l, n, len) == n);
		}
		if (n % 70 == 0) {
			fixture_drain(&c);
		}
	}
	fixture_drain(&c);
	assert_true(c.lsn == 200);
	log_cursor_close(&c);
	end_log(l);
}

static void test_denied(void **state)
{
	struct denial d = { .fails = 0 };

	(void)state;
	do {
		d.fails++;
		d.asked = 0;
		run_with_denial(&d);
	} while (d.asked >= d.fails);
	assert_true(d.fails > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_many_chunks),
		cmocka_unit_test(test_burst_is_given_back),
		cmocka_unit_test(test_big_records),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_unpublished_stops),
		cmocka_unit_test(test_published_in_the_middle),
		cmocka_unit_test(test_window_bound),
		cmocka_unit_test(test_slowest_counts),
		cmocka_unit_test(test_larger_than_all),
		cmocka_unit_test(test_open_anywhere),
		cmocka_unit_test(test_retained),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_not_behind_at_the_end),
		cmocka_unit_test(test_shown_stays),
		cmocka_unit_test(test_shown_and_closed),
		cmocka_unit_test(test_goes_on_behind_what_left),
		cmocka_unit_test(test_filling_stays),
		cmocka_unit_test(test_begin_forgets),
		cmocka_unit_test(test_charged_later),
		cmocka_unit_test(test_too_large_for_the_format),
		cmocka_unit_test(test_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
