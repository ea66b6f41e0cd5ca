/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a data directory without threads: a store with a log, whose
 * journal is written and whose snapshots are taken when the test says so; it
 * is ended in one way or another, and begins again from its files.
 */
#ifndef DOZO_RECOVER_FIXTURE_H
#define DOZO_RECOVER_FIXTURE_H

#include "persist/archive.h"
#include "persist/datadir.h"
#include "persist/journal.h"
#include "persist/recover.h"
#include "snapshot_fixture.h"

struct life {
	struct keep k;
	struct datadir d;
	struct log *log;
	struct log_cursor cursor;
	struct journal journal;
	struct recovery found; /* at its beginning */
	uint64_t memory;
	uint64_t over; /* that recovery may take above it */
	bool evicts;
	uint64_t file_bytes;
	unsigned threads;
	uint64_t to_lsn;
	uint32_t to_time;
};

static inline void life_init(struct life *l, struct memdir *m)
{
	memset(l, 0, sizeof(*l));
	l->k.m = m;
	l->k.dir = memdir_dir(m);
	l->k.now = NOW;
	l->memory = 64 * MIB;
	l->evicts = true;
	l->file_bytes = 256 * KIB;
	l->to_lsn = UINT64_MAX;
	l->to_time = UINT32_MAX;
}

static inline void life_make_store(struct life *l)
{
	const struct log_config log = {
		.window_bytes = 32 * MIB,
	};
	struct store_config store = {
		.memory_limit = l->memory,
		.memory_reserve = l->memory + l->over,
		.hash_seed = l->d.hash_seed,
		.evict = l->evicts,
	};

	l->log = log_new(&log);
	assert_non_null(l->log);
	store.log = l->log;
	l->k.s = store_new(&store);
	assert_non_null(l->k.s);
	l->k.c = store_ctx_new(l->k.s);
	assert_non_null(l->k.c);
}

/* Opens the directory and recovers. */
static inline bool life_recover(struct life *l)
{
	struct recover_config c = {
		.threads = l->threads,
		.now = l->k.now,
		.evicts = l->evicts,
		.over_bytes = l->over,
		.to_lsn = l->to_lsn,
		.to_time = l->to_time,
	};
	char problem[PROBLEM_SIZE];

	if (!datadir_open(&l->d, l->k.dir, DATADIR_SERVE, IDENTITY, SEED,
			  l->k.now, problem)) {
		fail_msg("%s", problem);
	}
	life_make_store(l);
	c.store = l->k.s;
	c.log = l->log;
	return recover(&l->d, &c, &l->found);
}

/* Forgets everything but the files. */
static inline void life_leave(struct life *l)
{
	store_verify(l->k.s);
	store_ctx_free(l->k.c);
	store_free(l->k.s);
	log_free(l->log);
	datadir_close(&l->d);
	memdir_end_process(l->k.m);
}

static inline void life_begin(struct life *l)
{
	struct journal_config c = {
		.dir = l->k.dir,
		.file_bytes = l->file_bytes,
	};

	if (!life_recover(l)) {
		fail_msg("%s", l->found.problem);
	}
	c.identity = l->d.identity;
	c.hash_seed = l->d.hash_seed;
	c.read_lsn = l->found.last_lsn;
	if (l->d.journal_count > 0) {
		c.read_file = l->d.journals[l->d.journal_count - 1];
	}
	log_begin(l->log, l->found.next_lsn);
	assert_true(
		log_cursor_open(l->log, &l->cursor, l->found.next_lsn, true));
	journal_init(&l->journal, &c);
	assert_int_equal(
		journal_start(&l->journal, l->found.next_lsn, l->k.now), 0);
}

/* All changes so far go to the journal's files; others may go on meanwhile. */
static inline void life_write(struct life *l)
{
	uint64_t lsn = store_lsn(l->k.s);

	while (l->journal.written < lsn) {
		assert_true(journal_write(&l->journal, &l->cursor, 1 << 20,
					  l->k.now) >= 0);
	}
}

static inline void life_sync(struct life *l)
{
	life_write(l);
	assert_int_equal(journal_sync(&l->journal), 0);
}

static inline int life_settle(void *arg, uint64_t lsn)
{
	struct life *l = arg;

	life_sync(l);
	assert_true(l->journal.synced >= lsn);
	return 0;
}

static inline struct snapshot_writer *life_snapshot_begin(struct life *l)
{
	struct snapshot_writer *w;
	struct snapshot_config c;
	int error;

	life_write(l);
	if (l->journal.written >= l->journal.first_lsn) {
		assert_int_equal(journal_start(&l->journal, l->journal.written,
					       l->k.now),
				 0);
	}
	c = keep_config(&l->k);
	c.flush_at = store_flush_pending(l->k.s);
	c.settle = life_settle;
	c.settle_arg = l;
	w = snapshot_begin(&c, l->k.now, &error);
	assert_non_null(w);
	return w;
}

static inline void life_snapshot(struct life *l)
{
	struct snapshot_writer *w = life_snapshot_begin(l);

	while (snapshot_step(w, l->k.now) > 0) {
	}
	snapshot_end(w);
}

/* As kill -9: what was written is there. */
static inline void life_kill(struct life *l)
{
	log_cursor_close(&l->cursor);
	journal_close(&l->journal);
	life_leave(l);
}

static inline void life_stop(struct life *l)
{
	struct archive_work work = {
		.dir = l->k.dir,
		.identity = l->d.identity,
		.last_too = true,
	};
	struct snapshot_config c;

	life_sync(l);
	c = keep_config(&l->k);
	c.flush_at = store_flush_pending(l->k.s);
	c.clean = true;
	assert_int_equal(keep_take(&l->k, &c), 0);
	log_cursor_close(&l->cursor);
	journal_close(&l->journal);
	work.lsn = c.lsn;
	assert_true(archive_old_files(&work));
	life_leave(l);
}

