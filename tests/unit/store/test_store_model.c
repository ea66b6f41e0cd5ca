/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random commands against the model of store_model.h: with eviction and
 * without, with moving time, flushes, slow values, loans, changes of the
 * limit and refused allocations.
 *
 * DOZO_SEED chooses the sequence (else it is fixed), DOZO_STEPS its length.
 */
#include "store_model.h"

/* A command's key, and what the model has under it. */
struct subject {
	uint32_t n;
	char text[256];
	struct store_key key;
	struct model_item *it;
};

static void choose(struct model *m, struct subject *s)
{
	uint32_t len;

	/* Half of the commands go to a twentieth of the keys. */
	s->n = model_chance(m, 2) ? model_below(m, m->keys) :
				    model_below(m, m->keys / 20 + 1);
	len = model_key(s->n, s->text);
	s->key = store_key(m->store, s->text, len);
	s->it = &m->items[s->n];
	model_tick(m);
}

static uint32_t choose_exptime(struct model *m)
{
	switch (model_below(m, 8)) {
	case 0:
		return m->now + 1 + model_below(m, 20);
	case 1:
		return m->now - model_below(m, 3);
	default:
		return 0;
	}
}

static uint64_t choose_cas(struct model *m, const struct model_item *it)
{
	switch (model_below(m, 4)) {
	case 0:
		return it->cas + 1 + model_below(m, 3);
	case 1:
		return it->cas == 0 ? 0 : it->cas - 1;
	default:
		return it->cas;
	}
}

static uint64_t choose_new_cas(struct model *m)
{
	return model_chance(m, 10) ? 1 + model_below(m, 1000000) : 0;
}

/* ---- storing ----------------------------------------------------------- */

static struct commit choose_commit(struct model *m, const struct model_item *it)
{
	struct commit how = {
		.mode = (enum store_mode)model_below(m, 5),
		.compare = model_chance(m, 5),
		.take_stale = model_chance(m, 3),
		.vivify = model_chance(m, 3),
		.vivify_exptime = choose_exptime(m),
		.new_cas = choose_new_cas(m),
		.won = model_chance(m, 10),
	};

	if (model_chance(m, 2)) {
		how.mode = MODE_SET;
	}
	if (how.compare) {
		how.compare_cas = choose_cas(m, it);
	}
	return how;
}

/* What the command should answer where there is no item. */
static enum store_result expect_new(const struct commit *how)
{
	switch (how->mode) {
	case MODE_SET:
		return how->compare ? STORE_NOT_FOUND : STORE_OK;
	case MODE_ADD:
		return STORE_OK;
	case MODE_REPLACE:
		return how->compare ? STORE_NOT_FOUND : STORE_NOT_STORED;
	default:
		return how->vivify ? STORE_OK : STORE_NOT_STORED;
	}
}

/* And where there is one; *stale: by a lower cas. */
static enum store_result expect_old(const struct commit *how,
				    const struct model_item *it,
				    uint32_t value_len, bool *stale)
{
	*stale = false;
	if (how->mode == MODE_ADD) {
		return STORE_NOT_STORED;
	}
	if (how->compare && how->compare_cas != it->cas) {
		if (!how->take_stale || how->compare_cas == 0 ||
		    how->compare_cas > it->cas) {
			return STORE_EXISTS;
		}
		*stale = true;
	}
	if (how->mode >= MODE_APPEND &&
	    it->value_len + value_len > MODEL_JOINED_MAX) {
		return STORE_NO_MEMORY;
	}
	return STORE_OK;
}

static void apply_join(struct model_item *it, const char *value, uint32_t len,
		       bool behind)
{
	char *joined = malloc((size_t)it->value_len + len + 1);
	const char *first = behind ? it->value : value;
	uint32_t first_len = behind ? it->value_len : len;

	assert_non_null(joined);
	memcpy(joined, first, first_len);
	memcpy(joined + first_len, behind ? value : it->value,
	       it->value_len + len - first_len);
	free(it->value);
	it->value = joined;
	it->value_len += len;
}

