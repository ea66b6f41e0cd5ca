/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the store knows about itself: sums over contexts, and gauges read from
 * the pool.
 */
#include <string.h>

#include "base/check.h"
#include "store/state.h"

void tally_add(struct tally *to, const struct tally *from)
{
	counter_add(&to->items, counter_read(&from->items));
#define X(name) counter_add(&to->name, counter_read(&from->name));
	STORE_COUNTERS(X)
#undef X
}

/* The sum over all contexts that are or were; the lock is held. */
static void sum_up(struct store *s, struct tally *sum)
{
	memset(sum, 0, sizeof(*sum));
	tally_add(sum, &s->retired);
	list_each(link, &s->contexts)
	{
		tally_add(sum,
			  &list_entry(link, struct store_ctx, link)->tally);
	}
}

/* Two counters that move: what is spare may be seen before it is counted. */
static uint64_t large_in_use(const struct pool *p)
{
	uint64_t spare = atomic_load(&p->spare_bytes);
	uint64_t all = atomic_load(&p->large_bytes);

	return all > spare ? all - spare : 0;
}

/* Bytes of items in segments, and how many segments hold some back. */
static void read_segments(struct store *s, struct store_stats *out)
{
	struct pool *p = &s->pool;
	uint32_t top = atomic_load(&p->top);

	for (uint32_t n = 1; n <= top; n++) {
		struct segment *seg = &p->segments[n];

		if (atomic_load(&seg->state) >= SEG_OPEN) {
			/* It may be freed and opened anew meanwhile. */
			uint32_t dead = atomic_load(&seg->dead);
			uint32_t used = atomic_load(&seg->used);

			out->item_bytes += used > dead ? used - dead : 0;
		}
	}
}

static void read_pool(struct store *s, struct store_stats *out)
{
	struct pool *p = &s->pool;

	out->segment_size = p->size;
	out->segments_free = atomic_load(&p->nfree);
	out->segments_open = atomic_load(&p->nopen);
	lock_take(&p->lock);
	out->segments_small = p->queues[QUEUE_SMALL].segments;
	out->segments_main = p->queues[QUEUE_MAIN].segments;
	out->segments_held = p->held_segments;
	lock_give(&p->lock);
	out->large_count = atomic_load(&p->large_count);
	out->large_bytes = large_in_use(p);
	out->item_bytes = atomic_load(&p->large_live);
	read_segments(s, out);
}

static void read_tables(const struct store *s, struct store_stats *out)
{
	for (uint32_t i = 0; i < state_shards(s); i++) {
		const struct table *t = &s->shards[i].table;

		out->table_slots += (uint64_t)table_nbuckets(t) * BUCKET_SLOTS;
	}
	out->table_bytes = out->table_slots * sizeof(uint64_t) +
			   state_shards(s) * sizeof(struct shard);
}

void store_stats(struct store *s, struct store_stats *out)
{
	struct tally sum;

	memset(out, 0, sizeof(*out));
	lock_take(&s->ctx_lock);
	sum_up(s, &sum);
	out->items = counter_read(&sum.items);
#define X(name)                                                                \
	out->name = counter_read(&sum.name) - counter_read(&s->base.name);
	STORE_COUNTERS(X)
#undef X
	lock_give(&s->ctx_lock);
	read_pool(s, out);
	read_tables(s, out);
	out->memory_used = budget_used(&s->supply.budget);
	out->memory_limit = budget_limit(&s->supply.budget);
	lock_take(&s->flush_lock);
	out->flush_pending = atomic_load(&s->flush_at) != 0;
	out->barrier = atomic_load(&s->barrier);
	lock_give(&s->flush_lock);
}

void store_stats_reset(struct store *s)
{
	lock_take(&s->ctx_lock);
	sum_up(s, &s->base);
	lock_give(&s->ctx_lock);
}
