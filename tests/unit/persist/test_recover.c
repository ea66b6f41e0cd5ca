/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: what was in the store before is in it again, with all that
 * clients can see, however it ended; and what is not whole is refused with a
 * reason.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "persist/journal_reader.h"
#include "recover_fixture.h"

enum { KEYS = 3000 };

/* ---- begin, end, begin again ------------------------------------------- */

/* Begins; the last end must be found to have been a clean stop, or not. */
static void begin_after(struct life *l, bool clean, uint64_t next_lsn)
{
	life_begin(l);
	assert_int_equal(l->found.clean, clean);
	assert_int_equal(l->found.next_lsn, next_lsn);
}

static void test_fresh(void **state)
{
	struct memdir *m = memdir_new();
	struct life l;

	(void)state;
	life_init(&l, m);
	begin_after(&l, true, 0);
	assert_int_equal(l.found.items, 0);
	life_kill(&l);
	/* It has been served from: LSNs may have been drawn. */
	begin_after(&l, false, LSN_SKIP);
	life_kill(&l);
	memdir_free(m);
}

static void begin_and_compare(struct life *l, struct content *want, bool marks)
{
	life_begin(l);
	content_equals(want, &l->k, marks);
	content_release(want);
}

/* No snapshot at all: several files of journal. */
static void test_journal_only(void **state)
{
	struct memdir *m = memdir_new();
	struct content want;
	struct rng rng;
	struct life l;
	uint64_t last;

	(void)state;
	rng_init(&rng, 1);
	life_init(&l, m);
	life_begin(&l);
	for (int i = 0; i < 20000; i++) {
		life_act(&l, &rng, KEYS);
	}
	life_sync(&l);
	assert_true(l.journal.files_made > 5);
	last = store_lsn(l.k.s);
	want = content_of(&l.k);
	assert_true(want.count > 500);
	life_kill(&l);
	begin_and_compare(&l, &want, false);
	assert_int_equal(l.found.last_lsn, last);
	assert_int_equal(l.found.applied_lsn, last);
	assert_int_equal(l.found.next_lsn, last + LSN_SKIP);
	assert_int_equal(l.found.records, last);
	assert_int_equal(l.found.items, keep_count(&l.k));
	assert_int_equal(l.found.snapshot_lsn, 0);
	assert_int_equal(l.found.time, l.k.now);
	assert_false(l.found.clean);
	assert_string_equal(l.found.torn, "");
	life_kill(&l);
	memdir_free(m);
}

/* Snapshots while changes go on, ends of both kinds, again and again. */
static void test_many_lives(void **state)
{
	struct memdir *m = memdir_new();
	struct content want;
	uint64_t before = 0;
	struct rng rng;
	struct life l;

	(void)state;
	rng_init(&rng, 2);
	life_init(&l, m);
	life_begin(&l);
	for (int life = 0; life < 12; life++) {
		struct snapshot_writer *w;

		for (int i = 0; i < 3000; i++) {
			life_act(&l, &rng, KEYS);
		}
		w = life_snapshot_begin(&l);
		do {
			for (int i = 0; i < 8; i++) {
				life_act(&l, &rng, KEYS);
			}
		} while (snapshot_step(w, l.k.now) > 0);
		snapshot_end(w);
		for (int i = 0; i < 500 * (life % 3); i++) {
			life_act(&l, &rng, KEYS);
		}
		assert_true(store_lsn(l.k.s) > before);
		before = store_lsn(l.k.s);
		want = content_of(&l.k);
		l.threads = (unsigned)life % 5;
		if (life % 3 == 2) {
			life_stop(&l);
			begin_and_compare(&l, &want, true);
			assert_true(l.found.clean);
			assert_int_equal(l.found.next_lsn, before);
			assert_int_equal(l.found.records, 0);
		} else {
			life_sync(&l);
			life_kill(&l);
			begin_and_compare(&l, &want, false);
			assert_false(l.found.clean);
			assert_true(l.found.next_lsn >= before + LSN_SKIP);
			assert_true(l.found.snapshot_lsn > 0);
		}
	}
	life_kill(&l);
	memdir_free(m);
}

/* A clean stop is one as long as nothing was begun after it. */
static void test_clean(void **state)
{
	struct memdir *m = memdir_new();
	struct life l;
	uint64_t last;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	keep_put(&l.k, 1, 100, NULL);
	last = store_lsn(l.k.s);
	life_stop(&l);
	begin_after(&l, true, last);
	life_kill(&l);
	begin_after(&l, false, last + LSN_SKIP);
	assert_int_equal(l.found.last_lsn, last);
	life_stop(&l);
	begin_after(&l, true, last + LSN_SKIP);
	life_kill(&l);
	memdir_free(m);
}

/*
 * Of the journals that a clean stop removes, one may be there again after a
 * power loss: what was removed later does not come back with it.
 */
