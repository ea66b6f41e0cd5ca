/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A course of lives over one directory in memory, with notes of what was known
 * at each step of its history: so a state that a crash may leave at any of
 * them can be judged.
 *
 *  - It recovers, since nothing durable is lacking.
 *  - It is everything up to some LSN, and nothing else: every item, mark and
 *    cas token as clients saw it then.
 *  - That LSN is not below what was known to be durable; after kill -9, not
 *    below what was written.
 *  - The next LSN is above all that were drawn.
 *
 * What does not hold fails the test, and prints the history.
 */
#ifndef DOZO_TESTS_COURSE_H
#define DOZO_TESTS_COURSE_H

#include <stdint.h>

#include "base/rand.h"
#include "bed.h"
#include "ledger.h"
#include "memdir.h"

/* What was known when the history had reached a position. */
struct note {
	size_t position;
	uint64_t durable;
	uint64_t written;
	uint64_t drawn;
	uint64_t stopped; /* LSN of the last clean stop */
	uint32_t now;
};

struct course {
	uint64_t seed;
	struct memdir *m;
	struct bed bed;
	struct ledger ledger;
	struct rng dice;
	struct note *notes;
	size_t count;
	size_t room;
	size_t first; /* position at which this life began */
	uint64_t stopped;
	unsigned states; /* that were judged, and of which kind */
	unsigned clean_states;
	unsigned torn_states;
};

/* An empty directory. */
void course_init(struct course *c, uint64_t seed, uint32_t value_max);
void course_release(struct course *c);

/*
 * A life begins: false if it cannot, c->bed.problem; then course_die() must
 * follow.  Everything that recovery gives is compared.
 */
bool course_open(struct course *c, uint64_t file_bytes);

/* To be called after each thing that was done. */
void course_note(struct course *c);

/* A clean stop; 0 or a negative errno. */
int course_stop(struct course *c);

/* The life ends, and the directory stays as it is. */
void course_die(struct course *c);

/* The next life begins in a state that a crash may leave now. */
void course_crash(struct course *c, enum memdir_crash how);

/* Judges one state of those that a crash behind step `position` may leave. */
void course_judge(struct course *c, enum memdir_crash how, size_t position,
		  uint64_t seed);

#endif
