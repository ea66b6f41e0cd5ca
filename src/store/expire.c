/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Death without a request: flushes, and the upkeep that finds what is dead.
 *
 * The sweep goes around the segments and walks those of which the earliest
 * expiry has passed, or which hold items from before the last flush.  If
 * something expires in each segment each second, that would be all of memory
 * each second, so a segment that was swept is left alone for a while.  Items
 * in open segments wait until their segment is sealed.
 */
#include "base/check.h"
#include "store/evict.h"
#include "store/large.h"
#include "store/state.h"
#include "store/walk.h"

enum {
	/* What an item counts for when work is given in items. */
	ITEM_WORK = 64,
	/* Segment records looked at for each item of work. */
	RECORDS_PER_ITEM = 8,
	/* What expires is found at most so much later, and a round. */
	SWEEP_PAUSE_S = 5,
};

void state_raise_barrier(struct store *s, uint64_t lsn)
{
	uint64_t seen = atomic_load(&s->barrier);

	while (seen < lsn &&
	       !atomic_compare_exchange_weak(&s->barrier, &seen, lsn)) {
	}
}

/*
 * Logs a flush, or the intention of one; *lsn is its own.  Without a log that
 * is the present LSN.  False: the log takes nothing.
 */
static bool log_flush(struct store *s, uint8_t kind, uint32_t at, uint32_t now,
		      uint64_t *lsn)
{
	struct record r = { .kind = kind, .number = at, .time = now };
	struct log_slot slot;

	if (s->log == NULL) {
		*lsn = store_lsn(s);
		return true;
	}
	if (!log_reserve(s->log, &r, &slot)) {
		return false;
	}
	log_publish(s->log, &slot, &r);
	s->flush_lsn = slot.lsn;
	*lsn = slot.lsn;
	return true;
}

/* No flush is pending, or another one. */
static void set_pending(struct store *s, uint32_t at)
{
	atomic_store(&s->flush_at, at);
	atomic_store(&s->flush_stuck, false);
}

/*
 * A delayed flush takes effect; flush_lock is held.  During its second the
 * barrier rises without a record: what was stored in that second is hidden,
 * and whoever recovers knows of the intention and does the same.  When the
 * second is over, or something else takes its place (`last`), the record that
 * ends it comes before all that is stored afterwards.  If the log takes no
 * record, nothing can be stored until it does.
 */
static void fire(struct store *s, uint32_t now, bool last)
{
	uint32_t at = atomic_load(&s->flush_at);
	uint64_t lsn;

	if (at == 0 || now < at) {
		return;
	}
	state_raise_barrier(s, store_lsn(s));
	if (now == at && !last) {
		return;
	}
	if (!log_flush(s, RECORD_FLUSH, 0, now, &lsn)) {
		atomic_store(&s->flush_stuck, true);
		return;
	}
	state_raise_barrier(s, lsn);
	set_pending(s, 0);
}

enum store_result store_flush(struct store *s, uint32_t now, uint64_t *lsn)
{
	enum store_result res = STORE_NO_MEMORY;

	lock_take(&s->flush_lock);
	if (log_flush(s, RECORD_FLUSH, 0, now, lsn)) {
		state_raise_barrier(s, *lsn);
		set_pending(s, 0);
		res = STORE_OK;
	}
	lock_give(&s->flush_lock);
	return res;
}

enum store_result store_flush_at(struct store *s, uint32_t at, uint32_t now,
				 uint64_t *lsn)
{
	enum store_result res = STORE_NO_MEMORY;

	lock_take(&s->flush_lock);
	/* One that is due must not be forgotten for another. */
	fire(s, now, true);
	if (!atomic_load(&s->flush_stuck) &&
	    log_flush(s, RECORD_FLUSH_AT, at, now, lsn)) {
		set_pending(s, at);
		res = STORE_OK;
	}
	lock_give(&s->flush_lock);
	return res;
}

uint32_t store_flush_pending(struct store *s)
{
	uint32_t at;

	lock_take(&s->flush_lock);
	at = atomic_load(&s->flush_at);
	lock_give(&s->flush_lock);
	return at;
}

/*
 * Under a lock: who comes second must not raise the barrier over what was
 * stored after the first had cleared the flush.
 */
void state_flush_tick(struct store *s, uint32_t now)
{
	uint32_t at = atomic_load_explicit(&s->flush_at, memory_order_relaxed);

	if (at == 0 || now < at) {
		return;
	}
	lock_take(&s->flush_lock);
	fire(s, now, false);
	lock_give(&s->flush_lock);
}

