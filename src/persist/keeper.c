/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The journal thread, and the decisions: when to sync, when to take a
 * snapshot, what a failure means and when to try again.
 *
 *  K1. committed(lsn) is called only for what is durable: synced in the
 *      journal, or held by a snapshot that stands; and never in DISTRUST.
 *  K2. After a failed sync the new journal begins behind what was written to
 *      the old one.  Of that, what had not been synced is nowhere but in the
 *      snapshot that must come.
 *  K3. The LSN of a snapshot is the last one of the journal in front of it.
 *      Records that are published have been applied under their shard's lock,
 *      so a scan that begins later sees all of them.
 *  K4. One errand at a time.  After a failed sync the one that runs is given
 *      up and has ended before anything else is done: it may be waiting for a
 *      sync that speaks of the old file, and must not be told of a new one.
 *
 * What is said under "the journal thread's own" is touched by that thread
 * only, or, before it starts and after it has ended, by who owns the keeper.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "base/lock.h"
#include "io/clock.h"
#include "persist/errand.h"
#include "persist/journal.h"
#include "persist/keeper.h"

/* One write() at most; between them drained() may be called. */
#define PIECE_BYTES (1 * MIB)
#define SNAPSHOT_BYTES_MIN (64 * MIB)
#define FOREVER_MS UINT64_MAX

enum {
	SYNC_EVERY_MS = 1000,
	/* Without replies that wait, a loaded server's journal thread wakes a
	 * hundred times a second, not for each turn of a worker. */
	GATHER_MS = 10,
	RETRY_MS = 1000,
	LATER = 60, /* times as long, for a snapshot or the archive */
	SETTLE_MS = 10,
	ARCHIVE_WAIT_MS = 30000,
	LOOK_MS = 100,
};

/* Of a snapshot: keeper_snapshot() may ask when there is none. */
enum phase { PHASE_NONE, PHASE_WANTED, PHASE_RUNNING };

struct keeper {
	struct keeper_config config;
	struct bell bell;   /* the journal thread sleeps on it */
	struct bell urgent; /* and on this while it gathers */
	_Atomic int state;
	_Atomic int phase;
	_Atomic bool stopping;
	_Atomic bool room_wanted;
	_Atomic uint64_t settle_lsn; /* an errand waits for it; 0: none does */
	_Atomic uint64_t synced_lsn; /* what it looks at */
	_Atomic int write_error;     /* the last write failed; else 0 */

	/* The journal thread's own. */
	pthread_t thread;
	bool started;
	struct journal journal;
	struct log_cursor cursor;
	uint64_t retry_ms;
	uint64_t retry_at;      /* READ_ONLY, DISTRUST */
	uint64_t synced_at;     /* the last sync began */
	uint64_t snapshot_at;   /* the last one ended, or the start */
	uint64_t snapshot_from; /* not earlier: the last one failed */
	uint64_t archive_at;    /* try again; 0: nothing failed */
	bool begun_anew;        /* DISTRUST: the new journal is there */
	struct errand errand;
	bool errand_runs;
	bool errand_for_trust; /* what it takes will end DISTRUST */
	uint64_t counted_from; /* journal.bytes_written at the rotation before
				  the snapshot that runs */
	uint64_t base_bytes;   /* at that of the one that stands, ... */
	uint64_t more_bytes;   /* and those that recovery read */
	uint64_t threshold;    /* that start a snapshot */
	bool snapshot_is_clean;

	struct lock lock; /* of what follows */
	struct keeper_stats stats;
	char journal_problem[PROBLEM_SIZE];
	char snapshot_problem[PROBLEM_SIZE];
	char archive_problem[PROBLEM_SIZE];
};

static uint32_t now_s(const struct keeper *k)
{
	return k->config.now_s(k->config.arg);
}

enum keeper_state keeper_state(const struct keeper *k)
{
	return (enum keeper_state)atomic_load(&k->state);
}

/* ---- telling ----------------------------------------------------------- */

