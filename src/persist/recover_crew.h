/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crew: the threads that recovery puts records into the store with.
 *
 * A snapshot has each key once, so each hand takes the next block that nobody
 * has.  In a journal the records of a key must stay in their order, so each
 * hand has its part of the keys; the first one has also what has no key.
 *
 * The calling thread reads the journal, checks it, and deals its records out in
 * batches: one is filled while the hand is busy with the other.  It tells of
 * the progress, and waits for the hands.  A hand that is alone, or gets no
 * thread, has none of its own: the calling one does its work.
 *
 * A journal has its keys in no order, so that each record would be a walk to
 * another corner of the tables.  The hand sorts a batch by that (and what is of
 * one place stays in its order): then it goes through the tables from one end
 * to the other, and what it jumps about in are the records, of which it knows
 * beforehand where they are.
 *
 * How many items there will be is known of a snapshot, and guessed of journals
 * from what came of them so far, so that the tables grow in few steps.  What
 * was too much is given back at the end, or when memory gets short.
 */
#ifndef DOZO_PERSIST_RECOVER_CREW_H
#define DOZO_PERSIST_RECOVER_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pthread.h>

#include "base/lock.h"
#include "io/bell.h"
#include "persist/journal_reader.h"
#include "persist/recover.h"
#include "persist/snapshot.h"
#include "store/store.h"

struct crew;

enum {
	CREW_MAX = 16,
	/* Records whose places in memory are asked for at once: enough for the
	 * waits to overlap, few enough for the first to be there still when
	 * the last one was asked for. */
	HAND_AHEAD = 32,
	/* Records in a batch: a few for each table. */
	BATCH_MIN = 1 << 10,
	BATCH_MAX = 1 << 16,
	/* Batches of a hand. */
	HAND_BATCHES = 2,
};

/* A record that is to be applied. */
struct job {
	uint64_t hash;  /* of its key; 0 if it has none */
	const char *at; /* it was checked */
};

struct batch {
	struct job *jobs;
	unsigned count;
	size_t bytes; /* of its records */
};

struct hand {
	struct crew *crew;
	pthread_t thread;
	bool started;
	struct store_ctx *ctx;
	struct snapshot_block block;
	/* Of a journal: batches, numbered from 0. */
	struct bell bell; /* there is one more */
	void *memory;     /* of what follows */
	struct batch batches[HAND_BATCHES];
	struct job *sorted;
	uint32_t *places; /* where the next one of each sort goes */
	_Atomic unsigned given;
	_Atomic unsigned done;
	struct store_key keys[HAND_AHEAD];
	struct record ahead[HAND_AHEAD];
	uint64_t expired;
	uint64_t not_kept;
};

struct crew {
	const struct recover_config *config;
	struct hand hands[CREW_MAX];
	unsigned count;
	uint64_t limit; /* of the store's memory, as it was configured */
	struct bell bell;
	_Atomic unsigned working;
	/* What is being worked at: one of them. */
	const struct snapshot_file *snapshot;
	_Atomic uint64_t next_block;
	uint32_t expired_at;
	/* Of a journal. */
	uint64_t above;     /* LSN: what is */
	size_t dealt;       /* bytes of which the records were dealt out */
	unsigned batch_now; /* records in a batch, while the work begins */
	unsigned batch_max;
	size_t batch_bytes;
	_Atomic bool all_given;
	uint64_t records;
	uint32_t time; /* highest seen */
	/* How large the tables will have to be is guessed at. */
	bool guesses;
	uint64_t guess_at;    /* bytes, of journals: when next */
	uint64_t guess_bytes; /* what was read before the journals */
	uint64_t guess_items; /* what came of that */
	_Atomic bool short_of_memory;
	uint64_t attend_ms;    /* when the calling thread tells and asks next */
	uint64_t bytes_before; /* of files that are done */
	uint64_t bytes_total;
	_Atomic uint64_t bytes; /* of the present one */
	_Atomic bool failed;
	struct lock lock; /* of `problem` */
	char problem[PROBLEM_SIZE];
};

/* False: no memory, and `problem` says so.  crew_release() must follow. */
bool crew_init(struct crew *w, const struct recover_config *config);

/* The hands' sums stay. */
void crew_release(struct crew *w);

/*
 * These return when all is done.  False: `problem`.  What has expired at
 * `expired_at` is left out: no record that comes later prolongs it.
 */
bool crew_load(struct crew *w, const struct snapshot_file *f,
	       uint32_t expired_at);

/*
 * Applies the records above that LSN: what there is of a journal up to f->end,
 * and what is found good when more of it is read.  How it ends is the caller's
 * to ask.
 */
bool crew_replay(struct crew *w, struct journal_file *f, uint64_t above);

#endif
