/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a data directory, told step by step: a store with a log and a
 * journal, snapshots that move what is old to an archive, crashes and stops;
 * and a model of it, so that what is restored can be compared with what was
 * true at any LSN.
 */
#ifndef DOZO_LIFE_FIXTURE_H
#define DOZO_LIFE_FIXTURE_H

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
#include "log/log.h"
#include "memdir.h"
#include "persist/datadir.h"
#include "persist/journal.h"
#include "persist/recover.h"
#include "persist/snapshot.h"
#include "store/store.h"

enum {
	BIRTH = 1795666500, /* 2026-11-26T04:15:00Z */
	LIFE_KEYS = 40,
	LIFE_OPS_MAX = 4000,
	LIFE_SEED = 99,
	LIFE_MEMORY = 64 << 20,
	LIFE_WINDOW = 1 << 20,
};

enum life_op_kind { LIFE_SET, LIFE_REMOVE, LIFE_TOUCH, LIFE_FLUSH };

struct life_op {
	uint64_t lsn;
	uint32_t time;
	enum life_op_kind kind;
	unsigned key;
	uint32_t number; /* which value */
	uint32_t exptime;
};

struct life {
	struct memdir *data;
	struct memdir *archive;
	struct datadir d;
	struct log *log;
	struct store *store;
	struct store_ctx *ctx;
	struct log_cursor cursor;
	struct journal journal;
	uint32_t file_bytes;
	uint32_t now;
	struct life_op ops[LIFE_OPS_MAX];
	size_t op_count;
	unsigned steps; /* for who makes changes */
};

/* ---- items -------------------------------------------------------------- */

static inline size_t life_key(char *to, unsigned key)
{
	return (size_t)sprintf(to, "key-%u", key);
}

static inline uint32_t life_value(char *to, uint32_t number)
{
	uint32_t len = 20 + number % 90;

	memset(to, 'a' + (int)(number % 26), len);
	sprintf(to, "%010u", number);
	to[10] = '-';
	return len;
}

static inline struct life_op *life_note(struct life *l, enum life_op_kind kind,
					uint64_t lsn)
{
	struct life_op *op = &l->ops[l->op_count++];

	assert_true(l->op_count < LIFE_OPS_MAX);
	*op = (struct life_op){ .lsn = lsn, .time = l->now, .kind = kind };
	assert_int_equal(lsn, log_lsn(l->log));
	return op;
}

static inline void life_set(struct life *l, unsigned key, uint32_t exptime)
{
	static const struct commit how = { .mode = MODE_SET };
	uint32_t number = (uint32_t)l->op_count;
	struct reservation r;
	struct change out;
	struct life_op *op;
	char name[16];
	char value[128];
	uint32_t len = life_value(value, number);
	struct store_key k = store_key(l->store, name, life_key(name, key));

	assert_int_equal(store_reserve(l->ctx, &k, len, number, exptime, false,
				       l->now, &r),
			 STORE_OK);
	memcpy(r.value, value, len);
	assert_int_equal(store_commit(l->ctx, &r, &how, 1 << 20, l->now, &out),
			 STORE_OK);
	op = life_note(l, LIFE_SET, out.lsn);
	op->key = key;
	op->number = number;
	op->exptime = exptime;
}

static inline void life_remove(struct life *l, unsigned key)
{
	char name[16];
	struct store_key k = store_key(l->store, name, life_key(name, key));
	struct change out;

	store_remove(l->ctx, &k, false, 0, l->now, &out);
	life_note(l, LIFE_REMOVE, log_lsn(l->log))->key = key;
}

static inline void life_touch(struct life *l, unsigned key, uint32_t exptime)
{
	char name[16];
	struct store_key k = store_key(l->store, name, life_key(name, key));
	struct store_entry e;
	struct life_op *op;

	if (store_open_touch(l->ctx, &k, exptime, l->now, &e) == STORE_OK) {
		op = life_note(l, LIFE_TOUCH, log_lsn(l->log));
		op->key = key;
		op->exptime = exptime;
	}
	store_close(&e);
}

/* ---- the journal and snapshots ------------------------------------------ */

static inline void life_write(struct life *l)
{
	long result;

	while ((result = journal_write(&l->journal, &l->cursor, 1 << 16,
				       l->now)) > 0) {
	}
	assert_int_equal(result, 0);
	assert_int_equal(journal_sync(&l->journal), 0);
}

static inline int life_settle(void *arg, uint64_t lsn)
{
	struct life *l = arg;

	life_write(l);
	assert_true(l->journal.synced >= lsn);
	return 0;
}

