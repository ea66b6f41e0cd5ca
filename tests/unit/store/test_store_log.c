/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store with a log: which record each change leaves, what replies depend
 * on, and that a log that takes nothing lets nothing change.
 */
#include "store_fixture.h"
#include "store_replay.h"

enum { WINDOW_SMALL = 64 * 1024, EXPTIME = NOW + 100 };

struct logged {
	struct fixture f;
	struct replay r;
};

static void open_logged(void **state, uint64_t window)
{
	struct logged *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	replay_open(&l->r, window, NULL, NULL);
	replay_begin(&l->r, 1000);
	fixture_open_logged(&l->f, 8 * MIB, true, l->r.log);
	*state = l;
}

static int setup(void **state)
{
	open_logged(state, REPLAY_WINDOW);
	return 0;
}

/* With a log that is soon full. */
static int setup_small(void **state)
{
	open_logged(state, WINDOW_SMALL);
	return 0;
}

static int teardown(void **state)
{
	struct logged *l = *state;

	fixture_close(&l->f);
	replay_close(&l->r);
	free(l);
	return 0;
}

static uint64_t lsn_of(const struct logged *l)
{
	return store_lsn(l->f.s);
}

/* What a look-up depends on. */
static uint64_t depends(struct logged *l, const char *name)
{
	struct store_key key = key_named(&l->f, name);
	struct store_entry e;

	store_open(l->f.c, &key, l->f.now, &e);
	store_close(&e);
	return e.depends;
}

static bool has(struct logged *l, const char *name, const char *value)
{
	struct store_key key = key_named(&l->f, name);
	struct store_entry e;
	bool found = store_open(l->f.c, &key, l->f.now, &e);

	found = found && e.item.value_len == strlen(value) &&
		memcmp(e.item.value, value, e.item.value_len) == 0;
	store_close(&e);
	return found;
}

static enum store_result set(struct logged *l, const char *name,
			     const char *value, uint32_t exptime)
{
	return put(&l->f, key_named(&l->f, name), value,
		   (uint32_t)strlen(value), exptime);
}

static enum store_result touch(struct logged *l, const char *name,
			       uint32_t exptime)
{
	struct store_key key = key_named(&l->f, name);
	struct store_entry e;
	enum store_result res;

	res = store_open_touch(l->f.c, &key, exptime, l->f.now, &e);
	if (res != STORE_NO_MEMORY) {
		store_close(&e);
		assert_true(res != STORE_OK || e.depends == lsn_of(l));
	}
	return res;
}

static enum store_result add_to(struct logged *l, const char *name,
				uint64_t amount)
{
	const struct delta d = { .amount = amount };
	struct store_key key = key_named(&l->f, name);
	struct store_entry e;
	uint64_t number;
	enum store_result res;

	res = store_delta(l->f.c, &key, &d, l->f.now, &number, &e);
	if (res == STORE_OK) {
		store_close(&e);
	}
	return res;
}

static enum store_result drop(struct logged *l, const char *name,
			      struct change *out)
{
	struct store_key key = key_named(&l->f, name);

	return store_remove(l->f.c, &key, false, 0, l->f.now, out);
}

/* ---- records ----------------------------------------------------------- */

/* The last record is of this kind and key, and of the last LSN. */
static struct record expect(struct logged *l, uint8_t kind, const char *name)
{
	struct record r = replay_last(&l->r);

	assert_int_equal(r.kind, kind);
	assert_int_equal(r.lsn, lsn_of(l));
	assert_int_equal(r.time, l->f.now);
	assert_int_equal(r.key_len, strlen(name));
	assert_memory_equal(r.key, name, r.key_len);
	return r;
}

static void value_is(const struct record *r, const char *value)
{
	assert_int_equal(r->value_len, strlen(value));
	assert_memory_equal(r->value, value, r->value_len);
}

static void test_records_of_items(void **state)
{
	const struct invalidate stale = { .mark_stale = true };
	struct logged *l = *state;
	struct record r;
	struct change out;
	struct store_key key;

	assert_int_equal(lsn_of(l), 1000);
	assert_int_equal(set(l, "a", "41", EXPTIME), STORE_OK);
	r = expect(l, RECORD_ITEM, "a");
	assert_int_equal(r.lsn, 1001);
	assert_int_equal(r.exptime, EXPTIME);
	assert_int_equal(r.cas, 0);
	assert_int_equal(r.marks, 0);
	value_is(&r, "41");
	l->f.now++;
	assert_int_equal(add_to(l, "a", 1), STORE_OK);
	r = expect(l, RECORD_ITEM, "a");
	value_is(&r, "42");
	assert_int_equal(r.exptime, EXPTIME);
	assert_int_equal(add_to(l, "a", 100), STORE_OK);
	r = expect(l, RECORD_ITEM, "a");
	value_is(&r, "142");
	key = key_named(&l->f, "a");
	assert_int_equal(store_invalidate(l->f.c, &key, &stale, l->f.now, &out),
			 STORE_OK);
	r = expect(l, RECORD_ITEM, "a");
	assert_int_equal(r.marks, MARK_STALE);
	assert_int_equal(out.lsn, r.lsn);
	value_is(&r, "142");
}