static void say(struct keeper *k, char *problem, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Sets one of the problems; "" when it is over. */
static void say(struct keeper *k, char *problem, const char *format, ...)
{
	char line[PROBLEM_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	lock_take(&k->lock);
	memcpy(problem, line, sizeof(line));
	lock_give(&k->lock);
}

static void count(struct keeper *k, uint64_t *counter, uint64_t n)
{
	lock_take(&k->lock);
	*counter += n;
	lock_give(&k->lock);
}

/* The journal's part of the figures. */
static void show(struct keeper *k)
{
	lock_take(&k->lock);
	k->stats.written_lsn = k->journal.written;
	k->stats.synced_lsn = atomic_load(&k->synced_lsn);
	k->stats.journal_written = k->journal.bytes_written;
	k->stats.journal_bytes = k->journal.bytes_written - k->base_bytes +
				 k->more_bytes;
	k->stats.syncs = k->journal.syncs;
	lock_give(&k->lock);
}

void keeper_stats(struct keeper *k, struct keeper_stats *out)
{
	lock_take(&k->lock);
	*out = k->stats;
	memcpy(out->problem,
	       k->journal_problem[0] != '\0'  ? k->journal_problem :
	       k->snapshot_problem[0] != '\0' ? k->snapshot_problem :
						k->archive_problem,
	       PROBLEM_SIZE);
	lock_give(&k->lock);
	out->state = keeper_state(k);
	out->snapshot_running = atomic_load(&k->phase) == PHASE_RUNNING;
}

static void set_state(struct keeper *k, enum keeper_state state,
		      const char *why)
{
	atomic_store(&k->state, (int)state);
	diag(state == KEEPER_RUNNING ? DIAG_NOTE : DIAG_ERROR, "%s", why);
	k->config.changed(k->config.arg, state);
}

/* ---- states ------------------------------------------------------------ */

static void enter_running(struct keeper *k, const char *why)
{
	say(k, k->journal_problem, "%s", "");
	set_state(k, KEEPER_RUNNING, why);
}

/* A sync has failed, perhaps not for the first time. */
static void enter_distrust(struct keeper *k, int error, uint64_t now)
{
	char why[PROBLEM_SIZE];

	k->begun_anew = false;
	k->retry_at = now;
	if (k->errand_runs) {
		errand_abandon(&k->errand);
	}
	if (keeper_state(k) == KEEPER_DISTRUST) {
		k->retry_at += k->retry_ms;
		return;
	}
	snprintf(why, sizeof(why),
		 "the journal could not be synced: %s; changes are refused "
		 "until a new snapshot stands",
		 strerror(-error));
	say(k, k->journal_problem, "%s", why);
	set_state(k, KEEPER_DISTRUST, why);
}

/* A write or a sync of the journal has failed: what now? */
static void journal_failed(struct keeper *k, int error, uint64_t now)
{
	char why[PROBLEM_SIZE];

	count(k, &k->stats.errors, 1);
	if (k->journal.sync_failed) {
		enter_distrust(k, error, now);
		return;
	}
	atomic_store(&k->write_error, error);
	if (k->errand_runs) {
		bell_ring(&k->errand.bell);
	}
	k->retry_at = now + k->retry_ms;
	if (keeper_state(k) != KEEPER_RUNNING) {
		return;
	}
	snprintf(why, sizeof(why),
		 "the journal cannot be written: %s; changes are refused "
		 "until it can",
		 strerror(-error));
	say(k, k->journal_problem, "%s", why);
	set_state(k, KEEPER_READ_ONLY, why);
}

/* ---- writing and syncing ----------------------------------------------- */

/* The journal's `synced` has moved, perhaps: who waits for it? (K1) */
static void note_synced(struct keeper *k)
{
	uint64_t lsn = k->journal.synced;

	if (lsn == atomic_load(&k->synced_lsn)) {
		return;
	}
	atomic_store(&k->synced_lsn, lsn);
	if (atomic_load(&k->settle_lsn) != 0) {
		bell_ring(&k->errand.bell);
	}
	if (k->config.sync == SYNC_ALWAYS &&
	    keeper_state(k) != KEEPER_DISTRUST) {
		k->config.committed(k->config.arg, lsn);
	}
}

static void give_room(struct keeper *k)
{
	struct log_stats s;

	if (!atomic_load(&k->room_wanted) || log_is_full(k->config.log)) {
		return;
	}
	log_stats(k->config.log, &s);
	if (k->config.window_bytes != 0 &&
	    s.waiting_bytes > k->config.window_bytes / 2) {
		return;
	}
	atomic_store(&k->room_wanted, false);
	k->config.drained(k->config.arg);
}

/*
 * Writes what there is by now, so not what comes while it does: a sync may be
 * due.  True: all of it.
 */
static bool write_waiting(struct keeper *k, uint64_t now)
{
	uint64_t until = log_lsn(k->config.log);

	while (k->journal.written < until) {
		long n = journal_write(&k->journal, &k->cursor, PIECE_BYTES,
				       now_s(k));

		if (n < 0) {
			journal_failed(k, (int)n, now);
			return false;
		}
		if (n == 0) {
			break;
		}
		give_room(k);
	}
	if (atomic_load(&k->write_error) != 0) {
		atomic_store(&k->write_error, 0);
	}
	return true;
}

static bool is_unsynced(const struct keeper *k)
{
	return k->journal.synced < k->journal.written &&
	       !k->journal.sync_failed;
}

static bool sync_is_due(const struct keeper *k, uint64_t now)
{
	if (!is_unsynced(k)) {
		return false;
	}
	switch (k->config.sync) {
	case SYNC_ALWAYS:
		return true;
	case SYNC_EVERYSEC:
		if (now - k->synced_at >= SYNC_EVERY_MS) {
			return true;
		}
		break;
	case SYNC_NEVER:
		break;
	}
	return k->journal.synced < atomic_load(&k->settle_lsn);
}

static bool sync_journal(struct keeper *k, uint64_t now)
{
	uint64_t began_us = clock_us();
	int error = journal_sync(&k->journal);
	uint64_t took_us = clock_us() - began_us;

	k->synced_at = now;
	if (error < 0) {
		journal_failed(k, error, now);
		return false;
	}
	lock_take(&k->lock);
	k->stats.last_sync_us = took_us;
	lock_give(&k->lock);
	return true;
}

static bool sync_if_due(struct keeper *k, uint64_t now)
{
	if (sync_is_due(k, now) && !sync_journal(k, now)) {
		return false;
	}
	if (!k->journal.sync_failed) {
		note_synced(k);
	}
	return true;
}

/* True: the journal has all, and is synced as far as the policy wants. */
static bool gather(struct keeper *k, uint64_t now)
{
	bool written = write_waiting(k, now);

	return sync_if_due(k, now) && written;
}

/* ---- errands ----------------------------------------------------------- */

/*
 * On the errand's thread: the journal must be durable up to `lsn`.  While it
 * cannot be written that is not waited for: the unfinished snapshot may have
 * the very space that the journal lacks.
 */
static int settle(void *arg, uint64_t lsn)
{
	struct keeper *k = arg;
	struct errand *e = &k->errand;
	int result = -ECANCELED;

	atomic_store(&k->settle_lsn, lsn);
	bell_ring(&k->bell);
	bell_ring(&k->urgent);
	for (;;) {
		uint32_t seen = bell_count(&e->bell);
		int error = atomic_load(&k->write_error);

		if (atomic_load(&e->abandon)) {
			break;
		}
		if (atomic_load(&k->synced_lsn) >= lsn) {
			result = 0;
			break;
		}
		if (error != 0) {
			result = error;
			break;
		}
		bell_wait(&e->bell, seen, FOREVER_MS);
	}
	atomic_store(&k->settle_lsn, 0);
	return result;
}

static uint32_t errand_now_s(void *arg)
{
	return now_s(arg);
}

static void fill_errand(struct keeper *k, bool snapshot, uint64_t lsn)
{
	k->errand = (struct errand){
		.datadir = k->config.datadir,
		.store = k->config.store,
		.archive = k->config.archive,
		.lsn = lsn,
		.snapshot = snapshot,
		.gently = true,
		.settle = settle,
		.now_s = errand_now_s,
		.arg = k,
	};
}

static void snapshot_failed(struct keeper *k, int error, uint64_t now)
{
	k->snapshot_from = now + LATER * k->retry_ms;
	say(k, k->snapshot_problem, "the snapshot failed: %s",
	    strerror(-error));
	diag(DIAG_ERROR, "the snapshot failed: %s", strerror(-error));
	lock_take(&k->lock);
	k->stats.snapshot_errors++;
	k->stats.errors++;
	lock_give(&k->lock);
	atomic_store(&k->phase, PHASE_NONE);
}

static void set_threshold(struct keeper *k, uint64_t raw_bytes)
{
	k->threshold = k->config.snapshot_bytes;
	if (k->threshold == 0) {
		k->threshold = raw_bytes > SNAPSHOT_BYTES_MIN ?
				       raw_bytes :
				       SNAPSHOT_BYTES_MIN;
	}
}

static void snapshot_stands(struct keeper *k, uint64_t now)
{
	const struct errand *e = &k->errand;

	k->snapshot_at = now;
	k->snapshot_from = 0;
	k->base_bytes = k->counted_from;
	k->more_bytes = 0;
	k->snapshot_is_clean = e->clean;
	set_threshold(k, e->made.raw_bytes);
	say(k, k->snapshot_problem, "%s", "");
	lock_take(&k->lock);
	k->stats.snapshots++;
	k->stats.snapshot_lsn = e->lsn;
	k->stats.snapshot_time = now_s(k);
	k->stats.snapshot_seconds = e->took_s;
	k->stats.snapshot_bytes = e->made.file_bytes;
	lock_give(&k->lock);
	atomic_store(&k->phase, PHASE_NONE);
	diag(DIAG_INFO, "snapshot: %llu items, %llu KiB, in %u s",
	     (unsigned long long)e->made.items,
	     (unsigned long long)(e->made.file_bytes / KIB),
	     (unsigned)e->took_s);
}

static void note_archive(struct keeper *k, uint64_t now)
{
	const struct archive_work *w = &k->errand.old;
	bool told = k->archive_at != 0;

	count(k, &k->stats.archived, w->moved);
	if (w->problem[0] == '\0') {
		k->archive_at = 0;
		say(k, k->archive_problem, "%s", "");
		if (told) {
			diag(DIAG_NOTE, "old files are cleared away again");
		}
		return;
	}
	k->archive_at = now + LATER * k->retry_ms;
	say(k, k->archive_problem, "old files stay: %.300s", w->problem);
	lock_take(&k->lock);
	k->stats.archive_errors++;
	k->stats.errors++;
	lock_give(&k->lock);
	if (!told) {
		diag(DIAG_ERROR, "old files stay: %s", w->problem);
	}
}

/* What an errand has done. */
static void judge_errand(struct keeper *k, uint64_t now)
{
	struct errand *e = &k->errand;

	if (e->error == -ECANCELED) {
		atomic_store(&k->phase, PHASE_NONE);
		return;
	}
	if (e->error < 0) {
		snapshot_failed(k, e->error, now);
		return;
	}
	if (e->snapshot) {
		snapshot_stands(k, now);
	}
	note_archive(k, now);
	if (keeper_state(k) == KEEPER_READ_ONLY) {
		k->retry_at = now; /* there is more space, perhaps */
	}
}

static void end_errand(struct keeper *k, uint64_t now)
{
	bool for_trust = k->errand_for_trust;

	errand_join(&k->errand);
	k->errand_runs = false;
	k->errand_for_trust = false;
	judge_errand(k, now);
	if (!for_trust || !k->begun_anew) {
		return;
	}
	if (k->errand.error < 0) {
		k->retry_at = now + k->retry_ms;
		return;
	}
	k->begun_anew = false;
	enter_running(k, "a new journal and a new snapshot stand; changes are "
			 "taken again");
	if (k->config.sync == SYNC_ALWAYS) {
		k->config.committed(k->config.arg, k->journal.synced);
	}
}

static void send_errand(struct keeper *k, uint64_t now)
{
	int error = errand_start(&k->errand, &k->bell, &k->urgent);

	k->errand_runs = error == 0;
	if (error == 0) {
		return;
	}
	if (k->errand.snapshot) {
		snapshot_failed(k, error, now);
	} else {
		k->archive_at = now + LATER * k->retry_ms;
	}
}

/* The journal goes on in a new file (K3). */
static bool rotate(struct keeper *k, uint64_t now)
{
	struct journal *j = &k->journal;
	int error = journal_start(j, j->written, now_s(k));

	if (error < 0) {
		snapshot_failed(k, error, now);
		if (j->sync_failed) {
			enter_distrust(k, error, now);
		}
		return false;
	}
	note_synced(k);
	return true;
}

static void begin_snapshot(struct keeper *k, bool gently, uint64_t now)
{
	atomic_store(&k->phase, PHASE_RUNNING);
	if (!rotate(k, now)) {
		return;
	}
	k->counted_from = k->journal.bytes_written;
	fill_errand(k, true, k->journal.written);
	k->errand.gently = gently;
	send_errand(k, now);
}

static bool snapshot_is_due(const struct keeper *k, uint64_t now)
{
	const struct keeper_config *c = &k->config;
	uint64_t bytes = k->journal.bytes_written - k->base_bytes +
			 k->more_bytes;

	if (atomic_load(&k->phase) == PHASE_WANTED) {
		return true;
	}
	if (now < k->snapshot_from ||
	    k->journal.written <= k->stats.snapshot_lsn) {
		return false;
	}
	return bytes >= k->threshold ||
	       (c->snapshot_every_s != 0 &&
		now - k->snapshot_at >= c->snapshot_every_s * 1000ULL);
}

static void begin_errand_if_due(struct keeper *k, uint64_t now)
{
	if (k->errand_runs || keeper_state(k) == KEEPER_DISTRUST) {
		return;
	}
	if (snapshot_is_due(k, now)) {
		begin_snapshot(k, true, now);
	} else if (k->archive_at != 0 && now >= k->archive_at) {
		fill_errand(k, false, k->stats.snapshot_lsn);
		send_errand(k, now);
	}
}

/* ---- after a failed sync ----------------------------------------------- */

static bool begin_anew(struct keeper *k, uint64_t now)
{
	int error;

	error = journal_restart(&k->journal, k->journal.written, now_s(k));
	if (error < 0) {
		count(k, &k->stats.errors, 1);
		k->retry_at = now + k->retry_ms;
		return false;
	}
	k->begun_anew = true;
	return true;
}

static void distrust_turn(struct keeper *k, uint64_t now)
{
	bool may_begin = !k->errand_runs && now >= k->retry_at;

	if (!k->begun_anew && (!may_begin || !begin_anew(k, now))) {
		return;
	}
	/* While it cannot be written, no snapshot can be completed either. */
	if (!gather(k, now) || !may_begin) {
		return;
	}
	k->errand_for_trust = true;
	begin_snapshot(k, false, now);
	if (!k->errand_runs) {
		k->errand_for_trust = false;
		k->retry_at = now + k->retry_ms;
	}
}

/* ---- the journal thread ------------------------------------------------ */

static void take_turn(struct keeper *k)
{
	uint64_t now = clock_ms();

	if (k->errand_runs && errand_has_ended(&k->errand)) {
		end_errand(k, now);
	}
	switch (keeper_state(k)) {
	case KEEPER_RUNNING:
		gather(k, now);
		break;
	case KEEPER_READ_ONLY:
		if (now < k->retry_at) {
			sync_if_due(k, now);
		} else if (gather(k, now)) {
			enter_running(k, "the journal is written again; "
					 "changes are taken");
		}
		break;
	case KEEPER_DISTRUST:
		distrust_turn(k, now);
		break;
	case KEEPER_STOPPED:
		break;
	}
	give_room(k);
	begin_errand_if_due(k, now);
	show(k);
}

static void earlier(uint64_t *at, uint64_t other)
{
	if (other < *at) {
		*at = other;
	}
}

static uint64_t next_errand(const struct keeper *k, uint64_t now)
{
	uint64_t at = FOREVER_MS;

	if (k->archive_at != 0) {
		earlier(&at, k->archive_at);
	}
	if (k->journal.written <= k->stats.snapshot_lsn) {
		return at;
	}
	if (k->snapshot_from > now) {
		earlier(&at, k->snapshot_from);
	} else if (k->config.snapshot_every_s != 0) {
		earlier(&at,
			k->snapshot_at + k->config.snapshot_every_s * 1000ULL);
	}
	return at;
}

/*
 * A record may be drawn, and not published yet.  Who publishes it need not
 * ring, and those behind it have rung already, so it is looked at again.
 */
static bool waits_for_record(const struct keeper *k, enum keeper_state state)
{
	switch (state) {
	case KEEPER_RUNNING:
		return k->journal.written < log_lsn(k->config.log);
	case KEEPER_DISTRUST:
		return k->journal.written < atomic_load(&k->settle_lsn);
	default:
		return false;
	}
}

/* When is something due though nobody rings?  FOREVER_MS: never. */
static uint64_t next_due(const struct keeper *k, uint64_t now)
{
	enum keeper_state state = keeper_state(k);
	uint64_t at = FOREVER_MS;

	if (is_unsynced(k) && k->config.sync == SYNC_EVERYSEC) {
		earlier(&at, k->synced_at + SYNC_EVERY_MS);
	}
	if (state == KEEPER_READ_ONLY ||
	    (state == KEEPER_DISTRUST && !k->errand_runs)) {
		earlier(&at, k->retry_at);
	}
	if (waits_for_record(k, state)) {
		earlier(&at, now + SETTLE_MS);
	}
	if (!k->errand_runs && state != KEEPER_DISTRUST) {
		earlier(&at, next_errand(k, now));
	}
	return at;
}

static void *journal_main(void *arg)
{
	struct keeper *k = arg;

	diag_set_thread("journal");
	for (;;) {
		uint32_t seen = bell_count(&k->bell);
		uint32_t urgent = bell_count(&k->urgent);
		uint64_t before = k->journal.written;
		uint64_t now, at;

		if (atomic_load(&k->stopping)) {
			break;
		}
		take_turn(k);
		if (k->config.sync != SYNC_ALWAYS &&
		    k->journal.written != before) {
			bell_wait(&k->urgent, urgent, GATHER_MS);
		}
		now = clock_ms();
		at = next_due(k, now);
		if (at > now) {
			bell_wait(&k->bell, seen,
				  at == FOREVER_MS ? FOREVER_MS : at - now);
		}
	}
	return NULL;
}

/* ---- for the node ------------------------------------------------------ */

void keeper_ring(struct keeper *k)
{
	bell_ring(&k->bell);
}

static void ring_both(struct keeper *k)
{
	bell_ring(&k->bell);
	bell_ring(&k->urgent);
}

void keeper_ask_room(struct keeper *k)
{
	atomic_store(&k->room_wanted, true);
	ring_both(k);
}

bool keeper_snapshot(struct keeper *k)
{
	int none = PHASE_NONE;

	if (!atomic_compare_exchange_strong(&k->phase, &none, PHASE_WANTED)) {
		return false;
	}
	ring_both(k);
	return true;
}

/* ---- life -------------------------------------------------------------- */

/* What is known of the snapshot that recovery began with. */
static void look_at_snapshot(struct keeper *k)
{
	const struct datadir *d = k->config.datadir;
	struct snapshot_file f;

	set_threshold(k, 0);
	if (d->snapshot_count == 0) {
		return;
	}
	k->stats.snapshot_lsn = d->snapshots[d->snapshot_count - 1];
	if (snapshot_open(&f, d->dir, k->stats.snapshot_lsn)) {
		set_threshold(k, f.raw_bytes);
		k->snapshot_is_clean = f.clean;
		k->stats.snapshot_bytes = f.size;
		k->stats.snapshot_time = f.header.time;
	}
	snapshot_close(&f);
}

static int begin_journal(struct keeper *k)
{
	const struct keeper_config *c = &k->config;
	const struct datadir *d = c->datadir;
	uint64_t lsn = log_lsn(c->log);
	struct journal_config config = {
		.dir = d->dir,
		.identity = d->identity,
		.hash_seed = d->hash_seed,
		.file_bytes = c->journal_file_bytes,
		.read_file = d->journal_count == 0 ?
				     0 :
				     d->journals[d->journal_count - 1],
		.read_lsn = c->read_lsn,
	};
	int error;

	journal_init(&k->journal, &config);
	error = journal_start(&k->journal, lsn, now_s(k));
	if (error < 0) {
		return error;
	}
	if (!log_cursor_open(c->log, &k->cursor, lsn, true)) {
		journal_close(&k->journal);
		return -ENOMEM;
	}
	atomic_store(&k->synced_lsn, k->journal.synced);
	k->base_bytes = k->journal.bytes_written;
	k->more_bytes = c->journal_bytes;
	return 0;
}

struct keeper *keeper_new(const struct keeper_config *config, int *error)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		*error = -ENOMEM;
		return NULL;
	}
	k->config = *config;
	k->retry_ms = config->retry_ms == 0 ? RETRY_MS : config->retry_ms;
	look_at_snapshot(k);
	*error = begin_journal(k);
	if (*error < 0) {
		free(k);
		return NULL;
	}
	show(k);
	return k;
}

