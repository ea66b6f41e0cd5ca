/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store with all kinds of items, a directory in memory, and short words for
 * taking a snapshot of the one into the other.
 */
#ifndef DOZO_SNAPSHOT_FIXTURE_H
#define DOZO_SNAPSHOT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/rand.h"
#include "log/log.h"
#include "memdir.h"
#include "persist/snapshot.h"
#include "store/store.h"

enum { NOW = 1000000, SEED = 77, JOINED_MAX = 2 << 20 };

#define IDENTITY 0x1122334455667788ULL

struct keep {
	struct memdir *m;
	struct dir *dir;
	struct store *s;
	struct store_ctx *c;
	uint32_t now;
	uint32_t deny_in; /* allocations until one is refused; 0: none is */
	uint64_t denied;
	char text[64]; /* of the key last made */
};

static inline bool keep_deny(void *arg)
{
	struct keep *k = arg;

	if (k->deny_in > 0 && --k->deny_in == 0) {
		k->denied++;
		return true;
	}
	return false;
}

static inline void keep_open(struct keep *k, uint64_t limit)
{
	const struct store_config config = {
		.memory_limit = limit,
		.memory_reserve = limit,
		.hash_seed = SEED,
		.evict = true,
	};

	memset(k, 0, sizeof(*k));
	k->now = NOW;
	k->m = memdir_new();
	k->dir = memdir_dir(k->m);
	k->s = store_new(&config);
	assert_non_null(k->s);
	k->c = store_ctx_new(k->s);
	assert_non_null(k->c);
}

static inline void keep_close(struct keep *k)
{
	store_verify(k->s);
	store_ctx_free(k->c);
	store_free(k->s);
	assert_int_equal(memdir_open_files(k->m), 0);
	memdir_free(k->m);
}

static inline struct store_key keep_key(struct keep *k, uint64_t n)
{
	int len = snprintf(k->text, sizeof(k->text), "key:%012llu",
			   (unsigned long long)n);

	return store_key(k->s, k->text, (size_t)len);
}

/* Bytes that only key `n` at this length has; half of them compress. */
static inline void keep_fill(char *to, uint32_t len, uint64_t n)
{
	struct rng rng;

	rng_init(&rng, n * 1000003 + len);
	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t bytes = (i & 64) != 0 ? rng_next(&rng) : n;

		memcpy(to + i, &bytes, len - i < 8 ? len - i : 8);
	}
}

struct put_how {
	uint32_t cflags;
	uint32_t exptime;
	uint64_t new_cas;
	bool binkey;
	bool won;
};

static inline enum store_result
keep_put(struct keep *k, uint64_t n, uint32_t len, const struct put_how *how)
{
	const struct put_how plain = { .cflags = 0 };
	struct store_key key = keep_key(k, n);
	struct commit commit = { .mode = MODE_SET };
	struct reservation r;
	struct change out;
	enum store_result res;

	if (how == NULL) {
		how = &plain;
	}
	commit.new_cas = how->new_cas;
	commit.won = how->won;
	res = store_reserve(k->c, &key, len, how->cflags, how->exptime,
			    how->binkey, k->now, &r);
	if (res != STORE_OK) {
		return res;
	}
	keep_fill(r.value, len, n);
	return store_commit(k->c, &r, &commit, JOINED_MAX, k->now, &out);
}

static inline void keep_read(struct keep *k, uint64_t n)
{
	struct store_key key = keep_key(k, n);
	struct store_entry e;

	if (store_open(k->c, &key, k->now, &e)) {
		entry_bump(&e);
	}
	store_close(&e);
}

static inline void keep_make_stale(struct keep *k, uint64_t n)
{
	const struct invalidate how = { .mark_stale = true };
	struct store_key key = keep_key(k, n);
	struct change out;

	assert_int_equal(store_invalidate(k->c, &key, &how, k->now, &out),
			 STORE_OK);
}

static inline void keep_remove(struct keep *k, uint64_t n)
{
	struct store_key key = keep_key(k, n);
	struct change out;

	(void)store_remove(k->c, &key, false, 0, k->now, &out);
}

/* `count` items of all kinds and sizes. */
static inline void keep_fill_store(struct keep *k, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++) {
		const struct put_how how = {
			.cflags = n % 5 == 0 ? (uint32_t)n + 1 : 0,
			.exptime = n % 7 == 0 ? NOW + 1000 : 0,
			.new_cas = n % 11 == 0 ? n + 1000000000 : 0,
			.binkey = n % 13 == 0,
			.won = n % 17 == 0,
		};
		uint32_t len = (uint32_t)(n * 7 % 300);

		if (n % 500 == 499) {
			len = 1 << 20; /* lives apart */
		} else if (n % 100 == 99) {
			len = 20000; /* is noted first */
		}
		assert_int_equal(keep_put(k, n, len, &how), STORE_OK);
		if (n % 19 == 0) {
			keep_read(k, n);
		}
		if (n % 23 == 0) {
			keep_make_stale(k, n);
		}
	}
}

static inline struct snapshot_config keep_config(struct keep *k)
{
	struct store_stats stats;

	store_stats(k->s, &stats);
	return (struct snapshot_config){
		.dir = k->dir,
		.store = k->s,
		.ctx = k->c,
		.identity = IDENTITY,
		.hash_seed = SEED,
		.lsn = store_lsn(k->s),
		.barrier = stats.barrier,
		.deny = keep_deny,
		.deny_arg = k,
	};
}

/* Takes a snapshot; 0 or a negative errno. */
static inline int keep_take(struct keep *k, const struct snapshot_config *c)
{
	struct snapshot_writer *w;
	int error;

	w = snapshot_begin(c, k->now, &error);
	if (w == NULL) {
		assert_true(error < 0);
		return error;
	}
	do {
		error = snapshot_step(w, k->now);
	} while (error > 0);
	snapshot_end(w);
	return error;
}

/* Counts what store_scan() shows. */
static inline void keep_count_visit(void *arg, const struct item_view *v)
{
	uint64_t *n = arg;

	(void)v;
	(*n)++;
}

static inline uint64_t keep_count(struct keep *k)
{
	uint64_t cursor = 0;
	uint64_t n = 0;

	while (store_scan(k->c, &cursor, k->now, keep_count_visit, &n)) {
	}
	return n;
}

#endif
