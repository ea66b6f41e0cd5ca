/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the offline commands share: reading a snapshot to its last byte, and
 * texts for people.
 */
#ifndef DOZO_PERSIST_INSPECT_H
#define DOZO_PERSIST_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "log/record.h"
#include "persist/datadir.h"
#include "persist/journal_reader.h"
#include "persist/snapshot.h"

/* A data directory or archive. */
struct inspection {
	struct datadir files; /* their lists; and dir */
	bool is_datadir;      /* it has an identity file that is well */
	bool has_identity;    /* is_datadir, or the first header had one */
	uint64_t identity;
	const char *damage; /* of the identity file; NULL: none */
	struct journal_link *links;
};

/*
 * Reads names and headers.  False: `problem`, of PROBLEM_SIZE; it is neither,
 * or cannot be read.  inspect_close() must follow, whatever the result.
 */
bool inspect_open(struct inspection *i, struct dir *dir, char *problem);
void inspect_close(struct inspection *i);

/* A server may have moved it since its name was read. */
bool inspect_is_gone(struct dir *dir, enum file_kind kind, uint64_t lsn);

/*
 * Is the header of another data directory?  The first that is asked for in an
 * archive says of which the archive is.
 */
bool inspect_is_foreign(struct inspection *i, const struct file_header *h);

/*
 * As snapshot_open(), and reads and checks every block and every record in
 * it.  snapshot_close() must follow, whatever the result.
 */
bool inspect_snapshot(struct snapshot_file *f, struct dir *dir, uint64_t lsn);

/*
 * Prints `n` bytes: what is no visible ASCII, a blank, and a backslash as
 * \xNN.
 */
void inspect_escape(FILE *out, const char *bytes, size_t n);

/* The text behind "NAME: ", if it begins with that. */
const char *inspect_without_name(const char *problem, const char *name);

/*
 * The next record of a block that was read, as journal_file_next(); false at
 * its end, and with *bad where something is no record.
 */
bool inspect_block_next(const struct snapshot_block *b, size_t *at,
			struct record *r, bool *bad);

#endif
