/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a point in time to the files that lead there: which snapshot to begin
 * with, which journals follow, and which LSN the point is.
 *
 * A point is a place in the line of changes: all that is at or below its LSN
 * has happened, nothing that is above has.  "Up to a time" means up to the
 * first change that is later, in the order of LSNs.
 *
 *  P1. A snapshot serves only if nothing in it is above the point: it shows
 *      some of the changes that happened while it was taken.
 *  P2. Every change between the snapshot and the point is in a journal.  A
 *      line that lacks some is refused.
 *  P3. A journal with an lsn_floor follows a failed sync: what is below that
 *      was in memory, and is in snapshots from there on.  Only these lead on.
 */
#ifndef DOZO_PERSIST_RESTORE_PLAN_H
#define DOZO_PERSIST_RESTORE_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "persist/shelf.h"

struct restore_plan {
	uint64_t snapshot_lsn; /* 0: begin with nothing */
	uint64_t snapshot_items;
	uint64_t snapshot_raw_bytes;
	uint32_t snapshot_time;
	uint64_t journals; /* to be read */
	uint64_t journal_bytes;
	uint64_t point;      /* LSN */
	uint32_t point_time; /* store time of the last change up to it */
	/* The first change that is left out; next_lsn 0: none is known. */
	uint64_t next_lsn;
	uint32_t next_time;
	uint8_t next_kind;
};

struct restore_goal {
	uint64_t to_lsn;  /* UINT64_MAX: not by LSN */
	uint32_t to_time; /* UINT32_MAX: not by time */
	bool progress;    /* show which file is read: `out` is a terminal */
	FILE *out;        /* what was passed over on the way is told there */
};

/*
 * Finds it, and hides what is not needed in the shelf, so that recover() of
 * the shelf up to `point` gives that point.  False: `problem`, of
 * PROBLEM_SIZE.
 */
bool restore_plan_make(struct restore_plan *p, struct shelf *s,
		       const struct restore_goal *goal, char *problem);

#endif
