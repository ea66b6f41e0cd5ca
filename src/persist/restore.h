/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking at data directories and archives offline: check, dump, restore.
 *
 * An archive is a directory that snapshots and journals were moved to; a data
 * directory serves as one too, also while a server uses it.
 *
 * Thread rule: one thread.
 */
#ifndef DOZO_PERSIST_RESTORE_H
#define DOZO_PERSIST_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "persist/datadir.h"

/*
 * Verifies every file of a data directory or archive, and prints a line for
 * each and a sum to `out`.  The number of damaged files; -1: not a data
 * directory or archive, or it cannot be read: `problem`, of PROBLEM_SIZE.  A
 * torn end is told, and is no damage.
 */
int check_directory(struct dir *dir, FILE *out, char *problem);

struct dump_config {
	bool all;    /* or the newest snapshot and what follows it */
	bool values; /* show them too */
	FILE *out;
};

/*
 * Prints every record readably, one to a line, snapshots first, and a line
 * that begins with '#' for each file.  Damage is told in such a line; of a
 * journal what lies before it is shown.  The number of damaged files; -1: as
 * above.
 */
int dump_directory(struct dir *dir, const struct dump_config *c, char *problem);

struct restore_config {
	struct dir *const *from; /* archives, and perhaps a data directory */
	size_t from_count;
	struct dir *into;      /* empty */
	uint64_t to_lsn;       /* UINT64_MAX: not by LSN */
	uint32_t to_time;      /* UINT32_MAX: not by time */
	uint64_t memory_limit; /* for the copy in memory; 0: what it needs */
	uint64_t identity;     /* of the new directory: a random number */
	uint32_t now;
	bool progress; /* show a line that changes: `out` is a terminal */
	FILE *out;     /* the course of it, and the result */
};

/*
 * Makes `into` a data directory with everything as it was at a point in time.
 * Whoever starts from it draws LSNs above all that the files in `from` may
 * have, by LSN_SKIP.  False: `problem`, and `into` is no data directory.
 */
bool restore_directory(const struct restore_config *c, char *problem);

#endif
