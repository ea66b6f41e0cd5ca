/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: items in memory, found by key, forgotten by expiry, flush and
 * eviction.
 *
 * Pure: no clock, no files, no sockets, no random source.  The time is an
 * argument (`now`, seconds of the store's clock, which counts like Unix time
 * and never goes back), the seed of the hash is configuration.
 *
 * Contexts.  Each thread that uses the store has a context of its own
 * (store_ctx_new), in which it appends to open segments without a lock and
 * counts without atomics.  A context is used by one thread at a time.
 *
 * Locks.  A key's shard is locked only inside the calls below, and between
 * store_open() and store_close().  In between, only the entry functions may
 * be called, and none that reserves memory: eviction takes other shards'
 * locks.  A context holds at most one entry open.
 *
 * Errors.  What cannot get memory says STORE_NO_MEMORY and changes nothing,
 * but for what the call's own comment says.
 */
#ifndef DOZO_STORE_STORE_H
#define DOZO_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/counter.h"

struct large;
struct log;
struct record;
struct store;
struct store_ctx;

/* A key with its hash: store_key() makes it. */
struct store_key {
	const char *data;
	uint8_t len; /* 1 to KEY_MAX */
	uint64_t hash;
	uint64_t seen; /* for the store: where its item was lately, or 0 */
};

/* An item as its reader sees it.  Pointers hold until store_close(). */
struct item_view {
	const char *key;
	const char *value;
	uint64_t lsn; /* of its last change */
	uint64_t cas; /* what clients see: lsn, or what meta E gave */
	uint32_t value_len;
	uint32_t cflags;   /* client flags */
	uint32_t exptime;  /* store time; 0 for never */
	uint32_t accessed; /* store time of the last access, or of storing */
	uint32_t size;     /* bytes it takes, header included */
	uint8_t key_len;
	bool fetched; /* was it read since it was stored */
	bool stale;   /* meta: marked stale by md I */
	bool won;     /* meta: somebody has the win token */
	bool binkey;  /* meta: the key was given in base64 */
};

struct store_config {
	uint64_t memory_limit;   /* bytes */
	uint64_t memory_reserve; /* address space to reserve for growth */
	uint64_t hash_seed;
	uint64_t first_lsn; /* the first change gets first_lsn + 1 */
	/*
	 * Where changes are recorded, under the lock of their shard, and where
	 * LSNs come from (first_lsn is of no use then).  By reference; NULL for
	 * nowhere.
	 */
	struct log *log;
	bool evict;      /* false: memory full is an error (-M) */
	bool huge_pages; /* ask for them below 32 MiB too (-L) */
	/*
	 * Told of each item that is evicted, under its shard's lock; NULL for
	 * nobody.  Must be quick and must not call the store.
	 */
	void (*on_evict)(void *arg, const struct item_view *item, uint32_t now);
	void *on_evict_arg;
	/* For tests: asked before each allocation, true makes it fail. */
	bool (*deny)(void *arg);
	void *deny_arg;
};

enum store_result {
	STORE_OK,
	STORE_NOT_FOUND,
	STORE_NOT_STORED, /* add on a hit; replace, append on a miss */
	STORE_EXISTS,     /* cas differs */
	STORE_NO_MEMORY,
	STORE_NOT_NUMBER, /* delta on a value that is no number */
};

/* ---- life -------------------------------------------------------------- */

/* NULL when memory or address space cannot be had. */
struct store *store_new(const struct store_config *config);

/* All contexts must have been freed, all loans returned. */
void store_free(struct store *s);

struct store_ctx *store_ctx_new(struct store *s); /* NULL: no memory */
void store_ctx_free(struct store_ctx *c);

/* The budget that all memory of the server is charged to. */
struct budget *store_budget(struct store *s);

/*
 * Changes the memory limit at run time.  Going down, space is given back
 * over the following changes and store_maintain() calls.  False when `bytes`
 * is more than what was reserved.
 */
bool store_set_limit(struct store *s, uint64_t bytes);

/* ---- finding ----------------------------------------------------------- */

