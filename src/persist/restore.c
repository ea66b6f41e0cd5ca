/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A point in time: the plan says which files lead there, recovery loads them
 * into a store, and a snapshot of that store is the new directory.
 *
 * The directory's identity file is made last.  Without it no server starts
 * from the directory, so an end in the middle leaves nothing that could be
 * taken for all.
 *
 * The new snapshot is named by an LSN above all that the old line of changes
 * may have drawn.  So no cas token is used twice (L2), and journals of the old
 * line, if they get into the directory, are below the snapshot and are not
 * applied.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "persist/journal.h"
#include "persist/recover.h"
#include "persist/restore.h"
#include "persist/restore_plan.h"
#include "persist/shelf.h"
#include "persist/snapshot.h"
#include "persist/when.h"
#include "store/store.h"

struct restore {
	const struct restore_config *config;
	struct shelf shelf;
	struct restore_plan plan;
	struct store *store;
	struct recovery recovery;
	uint64_t lsn; /* of the new snapshot */
	bool begun;   /* the new directory is locked, and ours */
	bool complete;
	char *problem;
};

static bool fail(struct restore *r, const char *what, int error)
{
	snprintf(r->problem, PROBLEM_SIZE, "%s: %s", what, strerror(-error));
	return false;
}

/* ---- the new directory -------------------------------------------------- */

static void see_name(void *arg, const char *name)
{
	char *seen = arg;

	if (strcmp(name, NAME_LOCK) != 0 && strcmp(name, "lost+found") != 0 &&
	    !file_name_is_part(name)) {
		snprintf(seen, PROBLEM_SIZE, "%.100s", name);
	}
}

static bool is_empty(struct restore *r)
{
	char seen[PROBLEM_SIZE] = "";
	int result = dir_list(r->config->into, see_name, seen);

	if (result < 0) {
		return fail(r, "the new directory cannot be listed", result);
	}
	if (seen[0] != '\0') {
		snprintf(r->problem, PROBLEM_SIZE,
			 "the new directory is not empty: there is %.120s",
			 seen);
	}
	return seen[0] == '\0';
}

static bool make_identity(struct restore *r)
{
	struct file_header h = {
		.kind = FILE_IDENTITY,
		.time = r->config->now,
		.identity = r->config->identity,
		.hash_seed = r->shelf.hash_seed,
	};
	bool named;
	int file = header_file_make(r->config->into, NAME_IDENTITY, &h, &named);

	if (file < 0) {
		return fail(r, "the new directory", file);
	}
	dir_close(r->config->into, file);
	return true;
}

static void show_writing(struct restore *r, const struct snapshot_writer *w)
{
	struct snapshot_progress p;

	if (r->config->progress) {
		snapshot_progress(w, &p);
		fprintf(r->config->out,
			"\rwriting: %llu items, %llu MiB, %.0f %% ",
			(unsigned long long)p.items,
			(unsigned long long)(p.file_bytes / MIB), p.done * 100);
		fflush(r->config->out);
	}
}

static void clear_line(struct restore *r)
{
	if (r->config->progress) {
		fprintf(r->config->out, "\r%60s\r", "");
	}
}

/* All steps; the line of progress changes a hundred times. */
static int write_steps(struct restore *r, struct snapshot_writer *w)
{
	struct snapshot_progress p;
	double shown = 0;
	int result;

	while ((result = snapshot_step(w, r->plan.point_time)) == 1) {
		snapshot_progress(w, &p);
		if (p.done >= shown + 0.01) {
			shown = p.done;
			show_writing(r, w);
		}
	}
	clear_line(r);
	return result;
}

static bool write_snapshot(struct restore *r)
{
	struct store_stats stats;
	struct snapshot_config config = {
		.dir = r->config->into,
		.store = r->store,
		.ctx = store_ctx_new(r->store),
		.identity = r->config->identity,
		.hash_seed = r->shelf.hash_seed,
		.lsn = r->lsn,
		.lsn_floor = r->lsn,
		.flush_at = store_flush_pending(r->store),
		.clean = true,
	};
	struct snapshot_writer *w = NULL;
	int result = -ENOMEM;

	store_stats(r->store, &stats);
	config.barrier = stats.barrier;
	if (config.ctx != NULL) {
		w = snapshot_begin(&config, r->plan.point_time, &result);
	}
	if (w != NULL) {
		result = write_steps(r, w);
		snapshot_end(w);
	}
	store_ctx_free(config.ctx);
	return result == 0 || fail(r, "the new snapshot", result);
}

static bool write_directory(struct restore *r)
{
	int result = dir_lock(r->config->into, NAME_LOCK);

	if (result < 0) {
		return fail(r, "the new directory cannot be locked", result);
	}
	r->begun = is_empty(r);
	r->complete = r->begun && write_snapshot(r) && make_identity(r);
	return r->complete;
}

/*
 * What was begun and not completed is taken away again.  It was empty when it
 * was locked, so nobody else's is.
 */
static void undo(struct restore *r)
{
	struct dir *into = r->config->into;
	char name[FILE_NAME_SIZE];

	file_name(name, FILE_SNAPSHOT, r->lsn);
	dir_remove(into, NAME_IDENTITY);
	dir_remove(into, NAME_IDENTITY ".part");
	dir_remove(into, name);
	dir_remove(into, NAME_LOCK);
	dir_sync_names(into);
}

/* ---- the old files ------------------------------------------------------ */

