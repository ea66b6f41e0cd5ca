/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An errand of the keeper: what takes long and must not hold up the journal.
 * It takes a snapshot, if one is wanted, and then clears away what that makes
 * superfluous.  On a thread of its own (docs/decisions/0006), or on the
 * caller's.
 *
 * Ownership: the keeper has one, fills it, and reads the results when it has
 * ended.
 */
#ifndef DOZO_PERSIST_ERRAND_H
#define DOZO_PERSIST_ERRAND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/bell.h"
#include "persist/archive.h"
#include "persist/datadir.h"
#include "persist/snapshot.h"

struct store;

struct errand {
	/* What is to be done. */
	const struct datadir *datadir;
	struct store *store;
	struct dir *archive;
	uint64_t lsn;  /* of the snapshot; or of the one that stands */
	bool snapshot; /* take one; false: only clear away */
	bool clean;    /* nothing changes any more */
	bool gently;   /* let others have the processor */
	int (*settle)(void *arg, uint64_t lsn); /* as snapshot.h has it */
	uint32_t (*now_s)(void *arg);
	void *arg;
	/* Rung for the errand: abandoned, or settle() may go on. */
	struct bell bell;
	_Atomic bool abandon;
	/* The snapshot stands, if one was wanted; the rest is clearing away. */
	_Atomic bool clears;
	/* How it went. */
	int error; /* of the snapshot; 0: it stands; -ECANCELED: abandoned */
	struct snapshot_progress made;
	uint32_t took_s;
	struct archive_work old;
	/* For the thread. */
	pthread_t thread;
	struct bell *ended_bell;
	struct bell *ended_urgent;
	_Atomic bool ended;
};

/* Does it on the calling thread. */
void errand_run(struct errand *e);

/*
 * Begins it on a thread of its own, which rings both bells when it has ended.
 * 0 or a negative errno.  errand_join() must follow.
 */
int errand_start(struct errand *e, struct bell *bell, struct bell *urgent);

static inline bool errand_has_ended(const struct errand *e)
{
	return atomic_load(&e->ended);
}

/* Any thread: no more of it than the step that it does just now. */
void errand_abandon(struct errand *e);

/* Waits until it has ended. */
void errand_join(struct errand *e);

#endif
