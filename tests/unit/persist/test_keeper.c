/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: what is committed is durable, each failure leads to its state
 * and out of it again, snapshots begin when they should, and a stop is clean.
 */
#include <errno.h>
#include <pthread.h>

#include "keeper_fixture.h"
#include "persist/format.h"
#include "persist/snapshot.h"

static uint64_t newest_snapshot(struct world *w)
{
	return world_stats(w).snapshot_lsn;
}

static bool has_file(struct memdir *m, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	int file;

	file_name(name, kind, lsn);
	file = dir_open(memdir_dir(m), name, FILE_READ);
	if (file >= 0) {
		dir_close(memdir_dir(m), file);
	}
	return file >= 0;
}

static struct datadir listed(struct memdir *m)
{
	struct datadir d = { .dir = memdir_dir(m) };

	assert_int_equal(datadir_scan(&d), 0);
	return d;
}

static void assert_files(struct memdir *m, size_t snapshots, size_t journals)
{
	struct datadir d = listed(m);

	assert_int_equal(d.snapshot_count, snapshots);
	assert_int_equal(d.journal_count, journals);
	datadir_close(&d);
}

/* Makes `n` changes, and waits for their commit; the LSN of the last. */
static uint64_t commit_changes(struct world *w, int n)
{
	uint64_t lsn = world_changes(w, n);

	wait_until(w, atomic_load(&w->committed) == lsn);
	return lsn;
}

/* Asks for a snapshot until one begins, and waits until there are `n`. */
static void take_snapshot(struct world *w, uint64_t n)
{
	wait_until(w, keeper_snapshot(w->k));
	wait_until(w, world_stats(w).snapshots == n);
}

static void no_space(struct world *w, const char *prefix, uint64_t times)
{
	struct memdir_fault f = {
		.ops = 1U << MEMDIR_WRITE,
		.prefix = prefix,
		.times = times,
		.error = -ENOSPC,
	};

	memdir_fail(w->m, &f);
}

/* After a stop: it was a clean one, all up to `lsn` is there; the end. */
static void close_reopened(struct world *w, uint64_t lsn)
{
	struct recovery r;

	world_reopen(w, &r);
	assert_true(r.clean);
	world_compare(w, w, lsn);
	world_close(w);
}

/* The states that were told, one letter each: Running, reaD-only, Distrust. */
static void assert_states(struct world *w, const char *expected)
{
	char told[STATES_MAX + 1] = "";

	wait_until(w, atomic_load(&w->state_count) >= strlen(expected));
	for (unsigned i = 0; i < atomic_load(&w->state_count); i++) {
		told[i] = "rod"[w->states[i]];
	}
	assert_string_equal(told, expected);
}

/* ---- syncing ------------------------------------------------------------ */

static void test_always(void **state)
{
	struct world w = { 0 };
	uint64_t lsn = 0;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	for (int i = 0; i < 30; i++) {
		lsn = world_changes(&w, 1 + i % 5);
		wait_until(&w, atomic_load(&w.committed) >= lsn);
	}
	assert_int_equal(atomic_load(&w.committed), lsn);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	assert_states(&w, "");
	world_close_checked(&w, 30);
}

/* What comes during a sync shares the next one. */
static void test_group_commit(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_SYNC, .prefix = "journal" };
	uint64_t first, last, syncs;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	syncs = world_stats(&w).syncs;
	world_hold(&w, &h);
	first = world_change(&w);
	wait_until(&w, atomic_load(&h.held));
	last = world_changes(&w, 200);
	assert_true(atomic_load(&w.committed) < first);
	world_let_go(&w, &h);
	wait_until(&w, atomic_load(&w.committed) == last);
	wait_until(&w, world_stats(&w).syncs == syncs + 2);
	world_close_checked(&w, 10);
}

/* The first sync is not before `began`, so the second is a second later. */
static void test_everysec(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_SYNC, .prefix = "journal" };
	uint64_t lsn;
	uint64_t began = clock_ms();

	(void)state;
	world_open(&w, SYNC_EVERYSEC);
	lsn = world_changes(&w, 20);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	world_hold(&w, &h);
	lsn = world_changes(&w, 20);
	wait_until(&w, world_stats(&w).written_lsn == lsn);
	wait_until(&w, atomic_load(&h.held));
	assert_true(clock_ms() - began >= 1000);
	assert_true(world_stats(&w).synced_lsn < lsn);
	world_let_go(&w, &h);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	assert_int_equal(atomic_load(&w.committed), 0);
	world_point(&w, lsn);
	world_close_checked(&w, 20);
}

static void test_never(void **state)
{
	struct world w = { 0 };
	struct recovery r;
	uint64_t lsn, syncs;
	char why[PROBLEM_SIZE];

	(void)state;
	w.config.journal_file_bytes = 1 * MIB;
	world_open(&w, SYNC_NEVER);
	syncs = memdir_calls(w.m, MEMDIR_SYNC);
	lsn = world_changes(&w, 200);
	wait_until(&w, world_stats(&w).written_lsn == lsn);
	assert_int_equal(memdir_calls(w.m, MEMDIR_SYNC), syncs);
	assert_true(world_stats(&w).synced_lsn < lsn);
	world_check_crash(&w, memdir_copy(w.m), lsn); /* kill -9 */
	assert_true(world_stop(&w, why));
	assert_int_equal(world_stats(&w).synced_lsn, lsn);
	world_reopen(&w, &r);
	world_compare(&w, &w, lsn);
	world_close(&w);
}

