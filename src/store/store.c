/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store as a whole: its life, its contexts, and finding an item.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "store/space.h"
#include "store/state.h"
#include "store/walk.h"

/*
 * A shard for 128 KiB of memory: one to two thousand small items each, so
 * that growing one table is a matter of a few microseconds.
 */
#define BYTES_PER_SHARD (128 * KIB)
enum { SHARD_BITS_MIN = 8, SHARD_BITS_MAX = 16 };

static uint32_t shard_bits_for(uint64_t limit)
{
	uint32_t bits = SHARD_BITS_MIN;

	while (bits < SHARD_BITS_MAX &&
	       (2ULL << bits) * BYTES_PER_SHARD <= limit) {
		bits++;
	}
	return bits;
}

static void configure(struct store *s, const struct store_config *config)
{
	memset(s, 0, sizeof(*s));
	budget_init(&s->supply.budget, config->memory_limit);
	s->supply.deny = config->deny;
	s->supply.deny_arg = config->deny_arg;
	s->shard_bits = shard_bits_for(config->memory_limit);
	s->hash_seed = config->hash_seed;
	s->memory_reserve = config->memory_reserve > config->memory_limit ?
				    config->memory_reserve :
				    config->memory_limit;
	s->on_evict = config->on_evict;
	s->on_evict_arg = config->on_evict_arg;
	atomic_init(&s->lsn, config->log == NULL ? config->first_lsn : 0);
	s->log = config->log;
	list_init(&s->contexts);
}

/* One for each shard, if there is a log; false: no memory. */
static bool init_shards(struct store *s)
{
	uint32_t n = state_shards(s);

	s->shards = supply_take(&s->supply, sizeof(struct shard) * n);
	if (s->shards == NULL || s->log == NULL) {
		return s->shards != NULL;
	}
	s->unseen = supply_take(&s->supply, sizeof(uint64_t) * n);
	return s->unseen != NULL;
}

struct store *store_new(const struct store_config *config)
{
	struct pool_config pool = {
		.limit = config->memory_limit,
		.reserve = config->memory_reserve,
		.evicts = config->evict,
		.huge_pages = config->huge_pages,
	};
	struct store *s;

	if (config->deny != NULL && config->deny(config->deny_arg)) {
		return NULL;
	}
	s = malloc(sizeof(*s));
	if (s == NULL) {
		return NULL;
	}
	configure(s, config);
	if (!init_shards(s) || !pool_init(&s->pool, &s->supply, &pool)) {
		free(s->unseen);
		free(s->shards);
		free(s);
		return NULL;
	}
	s->fixed_bytes = budget_used(&s->supply.budget);
	return s;
}

static void free_large(struct store *s, uint64_t slot)
{
	struct large *l;

	if (!location_is_large(slot_location(slot))) {
		return;
	}
	l = large_at(slot_location(slot));
	pool_unqueue_large(&s->pool, &l->w, l->bytes);
	large_unref(&s->pool, l);
}

void store_free(struct store *s)
{
	for (uint32_t i = 0; i < state_shards(s); i++) {
		struct table *t = &s->shards[i].table;
		size_t slots = (size_t)table_nbuckets(t) * BUCKET_SLOTS;

		for (size_t k = 0; k < slots; k++) {
			free_large(s, table_buckets(t)[k]);
		}
		table_release(t, &s->supply);
		ghost_release(&s->shards[i].ghost, &s->supply);
	}
	large_spares_drop(&s->pool);
	check(list_empty(&s->contexts));
	check(atomic_load(&s->pool.large_bytes) == 0);
	pool_release(&s->pool);
	free(s->unseen);
	free(s->shards);
	free(s);
}

/* A context's size in whole cache lines. */
static size_t ctx_bytes(void)
{
	return (sizeof(struct store_ctx) + 63) & ~(size_t)63;
}

uint64_t state_ctx_cost(void)
{
	return supply_cost(ctx_bytes());
}

struct store_ctx *store_ctx_new(struct store *s)
{
	struct store_ctx *c = supply_take(&s->supply, ctx_bytes());

	if (c == NULL) {
		return NULL;
	}
	c->store = s;
	lock_take(&s->ctx_lock);
	list_push_tail(&s->contexts, &c->link);
	lock_give(&s->ctx_lock);
	atomic_fetch_add(&s->pool.contexts, 1);
	pool_tune(&s->pool);
	return c;
}