static void apply_store(struct model *m, struct model_item *it,
			const struct reservation *r, const struct commit *how,
			const char *value, bool live, bool stale)
{
	bool join = live && how->mode >= MODE_APPEND;
	bool won = how->won || (stale && it->won);

	if (join) {
		apply_join(it, value, r->value_len, how->mode == MODE_APPEND);
	} else {
		uint32_t kept = it->exptime;

		model_set_value(it, value, r->value_len);
		it->cflags = r->cflags;
		it->binkey = r->binkey;
		it->exptime = stale                    ? kept :
			      how->mode >= MODE_APPEND ? how->vivify_exptime :
							 r->exptime;
	}
	it->present = true;
	it->fetched = false;
	it->stale = stale;
	it->won = won;
	model_changed(m, it, how->new_cas);
}

/* Commits a reservation whose value is filled, and compares. */
static void commit(struct model *m, struct subject *s, struct reservation *r,
		   const char *value)
{
	struct commit how = choose_commit(m, s->it);
	uint64_t lsn = store_lsn(m->store);
	uint32_t len = r->value_len;
	struct reservation before = *r;
	struct change out;
	enum store_result want;
	enum store_result res;
	bool stale = false;
	bool live;

	res = store_commit(m->c, r, &how, MODEL_JOINED_MAX, m->now, &out);
	live = model_live(m, s->it);
	want = live ? expect_old(&how, s->it, len, &stale) : expect_new(&how);
	if (res == STORE_NO_MEMORY && want != res) {
		MODEL_CHECK(m, m->may_fail || !m->evicts);
		MODEL_CHECK(m, store_lsn(m->store) == lsn);
		return;
	}
	MODEL_CHECK(m, res == want);
	if (res == STORE_OK) {
		MODEL_CHECK(m, out.lsn == lsn + 1);
		apply_store(m, s->it, &before, &how, value, live, stale);
		MODEL_CHECK(m, out.cas == s->it->cas);
		MODEL_CHECK(m, out.value_len == s->it->value_len);
	}
	if (!live && res != STORE_OK) {
		model_forget(s->it);
	}
}

static bool reserve(struct model *m, struct subject *s, struct reservation *r)
{
	enum store_result res =
		store_reserve(m->c, &s->key, model_value_len(m),
			      model_chance(m, 4) ? model_below(m, 1000) : 0,
			      choose_exptime(m), model_chance(m, 8), m->now, r);

	if (res != STORE_OK) {
		MODEL_CHECK(m, res == STORE_NO_MEMORY);
		MODEL_CHECK(m, m->may_fail || !m->evicts);
		m->no_memory++;
		return false;
	}
	return true;
}

static void do_store(struct model *m)
{
	static char value[MODEL_VALUE_MAX];
	struct reservation r;
	struct subject s;

	choose(m, &s);
	if (!reserve(m, &s, &r)) {
		return;
	}
	if (model_chance(m, 4) && r.value_len > 0 && r.value_len < 21) {
		memset(value, '7', r.value_len);
	} else {
		model_fill(value, r.value_len, model_below(m, 61));
	}
	memcpy(r.value, value, r.value_len);
	if (model_chance(m, 20)) {
		store_abort(m->c, &r);
		return;
	}
	commit(m, &s, &r, value);
}

/* Values that arrive in two parts, with other commands in between. */
static void do_held(struct model *m)
{
	static char value[MODEL_VALUE_MAX];
	struct model_held *h = &m->held[model_below(m, MODEL_HELD)];
	struct subject s;
	uint32_t half;

	choose(m, &s);
	if (!h->taken) {
		if (!reserve(m, &s, &h->r)) {
			return;
		}
		half = h->r.value_len / 2;
		h->pattern = model_below(m, 61);
		h->key = s.n;
		h->ctx = m->ctx;
		model_fill(h->r.value, half, h->pattern);
		if (store_hold(m->c, &h->r, half) == STORE_OK) {
			h->taken = true;
		}
		return;
	}
	m->c = m->ctxs[h->ctx];
	s.n = h->key;
	s.key = store_key(m->store, s.text, model_key(s.n, s.text));
	s.it = &m->items[s.n];
	half = h->r.value_len / 2;
	model_fill(value, h->r.value_len, h->pattern);
	memcpy(h->r.value + half, value + half, h->r.value_len - half);
	h->taken = false;
	commit(m, &s, &h->r, value);
}

