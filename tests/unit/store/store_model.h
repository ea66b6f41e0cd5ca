/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of the store that is too simple to be wrong, and a driver that
 * gives the same random commands to both and compares every answer.
 *
 * The model is exact, also with eviction: the store tells of each item that
 * it evicts, and the model forgets it at that moment.  So an item may only be
 * missing if its eviction was told, and what was told must be what was
 * stored.
 *
 * With a log, a second store is made from it step by step, and must have what
 * the model has.  It has room for all, so it may remember what was evicted,
 * but nothing older than the last write.
 *
 * Everything follows from one seed, which is printed when a comparison fails.
 */
#ifndef DOZO_STORE_MODEL_H
#define DOZO_STORE_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "base/rand.h"
#include "store/state.h"
#include "store/store.h"
#include "store_replay.h"

enum {
	MODEL_CTXS = 2,
	MODEL_KEYS_MAX = 4096,
	MODEL_LOANS = 8,
	MODEL_HELD = 16,
	MODEL_VALUE_MAX = 96 * 1024,
	MODEL_JOINED_MAX = 100 * 1024,
};

struct model_item {
	bool present;
	char *value;
	uint32_t value_len;
	uint32_t cflags;
	uint32_t exptime;
	uint64_t lsn;
	uint64_t cas;
	bool fetched;
	bool stale;
	bool won;
	bool binkey;
};

/* A value on loan, with a copy of what it must stay. */
struct model_loan {
	struct large *loan;
	const char *value;
	char *copy;
	uint32_t len;
};

/* A value that is being received. */
struct model_held {
	bool taken;
	struct reservation r;
	uint32_t key;
	uint32_t ctx;
	uint32_t pattern;
};

struct model {
	struct store *store;
	struct store_ctx *ctxs[MODEL_CTXS];
	struct store_ctx *c; /* of the present command */
	uint32_t ctx;
	struct rng rng;
	uint64_t seed;
	uint64_t step;
	uint32_t now;
	uint64_t barrier;
	uint32_t flush_at;
	uint64_t evicted;
	uint32_t keys;
	bool evicts;
	bool may_fail;    /* allocations are being refused */
	uint32_t fail_in; /* allocations until the next refusal; 0: never */
	uint64_t refused;
	uint64_t scanned;
	uint64_t no_memory;
	uint64_t limit;
	bool logged;
	struct replay replay;
	struct store *copy;
	struct store_ctx *copy_ctx;
	uint64_t last_write[MODEL_KEYS_MAX]; /* LSN, 0 if it was a removal */
	struct model_item items[MODEL_KEYS_MAX];
	struct model_loan loans[MODEL_LOANS];
	struct model_held held[MODEL_HELD];
};

#define MODEL_CHECK(m, cond)                                                   \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fail_msg("%s (seed %llu, step %llu)", #cond,           \
				 (unsigned long long)(m)->seed,                \
				 (unsigned long long)(m)->step);               \
		}                                                              \
	} while (0)

static inline uint32_t model_below(struct model *m, uint32_t bound)
{
	return (uint32_t)rng_below(&m->rng, bound);
}

static inline bool model_chance(struct model *m, uint32_t one_in)
{
	return model_below(m, one_in) == 0;
}

/* ---- keys and values --------------------------------------------------- */

/* Keys have 1 to 250 bytes; the number is at the front. */
static inline uint32_t model_key(uint32_t n, char *out)
{
	uint32_t len = (uint32_t)sprintf(out, "%u:", n);
	uint32_t want = n % 7 == 0 ? 250 : len + n % 23;

	while (len < want) {
		out[len++] = (char)('a' + n % 26);
	}
	return len;
}

static inline uint32_t model_key_number(const char *key)
{
	return (uint32_t)strtoul(key, NULL, 10);
}

static inline void model_fill(char *at, uint32_t len, uint32_t pattern)
{
	for (uint32_t i = 0; i < len; i++) {
		at[i] = (char)('A' + (pattern + i) % 61);
	}
}

static inline uint32_t model_value_len(struct model *m)
{
	switch (model_below(m, 16)) {
	case 0:
		return model_below(m, MODEL_VALUE_MAX);
	case 1:
	case 2:
		return model_below(m, 9000);
	case 3:
		return 0;
	default:
		return model_below(m, 300);
	}
}

/* ---- the model's own state --------------------------------------------- */

