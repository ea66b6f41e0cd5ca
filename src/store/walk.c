/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The walk.  What has become a gap is passed over; an item is found in the
 * table by its location, under its shard's lock, so it does not matter what
 * happened to it before.  Who takes an item out of the table makes it a gap
 * first and then counts it dead (state_kill()), so a walk that saw the gap may
 * be at its end before the count is; the last to count frees the segment.
 *
 * Items are taken in small batches: first all their shards are asked for,
 * then all their buckets, then they are looked at, so that the waits for
 * memory overlap.
 */
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "store/evict.h"
#include "store/space.h"
#include "store/walk.h"

enum {
	BATCH = 8,
	/* The price of an item of mean size, and the lowest; in 256ths. */
	PRICE_UNIT = 256,
	PRICE = 179,
	PRICE_MIN = 64,
	/* Larger than this many times the mean: not remembered. */
	GHOST_TIMES = 3,
	/* The mean size follows the last so many items that were walked. */
	MEAN_OF = 1024,
};

#define MEAN_UNIT 256ULL

/* An item in the hands of a walk, its shard locked. */
struct subject {
	struct shard *shard;
	uint64_t *slot;
	uint64_t hash;
	uint64_t location;
	struct item_view view;
};

struct batch {
	uint32_t n;
	uint64_t hash[BATCH];
	uint64_t location[BATCH];
	uint32_t bytes;
};

void walk_start(struct store_ctx *c, struct walk *w, uint32_t segment,
		enum walk_aim aim)
{
	struct pool *p = &c->store->pool;

	w->segment = segment;
	w->at = 0;
	w->aim = (uint8_t)aim;
	w->queue = p->segments[segment].w.queue;
	w->barrier = atomic_load(&c->store->barrier);
	/* What stays notes its expiry again. */
	atomic_store(&p->expiries[segment], UINT32_MAX);
}

void walk_stop(struct store_ctx *c, struct walk *w)
{
	if (w->segment != 0) {
		/* The rest has not been looked at: look again soon. */
		atomic_store(&c->store->pool.expiries[w->segment], 0);
		pool_unclaim(&c->store->pool, w->segment);
		w->segment = 0;
	}
}

/* Reads ahead and asks for shards, then for buckets. */
static void gather(const struct store *s, struct walk *w, uint64_t bytes,
		   struct batch *b)
{
	const char *start = segment_start(&s->pool, w->segment);
	uint32_t used = atomic_load(&s->pool.segments[w->segment].used);
	uint32_t from = w->at;

	b->n = 0;
	while (b->n < BATCH && w->at < used && w->at - from < bytes) {
		struct item_outline o;

		item_peek(start + w->at, &o);
		check(o.size > 0 && o.size <= used - w->at);
		if (o.key_len > 0) {
			uint64_t h = hash_bytes(o.key, o.key_len, s->hash_seed);

			__builtin_prefetch(state_shard(s, h), 1);
			b->hash[b->n] = h;
			b->location[b->n] = pool_location(&s->pool, w->segment,
							  w->at);
			b->n++;
		}
		w->at += o.size;
	}
	b->bytes = w->at - from;
	for (uint32_t i = 0; i < b->n; i++) {
		table_prefetch(&state_shard(s, b->hash[i])->table,
			       table_tag(b->hash[i]));
	}
}

/* Copies an item to an open segment of queue `q`; false: no space. */
static bool move(struct store_ctx *c, struct subject *it, enum queue_name q,
		 unsigned count)
{
	struct store *s = c->store;
	struct item_view *v = &it->view;
	char *from = pool_at(&s->pool, it->location);
	unsigned extras = v->cas != v->lsn ? EXTRA_CAS : EXTRA_NONE;
	struct space sp;

	if (!space_take_now(c, v->size, q, &sp)) {
		return false;
	}
	memcpy(sp.raw, from, v->size);
	if (!item_rebase(
		    sp.raw, v->lsn,
		    s->pool.bases[pool_segment_of(&s->pool, sp.location)])) {
		space_drop(s, &sp);
		extras |= EXTRA_WIDE;
		if (!space_take_now(c, (uint32_t)item_size(v, extras), q,
				    &sp)) {
			return false;
		}
		space_write(s, &sp, v, extras);
		memcpy(space_value(&sp, v, extras), v->value, v->value_len);
	}
	slot_set_location(it->slot, sp.location);
	slot_set_count(it->slot, count);
	space_publish(s, &sp, q, v->exptime);
	state_kill(s, it->location, v->size);
	counter_add(&c->tally.moved, 1);
	return true;
}

