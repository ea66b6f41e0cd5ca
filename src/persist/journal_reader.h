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
 * A file is read step by step, so that others can use what is known to be good
 * while the rest is read: what the end turns out to be never takes back what
 * was good before.
 *
 * Thread rule: one thread; the records of an open one may be read by many, and
 * while it is still being read those in front of an `end` that was handed over.
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
	char *data;        /* the whole file, or what was read so far */
	size_t size;       /* of the file */
	size_t end;        /* where its good records that count end */
	uint64_t last_lsn; /* of them; header.lsn_before if there are none */
	uint64_t records;
	bool torn; /* something behind `end` was cut off: JOURNAL_TORN */
	char problem[PROBLEM_SIZE];
	/* For the reader itself. */
	struct dir *dir;
	const struct journal_link *link;
	int file;
	bool is_open; /* `file` */
	bool failed;
	bool ended; /* what is at `end` will never be a record that counts */
	size_t room;
	size_t loaded;
	size_t step;
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
 * The same in steps of `step` bytes.  Of `f`, which is zero or was finished
 * before, the memory is used again; `link` stays until the end.
 *
 *	check = journal_file_begin(f, dir, link, step);
 *	if (check == JOURNAL_GOOD) {
 *		do {
 *			use what is in front of f->end;
 *		} while (journal_file_more(f));
 *		check = journal_file_finish(f);
 *	}
 *	journal_file_close(f);
 *
 * Good is what a begin says of a file whose end is not known yet.
 */
enum { JOURNAL_STEP = 1 << 20 };

enum journal_check journal_file_begin(struct journal_file *f, struct dir *dir,
				      const struct journal_link *link,
				      size_t step);

/* False: all was read, or it cannot be. */
bool journal_file_more(struct journal_file *f);

/* After the last step: how does it end? */
enum journal_check journal_file_finish(struct journal_file *f);

/*
 * The record at *at (0 for the first), without its CRC being checked again;
 * moves *at behind it.  Skips marks.  False at the end.
 */
bool journal_file_next(const struct journal_file *f, size_t *at,
		       struct record *r);

/* The same, of the `data` of a file that is being read, up to an `end`. */
bool journal_next(const char *data, size_t end, size_t *at, struct record *r);

#endif
