/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A test bed: one life of a node as far as its data goes, without threads and
 * without a clock.  A data directory is opened and recovered, changes are made
 * in the store, and the test decides when the journal is written and synced,
 * and when a snapshot takes its next step.
 *
 * It goes by the rules that the keeper goes by, in the same order.
 */
#ifndef DOZO_TESTS_BED_H
#define DOZO_TESTS_BED_H

#include <stdbool.h>
#include <stdint.h>

#include "log/log.h"
#include "persist/datadir.h"
#include "persist/journal.h"
#include "persist/recover.h"
#include "persist/snapshot.h"

struct store;
struct store_ctx;

struct bed {
	struct dir *dir;
	struct datadir data;
	bool data_open;
	struct log *log;
	struct store *store;
	struct store_ctx *ctx;
	struct recovery recovery;
	struct journal journal;
	struct log_cursor cursor;
	bool begun;
	bool distrust; /* a sync failed, and bed_begin_anew() has not yet
			  succeeded */
	struct snapshot_writer *snapshot; /* NULL: none is being taken */
	uint64_t snapshot_lsn;
	uint32_t now;     /* the test moves it */
	uint64_t durable; /* highest LSN that was reported to be so, */
	uint64_t written; /* and that the journal has */
	char problem[PROBLEM_SIZE];
};

/*
 * Opens the directory, makes it one if it is empty, and recovers.  False:
 * `problem`.  bed_close() must follow, whatever the result.
 */
bool bed_open(struct bed *b, struct dir *dir, uint32_t now);

/*
 * The same, but nothing in the directory is touched: for a look at what
 * recovery makes of it.
 */
bool bed_look(struct bed *b, struct dir *dir, uint32_t now);

/* Begins the journal of this life; 0 or a negative errno. */
int bed_begin(struct bed *b, uint64_t file_bytes);

/* Writes all that is in the log; 0 or a negative errno. */
int bed_write(struct bed *b);

/* Syncs what was written; what is durable now is in `durable`. */
int bed_sync(struct bed *b);

/* Begins a snapshot, the journal with a new file first. */
int bed_snapshot_begin(struct bed *b);

/*
 * One step; 1: there is more to do, 0: it stands, and old files are gone; or
 * a negative errno, and there is none.
 */
int bed_snapshot_step(struct bed *b);

/*
 * After a failed sync: a new journal, and a snapshot of its own, so that what
 * was acknowledged can be relied on again; 0 or a negative errno, and then it
 * is to be tried again.
 */
int bed_begin_anew(struct bed *b);

/* A clean stop; 0 or a negative errno. */
int bed_stop(struct bed *b);

/* Ends it as kill -9 would: nothing more is written. */
void bed_close(struct bed *b);

#endif
