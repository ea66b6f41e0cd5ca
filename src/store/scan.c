/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Passing over all items, a shard at a time.  Items that come and go between
 * two steps may be seen or not; one that stays is in its shard all the time.
 */
#include "base/check.h"
#include "store/state.h"

/* Slots between the item that is asked for and the one that is visited. */
enum { AHEAD = 8 };

static void scan_shard(struct store *s, const struct shard *shard, uint32_t now,
		       void (*visit)(void *arg, const struct item_view *item),
		       void *arg)
{
	const uint64_t *slots = table_buckets(&shard->table);
	size_t n = (size_t)table_nbuckets(&shard->table) * BUCKET_SLOTS;

	for (size_t i = 0; i < n; i++) {
		struct item_view v;

		if (i + AHEAD < n && slots[i + AHEAD] != 0) {
			state_prefetch(s, slot_location(slots[i + AHEAD]));
		}
		if (slots[i] == 0) {
			continue;
		}
		state_read(s, slot_location(slots[i]), &v);
		if (state_miss(s, &v, now) == MISS_NONE) {
			visit(arg, &v);
		}
	}
}

bool store_scan(struct store_ctx *c, uint64_t *cursor, uint32_t now,
		void (*visit)(void *arg, const struct item_view *item),
		void *arg)
{
	struct store *s = c->store;
	struct shard *shard;

	check(!c->entry_open);
	if (*cursor >= state_shards(s)) {
		return false;
	}
	state_flush_tick(s, now);
	shard = &s->shards[*cursor];
	lock_take(&shard->lock);
	scan_shard(s, shard, now, visit, arg);
	lock_give(&shard->lock);
	(*cursor)++;
	return *cursor < state_shards(s);
}