static void test_old_journal_alone(void **state)
{
	struct memdir *m = memdir_new();
	char saved[4096];
	struct life l;
	uint64_t last;
	size_t size;
	int file;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	keep_put(&l.k, 1, 100, NULL);
	keep_put(&l.k, 2, 100, NULL);
	life_sync(&l);
	assert_non_null(memdir_content(m, "journal-0000000000000001", &size));
	assert_in_range(size, HEADER_SIZE + 1, sizeof(saved));
	memcpy(saved, memdir_content(m, "journal-0000000000000001", &size),
	       size);
	keep_remove(&l.k, 1);
	last = store_lsn(l.k.s);
	life_stop(&l);
	file = dir_open(l.k.dir, "journal-0000000000000001", FILE_CREATE);
	assert_true(file >= 0);
	assert_int_equal(dir_write_all(l.k.dir, file, saved, size, 0), 0);
	dir_close(l.k.dir, file);
	begin_after(&l, true, last);
	assert_int_equal(keep_count(&l.k), 1);
	life_kill(&l);
	memdir_free(m);
}

/*
 * A delayed flush that fires while the last snapshot is taken has no record
 * anywhere, so the snapshot says nothing of it, and it fires again.
 */
static void test_flush_while_stopping(void **state)
{
	struct memdir *m = memdir_new();
	struct snapshot_file f;
	struct life l;
	uint64_t last;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	keep_put(&l.k, 1, 100, NULL);
	assert_int_equal(store_flush_at(l.k.s, l.k.now + 5, l.k.now, &last),
			 STORE_OK);
	l.k.now += 10;
	life_stop(&l);
	assert_true(snapshot_open(&f, l.k.dir, last));
	assert_true(f.clean);
	assert_int_equal(f.lsn_end, last);
	snapshot_close(&f);
	begin_after(&l, true, last);
	assert_int_equal(keep_count(&l.k), 0);
	life_kill(&l);
	memdir_free(m);
}

/* What a restored directory has as its floor is below all that is drawn. */
static void test_floor(void **state)
{
	struct memdir *m = memdir_new();
	struct snapshot_config c;
	struct life l;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	keep_put(&l.k, 1, 100, NULL);
	c = keep_config(&l.k);
	c.lsn = 5000;
	c.lsn_floor = 7000;
	c.clean = true;
	assert_int_equal(keep_take(&l.k, &c), 0);
	life_kill(&l);
	assert_int_equal(dir_remove(l.k.dir, "journal-0000000000000001"), 0);
	begin_after(&l, true, 7000);
	assert_int_equal(l.found.last_lsn, 5000);
	life_kill(&l);
	memdir_free(m);
}

/* ---- flushes ----------------------------------------------------------- */

static void test_flush(void **state)
{
	struct memdir *m = memdir_new();
	struct content want;
	struct life l;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	for (uint64_t n = 0; n < 300; n++) {
		keep_put(&l.k, n, 50, NULL);
		if (n == 100 || n == 200) {
			life_flush(&l);
		}
		if (n == 150) {
			life_snapshot(&l);
		}
	}
	life_sync(&l);
	want = content_of(&l.k);
	assert_int_equal(want.count, 99);
	life_kill(&l);
	begin_and_compare(&l, &want, false);
	/* And from a snapshot alone. */
	want = content_of(&l.k);
	life_stop(&l);
	begin_and_compare(&l, &want, true);
	life_kill(&l);
	memdir_free(m);
}

/* One that is to come is not forgotten, by neither of the files. */
static void test_flush_to_come(void **state)
{
	struct memdir *m = memdir_new();
	struct life l;
	uint64_t lsn;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	keep_put(&l.k, 1, 50, NULL);
	assert_int_equal(store_flush_at(l.k.s, NOW + 50, l.k.now, &lsn),
			 STORE_OK);
	life_sync(&l);
	life_kill(&l);
	life_begin(&l);
	assert_int_equal(store_flush_pending(l.k.s), NOW + 50);
	assert_int_equal(keep_count(&l.k), 1);
	life_stop(&l);
	life_begin(&l);
	assert_int_equal(store_flush_pending(l.k.s), NOW + 50);
	keep_put(&l.k, 2, 50, NULL);
	life_sync(&l);
	life_kill(&l);
	/* It was due while nobody was there: all that was stored is gone. */
	l.k.now = NOW + 60;
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 0);
	keep_put(&l.k, 3, 50, NULL);
	life_sync(&l);
	life_kill(&l);
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 1);
	life_kill(&l);
	memdir_free(m);
}

/* ---- expiry ------------------------------------------------------------ */

/*
 * What has expired is dropped; but what had been touched in time lives, also
 * when item and touch are far apart, and touched in the journal only.
 */
