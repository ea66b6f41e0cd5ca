/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A `struct dir` in memory, for tests.  It records every operation, fails
 * those it is told to fail, and makes new directories that look as this one
 * may look after a crash at any point of its history.
 *
 * What a power loss leaves, as pessimistic as POSIX allows:
 *
 *  - of a file, what was there at its last successful dir_sync(); each later
 *    write wholly, not at all, or one side of a multiple of 512 bytes, each
 *    by itself, whatever the order was; where the file had grown, zeros,
 *    garbage or bytes of old writes may stand for what is missing;
 *  - of the names, those at the last successful dir_sync_names(); each later
 *    creation, rename and removal done or not done, each by itself;
 *  - after a sync that failed, what it should have made durable is settled in
 *    the same way, and no later sync can bring it back.
 *
 * What kill -9 leaves is all that was done, the last write perhaps in part.
 *
 * Names are of MEMDIR_NAME_SIZE at most.  No memory is a panic.  A rename to
 * any other directory is -EXDEV.
 *
 * Thread rule: any thread; but memdir_crash(), memdir_copy() and what gives a
 * pointer away want no other thread at work.
 */
#ifndef DOZO_TESTS_MEMDIR_H
#define DOZO_TESTS_MEMDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "io/file.h"

struct memdir;

enum memdir_op {
	MEMDIR_OPEN, /* of an existing file */
	MEMDIR_CREATE,
	MEMDIR_READ,
	MEMDIR_WRITE,
	MEMDIR_SYNC,
	MEMDIR_SIZE,
	MEMDIR_RENAME,
	MEMDIR_REMOVE,
	MEMDIR_SYNC_NAMES,
	MEMDIR_LIST,
	MEMDIR_LOCK,
	MEMDIR_OPS,
};

enum { MEMDIR_NAME_SIZE = 64 };

/* Empty. */
struct memdir *memdir_new(void);

/* The same as dir_free(memdir_dir(m)); NULL is fine. */
void memdir_free(struct memdir *m);

struct dir *memdir_dir(struct memdir *m);

/* As if the process had ended: its files are closed, its lock is gone. */
void memdir_end_process(struct memdir *m);

/* Files that are open. */
unsigned memdir_open_files(const struct memdir *m);

/* ---- failing ------------------------------------------------------------ */

#define MEMDIR_FOR_EVER UINT64_MAX

struct memdir_fault {
	unsigned ops;       /* which: bits, 1U << MEMDIR_WRITE and so on */
	const char *prefix; /* of the file's name, kept; NULL: any file */
	uint64_t skip;      /* calls that go well first */
	uint64_t times;     /* calls that fail then */
	int error;          /* a negative errno */
};

/*
 * Adds a fault, up to 4.  A call that fails does nothing; but a write leaves
 * half of its bytes, and for a sync see above.
 */
void memdir_fail(struct memdir *m, const struct memdir_fault *f);

/* Takes all faults away. */
void memdir_heal(struct memdir *m);

/* Calls that failed by a fault; calls of an operation in all. */
uint64_t memdir_hits(struct memdir *m);
uint64_t memdir_calls(struct memdir *m, enum memdir_op op);

/* Bytes that one write takes at most; 0 for any. */
void memdir_set_write_max(struct memdir *m, size_t bytes);

/* Bytes of all files together; then writes are short, then -ENOSPC. */
void memdir_set_capacity(struct memdir *m, uint64_t bytes);

/*
 * Called at the start of each operation, on its thread and under no lock, so
 * it may wait.  `name` is "" for what concerns the directory.
 */
void memdir_set_watch(struct memdir *m,
		      void (*watch)(void *arg, enum memdir_op op,
				    const char *name),
		      void *arg);

/* ---- looking ------------------------------------------------------------ */

/* The bytes of a file, to be read or spoilt; NULL: there is none. */
char *memdir_content(struct memdir *m, const char *name, size_t *size);

/* Cuts a file that is there, or puts zeros behind it; no part of history. */
void memdir_resize(struct memdir *m, const char *name, size_t size);

/*
 * Bytes of a file that a power loss cannot take: its size at the last sync in
 * front of the first that failed; 0 if its name is not durable.
 */
uint64_t memdir_durable_size(struct memdir *m, const char *name);

/* ---- crashing ----------------------------------------------------------- */

/* Steps of history so far: what changed something, or tried to sync. */
size_t memdir_position(struct memdir *m);

enum memdir_crash {
	MEMDIR_KILL,  /* kill -9 */
	MEMDIR_POWER, /* power loss */
};

/*
 * A new directory, as this one may look after a crash behind the first
 * `position` steps.  The same arguments give the same one.
 */
struct memdir *memdir_crash(const struct memdir *m, enum memdir_crash how,
			    size_t position, uint64_t seed);

/* The same content, with a history of its own. */
struct memdir *memdir_copy(const struct memdir *m);

/* Prints the history up to `position`, a line for each step. */
void memdir_tell(const struct memdir *m, size_t position, FILE *to);

#endif