/* Nobody writes, nobody rings: the thread sleeps. */
static void test_idle(void **state)
{
	struct world w = { 0 };
	uint64_t writes, syncs;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	commit_changes(&w, 5);
	writes = memdir_calls(w.m, MEMDIR_WRITE);
	syncs = memdir_calls(w.m, MEMDIR_SYNC);
	for (int i = 0; i < 100; i++) {
		keeper_ring(w.k);
	}
	commit_changes(&w, 1);
	assert_int_equal(memdir_calls(w.m, MEMDIR_SYNC), syncs + 1);
	assert_in_range(memdir_calls(w.m, MEMDIR_WRITE), writes + 1,
			writes + 2);
	world_close(&w);
}

/*
 * A record that is published last, by one who does not ring (a delayed flush
 * that fires), does not hold up for ever those who have rung before.
 */
static void test_published_late_without_a_ring(void **state)
{
	struct record form = { .kind = RECORD_FLUSH_AT, .time = NOW };
	struct world w = { 0 };
	struct log_slot slot;
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	for (unsigned i = 1; i <= 20; i++) {
		assert_true(log_reserve(w.log, &form, &slot));
		lsn = world_change(&w);
		/* A turn has looked, in vain. */
		keeper_ask_room(w.k);
		wait_until(&w, atomic_load(&w.drained) == i);
		assert_true(atomic_load(&w.committed) < slot.lsn);
		log_publish(w.log, &slot, &form);
		wait_until(&w, atomic_load(&w.committed) == lsn);
	}
	world_close(&w);
}

/* ---- a journal that cannot be written ----------------------------------- */

static void test_read_only(void **state)
{
	struct world w = { 0 };
	uint64_t before, lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	before = commit_changes(&w, 10);
	no_space(&w, "journal", MEMDIR_FOR_EVER);
	lsn = world_changes(&w, 10);
	wait_until(&w, keeper_state(w.k) == KEEPER_READ_ONLY);
	wait_until(&w, memdir_hits(w.m) >= 3);
	assert_int_equal(atomic_load(&w.committed), before);
	assert_states(&w, "o");
	assert_non_null(strstr(world_stats(&w).problem, "No space left"));
	assert_true(world_stats(&w).errors >= 3);
	memdir_heal(w.m);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	assert_states(&w, "or");
	assert_string_equal(world_stats(&w).problem, "");
	world_close_checked(&w, 20);
}

/* The next file cannot be made; the present one goes on until it can. */
static void test_no_new_file(void **state)
{
	struct world w = { 0 };
	struct memdir_fault no_file = {
		.ops = 1U << MEMDIR_CREATE,
		.prefix = "journal",
		.times = MEMDIR_FOR_EVER,
		.error = -ENOSPC,
	};
	uint64_t lsn = 0;

	(void)state;
	w.config.journal_file_bytes = 4096;
	world_open(&w, SYNC_ALWAYS);
	memdir_fail(w.m, &no_file);
	while (keeper_state(w.k) == KEEPER_RUNNING) {
		lsn = world_change(&w);
		wait_until(&w, atomic_load(&w.committed) == lsn ||
				       keeper_state(w.k) != KEEPER_RUNNING);
	}
	assert_states(&w, "o");
	memdir_heal(w.m);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	commit_changes(&w, 100);
	assert_states(&w, "or");
	world_close_checked(&w, 20);
}

/* A directory of a few KiB, full and then not: a file by file. */
static void test_full(void **state)
{
	struct world w = { 0 };
	uint64_t lsn = 0;

	(void)state;
	world_open(&w, SYNC_EVERYSEC);
	memdir_set_capacity(w.m, 16 * KIB);
	while (keeper_state(w.k) == KEEPER_RUNNING && w.op_count < 2000) {
		lsn = world_change(&w);
		wait_until(&w, world_stats(&w).written_lsn == lsn ||
				       keeper_state(w.k) != KEEPER_RUNNING);
	}
	assert_int_equal(keeper_state(w.k), KEEPER_READ_ONLY);
	memdir_set_capacity(w.m, UINT64_MAX);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	world_point(&w, lsn);
	world_close_checked(&w, 20);
}

/* ---- a sync that fails -------------------------------------------------- */

static void fail_syncs(struct world *w, const char *prefix, uint64_t skip,
		       uint64_t times)
{
	struct memdir_fault f = {
		.ops = 1U << MEMDIR_SYNC,
		.prefix = prefix,
		.skip = skip,
		.times = times,
		.error = -EIO,
	};

	memdir_fail(w->m, &f);
}

