/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking at the items of a claimed segment, one by one, in steps.  Eviction,
 * cleaning and the sweep are the same walk with different aims.
 *
 * Thread rule: no shard may be locked by the caller.
 */
#ifndef DOZO_STORE_WALK_H
#define DOZO_STORE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "store/large.h"
#include "store/state.h"

/* Begins a walk over a segment that the caller has claimed. */
void walk_start(struct store_ctx *c, struct walk *w, uint32_t segment,
		enum walk_aim aim);

/*
 * Goes on for about `bytes` bytes of items; the bytes done.  At the end of
 * the segment, or when nothing can be moved any more, w->segment is 0.
 */
uint64_t walk_step(struct store_ctx *c, struct walk *w, uint64_t bytes,
		   uint32_t now);

/* Ends a walk where it is. */
void walk_stop(struct store_ctx *c, struct walk *w);

/* The same decision for one large value; the caller's reference is used up. */
void walk_large(struct store_ctx *c, struct large *l, enum walk_aim aim,
		uint32_t now);

#endif
