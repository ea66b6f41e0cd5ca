/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that are too large for a segment: each has memory of its own, which
 * goes back to the kernel when it is freed, and a count of references, so
 * that a value can be sent while it is replaced.  The table holds one
 * reference, each loan one, the eviction that looks at it one.
 *
 * The same struct serves for a value that arrives slowly while its place in a
 * segment is not to be blocked.
 *
 * Thread rule: fields are read and written under the key's shard lock once
 * the value is published, but for refs, exptime (read by the sweeper), hash,
 * and the waiting part, which the pool's lock guards.  The value's bytes do
 * not change while there is more than one reference.
 */
#ifndef DOZO_STORE_LARGE_H
#define DOZO_STORE_LARGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/segment.h"
#include "store/store.h"

struct large {
	struct waiting w;
	uint64_t hash;
	uint64_t bytes; /* charged */
	uint64_t lsn;
	uint64_t cas;
	_Atomic uint32_t refs;
	_Atomic uint32_t exptime;
	uint32_t accessed;
	uint32_t cflags;
	uint32_t value_len;
	uint8_t key_len;
	bool fetched;
	bool stale;
	bool won;
	bool binkey;
	bool mapped; /* pages of its own, not from the heap */
	char data[]; /* key, value */
};

/* Bytes that a large value of this size is charged. */
uint64_t large_cost(uint8_t key_len, uint32_t value_len);

/*
 * The memory of a large value that is gone, kept for the next one: pages that
 * are there already cost a hundredth of new ones.  It stays charged.  All of
 * it is a 32nd of the memory at most, and goes when memory is short.
 */
struct spare {
	struct list link;
	uint64_t bytes;
};

/* The spare that fits a value of this cost best, or NULL. */
struct spare *large_spare_take(struct pool *p, uint64_t cost);

/* Gives it, or all that there are, back to the system and the budget. */
void large_spare_free(struct pool *p, struct spare *sp);
bool large_spares_drop(struct pool *p); /* false: there were none */

/*
 * One with the view's key and lengths, one reference, everything but the
 * value filled in; in the memory of `sp`, unless that is NULL.  The caller has
 * charged large_cost(), what `sp` is charged included.  NULL: no memory, and
 * `sp` is gone.
 */
struct large *large_new(struct pool *p, const struct item_view *v,
			uint64_t hash, struct spare *sp);

void large_ref(struct large *l);

/* Drops a reference; the last one frees the memory and its charge, or makes a
 * spare of it. */
void large_unref(struct pool *p, struct large *l);

static inline char *large_value(struct large *l)
{
	return l->data + l->key_len;
}

uint64_t large_location(const struct large *l);
struct large *large_at(uint64_t location);

void large_read(struct large *l, struct item_view *v);

/* Sets times, LSN, cas, flags and marks to those of `v`. */
void large_amend(struct large *l, const struct item_view *v);

#endif