static void test_expired(void **state)
{
	const struct put_how soon = { .exptime = NOW + 100 };
	struct memdir *m = memdir_new();
	struct life l;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	for (uint64_t n = 0; n < 30; n++) {
		keep_put(&l.k, n, n == 7 ? 100000 : 50, &soon);
	}
	life_snapshot(&l);
	for (uint64_t n = 30; n < 60; n++) {
		keep_put(&l.k, n, 50, &soon);
	}
	l.k.now = NOW + 99;
	for (uint64_t n = 0; n < 60; n += 3) {
		life_touch(&l, n, NOW + 1000);
	}
	life_sync(&l);
	life_kill(&l);
	l.k.now = NOW + 200;
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 20);
	assert_int_equal(l.found.items, 20);
	assert_int_equal(l.found.expired, 40);
	life_stop(&l);
	/* After a clean stop nothing can follow: it is not even loaded. */
	l.k.now = NOW + 1000;
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 0);
	assert_int_equal(l.found.expired, 20);
	life_kill(&l);
	memdir_free(m);
}

/* ---- while others write ------------------------------------------------ */

enum { WRITERS = 3, WRITES = 8000 };

struct writer {
	pthread_t thread;
	struct life l; /* its own context; the store is the same */
	struct rng rng;
	_Atomic unsigned *writing;
};

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < WRITES; i++) {
		while (log_is_full(w->l.log)) {
			sched_yield();
		}
		life_act(&w->l, &w->rng, KEYS);
		w->l.k.now = NOW;
	}
	atomic_fetch_sub(w->writing, 1);
	return NULL;
}

static void start_writer(struct writer *w, const struct life *l, uint64_t seed,
			 _Atomic unsigned *writing)
{
	w->l = *l;
	w->l.k.c = store_ctx_new(l->k.s);
	assert_non_null(w->l.k.c);
	rng_init(&w->rng, seed);
	w->writing = writing;
	assert_int_equal(pthread_create(&w->thread, NULL, writer_main, w), 0);
}

static void test_threads(void **state)
{
	struct memdir *m = memdir_new();
	struct writer writers[WRITERS];
	_Atomic unsigned writing = WRITERS;
	struct content want;
	int snapshots = 0;
	struct life l;

	(void)state;
	life_init(&l, m);
	life_begin(&l);
	for (unsigned i = 0; i < WRITERS; i++) {
		start_writer(&writers[i], &l, i, &writing);
	}
	do {
		struct snapshot_writer *w = life_snapshot_begin(&l);

		do {
			life_write(&l);
		} while (snapshot_step(w, l.k.now) > 0);
		snapshot_end(w);
		snapshots++;
	} while (atomic_load(&writing) > 0);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		store_ctx_free(writers[i].l.k.c);
	}
	assert_true(snapshots > 0);
	life_sync(&l);
	want = content_of(&l.k);
	life_kill(&l);
	begin_and_compare(&l, &want, false);
	life_kill(&l);
	memdir_free(m);
}

/* One thread or many, the result is the same. */
static void test_parallel(void **state)
{
	struct memdir *m = memdir_new();
	struct content want;
	struct rng rng;
	struct life l;

	(void)state;
	rng_init(&rng, 7);
	life_init(&l, m);
	life_begin(&l);
	for (int i = 0; i < 30000; i++) {
		life_act(&l, &rng, 10 * KEYS);
		if (i == 15000) {
			life_snapshot(&l);
		}
	}
	life_sync(&l);
	life_kill(&l);
	l.threads = 1;
	assert_true(life_recover(&l));
	want = content_of(&l.k);
	assert_true(want.count > 5000);
	life_leave(&l);
	for (l.threads = 2; l.threads <= 20; l.threads += 3) {
		assert_true(life_recover(&l));
		content_equals(&want, &l.k, true);
		life_leave(&l);
	}
	content_release(&want);
	memdir_free(m);
}

struct told {
	struct recover_progress last;
	uint64_t times;
};

static void note_progress(void *arg, const struct recover_progress *p)
{
	struct told *t = arg;

	assert_true(p->bytes_done >= t->last.bytes_done);
	assert_true(p->bytes_done <= p->bytes_total);
	t->last = *p;
	t->times++;
}

static bool give_up(void *arg)
{
	(void)arg;
	return true;
}

