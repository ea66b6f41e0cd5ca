/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's window by many threads: four writers, a reader that keeps and one
 * that does not and is slow.  Both must see dense LSNs, each writer's records
 * in its order, and every byte as it was written; the one that keeps must see
 * them all.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "log_fixture.h"

enum {
	WRITERS = 4,
	ROUNDS = 15000, /* of each writer */
	BIG_EVERY = 1000,
	PARTS = 4,
	DEADLINE_S = 600,
};

#define RECORDS ((uint64_t)WRITERS * ROUNDS)

struct shared {
	struct log *log;
	_Atomic unsigned writers_left;
	_Atomic uint64_t kept; /* the keeping reader has passed it */
};

struct writer {
	struct shared *shared;
	unsigned number;
	uint64_t last_lsn;
};

/* The number of a record: its writer, and its place among the writer's. */
static uint64_t number_of(unsigned writer, uint64_t place)
{
	return (uint64_t)writer << 32 | place;
}

static uint32_t value_len_of(uint64_t n)
{
	return (uint32_t)n % BIG_EVERY == 0 ? 300 * 1024 : (uint32_t)n % 300;
}

static void *write_all(void *arg)
{
	struct writer *w = arg;
	struct log *l = w->shared->log;
	char *value = malloc(300 * 1024);
	char key[8];

	check(value != NULL);
	for (uint64_t place = 1; place <= ROUNDS; place++) {
		uint64_t n = number_of(w->number, place);
		struct record r = fixture_record(n, key, value,
						 value_len_of(n));
		struct log_slot slot;

		while (log_is_full(l) || !log_reserve(l, &r, &slot)) {
			sched_yield();
		}
		if (place % 500 == 0) {
			/* One that loses its processor while it fills. */
			sched_yield();
		}
		log_publish(l, &slot, &r);
		check(slot.lsn > w->last_lsn && slot.lsn <= log_lsn(l));
		w->last_lsn = slot.lsn;
	}
	free(value);
	atomic_fetch_sub(&w->shared->writers_left, 1);
	return NULL;
}

struct reader {
	struct shared *shared;
	struct log_cursor cursor;
	uint64_t place[WRITERS]; /* last seen of each writer */
	uint64_t seen;
	uint64_t gaps;   /* places that were passed over */
	uint64_t behind; /* how often it was left behind */
};

/* As fixture_read() and fixture_check(), which are for cmocka's thread. */
static void reader_take(struct reader *rd, const struct record *r)
{
	static const uint64_t low = UINT32_MAX;
	char *value = malloc(r->value_len + 1);
	struct record expected;
	char key[8];
	unsigned writer;
	uint64_t n;

	check(value != NULL && r->key_len == 8);
	memcpy(&n, r->key, 8);
	writer = (unsigned)(n >> 32);
	check(writer < WRITERS && (n & low) > rd->place[writer]);
	check(r->value_len == value_len_of(n));
	expected = fixture_record(n, key, value, r->value_len);
	check(memcmp(r->value, expected.value, r->value_len) == 0);
	rd->gaps += (n & low) - rd->place[writer] - 1;
	rd->place[writer] = n & low;
	rd->seen++;
	free(value);
}

static uint64_t reader_take_parts(struct reader *rd, const struct iovec *part,
				  int count)
{
	uint64_t lsn = rd->cursor.lsn;
	struct record r;
	uint32_t size;

	for (int i = 0; i < count; i++) {
		const char *at = part[i].iov_base;
		size_t left = part[i].iov_len;

		for (; left > 0; left -= size, at += size) {
			check(record_read(at, left, &r, &size) == RECORD_GOOD);
			check(r.lsn == lsn + 1);
			lsn = r.lsn;
			reader_take(rd, &r);
		}
	}
	return lsn;
}

/* One look; false: there was nothing. */
static bool reader_step(struct reader *rd)
{
	struct log_cursor *c = &rd->cursor;
	struct iovec part[PARTS];
	uint64_t lsn;
	uint64_t last;
	int count;

	switch (log_cursor_look(c, part, PARTS, 100 * 1024, &count, &last)) {
	case LOG_SOME:
		if (!c->keeps) {
			/* What was shown stays while others go on. */
			sched_yield();
		}
		check(reader_take_parts(rd, part, count) == last);
		log_cursor_pass(c, last);
		return true;
	case LOG_BEHIND:
		check(!c->keeps);
		rd->behind++;
		log_cursor_close(c);
		do {
			lsn = atomic_load(&rd->shared->kept);
		} while (!log_cursor_open(rd->shared->log, c, lsn, false));
		return true;
	case LOG_NONE:
	default:
		return false;
	}
}

static void *read_all(void *arg)
{
	struct reader *rd = arg;
	bool last_round = false;

	for (;;) {
		bool more = reader_step(rd);

		if (rd->cursor.keeps) {
			atomic_store(&rd->shared->kept, rd->cursor.lsn);
		}
		if (!more && last_round) {
			return NULL;
		}
		if (!more) {
			last_round = atomic_load(&rd->shared->writers_left) ==
				     0;
			sched_yield();
		}
	}
}

static void run_threads(struct writer *writers, struct reader *readers)
{
	pthread_t thread[WRITERS + 2];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&thread[WRITERS + i], NULL,
						read_all, &readers[i]),
				 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_create(&thread[i], NULL, write_all,
						&writers[i]),
				 0);
	}
	for (int i = 0; i < WRITERS + 2; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	}
}

static void test_writers_and_readers(void **state)
{
	struct budget budget;
	const struct log_config config = {
		.window_bytes = 2 * MIB,
		.retain_bytes = 512 * KIB,
		.budget = &budget,
	};
	struct shared shared = { .writers_left = WRITERS };
	struct writer writers[WRITERS];
	struct reader readers[2] = { { .shared = &shared },
				     { .shared = &shared } };
	struct log_stats stats;

	(void)state;
	budget_init(&budget, 0);
	shared.log = log_new(&config);
	assert_non_null(shared.log);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ .shared = &shared, .number = i };
	}
	assert_true(log_cursor_open(shared.log, &readers[0].cursor, 0, true));
	assert_true(log_cursor_open(shared.log, &readers[1].cursor, 0, false));
	run_threads(writers, readers);

	assert_true(log_lsn(shared.log) == RECORDS);
	assert_true(readers[0].seen == RECORDS && readers[0].gaps == 0);
	assert_true(readers[0].cursor.lsn == RECORDS);
	assert_true(readers[1].cursor.lsn == RECORDS);
	assert_true(readers[1].seen + readers[1].gaps <= RECORDS);
	assert_true(readers[1].behind > 0 || readers[1].seen == RECORDS);
	log_stats(shared.log, &stats);
	assert_true(stats.waiting_bytes == 0 && stats.records == RECORDS);
	assert_true(stats.window_bytes < 4 * MIB);
	log_cursor_close(&readers[0].cursor);
	log_cursor_close(&readers[1].cursor);
	log_free(shared.log);
	assert_true(budget_used(&budget) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writers_and_readers),
	};

	alarm(DEADLINE_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