static void drop(struct store_ctx *c, struct subject *it, uint32_t now)
{
	struct store *s = c->store;

	counter_add(&c->tally.evictions, 1);
	if (it->view.fetched) {
		counter_add(&c->tally.evicted_active, 1);
	} else {
		counter_add(&c->tally.evicted_unfetched, 1);
	}
	if (s->on_evict != NULL) {
		s->on_evict(s->on_evict_arg, &it->view, now);
	}
	state_forget(c, it->shard, it->slot, &it->view);
}

/* The mean size of what is walked, as of one more item. */
static void note_size(struct store_ctx *c, uint64_t size)
{
	if (c->mean_size == 0) {
		c->mean_size = size * MEAN_UNIT;
	} else {
		c->mean_size = c->mean_size - c->mean_size / MEAN_OF +
			       size * MEAN_UNIT / MEAN_OF;
	}
}

/*
 * How many accesses an item of this size owes for its room: what counts is
 * hits, and the room of one large item holds many small ones.  A fraction is
 * one more, that often.  The lowest price bounds how many times small items
 * are moved for one access.
 */
static unsigned price(struct store_ctx *c, uint64_t size)
{
	uint64_t exact = size * MEAN_UNIT * PRICE / c->mean_size;

	if (exact < PRICE_MIN) {
		exact = PRICE_MIN;
	}
	c->dice = c->dice * 6364136223846793005ULL + 1442695040888963407ULL;
	exact = (exact + (c->dice >> 56)) / PRICE_UNIT;
	return exact < SLOT_COUNT_MAX ? (unsigned)exact : SLOT_COUNT_MAX;
}

static void remember(struct store_ctx *c, struct subject *it)
{
	struct store *s = c->store;

	/* It could not afford main. */
	if (it->view.size * MEAN_UNIT > c->mean_size * GHOST_TIMES) {
		return;
	}
	ghost_add(&it->shard->ghost, &s->supply, it->hash,
		  table_nbuckets(&it->shard->table));
}

/*
 * S3-FIFO: what is in use in the small queue goes to main, and what is in
 * use in main goes around once more; the rest goes.  An item is in use if it
 * was accessed, and that as often as its size costs
 * (docs/decisions/0004-eviction-by-size.md).  With two accesses at least for
 * the small queue, replayed traces miss as often on average, but one of them
 * more often than under LRU.
 */
static bool is_kept(struct store_ctx *c, const struct subject *it,
		    enum queue_name q, unsigned threshold, unsigned *count)
{
	unsigned owed = price(c, it->view.size);

	*count = slot_count(*it->slot);
	if (*count < threshold || *count + 1 < threshold + owed) {
		return false;
	}
	*count = q == QUEUE_SMALL ? 0 : *count - owed;
	return true;
}

/* One live item; false: it must stay where it is, and the walk ends. */
static bool treat(struct store_ctx *c, struct walk *w, struct subject *it,
		  uint32_t now)
{
	unsigned count;

	note_size(c, it->view.size);
	if (w->aim == WALK_SWEEP) {
		if (it->view.exptime != 0) {
			pool_note_expiry(&c->store->pool, w->segment,
					 it->view.exptime);
		}
		return true;
	}
	if (w->aim == WALK_CLEAN) {
		if (move(c, it, w->queue, slot_count(*it->slot))) {
			return true;
		}
		if (!c->store->pool.evicts) {
			return false;
		}
	} else if (is_kept(c, it, w->queue, w->threshold, &count) &&
		   move(c, it, QUEUE_MAIN, count)) {
		return true;
	}
	if (w->queue == QUEUE_SMALL) {
		remember(c, it);
	}
	drop(c, it, now);
	return true;
}