/* It is told of, and can be given up where it is told. */
static void test_progress(void **state)
{
	struct memdir *m = memdir_new();
	struct recover_config c = {
		.now = NOW,
		.evicts = true,
		.to_lsn = UINT64_MAX,
		.to_time = UINT32_MAX,
		.progress = note_progress,
	};
	struct told told = { .times = 0 };
	char problem[PROBLEM_SIZE];
	struct life l;

	(void)state;
	c.progress_arg = &told;
	life_init(&l, m);
	life_begin(&l);
	keep_fill_store(&l.k, 2000);
	life_snapshot(&l);
	for (uint64_t n = 0; n < 500; n++) {
		keep_put(&l.k, 3000 + n, 100, NULL);
	}
	life_sync(&l);
	life_kill(&l);
	assert_true(
		datadir_open(&l.d, l.k.dir, DATADIR_LOOK, 0, 0, NOW, problem));
	life_make_store(&l);
	c.store = l.k.s;
	c.log = l.log;
	c.give_up = give_up;
	assert_false(recover(&l.d, &c, &l.found));
	assert_non_null(strstr(l.found.problem, "told to stop"));
	c.give_up = NULL;
	told = (struct told){ .times = 0 };
	life_leave(&l);
	assert_true(
		datadir_open(&l.d, l.k.dir, DATADIR_LOOK, 0, 0, NOW, problem));
	life_make_store(&l);
	c.store = l.k.s;
	c.log = l.log;
	assert_true(recover(&l.d, &c, &l.found));
	assert_true(told.times >= 2);
	assert_int_equal(told.last.items, 2500);
	assert_int_equal(told.last.bytes_done, told.last.bytes_total);
	assert_int_equal(told.last.bytes_done, l.found.bytes);
	assert_true(l.found.journal_bytes > 50000 &&
		    l.found.journal_bytes < l.found.bytes);
	life_leave(&l);
	memdir_free(m);
}

/* ---- a point in time --------------------------------------------------- */

enum { POINTS = 12 };

/*
 * The store is as it was at each of many points; a snapshot that has changes
 * beyond one is not used for it.
 */
static void test_points(void **state)
{
	struct memdir *m = memdir_new();
	struct content content[POINTS];
	struct snapshot_writer *w = NULL;
	uint64_t snapshots = 0;
	uint64_t lsn[POINTS];
	uint32_t time[POINTS];
	struct rng rng;
	struct life l;

	(void)state;
	rng_init(&rng, 9);
	life_init(&l, m);
	life_begin(&l);
	for (int p = 0; p < POINTS; p++) {
		for (int i = 0; i < 2000; i++) {
			life_act(&l, &rng, KEYS);
			/* Over several points, begins and ends in between. */
			if (p % 4 == 1 && i == 1000) {
				w = life_snapshot_begin(&l);
			}
			if (w != NULL && i % 8 == 0 &&
			    snapshot_step(w, l.k.now) <= 0) {
				snapshot_end(w);
				w = NULL;
			}
		}
		lsn[p] = store_lsn(l.k.s);
		time[p] = l.k.now;
		content[p] = content_of(&l.k);
		l.k.now += 2;
	}
	assert_null(w);
	life_sync(&l);
	life_kill(&l);
	for (int p = 0; p < POINTS; p++) {
		l.k.now = time[p];
		l.to_lsn = p % 2 == 0 ? lsn[p] : UINT64_MAX;
		l.to_time = p % 2 == 0 ? UINT32_MAX : time[p];
		assert_true(life_recover(&l));
		content_equals(&content[p], &l.k, false);
		assert_int_equal(l.found.applied_lsn, lsn[p]);
		assert_true(l.found.next_lsn >= lsn[POINTS - 1]);
		assert_false(l.found.clean);
		snapshots += l.found.snapshot_lsn > 0 ? 1 : 0;
		assert_true(l.found.snapshot_lsn <= lsn[p]);
		life_leave(&l);
		content_release(&content[p]);
	}
	assert_in_range(snapshots, 1, POINTS - 2);
	memdir_free(m);
}

/* ---- memory ------------------------------------------------------------ */

/* With eviction what does not fit is told; what is there is right. */
static void test_less_memory(void **state)
{
	struct memdir *m = memdir_new();
	struct life l;
	uint64_t found = 0;

	(void)state;
	life_init(&l, m);
	l.file_bytes = 16 * MIB;
	life_begin(&l);
	for (uint64_t n = 0; n < 100000; n++) {
		assert_int_equal(keep_put(&l.k, n, 200, NULL), STORE_OK);
		if (n % 10000 == 0) {
			life_write(&l);
		}
	}
	life_sync(&l);
	life_stop(&l);
	l.memory = 16 * MIB;
	life_begin(&l);
	for (uint64_t n = 0; n < 100000; n++) {
		struct store_key key = keep_key(&l.k, n);
		struct store_entry e;
		char want[200];

		if (store_open(l.k.c, &key, l.k.now, &e)) {
			keep_fill(want, sizeof(want), n);
			assert_int_equal(e.item.value_len, sizeof(want));
			assert_memory_equal(e.item.value, want, sizeof(want));
			found++;
		}
		store_close(&e);
	}
	assert_in_range(found, 20000, 80000);
	assert_int_equal(l.found.items, found);
	assert_int_equal(l.found.not_kept, 100000 - found);
	life_kill(&l);
	/* Without eviction it is refused, and the need is named. */
	l.evicts = false;
	assert_false(life_recover(&l));
	assert_non_null(strstr(l.found.problem, "does not fit into 16 MiB"));
	life_leave(&l);
	l.memory = 32 * MIB;
	assert_true(life_recover(&l));
	assert_int_equal(keep_count(&l.k), 100000);
	assert_int_equal(l.found.not_kept, 0);
	life_leave(&l);
	memdir_free(m);
}

