/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Space for items that are not published yet: in the context's open segment,
 * or a large value's memory.
 *
 * Taking space may evict, so no shard may be locked; space_take_now() and
 * everything else here may run under a shard's lock.
 */
#ifndef DOZO_STORE_SPACE_H
#define DOZO_STORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/large.h"
#include "store/state.h"

enum space_kind { SPACE_NONE, SPACE_SEGMENT, SPACE_LARGE };

struct space {
	uint8_t kind;
	uint32_t size; /* in a segment */
	void *raw;     /* the item, or struct large */
	uint64_t location;
};

/* For an item like this; false: no memory. */
bool space_take(struct store_ctx *c, const struct item_view *form,
		unsigned extras, uint64_t hash, enum queue_name q, uint32_t now,
		struct space *sp);

/*
 * `size` bytes in a segment without evicting for them: one segment over the
 * limit, if it must be, for who is about to free another.
 */
bool space_take_now(struct store_ctx *c, uint32_t size, enum queue_name q,
		    struct space *sp);

/* Where the value goes. */
char *space_value(const struct space *sp, const struct item_view *form,
		  unsigned extras);

/* Could an item like this be written there? */
bool space_fits(const struct store *s, const struct space *sp,
		const struct item_view *form, unsigned extras);

/* Writes all but the value. */
void space_write(const struct store *s, const struct space *sp,
		 const struct item_view *form, unsigned extras);

/*
 * The item there is in the table from now on; `q` is where a large value
 * waits.  The shard is locked.
 */
void space_publish(struct store *s, struct space *sp, enum queue_name q,
		   uint32_t exptime);

/* Gives unpublished space up; nothing to do for none. */
void space_drop(struct store *s, struct space *sp);

/* A context ends: its open segments are sealed. */
void space_close(struct store_ctx *c);

/* Is this size one of a large value? */
static inline bool space_is_large(const struct store *s, uint64_t size)
{
	return size > s->pool.size / 4;
}

#endif