static void test_distrust(void **state)
{
	struct world w = { 0 };
	uint64_t before, lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	before = commit_changes(&w, 20);
	fail_syncs(&w, "journal", 0, 1);
	lsn = world_changes(&w, 5);
	wait_until(&w, atomic_load(&w.state_count) >= 1);
	assert_int_equal(w.states[0], KEEPER_DISTRUST);
	lsn = world_changes(&w, 5); /* some were on their way */
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	assert_states(&w, "dr");
	assert_true(newest_snapshot(&w) > before);
	assert_true(has_file(w.m, FILE_SNAPSHOT, newest_snapshot(&w)));
	commit_changes(&w, 20);
	world_close_checked(&w, 60);
}

/* Nothing is committed between the failure and the snapshot that stands. */
static void test_distrust_waits(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_RENAME, .prefix = "snapshot" };
	uint64_t before, lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	before = commit_changes(&w, 20);
	world_hold(&w, &h);
	fail_syncs(&w, "journal", 0, 1);
	lsn = world_changes(&w, 5);
	wait_until(&w, atomic_load(&h.held));
	assert_int_equal(keeper_state(w.k), KEEPER_DISTRUST);
	lsn = world_changes(&w, 5);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	assert_int_equal(atomic_load(&w.committed), before);
	world_let_go(&w, &h);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	world_close_checked(&w, 60);
}

/* All that mends it fails a few times too. */
static void test_distrust_again(void **state)
{
	struct world w = { 0 };
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	commit_changes(&w, 20);
	fail_syncs(&w, "journal", 0, 4);
	fail_syncs(&w, "snapshot", 0, 2);
	lsn = world_changes(&w, 5);
	wait_until(&w, atomic_load(&w.state_count) >= 1);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	assert_int_equal(memdir_hits(w.m), 6);
	assert_states(&w, "dr");
	assert_int_equal(world_stats(&w).snapshot_errors, 2);
	world_close_checked(&w, 60);
}

/* An ordinary snapshot that waits for the journal is given up (K4). */
static void test_distrust_during_snapshot(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_CREATE, .prefix = "snapshot" };
	uint64_t before, lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	before = commit_changes(&w, 200);
	world_hold(&w, &h);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, atomic_load(&h.held));
	fail_syncs(&w, "journal", 0, 1);
	lsn = world_changes(&w, 5);
	wait_until(&w, keeper_state(w.k) == KEEPER_DISTRUST);
	world_let_go(&w, &h);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	assert_int_equal(world_stats(&w).snapshots, 1);
	assert_true(newest_snapshot(&w) > before);
	world_close_checked(&w, 60);
}

/* ---- snapshots ---------------------------------------------------------- */

static void test_snapshot_by_command(void **state)
{
	struct world w = { 0 };
	uint64_t lsn;
	struct datadir d;

	(void)state;
	w.config.journal_file_bytes = 4096;
	world_open(&w, SYNC_ALWAYS);
	lsn = commit_changes(&w, 200);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).snapshots == 1);
	assert_int_equal(newest_snapshot(&w), lsn);
	assert_int_equal(world_stats(&w).journal_bytes, 0);
	assert_int_equal(world_stats(&w).snapshot_time, NOW);
	assert_true(world_stats(&w).snapshot_bytes > 0);
	d = listed(w.m);
	assert_int_equal(d.snapshot_count, 1);
	assert_int_equal(d.journal_count, 1);
	assert_int_equal(d.journals[0], lsn + 1);
	datadir_close(&d);
	world_point(&w, lsn);
	/* And again, with nothing written since. */
	take_snapshot(&w, 2);
	assert_int_equal(newest_snapshot(&w), lsn);
	lsn = commit_changes(&w, 20);
	take_snapshot(&w, 3);
	assert_int_equal(newest_snapshot(&w), lsn);
	d = listed(w.m);
	assert_int_equal(d.snapshot_count, 1);
	datadir_close(&d);
	world_close_checked(&w, 40);
}

/* While one is taken, a second is refused. */
static void test_one_snapshot_at_a_time(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_CREATE, .prefix = "snapshot" };

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	world_changes(&w, 20);
	world_hold(&w, &h);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, atomic_load(&h.held));
	assert_true(world_stats(&w).snapshot_running);
	assert_false(keeper_snapshot(w.k));
	world_let_go(&w, &h);
	wait_until(&w, world_stats(&w).snapshots == 1);
	wait_until(&w, !world_stats(&w).snapshot_running);
	world_close(&w);
}

static void test_snapshot_by_size(void **state)
{
	struct world w = { 0 };
	uint64_t lsn, taken = 0;

	(void)state;
	w.config.snapshot_bytes = 32 * KIB;
	world_open(&w, SYNC_ALWAYS);
	while (taken < 6) {
		lsn = world_changes(&w, 32 * KIB / 200);
		wait_until(&w, world_stats(&w).written_lsn == lsn);
		assert_in_range(world_stats(&w).journal_bytes, 16 * KIB,
				32 * KIB - 1);
		assert_int_equal(world_stats(&w).snapshots, taken);
		assert_false(world_stats(&w).snapshot_running);
		world_changes(&w, 32 * KIB / 150);
		taken++;
		wait_until(&w, world_stats(&w).snapshots == taken);
		/* By command, so that the next counts from here. */
		wait_until(&w, keeper_snapshot(w.k));
		taken++;
		wait_until(&w, world_stats(&w).snapshots == taken);
	}
	world_close_checked(&w, 100);
}