static void show_loading(void *arg, const struct recover_progress *p)
{
	struct restore *r = arg;
	double done = p->bytes_total > 0 ?
			      (double)p->bytes_done / (double)p->bytes_total :
			      1;

	fprintf(r->config->out, "\rloading: %llu items, %llu MiB, %.0f %% ",
		(unsigned long long)p->items,
		(unsigned long long)(p->bytes_done / MIB), done * 100);
	fflush(r->config->out);
}

/*
 * An item takes fewer bytes in memory than its record does, but old versions
 * of it take some until they are cleaned away; 64 MiB are for the table of a
 * small store.  It is a limit only: what is not needed is not taken.  But old
 * versions stay until the limit is near, so it is never more than the machine
 * has.
 */
static uint64_t memory_needed(const struct restore *r)
{
	uint64_t needed = 64 * MIB + 2 * (r->plan.snapshot_raw_bytes +
					  r->plan.journal_bytes);
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			   (uint64_t)sysconf(_SC_PAGESIZE);

	return needed < machine ? needed : machine;
}

static bool make_store(struct restore *r)
{
	uint64_t limit = r->config->memory_limit != 0 ?
				 r->config->memory_limit :
				 memory_needed(r);
	struct store_config config = {
		.memory_limit = limit,
		.memory_reserve = limit,
		.hash_seed = r->shelf.hash_seed,
		.first_lsn = r->plan.point,
	};

	r->store = store_new(&config);
	if (r->store == NULL) {
		snprintf(r->problem, PROBLEM_SIZE,
			 "%llu MiB of memory cannot be had",
			 (unsigned long long)(limit / MIB));
	}
	return r->store != NULL;
}

static bool load(struct restore *r)
{
	struct recover_config config = {
		.store = r->store,
		.now = r->plan.point_time,
		.to_lsn = r->plan.point,
		.to_time = UINT32_MAX,
		.progress = r->config->progress ? show_loading : NULL,
		.progress_arg = r,
	};
	struct datadir d;
	bool ok = shelf_datadir(&r->shelf, &d, r->problem);

	if (ok) {
		ok = recover(&d, &config, &r->recovery);
		if (!ok) {
			snprintf(r->problem, PROBLEM_SIZE, "%s",
				 r->recovery.problem);
		}
	}
	datadir_close(&d);
	clear_line(r);
	return ok;
}

/* ---- what people are told ----------------------------------------------- */

static void tell_plan(const struct restore *r)
{
	const struct restore_plan *p = &r->plan;
	char local[WHEN_SIZE];
	FILE *out = r->config->out;

	if (p->snapshot_lsn != 0) {
		fprintf(out,
			"from snapshot-%016llx: LSN %llu, %llu items, of %s\n",
			(unsigned long long)p->snapshot_lsn,
			(unsigned long long)p->snapshot_lsn,
			(unsigned long long)p->snapshot_items,
			when_local(local, p->snapshot_time));
	} else {
		fprintf(out, "from the beginning: no snapshot is needed\n");
	}
	fprintf(out, "and %llu journal%s: up to LSN %llu, of %s\n",
		(unsigned long long)p->journals, p->journals == 1 ? "" : "s",
		(unsigned long long)p->point, when_local(local, p->point_time));
	if (p->next_lsn != 0) {
		const char *kind = record_kind_name(p->next_kind);

		fprintf(out, "left out from LSN %llu on: %s, of %s\n",
			(unsigned long long)p->next_lsn,
			kind != NULL ? kind : "?",
			when_local(local, p->next_time));
	} else if (r->config->to_time != UINT32_MAX) {
		fprintf(out,
			"attention: nothing is known of what followed; if the "
			"server went on, name its\n"
			"data directory with --archive too\n");
	}
}

static void tell_result(const struct restore *r)
{
	char local[WHEN_SIZE];
	FILE *out = r->config->out;
	uint32_t flush_at = store_flush_pending(r->store);

	if (flush_at != 0) {
		fprintf(out,
			"attention: a flush_all that was ordered before that "
			"point is pending, for %s;\n"
			"whoever starts from here after that time has no "
			"items\n",
			when_local(local, flush_at));
	}
	if (r->recovery.expired != 0) {
		fprintf(out, "%llu items had expired by then\n",
			(unsigned long long)r->recovery.expired);
	}
	fprintf(out,
		"restored: %llu items, in snapshot-%016llx; new changes get "
		"LSNs above %llu\n",
		(unsigned long long)r->recovery.items,
		(unsigned long long)r->lsn, (unsigned long long)r->lsn);
}

bool restore_directory(const struct restore_config *c, char *problem)
{
	struct restore r = { .config = c, .problem = problem };
	struct restore_goal goal = { .to_lsn = c->to_lsn,
				     .to_time = c->to_time,
				     .progress = c->progress,
				     .out = c->out };

	if (!shelf_open(&r.shelf, c->from, c->from_count, problem) ||
	    !is_empty(&r) ||
	    !restore_plan_make(&r.plan, &r.shelf, &goal, problem)) {
		goto out;
	}
	if (r.shelf.lsn_bound > UINT64_MAX - 3 * LSN_SKIP) {
		snprintf(problem, PROBLEM_SIZE, "there are no LSNs above %llu",
			 (unsigned long long)r.shelf.lsn_bound);
		goto out;
	}
	tell_plan(&r);
	r.lsn = r.shelf.lsn_bound + LSN_SKIP;
	if (make_store(&r) && load(&r) && write_directory(&r)) {
		tell_result(&r);
	}
	if (r.begun && !r.complete) {
		undo(&r);
	}
out:
	if (r.store != NULL) {
		store_free(r.store);
	}
	shelf_close(&r.shelf);
	return r.complete;
}
