/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the store share: the store, its shards, a context, and
 * the few steps that each operation is made of.
 *
 * How an item dies or moves:
 *
 * I1. A location in the table is read, replaced or removed under the shard's
 *     lock only, and what is at a location stays there as long as the lock is
 *     held and the slot says so.
 * I2. Who takes a location out of the table counts the item's bytes dead
 *     (state_kill), before the lock is given back.
 * I3. An item's LSN is drawn under its shard's lock, in the same hold in
 *     which the item becomes visible.  So within a shard the order of LSNs is
 *     the order of changes.  With a log it is reserved there before anything
 *     is changed, and published before the lock is given back.
 * I4. A reply may depend on changes that no item shows: removals, touches,
 *     and what was evicted or has expired.  The last LSN of these in a shard
 *     is its `unseen`, kept only if there is a log.
 *
 * Locks: shard, then log; flush_lock, then log.
 */
#ifndef DOZO_STORE_STATE_H
#define DOZO_STORE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/lock.h"
#include "log/log.h"
#include "store/ghost.h"
#include "store/item.h"
#include "store/segment.h"
#include "store/store.h"
#include "store/supply.h"
#include "store/table.h"

struct shard {
	_Alignas(64) struct lock lock;
	struct table table;
	struct ghost ghost;
};

_Static_assert(sizeof(struct shard) == 64, "a shard is one cache line");

/* Counters that each context has, and struct store_stats under these names. */
#define STORE_COUNTERS(X)                                                      \
	X(total_items)                                                         \
	X(evictions)                                                           \
	X(evicted_unfetched)                                                   \
	X(evicted_active)                                                      \
	X(expired_unfetched)                                                   \
	X(reclaimed)                                                           \
	X(swept)                                                               \
	X(items_checked)                                                       \
	X(moved)                                                               \
	X(ghost_hits)                                                          \
	X(out_of_memory)

struct tally {
	counter items; /* a gauge: added less removed, modulo 2^64 */
#define X(name) counter name;
	STORE_COUNTERS(X)
#undef X
};

/* Adds the counters of one to those of another. */
void tally_add(struct tally *to, const struct tally *from);

enum walk_aim {
	WALK_EVICT, /* keep what is in use, drop the rest */
	WALK_CLEAN, /* keep all that lives, elsewhere */
	WALK_SWEEP, /* remove the dead; the rest stays where it is */
};

/* A segment that a context looks at, item by item. */
struct walk {
	uint32_t segment; /* 0: none */
	uint32_t at;      /* offset of the next item */
	uint8_t aim;
	uint8_t queue;
	uint64_t barrier;   /* as it was at the start */
	unsigned threshold; /* the access count that keeps an item */
};

struct open_segment {
	uint32_t segment; /* 0: none */
	uint32_t used;
};

struct store_ctx {
	struct store *store;
	struct list link;
	bool entry_open;
	struct open_segment open[QUEUE_COUNT];
	unsigned pressure; /* how long a request has waited for memory */
	struct walk reclaim;
	uint64_t mean_size; /* of items walked lately, in 256ths; 0: none */
	uint64_t dice;      /* for fractions */
	int64_t owed; /* bytes to walk for what was stored; below 0: ahead */
	struct walk sweep;
	uint32_t sweep_next;  /* the segment that the sweep looked at last */
	uint64_t larges_left; /* of the sweep's round over large values */
	struct tally tally;
};

struct store {
	struct shard *shards;
	uint32_t shard_bits;
	uint64_t hash_seed;
	struct pool pool;
	struct supply supply;
	_Atomic uint64_t lsn;      /* last drawn here, or highest applied */
	_Atomic uint64_t barrier;  /* what is at or below it is dead */
	_Atomic uint32_t flush_at; /* a delayed flush; 0: none */
	/* It is due, and the log takes nothing: nothing else may be written. */
	_Atomic bool flush_stuck;
	struct log *log;    /* or NULL: then LSNs are drawn from `lsn` */
	uint64_t *unseen;   /* of each shard, under its lock (I4); or NULL */
	uint64_t flush_lsn; /* of the last flush or intention, flush_lock */
	struct lock flush_lock;
	struct lock ctx_lock;
	struct list contexts;
	struct tally retired; /* of contexts that are gone */
	struct tally base;    /* as of the last reset */
	uint64_t memory_reserve;
	uint64_t fixed_bytes;
	void (*on_evict)(void *arg, const struct item_view *item, uint32_t now);
	void *on_evict_arg;
};

