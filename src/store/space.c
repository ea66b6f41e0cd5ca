/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Appending to open segments, and memory for large values.
 */
#include "base/check.h"
#include "store/evict.h"
#include "store/space.h"

/*
 * A segment stays open as long as LSNs are this near to its base: then what
 * is appended has half of a 32-bit delta left for the time until it is
 * published.
 */
#define BASE_AGE_MAX (1ULL << 30)

enum { FREED_BEFORE_FORCE = 4 };

static bool append(struct store_ctx *c, uint32_t size, enum queue_name q,
		   struct space *sp)
{
	struct store *s = c->store;
	struct open_segment *o = &c->open[q];
	uint64_t age;

	if (o->segment == 0 || size > s->pool.size - o->used) {
		return false;
	}
	age = state_lsn(s) - s->pool.bases[o->segment];
	if (age > BASE_AGE_MAX) {
		return false;
	}
	sp->kind = SPACE_SEGMENT;
	sp->size = size;
	sp->raw = segment_start(&s->pool, o->segment) + o->used;
	sp->location = pool_location(&s->pool, o->segment, o->used);
	o->used += size;
	pool_pin(&s->pool, o->segment);
	/* Others look at it when the segment is sealed. */
	atomic_store_explicit(&s->pool.segments[o->segment].used, o->used,
			      memory_order_relaxed);
	return true;
}

static bool refill(struct store_ctx *c, enum queue_name q, uint32_t keep)
{
	struct store *s = c->store;
	struct open_segment *o = &c->open[q];
	uint32_t fresh = pool_open(&s->pool, q, keep, state_lsn(s),
				   atomic_load(&s->barrier));

	if (fresh == 0) {
		return false;
	}
	if (o->segment != 0) {
		pool_seal(&s->pool, o->segment);
	}
	o->segment = fresh;
	o->used = 0;
	return true;
}

bool space_take_now(struct store_ctx *c, uint32_t size, enum queue_name q,
		    struct space *sp)
{
	return append(c, size, q, sp) ||
	       ((refill(c, q, 0) || refill(c, q, POOL_FORCE)) &&
		append(c, size, q, sp));
}

/*
 * After the limit was lowered there is no room for long.  Then a segment is
 * opened all the same, once a few have been freed: the memory shrinks with
 * each request, and no request waits until it has shrunk enough.
 */
static bool is_shrinking(const struct store *s, unsigned freed)
{
	return freed >= FREED_BEFORE_FORCE && s->pool.evicts &&
	       budget_over(&s->supply.budget);
}

static bool take_in_segment(struct store_ctx *c, uint32_t size,
			    enum queue_name q, uint32_t now, struct space *sp)
{
	uint32_t keep = evict_keep(c->store);
	unsigned freed = 0;

	evict_pay(c, size, now);
	for (;;) {
		if (append(c, size, q, sp)) {
			return true;
		}
		if (refill(c, q,
			   is_shrinking(c->store, freed) ? POOL_FORCE : keep)) {
			continue;
		}
		if (large_spares_drop(&c->store->pool)) {
			continue;
		}
		if (!evict_some(c, freed, now)) {
			break;
		}
		freed++;
	}
	return c->store->pool.evicts && refill(c, q, 0) &&
	       append(c, size, q, sp);
}

/*
 * Charges for a large value, the spare that it can have included; *out is that
 * or NULL.  What is evicted may become a spare, so it is asked for again, and
 * what does not fit is no use.
 */
static bool charge_large(struct store_ctx *c, uint64_t cost, uint32_t now,
			 struct spare **out)
{
	struct pool *p = &c->store->pool;
	struct budget *b = &c->store->supply.budget;
	struct spare *sp = large_spare_take(p, cost);

	while (sp == NULL || sp->bytes < cost) {
		uint64_t more = sp == NULL ? cost : cost - sp->bytes;

		if (budget_take(b, more)) {
			*out = sp;
			return true;
		}
		if (large_spares_drop(p)) {
			continue;
		}
		if (!evict_for(c, more, now)) {
			if (sp != NULL) {
				large_spare_free(p, sp);
			}
			return false;
		}
		if (sp == NULL) {
			sp = large_spare_take(p, cost);
		}
	}
	budget_give(b, sp->bytes - cost);
	*out = sp;
	return true;
}