/* Finds an item in the table and removes it if it is dead. */
static bool find_live(struct store_ctx *c, struct subject *it, bool sweep,
		      uint32_t now)
{
	enum store_miss miss;

	it->slot = table_find(&it->shard->table, table_tag(it->hash),
			      it->location);
	if (it->slot == NULL) {
		return false;
	}
	state_read(c->store, it->location, &it->view);
	miss = state_miss(c->store, &it->view, now);
	if (miss == MISS_NONE) {
		return true;
	}
	if (sweep) {
		counter_add(&c->tally.swept, 1);
	}
	state_forget_dead(c, it->shard, it->slot, &it->view, miss);
	return false;
}

static bool visit(struct store_ctx *c, struct walk *w, uint64_t hash,
		  uint64_t location, uint32_t now)
{
	struct subject it = {
		.shard = state_shard(c->store, hash),
		.hash = hash,
		.location = location,
	};
	bool done = true;

	lock_take(&it.shard->lock);
	if (find_live(c, &it, w->aim == WALK_SWEEP, now)) {
		done = treat(c, w, &it, now);
	}
	lock_give(&it.shard->lock);
	if (w->aim == WALK_SWEEP) {
		counter_add(&c->tally.items_checked, 1);
	}
	return done;
}

static void finish(struct store_ctx *c, struct walk *w, uint32_t now)
{
	struct pool *p = &c->store->pool;
	struct segment *seg = &p->segments[w->segment];

	atomic_store(&seg->swept, w->barrier);
	atomic_store(&seg->swept_at, now);
	pool_unclaim(p, w->segment);
	w->segment = 0;
}

uint64_t walk_step(struct store_ctx *c, struct walk *w, uint64_t bytes,
		   uint32_t now)
{
	struct store *s = c->store;
	uint64_t done = 0;

	w->threshold = evict_threshold(c);
	while (w->segment != 0 && done < bytes) {
		struct batch b;

		gather(s, w, bytes - done, &b);
		for (uint32_t i = 0; i < b.n; i++) {
			if (!visit(c, w, b.hash[i], b.location[i], now)) {
				walk_stop(c, w);
				return done;
			}
		}
		done += b.bytes;
		if (w->at == atomic_load(&s->pool.segments[w->segment].used)) {
			finish(c, w, now);
		}
	}
	return done;
}

/* A large value that is kept moves to the end of main without a copy. */
static void requeue(struct store_ctx *c, struct subject *it, struct large *l,
		    unsigned count)
{
	struct pool *p = &c->store->pool;

	slot_set_count(it->slot, count);
	pool_requeue_large(p, &l->w, QUEUE_MAIN, l->bytes);
	counter_add(&c->tally.moved, 1);
}

static void treat_large(struct store_ctx *c, struct subject *it,
			struct large *l, enum walk_aim aim, uint32_t now)
{
	unsigned count;

	note_size(c, it->view.size);
	if (aim == WALK_SWEEP) {
		if (it->view.exptime != 0) {
			pool_note_expiry(&c->store->pool, 0, it->view.exptime);
		}
		return;
	}
	if (is_kept(c, it, l->w.queue, evict_threshold(c), &count)) {
		requeue(c, it, l, count);
		return;
	}
	if (l->w.queue == QUEUE_SMALL) {
		remember(c, it);
	}
	drop(c, it, now);
}

void walk_large(struct store_ctx *c, struct large *l, enum walk_aim aim,
		uint32_t now)
{
	struct subject it = {
		.shard = state_shard(c->store, l->hash),
		.hash = l->hash,
		.location = large_location(l),
	};

	lock_take(&it.shard->lock);
	if (find_live(c, &it, aim == WALK_SWEEP, now)) {
		treat_large(c, &it, l, aim, now);
	}
	lock_give(&it.shard->lock);
	large_unref(&c->store->pool, l);
	if (aim == WALK_SWEEP) {
		counter_add(&c->tally.items_checked, 1);
	}
}
