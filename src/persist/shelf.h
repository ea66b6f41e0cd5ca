/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several archives and data directories as one directory, for reading: the
 * journals and snapshots of all of them, each name once.  What stands in two
 * places is taken from where it is whole and longer: a server may have been
 * stopped while it moved a file.
 *
 * All must be of the same data directory, as their headers say.
 *
 * Thread rule: one thread makes it, hides and cuts files; then any thread
 * opens, reads and closes.
 */
#ifndef DOZO_PERSIST_SHELF_H
#define DOZO_PERSIST_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "io/file.h"
#include "persist/datadir.h"
#include "persist/format.h"

struct shelf_file {
	enum file_kind kind;
	uint64_t lsn;
	uint64_t size;
	size_t from;        /* which directory */
	const char *damage; /* of its header; NULL: none */
	bool hidden;
	uint64_t cut; /* where it is shown to end; UINT64_MAX: where it does */
	struct file_header header; /* if it is well */
};

enum { SHELF_OPEN_MAX = 64 };

struct shelf_open {
	struct dir *dir; /* NULL: this entry is free */
	int file;        /* of it */
	uint64_t cut;
};

struct shelf {
	struct dir dir; /* the head: a shelf is a directory */
	struct dir *const *from;
	size_t from_count;
	struct shelf_file *files; /* by kind and LSN */
	size_t file_count;
	size_t file_room;
	struct lock lock; /* the table of open files */
	struct shelf_open open[SHELF_OPEN_MAX];
	uint64_t identity;
	uint64_t hash_seed;
	/* No record in any of the files has a higher LSN. */
	uint64_t lsn_bound;
};

/*
 * The directories and the array stay the caller's.  False: `problem`, of
 * PROBLEM_SIZE.  shelf_close() must follow, whatever the result.
 */
bool shelf_open(struct shelf *s, struct dir *const *from, size_t from_count,
		char *problem);
void shelf_close(struct shelf *s);

/* From now on it is as if these files were not there. */
void shelf_hide_above(struct shelf *s, enum file_kind kind, uint64_t lsn);
void shelf_hide_below(struct shelf *s, enum file_kind kind, uint64_t lsn);

/* From now on it is as if the file had ended there. */
void shelf_cut(struct shelf *s, enum file_kind kind, uint64_t lsn,
	       uint64_t bytes);

/*
 * What datadir_open() would say of it, if it had an identity of its own;
 * datadir_close() must follow.  False: no memory, or an error: `problem`.
 */
bool shelf_datadir(struct shelf *s, struct datadir *d, char *problem);

#endif