/* Hashes; `data` is kept by reference.  len from 1 to KEY_MAX. */
struct store_key store_key(const struct store *s, const char *data, size_t len);

/* Asks the processor for the first thing that a key's operation will need. */
void store_prefetch_shard(const struct store *s, const struct store_key *key);

/*
 * Asks the processor for what store_open() and changes of these keys will
 * need, for all of them at once: the waits overlap.  Of a single key there is
 * nothing to overlap, so nothing is done.
 */
void store_prefetch_batch(const struct store *s, struct store_key *keys,
			  unsigned n);

enum store_miss { MISS_NONE, MISS_ABSENT, MISS_EXPIRED, MISS_FLUSHED };

struct store_entry {
	struct store_ctx *ctx;
	struct store_key key;
	uint32_t now;
	enum store_miss miss;    /* why it was not found */
	struct item_view item;   /* if found */
	uint32_t exptime_before; /* the item's, before this call changed it */
	/* The LSN that depends on what was seen, found or not (L4); 0: none. */
	uint64_t depends;
	/* For the store itself. */
	void *shard;
	void *slot;
	void *raw;
};

/*
 * Locks the key's shard and looks the key up.  Found: true, and e->item is
 * set.  Not found: false, and e->miss says why; an item that was expired or
 * flushed has been removed.  Either way store_close() must follow.
 */
bool store_open(struct store_ctx *c, const struct store_key *key, uint32_t now,
		struct store_entry *e);
void store_close(struct store_entry *e);

/*
 * As store_open(), and gives a found item a new time to live.  On
 * STORE_NO_MEMORY the item is as it was and the entry is not open; otherwise
 * it is open, and the result is STORE_OK or STORE_NOT_FOUND.  The cas stays.
 */
enum store_result store_open_touch(struct store_ctx *c,
				   const struct store_key *key,
				   uint32_t exptime, uint32_t now,
				   struct store_entry *e);

/* Entry functions: between store_open() that found and store_close(). */

/* Counts an access: fetched mark, access time, eviction's count. */
void entry_bump(struct store_entry *e);

void entry_set_won(struct store_entry *e, bool won);

/*
 * Borrows the value for sending without a copy: non-NULL only for large
 * values.  The loan keeps the bytes, unchanged, until large_return(), also
 * when the item goes.  Any thread may return it.
 */
struct large *entry_borrow(struct store_entry *e);
void large_return(struct store *s, struct large *loan);

/* ---- changing ---------------------------------------------------------- */

/*
 * A place for an item that is being received.  `value` points to value_len
 * bytes that the owner fills in any order before store_commit().  Exactly
 * one store_commit() or store_abort() ends it.
 */
struct reservation {
	char *value;
	uint32_t value_len;
	uint32_t cflags;
	uint32_t exptime;
	uint8_t key_len;
	bool binkey;
	/* For the store itself. */
	uint8_t place; /* 0: none */
	uint8_t queue;
	uint64_t hash;
	void *raw;
	uint64_t where;
	char key[250];
};

/*
 * Reserves; may evict.  `value_len` may be anything up to the server's item
 * limit; what can never fit says STORE_NO_MEMORY.
 */
enum store_result store_reserve(struct store_ctx *c,
				const struct store_key *key, uint32_t value_len,
				uint32_t cflags, uint32_t exptime, bool binkey,
				uint32_t now, struct reservation *r);

/*
 * To be called when the value does not arrive at once: the reservation will
 * outlive the present turn of its thread.  r->value may move; what is in it
 * (the first `filled` bytes) moves along.  STORE_NO_MEMORY: r is aborted.
 */
enum store_result store_hold(struct store_ctx *c, struct reservation *r,
			     uint32_t filled);

void store_abort(struct store_ctx *c, struct reservation *r);

enum store_mode {
	MODE_SET,
	MODE_ADD,
	MODE_REPLACE,
	MODE_APPEND,
	MODE_PREPEND,
};

