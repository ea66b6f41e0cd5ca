/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool: segments of item memory, and the two queues of S3-FIFO in which
 * segments and large values wait for eviction.
 *
 * A segment is a power of two of bytes in one arena, so that a location tells
 * its segment by a shift.  Number 0 is never used: a location 0 would be an
 * empty slot.
 *
 *	cold	no memory behind it, not charged
 *	free	in memory, charged, without items
 *	open	a context appends to it
 *	sealed	full, in its queue
 *	walked	sealed, and one walker looks at its items one by one
 *
 * S1. used is what was appended, dead what of that is gone.  Each byte is
 *     counted dead exactly once, by whoever takes the item out of the table
 *     (under its shard's lock) or gives the reservation up.
 * S2. A sealed segment with dead == used and no pins is freed by whoever
 *     made it so; a walked one by its walker.
 * S3. A reservation pins its segment until it is committed or aborted.
 *     Nobody walks a pinned segment.
 *
 * The pool's lock is the innermost: it is taken under shard locks, and
 * nothing is taken under it.
 */
#ifndef DOZO_STORE_SEGMENT_H
#define DOZO_STORE_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"
#include "store/supply.h"

enum queue_name { QUEUE_SMALL, QUEUE_MAIN, QUEUE_COUNT };

enum segment_state { SEG_COLD, SEG_FREE, SEG_OPEN, SEG_SEALED, SEG_WALKED };

/*
 * More segments than SEGMENTS_MIN asks for: five contexts have ten open ones,
 * half full on average, a few more are the reserve, and each context walks
 * one.  Of 1,024 that is 1.5 %, of 256 it would be 6 %.
 */
enum { SEGMENTS_AIM = 1024 };

/* A location in a segment is in units of two bytes; the top bit says large. */
#define LOCATION_UNIT_SHIFT 1
#define LOCATION_LARGE (1ULL << 43)

/* What waits in a queue: the head of struct segment and of struct large. */
struct waiting {
	struct list link;
	struct list second; /* in the pool's list `dirty` or `larges` */
	_Atomic uint8_t queue;
	bool is_large;
};

struct segment {
	struct waiting w;
	_Atomic uint64_t swept; /* all items at or below this LSN are gone */
	_Atomic uint32_t used;
	_Atomic uint32_t dead;
	_Atomic uint32_t expired;  /* of the dead: found expired or flushed */
	_Atomic uint32_t swept_at; /* store time of the last sweep, or 0 */
	_Atomic uint32_t pins;
	uint32_t held; /* of the pins, those that may last */
	_Atomic uint8_t state;
};

struct queue {
	struct list waiting;    /* oldest first */
	_Atomic uint64_t bytes; /* open segments included */
	uint32_t segments;
};

struct pool {
	struct lock lock;
	struct supply *supply;
	char *arena; /* of segment 0 */
	uint64_t arena_bytes;
	uint64_t huge_next; /* huge pages are decided upon up to here */
	uint32_t shift;
	uint32_t size;  /* of a segment */
	uint32_t count; /* segments in the arena */
	bool evicts;
	_Atomic uint32_t top; /* the highest number ever used */
	struct segment *segments;
	uint64_t *bases;            /* base LSN of each */
	_Atomic uint32_t *expiries; /* earliest expiry in each */
	struct queue queues[QUEUE_COUNT];
	struct list free;
	struct list cold;   /* that were used before */
	struct list dirty;  /* sealed segments worth cleaning */
	struct list larges; /* published large values */
	_Atomic uint32_t nfree;
	_Atomic uint32_t nopen;
	uint32_t held_segments;
	_Atomic uint64_t
		deaths; /* bytes killed; counted if nothing is evicted */
	_Atomic uint64_t deaths_seen; /* when a search found nothing to clean */
	_Atomic uint32_t reserve;     /* segments to keep free, see evict.c */
	_Atomic uint32_t contexts;
	_Atomic uint64_t expired_bytes; /* sum over all segments */
	_Atomic uint64_t held_bytes;    /* of values being received */
	_Atomic uint64_t large_bytes;   /* of large values, spare ones too */
	_Atomic uint64_t spare_bytes;   /* see large.h */
	struct lock spare_lock;
	struct list spares;
	_Atomic uint64_t large_count;  /* published */
	_Atomic uint64_t large_live;   /* bytes published */
	_Atomic uint64_t large_swept;  /* no published one is at or below */
	_Atomic uint32_t large_expiry; /* earliest of the published */
};

struct pool_config {
	uint64_t limit;
	uint64_t reserve; /* address space */
	bool evicts;
	bool huge_pages;
};

/* False: no address space or memory. */
bool pool_init(struct pool *p, struct supply *s, const struct pool_config *c);
void pool_release(struct pool *p);

/* The limit or the number of contexts has changed. */
void pool_tune(struct pool *p);

static inline bool location_is_large(uint64_t location)
{
	return (location & LOCATION_LARGE) != 0;
}

static inline char *pool_at(const struct pool *p, uint64_t location)
{
	return p->arena + (location << LOCATION_UNIT_SHIFT);
}

static inline uint32_t pool_segment_of(const struct pool *p, uint64_t location)
{
	return (uint32_t)((location << LOCATION_UNIT_SHIFT) >> p->shift);
}

static inline uint64_t pool_location(const struct pool *p, uint32_t n,
				     uint32_t offset)
{
	return (((uint64_t)n << p->shift) + offset) >> LOCATION_UNIT_SHIFT;
}

static inline char *segment_start(const struct pool *p, uint32_t n)
{
	return p->arena + ((uint64_t)n << p->shift);
}

static inline uint32_t segment_number(const struct pool *p,
				      const struct segment *seg)
{
	return (uint32_t)(seg - p->segments);
}

/* Segments that could be had at once: free ones, and room in the budget. */
uint32_t pool_room(struct pool *p);

/* For pool_open(): over the limit, if it must be. */
#define POOL_FORCE UINT32_MAX

/*
 * Opens a segment, if more than `keep` can be had; its number, or 0.
 * `swept`: all that will be put into it is above this LSN.
 */
uint32_t pool_open(struct pool *p, enum queue_name q, uint32_t keep,
		   uint64_t base, uint64_t swept);

/* An open segment takes no more. */
void pool_seal(struct pool *p, uint32_t n);

/* `bytes` of segment n are gone (S1); may free it (S2). */
void pool_kill(struct pool *p, uint32_t n, uint32_t bytes);

/* Of the bytes that are about to be killed, these are expired or flushed. */
void pool_note_expired(struct pool *p, uint32_t n, uint32_t bytes);

void pool_pin(struct pool *p, uint32_t n);
void pool_unpin(struct pool *p, uint32_t n);

/* Makes a pin a lasting one; false: too many segments are held. */
bool pool_hold(struct pool *p, uint32_t n);
void pool_unhold(struct pool *p, uint32_t n);

/* Claims a sealed segment for walking; the caller has the lock. */
bool pool_claim(struct pool *p, uint32_t n);

/* A walk is over: frees the segment if nothing is left, else seals it. */
void pool_unclaim(struct pool *p, uint32_t n);

/* Gives free segments back to the kernel until `bytes` more fit the budget. */
void pool_trim(struct pool *p, uint64_t bytes);

/* Something expires at this time in segment n; n is 0 for a large value. */
void pool_note_expiry(struct pool *p, uint32_t n, uint32_t exptime);

/*
 * Puts a large value at the end of a queue, moves it to the end of another,
 * takes it out of its own.
 */
void pool_queue_large(struct pool *p, struct waiting *w, enum queue_name q,
		      uint64_t bytes);
void pool_requeue_large(struct pool *p, struct waiting *w, enum queue_name q,
			uint64_t bytes);
void pool_unqueue_large(struct pool *p, struct waiting *w, uint64_t bytes);

/*
 * Is so much dead that copying the rest beats evicting it?  A quarter, so that
 * at most three bytes are copied for each one that is freed, and about a
 * fifth of the memory is dead while everything is overwritten at random.
 */
static inline bool segment_is_dirty(uint32_t used, uint32_t dead)
{
	return dead >= used / 4;
}

#endif
