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
};

static uint64_t bytes_for(uint8_t key_len, uint32_t value_len)
{
	return sizeof(struct large) + key_len + (uint64_t)value_len;
}

uint64_t large_cost(uint8_t key_len, uint32_t value_len)
{
	uint64_t bytes = bytes_for(key_len, value_len);

	return bytes >= MAPPED_MIN ? arena_round(bytes) : bytes + HEAP_OVERHEAD;
}

struct large *large_new(struct pool *p, const struct item_view *v,
			uint64_t hash)
{
	uint64_t bytes = bytes_for(v->key_len, v->value_len);
	bool mapped = bytes >= MAPPED_MIN;
	struct large *l;

	if (supply_denied(p->supply)) {
		return NULL;
	}
	l = mapped ? arena_map(bytes) : malloc(bytes);
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
	l->mapped = mapped;
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