/* ---- finding ----------------------------------------------------------- */

static void borrow(struct model *m, struct store_entry *e)
{
	struct model_loan *l = &m->loans[model_below(m, MODEL_LOANS)];

	model_return_loan(m, l);
	l->loan = entry_borrow(e);
	if (l->loan == NULL) {
		return;
	}
	l->value = e->item.value;
	l->len = e->item.value_len;
	l->copy = malloc((size_t)l->len + 1);
	assert_non_null(l->copy);
	memcpy(l->copy, l->value, l->len);
}

static void use_found(struct model *m, struct subject *s, struct store_entry *e)
{
	model_compare(m, s->it, &e->item);
	if (!model_chance(m, 4)) {
		entry_bump(e);
		s->it->fetched = true;
	}
	if (model_chance(m, 8)) {
		bool won = model_chance(m, 2);

		entry_set_won(e, won);
		s->it->won = won;
	}
	model_compare(m, s->it, &e->item);
	if (model_chance(m, 4)) {
		borrow(m, e);
	}
}

/* A hint: nothing of what follows may depend on it. */
static void prefetch(struct model *m, const struct subject *s)
{
	struct subject other;
	struct store_key keys[2];

	choose(m, &other);
	keys[0] = other.key;
	keys[1] = s->key;
	store_prefetch_batch(m->store, keys, 1 + model_below(m, 2));
}

static void do_get(struct model *m)
{
	struct store_entry e;
	struct subject s;
	bool found;

	choose(m, &s);
	prefetch(m, &s);
	found = store_open(m->c, &s.key, m->now, &e);
	MODEL_CHECK(m, found == model_live(m, s.it));
	MODEL_CHECK(m, found == (e.miss == MISS_NONE));
	if (found) {
		use_found(m, &s, &e);
	} else {
		model_forget(s.it);
	}
	store_close(&e);
}

static void do_touch(struct model *m)
{
	uint32_t exptime = choose_exptime(m);
	struct store_entry e;
	struct subject s;
	enum store_result res;
	bool live;

	choose(m, &s);
	res = store_open_touch(m->c, &s.key, exptime, m->now, &e);
	live = model_live(m, s.it);
	if (res == STORE_NO_MEMORY) {
		MODEL_CHECK(m, m->may_fail || !m->evicts);
		return;
	}
	MODEL_CHECK(m, res == (live ? STORE_OK : STORE_NOT_FOUND));
	if (live) {
		MODEL_CHECK(m, e.exptime_before == s.it->exptime);
		s.it->exptime = exptime;
		model_compare(m, s.it, &e.item);
	} else {
		model_forget(s.it);
	}
	store_close(&e);
}

/* ---- changing ---------------------------------------------------------- */

/* Is it a number?  The model's values start with a digit or a letter. */
static bool read_number(const struct model_item *it, uint64_t *n)
{
	uint32_t len = 0;
	uint32_t zeros = 0;

	while (len < it->value_len && it->value[len] != ' ') {
		len++;
	}
	while (zeros + 1 < len && it->value[zeros] == '0') {
		zeros++;
	}
	return num_parse_u64(it->value + zeros, len - zeros, n);
}

static void apply_delta(struct model *m, struct model_item *it,
			const struct delta *d, uint64_t n)
{
	char digits[NUM_DIGITS];
	uint32_t len = (uint32_t)num_format_u64(digits, n);

	if (len > it->value_len) {
		model_set_value(it, digits, len);
		it->fetched = false;
		it->stale = false;
		it->won = false;
	} else {
		memset(it->value, ' ', it->value_len);
		memcpy(it->value, digits, len);
	}
	if (d->set_exptime) {
		it->exptime = d->exptime;
	}
	model_changed(m, it, d->new_cas);
}