static inline struct shard *state_shard(const struct store *s, uint64_t hash)
{
	return &s->shards[hash >> (64 - s->shard_bits)];
}

static inline uint32_t state_shards(const struct store *s)
{
	return 1U << s->shard_bits;
}

/* Draws the next LSN, where there is no log (I3). */
static inline uint64_t state_next_lsn(struct store *s)
{
	return atomic_fetch_add_explicit(&s->lsn, 1, memory_order_relaxed) + 1;
}

/* store_lsn() where it counts: one load without a log. */
static inline uint64_t state_lsn(const struct store *s)
{
	return s->log == NULL ?
		       atomic_load_explicit(&s->lsn, memory_order_relaxed) :
		       store_lsn(s);
}

/* Draws the next LSN from the log; false: it takes nothing. */
static inline bool state_reserve(struct store *s, const struct record *form,
				 struct log_slot *slot)
{
	return !atomic_load_explicit(&s->flush_stuck, memory_order_relaxed) &&
	       log_reserve(s->log, form, slot);
}

/* A change of this LSN in the shard is one that no item shows (I4). */
static inline void state_note_unseen(struct store *s, const struct shard *shard,
				     uint64_t lsn)
{
	if (s->unseen != NULL && s->unseen[shard - s->shards] < lsn) {
		s->unseen[shard - s->shards] = lsn;
	}
}

/* One more access, as eviction counts them. */
static inline void state_count_access(uint64_t *slot)
{
	unsigned count = slot_count(*slot);

	if (count < SLOT_COUNT_MAX) {
		slot_set_count(slot, count + 1);
	}
}

/* Reads the item at a location; returns its address. */
void *state_read(const struct store *s, uint64_t location, struct item_view *v);

/* Asks the processor for the item at a location. */
void state_prefetch(const struct store *s, uint64_t location);

/* Is this item dead, and why? */
enum store_miss state_miss(const struct store *s, const struct item_view *v,
			   uint32_t now);

/*
 * The bytes of an item that is no longer in the table are gone (I2).  What
 * lies there becomes a gap first, so that who walks the segment later need not
 * ask the table; the item's first line is in the cache now, since its key was
 * compared.
 */
void state_kill(struct store *s, uint64_t location, uint32_t size);

/* Takes an item out of the table. */
void state_forget(struct store_ctx *c, struct shard *shard, uint64_t *slot,
		  const struct item_view *v);

/* The same, of one that was found dead. */
void state_forget_dead(struct store_ctx *c, struct shard *shard, uint64_t *slot,
		       const struct item_view *v, enum store_miss why);

/* The queue in which an item waits. */
enum queue_name state_queue(const struct store *s, uint64_t location);

/* What a context is charged. */
uint64_t state_ctx_cost(void);

/* Everything that the store itself has charged to the budget. */
uint64_t state_charged(struct store *s);

/* For what is applied: no item has expired, no flush is due. */
enum { TIME_OF_REPLAY = 0 };

/* What a delayed flush asks for at this time. */
void state_flush_tick(struct store *s, uint32_t now);

/* The barrier is at `lsn` at least. */
void state_raise_barrier(struct store *s, uint64_t lsn);

/* store_maintain() without flushes. */
bool state_maintain(struct store_ctx *c, uint32_t now, uint32_t items);

/*
 * Applies a touch: STORE_NOT_FOUND if the item that is there, if any, has not
 * this LSN.
 */
enum store_result state_apply_touch(struct store_ctx *c,
				    const struct store_key *key,
				    uint64_t item_lsn, uint32_t exptime);

#endif
