/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several threads on one store, each with its context.  What a reader finds
 * under a key must be a value that somebody wrote there as a whole; sums of
 * concurrent changes must come out right; and when all have ended, the whole
 * structure must be consistent.  Meant to be run under ThreadSanitizer too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/rand.h"
#include "store/store.h"
#include "store_replay.h"

enum {
	THREADS = 4,
	KEYS = 6000,
	VALUE_MAX = 24 * 1024,
};

struct world {
	struct store *store;
	struct replay *replay; /* or NULL */
	_Atomic bool ended;
	_Atomic uint32_t now;
	_Atomic uint64_t stored;
	_Atomic uint64_t found;
	uint64_t steps;
	bool disturb; /* flushes and limits too */
};

struct hand {
	pthread_t thread;
	struct world *w;
	struct store_ctx *c;
	struct rng rng;
	uint32_t number;
};

static uint32_t below(struct hand *h, uint32_t bound)
{
	return (uint32_t)rng_below(&h->rng, bound);
}

/* A value is its key's number and a pattern, again and again. */
static void write_value(char *at, uint32_t len, uint32_t key, uint32_t pattern)
{
	for (uint32_t i = 0; i < len; i++) {
		at[i] = (char)('a' + (key + pattern) % 26);
	}
}

static void read_value(const struct item_view *v)
{
	for (uint32_t i = 0; i < v->value_len; i++) {
		check(v->value[i] == v->value[0]);
	}
}

static struct store_key make_key(struct hand *h, char *text, uint32_t n)
{
	int len = sprintf(text, "key-%u", n);

	return store_key(h->w->store, text, (size_t)len);
}

static void do_set(struct hand *h, uint32_t now)
{
	static const struct commit how = { .mode = MODE_SET };
	struct reservation r;
	struct change out;
	char text[32];
	uint32_t n = below(h, KEYS);
	struct store_key key = make_key(h, text, n);
	uint32_t len = below(h, 20) == 0 ? below(h, VALUE_MAX) : below(h, 400);

	if (store_reserve(h->c, &key, len, 0,
			  below(h, 4) == 0 ? now + 1 + below(h, 3) : 0, false,
			  now, &r) != STORE_OK) {
		return;
	}
	if (below(h, 30) == 0) {
		store_abort(h->c, &r);
		return;
	}
	if (below(h, 30) == 0 && store_hold(h->c, &r, 0) != STORE_OK) {
		return;
	}
	write_value(r.value, len, n, below(h, 26));
	if (store_commit(h->c, &r, &how, VALUE_MAX, now, &out) == STORE_OK) {
		atomic_fetch_add(&h->w->stored, 1);
	}
}

static void do_get(struct hand *h, uint32_t now)
{
	struct large *loan = NULL;
	struct item_view v;
	struct store_entry e;
	char text[2][32];
	struct store_key keys[2];

	for (int i = 0; i < 2; i++) {
		keys[i] = make_key(h, text[i], below(h, KEYS));
	}
	store_prefetch_batch(h->w->store, keys, 2);
	if (store_open(h->c, &keys[0], now, &e)) {
		atomic_fetch_add(&h->w->found, 1);
		read_value(&e.item);
		entry_bump(&e);
		v = e.item;
		loan = entry_borrow(&e);
	}
	store_close(&e);
	if (loan != NULL) {
		read_value(&v);
		large_return(h->w->store, loan);
	}
}

static void do_other(struct hand *h, uint32_t now)
{
	const struct invalidate how = { .mark_stale = true };
	struct store_entry e;
	struct change out;
	char text[32];
	struct store_key key = make_key(h, text, below(h, KEYS));

	switch (below(h, 4)) {
	case 0:
		store_remove(h->c, &key, false, 0, now, &out);
		break;
	case 1:
		if (store_open_touch(h->c, &key, now + below(h, 9), now, &e) !=
		    STORE_NO_MEMORY) {
			store_close(&e);
		}
		break;
	case 2:
		store_invalidate(h->c, &key, &how, now, &out);
		break;
	default:
		store_maintain(h->c, now, 100);
		break;
	}
}

static void count_visit(void *arg, const struct item_view *v)
{
	uint64_t *seen = arg;

	read_value(v);
	(*seen)++;
}

static void do_disturb(struct hand *h, uint32_t now)
{
	struct store_stats stats;
	uint64_t seen = 0;
	uint64_t cursor = 0;
	uint64_t lsn;

	switch (below(h, 5)) {
	case 0:
		store_flush(h->w->store, now, &lsn);
		break;
	case 1:
		store_flush_at(h->w->store, now + below(h, 2), now, &lsn);
		break;
	case 2:
		store_set_limit(h->w->store, (2 + below(h, 4)) << 20);
		break;
	case 3:
		store_stats(h->w->store, &stats);
		break;
	default:
		while (store_scan(h->c, &cursor, now, count_visit, &seen)) {
		}
		break;
	}
}