static inline void model_forget(struct model_item *it)
{
	free(it->value);
	memset(it, 0, sizeof(*it));
}

static inline bool model_live(const struct model *m,
			      const struct model_item *it)
{
	return it->present && (it->exptime == 0 || it->exptime > m->now) &&
	       it->lsn > m->barrier;
}

/* What happens at the next look-up of the store. */
static inline void model_tick(struct model *m)
{
	if (m->flush_at != 0 && m->now >= m->flush_at) {
		m->barrier = store_lsn(m->store);
		if (m->now > m->flush_at) {
			m->flush_at = 0;
		}
		/* If that is logged, it draws an LSN: now, not later. */
		state_flush_tick(m->store, m->now);
	}
}

static inline void model_compare(struct model *m, const struct model_item *it,
				 const struct item_view *v)
{
	MODEL_CHECK(m, v->value_len == it->value_len);
	MODEL_CHECK(m, memcmp(v->value, it->value, v->value_len) == 0);
	MODEL_CHECK(m, v->cflags == it->cflags);
	MODEL_CHECK(m, v->exptime == it->exptime);
	MODEL_CHECK(m, v->lsn == it->lsn);
	MODEL_CHECK(m, v->cas == it->cas);
	MODEL_CHECK(m, v->fetched == it->fetched);
	MODEL_CHECK(m, v->stale == it->stale);
	MODEL_CHECK(m, v->won == it->won);
	MODEL_CHECK(m, v->binkey == it->binkey);
}

static inline void model_on_evict(void *arg, const struct item_view *v,
				  uint32_t now)
{
	struct model *m = arg;
	struct model_item *it = &m->items[model_key_number(v->key)];

	MODEL_CHECK(m, now <= m->now);
	MODEL_CHECK(m, m->evicts && it->present);
	model_compare(m, it, v);
	model_forget(it);
	m->evicted++;
}

static inline bool model_deny(void *arg)
{
	struct model *m = arg;

	if (m->fail_in == 0 || --m->fail_in > 0) {
		return false;
	}
	m->refused++;
	return true;
}

static inline void model_set_value(struct model_item *it, const char *value,
				   uint32_t len)
{
	char *copy = malloc((size_t)len + 1);

	assert_non_null(copy);
	memcpy(copy, value, len);
	free(it->value);
	it->value = copy;
	it->value_len = len;
}

/* A change has been made; its LSN is the latest. */
static inline void model_changed(struct model *m, struct model_item *it,
				 uint64_t new_cas)
{
	it->lsn = store_lsn(m->store);
	it->cas = new_cas != 0 ? new_cas : it->lsn;
}

/* ---- life -------------------------------------------------------------- */

struct model_config {
	uint64_t seed;
	uint64_t limit;
	uint64_t reserve;
	uint32_t keys;
	bool evict;
	bool logged;
};

static inline void model_open_log(struct model *m, uint64_t lsn)
{
	m->logged = true;
	replay_open(&m->replay, REPLAY_WINDOW, model_deny, m);
	replay_begin(&m->replay, lsn);
	m->copy = replay_copy();
	m->copy_ctx = store_ctx_new(m->copy);
	assert_non_null(m->copy_ctx);
}

static inline void model_close_log(struct model *m)
{
	store_verify(m->copy);
	store_ctx_free(m->copy_ctx);
	store_free(m->copy);
	replay_close(&m->replay);
}

static inline struct model *model_new(const struct model_config *config)
{
	struct model *m = calloc(1, sizeof(*m));
	struct store_config sc = {
		.memory_limit = config->limit,
		.memory_reserve = config->reserve,
		.hash_seed = config->seed,
		.first_lsn = config->seed % 3 * 1000,
		.evict = config->evict,
		.on_evict = model_on_evict,
		.on_evict_arg = m,
		.deny = model_deny,
		.deny_arg = m,
	};

	assert_non_null(m);
	m->seed = config->seed;
	m->keys = config->keys;
	m->evicts = config->evict;
	m->limit = config->limit;
	m->now = 1000000;
	rng_init(&m->rng, m->seed);
	if (config->logged) {
		model_open_log(m, sc.first_lsn);
		sc.log = m->replay.log;
	}
	m->store = store_new(&sc);
	assert_non_null(m->store);
	for (int i = 0; i < MODEL_CTXS; i++) {
		m->ctxs[i] = store_ctx_new(m->store);
		assert_non_null(m->ctxs[i]);
	}
	return m;
}