int keeper_start(struct keeper *k)
{
	int error;

	k->snapshot_at = clock_ms();
	error = pthread_create(&k->thread, NULL, journal_main, k);
	k->started = error == 0;
	return error;
}

/*
 * Nobody else looks after the errand any more: waits until it has ended, but
 * while it clears files away not for ever.  False: the archive does not answer.
 */
static bool await_errand(struct keeper *k)
{
	uint32_t wait_ms = k->config.archive_wait_ms != 0 ?
				   k->config.archive_wait_ms :
				   ARCHIVE_WAIT_MS;
	uint64_t until = FOREVER_MS;
	bool given_up = false;

	while (!errand_has_ended(&k->errand)) {
		uint32_t seen = bell_count(&k->bell);
		uint64_t now = clock_ms();

		if (until == FOREVER_MS && atomic_load(&k->errand.clears)) {
			until = now + wait_ms;
		}
		if (now < until) {
			bell_wait(&k->bell, seen, LOOK_MS);
		} else if (given_up) {
			diag(DIAG_ERROR,
			     "the archive does not answer; old files stay");
			return false;
		} else {
			given_up = true;
			until = now + wait_ms;
			errand_abandon(&k->errand);
			diag(DIAG_WARN, "the archive takes long; what is left "
					"is moved after the next start");
		}
	}
	return true;
}