static void test_record_of_touch(void **state)
{
	struct logged *l = *state;
	struct store_key key;
	struct store_entry e;
	struct record r;
	uint64_t lsn;

	set(l, "a", "value", 0);
	lsn = lsn_of(l);
	assert_int_equal(touch(l, "a", EXPTIME), STORE_OK);
	r = expect(l, RECORD_TOUCH, "a");
	assert_int_equal(r.lsn, lsn + 1);
	assert_int_equal(r.item_lsn, lsn);
	assert_int_equal(r.exptime, EXPTIME);
	/* In place now. */
	assert_int_equal(touch(l, "a", 0), STORE_OK);
	r = expect(l, RECORD_TOUCH, "a");
	assert_int_equal(r.item_lsn, lsn);
	assert_int_equal(r.exptime, 0);
	key = key_named(&l->f, "a");
	assert_true(store_open(l->f.c, &key, NOW, &e));
	assert_int_equal(e.item.lsn, lsn);
	assert_int_equal(e.item.cas, lsn);
	assert_int_equal(e.depends, lsn + 2);
	store_close(&e);
	assert_int_equal(touch(l, "b", 0), STORE_NOT_FOUND);
	assert_int_equal(lsn_of(l), lsn + 2);
}

static void test_record_of_removal(void **state)
{
	struct logged *l = *state;
	struct change out;
	struct store_key key;
	uint64_t lsn;

	set(l, "a", "value", NOW + 1);
	key = key_named(&l->f, "a");
	lsn = lsn_of(l);
	assert_int_equal(store_remove(l->f.c, &key, true, 7, NOW, &out),
			 STORE_EXISTS);
	assert_int_equal(lsn_of(l), lsn);
	assert_int_equal(out.lsn, lsn);
	assert_int_equal(drop(l, "a", &out), STORE_OK);
	expect(l, RECORD_REMOVE, "a");
	assert_int_equal(out.lsn, lsn + 1);
	/* Of what is not there, too (L7). */
	assert_int_equal(drop(l, "a", &out), STORE_NOT_FOUND);
	expect(l, RECORD_REMOVE, "a");
	assert_int_equal(out.lsn, lsn + 2);
	set(l, "a", "value", NOW + 1);
	l->f.now = NOW + 1;
	assert_int_equal(drop(l, "a", &out), STORE_NOT_FOUND);
	expect(l, RECORD_REMOVE, "a");
}

/*
 * What is invalidated after it was forgotten must not come back as good, so
 * that is a removal (L7).
 */
static void test_record_of_invalidation_of_nothing(void **state)
{
	const struct invalidate how[] = { { .mark_stale = true },
					  { .drop_value = true } };
	struct logged *l = *state;
	struct change out;
	uint64_t lsn;

	for (int i = 0; i < 2; i++) {
		struct store_key key = key_named(&l->f, "a");

		lsn = lsn_of(l);
		assert_int_equal(store_invalidate(l->f.c, &key, &how[i], NOW,
						  &out),
				 STORE_NOT_FOUND);
		expect(l, RECORD_REMOVE, "a");
		assert_int_equal(out.lsn, lsn + 1);
		assert_int_equal(out.cas, 0);
		assert_int_equal(depends(l, "a"), lsn + 1);
	}
}

static void test_record_of_cas(void **state)
{
	const struct commit how = { .mode = MODE_SET, .new_cas = 77 };
	struct reservation res;
	struct logged *l = *state;
	struct store_key key;
	struct change out;
	struct record r;

	key = key_named(&l->f, "a");
	assert_int_equal(store_reserve(l->f.c, &key, 1, 9, 0, true, NOW, &res),
			 STORE_OK);
	*res.value = 'x';
	assert_int_equal(store_commit(l->f.c, &res, &how, JOINED_MAX, NOW,
				      &out),
			 STORE_OK);
	r = expect(l, RECORD_ITEM, "a");
	assert_int_equal(r.cas, 77);
	assert_int_equal(r.cflags, 9);
	assert_int_equal(r.marks, MARK_BINKEY);
	assert_int_equal(out.cas, 77);
	assert_int_equal(out.lsn, r.lsn);
}