static void test_snapshot_by_time(void **state)
{
	struct world w = { 0 };
	uint64_t lsn;

	(void)state;
	w.config.snapshot_every_s = 1;
	world_open(&w, SYNC_EVERYSEC);
	lsn = world_changes(&w, 20);
	wait_until(&w, newest_snapshot(&w) == lsn);
	lsn = world_changes(&w, 20);
	wait_until(&w, newest_snapshot(&w) == lsn);
	assert_true(world_stats(&w).snapshots >= 2);
	world_close(&w);
}

/* What recovery has read counts: it would be read again. */
static void test_snapshot_after_a_start(void **state)
{
	struct world w = { 0 };
	struct recovery r;
	struct memdir *m;
	size_t at;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	commit_changes(&w, 300);
	at = memdir_position(w.m);
	assert_true(world_stop(&w, (char[PROBLEM_SIZE]){ 0 }));
	m = memdir_crash(w.m, MEMDIR_POWER, at, 1);
	w.config.snapshot_bytes = 16 * KIB;
	world_reopen_as(&w, m, &r);
	assert_true(r.journal_bytes > 16 * KIB);
	world_start(&w);
	world_change(&w);
	wait_until(&w, world_stats(&w).snapshots == 1);
	world_close(&w);
}

/* A snapshot that fails is told, removed, and taken later. */
static void test_snapshot_fails(void **state)
{
	struct world w = { 0 };
	struct datadir d;
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	lsn = world_changes(&w, 20);
	no_space(&w, "snapshot", 1);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).snapshot_errors == 1);
	assert_non_null(strstr(world_stats(&w).problem, "No space left"));
	assert_int_equal(keeper_state(w.k), KEEPER_RUNNING);
	d = listed(w.m);
	assert_int_equal(d.snapshot_count, 0);
	datadir_close(&d);
	take_snapshot(&w, 1); /* by command: at once */
	assert_string_equal(world_stats(&w).problem, "");
	assert_int_equal(newest_snapshot(&w), lsn);
	world_close(&w);
}

/* By itself, it tries again later. */
static void test_snapshot_fails_by_size(void **state)
{
	struct world w = { 0 };
	uint64_t lsn, began;

	(void)state;
	w.config.snapshot_bytes = 8 * KIB;
	world_open(&w, SYNC_ALWAYS);
	no_space(&w, "snapshot", 1);
	began = clock_ms(); /* it fails after that */
	lsn = world_changes(&w, 100);
	wait_until(&w, world_stats(&w).snapshot_errors == 1);
	wait_until(&w, world_stats(&w).snapshots == 1);
	assert_true(clock_ms() - began >= 60 * RETRY);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	world_close(&w);
}

/* The snapshot has its name when the journal has all that is in it. */
static void test_snapshot_waits_for_journal(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_RENAME, .prefix = "snapshot" };
	struct hold before = { .op = MEMDIR_CREATE, .prefix = "snapshot" };
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_NEVER);
	world_changes(&w, 20);
	world_hold(&w, &before);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, atomic_load(&before.held));
	lsn = world_changes(&w, 20); /* the scan will see these */
	world_hold(&w, &h);
	world_let_go(&w, &before);
	wait_until(&w, atomic_load(&h.held));
	assert_true(world_stats(&w).synced_lsn >= lsn);
	world_let_go(&w, &h);
	wait_until(&w, world_stats(&w).snapshots == 1);
	assert_true(newest_snapshot(&w) < lsn);
	world_point(&w, lsn);
	world_close_checked(&w, 20);
}

/*
 * A snapshot that lacks only the journal's last records gives its space back
 * when these cannot be written: it may be what they lack.
 */
static void test_snapshot_does_not_block_full_disk(void **state)
{
	struct world w = { 0 };
	struct hold before = { .op = MEMDIR_CREATE, .prefix = "snapshot" };

	(void)state;
	world_open(&w, SYNC_NEVER);
	world_changes(&w, 20);
	world_hold(&w, &before);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, atomic_load(&before.held));
	no_space(&w, "journal", MEMDIR_FOR_EVER);
	world_changes(&w, 20); /* the scan will see these */
	keeper_ring(w.k);
	wait_until(&w, keeper_state(w.k) == KEEPER_READ_ONLY);
	world_let_go(&w, &before);
	wait_until(&w, world_stats(&w).snapshot_errors == 1);
	assert_true(newest_snapshot(&w) == 0);
	memdir_heal(w.m);
	wait_until(&w, keeper_state(w.k) == KEEPER_RUNNING);
	world_close(&w);
}

