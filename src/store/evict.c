/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Choosing victims, and how much work each request does on them.
 *
 * Which is next: a segment of which enough is dead, if there is one, because
 * cleaning it loses nothing (docs/decisions/0005-cleaning.md); else the oldest
 * of the small queue, if that has more than its tenth of the bytes; else the
 * oldest of main.
 */
#include "base/check.h"
#include "store/evict.h"
#include "store/walk.h"

enum {
	SMALL_SHARE = 10, /* the small queue gets one byte in ten */
	DIRTY_LOOK = 8,   /* segments compared for the deadest */
	/*
	 * What a request walks, in its own bytes, when the reserve is complete
	 * and when it is gone.  Walking as much as is stored keeps a full
	 * reserve if nothing stays, and no request does the work of many; in
	 * main up to nine in ten may stay.  With 10 for 24 a third of a hot set
	 * was lost when a store filled for the first time.
	 */
	PAY_MIN = 1,
	PAY_MAX = 24,
	PAY_BATCH = 512, /* small items are walked some at a time */
	STEP = 64 * 1024,
	/*
	 * No request pays more than this, 2,000 items of 100 bytes: a quarter
	 * of a millisecond.  What a large value needs itself is beside that.
	 */
	WORK_MAX = 256 * 1024,
	PATIENCE = 4, /* victims walked before the pressure rises */
	/* Without eviction a segment is cleaned if 1/64 of it is dead. */
	DEAD_SHARE = 64,
	/* What has expired may hold a 25th of the memory. */
	EXPIRED_SHARE = 25,
};

uint32_t evict_keep(const struct store *s)
{
	return atomic_load_explicit(&s->pool.reserve, memory_order_relaxed) / 2;
}

/*
 * If everything in memory has been accessed, walking frees nothing: all of it
 * would be moved once around before the first item goes, within one request.
 * So the shorter memory is, the more accesses it takes to stay.
 */
unsigned evict_threshold(const struct store_ctx *c)
{
	struct pool *p = &c->store->pool;
	uint32_t reserve = atomic_load_explicit(&p->reserve,
						memory_order_relaxed);
	uint32_t room = pool_room(p);
	unsigned threshold = 1 + c->pressure;

	if (room + 1 < reserve) {
		threshold += (reserve - room - 1) * SLOT_COUNT_MAX /
			     (reserve - 1);
	}
	return threshold;
}

/* The deadest of the first few of the dirty list, claimed. */
static uint32_t claim_dirty(struct pool *p)
{
	struct segment *best = NULL;
	uint64_t best_dead = 0;
	int looked = 0;

	list_each(link, &p->dirty)
	{
		struct segment *seg = list_entry(link, struct segment,
						 w.second);
		uint32_t dead = atomic_load(&seg->dead);

		if (dead > best_dead && atomic_load(&seg->pins) == 0) {
			best = seg;
			best_dead = dead;
		}
		if (++looked == DIRTY_LOOK) {
			break;
		}
	}
	if (best == NULL) {
		return 0;
	}
	check(pool_claim(p, segment_number(p, best)));
	return segment_number(p, best);
}

/*
 * The deadest of all, claimed; for a store that must not evict.  Not tried
 * again before enough has died to make another search worth it.
 */
static uint32_t claim_deadest(struct pool *p)
{
	uint32_t top = atomic_load(&p->top);
	uint64_t deaths = atomic_load(&p->deaths);
	uint32_t best_dead = p->size / DEAD_SHARE;
	uint32_t best = 0;

	if (deaths - atomic_load(&p->deaths_seen) < best_dead) {
		return 0;
	}
	for (uint32_t n = 1; n <= top; n++) {
		struct segment *seg = &p->segments[n];
		uint32_t dead = atomic_load_explicit(&seg->dead,
						     memory_order_relaxed);

		if (dead >= best_dead &&
		    atomic_load(&seg->state) == SEG_SEALED &&
		    atomic_load(&seg->pins) == 0) {
			best = n;
			best_dead = dead + 1;
		}
	}
	if (best == 0) {
		atomic_store(&p->deaths_seen, deaths);
		return 0;
	}
	return pool_claim(p, best) ? best : 0;
}

/* The oldest of a queue: a claimed segment, or a large value. */
static struct waiting *claim_oldest(struct pool *p, enum queue_name q)
{
	list_each(link, &p->queues[q].waiting)
	{
		struct waiting *w = list_entry(link, struct waiting, link);

		if (w->is_large) {
			large_ref(list_entry(w, struct large, w));
			return w;
		}
		if (pool_claim(p,
			       segment_number(p, list_entry(w, struct segment,
							    w)))) {
			return w;
		}
	}
	return NULL;
}

static struct waiting *claim_victim(struct pool *p)
{
	uint64_t small = atomic_load(&p->queues[QUEUE_SMALL].bytes);
	uint64_t all = small + atomic_load(&p->queues[QUEUE_MAIN].bytes);
	enum queue_name first = small * SMALL_SHARE > all ? QUEUE_SMALL :
							    QUEUE_MAIN;
	struct waiting *w = claim_oldest(p, first);

	return w != NULL ? w :
			   claim_oldest(p, first == QUEUE_SMALL ? QUEUE_MAIN :
								  QUEUE_SMALL);
}

