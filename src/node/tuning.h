/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's tuning of slabs and LRU lists at run time.  This design has no
 * such lists: what operators set is kept and shown by `stats settings`, so
 * that their tools find what they wrote, and has no other effect.
 *
 * Thread rule: any thread, under the lock.
 */
#ifndef DOZO_NODE_TUNING_H
#define DOZO_NODE_TUNING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "node/settings.h"

struct tuning_values {
	bool lru_crawler;
	uint32_t crawler_sleep; /* microseconds */
	uint32_t crawler_tocrawl;
	uint32_t slab_automove;
	double slab_automove_ratio;
	uint32_t slab_automove_window;
	bool lru_segmented;
	uint32_t hot_lru_pct;
	uint32_t warm_lru_pct;
	double hot_max_factor;
	double warm_max_factor;
	bool temp_lru;
	uint32_t temporary_ttl; /* seconds */
};

struct tuning {
	struct lock lock;
	struct tuning_values values;
};

static inline void tuning_init(struct tuning *t, const struct settings *s)
{
	*t = (struct tuning){
		.values = {
			.lru_crawler = s->lru_crawler,
			.crawler_sleep = s->lru_crawler_sleep,
			.crawler_tocrawl = s->lru_crawler_tocrawl,
			.slab_automove = s->slab_automove,
			.slab_automove_ratio = s->slab_automove_ratio,
			.slab_automove_window = s->slab_automove_window,
			.lru_segmented = s->lru_segmented,
			.hot_lru_pct = s->hot_lru_pct,
			.warm_lru_pct = s->warm_lru_pct,
			.hot_max_factor = s->hot_max_factor,
			.warm_max_factor = s->warm_max_factor,
			.temp_lru = s->temp_lru,
			.temporary_ttl = s->temporary_ttl,
		},
	};
}

static inline struct tuning_values tuning_read(struct tuning *t)
{
	struct tuning_values values;

	lock_take(&t->lock);
	values = t->values;
	lock_give(&t->lock);
	return values;
}

static inline void tuning_write(struct tuning *t,
				const struct tuning_values *values)
{
	lock_take(&t->lock);
	t->values = *values;
	lock_give(&t->lock);
}

#endif