/*
 * What had filled the memory of a store that does not evict comes back, though
 * several threads pack it in another way, and takes hardly more.
 */
static void test_full_memory(void **state)
{
	enum { FAILURES = 300, OFTEN = 4 };
	struct memdir *m = memdir_new();
	struct rng rng;
	struct life l;
	struct budget *budget;
	uint64_t items;
	int failed = 0;

	(void)state;
	rng_init(&rng, 4);
	life_init(&l, m);
	l.memory = 8 * MIB;
	l.over = l.memory / 8;
	l.evicts = false;
	l.file_bytes = 64 * MIB;
	life_begin(&l);
	for (uint64_t n = 0; failed < FAILURES; n++) {
		uint64_t key = rng_below(&rng, 5) == 0 ?
				       rng_below(&rng, n + 1) :
				       n;
		uint32_t len = (uint32_t)rng_below(&rng, 3000);

		failed += keep_put(&l.k, key, len, NULL) != STORE_OK;
		life_write(&l);
	}
	items = keep_count(&l.k);
	life_sync(&l);
	life_kill(&l);
	for (int i = 0; i < OFTEN; i++) {
		l.threads = (unsigned)i + 1;
		if (!life_recover(&l)) {
			fail_msg("%s", l.found.problem);
		}
		budget = store_budget(l.k.s);
		assert_int_equal(budget_limit(budget), l.memory);
		assert_true(budget_used(budget) < l.memory + l.memory / 64);
		assert_int_equal(keep_count(&l.k), items);
		life_leave(&l);
	}
	memdir_free(m);
}

static struct store_stats stats_of(const struct life *l)
{
	struct store_stats stats;

	store_stats(l->k.s, &stats);
	return stats;
}

enum { MANY_KEYS = 10000, MANY_TIMES = 4 };

/* Each key in turn: what comes next looks like new items, and is not. */
static void write_many(struct life *l)
{
	for (uint64_t n = 0; n < MANY_TIMES * MANY_KEYS; n++) {
		assert_int_equal(keep_put(&l->k, n % MANY_KEYS, 8, NULL),
				 STORE_OK);
		if (n % 10000 == 0) {
			life_write(l);
		}
	}
	life_sync(l);
}

/* Tables are guessed at, and are as large as they have to be at the end. */
static void test_tables(void **state)
{
	struct content want;
	uint64_t bytes;
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	write_many(&l);
	want = content_of(&l.k);
	bytes = stats_of(&l).table_bytes;
	life_kill(&l);
	for (l.threads = 1; l.threads <= 3; l.threads++) {
		assert_true(life_recover(&l));
		content_equals(&want, &l.k, false);
		assert_in_range(stats_of(&l).table_bytes, bytes / 2,
				bytes / 100 * 110);
		life_leave(&l);
	}
	content_release(&want);
	memdir_free(l.k.m);
}

/*
 * Without eviction, nearly full: a guess that was too high takes nothing away
 * from the items.
 */
static void test_tables_no_room(void **state)
{
	struct content want;
	uint64_t keys;
	uint64_t n = 0;
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	l.memory = 4 * MIB;
	l.evicts = false;
	life_begin(&l);
	for (; n % 64 != 0 || stats_of(&l).memory_used < l.memory / 4; n++) {
		assert_int_equal(keep_put(&l.k, n, 1, NULL), STORE_OK);
	}
	keys = n;
	life_write(&l);
	for (; n % 64 != 0 || stats_of(&l).memory_used < l.memory / 100 * 96;
	     n++) {
		/* Each time that all are written they are longer. */
		uint32_t len = (uint32_t)(30 * (n / keys));

		assert_true(len < 1000);
		assert_int_equal(keep_put(&l.k, n % keys, len, NULL), STORE_OK);
		if (n % 5000 == 0) {
			life_write(&l);
		}
	}
	life_sync(&l);
	want = content_of(&l.k);
	life_kill(&l);
	for (l.threads = 1; l.threads <= 3; l.threads++) {
		if (!life_recover(&l)) {
			fail_msg("%s", l.found.problem);
		}
		content_equals(&want, &l.k, false);
		assert_true(stats_of(&l).memory_used <= l.memory);
		life_leave(&l);
	}
	content_release(&want);
	memdir_free(l.k.m);
}

/* ---- refusals ---------------------------------------------------------- */