/* ---- what is in it ----------------------------------------------------- */

/* A copy of a store's content, to be compared with another. */
struct content {
	struct content_item {
		char key[KEY_MAX];
		char *value;
		struct item_view v;
	} * items;
	size_t count;
	size_t room;
};

static inline void content_visit(void *arg, const struct item_view *v)
{
	struct content *c = arg;
	struct content_item *i;

	if (c->count == c->room) {
		c->room = c->room * 2 + 1024;
		c->items = reallocarray(c->items, c->room, sizeof(c->items[0]));
		assert_non_null(c->items);
	}
	i = &c->items[c->count++];
	i->v = *v;
	memcpy(i->key, v->key, v->key_len);
	i->value = malloc(v->value_len + 1U);
	assert_non_null(i->value);
	memcpy(i->value, v->value, v->value_len);
}

static inline struct content content_of(struct keep *k)
{
	struct content c = { .count = 0 };
	uint64_t cursor = 0;

	while (store_scan(k->c, &cursor, k->now, content_visit, &c)) {
	}
	return c;
}

static inline void content_release(struct content *c)
{
	for (size_t i = 0; i < c->count; i++) {
		free(c->items[i].value);
	}
	free(c->items);
	memset(c, 0, sizeof(*c));
}

/*
 * Win tokens and what was read are no changes, so a journal does not know of
 * them; a snapshot does.
 */
static inline void content_equals(const struct content *c, struct keep *k,
				  bool marks)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct content_item *want = &c->items[i];
		struct store_key key = store_key(k->s, want->key,
						 want->v.key_len);
		struct store_entry e;

		if (!store_open(k->c, &key, k->now, &e)) {
			fail_msg("%.*s is lost", want->v.key_len, want->key);
		}
		if (e.item.lsn != want->v.lsn) {
			fail_msg("%.*s has LSN %llu, not %llu", want->v.key_len,
				 want->key, (unsigned long long)e.item.lsn,
				 (unsigned long long)want->v.lsn);
		}
		assert_int_equal(e.item.value_len, want->v.value_len);
		assert_memory_equal(e.item.value, want->value,
				    want->v.value_len);
		assert_int_equal(e.item.cas, want->v.cas);
		assert_int_equal(e.item.cflags, want->v.cflags);
		assert_int_equal(e.item.exptime, want->v.exptime);
		assert_int_equal(e.item.stale, want->v.stale);
		assert_int_equal(e.item.binkey, want->v.binkey);
		if (marks) {
			assert_int_equal(e.item.won, want->v.won);
			assert_int_equal(e.item.fetched, want->v.fetched);
			assert_int_equal(e.item.accessed, want->v.accessed);
		}
		store_close(&e);
	}
	assert_int_equal(keep_count(k), c->count);
}

/* ---- changes ----------------------------------------------------------- */

static inline void life_touch(struct life *l, uint64_t n, uint32_t exptime)
{
	struct store_key key = keep_key(&l->k, n);
	struct store_entry e;

	assert_int_not_equal(store_open_touch(l->k.c, &key, exptime, l->k.now,
					      &e),
			     STORE_NO_MEMORY);
	store_close(&e);
}

static inline void life_add(struct life *l, uint64_t n, uint64_t amount)
{
	const struct delta d = {
		.create = true,
		.amount = amount,
		.initial = amount,
	};
	struct store_key key = keep_key(&l->k, n);
	struct store_entry e;
	uint64_t sum;

	if (store_delta(l->k.c, &key, &d, l->k.now, &sum, &e) == STORE_OK) {
		store_close(&e);
	}
}

static inline void life_append(struct life *l, uint64_t n, uint32_t len)
{
	const struct commit how = { .mode = MODE_APPEND };
	struct store_key key = keep_key(&l->k, n);
	struct reservation r;
	struct change out;

	assert_int_equal(store_reserve(l->k.c, &key, len, 0, 0, false, l->k.now,
				       &r),
			 STORE_OK);
	keep_fill(r.value, len, n);
	(void)store_commit(l->k.c, &r, &how, JOINED_MAX, l->k.now, &out);
}

static inline void life_flush(struct life *l)
{
	uint64_t lsn;

	assert_int_equal(store_flush(l->k.s, l->k.now, &lsn), STORE_OK);
}

/* One change of some kind, to one of `keys` keys. */
static inline void life_act(struct life *l, struct rng *rng, uint64_t keys)
{
	uint64_t n = rng_below(rng, keys);
	uint32_t later = l->k.now + 1 + (uint32_t)rng_below(rng, 500);
	const struct put_how how = {
		.cflags = (uint32_t)rng_below(rng, 3),
		.exptime = rng_below(rng, 4) == 0 ? later : 0,
		.new_cas = rng_below(rng, 20) == 0 ? rng_next(rng) : 0,
		.binkey = rng_below(rng, 20) == 0,
	};

	switch (rng_below(rng, 12)) {
	case 0:
	case 1:
		keep_remove(&l->k, n);
		break;
	case 2:
	case 3:
		life_touch(l, n, rng_below(rng, 2) == 0 ? later : 0);
		break;
	case 4:
		life_add(l, keys + n % 50, n);
		break;
	case 5:
		if (rng_below(rng, 20) == 0) {
			keep_put(&l->k, n,
				 (uint32_t)(50000 + rng_below(rng, 50000)),
				 &how);
		} else {
			life_append(l, n, 10);
		}
		break;
	case 6:
		l->k.now += rng_below(rng, 20) == 0 ? 1 : 0;
		break;
	default:
		keep_put(&l->k, n, (uint32_t)rng_below(rng, 200), &how);
	}
}

#endif
