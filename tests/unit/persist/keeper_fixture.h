/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A keeper over a store, a log and a directory in memory, what it told, and a
 * model of the data: every change with its LSN, so that what a recovery finds
 * can be compared with what was true at the LSN that it says it has reached.
 */
#ifndef DOZO_KEEPER_FIXTURE_H
#define DOZO_KEEPER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/lock.h"
#include "io/bell.h"
#include "io/clock.h"
#include "log/log.h"
#include "memdir.h"
#include "persist/datadir.h"
#include "persist/keeper.h"
#include "persist/recover.h"
#include "store/store.h"

enum {
	NOW = 1000000,
	KEYS = 64,
	OPS_MAX = 20000,
	POINTS_MAX = 20000,
	STATES_MAX = 64,
	DEADLINE_MS = 120000, /* only a failure waits as long */
	RETRY = 20,           /* ms; a snapshot's is 1.2 s */
	VALUE_SIZE = 100,
	WINDOW = 4 << 20,
};

struct op {
	uint64_t lsn;
	uint32_t key;
	uint32_t version; /* 0: it was removed */
};

/* A commit: all up to `lsn` was said to be durable then. */
struct point {
	size_t position; /* in the directory's history */
	uint64_t lsn;
};

/* Holds up one operation until it is let go. */
struct hold {
	enum memdir_op op;
	const char *prefix; /* of the file's name */
	_Atomic bool held;
	struct bell go;
};

struct world {
	struct memdir *m;
	struct memdir *archive; /* or NULL */
	struct datadir d;
	struct log *log;
	struct store *store;
	struct store_ctx *ctx;
	struct keeper *k;
	struct keeper_config config;
	struct bell bell; /* something was told */
	_Atomic uint64_t committed;
	_Atomic unsigned drained;
	_Atomic unsigned state_count;
	enum keeper_state states[STATES_MAX];
	struct lock lock; /* of the points */
	struct point *points;
	size_t point_count;
	_Atomic(struct hold *) hold;
	struct op *ops;
	size_t op_count;
};

