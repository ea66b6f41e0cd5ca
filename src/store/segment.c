/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of segments.  Numbers S1 to S3 are those of the header.
 *
 * Who frees a segment (S2) is decided without a lock in most cases: a killer
 * adds to `dead` and then reads the state, a sealer writes the state and then
 * reads `dead`; both in the total order of sequentially consistent atomics,
 * so at least one of the two sees that nothing is left, takes the lock and
 * looks again.
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "store/segment.h"

static_assert(SEGMENTS_AIM >= SEGMENTS_MIN, "segments at any limit");

enum {
	/* One segment in 64 may be kept free: 1.6 % of the memory. */
	RESERVE_SHARE = 64,
	RESERVE_MIN = 2,
	/* Addresses for those that are opened over the limit (POOL_FORCE). */
	SPARE = 64,
	/* One in 8 may be pinned by values that arrive slowly. */
	HELD_SHARE = 8,
};

/*
 * Items are found at random, so that from some size on the processor's
 * address buffers miss as often as its caches: with a million items in 1 GiB
 * a get takes a fifth less time on huge pages.
 */
#define HUGE_FROM (32 * MIB)

static uint32_t shift_for(uint64_t limit)
{
	uint32_t shift = 0;

	while ((1ULL << shift) < SEGMENT_SIZE_MIN) {
		shift++;
	}
	while ((1ULL << shift) < SEGMENT_SIZE_MAX &&
	       (2ULL << shift) <= limit / SEGMENTS_AIM) {
		shift++;
	}
	return shift;
}

/* What the segments' own records take, for `count` of them. */
static uint64_t records_cost(uint64_t count)
{
	return count *
	       (sizeof(struct segment) + sizeof(uint64_t) + sizeof(uint32_t));
}

static bool map_all(struct pool *p)
{
	uint64_t n = (uint64_t)p->count + 1;

	if (supply_denied(p->supply)) {
		return false;
	}
	p->arena = arena_map(n << p->shift);
	p->segments = arena_map(n * sizeof(*p->segments));
	p->bases = arena_map(n * sizeof(*p->bases));
	p->expiries = arena_map(n * sizeof(*p->expiries));
	return p->arena != NULL && p->segments != NULL && p->bases != NULL &&
	       p->expiries != NULL;
}

bool pool_init(struct pool *p, struct supply *s, const struct pool_config *c)
{
	uint64_t bytes = c->reserve > c->limit ? c->reserve : c->limit;

	*p = (struct pool){ .supply = s, .evicts = c->evicts };
	p->shift = shift_for(c->limit);
	p->size = 1U << p->shift;
	check(bytes >> p->shift < UINT32_MAX - SPARE);
	p->count = (uint32_t)(bytes >> p->shift) + SPARE;
	p->arena_bytes = ((uint64_t)p->count + 1) << p->shift;
	check(p->arena_bytes >> LOCATION_UNIT_SHIFT < LOCATION_LARGE);
	for (int q = 0; q < QUEUE_COUNT; q++) {
		list_init(&p->queues[q].waiting);
	}
	list_init(&p->free);
	list_init(&p->cold);
	list_init(&p->dirty);
	list_init(&p->larges);
	list_init(&p->spares);
	atomic_init(&p->large_expiry, UINT32_MAX);
	if (!map_all(p)) {
		pool_release(p);
		return false;
	}
	p->huge_next = c->huge_pages || c->limit >= HUGE_FROM ?
			       -(uintptr_t)p->arena % HUGE_PAGE :
			       p->arena_bytes;
	budget_force(&s->budget, records_cost(c->limit >> p->shift));
	pool_tune(p);
	return true;
}

static void unmap(void *at, uint64_t bytes)
{
	if (at != NULL) {
		arena_unmap(at, bytes);
	}
}

void pool_release(struct pool *p)
{
	uint64_t n = (uint64_t)p->count + 1;

	unmap(p->arena, p->arena_bytes);
	unmap(p->segments, n * sizeof(*p->segments));
	unmap(p->bases, n * sizeof(*p->bases));
	unmap((void *)p->expiries, n * sizeof(*p->expiries));
}

static uint64_t limit_segments(const struct pool *p)
{
	return budget_limit(&p->supply->budget) >> p->shift;
}

void pool_tune(struct pool *p)
{
	uint64_t most = limit_segments(p) / RESERVE_SHARE;
	uint64_t want = (uint64_t)atomic_load(&p->contexts) + 4;

	if (most < RESERVE_MIN) {
		most = RESERVE_MIN;
	}
	atomic_store(&p->reserve, (uint32_t)(want < most ? want : most));
}

