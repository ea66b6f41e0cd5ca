/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash table of one shard: buckets of one cache line, eight slots each.
 *
 * A slot is a u64: from the top, 2 bits of access count, 18 bits of tag (from
 * the key's hash), 44 bits of location (what it means is the caller's
 * business); 0 is an empty slot, so a tag is never 0.
 *
 * T1. An item's home bucket is tag * buckets / 2^18.  It needs no key, so the
 *     table grows by any step without touching items.
 * T2. The slots of a bucket are filled from the front; a bucket whose last
 *     slot is empty is not full.
 * T3. An item that is not in its home bucket is in one of those behind it
 *     (around the end), and all buckets from its home to the one before it
 *     are full.  So the first bucket that is not full ends a search.
 *
 * Growth by a 24th keeps between 0.90 and 0.94 of the slots in use: 8 bytes
 * for each item become 8.7.
 *
 * Pointers to slots hold until the next insert or removal.  Thread rule: that
 * of the shard's lock, but for table_prefetch().
 */
#ifndef DOZO_STORE_TABLE_H
#define DOZO_STORE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/supply.h"

enum {
	SLOT_LOCATION_BITS = 44,
	SLOT_TAG_BITS = 18,
	SLOT_COUNT_MAX = 3,
	BUCKET_SLOTS = 8,
};

#define SLOT_LOCATION_MASK ((1ULL << SLOT_LOCATION_BITS) - 1)
#define SLOT_TAG_MASK ((1U << SLOT_TAG_BITS) - 1)

struct table {
	_Atomic(uint64_t *) buckets; /* NULL while there is nothing */
	_Atomic uint32_t nbuckets;
	uint32_t count; /* items */
};

static inline uint64_t slot_location(uint64_t slot)
{
	return slot & SLOT_LOCATION_MASK;
}

static inline uint32_t slot_tag(uint64_t slot)
{
	return (uint32_t)(slot >> SLOT_LOCATION_BITS) & SLOT_TAG_MASK;
}

static inline unsigned slot_count(uint64_t slot)
{
	return (unsigned)(slot >> (SLOT_LOCATION_BITS + SLOT_TAG_BITS));
}

static inline uint64_t slot_make(unsigned count, uint32_t tag,
				 uint64_t location)
{
	return (uint64_t)count << (SLOT_LOCATION_BITS + SLOT_TAG_BITS) |
	       (uint64_t)tag << SLOT_LOCATION_BITS | location;
}

static inline void slot_set_location(uint64_t *slot, uint64_t location)
{
	*slot = (*slot & ~SLOT_LOCATION_MASK) | location;
}

static inline void slot_set_count(uint64_t *slot, unsigned count)
{
	*slot = slot_make(count, slot_tag(*slot), slot_location(*slot));
}

/* The tag of a hash: its low bits. */
static inline uint32_t table_tag(uint64_t hash)
{
	uint32_t tag = (uint32_t)hash & SLOT_TAG_MASK;

	return tag != 0 ? tag : 1;
}

static inline uint32_t table_home(uint32_t tag, uint32_t nbuckets)
{
	return (uint32_t)(((uint64_t)tag * nbuckets) >> SLOT_TAG_BITS);
}

static inline uint64_t *table_buckets(const struct table *t)
{
	return atomic_load_explicit(&t->buckets, memory_order_relaxed);
}

static inline uint32_t table_nbuckets(const struct table *t)
{
	return atomic_load_explicit(&t->nbuckets, memory_order_relaxed);
}

/*
 * A search for slots with a tag:
 *	for (p = table_probe(t, tag); (slot = probe_next(&p)) != NULL;)
 */
struct probe {
	uint64_t *buckets;
	uint32_t nbuckets;
	uint32_t tag;
	uint32_t bucket;
	uint32_t left;   /* buckets not yet begun */
	uint32_t within; /* next slot of the bucket */
};

static inline struct probe table_probe(const struct table *t, uint32_t tag)
{
	struct probe p = {
		.buckets = table_buckets(t),
		.nbuckets = table_nbuckets(t),
		.tag = tag,
	};

	p.bucket = table_home(tag, p.nbuckets);
	p.left = p.nbuckets;
	return p;
}

static inline uint64_t *probe_next(struct probe *p)
{
	while (p->left > 0) {
		uint64_t *b = p->buckets + (size_t)p->bucket * BUCKET_SLOTS;

		for (uint32_t i = p->within; i < BUCKET_SLOTS; i++) {
			if (slot_tag(b[i]) == p->tag) {
				p->within = i + 1;
				return &b[i];
			}
		}
		if (b[BUCKET_SLOTS - 1] == 0) {
			break;
		}
		p->within = 0;
		p->left--;
		p->bucket = p->bucket + 1 < p->nbuckets ? p->bucket + 1 : 0;
	}
	p->left = 0;
	return NULL;
}

/* The slot with this tag and location, or NULL. */
uint64_t *table_find(const struct table *t, uint32_t tag, uint64_t location);

/*
 * Makes room for `count` items at once, if there is memory, and if that is more
 * than a step of growth away.
 */
void table_expect(struct table *t, struct supply *s, uint64_t count);

/* What would be charged for the larger table; 0: there is none to come. */
size_t table_expect_cost(const struct table *t, uint64_t count);

/* Gives back what is much too large for the items that are there. */
void table_fit(struct table *t, struct supply *s);

/*
 * Adds an item, growing the table when it is time.  NULL: it is full and
 * cannot grow.
 */
uint64_t *table_insert(struct table *t, struct supply *s, uint32_t tag,
		       uint64_t location);

/* Removes what a slot holds. */
void table_remove(struct table *t, struct supply *s, uint64_t *slot);

/* Gives the memory back; the table is empty. */
void table_release(struct table *t, struct supply *s);

/* Bytes charged for the table. */
size_t table_cost(const struct table *t);

/* Panics where T2 or T3 does not hold, or the count is wrong. */
void table_verify(const struct table *t);

/* Asks the processor for a tag's home bucket; needs no lock. */
static inline void table_prefetch(const struct table *t, uint32_t tag)
{
	uint64_t *buckets = table_buckets(t);

	if (buckets != NULL) {
		__builtin_prefetch(buckets +
				   (size_t)table_home(tag, table_nbuckets(t)) *
					   BUCKET_SLOTS);
	}
}

#endif
