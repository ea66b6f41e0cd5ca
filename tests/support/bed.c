/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The test bed: what the node and its keeper do with files, step by step.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "bed.h"
#include "persist/archive.h"
#include "store/store.h"

enum {
	MEMORY = 8 * MIB,
	PIECE_BYTES = 64 * KIB,
	PARTS_MAX = 8,
	IDENTITY = 0x1d,
	HASH_SEED = 0x5eed,
};

static bool make_store(struct bed *b)
{
	struct log_config log = { .window_bytes = MIB };
	struct store_config config = {
		.memory_limit = MEMORY,
		.memory_reserve = MEMORY,
		.hash_seed = b->data.hash_seed,
	};

	b->log = log_new(&log);
	config.log = b->log;
	b->store = b->log ? store_new(&config) : NULL;
	b->ctx = b->store ? store_ctx_new(b->store) : NULL;
	if (!b->ctx) {
		snprintf(b->problem, sizeof(b->problem), "no memory");
	}
	return b->ctx;
}

static bool open_as(struct bed *b, struct dir *dir, enum datadir_how how,
		    uint32_t now)
{
	struct recover_config config = {
		.threads = 1,
		.now = now,
		.to_lsn = UINT64_MAX,
		.to_time = UINT32_MAX,
	};

	memset(b, 0, sizeof(*b));
	b->dir = dir;
	b->now = now;
	b->data_open = true;
	if (!datadir_open(&b->data, dir, how, IDENTITY, HASH_SEED, now,
			  b->problem) ||
	    !make_store(b)) {
		return false;
	}
	config.store = b->store;
	config.log = b->log;
	if (!recover(&b->data, &config, &b->recovery)) {
		memcpy(b->problem, b->recovery.problem, sizeof(b->problem));
		return false;
	}
	if (b->recovery.time > b->now) {
		b->now = b->recovery.time;
	}
	return true;
}

bool bed_open(struct bed *b, struct dir *dir, uint32_t now)
{
	return open_as(b, dir, DATADIR_SERVE, now);
}

bool bed_look(struct bed *b, struct dir *dir, uint32_t now)
{
	return open_as(b, dir, DATADIR_LOOK, now);
}

/*
 * The journal's figures, but not those of before its first record.  After a
 * sync that failed nothing counts that was not synced before.
 */
static void take_figures(struct bed *b)
{
	const struct journal *j = &b->journal;

	b->distrust |= j->sync_failed;
	if (b->distrust) {
		b->written = b->durable;
		return;
	}
	if (j->written > b->recovery.next_lsn) {
		b->written = j->written;
	}
	if (j->synced > b->recovery.next_lsn) {
		b->durable = j->synced;
	}
}

int bed_begin(struct bed *b, uint64_t file_bytes)
{
	const struct datadir *d = &b->data;
	uint64_t lsn = b->recovery.next_lsn;
	struct journal_config config = {
		.dir = b->dir,
		.identity = d->identity,
		.hash_seed = d->hash_seed,
		.file_bytes = file_bytes,
		.read_file = d->journal_count > 0 ?
				     d->journals[d->journal_count - 1] :
				     0,
		.read_lsn = b->recovery.last_lsn,
	};
	int error;

	log_begin(b->log, lsn);
	journal_init(&b->journal, &config);
	error = journal_start(&b->journal, lsn, b->now);
	if (error < 0) {
		return error;
	}
	check(log_cursor_open(b->log, &b->cursor, lsn, true));
	b->begun = true;
	b->durable = b->recovery.last_lsn;
	b->written = b->recovery.last_lsn;
	return 0;
}

int bed_write(struct bed *b)
{
	long n;

	do {
		n = journal_write(&b->journal, &b->cursor, PIECE_BYTES, b->now);
		take_figures(b);
	} while (n > 0);
	return (int)n;
}

int bed_sync(struct bed *b)
{
	int error = journal_sync(&b->journal);

	take_figures(b);
	return error;
}

/* ---- snapshots ---------------------------------------------------------- */