static void refuses(struct life *l, const char *text)
{
	assert_false(life_recover(l));
	if (strstr(l->found.problem, text) == NULL) {
		fail_msg("'%s' says nothing of '%s'", l->found.problem, text);
	}
	life_leave(l);
}

/* The name of the n-th file of a kind, from the end if that is negative. */
static const char *nth(struct life *l, enum file_kind kind, int n)
{
	static char name[FILE_NAME_SIZE];
	char problem[PROBLEM_SIZE];
	struct datadir d;
	size_t count;

	assert_true(
		datadir_open(&d, l->k.dir, DATADIR_LOOK, 0, 0, NOW, problem));
	count = kind == FILE_JOURNAL ? d.journal_count : d.snapshot_count;
	n = n < 0 ? (int)count + n : n;
	assert_true(n >= 0 && n < (int)count);
	file_name(name, kind,
		  kind == FILE_JOURNAL ? d.journals[n] : d.snapshots[n]);
	datadir_close(&d);
	return name;
}

/* Two snapshots, with journals before, between and behind. */
static void two_snapshots(struct life *l)
{
	struct rng rng;

	rng_init(&rng, 3);
	life_init(l, memdir_new());
	life_begin(l);
	for (int i = 0; i < 9000; i++) {
		life_act(l, &rng, KEYS);
		if (i == 3000 || i == 6000) {
			life_snapshot(l);
		}
	}
	life_sync(l);
	life_kill(l);
}

static void remove_file(struct life *l, enum file_kind kind, int n)
{
	assert_int_equal(dir_remove(l->k.dir, nth(l, kind, n)), 0);
}

static void spoil(struct life *l, enum file_kind kind, int n, long at)
{
	size_t size;
	char *bytes = memdir_content(l->k.m, nth(l, kind, n), &size);

	bytes[at < 0 ? (long)size + at : at] ^= 0x40;
}

static void test_damaged_snapshot(void **state)
{
	struct life l;

	(void)state;
	two_snapshots(&l);
	assert_true(life_recover(&l));
	assert_true(l.found.snapshot_lsn > 0);
	life_leave(&l);
	/* There is an older one, with all journals behind it: even so. */
	spoil(&l, FILE_SNAPSHOT, -1, 100);
	refuses(&l, "damaged");
	spoil(&l, FILE_SNAPSHOT, -1, 100);
	spoil(&l, FILE_SNAPSHOT, -1, -5);
	refuses(&l, ": its end is missing or damaged");
	/* It is somebody's decision to take it away, and then it works. */
	remove_file(&l, FILE_SNAPSHOT, -1);
	assert_true(life_recover(&l));
	life_leave(&l);
	memdir_free(l.k.m);
}

static void test_missing_files(void **state)
{
	struct life l;

	(void)state;
	two_snapshots(&l);
	remove_file(&l, FILE_JOURNAL, 0);
	assert_true(life_recover(&l));
	life_leave(&l);
	/* The last one: what it had was durable, says the snapshot. */
	remove_file(&l, FILE_SNAPSHOT, -1);
	assert_true(life_recover(&l));
	life_leave(&l);
	remove_file(&l, FILE_SNAPSHOT, -1);
	refuses(&l, "what comes before it is missing: the changes 1 to ");
	memdir_free(l.k.m);
}

static void test_missing_in_the_middle(void **state)
{
	struct life l;

	(void)state;
	two_snapshots(&l);
	remove_file(&l, FILE_SNAPSHOT, -1);
	remove_file(&l, FILE_SNAPSHOT, -1);
	remove_file(&l, FILE_JOURNAL, 1);
	refuses(&l, "journal-0000000000000001: ");
	memdir_free(l.k.m);
}

/* A journal that counts behind a later snapshot only shows a hole even so. */
static void test_missing_before_floor(void **state)
{
	struct memdir_fault fault = {
		.ops = 1U << MEMDIR_SYNC,
		.times = 1,
		.error = -EIO,
	};
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	keep_put(&l.k, 1, 50, NULL);
	life_snapshot(&l);
	keep_put(&l.k, 2, 50, NULL);
	life_sync(&l);
	keep_put(&l.k, 3, 50, NULL);
	life_write(&l);
	memdir_fail(l.k.m, &fault);
	assert_int_equal(journal_sync(&l.journal), -EIO);
	memdir_heal(l.k.m);
	assert_int_equal(journal_restart(&l.journal, 3, l.k.now), 0);
	life_kill(&l);
	assert_true(life_recover(&l));
	assert_int_equal(l.found.last_lsn, 2);
	assert_int_equal(keep_count(&l.k), 2);
	life_leave(&l);
	remove_file(&l, FILE_JOURNAL, 0);
	assert_true(life_recover(&l));
	life_leave(&l);
	remove_file(&l, FILE_JOURNAL, 0);
	refuses(&l, "what comes before it is missing: the changes 2 to 2");
	memdir_free(l.k.m);
}

