/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files in a data directory are called, and how each begins.
 * docs/formats/files.md describes them for people.
 *
 *	dozo			what the directory is; written once
 *	lock			locked by the process that uses it
 *	journal-LSN		records; LSN (16 hex digits) is of the first
 *	snapshot-LSN		all items; what is at or below LSN is in it
 *	*.part			on its way to be complete; removed at a start
 *
 * Every file begins with the same header, of HEADER_SIZE bytes:
 *
 *	offset	bytes
 *	0	8	"dozo\r\n\x1a\n"
 *	8	4	FORMAT_VERSION
 *	12	4	kind of file (enum file_kind)
 *	16	8	identity of the data directory
 *	24	8	LSN: see the name; 0 for FILE_IDENTITY
 *	32	8	LSN before it: of a journal, up to where those in
 *			front of it count
 *	40	8	seed of the hash
 *	48	4	store time at which it was begun
 *	52	8	LSN floor: whoever goes on from here draws above it;
 *			of a journal: 0, or it counts only behind a snapshot
 *			at or above it
 *	60	4	CRC32C of bytes 0 to 59
 *
 * Numbers are little-endian.
 */
#ifndef DOZO_PERSIST_FORMAT_H
#define DOZO_PERSIST_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/file.h"

/*
 * A development build writes another version than a release will, so that its
 * files are never taken for those of a release.
 */
#define FORMAT_RELEASE 1U
#if DOZO_RELEASE_FORMAT
#define FORMAT_VERSION FORMAT_RELEASE
#else
#define FORMAT_VERSION (0x80000000U | FORMAT_RELEASE)
#endif

enum { HEADER_SIZE = 64, FILE_NAME_SIZE = 40 };

/* Room for a line for people that says what is wrong. */
enum { PROBLEM_SIZE = 320 };

enum file_kind { FILE_IDENTITY = 1, FILE_JOURNAL = 2, FILE_SNAPSHOT = 3 };

#define NAME_IDENTITY "dozo"
#define NAME_LOCK "lock"

struct file_header {
	uint32_t kind;
	uint32_t time;
	uint64_t identity;
	uint64_t lsn;
	uint64_t lsn_before;
	uint64_t hash_seed;
	uint64_t lsn_floor;
};

void header_write(char to[HEADER_SIZE], const struct file_header *h);

/*
 * NULL if it is well; else what is wrong with it, a static text for people:
 * "not a file of dozo", "made by another version of dozo", "the header is
 * damaged", ...
 */
const char *header_read(const char from[HEADER_SIZE], enum file_kind kind,
			struct file_header *h);

/* "journal-00000000000001a4"; to of FILE_NAME_SIZE. */
void file_name(char *to, enum file_kind kind, uint64_t lsn);

/* The opposite; false for a name of another form. */
bool file_name_parse(const char *name, enum file_kind *kind, uint64_t *lsn);

/* One of ours that was on its way: of another name ending so it says no. */
bool file_name_is_part(const char *name);

/*
 * Makes a file of nothing but a header, in the place of the one of that name
 * if there is one: written as `name`.part, synced, renamed, and the names
 * synced.  So what has a file's name has its header.  Returns the file, open
 * for writing, or a negative errno; `*named`: it may have its name, even so.
 */
int header_file_make(struct dir *dir, const char *name,
		     const struct file_header *h, bool *named);

/*
 * The number that a RECORD_MARK carries, at `offset` of a journal: a value of
 * a client that looks like a mark, or one of another place, is none.
 */
uint64_t mark_seal(const struct file_header *h, uint64_t lsn, uint64_t offset);

#endif
