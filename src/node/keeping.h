/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeping: how the node uses a data directory (--data-dir).  It opens and
 * recovers it before anybody is served, and then stands between the workers
 * and the keeper's threads: which requests may change data, who is woken when
 * the commit point moves, what is told to the operator.
 *
 * Without a data directory there is no log, and everything here says "go on".
 */
#ifndef DOZO_NODE_KEEPING_H
#define DOZO_NODE_KEEPING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/settings.h"
#include "persist/datadir.h"
#include "persist/keeper.h"

struct log;
struct node;
struct request;
struct session;

struct keeping {
	struct dir *dir; /* NULL: nothing is kept */
	struct dir *archive;
	struct datadir datadir;
	struct log *log;
	struct keeper *keeper;
	bool replies_wait;   /* for the journal: --fsync=always */
	_Atomic bool failed; /* no change can be kept now */
	/* Of the recovery, for `stats`. */
	uint64_t recovered_items;
	uint64_t recovery_ms;
};

/*
 * Opens and locks the directories and makes the log.  *hash_seed is that of
 * the directory, and becomes it if it is new.  False: `why`, PROBLEM_SIZE.
 */
bool keeping_open(struct keeping *k, const struct settings *settings,
		  uint64_t *hash_seed, uint32_t now, char *why);

/* Fills the store, begins the log, makes the keeper.  False: `why`. */
bool keeping_recover(struct node *n, char *why);

int keeping_start(struct node *n); /* 0 or an errno value */

/*
 * No worker runs any more: makes all durable and takes the snapshot of a clean
 * stop.  False: the stop is not a clean one, and that has been said.
 */
bool keeping_stop(struct node *n);

/*
 * Behind keeping_stop(): an archive that does not answer holds a thread.
 * Nothing of the node may be freed then.
 */
bool keeping_is_stuck(const struct keeping *k);

/* No thread uses the store any more; it is still there. */
void keeping_release(struct keeping *k);

/* ---- for workers ------------------------------------------------------- */

enum admission {
	ADMIT_NOW,
	ADMIT_LATER,  /* the log is full: the session has been put aside */
	ADMIT_REFUSE, /* the journal cannot be written: SERVER_ERROR */
};

/* May the request run?  Only asked where there is a log. */
enum admission keeping_admit(struct session *s, const struct request *r);

/*
 * The same for a request that was admitted long ago, with the value that it
 * was waiting for.  False: the log is full, and the session has been put
 * aside.
 */
bool keeping_has_room(struct session *s);

/* Something was logged: the journal thread has work. */
void keeping_ring(struct node *n);

/* A reply waits for the gate: will that ever end? */
bool keeping_commits(const struct node *n);

/* The commit point has moved to `lsn`; any thread. */
void keeping_committed(struct node *n, uint64_t lsn);

#endif