void store_ctx_free(struct store_ctx *c)
{
	struct store *s = c->store;

	check(!c->entry_open);
	walk_stop(c, &c->reclaim);
	walk_stop(c, &c->sweep);
	space_close(c);
	lock_take(&s->ctx_lock);
	list_remove(&c->link);
	tally_add(&s->retired, &c->tally);
	lock_give(&s->ctx_lock);
	atomic_fetch_sub(&s->pool.contexts, 1);
	pool_tune(&s->pool);
	supply_give(&s->supply, c, ctx_bytes());
}

struct budget *store_budget(struct store *s)
{
	return &s->supply.budget;
}

bool store_set_limit(struct store *s, uint64_t bytes)
{
	if (bytes > s->memory_reserve) {
		return false;
	}
	atomic_store(&s->supply.budget.limit, bytes);
	/* What may be spare is a part of the limit. */
	large_spares_drop(&s->pool);
	pool_tune(&s->pool);
	return true;
}

uint64_t store_lsn(const struct store *s)
{
	uint64_t lsn = atomic_load_explicit(&s->lsn, memory_order_relaxed);
	uint64_t drawn = s->log != NULL ? log_lsn(s->log) : 0;

	return drawn > lsn ? drawn : lsn;
}

struct store_key store_key(const struct store *s, const char *data, size_t len)
{
	check(len > 0 && len <= KEY_MAX);
	return (struct store_key){
		.data = data,
		.len = (uint8_t)len,
		.hash = hash_bytes(data, len, s->hash_seed),
	};
}

void state_prefetch(const struct store *s, uint64_t location)
{
	const char *raw = location_is_large(location) ?
				  (const char *)large_at(location) :
				  pool_at(&s->pool, location);

	__builtin_prefetch(raw);
	__builtin_prefetch(raw + 64);
}

/*
 * Asks for the item that a key probably is: the first with its tag, since one
 * in 2^18 others has the same, and the search for more would go on through all
 * full buckets that follow.  The lock keeps the buckets where they are; who
 * does not get it at once is better off not waiting.
 */
static void prefetch_item(const struct store *s, struct store_key *key)
{
	struct shard *shard = state_shard(s, key->hash);
	struct probe p;
	uint64_t *slot;

	if (!lock_try(&shard->lock)) {
		return;
	}
	p = table_probe(&shard->table, table_tag(key->hash));
	slot = probe_next(&p);
	if (slot != NULL) {
		state_prefetch(s, slot_location(*slot));
		key->seen = slot_location(*slot);
	}
	lock_give(&shard->lock);
}

void store_prefetch_shard(const struct store *s, const struct store_key *key)
{
	__builtin_prefetch(state_shard(s, key->hash), 1);
}

