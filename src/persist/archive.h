/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clearing away: files that a complete snapshot makes superfluous leave the
 * data directory, for an archive if there is one.
 *
 *  A1. The oldest go first: what is left is always a whole end of the history,
 *      wherever a crash or a failure stops it.
 *  A2. Nothing in an archive is replaced but by the same file: a journal or a
 *      snapshot of the same directory and LSN, not shorter than it.
 *
 * Thread rule: one thread at a time for one directory.
 */
#ifndef DOZO_PERSIST_ARCHIVE_H
#define DOZO_PERSIST_ARCHIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "persist/datadir.h"

struct archive_work {
	struct dir *dir;
	uint64_t identity;   /* of the data directory */
	struct dir *archive; /* NULL: files are removed */
	uint64_t lsn;        /* of the snapshot that stands */
	/*
	 * Nothing follows that snapshot: the last journal goes too, and those
	 * that begin above it and have no records.
	 */
	bool last_too;
	const _Atomic bool *abandon; /* looked at between files; or NULL */
	/* What was done. */
	uint64_t moved;
	uint64_t removed;
	char problem[PROBLEM_SIZE]; /* why it stopped; the rest is there yet */
};

/* False: `problem`.  An abandoned work is no failure. */
bool archive_old_files(struct archive_work *w);

#endif
