/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Getting memory back: cleaning of segments of which much is dead, and
 * eviction by S3-FIFO over segments.
 *
 * So that no request waits for a whole segment, a reserve of free segments is
 * kept, and each request that takes space while the reserve is short pays by
 * walking a few times as many bytes.  Only when nothing is free is a segment
 * walked to its end at once.
 *
 * A store that does not evict cleans only.
 *
 * Thread rule: no shard may be locked by the caller.
 */
#ifndef DOZO_STORE_EVICT_H
#define DOZO_STORE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/state.h"

/* Segments that new items leave to those who move old ones. */
uint32_t evict_keep(const struct store *s);

/*
 * The access count that keeps an item from being evicted: 1, and more when
 * memory is short, up to one that no item has.
 */
unsigned evict_threshold(const struct store_ctx *c);

/* A share of work for `bytes` that are being taken. */
void evict_pay(struct store_ctx *c, uint64_t bytes, uint32_t now);

/*
 * Walks one victim to its end.  `pressure` is 0 at first; the caller raises it
 * when that was not enough.  False: there is no victim.
 */
bool evict_some(struct store_ctx *c, unsigned pressure, uint32_t now);

/* Makes room for `bytes` in the budget, or a spare (large.h), whatever its
 * size; false: cannot be had. */
bool evict_for(struct store_ctx *c, uint64_t bytes, uint32_t now);

/* Walks about `bytes` bytes of victims; how many, 0 if there is none. */
uint64_t evict_step(struct store_ctx *c, uint64_t bytes, uint32_t now);

/*
 * Cleans the segments that hold most of what has expired, as long as that is
 * more than a 25th of the memory; true: it still is.
 */
bool evict_expired(struct store_ctx *c, uint64_t bytes, uint32_t now);

#endif