static void test_records_of_flushes(void **state)
{
	struct logged *l = *state;
	struct record r;
	uint64_t lsn;

	set(l, "a", "1", 0);
	lsn = flush(&l->f);
	r = expect(l, RECORD_FLUSH, "");
	assert_int_equal(r.lsn, lsn);
	assert_int_equal(stats_of(&l->f).barrier, lsn_of(l));
	flush_at(&l->f, NOW + 2);
	r = expect(l, RECORD_FLUSH_AT, "");
	assert_int_equal(r.number, NOW + 2);
	assert_int_equal(store_flush_pending(l->f.s), NOW + 2);
	set(l, "a", "2", 0);
	l->f.now = NOW + 2;
	assert_false(has(l, "a", "2"));
	/* Hidden, and no record of it yet. */
	l->f.now = NOW;
	expect(l, RECORD_ITEM, "a");
	l->f.now = NOW + 3;
	set(l, "a", "3", 0);
	assert_true(has(l, "a", "3"));
	/* It came before what was stored after it. */
	assert_int_equal(stats_of(&l->f).barrier, lsn_of(l) - 1);
	assert_int_equal(store_flush_pending(l->f.s), 0);
}

/* In its own second a flush has no record yet: what replaces it makes one. */
static void test_replaced_flush_is_not_forgotten(void **state)
{
	struct logged *l = *state;
	struct record r;
	uint64_t lsn;

	set(l, "a", "1", 0);
	lsn = lsn_of(l);
	flush_at(&l->f, NOW + 2);
	l->f.now = NOW + 2;
	assert_false(has(l, "a", "1"));
	flush_at(&l->f, NOW + 20);
	assert_int_equal(lsn_of(l), lsn + 3);
	assert_int_equal(stats_of(&l->f).barrier, lsn + 2);
	r = replay_last(&l->r);
	assert_int_equal(r.kind, RECORD_FLUSH_AT);
	assert_int_equal(r.number, NOW + 20);
	set(l, "a", "2", 0);
	assert_true(has(l, "a", "2"));
}

/* ---- what replies depend on -------------------------------------------- */

static void test_depends(void **state)
{
	struct logged *l = *state;
	struct change out;
	uint64_t lsn;

	assert_int_equal(depends(l, "a"), 0);
	set(l, "a", "1", 0);
	lsn = lsn_of(l);
	assert_int_equal(depends(l, "a"), lsn);
	drop(l, "a", &out);
	assert_int_equal(depends(l, "a"), lsn + 1);
	/* What was there and has expired may be why there is nothing. */
	set(l, "b", "1", NOW + 1);
	lsn = lsn_of(l);
	l->f.now = NOW + 1;
	assert_int_equal(depends(l, "b"), lsn);
	assert_int_equal(depends(l, "b"), lsn);
	lsn = flush(&l->f);
	assert_int_equal(depends(l, "a"), lsn);
	assert_int_equal(depends(l, "nobody"), lsn);
	set(l, "a", "2", 0);
	assert_int_equal(depends(l, "a"), lsn + 1);
}

static void test_refusals_depend(void **state)
{
	const struct commit add = { .mode = MODE_ADD };
	const struct commit replace = { .mode = MODE_REPLACE };
	struct reservation res;
	struct logged *l = *state;
	struct store_key key;
	struct change out;
	uint64_t lsn;

	set(l, "a", "1", 0);
	lsn = lsn_of(l);
	key = key_named(&l->f, "a");
	store_reserve(l->f.c, &key, 0, 0, 0, false, NOW, &res);
	assert_int_equal(store_commit(l->f.c, &res, &add, JOINED_MAX, NOW,
				      &out),
			 STORE_NOT_STORED);
	assert_int_equal(out.lsn, lsn);
	drop(l, "a", &out);
	store_reserve(l->f.c, &key, 0, 0, 0, false, NOW, &res);
	assert_int_equal(store_commit(l->f.c, &res, &replace, JOINED_MAX, NOW,
				      &out),
			 STORE_NOT_STORED);
	assert_int_equal(out.lsn, lsn + 1);
	assert_int_equal(lsn_of(l), lsn + 1);
}

static void test_eviction_is_not_forgotten(void **state)
{
	struct logged *l = *state;
	uint64_t lsn;

	set(l, "a", "1", 0);
	lsn = lsn_of(l);
	for (uint64_t i = 0; l->f.evicted == 0 || has(l, "a", "1"); i++) {
		assert_true(i < 100000);
		assert_int_equal(put_number(&l->f, i, 1000, 0), STORE_OK);
		replay_pump(&l->r);
	}
	assert_true(depends(l, "a") >= lsn);
}

/* ---- a log that takes nothing ------------------------------------------ */

