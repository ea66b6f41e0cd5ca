/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a journal: one file at a time, whole, checked, and cut where its
 * records end.
 *
 * A file may end torn: what was written after the last sync may be missing,
 * cut short or garbage, also in the middle.  Such an end is cut off and told.
 * But when something shows that the place had been durable - a mark of a later
 * sync (J3), or a later file (J1) - a bad record there is damage, and damage is
 * an error, never an end.
 *
 * Thread rule: one thread; the records of an open one may be read by many.
 */
#ifndef DOZO_PERSIST_JOURNAL_READER_H
#define DOZO_PERSIST_JOURNAL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/file.h"
#include "log/record.h"
#include "persist/format.h"

struct journal_file {
	struct file_header header;
	char *data;        /* the whole file */
	size_t size;       /* of the file */
	size_t end;        /* where its good records end */
	uint64_t last_lsn; /* of them; header.lsn_before if there are none */
	uint64_t records;
	bool torn; /* something behind `end` was cut off */
	char problem[320];
};

enum journal_check {
	JOURNAL_GOOD,
	JOURNAL_TORN,    /* the same, but its end is cut: `problem` says how */
	JOURNAL_EMPTY,   /* not even a header, and no other file follows: it
			    was never used */
	JOURNAL_DAMAGED, /* `problem` says what and where */
	JOURNAL_ERROR,   /* it cannot be read: `problem` */
};

/*
 * Reads and checks journal-`lsn`.  `is_last`: no later journal exists.
 * journal_file_close() must follow, whatever the result.
 */
enum journal_check journal_file_open(struct journal_file *f, struct dir *dir,
				     uint64_t lsn, bool is_last);
void journal_file_close(struct journal_file *f);

/*
 * The record at *at (0 for the first), without its CRC being checked again;
 * moves *at behind it.  Skips marks.  False at the end.
 */
bool journal_file_next(const struct journal_file *f, size_t *at,
		       struct record *r);

#endif