uint32_t pool_room(struct pool *p)
{
	struct budget *b = &p->supply->budget;
	uint64_t nfree = atomic_load_explicit(&p->nfree, memory_order_relaxed);
	uint64_t limit = budget_limit(b);
	uint64_t used = budget_used(b);
	uint64_t room;

	if (used <= limit) {
		room = nfree + ((limit - used) >> p->shift);
	} else {
		uint64_t owed = ((used - limit) >> p->shift) + 1;

		room = nfree > owed ? nfree - owed : 0;
	}
	return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

static struct segment *take_free(struct pool *p)
{
	struct list *link = list_pop_head(&p->free);

	if (link == NULL) {
		return NULL;
	}
	atomic_fetch_sub(&p->nfree, 1);
	return list_entry(link, struct segment, w.link);
}

/*
 * The first touch of a huge page takes all of it.  So huge pages are wished for
 * as the arena is filled, and only while the budget has room for a whole one:
 * else the last one, which is never filled, would come on top of the limit.
 */
static void want_huge_for(struct pool *p, uint32_t n)
{
	struct budget *b = &p->supply->budget;
	uint64_t end = ((uint64_t)n + 1) << p->shift;

	while (p->huge_next < end) {
		if (budget_used(b) + HUGE_PAGE <= budget_limit(b) &&
		    p->huge_next + HUGE_PAGE <= p->arena_bytes) {
			arena_want_huge(p->arena + p->huge_next, HUGE_PAGE);
		}
		p->huge_next += HUGE_PAGE;
	}
}

static struct segment *take_cold(struct pool *p, bool force)
{
	struct budget *b = &p->supply->budget;
	struct list *link;
	uint32_t n;

	if (force) {
		budget_force(b, p->size);
	} else if (!budget_take(b, p->size)) {
		return NULL;
	}
	link = list_pop_head(&p->cold);
	if (link != NULL) {
		return list_entry(link, struct segment, w.link);
	}
	n = atomic_load(&p->top) + 1;
	if (n > p->count) {
		budget_give(b, p->size);
		return NULL;
	}
	want_huge_for(p, n);
	list_init(&p->segments[n].w.link);
	list_init(&p->segments[n].w.second);
	atomic_store(&p->top, n);
	return &p->segments[n];
}

uint32_t pool_open(struct pool *p, enum queue_name q, uint32_t keep,
		   uint64_t base, uint64_t swept)
{
	struct segment *seg = NULL;
	uint32_t n = 0;

	lock_take(&p->lock);
	if (keep == POOL_FORCE || pool_room(p) > keep) {
		seg = take_free(p);
		if (seg == NULL) {
			seg = take_cold(p, keep == POOL_FORCE);
		}
	}
	if (seg != NULL) {
		n = segment_number(p, seg);
		seg->w.queue = (uint8_t)q;
		atomic_store(&seg->swept, swept);
		atomic_store(&seg->used, 0);
		atomic_store(&seg->dead, 0);
		atomic_store(&seg->expired, 0);
		atomic_store(&seg->swept_at, 0);
		atomic_store(&seg->state, SEG_OPEN);
		atomic_store(&p->expiries[n], UINT32_MAX);
		p->bases[n] = base;
		atomic_fetch_add(&p->queues[q].bytes, p->size);
		atomic_fetch_add(&p->nopen, 1);
	}
	lock_give(&p->lock);
	return n;
}

/* Gives one segment that is neither listed nor used back to the kernel. */
static void make_cold(struct pool *p, struct segment *seg)
{
	arena_drop(segment_start(p, segment_number(p, seg)), p->size);
	atomic_store(&seg->state, SEG_COLD);
	list_push_head(&p->cold, &seg->w.link);
	budget_give(&p->supply->budget, p->size);
}

static void make_free(struct pool *p, struct segment *seg)
{
	struct queue *q = &p->queues[seg->w.queue];

	list_remove(&seg->w.link);
	list_remove(&seg->w.second);
	q->segments--;
	atomic_fetch_sub(&q->bytes, p->size);
	atomic_fetch_sub(&p->expired_bytes, atomic_load(&seg->expired));
	if (budget_over(&p->supply->budget)) {
		make_cold(p, seg);
		return;
	}
	atomic_store(&seg->state, SEG_FREE);
	list_push_head(&p->free, &seg->w.link);
	atomic_fetch_add(&p->nfree, 1);
}

/* Frees or lists a sealed segment, as S2 and its dead bytes have it. */
static void settle(struct pool *p, struct segment *seg)
{
	uint32_t used = atomic_load(&seg->used);
	uint32_t dead = atomic_load(&seg->dead);

	if (atomic_load(&seg->state) != SEG_SEALED) {
		return;
	}
	check(dead <= used);
	if (dead == used && atomic_load(&seg->pins) == 0) {
		make_free(p, seg);
	} else if (segment_is_dirty(used, dead) && list_empty(&seg->w.second)) {
		list_push_tail(&p->dirty, &seg->w.second);
	}
}

void pool_seal(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];
	struct queue *q = &p->queues[seg->w.queue];

	lock_take(&p->lock);
	check(atomic_load(&seg->state) == SEG_OPEN);
	list_push_tail(&q->waiting, &seg->w.link);
	q->segments++;
	atomic_fetch_sub(&p->nopen, 1);
	atomic_store(&seg->state, SEG_SEALED);
	settle(p, seg);
	lock_give(&p->lock);
}

