/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large values.  From MAPPED_MIN on they are mappings: the heap would keep
 * what it frees, and the resident size would no longer follow the budget.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "store/large.h"

#define MAPPED_MIN (16 * KIB)

enum {
	LARGE_UNIT_SHIFT = 4, /* a location is the address in units of 16 */
	LARGE_ALIGN = 1 << LARGE_UNIT_SHIFT,
	HEAP_OVERHEAD = 16,
	SPARE_SHARE = 32,
	SPARES_LOOKED_AT = 8,
};

static uint64_t bytes_for(uint8_t key_len, uint32_t value_len)
{
	return sizeof(struct large) + key_len + (uint64_t)value_len;
}

/* So that the cost tells it, too: what is not mapped costs less. */
static bool is_mapped(uint64_t bytes)
{
	return bytes + HEAP_OVERHEAD >= MAPPED_MIN;
}

uint64_t large_cost(uint8_t key_len, uint32_t value_len)
{
	uint64_t bytes = bytes_for(key_len, value_len);

	return is_mapped(bytes) ? arena_round(bytes) : bytes + HEAP_OVERHEAD;
}

/* ---- spare memory ------------------------------------------------------- */

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

struct spare *large_spare_take(struct pool *p, uint64_t cost)
{
	struct spare *best = NULL;
	int looked = 0;

	if (cost < MAPPED_MIN ||
	    atomic_load_explicit(&p->spare_bytes, memory_order_relaxed) == 0) {
		return NULL;
	}
	lock_take(&p->spare_lock);
	list_each(link, &p->spares)
	{
		struct spare *sp = list_entry(link, struct spare, link);

		if (best == NULL ||
		    distance(sp->bytes, cost) < distance(best->bytes, cost)) {
			best = sp;
		}
		if (best->bytes == cost || ++looked == SPARES_LOOKED_AT) {
			break;
		}
	}
	if (best != NULL) {
		list_remove(&best->link);
		atomic_fetch_sub(&p->spare_bytes, best->bytes);
	}
	lock_give(&p->spare_lock);
	return best;
}

/* Keeps the memory of a large value; false: there is enough. */
static bool spare_keep(struct pool *p, void *memory, uint64_t bytes)
{
	struct budget *b = &p->supply->budget;
	struct spare *sp = memory;
	bool done;

	if (budget_over(b)) {
		return false;
	}
	lock_take(&p->spare_lock);
	done = atomic_load(&p->spare_bytes) + bytes <=
	       budget_limit(b) / SPARE_SHARE;
	if (done) {
		sp->bytes = bytes;
		list_init(&sp->link);
		list_push_head(&p->spares, &sp->link);
		atomic_fetch_add(&p->spare_bytes, bytes);
	}
	lock_give(&p->spare_lock);
	return done;
}

void large_spare_free(struct pool *p, struct spare *sp)
{
	uint64_t bytes = sp->bytes;

	arena_unmap(sp, bytes);
	atomic_fetch_sub(&p->large_bytes, bytes);
	budget_give(&p->supply->budget, bytes);
}

bool large_spares_drop(struct pool *p)
{
	bool some = false;
	struct list *link;

	while (atomic_load(&p->spare_bytes) > 0) {
		struct spare *sp = NULL;

		lock_take(&p->spare_lock);
		link = list_pop_head(&p->spares);
		if (link != NULL) {
			sp = list_entry(link, struct spare, link);
			atomic_fetch_sub(&p->spare_bytes, sp->bytes);
		}
		lock_give(&p->spare_lock);
		if (sp == NULL) {
			break;
		}
		large_spare_free(p, sp);
		some = true;
	}
	return some;
}

/* ---- values ------------------------------------------------------------- */

/* Pages for a value; a spare is used up, whatever comes of it. */
static void *map_pages(struct pool *p, uint64_t bytes, struct spare *sp)
{
	uint64_t spare_bytes;
	void *at;

	if (sp == NULL) {
		return arena_map(bytes);
	}
	spare_bytes = sp->bytes;
	at = sp;
	if (spare_bytes != arena_round(bytes)) {
		at = arena_resize(sp, spare_bytes, bytes);
	}
	if (at == NULL) {
		arena_unmap(sp, spare_bytes);
	}
	atomic_fetch_sub(&p->large_bytes, spare_bytes);
	return at;
}

static void *new_memory(struct pool *p, uint64_t bytes, struct spare *sp)
{
	if (!supply_denied(p->supply)) {
		return is_mapped(bytes) ? map_pages(p, bytes, sp) :
					  malloc(bytes);
	}
	if (sp != NULL) {
		atomic_fetch_sub(&p->large_bytes, sp->bytes);
		arena_unmap(sp, sp->bytes);
	}
	return NULL;
}

struct large *large_new(struct pool *p, const struct item_view *v,
			uint64_t hash, struct spare *sp)
{
	uint64_t bytes = bytes_for(v->key_len, v->value_len);
	struct large *l = new_memory(p, bytes, sp);

	if (l == NULL) {
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	check(large_location(l) < 1ULL << 44);
	list_init(&l->w.link);
	list_init(&l->w.second);
	l->w.is_large = true;
	l->hash = hash;
	l->bytes = large_cost(v->key_len, v->value_len);
	l->value_len = v->value_len;
	l->key_len = v->key_len;
	l->mapped = is_mapped(bytes);
	atomic_init(&l->refs, 1);
	memcpy(l->data, v->key, v->key_len);
	large_amend(l, v);
	atomic_fetch_add(&p->large_bytes, l->bytes);
	return l;
}

void large_ref(struct large *l)
{
	check(atomic_fetch_add(&l->refs, 1) > 0);
}

void large_unref(struct pool *p, struct large *l)
{
	uint64_t charged = l->bytes;
	uint32_t before = atomic_fetch_sub(&l->refs, 1);

	check(before > 0);
	if (before > 1) {
		return;
	}
	if (l->mapped && spare_keep(p, l, charged)) {
		return;
	}
	if (l->mapped) {
		arena_unmap(l, bytes_for(l->key_len, l->value_len));
	} else {
		free(l);
	}
	atomic_fetch_sub(&p->large_bytes, charged);
	budget_give(&p->supply->budget, charged);
}

uint64_t large_location(const struct large *l)
{
	uint64_t at = (uint64_t)(uintptr_t)l;

	check(at % LARGE_ALIGN == 0);
	return LOCATION_LARGE | at >> LARGE_UNIT_SHIFT;
}

struct large *large_at(uint64_t location)
{
	uint64_t at = (location & ~LOCATION_LARGE) << LARGE_UNIT_SHIFT;

	return (struct large *)(uintptr_t)at;
}

void large_read(struct large *l, struct item_view *v)
{
	v->key = l->data;
	v->value = large_value(l);
	v->lsn = l->lsn;
	v->cas = l->cas;
	v->value_len = l->value_len;
	v->cflags = l->cflags;
	v->exptime = atomic_load_explicit(&l->exptime, memory_order_relaxed);
	v->accessed = l->accessed;
	v->size = (uint32_t)l->bytes;
	v->key_len = l->key_len;
	v->fetched = l->fetched;
	v->stale = l->stale;
	v->won = l->won;
	v->binkey = l->binkey;
}

void large_amend(struct large *l, const struct item_view *v)
{
	l->lsn = v->lsn;
	l->cas = v->cas;
	atomic_store_explicit(&l->exptime, v->exptime, memory_order_relaxed);
	l->accessed = v->accessed;
	l->cflags = v->cflags;
	l->fetched = v->fetched;
	l->stale = v->stale;
	l->won = v->won;
	l->binkey = v->binkey;
}