static inline void model_return_loan(struct model *m, struct model_loan *l)
{
	if (l->loan == NULL) {
		return;
	}
	MODEL_CHECK(m, memcmp(l->value, l->copy, l->len) == 0);
	large_return(m->store, l->loan);
	free(l->copy);
	memset(l, 0, sizeof(*l));
}

static inline void model_free(struct model *m)
{
	for (int i = 0; i < MODEL_LOANS; i++) {
		model_return_loan(m, &m->loans[i]);
	}
	for (int i = 0; i < MODEL_HELD; i++) {
		if (m->held[i].taken) {
			store_abort(m->ctxs[m->held[i].ctx], &m->held[i].r);
		}
	}
	store_verify(m->store);
	for (int i = 0; i < MODEL_CTXS; i++) {
		store_ctx_free(m->ctxs[i]);
	}
	store_verify(m->store);
	store_free(m->store);
	if (m->logged) {
		model_close_log(m);
	}
	for (uint32_t i = 0; i < MODEL_KEYS_MAX; i++) {
		model_forget(&m->items[i]);
	}
	free(m);
}

/* Every item of the model is there, as it should be. */
static inline void model_compare_all(struct model *m)
{
	for (uint32_t n = 0; n < m->keys; n++) {
		struct model_item *it = &m->items[n];
		char text[256];
		uint32_t len = model_key(n, text);
		struct store_key key = store_key(m->store, text, len);
		struct store_entry e;
		bool found;

		model_tick(m);
		found = store_open(m->ctxs[0], &key, m->now, &e);
		MODEL_CHECK(m, found == model_live(m, it));
		if (found) {
			model_compare(m, it, &e.item);
		} else {
			model_forget(it);
		}
		store_close(&e);
	}
}

/* ---- the copy ---------------------------------------------------------- */

/* What another store has under key `n`, if it was made from the log. */
static inline void model_compare_copy(struct model *m, struct store *s,
				      struct store_ctx *c, uint32_t n)
{
	struct model_item *it = &m->items[n];
	struct item_view want = {
		.value = it->value,
		.value_len = it->value_len,
		.lsn = it->lsn,
		.cas = it->cas,
		.cflags = it->cflags,
		.exptime = it->exptime,
		.stale = it->stale,
		.binkey = it->binkey,
	};
	char text[256];
	struct store_key key = store_key(s, text, model_key(n, text));
	struct store_entry e;
	bool found;

	model_tick(m);
	found = store_open(c, &key, m->now, &e);
	if (model_live(m, it)) {
		MODEL_CHECK(m, found);
		replay_compare(&e.item, &want);
	} else if (found) {
		MODEL_CHECK(m, m->evicts && e.item.lsn == m->last_write[n]);
	}
	store_close(&e);
}

static inline void model_compare_copies(struct model *m, struct store *s,
					struct store_ctx *c)
{
	for (uint32_t n = 0; n < m->keys; n++) {
		model_compare_copy(m, s, c, n);
	}
}

/* Follows the log, and looks at what the last command changed. */
static inline void model_follow(struct model *m)
{
	size_t at = replay_pump(&m->replay);
	size_t again = at;
	struct record r;

	replay_from(&m->replay, at, m->copy, m->copy_ctx);
	while (replay_next(&m->replay, &again, &r)) {
		uint32_t n;

		if (r.key_len == 0) {
			continue;
		}
		n = model_key_number(r.key);
		if (r.kind != RECORD_TOUCH) {
			m->last_write[n] = r.kind == RECORD_ITEM ? r.lsn : 0;
		}
		model_compare_copy(m, m->copy, m->copy_ctx, n);
	}
}

/*
 * The whole log, in one order and another, and twice, makes the same store.
 */
static inline void model_replay_all(struct model *m)
{
	struct store *s = replay_copy();
	struct store_ctx *c = store_ctx_new(s);

	assert_non_null(c);
	model_follow(m);
	model_compare_copies(m, m->copy, m->copy_ctx);
	replay_by_parts(&m->replay, s, c, 1 + model_below(m, 7));
	model_compare_copies(m, s, c);
	replay_from(&m->replay, 0, s, c);
	model_compare_copies(m, s, c);
	MODEL_CHECK(m, store_lsn(s) == store_lsn(m->store));
	store_verify(s);
	store_ctx_free(c);
	store_free(s);
}

#endif