static bool take_large(struct store_ctx *c, const struct item_view *form,
		       uint64_t hash, uint32_t now, struct space *sp)
{
	struct store *s = c->store;
	struct budget *b = &s->supply.budget;
	uint64_t cost = large_cost(form->key_len, form->value_len);
	struct spare *spare;
	struct large *l;

	if (cost > budget_limit(b)) {
		return false;
	}
	evict_pay(c, cost, now);
	if (!charge_large(c, cost, now, &spare)) {
		return false;
	}
	l = large_new(&s->pool, form, hash, spare);
	if (l == NULL) {
		budget_give(b, cost);
		return false;
	}
	sp->kind = SPACE_LARGE;
	sp->size = 0;
	sp->raw = l;
	sp->location = large_location(l);
	return true;
}

bool space_take(struct store_ctx *c, const struct item_view *form,
		unsigned extras, uint64_t hash, enum queue_name q, uint32_t now,
		struct space *sp)
{
	uint64_t size = item_size(form, extras);
	bool done;

	check(!c->entry_open);
	done = space_is_large(c->store, size) ?
		       take_large(c, form, hash, now, sp) :
		       take_in_segment(c, (uint32_t)size, q, now, sp);
	if (!done) {
		counter_add(&c->tally.out_of_memory, 1);
	}
	return done;
}

char *space_value(const struct space *sp, const struct item_view *form,
		  unsigned extras)
{
	if (sp->kind == SPACE_LARGE) {
		return large_value(sp->raw);
	}
	return (char *)sp->raw + item_value_at(form, extras);
}

static uint64_t base_of(const struct store *s, const struct space *sp)
{
	return s->pool.bases[pool_segment_of(&s->pool, sp->location)];
}

bool space_fits(const struct store *s, const struct space *sp,
		const struct item_view *form, unsigned extras)
{
	if (sp->kind == SPACE_LARGE) {
		const struct large *l = sp->raw;

		return l->key_len == form->key_len &&
		       l->value_len == form->value_len;
	}
	return sp->kind == SPACE_SEGMENT &&
	       sp->size == item_size(form, extras) &&
	       ((extras & EXTRA_WIDE) != 0 ||
		item_lsn_fits(form->lsn, base_of(s, sp)));
}

void space_write(const struct store *s, const struct space *sp,
		 const struct item_view *form, unsigned extras)
{
	if (sp->kind == SPACE_LARGE) {
		large_amend(sp->raw, form);
	} else {
		item_write(sp->raw, form, extras, base_of(s, sp));
	}
}

void space_publish(struct store *s, struct space *sp, enum queue_name q,
		   uint32_t exptime)
{
	uint32_t n = 0;

	if (sp->kind == SPACE_LARGE) {
		struct large *l = sp->raw;

		pool_queue_large(&s->pool, &l->w, q, l->bytes);
	} else {
		n = pool_segment_of(&s->pool, sp->location);
		pool_unpin(&s->pool, n);
	}
	if (exptime != 0) {
		pool_note_expiry(&s->pool, n, exptime);
	}
	sp->kind = SPACE_NONE;
}

void space_drop(struct store *s, struct space *sp)
{
	if (sp->kind == SPACE_LARGE) {
		large_unref(&s->pool, sp->raw);
	} else if (sp->kind == SPACE_SEGMENT) {
		uint32_t n = pool_segment_of(&s->pool, sp->location);

		item_bury(sp->raw, sp->size);
		pool_kill(&s->pool, n, sp->size);
		pool_unpin(&s->pool, n);
	}
	sp->kind = SPACE_NONE;
}

void space_close(struct store_ctx *c)
{
	for (int q = 0; q < QUEUE_COUNT; q++) {
		if (c->open[q].segment != 0) {
			pool_seal(&c->store->pool, c->open[q].segment);
			c->open[q].segment = 0;
		}
	}
}