static bool has_expired(struct pool *p, uint32_t n, uint32_t now)
{
	uint32_t swept_at = atomic_load(&p->segments[n].swept_at);

	return atomic_load(&p->expiries[n]) <= now &&
	       (swept_at == 0 || now - swept_at >= SWEEP_PAUSE_S);
}

static bool is_due(struct store *s, uint32_t n, uint32_t now)
{
	struct pool *p = &s->pool;
	struct segment *seg = &p->segments[n];
	uint64_t barrier = atomic_load(&s->barrier);

	return (has_expired(p, n, now) ||
		(barrier != 0 && atomic_load(&seg->swept) < barrier)) &&
	       atomic_load(&seg->state) == SEG_SEALED;
}

/* Looks for a segment to sweep; false: none in a whole round. */
static bool find_due(struct store_ctx *c, uint32_t now, uint64_t *work)
{
	struct store *s = c->store;
	struct pool *p = &s->pool;
	uint32_t top = atomic_load(&p->top);

	for (uint32_t i = 0; i < top; i++) {
		uint32_t n = c->sweep_next < top ? c->sweep_next + 1 : 1;
		bool claimed = false;

		c->sweep_next = n;
		if (is_due(s, n, now)) {
			lock_take(&p->lock);
			claimed = pool_claim(p, n);
			lock_give(&p->lock);
		}
		if (claimed) {
			*work += i / RECORDS_PER_ITEM * ITEM_WORK;
			walk_start(c, &c->sweep, n, WALK_SWEEP);
			return true;
		}
	}
	return false;
}

/* Begins a round over the large values, if one of them may be dead. */
static void start_larges(struct store_ctx *c, uint32_t now)
{
	struct pool *p = &c->store->pool;
	uint64_t barrier = atomic_load(&c->store->barrier);

	if (c->larges_left == 0 && (atomic_load(&p->large_expiry) <= now ||
				    atomic_load(&p->large_swept) < barrier)) {
		c->larges_left = atomic_load(&p->large_count);
		/* What stays notes its expiry again. */
		atomic_store(&p->large_expiry, UINT32_MAX);
		atomic_store(&p->large_swept, barrier);
	}
}

/* Goes on with the round; true: it is not at its end. */
static bool sweep_larges(struct store_ctx *c, uint32_t items, uint32_t now)
{
	struct pool *p = &c->store->pool;

	start_larges(c, now);
	for (; items > 0 && c->larges_left > 0; items--) {
		struct large *l = NULL;
		struct list *link;

		lock_take(&p->lock);
		link = list_pop_head(&p->larges);
		if (link != NULL) {
			l = list_entry(link, struct large, w.second);
			list_push_tail(&p->larges, link);
			large_ref(l);
		}
		lock_give(&p->lock);
		c->larges_left--;
		if (l != NULL) {
			walk_large(c, l, WALK_SWEEP, now);
		}
	}
	return c->larges_left > 0;
}

static bool sweep(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	uint64_t done = 0;

	while (done < bytes) {
		if (c->sweep.segment == 0 && !find_due(c, now, &done)) {
			return false;
		}
		done += walk_step(c, &c->sweep, bytes - done, now);
	}
	return true;
}

/* Restores the reserve, so that requests need not; true: not yet done. */
static bool restore_reserve(struct store_ctx *c, uint64_t bytes, uint32_t now)
{
	struct pool *p = &c->store->pool;

	if (budget_over(&c->store->supply.budget)) {
		large_spares_drop(p);
		pool_trim(p, 0);
	}
	if (pool_room(p) >= atomic_load(&p->reserve)) {
		return false;
	}
	return evict_step(c, bytes, now) > 0 &&
	       pool_room(p) < atomic_load(&p->reserve);
}

bool state_maintain(struct store_ctx *c, uint32_t now, uint32_t items)
{
	uint64_t bytes = (uint64_t)items * ITEM_WORK;
	bool more;

	check(!c->entry_open);
	more = sweep(c, bytes, now);
	more |= sweep_larges(c, items, now);
	more |= evict_expired(c, bytes, now);
	more |= restore_reserve(c, bytes, now);
	return more;
}

bool store_maintain(struct store_ctx *c, uint32_t now, uint32_t items)
{
	state_flush_tick(c->store, now);
	return state_maintain(c, now, items);
}