/* Changes were in the snapshot, so they were in the journal. */
static void test_lost_end(void **state)
{
	struct snapshot_writer *w;
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	keep_put(&l.k, 1, 50, NULL);
	w = life_snapshot_begin(&l);
	keep_put(&l.k, 2, 50, NULL);
	while (snapshot_step(w, l.k.now) > 0) {
	}
	snapshot_end(w);
	life_kill(&l);
	assert_true(life_recover(&l));
	assert_int_equal(keep_count(&l.k), 2);
	life_leave(&l);
	remove_file(&l, FILE_JOURNAL, -1);
	refuses(&l, "the journal ends at 1, but when the snapshot was taken "
		    "it had all up to 2");
	memdir_free(l.k.m);
}

static void test_no_journal(void **state)
{
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	keep_put(&l.k, 1, 50, NULL);
	life_snapshot(&l);
	life_kill(&l);
	remove_file(&l, FILE_JOURNAL, -1);
	remove_file(&l, FILE_JOURNAL, -1);
	refuses(&l, "no journal, and no snapshot of a clean stop");
	memdir_free(l.k.m);
}

/* A file of another directory, with the right name. */
static void test_foreign_files(void **state)
{
	const enum file_kind kinds[2] = { FILE_SNAPSHOT, FILE_JOURNAL };
	struct life l;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct file_header h;
		size_t size;
		char *bytes;

		two_snapshots(&l);
		bytes = memdir_content(l.k.m, nth(&l, kinds[i], -1), &size);
		assert_null(header_read(bytes, kinds[i], &h));
		h.identity++;
		header_write(bytes, &h);
		refuses(&l, "of another data directory");
		memdir_free(l.k.m);
	}
}

/* Whoever goes on from there would draw LSNs from the beginning again. */
static void test_no_lsns_left(void **state)
{
	struct file_header h;
	struct life l;
	size_t size;
	char *bytes;

	(void)state;
	two_snapshots(&l);
	bytes = memdir_content(l.k.m, nth(&l, FILE_JOURNAL, -1), &size);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	h.lsn_floor = UINT64_MAX - LSN_SKIP + 1;
	header_write(bytes, &h);
	refuses(&l, "there are no LSNs above 18446744073675997184");
	memdir_free(l.k.m);
}

/* A record of a later version. */
static void test_unknown_record(void **state)
{
	const struct record r = { .kind = RECORD_SLOT, .number = 5 };
	struct log_slot slot;
	struct life l;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	keep_put(&l.k, 1, 50, NULL);
	assert_true(log_reserve(l.log, &r, &slot));
	log_publish(l.log, &slot, &r);
	life_sync(&l);
	life_kill(&l);
	refuses(&l, "journal-0000000000000001: record 2 is of a kind that "
		    "this version does not know: 17");
	memdir_free(l.k.m);
}

/* A read that fails is an error, whichever it is. */
static void test_read_errors(void **state)
{
	struct life l;
	uint64_t n;

	(void)state;
	two_snapshots(&l);
	for (n = 0;; n++) {
		const struct memdir_fault fault = {
			.ops = 1U << MEMDIR_READ,
			.prefix = n % 2 == 0 ? "journal-" : "snapshot-",
			.skip = n / 2,
			.times = 1,
			.error = -EIO,
		};
		uint64_t hits = memdir_hits(l.k.m);

		memdir_fail(l.k.m, &fault);
		if (life_recover(&l)) {
			assert_int_equal(memdir_hits(l.k.m), hits);
			memdir_heal(l.k.m);
			life_leave(&l);
			break;
		}
		memdir_heal(l.k.m);
		assert_non_null(strstr(l.found.problem, "Input/output error"));
		life_leave(&l);
	}
	assert_true(n > 6);
	memdir_free(l.k.m);
}

/* An end that is torn is told, and what is before it is there. */
static void test_torn(void **state)
{
	struct life l;
	size_t size;

	(void)state;
	life_init(&l, memdir_new());
	life_begin(&l);
	for (uint64_t n = 0; n < 10; n++) {
		keep_put(&l.k, n, 50, NULL);
	}
	life_write(&l);
	life_kill(&l);
	assert_non_null(
		memdir_content(l.k.m, nth(&l, FILE_JOURNAL, -1), &size));
	memdir_resize(l.k.m, nth(&l, FILE_JOURNAL, -1), size - 10);
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 9);
	assert_int_equal(l.found.last_lsn, 9);
	assert_true(l.found.torn_bytes > 0);
	assert_non_null(strstr(l.found.torn, "journal-0000000000000001: "));
	keep_put(&l.k, 20, 50, NULL);
	life_sync(&l);
	life_kill(&l);
	/* What was cut off stays so. */
	life_begin(&l);
	assert_int_equal(keep_count(&l.k), 10);
	assert_int_equal(l.found.last_lsn, 9 + LSN_SKIP + 1);
	life_kill(&l);
	memdir_free(l.k.m);
}