/* The same for the one that is to end the distrust after a failed sync. */
static void test_distrust_does_not_block_full_disk(void **state)
{
	struct world w = { 0 };
	struct hold before = { .op = MEMDIR_CREATE, .prefix = "snapshot" };
	struct memdir_fault full = {
		.ops = 1U << MEMDIR_WRITE,
		.prefix = "journal",
		.times = MEMDIR_FOR_EVER,
		.error = -ENOSPC,
	};
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	world_hold(&w, &before);
	fail_syncs(&w, "journal", 0, 1);
	world_changes(&w, 20);
	wait_until(&w, atomic_load(&before.held));
	memdir_fail(w.m, &full);
	lsn = world_changes(&w, 20); /* the scan will see these */
	world_let_go(&w, &before);
	wait_until(&w, world_stats(&w).snapshot_errors >= 1);
	assert_int_equal(keeper_state(w.k), KEEPER_DISTRUST);
	memdir_heal(w.m);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	assert_states(&w, "dr");
	world_close_checked(&w, 20);
}

static void test_memory_comes_back(void **state)
{
	struct world w = { 0 };
	uint64_t used;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	world_changes(&w, 500);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).snapshots == 1);
	used = budget_used(store_budget(w.store));
	for (uint64_t i = 2; i < 6; i++) {
		take_snapshot(&w, i);
	}
	wait_until(&w, !world_stats(&w).snapshot_running);
	assert_int_equal(budget_used(store_budget(w.store)), used);
	world_close(&w);
}

/* ---- the archive -------------------------------------------------------- */

static void test_archive(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct datadir d;

	(void)state;
	w.config.journal_file_bytes = 4096;
	world_open(&w, SYNC_ALWAYS);
	for (uint64_t i = 1; i <= 3; i++) {
		commit_changes(&w, 100);
		take_snapshot(&w, i);
	}
	wait_until(&w, !world_stats(&w).snapshot_running);
	wait_until(&w, world_stats(&w).archived >= 6);
	d = listed(w.archive);
	assert_int_equal(d.snapshot_count, 2);
	assert_int_equal(d.journals[0], 1);
	assert_int_equal(d.journal_count + 2, world_stats(&w).archived);
	datadir_close(&d);
	assert_files(w.m, 1, 1);
	assert_int_equal(world_stats(&w).archive_errors, 0);
	world_close(&w);
}

/* Full, and back: files stay and go later; serving goes on. */
static void test_archive_full(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct datadir d;

	(void)state;
	w.config.journal_file_bytes = 4096;
	world_open(&w, SYNC_ALWAYS);
	memdir_set_capacity(w.archive, 10000);
	commit_changes(&w, 300);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).archive_errors >= 1);
	assert_int_equal(world_stats(&w).snapshots, 1);
	assert_non_null(strstr(world_stats(&w).problem, "No space left"));
	assert_int_equal(keeper_state(w.k), KEEPER_RUNNING);
	d = listed(w.m);
	assert_true(d.journal_count > 3);
	datadir_close(&d);
	commit_changes(&w, 10);
	memdir_set_capacity(w.archive, UINT64_MAX);
	wait_until(&w, world_stats(&w).problem[0] == '\0');
	d = listed(w.m);
	assert_int_equal(d.journal_count, 1);
	datadir_close(&d);
	assert_int_equal(world_stats(&w).snapshots, 1);
	world_close_checked(&w, 40);
}

static void put_file(struct memdir *m, const char *name, const char *bytes,
		     size_t n)
{
	int file = dir_open(memdir_dir(m), name, FILE_CREATE);

	assert_true(file >= 0);
	assert_int_equal(dir_write_all(memdir_dir(m), file, bytes, n, 0), 0);
	dir_close(memdir_dir(m), file);
}

/* A file of another directory in the archive is never overwritten. */
static void test_archive_of_another(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct file_header h = { .kind = FILE_JOURNAL,
				 .identity = 78,
				 .lsn = 1 };
	char head[HEADER_SIZE], name[FILE_NAME_SIZE];

	(void)state;
	header_write(head, &h);
	file_name(name, FILE_JOURNAL, 1);
	put_file(w.archive, name, head, sizeof(head));
	world_open(&w, SYNC_ALWAYS);
	world_changes(&w, 100);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).archive_errors >= 1);
	assert_non_null(strstr(world_stats(&w).problem, name));
	assert_non_null(strstr(world_stats(&w).problem, "another"));
	assert_int_equal(world_stats(&w).archived, 0);
	assert_true(has_file(w.m, FILE_JOURNAL, 1));
	world_close(&w);
}

/* The move had been broken off behind the copy: it is completed. */
static void test_archive_completes(void **state)
{
	struct world w = { .archive = memdir_new() };
	char name[FILE_NAME_SIZE];
	const char *data;
	char *copy;
	size_t size = 0;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	commit_changes(&w, 100);
	file_name(name, FILE_JOURNAL, 1);
	data = memdir_content(w.m, name, &size);
	copy = malloc(size);
	assert_non_null(copy);
	memcpy(copy, data, size);
	put_file(w.archive, name, copy, size);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, world_stats(&w).archived == 1);
	assert_int_equal(world_stats(&w).archive_errors, 0);
	assert_false(has_file(w.m, FILE_JOURNAL, 1));
	free(copy);
	world_close(&w);
}

/*
 * One that does not answer does not hold up a stop for ever, and nothing is
 * lost by that: the last snapshot stands, if it could be taken.
 */