/*
 * Takes a snapshot; between its steps `meanwhile` may change things.  What it
 * makes superfluous stays where it is: see life_archive().
 */
static inline void life_snapshot(struct life *l, bool clean,
				 void (*meanwhile)(struct life *l))
{
	struct store_stats stats;
	struct snapshot_config c = { .dir = memdir_dir(l->data),
				     .store = l->store,
				     .ctx = l->ctx,
				     .identity = l->d.identity,
				     .hash_seed = LIFE_SEED,
				     .clean = clean,
				     .settle = clean ? NULL : life_settle,
				     .settle_arg = l };
	struct snapshot_writer *w;
	int error = 0;
	int result;

	life_write(l);
	if (!clean) {
		assert_int_equal(journal_start(&l->journal, l->journal.written,
					       l->now),
				 0);
	}
	c.lsn = log_lsn(l->log);
	store_stats(l->store, &stats);
	c.barrier = stats.barrier;
	c.flush_at = store_flush_pending(l->store);
	w = snapshot_begin(&c, l->now, &error);
	assert_non_null(w);
	while ((result = snapshot_step(w, l->now)) == 1) {
		if (meanwhile != NULL) {
			meanwhile(l);
		}
	}
	assert_int_equal(result, 0);
	snapshot_end(w);
}

/* What the newest snapshot has made superfluous goes to the archive. */
static inline void life_archive(struct life *l)
{
	struct dir *from = memdir_dir(l->data);
	struct dir *to = memdir_dir(l->archive);
	char name[FILE_NAME_SIZE];
	uint64_t newest;

	assert_int_equal(datadir_scan(&l->d), 0);
	newest = l->d.snapshots[l->d.snapshot_count - 1];
	for (size_t i = 0; i + 1 < l->d.journal_count; i++) {
		if (l->d.journals[i + 1] - 1 <= newest) {
			file_name(name, FILE_JOURNAL, l->d.journals[i]);
			assert_int_equal(dir_move(from, name, to), 0);
		}
	}
	for (size_t i = 0; i + 1 < l->d.snapshot_count; i++) {
		file_name(name, FILE_SNAPSHOT, l->d.snapshots[i]);
		assert_int_equal(dir_move(from, name, to), 0);
	}
}

/* ---- beginning and end -------------------------------------------------- */

static inline void life_start(struct life *l)
{
	struct store_config store = { .memory_limit = LIFE_MEMORY,
				      .memory_reserve = LIFE_MEMORY,
				      .hash_seed = LIFE_SEED };
	struct log_config log = { .window_bytes = LIFE_WINDOW };
	struct recover_config rc = { .now = l->now,
				     .to_lsn = UINT64_MAX,
				     .to_time = UINT32_MAX,
				     .threads = 1 };
	struct journal_config jc = { .dir = memdir_dir(l->data),
				     .hash_seed = LIFE_SEED,
				     .file_bytes = l->file_bytes };
	struct recovery r;
	char problem[PROBLEM_SIZE];

	if (!datadir_open(&l->d, memdir_dir(l->data), DATADIR_SERVE, 0x1dea,
			  LIFE_SEED, l->now, problem)) {
		fail_msg("%s", problem);
	}
	l->log = log_new(&log);
	store.log = l->log;
	l->store = store_new(&store);
	assert_non_null(l->store);
	rc.store = l->store;
	rc.log = l->log;
	if (!recover(&l->d, &rc, &r)) {
		fail_msg("%s", r.problem);
	}
	log_begin(l->log, r.next_lsn);
	l->ctx = store_ctx_new(l->store);
	assert_true(log_cursor_open(l->log, &l->cursor, r.next_lsn, true));
	jc.identity = l->d.identity;
	jc.read_file = l->d.journal_count > 0 ?
			       l->d.journals[l->d.journal_count - 1] :
			       0;
	jc.read_lsn = r.last_lsn;
	journal_init(&l->journal, &jc);
	assert_int_equal(journal_start(&l->journal, r.next_lsn, l->now), 0);
}

/* Without a word: what was not written is lost. */
static inline void life_crash(struct life *l)
{
	journal_close(&l->journal);
	log_cursor_close(&l->cursor);
	store_ctx_free(l->ctx);
	store_free(l->store);
	log_free(l->log);
	datadir_close(&l->d);
	memdir_end_process(l->data);
}