static void *work(void *arg)
{
	struct hand *h = arg;

	for (uint64_t i = 0; i < h->w->steps; i++) {
		uint32_t now = atomic_load(&h->w->now);

		switch (below(h, 8)) {
		case 0:
		case 1:
		case 2:
			do_set(h, now);
			break;
		case 3:
			do_other(h, now);
			break;
		default:
			do_get(h, now);
			break;
		}
		if (h->number == 0 && i % 500 == 0) {
			atomic_fetch_add(&h->w->now, 1);
		}
		if (h->w->disturb && below(h, 1000) == 0) {
			do_disturb(h, now);
		}
	}
	return NULL;
}

static void start(struct world *w, struct hand *hands, uint64_t limit,
		  bool evict)
{
	struct store_config config = {
		.memory_limit = limit,
		.memory_reserve = 8 << 20,
		.hash_seed = 4711,
		.log = w->replay != NULL ? w->replay->log : NULL,
		.evict = evict,
	};

	w->store = store_new(&config);
	assert_non_null(w->store);
	atomic_store(&w->now, 1000);
	for (uint32_t i = 0; i < THREADS; i++) {
		hands[i].w = w;
		hands[i].number = i;
		hands[i].c = store_ctx_new(w->store);
		assert_non_null(hands[i].c);
		rng_init(&hands[i].rng, i + 1);
	}
}

static void run(struct hand *hands, void *(*body)(void *arg))
{
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&hands[i].thread, NULL, body,
						&hands[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(hands[i].thread, NULL), 0);
	}
	store_verify(hands[0].w->store);
}

static void finish(struct world *w, struct hand *hands)
{
	for (int i = 0; i < THREADS; i++) {
		store_ctx_free(hands[i].c);
	}
	store_verify(w->store);
	store_free(w->store);
}

static void test_evicting(void **state)
{
	struct world w = { .steps = 40000 };
	struct hand hands[THREADS];
	struct store_stats stats;

	(void)state;
	start(&w, hands, 2 << 20, true);
	run(hands, work);
	store_stats(w.store, &stats);
	assert_true(stats.evictions > 0 && stats.moved > 0);
	assert_true(stats.reclaimed > 0);
	assert_true(atomic_load(&w.stored) > 0 && atomic_load(&w.found) > 0);
	finish(&w, hands);
}

static void test_disturbed(void **state)
{
	struct world w = { .steps = 40000, .disturb = true };
	struct hand hands[THREADS];

	(void)state;
	start(&w, hands, 4 << 20, true);
	run(hands, work);
	assert_true(atomic_load(&w.stored) > 0 && atomic_load(&w.found) > 0);
	finish(&w, hands);
}

static void test_without_eviction(void **state)
{
	struct world w = { .steps = 40000 };
	struct hand hands[THREADS];
	struct store_stats stats;

	(void)state;
	start(&w, hands, 2 << 20, false);
	run(hands, work);
	store_stats(w.store, &stats);
	assert_int_equal(stats.evictions, 0);
	assert_true(atomic_load(&w.stored) > 0 && atomic_load(&w.found) > 0);
	finish(&w, hands);
}

/* ---- sums -------------------------------------------------------------- */

enum { COUNTS = 3000, APPENDS = 500 };

static void *add_up(void *arg)
{
	static const struct commit append = { .mode = MODE_APPEND };
	const struct delta d = { .amount = 3, .create = true, .initial = 3 };
	struct hand *h = arg;
	struct store_key number = store_key(h->w->store, "counter", 7);
	struct store_key text = store_key(h->w->store, "text", 4);
	struct store_entry e;
	struct reservation r;
	struct change out;
	uint64_t result;

	for (int i = 0; i < COUNTS; i++) {
		check(store_delta(h->c, &number, &d, 1, &result, &e) ==
		      STORE_OK);
		store_close(&e);
	}
	for (int i = 0; i < APPENDS; i++) {
		check(store_reserve(h->c, &text, 5, 0, 0, false, 1, &r) ==
		      STORE_OK);
		memset(r.value, 'A' + (int)h->number, 5);
		check(store_commit(h->c, &r, &append, VALUE_MAX, 1, &out) ==
		      STORE_OK);
	}
	return NULL;
}