static void test_archive_hangs(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct world at_archive = { 0 };
	struct hold h = { .op = MEMDIR_CREATE, .prefix = "journal-" };
	struct recovery r;
	char why[PROBLEM_SIZE];
	uint64_t lsn;

	(void)state;
	memdir_set_watch(w.archive, world_watch, &at_archive);
	world_hold(&at_archive, &h);
	w.config.archive_wait_ms = 50;
	world_open(&w, SYNC_NEVER);
	lsn = world_changes(&w, 500);
	assert_true(world_stop(&w, why));
	assert_true(keeper_is_stuck(w.k));
	world_let_go(&at_archive, &h);
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, lsn);
	world_compare(&w, &w, lsn);
	/* When it hangs before the stop there is no last snapshot. */
	world_start(&w);
	world_hold(&at_archive, &h);
	lsn = world_changes(&w, 500);
	assert_true(keeper_snapshot(w.k));
	wait_until(&at_archive, atomic_load(&h.held));
	lsn = world_changes(&w, 10);
	assert_false(world_stop(&w, why));
	assert_non_null(strstr(why, "the archive does not answer"));
	assert_true(keeper_is_stuck(w.k));
	world_let_go(&at_archive, &h);
	world_reopen(&w, &r);
	assert_false(r.clean);
	assert_int_equal(r.last_lsn, lsn);
	world_compare(&w, &w, lsn);
	world_start(&w);
	assert_true(world_stop(&w, why));
	assert_false(keeper_is_stuck(w.k));
	world_release(&w);
}

static void *stopper_main(void *arg)
{
	char why[PROBLEM_SIZE];

	return world_stop(arg, why) ? arg : NULL;
}

/* A stop that waits for it may be cut short: all is on disk by then. */
static void test_hanging_archive_holds_up_no_sync(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct world at_archive = { 0 };
	struct hold h = { .op = MEMDIR_CREATE, .prefix = "journal-" };
	pthread_t stopper;
	void *clean;
	uint64_t lsn;

	(void)state;
	memdir_set_watch(w.archive, world_watch, &at_archive);
	world_hold(&at_archive, &h);
	w.config.archive_wait_ms = 2 * DEADLINE_MS;
	world_open(&w, SYNC_NEVER);
	world_changes(&w, 500);
	assert_true(keeper_snapshot(w.k));
	wait_until(&at_archive, atomic_load(&h.held));
	lsn = world_changes(&w, 10);
	assert_true(world_stats(&w).synced_lsn < lsn);
	assert_int_equal(pthread_create(&stopper, NULL, stopper_main, &w), 0);
	wait_until(&w, world_stats(&w).synced_lsn == lsn);
	assert_true(atomic_load(&h.held));
	world_let_go(&at_archive, &h);
	pthread_join(stopper, &clean);
	assert_non_null(clean);
	world_release(&w);
}

/* ---- stopping ----------------------------------------------------------- */

static void test_clean_stop(void **state)
{
	struct world w = { 0 };
	struct recovery r;
	char why[PROBLEM_SIZE];
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_NEVER);
	lsn = world_changes(&w, 500);
	assert_true(world_stop(&w, why));
	assert_int_equal(keeper_state(w.k), KEEPER_STOPPED);
	assert_files(w.m, 1, 0);
	world_check_crash(
		&w, memdir_crash(w.m, MEMDIR_POWER, memdir_position(w.m), 3),
		lsn);
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, lsn);
	world_compare(&w, &w, lsn);
	/* Nothing is written: the snapshot stays, and the stop is clean. */
	world_start(&w);
	assert_true(world_stop(&w, why));
	assert_int_equal(world_stats(&w).snapshots, 0);
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, lsn);
	world_start(&w);
	lsn = world_changes(&w, 10);
	assert_true(world_stop(&w, why));
	assert_int_equal(world_stats(&w).snapshots, 1);
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, lsn);
	world_compare(&w, &w, lsn);
	world_close(&w);
}

/* Nothing was ever written. */
static void test_clean_stop_of_nothing(void **state)
{
	struct world w = { 0 };
	struct recovery r;
	char why[PROBLEM_SIZE];

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	assert_true(world_stop(&w, why));
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, 0);
	world_start(&w);
	world_changes(&w, 10);
	world_close(&w);
}

/* A crash at any moment of a stop is a stop that may be unclean, no more. */
static void test_crash_while_stopping(void **state)
{
	struct world w = { .archive = NULL };
	char why[PROBLEM_SIZE];
	size_t from, to;
	uint64_t lsn;

	(void)state;
	w.config.journal_file_bytes = 4096;
	world_open(&w, SYNC_ALWAYS);
	lsn = commit_changes(&w, 100);
	from = memdir_position(w.m);
	assert_true(world_stop(&w, why));
	to = memdir_position(w.m);
	assert_true(to > from);
	for (size_t at = from; at <= to; at++) {
		for (uint64_t seed = 0; seed < 4; seed++) {
			world_check_crash(
				&w, memdir_crash(w.m, MEMDIR_POWER, at, seed),
				lsn);
		}
	}
	world_release(&w);
}

