/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A data directory as a whole: is it ours, is it whole enough to begin, and
 * which files are in it.
 *
 * A directory that is empty becomes one, if that is asked for.  One that is
 * missing, holds foreign files only, was made by another version, or has lost
 * its files is refused with the reason: it is never taken for empty.
 *
 * Thread rule: one thread.
 */
#ifndef DOZO_PERSIST_DATADIR_H
#define DOZO_PERSIST_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/file.h"
#include "persist/format.h"

struct datadir {
	struct dir *dir; /* by reference */
	uint64_t identity;
	uint64_t hash_seed;
	bool fresh; /* was made by this call */
	/* LSNs in the names of the files, ascending. */
	uint64_t *journals;
	size_t journal_count;
	uint64_t *snapshots;
	size_t snapshot_count;
};

enum datadir_how {
	DATADIR_SERVE,  /* lock it; make it if the directory is empty; remove
			   what was never completed */
	DATADIR_LOOK,   /* no lock, nothing is changed */
	DATADIR_CREATE, /* it must be empty, and becomes one; locked */
};

/*
 * `identity` and `hash_seed` are for one that is made.  False: `problem`, of
 * PROBLEM_SIZE, says what and why in one line, without the path.
 */
bool datadir_open(struct datadir *d, struct dir *dir, enum datadir_how how,
		  uint64_t identity, uint64_t hash_seed, uint32_t now,
		  char *problem);

/* Reads the list of files again; 0 or a negative errno. */
int datadir_scan(struct datadir *d);

/* Frees the lists; the dir stays the caller's. */
void datadir_close(struct datadir *d);

#endif
