/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reservations: places in which values are received.
 *
 * A value that arrives at once goes straight to its final place.  One that
 * takes its time holds its segment back from being freed; so that slow
 * senders cannot hold all of them, only some segments may be held, and what
 * comes after that is received into memory of its own and copied at the end.
 */
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "store/evict.h"
#include "store/place.h"

static_assert(sizeof(((struct reservation *)0)->key) == KEY_MAX,
	      "a reservation has room for any key");

enum {
	PLACE_NONE,
	PLACE_SEGMENT,
	PLACE_LARGE,
	PLACE_STAGED, /* in a struct large that is not to be published */
	PLACE_HELD = 0x80,
};

void place_view(const struct reservation *r, struct item_view *v)
{
	*v = (struct item_view){
		.key = r->key,
		.value = r->value,
		.value_len = r->value_len,
		.cflags = r->cflags,
		.exptime = r->exptime,
		.key_len = r->key_len,
		.binkey = r->binkey,
	};
}

static uint32_t size_of(const struct reservation *r)
{
	struct item_view v;

	place_view(r, &v);
	return (uint32_t)item_size(&v, EXTRA_NONE);
}

struct space place_space(const struct reservation *r)
{
	switch (r->place & ~PLACE_HELD) {
	case PLACE_SEGMENT:
		return (struct space){
			.kind = SPACE_SEGMENT,
			.size = size_of(r),
			.raw = r->raw,
			.location = r->where,
		};
	case PLACE_LARGE:
		return (struct space){
			.kind = SPACE_LARGE,
			.raw = r->raw,
			.location = r->where,
		};
	default:
		return (struct space){ .kind = SPACE_NONE };
	}
}

/*
 * What is stored again keeps its queue, and what comes back soon after it was
 * evicted goes to main.  On the way the item that will be replaced is asked
 * for from memory, so that it is there when store_commit() reads its key.
 *
 * An item that was seen when the key was looked at ahead has been asked for;
 * if it is no longer there, another queue would have been better, no more.
 */
static enum queue_name choose_queue(struct store_ctx *c,
				    const struct store_key *key)
{
	struct store *s = c->store;
	uint64_t hash = key->hash;
	struct shard *shard = state_shard(s, hash);
	enum queue_name q = s->pool.evicts ? QUEUE_SMALL : QUEUE_MAIN;
	struct probe p;
	uint64_t *slot;

	if (key->seen != 0 && !location_is_large(key->seen)) {
		return state_queue(s, key->seen);
	}
	lock_take(&shard->lock);
	p = table_probe(&shard->table, table_tag(hash));
	slot = probe_next(&p);
	if (slot != NULL) {
		state_prefetch(s, slot_location(*slot));
		q = state_queue(s, slot_location(*slot));
	} else if (ghost_take(&shard->ghost, hash)) {
		q = QUEUE_MAIN;
		counter_add(&c->tally.ghost_hits, 1);
	}
	lock_give(&shard->lock);
	return q;
}

enum store_result store_reserve(struct store_ctx *c,
				const struct store_key *key, uint32_t value_len,
				uint32_t cflags, uint32_t exptime, bool binkey,
				uint32_t now, struct reservation *r)
{
	struct item_view v;
	struct space sp;

	r->value_len = value_len;
	r->cflags = cflags;
	r->exptime = exptime;
	r->key_len = key->len;
	r->binkey = binkey;
	r->place = PLACE_NONE;
	r->hash = key->hash;
	memcpy(r->key, key->data, key->len);
	place_view(r, &v);
	r->queue = (uint8_t)choose_queue(c, key);
	if (!space_take(c, &v, EXTRA_NONE, key->hash, r->queue, now, &sp)) {
		return STORE_NO_MEMORY;
	}
	r->place = sp.kind == SPACE_LARGE ? PLACE_LARGE : PLACE_SEGMENT;
	r->raw = sp.raw;
	r->where = sp.location;
	r->value = space_value(&sp, &v, EXTRA_NONE);
	return STORE_OK;
}

/* Counts bytes of values that arrive slowly: half the memory at most. */
static bool count_held(struct store *s, const struct reservation *r)
{
	uint64_t bytes = size_of(r);
	uint64_t before = atomic_fetch_add(&s->pool.held_bytes, bytes);

	if (before + bytes <= budget_limit(&s->supply.budget) / 2) {
		return true;
	}
	atomic_fetch_sub(&s->pool.held_bytes, bytes);
	return false;
}

/* Goes on receiving in memory of its own. */
static bool stage(struct store_ctx *c, struct reservation *r, uint32_t filled)
{
	struct store *s = c->store;
	struct space sp = place_space(r);
	uint64_t cost = large_cost(r->key_len, r->value_len);
	struct item_view v;
	struct large *l;

	place_view(r, &v);
	if (!budget_take(&s->supply.budget, cost) &&
	    !(large_spares_drop(&s->pool) &&
	      budget_take(&s->supply.budget, cost))) {
		return false;
	}
	l = large_new(&s->pool, &v, r->hash, NULL);
	if (l == NULL) {
		budget_give(&s->supply.budget, cost);
		return false;
	}
	memcpy(large_value(l), r->value, filled);
	space_drop(s, &sp);
	r->place = PLACE_STAGED;
	r->raw = l;
	r->where = 0;
	r->value = large_value(l);
	return true;
}

enum store_result store_hold(struct store_ctx *c, struct reservation *r,
			     uint32_t filled)
{
	struct store *s = c->store;

	check(r->place != PLACE_NONE && filled <= r->value_len);
	if ((r->place & PLACE_HELD) != 0) {
		return STORE_OK;
	}
	if (!count_held(s, r)) {
		store_abort(c, r);
		return STORE_NO_MEMORY;
	}
	if (r->place == PLACE_SEGMENT &&
	    !pool_hold(&s->pool, pool_segment_of(&s->pool, r->where)) &&
	    !stage(c, r, filled)) {
		atomic_fetch_sub(&s->pool.held_bytes, size_of(r));
		store_abort(c, r);
		counter_add(&c->tally.out_of_memory, 1);
		return STORE_NO_MEMORY;
	}
	r->place |= PLACE_HELD;
	return STORE_OK;
}

void place_unhold(struct store *s, struct reservation *r)
{
	if ((r->place & PLACE_HELD) == 0) {
		return;
	}
	r->place &= (uint8_t)~PLACE_HELD;
	atomic_fetch_sub(&s->pool.held_bytes, size_of(r));
	if (r->place == PLACE_SEGMENT) {
		pool_unhold(&s->pool, pool_segment_of(&s->pool, r->where));
	}
}

void place_done(struct store *s, struct reservation *r)
{
	struct space sp;

	place_unhold(s, r);
	if (r->place == PLACE_STAGED) {
		large_unref(&s->pool, r->raw);
	} else {
		sp = place_space(r);
		space_drop(s, &sp);
	}
	r->place = PLACE_NONE;
}

void place_spent(struct reservation *r)
{
	r->place = PLACE_NONE;
}

void store_abort(struct store_ctx *c, struct reservation *r)
{
	place_done(c->store, r);
}