/* No snapshot at the stop: the journal has it all, and that is told. */
static void test_stop_without_snapshot(void **state)
{
	struct world w = { 0 };
	struct recovery r;
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_NEVER);
	lsn = world_changes(&w, 100);
	no_space(&w, "snapshot", MEMDIR_FOR_EVER);
	assert_false(world_stop(&w, why));
	assert_non_null(strstr(why, "No space left"));
	memdir_heal(w.m);
	world_check_crash(
		&w, memdir_crash(w.m, MEMDIR_POWER, memdir_position(w.m), 3),
		lsn);
	world_reopen(&w, &r);
	assert_false(r.clean);
	assert_true(r.next_lsn > lsn);
	world_compare(&w, &w, lsn);
	world_close(&w);
}

/* The journal cannot be written, but the snapshot can: all is there. */
static void test_stop_read_only(void **state)
{
	struct world w = { 0 };
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	world_changes(&w, 100);
	no_space(&w, "journal", MEMDIR_FOR_EVER);
	lsn = world_changes(&w, 20);
	wait_until(&w, keeper_state(w.k) == KEEPER_READ_ONLY);
	assert_true(world_stop(&w, why));
	memdir_heal(w.m);
	close_reopened(&w, lsn);
}

/*
 * What is in the file is durable when the server has ended, although its last
 * records do not find room there, nor a snapshot.
 */
static void test_stop_full_syncs_what_is_written(void **state)
{
	struct world w = { 0 };
	struct memdir_fault full = {
		.ops = 1U << MEMDIR_WRITE | 1U << MEMDIR_CREATE,
		.times = MEMDIR_FOR_EVER,
		.error = -ENOSPC,
	};
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_NEVER);
	lsn = world_changes(&w, 100);
	wait_until(&w, world_stats(&w).written_lsn == lsn);
	memdir_fail(w.m, &full);
	world_changes(&w, 20);
	wait_until(&w, keeper_state(w.k) == KEEPER_READ_ONLY);
	assert_false(world_stop(&w, why));
	assert_string_not_equal(why, "");
	assert_int_equal(world_stats(&w).synced_lsn, lsn);
	world_release(&w);
}

/* Nothing can be written at all: that is told too, and nothing is lost that
 * was committed. */
static void test_stop_when_all_fails(void **state)
{
	struct world w = { 0 };
	struct memdir_fault broken = {
		.ops = 1U << MEMDIR_WRITE | 1U << MEMDIR_SYNC |
		       1U << MEMDIR_CREATE,
		.times = MEMDIR_FOR_EVER,
		.error = -EIO,
	};
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	lsn = commit_changes(&w, 100);
	memdir_fail(w.m, &broken);
	world_changes(&w, 20);
	wait_until(&w, keeper_state(w.k) != KEEPER_RUNNING);
	assert_false(world_stop(&w, why));
	assert_string_not_equal(why, "");
	assert_int_equal(atomic_load(&w.committed), lsn);
	world_check_points(&w, 20);
	world_release(&w);
}

/* In the midst of a failed sync, and while a snapshot runs. */
static void test_stop_in_distrust(void **state)
{
	struct world w = { 0 };
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	world_changes(&w, 100);
	fail_syncs(&w, "journal", 0, MEMDIR_FOR_EVER);
	lsn = world_changes(&w, 20);
	wait_until(&w, keeper_state(w.k) == KEEPER_DISTRUST);
	assert_true(world_stop(&w, why));
	memdir_heal(w.m);
	close_reopened(&w, lsn);
}

static void test_stop_during_snapshot(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_CREATE, .prefix = "snapshot" };
	char why[PROBLEM_SIZE] = "";
	uint64_t lsn;

	(void)state;
	world_open(&w, SYNC_ALWAYS);
	lsn = world_changes(&w, 300);
	world_hold(&w, &h);
	assert_true(keeper_snapshot(w.k));
	wait_until(&w, atomic_load(&h.held));
	world_let_go(&w, &h);
	assert_true(world_stop(&w, why));
	close_reopened(&w, lsn);
}

/* ---- room in the log ---------------------------------------------------- */

static void test_room(void **state)
{
	struct world w = { 0 };
	struct hold h = { .op = MEMDIR_WRITE, .prefix = "journal" };
	uint64_t lsn = 0;
	uint32_t version = 0;

	(void)state;
	world_open(&w, SYNC_EVERYSEC);
	world_hold(&w, &h);
	world_set_by(&w, w.ctx, 1, ++version);
	wait_until(&w, atomic_load(&h.held));
	while (!log_is_full(w.log)) {
		lsn = world_set_by(&w, w.ctx, 1, ++version);
	}
	keeper_ask_room(w.k);
	assert_int_equal(atomic_load(&w.drained), 0);
	world_let_go(&w, &h);
	wait_until(&w, atomic_load(&w.drained) == 1);
	assert_false(log_is_full(w.log));
	/* Who asks when there is room by now is not forgotten. */
	wait_until(&w, world_stats(&w).written_lsn == lsn);
	keeper_ask_room(w.k);
	wait_until(&w, atomic_load(&w.drained) == 2);
	world_close(&w);
}

/* ---- threads ------------------------------------------------------------ */

enum { WRITERS = 4, WRITER_KEYS = 200, WRITER_SETS = 4000 };

