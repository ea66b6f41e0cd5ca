/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory is listed anew each time: the keeper's list is of its start.
 *
 * A journal can go when the next one begins at or below the snapshot's LSN
 * plus one, for then all its records are in the snapshot.  The last one has
 * none behind it, and is being written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "persist/archive.h"
#include "persist/format.h"

static bool fail(struct archive_work *w, const char *what, const char *name,
		 int error)
{
	snprintf(w->problem, sizeof(w->problem), "%s %s: %s", what, name,
		 strerror(-error));
	return false;
}

static bool refuse(struct archive_work *w, const char *name, const char *why)
{
	snprintf(w->problem, sizeof(w->problem),
		 "the archive has another file %s (%s)", name, why);
	return false;
}

/* The size of a file, or a negative errno. */
static int64_t size_of(struct dir *d, const char *name)
{
	int file = dir_open(d, name, FILE_READ);
	int64_t size;

	if (file < 0) {
		return file;
	}
	size = dir_size(d, file);
	dir_close(d, file);
	return size;
}

/* Is the archive's file of this name the one that it may become (A2)? */
static bool same_file(struct archive_work *w, const char *name, int file,
		      enum file_kind kind, uint64_t lsn)
{
	char head[HEADER_SIZE];
	struct file_header h;
	const char *wrong;
	int64_t there, here;
	long got = dir_read(w->archive, file, head, sizeof(head), 0);

	if (got < 0) {
		return fail(w, "archive: cannot read", name, (int)got);
	}
	wrong = got == HEADER_SIZE ? header_read(head, kind, &h) :
				     "not a file of dozo";
	if (wrong != NULL) {
		return refuse(w, name, wrong);
	}
	if (h.identity != w->identity || h.lsn != lsn) {
		return refuse(w, name, "of another data directory");
	}
	there = dir_size(w->archive, file);
	here = size_of(w->dir, name);
	if (there < 0 || here < 0) {
		return fail(w, "archive: cannot read", name,
			    (int)(there < 0 ? there : here));
	}
	if (kind == FILE_JOURNAL && there > here) {
		return refuse(w, name, "a longer one");
	}
	return true;
}

static bool may_move(struct archive_work *w, const char *name,
		     enum file_kind kind, uint64_t lsn)
{
	int file = dir_open(w->archive, name, FILE_READ);
	bool same;

	if (file == -ENOENT) {
		return true;
	}
	if (file < 0) {
		return fail(w, "archive: cannot open", name, file);
	}
	same = same_file(w, name, file, kind, lsn);
	dir_close(w->archive, file);
	return same;
}

static bool has_no_records(struct archive_work *w, const char *name)
{
	int64_t size = size_of(w->dir, name);

	return size >= 0 && size <= HEADER_SIZE;
}

static bool clear_by_removing(struct archive_work *w, const char *name)
{
	int error = dir_remove(w->dir, name);

	if (error < 0) {
		return fail(w, "cannot remove", name, error);
	}
	w->removed++;
	return true;
}

static bool clear(struct archive_work *w, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	int error;

	file_name(name, kind, lsn);
	if (w->archive == NULL) {
		return clear_by_removing(w, name);
	}
	if (!may_move(w, name, kind, lsn)) {
		return false;
	}
	error = dir_move(w->dir, name, w->archive);
	if (error < 0) {
		return fail(w, "cannot archive", name, error);
	}
	w->moved++;
	return true;
}

/*
 * Those that begin above the snapshot go first of all, and to no archive: the
 * next run will begin one of the same name.
 */
static bool clear_unused(struct archive_work *w, struct datadir *d)
{
	char name[FILE_NAME_SIZE];

	while (d->journal_count > 0 &&
	       d->journals[d->journal_count - 1] > w->lsn) {
		file_name(name, FILE_JOURNAL,
			  d->journals[d->journal_count - 1]);
		if (!has_no_records(w, name)) {
			snprintf(w->problem, sizeof(w->problem),
				 "%s has records above the snapshot", name);
			return false;
		}
		if (!clear_by_removing(w, name)) {
			return false;
		}
		d->journal_count--;
	}
	return true;
}

static bool journal_goes(const struct archive_work *w, const struct datadir *d,
			 size_t i)
{
	if (i + 1 < d->journal_count) {
		return d->journals[i + 1] - 1 <= w->lsn;
	}
	return i < d->journal_count && w->last_too;
}

/* In the order of the LSNs in their names (A1). */
static bool clear_listed(struct archive_work *w, struct datadir *d)
{
	size_t j = 0, s = 0;

	if (w->last_too && !clear_unused(w, d)) {
		return false;
	}
	for (;;) {
		bool journal = journal_goes(w, d, j);
		bool snapshot = s < d->snapshot_count &&
				d->snapshots[s] < w->lsn;

		if (!journal && !snapshot) {
			return true;
		}
		if (w->abandon != NULL && atomic_load(w->abandon)) {
			return true;
		}
		if (journal &&
		    (!snapshot || d->journals[j] <= d->snapshots[s])) {
			if (!clear(w, FILE_JOURNAL, d->journals[j++])) {
				return false;
			}
		} else if (!clear(w, FILE_SNAPSHOT, d->snapshots[s++])) {
			return false;
		}
	}
}

bool archive_old_files(struct archive_work *w)
{
	struct datadir d = { .dir = w->dir };
	bool done;
	int error = datadir_scan(&d);

	w->moved = 0;
	w->removed = 0;
	w->problem[0] = '\0';
	if (error < 0) {
		datadir_close(&d);
		return fail(w, "cannot list", "the data directory", error);
	}
	done = clear_listed(w, &d);
	if (w->removed > 0) {
		error = dir_sync_names(w->dir);
		if (error < 0 && done) {
			done = fail(w, "cannot sync", "the data directory",
				    error);
		}
	}
	datadir_close(&d);
	return done;
}
