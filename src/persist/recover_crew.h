/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crew: the threads that recovery puts records into the store with.
 *
 * A snapshot has each key once, so each hand takes the next block that nobody
 * has.  In a journal the records of a key must stay in their order, so every
 * hand walks the whole file and applies what belongs to its part of the keys;
 * the first one also what has no key.
 *
 * The calling thread reads the journal and checks it, and the hands follow as
 * far as it has come.  It tells of the progress, and waits for the hands.  A
 * hand that is alone, or gets no thread, has none of its own: the calling one
 * does its work.
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
	HAND_BATCH = 32,
};

struct hand {
	struct crew *crew;
	pthread_t thread;
	bool started;
	unsigned number;
	struct store_ctx *ctx;
	struct snapshot_block block;
	/* Of a journal: how far it was read, and what is to be applied. */
	struct bell bell;
	size_t at;
	unsigned batched;
	struct store_key keys[HAND_BATCH];
	struct record batch[HAND_BATCH];
	uint64_t records;
	uint64_t expired;
	uint64_t not_kept;
	uint32_t time; /* highest seen */
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
	const char *journal; /* its bytes */
	uint64_t above;      /* LSN: of the journal, what is */
	_Atomic uint64_t next_block;
	_Atomic size_t good;    /* bytes of the journal that may be applied */
	_Atomic bool good_ends; /* there will not be more of them */
	uint32_t expired_at;
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
