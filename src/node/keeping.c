/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node's side of its data directory.
 *
 * K1. The gate is moved first, then workers that hold something are woken.
 * K2. When the journal fails, replies that wait for it are never sent: their
 *     connections end, since nobody knows whether those changes will last.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "io/clock.h"
#include "log/log.h"
#include "node/keeping.h"
#include "node/node_state.h"
#include "node/session.h"
#include "persist/recover.h"

enum {
	PROGRESS_DIAG_MS = 5000, /* between lines in the log */
	PROGRESS_TTY_MS = 200,   /* and on a terminal */
	CLOCK_BEHIND_S = 10,     /* that are worth telling */
	OVER_SHARE = 8,          /* of -m, that a start without eviction adds */
};

static void problem(char *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void problem(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PROBLEM_SIZE, format, args);
	va_end(args);
}

/* ---- opening ----------------------------------------------------------- */

static struct dir *open_dir(const char *option, const char *path, char *why)
{
	int error = 0;
	struct dir *d = dir_system(path, &error);

	if (d == NULL) {
		problem(why, "%s: %s: %s", option, path, strerror(-error));
	}
	return d;
}

/* memcached's -e names a file that it makes itself. */
static bool make_memory_dir(const struct settings *set, char *why)
{
	int error = dir_make(set->data_dir);
	struct stat st;

	if (error == 0) {
		return true;
	}
	if (error != -EEXIST) {
		problem(why, "-e: %s: %s", set->data_dir, strerror(-error));
		return false;
	}
	if (stat(set->data_dir, &st) == 0 && !S_ISDIR(st.st_mode)) {
		problem(why,
			"-e: %s is a file, and dozo keeps a directory there: "
			"remove it, or name another (or use --data-dir)",
			set->data_dir);
		return false;
	}
	return true;
}

static bool make_log(struct keeping *k, const struct settings *set, char *why)
{
	struct log_config config = { .window_bytes = set->log_window };

	k->log = log_new(&config);
	if (k->log == NULL) {
		problem(why, "out of memory");
	}
	return k->log != NULL;
}

/* Another data directory is perhaps in use by a server, and is no archive. */
static bool check_archive(const struct keeping *k, const struct settings *set,
			  char *why)
{
	int file = dir_open(k->archive, NAME_IDENTITY, FILE_READ);

	if (file == -ENOENT) {
		return true;
	}
	if (file < 0) {
		problem(why, "--archive-dir: %s: %s", set->archive_dir,
			strerror(-file));
		return false;
	}
	dir_close(k->archive, file);
	problem(why,
		"--archive-dir: %s is a data directory: it has a file \"%s\"",
		set->archive_dir, NAME_IDENTITY);
	return false;
}