static int settle(void *arg, uint64_t lsn)
{
	struct bed *b = arg;
	int error = bed_write(b);

	if (error == 0) {
		error = bed_sync(b);
	}
	check(error < 0 || b->journal.synced >= lsn);
	return error;
}

static int begin(struct bed *b, uint64_t lsn, bool clean)
{
	struct store_stats stats;
	uint32_t flush_at = store_flush_pending(b->store);
	int error = 0;

	store_stats(b->store, &stats);

	struct snapshot_config config = {
		.dir = b->dir,
		.store = b->store,
		.ctx = b->ctx,
		.identity = b->data.identity,
		.hash_seed = b->data.hash_seed,
		.lsn = lsn,
		.barrier = stats.barrier,
		.flush_at = flush_at,
		.clean = clean,
		.settle = clean ? NULL : settle,
		.settle_arg = b,
	};

	b->snapshot_lsn = lsn;
	b->snapshot = snapshot_begin(&config, b->now, &error);
	return error;
}

int bed_snapshot_begin(struct bed *b)
{
	struct journal *j = &b->journal;
	int error = 0;

	if (j->written >= j->first_lsn) {
		error = journal_start(j, j->written, b->now);
		take_figures(b);
	}
	return error < 0 ? error : begin(b, j->written, false);
}

static int clear_old(struct bed *b, bool last_too)
{
	struct archive_work work = {
		.dir = b->dir,
		.identity = b->data.identity,
		.lsn = b->snapshot_lsn,
		.last_too = last_too,
	};

	return archive_old_files(&work) ? 0 : -EIO;
}

static int step(struct bed *b)
{
	int result = snapshot_step(b->snapshot, b->now);

	if (result <= 0) {
		snapshot_end(b->snapshot);
		b->snapshot = NULL;
	}
	return result;
}

/* That old files cannot go is no failure of the snapshot. */
int bed_snapshot_step(struct bed *b)
{
	int result = step(b);

	if (result == 0) {
		clear_old(b, false);
	}
	return result;
}

/* The snapshot has what the log's readers have not taken. */
static void pass_over(struct bed *b)
{
	struct iovec part[PARTS_MAX];
	uint64_t last;
	int n;

	while (log_cursor_look(&b->cursor, part, PARTS_MAX, PIECE_BYTES, &n,
			       &last) == LOG_SOME) {
		log_cursor_pass(&b->cursor, last);
	}
}

int bed_begin_anew(struct bed *b)
{
	int result = 0;

	if (b->snapshot) {
		snapshot_end(b->snapshot);
		b->snapshot = NULL;
	}
	if (b->journal.sync_failed) {
		pass_over(b);
		result = journal_restart(&b->journal, b->cursor.lsn, b->now);
	}
	if (result == 0) {
		result = bed_snapshot_begin(b);
	}
	while (result >= 0 && b->snapshot) {
		result = bed_snapshot_step(b);
	}
	if (result == 0) {
		b->distrust = false;
		b->durable = b->snapshot_lsn;
		b->written = b->snapshot_lsn;
		take_figures(b);
	}
	return result;
}

/* ---- ends --------------------------------------------------------------- */

int bed_stop(struct bed *b)
{
	int result;

	if (b->snapshot) {
		snapshot_end(b->snapshot);
		b->snapshot = NULL;
	}
	result = bed_write(b);
	if (result == 0) {
		result = bed_sync(b);
	}
	journal_close(&b->journal);
	if (result == 0) {
		result = begin(b, log_lsn(b->log), true);
	}
	while (result >= 0 && b->snapshot) {
		result = step(b);
	}
	return result < 0 ? result : clear_old(b, true);
}

void bed_close(struct bed *b)
{
	if (b->snapshot) {
		snapshot_end(b->snapshot);
	}
	if (b->begun) {
		log_cursor_close(&b->cursor);
		journal_close(&b->journal);
	}
	if (b->ctx) {
		store_ctx_free(b->ctx);
	}
	if (b->store) {
		store_free(b->store);
	}
	if (b->log) {
		log_free(b->log);
	}
	if (b->data_open) {
		datadir_close(&b->data);
	}
	memset(b, 0, sizeof(*b));
}