void store_prefetch_batch(const struct store *s, struct store_key *keys,
			  unsigned n)
{
	if (n < 2) {
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		store_prefetch_shard(s, &keys[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		table_prefetch(&state_shard(s, keys[i].hash)->table,
			       table_tag(keys[i].hash));
	}
	for (unsigned i = 0; i < n; i++) {
		prefetch_item(s, &keys[i]);
	}
}

void *state_read(const struct store *s, uint64_t location, struct item_view *v)
{
	char *raw;

	if (location_is_large(location)) {
		large_read(large_at(location), v);
		return large_at(location);
	}
	raw = pool_at(&s->pool, location);
	item_read(raw, s->pool.bases[pool_segment_of(&s->pool, location)], v);
	return raw;
}

enum queue_name state_queue(const struct store *s, uint64_t location)
{
	uint32_t n;

	if (location_is_large(location)) {
		return large_at(location)->w.queue;
	}
	n = pool_segment_of(&s->pool, location);
	return s->pool.segments[n].w.queue;
}

enum store_miss state_miss(const struct store *s, const struct item_view *v,
			   uint32_t now)
{
	if (v->exptime != 0 && v->exptime <= now) {
		return MISS_EXPIRED;
	}
	if (v->lsn <= atomic_load_explicit(&s->barrier, memory_order_acquire)) {
		return MISS_FLUSHED;
	}
	return MISS_NONE;
}

void state_kill(struct store *s, uint64_t location, uint32_t size)
{
	if (location_is_large(location)) {
		struct large *l = large_at(location);

		pool_unqueue_large(&s->pool, &l->w, l->bytes);
		large_unref(&s->pool, l);
	} else {
		item_bury(pool_at(&s->pool, location), size);
		pool_kill(&s->pool, pool_segment_of(&s->pool, location), size);
	}
}

void state_forget(struct store_ctx *c, struct shard *shard, uint64_t *slot,
		  const struct item_view *v)
{
	uint64_t location = slot_location(*slot);

	state_note_unseen(c->store, shard, v->lsn);
	table_remove(&shard->table, &c->store->supply, slot);
	state_kill(c->store, location, v->size);
	counter_add(&c->tally.items, (uint64_t)-1);
}

void state_forget_dead(struct store_ctx *c, struct shard *shard, uint64_t *slot,
		       const struct item_view *v, enum store_miss why)
{
	struct pool *p = &c->store->pool;
	uint64_t location = slot_location(*slot);

	counter_add(&c->tally.reclaimed, 1);
	if (!location_is_large(location)) {
		pool_note_expired(p, pool_segment_of(p, location), v->size);
	}
	if (why == MISS_EXPIRED && !v->fetched) {
		counter_add(&c->tally.expired_unfetched, 1);
	}
	state_forget(c, shard, slot, v);
}

/* The slot of a key, with its item read into e->item; or NULL. */
static uint64_t *look_up(const struct store *s, const struct shard *shard,
			 struct store_entry *e)
{
	struct probe p = table_probe(&shard->table, table_tag(e->key.hash));
	uint64_t *slot;

	while ((slot = probe_next(&p)) != NULL) {
		e->raw = state_read(s, slot_location(*slot), &e->item);
		if (e->item.key_len == e->key.len &&
		    memcmp(e->item.key, e->key.data, e->key.len) == 0) {
			return slot;
		}
	}
	return NULL;
}

/*
 * What a reply that shows this look-up depends on.  A hit's item is above the
 * barrier, a miss may be the barrier's work.
 */
static uint64_t depends_on(const struct store *s, const struct store_entry *e)
{
	const struct shard *shard = e->shard;
	uint64_t lsn = s->unseen[shard - s->shards];
	uint64_t shown = e->miss == MISS_NONE ?
				 e->item.lsn :
				 atomic_load_explicit(&s->barrier,
						      memory_order_relaxed);

	return shown > lsn ? shown : lsn;
}

bool store_open(struct store_ctx *c, const struct store_key *key, uint32_t now,
		struct store_entry *e)
{
	struct store *s = c->store;
	struct shard *shard = state_shard(s, key->hash);
	uint64_t *slot;

	check(!c->entry_open);
	if (atomic_load_explicit(&s->flush_at, memory_order_relaxed) != 0) {
		state_flush_tick(s, now);
	}
	e->ctx = c;
	e->key = *key;
	e->now = now;
	e->miss = MISS_ABSENT;
	e->exptime_before = 0;
	e->depends = 0;
	e->shard = shard;
	lock_take(&shard->lock);
	c->entry_open = true;
	slot = look_up(s, shard, e);
	e->slot = slot;
	if (slot != NULL) {
		e->exptime_before = e->item.exptime;
		e->depends = e->item.lsn;
		e->miss = state_miss(s, &e->item, now);
		if (e->miss != MISS_NONE) {
			state_forget_dead(c, shard, slot, &e->item, e->miss);
			e->slot = NULL;
			e->depends = 0;
		}
	}
	if (s->log != NULL) {
		e->depends = depends_on(s, e);
	}
	return e->miss == MISS_NONE;
}

void store_close(struct store_entry *e)
{
	struct shard *shard = e->shard;

	check(e->ctx->entry_open);
	e->ctx->entry_open = false;
	lock_give(&shard->lock);
}

static void write_item(struct store_entry *e)
{
	struct store *s = e->ctx->store;
	uint64_t location = slot_location(*(uint64_t *)e->slot);

	if (location_is_large(location)) {
		large_amend(e->raw, &e->item);
	} else {
		item_amend(e->raw, &e->item,
			   s->pool.bases[pool_segment_of(&s->pool, location)]);
	}
}

void entry_bump(struct store_entry *e)
{
	state_count_access(e->slot);
	/* A hot item's cache line is not dirtied at each access. */
	if (!e->item.fetched || e->item.accessed != e->now) {
		e->item.fetched = true;
		e->item.accessed = e->now;
		write_item(e);
	}
}

void entry_set_won(struct store_entry *e, bool won)
{
	e->item.won = won;
	write_item(e);
}

struct large *entry_borrow(struct store_entry *e)
{
	struct large *l = e->raw;

	if (!location_is_large(slot_location(*(uint64_t *)e->slot))) {
		return NULL;
	}
	large_ref(l);
	return l;
}

void large_return(struct store *s, struct large *loan)
{
	large_unref(&s->pool, loan);
}