static void put_empty(struct hand *h, const char *name)
{
	static const struct commit set = { .mode = MODE_SET };
	struct store_key key = store_key(h->w->store, name, strlen(name));
	struct reservation r;
	struct change out;

	assert_int_equal(store_reserve(h->c, &key, 0, 0, 0, false, 1, &r),
			 STORE_OK);
	assert_int_equal(store_commit(h->c, &r, &set, VALUE_MAX, 1, &out),
			 STORE_OK);
}

/* Each thread's part is there as often as it appended it, never torn. */
static void check_text(const struct item_view *v)
{
	uint32_t parts[THREADS] = { 0 };

	assert_int_equal(v->value_len, THREADS * APPENDS * 5);
	for (uint32_t i = 0; i < v->value_len; i += 5) {
		uint32_t who = (uint32_t)(v->value[i] - 'A');

		assert_true(who < THREADS);
		parts[who]++;
		for (uint32_t k = 1; k < 5; k++) {
			assert_int_equal(v->value[i + k], v->value[i]);
		}
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(parts[i], APPENDS);
	}
}

static void test_sums(void **state)
{
	struct world w = { .steps = 0 };
	struct hand hands[THREADS];
	struct store_entry e;
	struct store_key key;
	char want[32];

	(void)state;
	start(&w, hands, 8 << 20, false);
	put_empty(&hands[0], "text");
	run(hands, add_up);
	key = store_key(w.store, "counter", 7);
	assert_true(store_open(hands[0].c, &key, 1, &e));
	sprintf(want, "%d", THREADS * COUNTS * 3);
	assert_int_equal(e.item.value_len, strlen(want));
	assert_memory_equal(e.item.value, want, strlen(want));
	store_close(&e);
	key = store_key(w.store, "text", 4);
	assert_true(store_open(hands[0].c, &key, 1, &e));
	check_text(&e.item);
	store_close(&e);
	/* Every change has drawn one LSN, and nothing else has. */
	assert_int_equal(store_lsn(w.store), 1 + THREADS * (COUNTS + APPENDS));
	finish(&w, hands);
}

/* ---- the log ----------------------------------------------------------- */

/* Reads the log while it is being written, as a journal does. */
static void *follow(void *arg)
{
	struct world *w = arg;
	bool ended;

	do {
		ended = atomic_load(&w->ended);
		replay_pump_some(w->replay);
	} while (!ended);
	return NULL;
}

struct comparison {
	struct store *copy;
	struct store_ctx *c;
	uint32_t now;
	uint64_t items;
};

static void compare_visit(void *arg, const struct item_view *v)
{
	struct comparison *cmp = arg;
	struct store_key key = store_key(cmp->copy, v->key, v->key_len);
	struct store_entry e;

	assert_true(store_open(cmp->c, &key, cmp->now, &e));
	replay_compare(&e.item, v);
	store_close(&e);
	cmp->items++;
}

/* The log makes the same items, no more and no less. */
static void compare_with_copy(struct world *w, struct store_ctx *c)
{
	struct comparison cmp = {
		.copy = replay_copy(),
		.now = atomic_load(&w->now) + 5,
	};
	uint64_t cursor = 0;
	uint64_t seen = 0;

	cmp.c = store_ctx_new(cmp.copy);
	assert_non_null(cmp.c);
	/* A flush that is due is logged now. */
	store_maintain(c, cmp.now, 1);
	replay_pump(w->replay);
	replay_by_parts(w->replay, cmp.copy, cmp.c, 3);
	while (store_scan(c, &cursor, cmp.now, compare_visit, &cmp)) {
	}
	/* Few may be left of them, if a flush came late. */
	assert_true(atomic_load(&w->stored) > 100);
	cursor = 0;
	while (store_scan(cmp.c, &cursor, cmp.now, count_visit, &seen)) {
	}
	assert_int_equal(seen, cmp.items);
	store_verify(cmp.copy);
	store_ctx_free(cmp.c);
	store_free(cmp.copy);
}

static void test_log_makes_the_same(void **state)
{
	struct replay replay;
	struct world w = {
		.steps = 15000,
		.disturb = true,
		.replay = &replay,
	};
	struct hand hands[THREADS];
	pthread_t reader;

	(void)state;
	replay_open(&replay, REPLAY_WINDOW, NULL, NULL);
	replay_begin(&replay, 0);
	start(&w, hands, 8 << 20, false);
	assert_int_equal(pthread_create(&reader, NULL, follow, &w), 0);
	run(hands, work);
	atomic_store(&w.ended, true);
	assert_int_equal(pthread_join(reader, NULL), 0);
	compare_with_copy(&w, hands[0].c);
	finish(&w, hands);
	replay_close(&replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evicting),
		cmocka_unit_test(test_disturbed),
		cmocka_unit_test(test_without_eviction),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_log_makes_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
