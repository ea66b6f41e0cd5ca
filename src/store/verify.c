/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The deep check: adds up everything from the table's side and compares it
 * with what the pool and the budget say.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/hash.h"
#include "store/large.h"
#include "store/state.h"

/* What the table says. */
struct findings {
	uint64_t *live; /* bytes in each segment */
	uint64_t items;
	uint64_t large_items;
	uint64_t large_bytes;
};

static void verify_large(const struct large *l, uint64_t hash,
			 struct findings *f)
{
	check(l->hash == hash && l->w.is_large);
	check(!list_empty(&l->w.link) && !list_empty(&l->w.second));
	check(atomic_load(&l->refs) > 0);
	f->large_items++;
	f->large_bytes += l->bytes;
}

static void verify_packed(struct store *s, uint64_t location,
			  const struct item_view *v, struct findings *f)
{
	uint32_t n = pool_segment_of(&s->pool, location);
	const struct segment *seg = &s->pool.segments[n];
	uint64_t offset = (location << LOCATION_UNIT_SHIFT) -
			  ((uint64_t)n << s->pool.shift);

	check(n > 0 && n <= atomic_load(&s->pool.top));
	check(atomic_load(&seg->state) >= SEG_OPEN);
	check(offset + v->size <= atomic_load(&seg->used));
	check(v->exptime == 0 || atomic_load(&seg->state) == SEG_WALKED ||
	      atomic_load(&s->pool.expiries[n]) <= v->exptime);
	f->live[n] += v->size;
}

static void verify_shard(struct store *s, uint32_t index, struct findings *f)
{
	const struct table *t = &s->shards[index].table;
	const uint64_t *slots = table_buckets(t);
	size_t n = (size_t)table_nbuckets(t) * BUCKET_SLOTS;

	table_verify(t);
	for (size_t i = 0; i < n; i++) {
		struct item_view v;
		uint64_t location = slot_location(slots[i]);
		uint64_t hash;

		if (slots[i] == 0) {
			continue;
		}
		state_read(s, location, &v);
		hash = hash_bytes(v.key, v.key_len, s->hash_seed);
		check(state_shard(s, hash) == &s->shards[index]);
		check(table_tag(hash) == slot_tag(slots[i]));
		check(v.lsn <= store_lsn(s) && v.lsn > 0);
		if (location_is_large(location)) {
			verify_large(large_at(location), hash, f);
		} else {
			verify_packed(s, location, &v, f);
		}
		f->items++;
	}
}

/* Walks one queue's list and counts its segments. */
static uint32_t verify_list(struct pool *p, enum queue_name q)
{
	uint32_t segments = 0;

	list_each(link, &p->queues[q].waiting)
	{
		struct waiting *w = list_entry(link, struct waiting, link);

		check(w->queue == (uint8_t)q);
		if (!w->is_large) {
			struct segment *seg = list_entry(w, struct segment, w);

			check(atomic_load(&seg->state) >= SEG_SEALED);
			segments++;
		}
	}
	return segments;
}

static void verify_segments(struct store *s, const struct findings *f)
{
	struct pool *p = &s->pool;
	uint64_t bytes = 0;
	uint32_t nfree = 0;
	uint32_t nopen = 0;
	uint32_t sealed = 0;
	uint64_t expired = 0;

	for (uint32_t n = 1; n <= atomic_load(&p->top); n++) {
		struct segment *seg = &p->segments[n];
		uint32_t used = atomic_load(&seg->used);
		uint32_t dead = atomic_load(&seg->dead);

		switch (atomic_load(&seg->state)) {
		case SEG_COLD:
			continue;
		case SEG_FREE:
			nfree++;
			continue;
		case SEG_OPEN:
			nopen++;
			break;
		default:
			sealed++;
			check(used != dead || atomic_load(&seg->pins) > 0 ||
			      atomic_load(&seg->state) == SEG_WALKED);
			break;
		}
		check(dead <= used && f->live[n] <= used - dead);
		check(atomic_load(&seg->pins) > 0 || f->live[n] == used - dead);
		check(atomic_load(&seg->expired) <= dead);
		expired += atomic_load(&seg->expired);
		bytes += p->size;
	}
	check(expired == atomic_load(&p->expired_bytes));
	check(nfree == atomic_load(&p->nfree));
	check(nopen == atomic_load(&p->nopen));
	check(sealed ==
	      verify_list(p, QUEUE_SMALL) + verify_list(p, QUEUE_MAIN));
	check(bytes + f->large_bytes ==
	      atomic_load(&p->queues[QUEUE_SMALL].bytes) +
		      atomic_load(&p->queues[QUEUE_MAIN].bytes));
}

uint64_t state_charged(struct store *s)
{
	struct pool *p = &s->pool;
	uint64_t sum = s->fixed_bytes + atomic_load(&p->large_bytes) +
		       atomic_load(&p->contexts) * state_ctx_cost();

	for (uint32_t n = 1; n <= atomic_load(&p->top); n++) {
		if (atomic_load(&p->segments[n].state) != SEG_COLD) {
			sum += p->size;
		}
	}
	for (uint32_t i = 0; i < state_shards(s); i++) {
		sum += table_cost(&s->shards[i].table) +
		       ghost_cost(&s->shards[i].ghost);
	}
	return sum;
}

static void verify_tally(struct store *s, uint64_t items)
{
	struct store_stats stats;

	store_stats(s, &stats);
	check(stats.items == items);
}

void store_verify(struct store *s)
{
	struct findings f = { .items = 0 };

	f.live = calloc((size_t)atomic_load(&s->pool.top) + 1, sizeof(*f.live));
	check(f.live != NULL);
	for (uint32_t i = 0; i < state_shards(s); i++) {
		verify_shard(s, i, &f);
	}
	verify_segments(s, &f);
	check(f.large_items == atomic_load(&s->pool.large_count));
	check(f.large_bytes == atomic_load(&s->pool.large_live));
	check(state_charged(s) <= budget_used(&s->supply.budget));
	verify_tally(s, f.items);
	free(f.live);
}