static void apply_first(struct model *m, struct model_item *it,
			const struct delta *d)
{
	char digits[NUM_DIGITS];

	model_forget(it);
	model_set_value(it, digits,
			(uint32_t)num_format_u64(digits, d->initial));
	it->present = true;
	it->exptime = d->create_exptime;
	it->binkey = d->create_binkey;
	model_changed(m, it, d->new_cas);
}

static enum store_result expect_delta(const struct model_item *it, bool live,
				      const struct delta *d, uint64_t *n)
{
	if (!live) {
		*n = d->initial;
		return d->create ? STORE_OK : STORE_NOT_FOUND;
	}
	if (d->compare && d->compare_cas != it->cas) {
		return STORE_EXISTS;
	}
	if (!read_number(it, n)) {
		return STORE_NOT_NUMBER;
	}
	if (d->decrement) {
		*n = *n > d->amount ? *n - d->amount : 0;
	} else {
		*n += d->amount;
	}
	return STORE_OK;
}

static struct delta choose_delta(struct model *m, const struct model_item *it)
{
	struct delta d = {
		.decrement = model_chance(m, 3),
		.compare = model_chance(m, 6),
		.create = model_chance(m, 3),
		.create_binkey = model_chance(m, 8),
		.set_exptime = model_chance(m, 5),
		.exptime = choose_exptime(m),
		.create_exptime = choose_exptime(m),
		.amount = rng_next(&m->rng) >> model_below(m, 64),
		.initial = rng_next(&m->rng) >> model_below(m, 64),
		.new_cas = choose_new_cas(m),
	};

	d.compare_cas = d.compare ? choose_cas(m, it) : 0;
	return d;
}

static void do_delta(struct model *m)
{
	uint64_t result = 0;
	uint64_t n = 0;
	struct store_entry e;
	struct subject s;
	struct delta d;
	enum store_result want;
	enum store_result res;
	bool live;

	choose(m, &s);
	d = choose_delta(m, s.it);
	res = store_delta(m->c, &s.key, &d, m->now, &result, &e);
	live = model_live(m, s.it);
	if (res == STORE_NO_MEMORY) {
		MODEL_CHECK(m, m->may_fail || !m->evicts);
		return;
	}
	want = expect_delta(s.it, live, &d, &n);
	MODEL_CHECK(m, res == want);
	if (res == STORE_OK) {
		MODEL_CHECK(m, result == n);
		if (live) {
			apply_delta(m, s.it, &d, n);
		} else {
			apply_first(m, s.it, &d);
		}
	}
	if (res == STORE_OK || res == STORE_EXISTS) {
		model_compare(m, s.it, &e.item);
		store_close(&e);
	} else if (!live) {
		model_forget(s.it);
	}
}

static void do_remove(struct model *m)
{
	struct change out;
	struct subject s;
	uint64_t cas;
	uint64_t lsn;
	enum store_result want = STORE_NOT_FOUND;
	enum store_result res;
	bool compare = model_chance(m, 3);

	choose(m, &s);
	cas = choose_cas(m, s.it);
	lsn = store_lsn(m->store);
	res = store_remove(m->c, &s.key, compare, cas, m->now, &out);
	if (res == STORE_NO_MEMORY) {
		MODEL_CHECK(m, m->logged && m->may_fail);
		MODEL_CHECK(m, store_lsn(m->store) == lsn);
		return;
	}
	if (model_live(m, s.it)) {
		want = compare && cas != s.it->cas ? STORE_EXISTS : STORE_OK;
	}
	MODEL_CHECK(m, res == want);
	if (res == STORE_OK || (m->logged && res == STORE_NOT_FOUND)) {
		MODEL_CHECK(m, out.lsn == lsn + 1);
	}
	if (res != STORE_EXISTS) {
		model_forget(s.it);
	}
}

static void apply_invalidate(struct model *m, struct model_item *it,
			     const struct invalidate *how)
{
	it->won = false;
	if (how->drop_value) {
		model_set_value(it, "", 0);
		it->cflags = how->cflags;
		it->exptime = how->set_exptime ? how->exptime : 0;
		it->fetched = false;
		it->stale = how->mark_stale;
	} else {
		it->stale = true;
		if (how->set_exptime) {
			it->exptime = how->exptime;
		}
	}
	model_changed(m, it, how->new_cas);
}