/* A clean stop leaves a snapshot, and no journal behind it. */
static inline void life_stop(struct life *l)
{
	char name[FILE_NAME_SIZE];

	life_snapshot(l, true, NULL);
	life_archive(l);
	assert_int_equal(datadir_scan(&l->d), 0);
	for (size_t i = 0; i < l->d.journal_count; i++) {
		file_name(name, FILE_JOURNAL, l->d.journals[i]);
		assert_int_equal(dir_move(memdir_dir(l->data), name,
					  memdir_dir(l->archive)),
				 0);
	}
	life_crash(l);
}

static inline struct life *life_new(uint32_t file_bytes)
{
	struct life *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->data = memdir_new();
	l->archive = memdir_new();
	l->file_bytes = file_bytes;
	l->now = BIRTH;
	life_start(l);
	return l;
}

/* After life_crash() or life_stop(). */
static inline void life_free(struct life *l)
{
	memdir_free(l->data);
	memdir_free(l->archive);
	free(l);
}

/* ---- comparing ---------------------------------------------------------- */

struct life_item {
	uint64_t lsn; /* 0: there is none */
	uint32_t number;
	uint32_t exptime;
};

struct life_state {
	struct life_item items[LIFE_KEYS];
	size_t count;
	size_t seen;
};

/* What is true when all up to `lsn` has happened, at `now`. */
static inline void life_model(const struct life *l, uint64_t lsn, uint32_t now,
			      struct life_state *s)
{
	memset(s, 0, sizeof(*s));
	for (size_t i = 0; i < l->op_count && l->ops[i].lsn <= lsn; i++) {
		const struct life_op *op = &l->ops[i];
		struct life_item *item = &s->items[op->key];

		switch (op->kind) {
		case LIFE_SET:
			*item = (struct life_item){ op->lsn, op->number,
						    op->exptime };
			break;
		case LIFE_REMOVE:
			item->lsn = 0;
			break;
		case LIFE_TOUCH:
			item->exptime = op->exptime;
			break;
		case LIFE_FLUSH:
			memset(s->items, 0, sizeof(s->items));
			break;
		}
	}
	for (unsigned i = 0; i < LIFE_KEYS; i++) {
		struct life_item *item = &s->items[i];

		if (item->exptime != 0 && item->exptime <= now) {
			item->lsn = 0;
		}
		s->count += item->lsn != 0;
	}
}

static inline void life_compare_item(void *arg, const struct item_view *v)
{
	struct life_state *s = arg;
	char name[16];
	char value[128];
	unsigned key = LIFE_KEYS;
	uint32_t len;

	memcpy(name, v->key, v->key_len);
	name[v->key_len] = '\0';
	assert_int_equal(sscanf(name, "key-%u", &key), 1);
	assert_true(key < LIFE_KEYS);
	len = life_value(value, s->items[key].number);
	assert_int_equal(v->lsn, s->items[key].lsn);
	assert_int_equal(v->cas, s->items[key].lsn);
	assert_int_equal(v->value_len, len);
	assert_memory_equal(v->value, value, len);
	assert_int_equal(v->cflags, s->items[key].number);
	assert_int_equal(v->exptime, s->items[key].exptime);
	s->seen++;
}

/*
 * A server that starts from the directory has what was true at `lsn` and
 * `now`, and draws LSNs above `floor`.
 */
static inline void life_expect(const struct life *l, struct memdir *m,
			       uint64_t lsn, uint32_t now, uint64_t floor)
{
	struct store_config sc = { .memory_limit = LIFE_MEMORY,
				   .memory_reserve = LIFE_MEMORY,
				   .hash_seed = LIFE_SEED };
	struct recover_config rc = { .now = now,
				     .to_lsn = UINT64_MAX,
				     .to_time = UINT32_MAX,
				     .threads = 1 };
	char problem[PROBLEM_SIZE] = "";
	struct life_state s;
	struct store_ctx *ctx;
	struct recovery r;
	struct datadir d;
	uint64_t cursor = 0;

	life_model(l, lsn, now, &s);
	if (!datadir_open(&d, memdir_dir(m), DATADIR_LOOK, 0, 0, now,
			  problem)) {
		fail_msg("%s", problem);
	}
	sc.hash_seed = d.hash_seed;
	sc.first_lsn = lsn;
	rc.store = store_new(&sc);
	if (!recover(&d, &rc, &r)) {
		fail_msg("%s", r.problem);
	}
	assert_true(r.next_lsn > floor);
	ctx = store_ctx_new(rc.store);
	while (store_scan(ctx, &cursor, now, life_compare_item, &s)) {
	}
	assert_int_equal(s.seen, s.count);
	store_ctx_free(ctx);
	store_free(rc.store);
	datadir_close(&d);
}

#endif
