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
 * The journals of a directory form a line (J5).  journal_line() reads the
 * headers of all of them and says up to where each counts: what a file has
 * above the lowest lsn_before of those behind it was given up by whoever began
 * that one.  A file that begins above it does not count at all.  The line also
 * ends, for who reads it, in front of a file whose header has an lsn_floor
 * above the reader's snapshot: it follows a failed sync, and what is between
 * them is nowhere.
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

/* A file's place in the line. */
struct journal_link {
	uint64_t lsn;   /* in the name: its first */
	uint64_t until; /* the last LSN that counts; UINT64_MAX: all */
	uint64_t next;  /* the journal that says so; 0: none follows */
	bool counts;    /* false: no record of it does */
	struct file_header header;
	char problem[PROBLEM_SIZE]; /* what is wrong with the header, or "" */
};

/*
 * The line of `count` journals with the names `lsns`, ascending; `link` has
 * room for all.  False: some have a `problem`.  That files follow each other
 * without a gap is seen when they are opened; the first is the caller's to
 * judge.
 */
bool journal_line(struct dir *dir, const uint64_t *lsns, size_t count,
		  struct journal_link *link);

struct journal_file {
	struct file_header header;
	char *data;        /* the whole file */
	size_t size;       /* of the file */
	size_t end;        /* where its good records that count end */
	uint64_t last_lsn; /* of them; header.lsn_before if there are none */
	uint64_t records;
	bool torn; /* something behind `end` was cut off: JOURNAL_TORN */
	char problem[PROBLEM_SIZE];
};

enum journal_check {
	JOURNAL_GOOD,
	JOURNAL_TORN,    /* the same, but its end is cut: `problem` says how */
	JOURNAL_DAMAGED, /* `problem` says what and where */
	JOURNAL_ERROR,   /* it cannot be read: `problem` */
};

/*
 * Reads and checks a journal.  One that ends before what the next says stands
 * in front of it is damaged; a reader that has all up to `until` from a
 * snapshot need not open it.  journal_file_close() must follow, whatever the
 * result.
 */
enum journal_check journal_file_open(struct journal_file *f, struct dir *dir,
				     const struct journal_link *link);
void journal_file_close(struct journal_file *f);

/*
 * The record at *at (0 for the first), without its CRC being checked again;
 * moves *at behind it.  Skips marks.  False at the end.
 */
bool journal_file_next(const struct journal_file *f, size_t *at,
		       struct record *r);

#endif
