/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crew: the threads that recovery puts records into the store with.
 *
 * A snapshot has each key once, so each hand takes the next block that nobody
 * has.  In a journal the records of a key must stay in their order, so every
 * hand walks the whole file and applies what belongs to its part of the keys;
 * the first one also what has no key.
 *
 * While the hands work, the calling thread waits for them and tells of the
 * progress.
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

struct crew;
struct store_ctx;

enum { CREW_MAX = 16 };

struct hand {
	struct crew *crew;
	pthread_t thread;
	bool started;
	unsigned number;
	struct store_ctx *ctx;
	struct snapshot_block block;
	uint64_t records;
	uint64_t expired;
	uint64_t not_kept;
	uint32_t time; /* highest seen */
};

struct crew {
	const struct recover_config *config;
	struct hand hands[CREW_MAX];
	unsigned count;
	struct bell bell;
	_Atomic unsigned working;
	/* What is being worked at: one of them. */
	const struct snapshot_file *snapshot;
	const struct journal_file *journal;
	uint64_t above; /* LSN: of the journal, what is */
	_Atomic uint64_t next_block;
	uint32_t expired_at;
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
/* Its records above that LSN. */
bool crew_replay(struct crew *w, const struct journal_file *f, uint64_t above);

#endif