/* ---- journals of many steps -------------------------------------------- */

enum {
	LONG_KEYS = 700,
	LONG_VALUE = 4000,
	LONG_SYNCED = 1100, /* records that a mark proves */
	LONG_RECORDS = 1600,
	LONG_LARGE = 900, /* this one is longer than a step */
	LONG_LARGE_VALUE = 2 * JOURNAL_STEP + 17,
};

/* One file; most keys come more than once, some are removed in between. */
static void write_long(struct life *l)
{
	life_init(l, memdir_new());
	l->file_bytes = 16 * MIB;
	life_begin(l);
	for (uint64_t n = 1; n <= LONG_RECORDS; n++) {
		struct store_key key = keep_key(&l->k, n % LONG_KEYS);
		struct change out;

		if (n % 10 == 0) {
			store_remove(l->k.c, &key, false, 0, l->k.now, &out);
		} else {
			keep_put(&l->k, n % LONG_KEYS,
				 n == LONG_LARGE ? LONG_LARGE_VALUE :
						   LONG_VALUE + (uint32_t)n,
				 NULL);
		}
		if (n == LONG_SYNCED) {
			life_sync(l);
		}
	}
	life_sync(l);
	assert_int_equal(store_lsn(l->k.s), LONG_RECORDS);
	assert_int_equal(l->journal.files_made, 1);
}

static void test_long(void **state)
{
	struct content want;
	struct life l;

	(void)state;
	write_long(&l);
	want = content_of(&l.k);
	life_kill(&l);
	for (l.threads = 1; l.threads <= 4; l.threads++) {
		assert_true(life_recover(&l));
		content_equals(&want, &l.k, false);
		assert_int_equal(l.found.records, LONG_RECORDS);
		assert_int_equal(l.found.applied_lsn, LONG_RECORDS);
		life_leave(&l);
	}
	content_release(&want);
	memdir_free(l.k.m);
}

/*
 * Where the record with this LSN begins in the only journal; its bytes are in
 * *bytes, *size of them.
 */
static size_t place_of(struct life *l, uint64_t lsn, char **bytes, size_t *size)
{
	struct record r;
	size_t before = 0;
	size_t at = 0;

	*bytes = memdir_content(l->k.m, nth(l, FILE_JOURNAL, -1), size);
	assert_non_null(*bytes);
	while (journal_next(*bytes, *size, &at, &r) && r.lsn < lsn) {
		before = at;
	}
	assert_int_equal(r.lsn, lsn);
	return before;
}

/*
 * A bad record far behind the first step: damage where a mark says so, else
 * the end; what is in front of that is there, and nothing behind.
 */
static void test_long_damaged(void **state)
{
	struct life l;
	char *bytes;
	size_t size;
	size_t at;

	(void)state;
	write_long(&l);
	life_kill(&l);
	for (l.threads = 1; l.threads <= 3; l.threads++) {
		at = place_of(&l, LONG_SYNCED - 10, &bytes, &size);
		bytes[at + 100] = (char)(bytes[at + 100] ^ 1);
		assert_false(life_recover(&l));
		assert_non_null(strstr(l.found.problem, "damaged at byte"));
		life_leave(&l);
		bytes[at + 100] = (char)(bytes[at + 100] ^ 1);
	}
	at = place_of(&l, LONG_RECORDS - 9, &bytes, &size);
	bytes[at + 20] = (char)(bytes[at + 20] ^ 64);
	for (l.threads = 1; l.threads <= 3; l.threads++) {
		struct store_key key;
		struct store_entry e;

		assert_true(life_recover(&l));
		assert_int_equal(l.found.records, LONG_RECORDS - 10);
		assert_int_equal(l.found.torn_bytes, size - at);
		key = keep_key(&l.k, (LONG_RECORDS - 11) % LONG_KEYS);
		assert_true(store_open(l.k.c, &key, l.k.now, &e));
		assert_int_equal(e.item.lsn, LONG_RECORDS - 11);
		store_close(&e);
		life_leave(&l);
	}
	memdir_free(l.k.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_journal_only),
		cmocka_unit_test(test_many_lives),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_old_journal_alone),
		cmocka_unit_test(test_flush_while_stopping),
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_flush_to_come),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_less_memory),
		cmocka_unit_test(test_full_memory),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_tables_no_room),
		cmocka_unit_test(test_damaged_snapshot),
		cmocka_unit_test(test_missing_files),
		cmocka_unit_test(test_missing_in_the_middle),
		cmocka_unit_test(test_missing_before_floor),
		cmocka_unit_test(test_lost_end),
		cmocka_unit_test(test_no_journal),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_no_lsns_left),
		cmocka_unit_test(test_unknown_record),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_long_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
