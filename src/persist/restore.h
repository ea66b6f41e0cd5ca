/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking at data directories and archives offline: check, dump, restore.
 *
 * An archive is a directory that snapshots and journals were moved to; a data
 * directory whose server is stopped serves as one too.
 */
#ifndef DOZO_PERSIST_RESTORE_H
#define DOZO_PERSIST_RESTORE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "persist/datadir.h"

/*
 * Verifies every file of a data directory or archive, and prints a line for
 * each and a sum to `out`.  The number of damaged files; -1: not a data
 * directory or archive.  A torn end is told, and is no damage.
 */
int check_directory(struct dir *dir, FILE *out, char *problem);

/*
 * Prints every record readably, one to a line: snapshots first if `all`, else
 * only the newest and the journals behind it.  False: `problem`.
 */
bool dump_directory(struct dir *dir, bool all, FILE *out, char *problem);

struct restore_config {
	struct dir *const *from; /* archives, and perhaps a data directory */
	size_t from_count;
	struct dir *into;      /* empty */
	uint64_t to_lsn;       /* UINT64_MAX: not by LSN */
	uint32_t to_time;      /* UINT32_MAX: not by time */
	uint64_t memory_limit; /* for the copy in memory */
	uint32_t now;
	FILE *out; /* progress and result */
};

/*
 * Makes `into` a data directory with everything as it was at a point in time.
 * Whoever starts from it draws LSNs above all that were ever drawn.  False:
 * `problem`, and `into` is no data directory.
 */
bool restore_directory(const struct restore_config *c, char *problem);

#endif
