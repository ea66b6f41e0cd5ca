/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replay: records of the log become items again (L5).
 *
 * The order of a key's records is given; between keys there is none, so that
 * several threads can share the work.  What a flush means must not depend on
 * when its record comes either: an item at or below the barrier is not stored,
 * or dies when the barrier is raised; and of flushes and intentions the last
 * one counts, by its LSN.
 *
 * Look-ups are made at TIME_OF_REPLAY: an item whose time has passed stays
 * where it is as long as a touch may come.  When memory is short, the time is
 * that of the record, less what the clocks of two threads may differ by: what
 * had expired by then cannot be touched by any later record.
 */
#include <string.h>

#include "base/heap.h"
#include "log/record.h"
#include "store/space.h"

enum {
	/* Threads read the clock once in a turn. */
	CLOCK_SLACK_S = 5,
	SWEEP_ITEMS = 10000,
	SWEEPS_MAX = 10000,
	EXPECT_SPREAD = 16,
	/* From so many bytes of tables on, their memory is made ready. */
	PREPARE_MIN = 4 << 20,
};

/* No later change may draw what has been used. */
static void raise_lsn(struct store *s, uint64_t lsn)
{
	uint64_t seen = atomic_load_explicit(&s->lsn, memory_order_relaxed);

	while (seen < lsn &&
	       !atomic_compare_exchange_weak(&s->lsn, &seen, lsn)) {
	}
}

static uint32_t certain_time(const struct record *r)
{
	return r->time > CLOCK_SLACK_S ? r->time - CLOCK_SLACK_S : 0;
}

/* ---- items ------------------------------------------------------------- */

static struct item_view view_of(const struct record *r)
{
	return (struct item_view){
		.key = r->key,
		.lsn = r->lsn,
		.cas = r->cas != 0 ? r->cas : r->lsn,
		.value_len = r->value_len,
		.cflags = r->cflags,
		.exptime = r->exptime,
		.accessed = r->time,
		.key_len = r->key_len,
		.fetched = (r->marks & MARK_FETCHED) != 0,
		.stale = (r->marks & MARK_STALE) != 0,
		.won = (r->marks & MARK_WON) != 0,
		.binkey = (r->marks & MARK_BINKEY) != 0,
	};
}

/* What was read before goes where a reader would have brought it. */
static enum queue_name queue_of(const struct store *s, const struct record *r)
{
	return !s->pool.evicts || (r->marks & MARK_FETCHED) != 0 ? QUEUE_MAIN :
								   QUEUE_SMALL;
}

/* Without eviction, what has expired is looked for when memory is short. */
static bool sweep_for_room(struct store_ctx *c, uint32_t now)
{
	int sweeps = 0;

	if (c->store->pool.evicts) {
		return false;
	}
	while (sweeps < SWEEPS_MAX && state_maintain(c, now, SWEEP_ITEMS)) {
		sweeps++;
	}
	return true;
}

static bool take(struct store_ctx *c, const struct item_view *v,
		 unsigned extras, uint64_t hash, enum queue_name q,
		 uint32_t now, struct space *sp)
{
	return space_take(c, v, extras, hash, q, now, sp) ||
	       (sweep_for_room(c, now) &&
		space_take(c, v, extras, hash, q, now, sp));
}

/* Writes the item to a place of its own; false: no memory. */
static bool write_apart(struct store_ctx *c, const struct store_key *key,
			const struct record *r, struct space *sp)
{
	struct store *s = c->store;
	struct item_view v = view_of(r);
	unsigned extras = v.cas != v.lsn ? EXTRA_CAS : EXTRA_NONE;
	enum queue_name q = queue_of(s, r);
	uint32_t now = certain_time(r);

	if (!item_lsn_fits(v.lsn, store_lsn(s))) {
		extras |= EXTRA_WIDE;
	}
	if (!take(c, &v, extras, key->hash, q, now, sp)) {
		return false;
	}
	if (!space_fits(s, sp, &v, extras)) {
		/* Others have applied much meanwhile. */
		space_drop(s, sp);
		extras |= EXTRA_WIDE;
		if (!take(c, &v, extras, key->hash, q, now, sp)) {
			return false;
		}
	}
	space_write(s, sp, &v, extras);
	memcpy(space_value(sp, &v, extras), r->value, r->value_len);
	return true;
}

/*
 * Puts what was written into the table, if nothing newer is known.  The
 * barrier is read with the shard locked: it may have been raised over the
 * record since its place was taken.
 */
static enum store_applied put(struct store_entry *e, const struct record *r,
			      struct space *sp)
{
	struct store_ctx *c = e->ctx;
	struct store *s = c->store;
	struct shard *shard = e->shard;
	uint64_t *slot = e->slot;
	uint64_t location = sp->location;

	if (r->lsn <= atomic_load(&s->barrier) ||
	    (slot != NULL && e->item.lsn >= r->lsn)) {
		return APPLY_OLDER;
	}
	if (slot != NULL) {
		uint64_t old = slot_location(*slot);

		slot_set_location(slot, location);
		state_kill(s, old, e->item.size);
	} else if (table_insert(&shard->table, &s->supply,
				table_tag(e->key.hash), location) == NULL) {
		return APPLY_NO_MEMORY;
	} else {
		counter_add(&c->tally.items, 1);
	}
	space_publish(s, sp, queue_of(s, r), r->exptime);
	counter_add(&c->tally.total_items, 1);
	return APPLY_DONE;
}