/* With the smallest records that there are. */
static void fill_log(struct logged *l)
{
	const struct record r = { .kind = RECORD_FLUSH };
	struct log_slot slot;
	int n = 0;

	while (log_reserve(l->r.log, &r, &slot)) {
		log_publish(l->r.log, &slot, &r);
		assert_true(++n < 100000);
	}
}

/* Nothing of this is done. */
static void expect_refused(struct logged *l)
{
	struct change out;
	uint64_t lsn = lsn_of(l);
	uint64_t items = stats_of(&l->f).items;
	uint64_t got;

	assert_int_equal(set(l, "new", "1", 0), STORE_NO_MEMORY);
	assert_int_equal(set(l, "a", "2", 0), STORE_NO_MEMORY);
	assert_int_equal(add_to(l, "a", 1), STORE_NO_MEMORY);
	assert_int_equal(add_to(l, "a", 100), STORE_NO_MEMORY);
	assert_int_equal(touch(l, "a", EXPTIME), STORE_NO_MEMORY);
	assert_int_equal(touch(l, "b", 0), STORE_NO_MEMORY);
	assert_int_equal(drop(l, "a", &out), STORE_NO_MEMORY);
	assert_int_equal(out.lsn, 0);
	assert_int_equal(drop(l, "nobody", &out), STORE_NO_MEMORY);
	assert_int_equal(store_flush(l->f.s, l->f.now, &got), STORE_NO_MEMORY);
	assert_int_equal(store_flush_at(l->f.s, NOW + 50, l->f.now, &got),
			 STORE_NO_MEMORY);
	assert_int_equal(lsn_of(l), lsn);
	assert_int_equal(stats_of(&l->f).items, items);
	store_verify(l->f.s);
}

static void test_full_log_changes_nothing(void **state)
{
	struct logged *l = *state;

	set(l, "a", "7", 0);
	set(l, "b", "1", EXPTIME);
	fill_log(l);
	expect_refused(l);
	assert_true(has(l, "a", "7"));
	assert_true(has(l, "b", "1"));
	assert_false(stats_of(&l->f).flush_pending);
	replay_pump(&l->r);
	assert_int_equal(set(l, "new", "1", 0), STORE_OK);
	assert_int_equal(add_to(l, "a", 1), STORE_OK);
	assert_true(has(l, "a", "8"));
}

/*
 * A delayed flush whose record the log does not take: everything is dead all
 * the same, and nothing is stored that the flush would kill when it is logged
 * at last.
 */
static void test_full_log_delays_flush(void **state)
{
	struct logged *l = *state;
	struct record r;
	uint64_t lsn;

	set(l, "a", "7", 0);
	flush_at(&l->f, NOW + 1);
	fill_log(l);
	l->f.now = NOW + 5;
	assert_false(has(l, "a", "7"));
	lsn = lsn_of(l);
	assert_int_equal(set(l, "a", "8", 0), STORE_NO_MEMORY);
	assert_int_equal(store_flush_pending(l->f.s), NOW + 1);
	assert_int_equal(lsn_of(l), lsn);
	replay_pump(&l->r);
	assert_int_equal(set(l, "a", "8", 0), STORE_OK);
	assert_int_equal(lsn_of(l), lsn + 2);
	assert_int_equal(store_flush_pending(l->f.s), 0);
	assert_int_equal(stats_of(&l->f).barrier, lsn + 1);
	l->f.now = NOW + 6;
	assert_true(has(l, "a", "8"));
	r = replay_last(&l->r);
	assert_int_equal(r.kind, RECORD_ITEM);
}

/* While a flush waits for its record, no other may get past it. */
static void test_nothing_passes_a_stuck_flush(void **state)
{
	struct logged *l = *state;

	set(l, "a", "1", 0);
	atomic_store(&l->f.s->flush_stuck, true);
	assert_int_equal(set(l, "a", "2", 0), STORE_NO_MEMORY);
	assert_true(has(l, "a", "1"));
	/* The tick of an operation is the next try. */
	atomic_store(&l->f.s->flush_stuck, false);
	flush_at(&l->f, NOW + 1);
	atomic_store(&l->f.s->flush_stuck, true);
	l->f.now = NOW + 2;
	assert_int_equal(set(l, "a", "3", 0), STORE_OK);
	assert_false(atomic_load(&l->f.s->flush_stuck));
	assert_true(has(l, "a", "3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_records_of_items, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_record_of_touch, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_record_of_removal, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_record_of_invalidation_of_nothing, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_record_of_cas, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_records_of_flushes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_replaced_flush_is_not_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_depend, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_eviction_is_not_forgotten,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_log_changes_nothing,
						setup_small, teardown),
		cmocka_unit_test_setup_teardown(test_full_log_delays_flush,
						setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			test_nothing_passes_a_stuck_flush, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
