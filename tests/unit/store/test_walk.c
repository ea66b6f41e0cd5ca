/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Walks and what happens to a segment meanwhile.
 */
#include "store/walk.h"
#include "store_fixture.h"

enum { ITEMS = 50 };

static void walk_to_the_end(struct fixture *f, uint32_t n, enum walk_aim aim)
{
	struct pool *p = &f->s->pool;

	lock_take(&p->lock);
	assert_true(pool_claim(p, n));
	lock_give(&p->lock);
	walk_start(f->c, &f->c->reclaim, n, aim);
	while (f->c->reclaim.segment != 0) {
		assert_true(walk_step(f->c, &f->c->reclaim, MIB, f->now) > 0);
	}
}

/*
 * Items that are taken out of the table become gaps before they are counted
 * dead, and a walk may come by in between: the segment is free when the last
 * has been counted.
 */
static void test_a_gap_that_is_not_counted_yet(void **state)
{
	struct fixture f;
	struct pool *p;
	struct store_ctx *other;
	struct store_entry e;
	struct store_key key;
	uint64_t location;
	uint32_t size;
	uint32_t n;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	p = &f.s->pool;
	other = f.c;
	for (uint64_t i = 0; i < ITEMS; i++) {
		assert_int_equal(put_number(&f, i, 100, 0), STORE_OK);
	}
	f.c = store_ctx_new(f.s);
	assert_non_null(f.c);
	store_ctx_free(other); /* which seals its segment */

	/* As state_forget() does, up to the gap. */
	key = key_of(&f, 7);
	assert_true(store_open(f.c, &key, f.now, &e));
	location = slot_location(*(uint64_t *)e.slot);
	size = e.item.size;
	n = pool_segment_of(p, location);
	table_remove(&((struct shard *)e.shard)->table, &f.s->supply, e.slot);
	counter_add(&f.c->tally.items, (uint64_t)-1);
	item_bury(pool_at(p, location), size);
	store_close(&e);

	walk_to_the_end(&f, n, WALK_CLEAN);
	assert_int_equal(atomic_load(&p->segments[n].state), SEG_SEALED);
	pool_kill(p, n, size);
	assert_int_equal(atomic_load(&p->segments[n].state), SEG_FREE);
	for (uint64_t i = 0; i < ITEMS; i++) {
		key = key_of(&f, i);
		assert_int_equal(store_open(f.c, &key, f.now, &e), i != 7);
		store_close(&e);
	}
	fixture_close(&f);
}

/* A sweep that is stopped, and done again from the start, loses nothing. */
static void test_a_walk_that_is_stopped(void **state)
{
	struct fixture f;
	struct pool *p;
	struct store_ctx *other;
	uint32_t n;

	(void)state;
	fixture_open(&f, 16 * MIB, true);
	p = &f.s->pool;
	other = f.c;
	for (uint64_t i = 0; i < ITEMS; i++) {
		assert_int_equal(put_number(&f, i, 100, f.now + 1), STORE_OK);
	}
	n = other->open[QUEUE_SMALL].segment;
	f.c = store_ctx_new(f.s);
	assert_non_null(f.c);
	store_ctx_free(other);

	lock_take(&p->lock);
	assert_true(pool_claim(p, n));
	lock_give(&p->lock);
	walk_start(f.c, &f.c->sweep, n, WALK_SWEEP);
	f.now++;
	assert_true(walk_step(f.c, &f.c->sweep, 500, f.now) > 0);
	assert_int_equal(f.c->sweep.segment, n);
	walk_stop(f.c, &f.c->sweep);
	assert_int_equal(atomic_load(&p->segments[n].state), SEG_SEALED);
	walk_to_the_end(&f, n, WALK_SWEEP);
	assert_int_equal(atomic_load(&p->segments[n].state), SEG_FREE);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_gap_that_is_not_counted_yet),
		cmocka_unit_test(test_a_walk_that_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