struct commit {
	enum store_mode mode;
	bool compare;    /* only if the item's cas is `compare_cas` */
	bool take_stale; /* meta I: a lower cas (not 0) too; then stale */
	bool vivify;     /* meta N: append to a miss stores */
	uint32_t vivify_exptime;
	uint64_t compare_cas;
	uint64_t new_cas; /* meta E: what clients see; 0 for the lsn */
	bool won;         /* publish it with the win token taken (mg N) */
};

/* What a change has done. */
struct change {
	uint64_t lsn;       /* what the reply depends on; 0 for nothing */
	uint64_t cas;       /* the item's cas now; 0 if nothing was stored */
	uint32_t value_len; /* the item's now */
	enum store_miss miss;
};

/*
 * Publishes a reservation under its key.  On an absent key a compare makes
 * MODE_SET and MODE_REPLACE say STORE_NOT_FOUND; the other modes do what they
 * do without it.  MODE_ADD on a hit counts as an access, but not as a fetch.
 * Append and prepend keep the item's flags and time to live; without memory
 * for the joined value, or when it would exceed `joined_max` bytes of value,
 * they say STORE_NO_MEMORY.
 */
enum store_result store_commit(struct store_ctx *c, struct reservation *r,
			       const struct commit *how, uint32_t joined_max,
			       uint32_t now, struct change *out);

struct delta {
	bool decrement;
	bool compare;
	bool create;        /* meta N: a miss stores `initial` */
	bool create_binkey; /* that item's key was given in base64 */
	bool set_exptime;   /* meta T */
	uint32_t exptime;   /* of set_exptime */
	uint32_t create_exptime;
	uint64_t amount;
	uint64_t initial;
	uint64_t compare_cas;
	uint64_t new_cas;
};

/*
 * Adds to or subtracts from a number in text; wraps at 2^64, stops at 0.
 * What counts as a number: leading spaces and '+', then digits up to the
 * first space; else STORE_NOT_NUMBER.  A result that is shorter than the
 * value is padded with spaces behind.  STORE_OK leaves the entry open (for
 * its view), with the number in *result; STORE_EXISTS too; all others leave
 * nothing open.  A result longer than the value makes a new item, which
 * clears the stale and won marks.
 */
enum store_result store_delta(struct store_ctx *c, const struct store_key *key,
			      const struct delta *d, uint32_t now,
			      uint64_t *result, struct store_entry *e);

/*
 * Removes a key; compare as in delete C: STORE_OK, STORE_NOT_FOUND or
 * STORE_EXISTS.  STORE_NO_MEMORY: the log takes nothing, nothing has changed.
 */
enum store_result store_remove(struct store_ctx *c, const struct store_key *key,
			       bool compare, uint64_t compare_cas, uint32_t now,
			       struct change *out);

struct invalidate {
	bool compare;
	bool mark_stale;  /* md I */
	bool drop_value;  /* md x */
	bool set_exptime; /* with a T */
	uint32_t exptime;
	uint32_t cflags; /* of the emptied item */
	uint64_t compare_cas;
	uint64_t new_cas;
};

/*
 * md with I or x: the item stays, stale or empty, with a new cas.  With a log,
 * a miss is logged as the removal that it is to those who hold what was
 * forgotten here.
 */
enum store_result store_invalidate(struct store_ctx *c,
				   const struct store_key *key,
				   const struct invalidate *how, uint32_t now,
				   struct change *out);

/*
 * Everything stored so far is dead from now on; space comes back over time.
 * *lsn is the barrier.  Replaces a delayed flush that is pending.  STORE_OK,
 * or STORE_NO_MEMORY: the log takes nothing, nothing has changed.
 */
enum store_result store_flush(struct store *s, uint32_t now, uint64_t *lsn);

/*
 * The same at store time `at`: what is stored up to the end of second `at`
 * dies when that second is over, and is hidden from its beginning.  *lsn is
 * what the reply depends on.
 */
enum store_result store_flush_at(struct store *s, uint32_t at, uint32_t now,
				 uint64_t *lsn);

/*
 * For when a delayed flush is due; 0: none is pending.  Whoever has read
 * store_lsn() before sees here, and in the barrier of store_stats(), all
 * flushes up to that LSN.  As a record of its own it has an LSN that is not
 * below the barrier, which a flush that is due raises without a record.
 */