/*
 * Begins with the next victim; the bytes of work already done, for a large
 * value is dealt with at once.  False: there is none.
 */
static bool next(struct store_ctx *c, bool thorough, uint32_t now,
		 uint64_t *done)
{
	struct pool *p = &c->store->pool;
	struct waiting *w = NULL;
	enum walk_aim aim = WALK_CLEAN;
	uint32_t n;

	lock_take(&p->lock);
	n = claim_dirty(p);
	if (n == 0 && p->evicts) {
		w = claim_victim(p);
		aim = WALK_EVICT;
	} else if (n == 0 && thorough) {
		n = claim_deadest(p);
	}
	lock_give(&p->lock);
	if (w != NULL && w->is_large) {
		struct large *l = list_entry(w, struct large, w);

		*done += l->bytes;
		walk_large(c, l, aim, now);
		return true;
	}
	if (w != NULL) {
		n = segment_number(p, list_entry(w, struct segment, w));
	}
	if (n == 0) {
		return false;
	}
	walk_start(c, &c->reclaim, n, aim);
	return true;
}

uint64_t evict_step(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	/* Above the limit nothing that is dead is worth keeping. */
	bool over = budget_over(&c->store->supply.budget);
	uint64_t done = 0;

	while (done < bytes) {
		if (c->reclaim.segment == 0 && !next(c, over, now, &done)) {
			break;
		}
		if (c->reclaim.segment != 0) {
			uint64_t step = walk_step(c, &c->reclaim, bytes - done,
						  now);

			if (step == 0) {
				break;
			}
			done += step;
		}
	}
	return done;
}

static int64_t most_at_once(uint64_t bytes)
{
	uint64_t most = 4 * bytes + STEP;

	return (int64_t)(most < WORK_MAX ? most : WORK_MAX);
}

void evict_pay(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	struct pool *p = &c->store->pool;
	uint32_t reserve = atomic_load_explicit(&p->reserve,
						memory_order_relaxed);
	uint32_t room = pool_room(p);
	uint64_t factor;
	uint64_t done;

	if (room > reserve) {
		c->owed = 0;
		return;
	}
	if (budget_over(&c->store->supply.budget)) {
		large_spares_drop(p);
		pool_trim(p, 0);
	}
	factor = PAY_MIN +
		 (uint64_t)(PAY_MAX - PAY_MIN) * (reserve - room) / reserve;
	c->owed += (int64_t)(factor * bytes);
	if (c->owed > most_at_once(bytes)) {
		c->owed = most_at_once(bytes);
	}
	if (c->owed < PAY_BATCH) {
		return;
	}
	done = evict_step(c, (uint64_t)c->owed, now);
	c->owed = done > 0 ? c->owed - (int64_t)done : 0;
}

bool evict_some(struct store_ctx *c, unsigned pressure, uint32_t now)
{
	uint64_t done = 0;

	if (c->reclaim.segment == 0 && !next(c, true, now, &done)) {
		return false;
	}
	c->pressure = pressure;
	while (c->reclaim.segment != 0) {
		done += walk_step(c, &c->reclaim, STEP, now);
	}
	c->pressure = 0;
	return done > 0;
}

bool evict_for(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	struct pool *p = &c->store->pool;
	struct budget *b = &c->store->supply.budget;
	/* Twice the victims that would do if nothing in them stayed. */
	uint64_t patience = PATIENCE + 2 * (bytes >> p->shift);
	uint64_t tries = 0;

	for (;;) {
		pool_trim(p, bytes);
		if (budget_used(b) + bytes <= budget_limit(b)) {
			return true;
		}
		if (!evict_some(c, (unsigned)(tries / patience), now)) {
			return false;
		}
		tries++;
		if (atomic_load(&p->spare_bytes) > 0) {
			return true;
		}
	}
}

/* The segment that holds most of what has expired, claimed. */
static uint32_t claim_expired(struct pool *p)
{
	uint32_t top = atomic_load(&p->top);
	uint32_t best = 0;
	uint32_t most = 0;

	for (uint32_t n = 1; n <= top; n++) {
		struct segment *seg = &p->segments[n];
		uint32_t expired = atomic_load_explicit(&seg->expired,
							memory_order_relaxed);

		if (expired > most && atomic_load(&seg->state) == SEG_SEALED &&
		    atomic_load(&seg->pins) == 0) {
			best = n;
			most = expired;
		}
	}
	return best != 0 && pool_claim(p, best) ? best : 0;
}

static bool is_expired_too_much(const struct store *s)
{
	return atomic_load(&s->pool.expired_bytes) >
	       budget_limit(&s->supply.budget) / EXPIRED_SHARE;
}

bool evict_expired(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	struct pool *p = &c->store->pool;
	uint64_t done = 0;

	while (done < bytes && is_expired_too_much(c->store)) {
		uint64_t step;

		if (c->reclaim.segment == 0) {
			uint32_t n;

			lock_take(&p->lock);
			n = claim_expired(p);
			lock_give(&p->lock);
			if (n == 0) {
				return false;
			}
			walk_start(c, &c->reclaim, n, WALK_CLEAN);
		}
		step = walk_step(c, &c->reclaim, bytes - done, now);
		if (step == 0) {
			return false;
		}
		done += step;
	}
	return is_expired_too_much(c->store);
}