/* Whatever becomes of a change: what is older than it goes. */
static enum store_applied
forget_older(struct store_ctx *c, const struct store_key *key, uint64_t lsn)
{
	enum store_applied res = APPLY_DONE;
	struct store_entry e;

	store_open(c, key, TIME_OF_REPLAY, &e);
	if (e.slot != NULL && e.item.lsn >= lsn) {
		res = APPLY_OLDER;
	} else if (e.slot != NULL) {
		state_forget(c, e.shard, e.slot, &e.item);
	}
	state_note_unseen(c->store, e.shard, lsn);
	store_close(&e);
	return res;
}

static enum store_applied apply_item(struct store_ctx *c,
				     const struct store_key *key,
				     const struct record *r)
{
	enum store_applied res = APPLY_NO_MEMORY;
	struct store_entry e;
	struct space sp;

	if (r->exptime != 0 && r->exptime <= r->time) {
		forget_older(c, key, r->lsn);
		return APPLY_EXPIRED;
	}
	if (write_apart(c, key, r, &sp)) {
		store_open(c, key, TIME_OF_REPLAY, &e);
		res = put(&e, r, &sp);
		store_close(&e);
		space_drop(c->store, &sp);
	}
	if (res == APPLY_NO_MEMORY) {
		forget_older(c, key, r->lsn);
	}
	return res;
}

static enum store_applied apply_touch(struct store_ctx *c,
				      const struct store_key *key,
				      const struct record *r)
{
	switch (state_apply_touch(c, key, r->item_lsn, r->exptime)) {
	case STORE_OK:
		return APPLY_DONE;
	case STORE_NO_MEMORY:
		/* Better none than one with the time it had before. */
		forget_older(c, key, r->lsn);
		return APPLY_NO_MEMORY;
	default:
		return APPLY_OLDER;
	}
}

/* ---- flushes ----------------------------------------------------------- */

static enum store_applied apply_flush(struct store *s, const struct record *r)
{
	uint32_t at = r->kind == RECORD_FLUSH_AT ? (uint32_t)r->number : 0;
	enum store_applied res = APPLY_OLDER;

	lock_take(&s->flush_lock);
	if (r->kind == RECORD_FLUSH) {
		state_raise_barrier(s, r->lsn);
	}
	/* A snapshot may have a barrier and an intention of the same LSN. */
	if (r->lsn > s->flush_lsn || (at != 0 && r->lsn == s->flush_lsn)) {
		s->flush_lsn = r->lsn;
		atomic_store(&s->flush_at, at);
		res = APPLY_DONE;
	}
	lock_give(&s->flush_lock);
	return res;
}

enum store_applied store_apply(struct store_ctx *c, const struct store_key *key,
			       const struct record *r)
{
	raise_lsn(c->store, r->lsn);
	switch (r->kind) {
	case RECORD_ITEM:
		return apply_item(c, key, r);
	case RECORD_REMOVE:
		return forget_older(c, key, r->lsn);
	case RECORD_TOUCH:
		return apply_touch(c, key, r);
	case RECORD_FLUSH:
	case RECORD_FLUSH_AT:
		return apply_flush(c->store, r);
	default:
		return APPLY_UNKNOWN;
	}
}

/* The bytes of the tables that would be made. */
static uint64_t expect_cost(const struct store *s, uint64_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < state_shards(s); i++) {
		bytes += table_expect_cost(&s->shards[i].table, count);
	}
	return bytes;
}

/*
 * One table gets more items than another: with room for a few more than the
 * mean, most need not grow once again.
 */
void store_expect(struct store *s, uint64_t items)
{
	struct budget *b = &s->supply.budget;
	uint64_t mean = items / state_shards(s);
	uint64_t count = mean + mean / EXPECT_SPREAD;
	uint64_t bytes = expect_cost(s, count);
	void *prepared = NULL;

	if (bytes == 0 || budget_used(b) + bytes > budget_limit(b)) {
		return;
	}
	if (bytes >= PREPARE_MIN) {
		prepared = heap_prepare(bytes);
	}
	for (uint32_t i = 0; i < state_shards(s); i++) {
		struct shard *shard = &s->shards[i];

		lock_take(&shard->lock);
		table_expect(&shard->table, &s->supply, count);
		lock_give(&shard->lock);
	}
	heap_settle(prepared);
}

void store_fit(struct store *s)
{
	for (uint32_t i = 0; i < state_shards(s); i++) {
		struct shard *shard = &s->shards[i];

		lock_take(&shard->lock);
		table_fit(&shard->table, &s->supply);
		lock_give(&shard->lock);
	}
}

unsigned store_part(const struct store *s, const struct store_key *key,
		    unsigned parts)
{
	uint64_t shard = key->hash >> (64 - s->shard_bits);

	return (unsigned)(shard * parts >> s->shard_bits);
}