uint32_t store_flush_pending(struct store *s);

/* ---- replay ------------------------------------------------------------ */

/*
 * There are going to be about `items` items: their tables grow now, and not
 * many times on the way, if the limit has room.  A wish only: whoever
 * made one calls store_fit() when all have come, or when memory gets short, and
 * tables that are too large for what is in them shrink.  Any thread.
 */
void store_expect(struct store *s, uint64_t items);
void store_fit(struct store *s);

enum store_applied {
	APPLY_DONE,
	APPLY_OLDER, /* what is there is as new, or newer, or a flush is */
	APPLY_EXPIRED,
	APPLY_NO_MEMORY,
	APPLY_UNKNOWN, /* not a kind of record that changes items */
};

/*
 * Applies a record of a file, or of another node (L5): nothing is logged, the
 * LSN is the record's, and for one key the newer LSN wins.  `key` is the
 * record's, hashed; NULL for one without a key.
 *
 * The records of a key must come in the order of their LSNs; those of
 * different keys, flushes included, in any order and from any threads.  What
 * is applied again does no harm.
 *
 * Time is the record's: an item is left out (APPLY_EXPIRED) only if it had
 * expired when it was written, since a touch that follows in the log may
 * prolong any other.  What has expired since is removed as always, when it is
 * met or by store_maintain().  Whatever is left out or does not fit, no older
 * version of it stays.
 */
enum store_applied store_apply(struct store_ctx *c, const struct store_key *key,
			       const struct record *r);

/*
 * Which of `parts` threads handles a key, if each is to touch tables of its
 * own: as shards follow each other, so do parts.
 */
unsigned store_part(const struct store *s, const struct store_key *key,
		    unsigned parts);

/* ---- upkeep ------------------------------------------------------------ */

/*
 * Does a bounded piece of upkeep: removes what has expired or was flushed,
 * cleans segments of which much is dead, gives memory back above the limit.
 * At most about `items` items are looked at.  True: there is more to do.
 */
bool store_maintain(struct store_ctx *c, uint32_t now, uint32_t items);

/*
 * Calls `visit` for each live item, one shard at a time under its lock.
 * *cursor starts at 0; each call handles one shard; false when there is none
 * left.  visit must be quick, must not call the store, and copies what it
 * wants.  An item that stays is visited exactly once.
 */
bool store_scan(struct store_ctx *c, uint64_t *cursor, uint32_t now,
		void (*visit)(void *arg, const struct item_view *item),
		void *arg);

/* The present LSN: no change has a higher one. */
uint64_t store_lsn(const struct store *s);

struct store_stats {
	uint64_t items;       /* live, or dead and not yet noticed */
	uint64_t item_bytes;  /* of them, headers included */
	uint64_t total_items; /* ever stored */
	uint64_t evictions;
	uint64_t evicted_unfetched;
	uint64_t evicted_active; /* evicted though they had been read */
	uint64_t expired_unfetched;
	uint64_t reclaimed;     /* expired or flushed items removed */
	uint64_t swept;         /* of them by store_maintain() */
	uint64_t items_checked; /* by store_maintain() */
	uint64_t moved;         /* items copied by eviction and cleaning */
	uint64_t table_bytes;
	uint64_t table_slots;
	uint64_t segment_size;
	uint64_t segments_free; /* in memory, without items */
	uint64_t segments_small;
	uint64_t segments_main;
	uint64_t segments_open;
	uint64_t segments_held; /* pinned by values being received */
	uint64_t large_count;
	uint64_t large_bytes;
	uint64_t memory_used;
	uint64_t memory_limit;
	uint64_t ghost_hits;
	uint64_t out_of_memory;
	bool flush_pending;
	uint64_t barrier;
};

/* Sums over contexts; takes short locks; any thread. */
void store_stats(struct store *s, struct store_stats *out);

/* Counters to 0, gauges stay. */
void store_stats_reset(struct store *s);

/*
 * Walks the whole structure and panics where it is not consistent.  For
 * tests: no other thread may use the store meanwhile.
 */
void store_verify(struct store *s);

#endif