static void settle_locked(struct pool *p, struct segment *seg)
{
	lock_take(&p->lock);
	settle(p, seg);
	lock_give(&p->lock);
}

void pool_kill(struct pool *p, uint32_t n, uint32_t bytes)
{
	struct segment *seg = &p->segments[n];
	uint32_t before = atomic_fetch_add(&seg->dead, bytes);
	uint32_t used;

	if (!p->evicts) {
		atomic_fetch_add(&p->deaths, bytes);
	}
	if (atomic_load(&seg->state) != SEG_SEALED) {
		return;
	}
	used = atomic_load(&seg->used);
	if (before + bytes == used || (segment_is_dirty(used, before + bytes) &&
				       !segment_is_dirty(used, before))) {
		settle_locked(p, seg);
	}
}

void pool_note_expired(struct pool *p, uint32_t n, uint32_t bytes)
{
	atomic_fetch_add(&p->segments[n].expired, bytes);
	atomic_fetch_add(&p->expired_bytes, bytes);
}

void pool_pin(struct pool *p, uint32_t n)
{
	atomic_fetch_add(&p->segments[n].pins, 1);
}

void pool_unpin(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];

	if (atomic_fetch_sub(&seg->pins, 1) == 1 &&
	    atomic_load(&seg->state) == SEG_SEALED &&
	    atomic_load(&seg->dead) == atomic_load(&seg->used)) {
		settle_locked(p, seg);
	}
}

bool pool_hold(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];
	bool done = true;

	lock_take(&p->lock);
	if (seg->held == 0) {
		done = p->held_segments < limit_segments(p) / HELD_SHARE;
		p->held_segments += done ? 1 : 0;
	}
	seg->held += done ? 1 : 0;
	lock_give(&p->lock);
	return done;
}

void pool_unhold(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];

	lock_take(&p->lock);
	check(seg->held > 0);
	seg->held--;
	if (seg->held == 0) {
		p->held_segments--;
	}
	lock_give(&p->lock);
}

bool pool_claim(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];

	if (atomic_load(&seg->state) != SEG_SEALED ||
	    atomic_load(&seg->pins) != 0) {
		return false;
	}
	list_remove(&seg->w.second);
	atomic_store(&seg->state, SEG_WALKED);
	return true;
}

void pool_unclaim(struct pool *p, uint32_t n)
{
	struct segment *seg = &p->segments[n];

	lock_take(&p->lock);
	check(atomic_load(&seg->state) == SEG_WALKED);
	atomic_store(&seg->state, SEG_SEALED);
	settle(p, seg);
	lock_give(&p->lock);
}

void pool_trim(struct pool *p, uint64_t bytes)
{
	struct budget *b = &p->supply->budget;
	struct segment *seg;

	lock_take(&p->lock);
	while (budget_used(b) + bytes > budget_limit(b) &&
	       (seg = take_free(p)) != NULL) {
		make_cold(p, seg);
	}
	lock_give(&p->lock);
}

void pool_note_expiry(struct pool *p, uint32_t n, uint32_t exptime)
{
	_Atomic uint32_t *at = n != 0 ? &p->expiries[n] : &p->large_expiry;
	uint32_t seen = atomic_load_explicit(at, memory_order_relaxed);

	while (exptime < seen &&
	       !atomic_compare_exchange_weak(at, &seen, exptime)) {
	}
}

void pool_queue_large(struct pool *p, struct waiting *w, enum queue_name q,
		      uint64_t bytes)
{
	lock_take(&p->lock);
	w->queue = (uint8_t)q;
	list_push_tail(&p->queues[q].waiting, &w->link);
	list_push_tail(&p->larges, &w->second);
	atomic_fetch_add(&p->queues[q].bytes, bytes);
	atomic_fetch_add(&p->large_count, 1);
	atomic_fetch_add(&p->large_live, bytes);
	lock_give(&p->lock);
}

void pool_requeue_large(struct pool *p, struct waiting *w, enum queue_name q,
			uint64_t bytes)
{
	lock_take(&p->lock);
	list_remove(&w->link);
	atomic_fetch_sub(&p->queues[w->queue].bytes, bytes);
	w->queue = (uint8_t)q;
	list_push_tail(&p->queues[q].waiting, &w->link);
	atomic_fetch_add(&p->queues[q].bytes, bytes);
	lock_give(&p->lock);
}

void pool_unqueue_large(struct pool *p, struct waiting *w, uint64_t bytes)
{
	lock_take(&p->lock);
	list_remove(&w->link);
	list_remove(&w->second);
	atomic_fetch_sub(&p->queues[w->queue].bytes, bytes);
	atomic_fetch_sub(&p->large_count, 1);
	atomic_fetch_sub(&p->large_live, bytes);
	lock_give(&p->lock);
}