static bool open_archive(struct keeping *k, const struct settings *set,
			 char *why)
{
	struct stat a;
	struct stat b;

	k->archive = open_dir("--archive-dir", set->archive_dir, why);
	if (k->archive == NULL) {
		return false;
	}
	/* Else old files would stay for ever. */
	if (stat(set->archive_dir, &a) == 0 && stat(set->data_dir, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		problem(why, "--archive-dir: %s is the data directory",
			set->archive_dir);
		return false;
	}
	return check_archive(k, set, why);
}

bool keeping_open(struct keeping *k, const struct settings *set,
		  uint64_t *hash_seed, uint32_t now, char *why)
{
	const char *option = set->memory_file ? "-e" : "--data-dir";
	char said[PROBLEM_SIZE];
	uint64_t identity;

	if (set->data_dir == NULL) {
		return true;
	}
	if (set->memory_file && !make_memory_dir(set, why)) {
		return false;
	}
	k->dir = open_dir(option, set->data_dir, why);
	if (k->dir == NULL) {
		return false;
	}
	if (getrandom(&identity, sizeof(identity), 0) !=
	    (ssize_t)sizeof(identity)) {
		problem(why, "no random numbers: %s", strerror(errno));
		return false;
	}
	if (!datadir_open(&k->datadir, k->dir, DATADIR_SERVE, identity,
			  *hash_seed, now, said)) {
		problem(why, "%s: %.120s: %.180s", option, set->data_dir, said);
		return false;
	}
	*hash_seed = k->datadir.hash_seed;
	if (set->archive_dir != NULL && !open_archive(k, set, why)) {
		return false;
	}
	k->replies_wait = set->sync == SYNC_ALWAYS;
	return make_log(k, set, why);
}

void keeping_release(struct keeping *k)
{
	keeper_free(k->keeper);
	k->keeper = NULL;
	if (k->log != NULL) {
		log_free(k->log);
		k->log = NULL;
	}
	datadir_close(&k->datadir);
	dir_free(k->archive);
	dir_free(k->dir);
	k->archive = NULL;
	k->dir = NULL;
}

/* ---- recovery ---------------------------------------------------------- */

struct progress {
	uint64_t began_ms;
	uint64_t next_diag_ms;
	uint64_t next_tty_ms;
	bool tty;
	bool shown; /* a line of the terminal is to be ended */
};

static void progress_format(char *line, size_t size, uint64_t spent_ms,
			    const struct recover_progress *p)
{
	double done = p->bytes_total == 0 ?
			      1 :
			      (double)p->bytes_done / (double)p->bytes_total;
	double left_s = done > 0 ? (double)spent_ms * (1 - done) / done / 1000 :
				   0;

	snprintf(line, size,
		 "recovery: %llu items, %llu of %llu MiB, %.0f %%, "
		 "%.0f s left",
		 (unsigned long long)p->items,
		 (unsigned long long)(p->bytes_done / MIB),
		 (unsigned long long)(p->bytes_total / MIB), 100 * done,
		 left_s);
}

static void on_progress(void *arg, const struct recover_progress *p)
{
	struct progress *pr = arg;
	uint64_t now = clock_ms();
	char line[160];

	if (p->bytes_done == 0) {
		return; /* nothing is known about the time that it takes */
	}
	progress_format(line, sizeof(line), now - pr->began_ms, p);
	if (pr->tty && now >= pr->next_tty_ms) {
		pr->next_tty_ms = now + PROGRESS_TTY_MS;
		fprintf(stderr, "\r%-78s", line);
		pr->shown = true;
	}
	if (!pr->tty && now >= pr->next_diag_ms) {
		pr->next_diag_ms = now + PROGRESS_DIAG_MS;
		diag(DIAG_NOTE, "%s", line);
	}
}

/* Recovery may take long. */
static bool is_told_to_stop(void *arg)
{
	(void)arg;
	return node_stop_signal_waits();
}

static void tell_recovery(const struct node *n, const struct recovery *r,
			  uint64_t ms)
{
	const char *path = n->settings->data_dir;

	diag(DIAG_NOTE,
	     "recovered %llu items from %s in %llu.%03llu s (%llu MiB, %llu "
	     "journal records, %llu expired)%s",
	     (unsigned long long)r->items, path,
	     (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
	     (unsigned long long)(r->bytes / MIB),
	     (unsigned long long)r->records, (unsigned long long)r->expired,
	     r->clean ? "; the last stop was a clean one" : "");
	if (r->torn[0] != '\0') {
		diag(DIAG_WARN, "%s: %s", path, r->torn);
	}
	if (r->not_kept > 0) {
		diag(DIAG_WARN,
		     "%llu items were left out or evicted: there is more data "
		     "than -m holds",
		     (unsigned long long)r->not_kept);
	}
	if (!n->settings->evict && budget_over(store_budget(n->store))) {
		diag(DIAG_WARN,
		     "%s: the data takes more than the %llu MiB of -m; what "
		     "needs memory is refused until it does not",
		     path,
		     (unsigned long long)(n->settings->memory_limit / MIB));
	}
}

static bool read_files(struct node *n, struct recovery *r, char *why)
{
	struct progress pr = {
		.began_ms = clock_ms(),
		.tty = isatty(STDERR_FILENO) == 1,
	};
	struct recover_config config = {
		.store = n->store,
		.log = n->keeping.log,
		.now = store_clock_s(&n->clock, clock_ms()),
		.evicts = n->settings->evict,
		.over_bytes = n->settings->evict ?
				      0 :
				      n->settings->memory_limit / OVER_SHARE,
		.to_lsn = UINT64_MAX,
		.to_time = UINT32_MAX,
		.progress = on_progress,
		.progress_arg = &pr,
		.give_up = is_told_to_stop,
	};
	bool done;

	pr.next_diag_ms = pr.began_ms + PROGRESS_DIAG_MS;
	done = recover(&n->keeping.datadir, &config, r);
	if (pr.shown) {
		fprintf(stderr, "\r%-78s\r", "");
	}
	if (!done) {
		problem(why, "%.120s: %.190s", n->settings->data_dir,
			r->problem);
		return false;
	}
	n->keeping.recovery_ms = clock_ms() - pr.began_ms;
	n->keeping.recovered_items = r->items;
	tell_recovery(n, r, n->keeping.recovery_ms);
	return true;
}

/* ---- what the keeper tells --------------------------------------------- */

static uint32_t on_now_s(void *arg)
{
	const struct node *n = arg;

	return store_clock_s(&n->clock, clock_ms());
}

static void wake_held(struct node *n)
{
	for (uint32_t i = 0; i < n->worker_count; i++) {
		worker_wake_held(&n->workers[i]);
	}
}

void keeping_committed(struct node *n, uint64_t lsn)
{
	gate_move(&n->gate, lsn);
	wake_held(n);
}

static void on_committed(void *arg, uint64_t lsn)
{
	keeping_committed(arg, lsn);
}

static void on_drained(void *arg)
{
	wake_held(arg);
}

static void on_changed(void *arg, enum keeper_state state)
{
	struct node *n = arg;
	bool failed = state == KEEPER_READ_ONLY || state == KEEPER_DISTRUST;

	atomic_store(&n->keeping.failed, failed);
	wake_held(n);
}

static bool make_keeper(struct node *n, const struct recovery *r, char *why)
{
	const struct settings *set = n->settings;
	struct keeper_config config = {
		.datadir = &n->keeping.datadir,
		.archive = n->keeping.archive,
		.store = n->store,
		.log = n->keeping.log,
		.sync = (enum sync_policy)set->sync,
		.window_bytes = set->log_window,
		.journal_file_bytes = set->journal_file_bytes,
		.snapshot_bytes = set->snapshot_bytes,
		.snapshot_every_s = set->snapshot_every_s,
		.journal_bytes = r->journal_bytes,
		.read_lsn = r->last_lsn,
		.now_s = on_now_s,
		.committed = on_committed,
		.drained = on_drained,
		.changed = on_changed,
		.arg = n,
	};
	int error = 0;

	n->keeping.keeper = keeper_new(&config, &error);
	if (n->keeping.keeper == NULL) {
		problem(why, "%.120s: the journal cannot be written: %s",
			set->data_dir, strerror(-error));
	}
	return n->keeping.keeper != NULL;
}

/*
 * A clock that was set back must not revive what had expired (L6).  It is
 * told, since times that clients give as Unix time are held against it.
 */
static void raise_clock(struct node *n, uint32_t at_s)
{
	uint64_t ms = clock_ms();
	uint32_t now_s = store_clock_s(&n->clock, ms);

	if (at_s > now_s && at_s - now_s >= CLOCK_BEHIND_S) {
		diag(DIAG_WARN,
		     "%s: the clock is %u s behind the newest change; items "
		     "expire by the time of that, which goes on from there",
		     n->settings->data_dir, at_s - now_s);
	}
	store_clock_raise(&n->clock, ms, at_s);
}

bool keeping_recover(struct node *n, char *why)
{
	struct recovery r = { 0 };

	if (n->keeping.dir == NULL) {
		return true;
	}
	log_charge(n->keeping.log, store_budget(n->store));
	if (n->keeping.datadir.fresh) {
		diag(DIAG_NOTE, "%s is a new data directory",
		     n->settings->data_dir);
	} else if (!read_files(n, &r, why)) {
		return false;
	}
	raise_clock(n, r.time);
	log_begin(n->keeping.log, r.next_lsn);
	if (n->keeping.replies_wait) {
		gate_move(&n->gate, r.next_lsn);
	}
	return make_keeper(n, &r, why);
}

/* ---- running and stopping ---------------------------------------------- */

int keeping_start(struct node *n)
{
	return n->keeping.keeper != NULL ? keeper_start(n->keeping.keeper) : 0;
}

bool keeping_stop(struct node *n)
{
	char why[PROBLEM_SIZE] = "";
	uint64_t began_ms = clock_ms();

	if (n->keeping.keeper == NULL) {
		return true;
	}
	diag(DIAG_NOTE, "writing what is to be kept to %s",
	     n->settings->data_dir);
	if (!keeper_stop(n->keeping.keeper, why)) {
		diag(DIAG_ERROR, "%s: the stop is not a clean one: %s",
		     n->settings->data_dir, why);
		return false;
	}
	diag(DIAG_NOTE, "%s is complete, after %llu ms", n->settings->data_dir,
	     (unsigned long long)(clock_ms() - began_ms));
	return true;
}

bool keeping_is_stuck(const struct keeping *k)
{
	return k->keeper != NULL && keeper_is_stuck(k->keeper);
}

/* ---- for workers ------------------------------------------------------- */

/* May the request change data?  mg does with some of its flags. */
static bool changes_data(const struct request *r)
{
	return (command_table[r->cmd].flags & CF_WRITE) != 0 ||
	       (r->cmd == CMD_MG && (meta_has(r, 'T') || meta_has(r, 'N')));
}

bool keeping_has_room(struct session *s)
{
	struct worker *w = s->worker;
	struct keeping *k = &w->node->keeping;

	if (!log_is_full(k->log)) {
		return true;
	}
	worker_count(w, log_waits);
	s->paused = true;
	s->waits_for_log = true;
	worker_hold(w, s);
	keeper_ask_room(k->keeper);
	/* While the journal fails, nobody will say that there is. */
	if (atomic_load(&k->failed)) {
		worker_wake_held(w);
	}
	return false;
}

enum admission keeping_admit(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct keeping *k = &w->node->keeping;

	if (!changes_data(r)) {
		return ADMIT_NOW;
	}
	if (atomic_load_explicit(&k->failed, memory_order_relaxed)) {
		worker_count(w, refused_read_only);
		return ADMIT_REFUSE;
	}
	if (!keeping_has_room(s)) {
		return ADMIT_LATER;
	}
	w->wrote = true;
	return ADMIT_NOW;
}

void keeping_ring(struct node *n)
{
	if (n->keeping.keeper != NULL) {
		keeper_ring(n->keeping.keeper);
	}
}

bool keeping_commits(const struct node *n)
{
	return !atomic_load(&n->keeping.failed);
}
