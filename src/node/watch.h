/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `watch`: clients that read what the server does, line by line.
 *
 * Any worker writes a line into the bounded buffer of each watcher that asked
 * for its kind; the watcher's own worker sends it.  A watcher that reads too
 * slowly loses lines and is told how many; it never delays anybody.  While
 * nobody watches, an event costs one load and a compare.
 *
 * Lines may be written under a shard's lock; the lock here is a leaf.
 */
#ifndef DOZO_NODE_WATCH_H
#define DOZO_NODE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/lock.h"
#include "io/loop.h"
#include "proto/request.h"
#include "store/store.h"

struct node;
struct session;
struct worker;

enum watch_kind {
	WATCH_FETCHERS = 1,
	WATCH_MUTATIONS = 2,
	WATCH_EVICTIONS = 4,
	WATCH_CONNEVENTS = 8,
	WATCH_DELETIONS = 16,
	WATCH_NOTHING = 32, /* kinds that never have events here */
};

/*
 * memcached's slab class, in lines and figures that must name one: all items
 * are of one kind here.
 */
enum { CLASS_ITEMS = 1 };

struct watch;

struct watcher {
	struct watch *watch;
	struct session *session; /* NULL: the slot is free */
	struct io_msg wake;
	bool waking; /* the message is on its way */
	unsigned kinds;
	uint64_t skipped; /* lines lost and not yet told */
	char *buf;
	size_t len;
	size_t cap;
};

struct watch {
	_Atomic uint32_t kinds; /* what anybody watches */
	_Atomic bool news;      /* lines were written: somebody must wake */
	struct lock lock;
	uint64_t gid;
	_Atomic uint32_t count;
	uint64_t written;
	uint64_t dropped;
	uint64_t sent;
	struct watcher watchers[WATCHERS_MAX];
};

/* The command's words, from words[1] on.  False: an unknown name. */
bool watch_parse_kinds(const struct request *r, unsigned *kinds);

enum watch_added { WATCH_ADDED, WATCH_TOO_MANY, WATCH_NO_MEMORY };
enum watch_added watch_add(struct session *s, unsigned kinds,
			   size_t buffer_bytes);
void watch_remove(struct session *s);

/* Sends what has gathered; on the watcher's own worker. */
void watch_read(struct session *s);

/*
 * Tells the watchers' workers that there is something to read.  Called at
 * the end of a turn, with no lock held, when watch_has_news().
 */
void watch_wake(struct watch *watch);

static inline bool watch_has_news(const struct watch *w)
{
	return __builtin_expect(
		atomic_load_explicit(&w->news, memory_order_relaxed), 0);
}

struct watch_totals {
	uint64_t written;
	uint64_t dropped;
	uint64_t sent;
	uint32_t watchers;
};
void watch_totals(struct watch *w, struct watch_totals *out);
void watch_totals_reset(struct watch *w);

/* Is anybody watching this kind? */
static inline bool watch_wants(const struct watch *w, enum watch_kind kind)
{
	return __builtin_expect(
		(atomic_load_explicit(&w->kinds, memory_order_relaxed) &
		 kind) != 0,
		0);
}

/*
 * ---- events: to be called only when watch_wants() the kind, but for
 * watch_connection(), which asks by itself ------------------------------
 */

/* A look-up (fetchers): what it found, or why nothing. */
void watch_get(struct session *s, const char *key, size_t key_len,
	       enum store_miss miss, uint32_t value_len);
void watch_store(struct session *s, const char *key, size_t key_len,
		 const char *status, const char *cmd, int64_t ttl,
		 uint32_t size);
void watch_delete(struct session *s, const char *key, size_t key_len,
		  const char *cmd, uint32_t size);
/* Under a shard's lock. */
void watch_evict(struct watch *w, const struct item_view *item, uint32_t now);
/* reason NULL: a new connection. */
void watch_connection(struct watch *w, int fd, const char *reason);

#endif