struct writer {
	struct world *w;
	struct store_ctx *ctx;
	pthread_t thread;
	uint32_t first_key;
	uint32_t version[WRITER_KEYS];
	uint64_t last_lsn;
};

static void *write_some(void *arg)
{
	struct writer *t = arg;

	for (uint32_t i = 1; i <= WRITER_SETS; i++) {
		uint32_t key = i * 2654435761U % WRITER_KEYS;

		while (log_is_full(t->w->log)) {
			keeper_ask_room(t->w->k);
			bell_wait(&t->w->bell, bell_count(&t->w->bell), 1);
		}
		t->version[key] = i;
		t->last_lsn = world_set_by(t->w, t->ctx, t->first_key + key, i);
	}
	return NULL;
}

static void check_writer(struct world *w, const struct writer *t)
{
	char text[16], value[VALUE_SIZE];

	for (uint32_t key = 0; key < WRITER_KEYS; key++) {
		struct store_key sk = world_key(w, text, t->first_key + key);
		struct store_entry e;

		if (t->version[key] == 0) {
			continue;
		}
		assert_true(store_open(w->ctx, &sk, NOW, &e));
		world_value(value, t->first_key + key, t->version[key]);
		assert_memory_equal(e.item.value, value, VALUE_SIZE);
		store_close(&e);
	}
}

static void run_writers(struct world *w, struct writer *t)
{
	for (uint32_t i = 0; i < WRITERS; i++) {
		t[i].w = w;
		t[i].ctx = store_ctx_new(w->store);
		assert_non_null(t[i].ctx);
		t[i].first_key = 1000 * (i + 1);
		assert_int_equal(pthread_create(&t[i].thread, NULL, write_some,
						&t[i]),
				 0);
	}
	for (uint32_t i = 0; i < WRITERS; i++) {
		pthread_join(t[i].thread, NULL);
		store_ctx_free(t[i].ctx);
	}
}

/*
 * Four write while snapshots are taken; after a clean stop, and after a loss of
 * power in front of it, all is there.
 */
static void test_writers(void **state)
{
	struct world w = { .archive = memdir_new() };
	struct writer *t = calloc(WRITERS, sizeof(*t));
	struct recovery r;
	struct memdir *killed;
	uint64_t lsn;
	size_t at;

	(void)state;
	assert_non_null(t);
	w.config.snapshot_bytes = 256 * KIB;
	world_open(&w, SYNC_ALWAYS);
	run_writers(&w, t);
	lsn = log_lsn(w.log);
	wait_until(&w, atomic_load(&w.committed) == lsn);
	wait_until(&w, world_stats(&w).snapshots >= 1);
	at = memdir_position(w.m);
	assert_true(world_stop(&w, (char[PROBLEM_SIZE]){ 0 }));
	killed = memdir_crash(w.m, MEMDIR_POWER, at, 9);
	world_reopen(&w, &r);
	assert_true(r.clean);
	assert_int_equal(r.next_lsn, lsn);
	for (int i = 0; i < WRITERS; i++) {
		check_writer(&w, &t[i]);
	}
	world_reopen_as(&w, killed, &r);
	assert_false(r.clean);
	for (int i = 0; i < WRITERS; i++) {
		check_writer(&w, &t[i]);
	}
	free(t);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_always),
		cmocka_unit_test(test_group_commit),
		cmocka_unit_test(test_everysec),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_published_late_without_a_ring),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_no_new_file),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_distrust),
		cmocka_unit_test(test_distrust_waits),
		cmocka_unit_test(test_distrust_again),
		cmocka_unit_test(test_distrust_during_snapshot),
		cmocka_unit_test(test_snapshot_by_command),
		cmocka_unit_test(test_one_snapshot_at_a_time),
		cmocka_unit_test(test_snapshot_by_size),
		cmocka_unit_test(test_snapshot_by_time),
		cmocka_unit_test(test_snapshot_after_a_start),
		cmocka_unit_test(test_snapshot_fails),
		cmocka_unit_test(test_snapshot_fails_by_size),
		cmocka_unit_test(test_snapshot_waits_for_journal),
		cmocka_unit_test(test_snapshot_does_not_block_full_disk),
		cmocka_unit_test(test_distrust_does_not_block_full_disk),
		cmocka_unit_test(test_memory_comes_back),
		cmocka_unit_test(test_archive),
		cmocka_unit_test(test_archive_full),
		cmocka_unit_test(test_archive_hangs),
		cmocka_unit_test(test_hanging_archive_holds_up_no_sync),
		cmocka_unit_test(test_archive_of_another),
		cmocka_unit_test(test_archive_completes),
		cmocka_unit_test(test_clean_stop),
		cmocka_unit_test(test_clean_stop_of_nothing),
		cmocka_unit_test(test_crash_while_stopping),
		cmocka_unit_test(test_stop_without_snapshot),
		cmocka_unit_test(test_stop_read_only),
		cmocka_unit_test(test_stop_full_syncs_what_is_written),
		cmocka_unit_test(test_stop_when_all_fails),
		cmocka_unit_test(test_stop_in_distrust),
		cmocka_unit_test(test_stop_during_snapshot),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