/* Waits for an event that makes `cond` true, until the deadline. */
#define wait_until(w, cond)                                                    \
	do {                                                                   \
		uint64_t deadline_ = clock_ms() + DEADLINE_MS;                 \
		for (;;) {                                                     \
			uint32_t seen_ = bell_count(&(w)->bell);               \
			if (cond) {                                            \
				break;                                         \
			}                                                      \
			if (clock_ms() >= deadline_) {                         \
				fail_msg("in vain: %s", #cond);                \
			}                                                      \
			bell_wait(&(w)->bell, seen_, 2);                       \
		}                                                              \
	} while (0)

static inline uint32_t world_now(void *arg)
{
	(void)arg;
	return NOW;
}

/* From now on a power loss must lose nothing up to `lsn`. */
static inline void world_point(struct world *w, uint64_t lsn)
{
	lock_take(&w->lock);
	if (w->point_count < POINTS_MAX) {
		w->points[w->point_count++] = (struct point){
			.position = memdir_position(w->m),
			.lsn = lsn,
		};
	}
	lock_give(&w->lock);
}

static inline void world_committed(void *arg, uint64_t lsn)
{
	struct world *w = arg;

	check(lsn >= atomic_load(&w->committed));
	world_point(w, lsn);
	atomic_store(&w->committed, lsn);
	bell_ring(&w->bell);
}

static inline void world_drained(void *arg)
{
	struct world *w = arg;

	atomic_fetch_add(&w->drained, 1);
	bell_ring(&w->bell);
}

static inline void world_changed(void *arg, enum keeper_state state)
{
	struct world *w = arg;
	unsigned n = atomic_load(&w->state_count);

	if (n < STATES_MAX) {
		w->states[n] = state;
		atomic_store(&w->state_count, n + 1);
	}
	bell_ring(&w->bell);
}

static inline void world_watch(void *arg, enum memdir_op op, const char *name)
{
	struct world *w = arg;
	struct hold *h = atomic_load(&w->hold);
	uint32_t seen;

	bell_ring(&w->bell);
	if (h == NULL || op != h->op ||
	    strncmp(name, h->prefix, strlen(h->prefix)) != 0) {
		return;
	}
	seen = bell_count(&h->go);
	if (!atomic_compare_exchange_strong(&w->hold, &h, NULL)) {
		return;
	}
	atomic_store(&h->held, true);
	bell_ring(&w->bell);
	bell_wait(&h->go, seen, DEADLINE_MS);
	atomic_store(&h->held, false);
	bell_ring(&w->bell);
}

static inline void world_hold(struct world *w, struct hold *h)
{
	atomic_store(&w->hold, h);
}

static inline void world_let_go(struct world *w, struct hold *h)
{
	bell_ring(&h->go);
	wait_until(w, !atomic_load(&h->held));
}

static inline void world_make_store(struct world *w, uint64_t memory)
{
	struct log_config log = { .window_bytes = WINDOW };
	struct store_config store = {
		.memory_limit = memory,
		.memory_reserve = memory,
		.hash_seed = w->d.hash_seed,
	};

	w->log = log_new(&log);
	assert_non_null(w->log);
	store.log = w->log;
	w->store = store_new(&store);
	assert_non_null(w->store);
	w->ctx = store_ctx_new(w->store);
	assert_non_null(w->ctx);
}

/* Opens the directory `m` as a server does: recovers it; no keeper yet. */
static inline void world_recover(struct world *w, struct memdir *m,
				 struct recovery *r)
{
	struct recover_config config = {
		.now = NOW,
		.to_lsn = UINT64_MAX,
		.to_time = UINT32_MAX,
		.threads = 1,
	};
	char problem[PROBLEM_SIZE];

	w->m = m;
	if (!datadir_open(&w->d, memdir_dir(m), DATADIR_SERVE, 77, 99, NOW,
			  problem)) {
		fail_msg("the directory is refused: %s", problem);
	}
	world_make_store(w, 64 * MIB);
	config.store = w->store;
	config.log = w->log;
	if (!recover(&w->d, &config, r)) {
		fail_msg("not recovered: %s", r->problem);
	}
	log_begin(w->log, r->next_lsn);
}

static inline void world_forget(struct world *w)
{
	store_ctx_free(w->ctx);
	store_free(w->store);
	log_free(w->log);
	datadir_close(&w->d);
}

static inline void world_make_keeper(struct world *w, const struct recovery *r)
{
	int error = 0;

	w->config.datadir = &w->d;
	w->config.archive = w->archive != NULL ? memdir_dir(w->archive) : NULL;
	w->config.store = w->store;
	w->config.log = w->log;
	w->config.read_lsn = r->last_lsn;
	w->config.journal_bytes = r->journal_bytes;
	w->config.window_bytes = WINDOW;
	w->config.now_s = world_now;
	w->config.committed = world_committed;
	w->config.drained = world_drained;
	w->config.changed = world_changed;
	w->config.arg = w;
	if (w->config.retry_ms == 0) {
		w->config.retry_ms = RETRY;
	}
	if (w->config.journal_file_bytes == 0) {
		w->config.journal_file_bytes = 64 * KIB;
	}
	w->k = keeper_new(&w->config, &error);
	if (w->k == NULL) {
		fail_msg("no keeper: %s", strerror(-error));
	}
}

static inline void world_start(struct world *w)
{
	assert_int_equal(keeper_start(w->k), 0);
}

/* A world with an empty directory and a keeper that runs. */
static inline void world_open(struct world *w, enum sync_policy sync)
{
	struct recovery r;

	w->points = calloc(POINTS_MAX, sizeof(*w->points));
	w->ops = calloc(OPS_MAX, sizeof(*w->ops));
	assert_true(w->points != NULL && w->ops != NULL);
	world_recover(w, memdir_new(), &r);
	memdir_set_watch(w->m, world_watch, w);
	w->config.sync = sync;
	world_make_keeper(w, &r);
	world_start(w);
}

/* The process ends, and starts again with `m`; the model stays. */
static inline void world_reopen_as(struct world *w, struct memdir *m,
				   struct recovery *r)
{
	keeper_free(w->k);
	world_forget(w);
	if (m == w->m) {
		memdir_end_process(m);
	} else {
		memdir_free(w->m);
	}
	world_recover(w, m, r);
	world_make_keeper(w, r);
}

static inline void world_reopen(struct world *w, struct recovery *r)
{
	world_reopen_as(w, w->m, r);
}

static inline bool world_stop(struct world *w, char *why)
{
	return keeper_stop(w->k, why);
}

static inline void world_release(struct world *w)
{
	keeper_free(w->k);
	world_forget(w);
	memdir_free(w->m);
	memdir_free(w->archive);
	free(w->points);
	free(w->ops);
}

static inline struct keeper_stats world_stats(const struct world *w)
{
	struct keeper_stats s;

	keeper_stats(w->k, &s);
	return s;
}

/* ---- changes ----------------------------------------------------------- */

static inline struct store_key world_key(const struct world *w, char text[16],
					 uint32_t key)
{
	int n = snprintf(text, 16, "key-%u", key);

	return store_key(w->store, text, (size_t)n);
}

static inline void world_value(char value[VALUE_SIZE], uint32_t key,
			       uint32_t version)
{
	memset(value, '.', VALUE_SIZE);
	snprintf(value, VALUE_SIZE, "%u/%u", key, version);
}

/* Sets a key with a context; its LSN. */
static inline uint64_t world_set_by(struct world *w, struct store_ctx *ctx,
				    uint32_t key, uint32_t version)
{
	static const struct commit how = { .mode = MODE_SET };
	char text[16];
	struct store_key sk = world_key(w, text, key);
	struct reservation r;
	struct change done;

	assert_int_equal(store_reserve(ctx, &sk, VALUE_SIZE, 0, 0, false, NOW,
				       &r),
			 STORE_OK);
	world_value(r.value, key, version);
	assert_int_equal(store_commit(ctx, &r, &how, MIB, NOW, &done),
			 STORE_OK);
	keeper_ring(w->k);
	return done.lsn;
}

static inline void world_note(struct world *w, uint64_t lsn, uint32_t key,
			      uint32_t version)
{
	assert_true(w->op_count < OPS_MAX);
	w->ops[w->op_count++] = (struct op){
		.lsn = lsn,
		.key = key,
		.version = version,
	};
}

/* The next change of the model: a set, or, now and then, a removal. */
static inline uint64_t world_change(struct world *w)
{
	uint32_t n = (uint32_t)w->op_count;
	uint32_t key = n * 2654435761U % KEYS;
	struct change done = { 0 };
	struct store_key sk;
	char text[16];

	if (n % 7 != 3) {
		done.lsn = world_set_by(w, w->ctx, key, n + 1);
		world_note(w, done.lsn, key, n + 1);
		return done.lsn;
	}
	sk = world_key(w, text, key);
	store_remove(w->ctx, &sk, false, 0, NOW, &done);
	assert_true(done.lsn > 0);
	keeper_ring(w->k);
	world_note(w, done.lsn, key, 0);
	return done.lsn;
}

static inline uint64_t world_changes(struct world *w, int n)
{
	uint64_t lsn = 0;

	while (n-- > 0) {
		lsn = world_change(w);
	}
	return lsn;
}

/* ---- comparing --------------------------------------------------------- */

static inline uint32_t world_version_at(const struct world *w, uint32_t key,
					uint64_t lsn)
{
	uint32_t version = 0;

	for (size_t i = 0; i < w->op_count && w->ops[i].lsn <= lsn; i++) {
		if (w->ops[i].key == key) {
			version = w->ops[i].version;
		}
	}
	return version;
}

/* Is in `other` what the model says was true at `lsn`, and nothing else? */
static inline void world_compare(const struct world *w, struct world *other,
				 uint64_t lsn)
{
	char text[16], value[VALUE_SIZE];

	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t version = world_version_at(w, key, lsn);
		struct store_key sk = world_key(other, text, key);
		struct store_entry e;
		bool found = store_open(other->ctx, &sk, NOW, &e);
		bool equal = found == (version != 0);

		if (found && equal) {
			world_value(value, key, version);
			equal = e.item.value_len == VALUE_SIZE &&
				memcmp(e.item.value, value, VALUE_SIZE) == 0;
		}
		store_close(&e);
		if (!equal) {
			fail_msg("key %u at LSN %llu: not version %u%s", key,
				 (unsigned long long)lsn, version,
				 found ? "" : ", but nothing");
		}
	}
}