static void do_invalidate(struct model *m)
{
	struct invalidate how = {
		.compare = model_chance(m, 4),
		.drop_value = model_chance(m, 2),
		.set_exptime = model_chance(m, 3),
		.exptime = choose_exptime(m),
		.cflags = model_below(m, 3),
		.new_cas = choose_new_cas(m),
	};
	struct change out;
	struct subject s;
	enum store_result want = STORE_NOT_FOUND;
	enum store_result res;

	choose(m, &s);
	how.mark_stale = !how.drop_value || model_chance(m, 2);
	how.compare_cas = choose_cas(m, s.it);
	res = store_invalidate(m->c, &s.key, &how, m->now, &out);
	if (res == STORE_NO_MEMORY) {
		MODEL_CHECK(m, m->may_fail || !m->evicts);
		return;
	}
	if (model_live(m, s.it)) {
		want = how.compare && how.compare_cas != s.it->cas ?
			       STORE_EXISTS :
			       STORE_OK;
	}
	MODEL_CHECK(m, res == want);
	if (res == STORE_OK) {
		apply_invalidate(m, s.it, &how);
		MODEL_CHECK(m, out.lsn == s.it->lsn && out.cas == s.it->cas);
	} else if (res == STORE_NOT_FOUND) {
		model_forget(s.it);
	}
}

/* ---- time, flushes, upkeep --------------------------------------------- */

static void do_time(struct model *m)
{
	m->now += model_below(m, 2);
	if (model_chance(m, 4)) {
		model_tick(m);
		store_maintain(m->c, m->now, 1 + model_below(m, 200));
	}
}

static void do_flush(struct model *m)
{
	bool now = model_chance(m, 2);
	uint32_t at = m->now + model_below(m, 3);
	enum store_result res;
	uint64_t lsn;

	if (!model_chance(m, 400)) {
		return;
	}
	model_tick(m);
	res = now ? store_flush(m->store, m->now, &lsn) :
		    store_flush_at(m->store, at, m->now, &lsn);
	if (res != STORE_OK) {
		MODEL_CHECK(m, res == STORE_NO_MEMORY);
		MODEL_CHECK(m, m->logged && m->may_fail);
		return;
	}
	m->flush_at = now ? 0 : at;
	if (now) {
		MODEL_CHECK(m, lsn == store_lsn(m->store));
		m->barrier = lsn;
	}
}

static void do_limit(struct model *m)
{
	if (model_chance(m, 500)) {
		m->limit = (2 + model_below(m, 7)) << 20;
		MODEL_CHECK(m, store_set_limit(m->store, m->limit));
	}
}

static void count_item(void *arg, const struct item_view *v)
{
	struct model *m = arg;

	model_compare(m, &m->items[model_key_number(v->key)], v);
	m->scanned++;
}

static void do_scan(struct model *m)
{
	uint64_t cursor = 0;
	uint64_t live = 0;

	if (!model_chance(m, 20)) {
		return;
	}
	model_tick(m);
	m->scanned = 0;
	while (store_scan(m->c, &cursor, m->now, count_item, m)) {
	}
	for (uint32_t n = 0; n < m->keys; n++) {
		live += model_live(m, &m->items[n]) ? 1 : 0;
	}
	MODEL_CHECK(m, m->scanned == live);
}

/* ---- sequences --------------------------------------------------------- */

typedef void (*command)(struct model *m);

static const command commands[] = {
	do_store, do_store, do_store, do_store,      do_store,
	do_held,  do_held,  do_get,   do_get,        do_get,
	do_get,   do_touch, do_delta, do_delta,      do_remove,
	do_time,  do_flush, do_scan,  do_invalidate,
};

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

enum { STEPS = 40000, LOGGED_STEPS = 20000, SEEDS = 2 };