/* Ends the errand that runs; false: the archive does not let it. */
static bool end_last_errand(struct keeper *k)
{
	if (!k->errand_runs) {
		return true;
	}
	errand_abandon(&k->errand);
	if (!await_errand(k)) {
		return false;
	}
	end_errand(k, clock_ms());
	return true;
}

/* Writes and syncs all that is in the log; false: why not. */
static bool write_last(struct keeper *k, char *why)
{
	long n = 1;
	int error;

	while (n > 0) {
		n = journal_write(&k->journal, &k->cursor, PIECE_BYTES,
				  now_s(k));
	}
	/* Also of what is there, if the rest could not be written. */
	error = journal_sync(&k->journal);
	atomic_store(&k->synced_lsn, k->journal.synced);
	show(k);
	if (n < 0) {
		error = (int)n;
	}
	if (error < 0) {
		count(k, &k->stats.errors, 1);
		snprintf(why, PROBLEM_SIZE,
			 "the end of the journal is not on disk: %s",
			 strerror(-error));
		return false;
	}
	return true;
}

/* The snapshot of a clean stop; false: why not. */
static bool last_snapshot(struct keeper *k, char *why)
{
	uint64_t lsn = log_lsn(k->config.log);
	bool stands = k->snapshot_is_clean && k->stats.snapshot_lsn == lsn;

	fill_errand(k, !stands, lsn);
	k->errand.clean = true;
	k->errand.gently = false;
	k->errand.settle = NULL;
	k->counted_from = k->journal.bytes_written;
	if (errand_start(&k->errand, &k->bell, &k->urgent) != 0) {
		errand_run(&k->errand);
	} else if (await_errand(k)) {
		errand_join(&k->errand);
	} else {
		k->errand_runs = true;
		return true; /* it stands, or it would not clear away */
	}
	judge_errand(k, clock_ms());
	if (k->errand.error < 0) {
		snprintf(why, PROBLEM_SIZE, "the last snapshot failed: %s",
			 strerror(-k->errand.error));
	}
	return k->errand.error == 0;
}

bool keeper_stop(struct keeper *k, char *why)
{
	char unwritten[PROBLEM_SIZE] = "";
	bool written, clean, ended;

	if (k->started) {
		atomic_store(&k->stopping, true);
		ring_both(k);
		pthread_join(k->thread, NULL);
		k->started = false;
	}
	/* First what may be lost: the errand may wait for an archive. */
	written = write_last(k, unwritten);
	ended = end_last_errand(k);
	journal_close(&k->journal);
	clean = ended && last_snapshot(k, why);
	if (!ended) {
		snprintf(why, PROBLEM_SIZE,
			 "no last snapshot, while the archive does not answer");
	}
	if (!clean && !written) {
		memcpy(why, unwritten, PROBLEM_SIZE);
	}
	show(k);
	atomic_store(&k->state, KEEPER_STOPPED);
	return clean;
}

bool keeper_is_stuck(const struct keeper *k)
{
	return !k->started && k->errand_runs;
}

void keeper_free(struct keeper *k)
{
	if (k == NULL) {
		return;
	}
	check(!k->started);
	if (k->errand_runs) {
		errand_join(&k->errand);
	}
	log_cursor_close(&k->cursor);
	journal_close(&k->journal);
	free(k);
}