/*
 * What would a start find in `m`, which is freed?  All up to `at_least`, and
 * the data is that of the LSN which it has reached.
 */
static inline void world_check_crash(const struct world *w, struct memdir *m,
				     uint64_t at_least)
{
	struct world other = { 0 };
	struct recovery r;

	world_recover(&other, m, &r);
	if (r.last_lsn < at_least) {
		fail_msg("LSN %llu was committed, %llu is there",
			 (unsigned long long)at_least,
			 (unsigned long long)r.last_lsn);
	}
	world_compare(w, &other, r.last_lsn);
	world_forget(&other);
	memdir_free(m);
}

/* Stops cleanly, and that is the end. */
static inline void world_close(struct world *w)
{
	char why[PROBLEM_SIZE] = "";

	if (!keeper_stop(w->k, why)) {
		fail_msg("not a clean stop: %s", why);
	}
	world_release(w);
}

/*
 * K1: for what was committed, a power loss at the same moment loses nothing
 * of it.  At up to `most` of the moments, when all is at rest.
 */
static inline void world_check_points(const struct world *w, size_t most)
{
	size_t step = w->point_count > most ? w->point_count / most : 1;

	assert_true(w->point_count > 0);
	for (size_t i = 0; i < w->point_count; i += step) {
		const struct point *p = &w->points[i];

		for (uint64_t seed = 0; seed < 3; seed++) {
			world_check_crash(w,
					  memdir_crash(w->m, MEMDIR_POWER,
						       p->position, seed),
					  p->lsn);
		}
	}
}

/* Stops cleanly, and looks at what could have happened before. */
static inline void world_close_checked(struct world *w, size_t most)
{
	char why[PROBLEM_SIZE] = "";

	if (!keeper_stop(w->k, why)) {
		fail_msg("not a clean stop: %s", why);
	}
	world_check_points(w, most);
	world_release(w);
}

#endif