struct variant {
	bool evict;
	bool refuses;  /* without eviction: memory runs out */
	bool limits;   /* the limit moves */
	bool failures; /* allocations are refused now and then */
	bool logged;
	uint32_t keys;
	uint64_t limit;
};

/* A run of full length must have got to what its variant is about. */
static void check_reached(struct model *m, const struct variant *v)
{
	MODEL_CHECK(m, v->evict == (m->evicted > 0));
	MODEL_CHECK(m, v->evict || v->refuses == (m->no_memory > 0));
	MODEL_CHECK(m, v->failures == (m->refused > 0));
}

static void run(const struct variant *v, uint64_t seed, uint64_t steps)
{
	struct model_config config = {
		.seed = seed,
		.limit = v->limit,
		.reserve = 8 << 20,
		.keys = v->keys,
		.evict = v->evict,
		.logged = v->logged,
	};
	struct model *m = model_new(&config);
	const uint32_t count = sizeof(commands) / sizeof(commands[0]);

	m->may_fail = v->failures;
	for (m->step = 0; m->step < steps; m->step++) {
		m->ctx = model_below(m, MODEL_CTXS);
		m->c = m->ctxs[m->ctx];
		if (v->failures && m->fail_in == 0) {
			m->fail_in = 1 + model_below(m, 40);
		}
		if (v->limits) {
			do_limit(m);
		}
		commands[model_below(m, count)](m);
		if (v->logged) {
			model_follow(m);
		}
		if (m->step % 4096 == 0) {
			store_verify(m->store);
		}
	}
	m->fail_in = 0;
	model_compare_all(m);
	if (v->logged) {
		model_replay_all(m);
	}
	if (steps >= LOGGED_STEPS) {
		check_reached(m, v);
	}
	model_free(m);
}

static void run_seeds(const struct variant *v)
{
	uint64_t seed = env_number("DOZO_SEED", 1);
	uint64_t steps = env_number("DOZO_STEPS",
				    v->logged ? LOGGED_STEPS : STEPS);

	for (uint64_t i = 0; i < SEEDS; i++) {
		run(v, seed + i, steps);
	}
}

static void test_evicting(void **state)
{
	const struct variant v = { .evict = true,
				   .keys = 3000,
				   .limit = 2 << 20 };

	(void)state;
	run_seeds(&v);
}

static void test_without_eviction(void **state)
{
	const struct variant v = { .keys = 150, .limit = 4 << 20 };

	(void)state;
	run_seeds(&v);
}

static void test_full_without_eviction(void **state)
{
	const struct variant v = { .refuses = true,
				   .keys = 2000,
				   .limit = 2 << 20 };

	(void)state;
	run_seeds(&v);
}

static void test_moving_limit(void **state)
{
	const struct variant v = {
		.evict = true, .limits = true, .keys = 3000, .limit = 4 << 20
	};

	(void)state;
	run_seeds(&v);
}

static void test_failing_allocations(void **state)
{
	const struct variant v = { .evict = true,
				   .failures = true,
				   .limits = true,
				   .keys = 2500,
				   .limit = 4 << 20 };

	(void)state;
	run_seeds(&v);
}

static void test_logged(void **state)
{
	const struct variant v = {
		.logged = true,
		.keys = 150,
		.limit = 4 << 20,
	};

	(void)state;
	run_seeds(&v);
}

static void test_logged_evicting(void **state)
{
	const struct variant v = {
		.evict = true,
		.logged = true,
		.keys = 2000,
		.limit = 2 << 20,
	};

	(void)state;
	run_seeds(&v);
}

static void test_logged_failing(void **state)
{
	const struct variant v = {
		.evict = true,
		.failures = true,
		.logged = true,
		.keys = 2500,
		.limit = 2 << 20,
	};

	(void)state;
	run_seeds(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evicting),
		cmocka_unit_test(test_without_eviction),
		cmocka_unit_test(test_full_without_eviction),
		cmocka_unit_test(test_moving_limit),
		cmocka_unit_test(test_failing_allocations),
		cmocka_unit_test(test_logged),
		cmocka_unit_test(test_logged_evicting),
		cmocka_unit_test(test_logged_failing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
