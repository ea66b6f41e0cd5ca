/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: the threads that keep the node's data in its directory.
 *
 * The journal thread takes records from the log to the journal, syncs as the
 * policy says, and moves the commit point.  The snapshot thread exists while a
 * snapshot is taken (docs/decisions/0006): its syncs must not hold up group
 * commits.
 *
 * State machine:
 *
 *	RUNNING		all is well
 *	READ_ONLY	a write or a new file failed: tried again every second;
 *			ends with the first write that works
 *	DISTRUST	a sync failed: a new journal and a snapshot are needed
 *			before anything is acknowledged again
 *	STOPPED
 *
 * In READ_ONLY and DISTRUST the node refuses writes.
 */
#ifndef DOZO_PERSIST_KEEPER_H
#define DOZO_PERSIST_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/bell.h"
#include "io/file.h"
#include "log/log.h"
#include "persist/datadir.h"

struct store;
struct keeper;

enum sync_policy { SYNC_ALWAYS, SYNC_EVERYSEC, SYNC_NEVER };

enum keeper_state {
	KEEPER_RUNNING,
	KEEPER_READ_ONLY,
	KEEPER_DISTRUST,
	KEEPER_STOPPED,
};

struct keeper_config {
	const struct datadir *datadir; /* by reference, outlives the keeper */
	struct dir *archive;           /* where old files go; NULL: removed */
	struct store *store;
	struct log *log;
	enum sync_policy sync;
	uint64_t journal_file_bytes;
	/* Bytes of journal since the last snapshot that start one; 0: as many
	 * as the last snapshot had unpacked, 64 MiB at least. */
	uint64_t snapshot_bytes;
	uint32_t snapshot_every_s; /* 0: not by time */
	uint64_t journal_bytes; /* that recovery has read: counted as above */
	uint64_t read_lsn;      /* recovery's last_lsn: for journal_config */
	uint64_t window_bytes;  /* of the log; 0: not full is free enough */
	/* What failed is tried again after this, a snapshot or the archive
	 * after 60 times that; 0: a second. */
	uint32_t retry_ms;
	/* At a stop, for an archive that does not answer; 0: half a minute
	 * until no more files are moved, and as long again for the last. */
	uint32_t archive_wait_ms;
	uint32_t (*now_s)(void *arg); /* the store's time; any thread */
	/* On the keeper's threads; quick.  With SYNC_ALWAYS: all up to `lsn`
	 * is durable. */
	void (*committed)(void *arg, uint64_t lsn);
	/* Somebody has asked for room (keeper_ask_room()), and half of
	 * `window_bytes`, the log's, is free. */
	void (*drained)(void *arg);
	/* The state has changed, and diag() has said why. */
	void (*changed)(void *arg, enum keeper_state state);
	void *arg;
};

/*
 * Opens the first journal file, behind log_lsn().  NULL with a negative errno
 * in *error.  No thread runs yet.
 */
struct keeper *keeper_new(const struct keeper_config *config, int *error);

int keeper_start(struct keeper *k); /* 0 or an errno value */

/*
 * Nothing changes any more: ends the threads, writes all, syncs, takes the
 * snapshot of a clean stop, with which the journals go.  The caller waits, and
 * nothing is told to the node any more.  False: what
 * was acknowledged is durable as far as the policy goes, but the stop is not a
 * clean one; `why` (of PROBLEM_SIZE) says so.
 */
bool keeper_stop(struct keeper *k, char *why);

/*
 * After keeper_stop(): an archive that does not answer holds a thread, which
 * may go on to use the store and all that was configured.  None of it may be
 * freed then: the process is to end.  keeper_free() would wait for the thread.
 */
bool keeper_is_stuck(const struct keeper *k);

/* One that was started must have been stopped.  NULL is fine. */
void keeper_free(struct keeper *k);

/* Any thread: there is something in the log.  For the end of a turn. */
void keeper_ring(struct keeper *k);

/*
 * Any thread: the log is full (log_is_full()), and the caller has noted that
 * it waits.  drained() will be called, also when there is room by now, but not
 * while the journal cannot be written.
 */
void keeper_ask_room(struct keeper *k);

enum keeper_state keeper_state(const struct keeper *k); /* one load */

/* Any thread: takes a snapshot now; false: one is being taken. */
bool keeper_snapshot(struct keeper *k);

struct keeper_stats {
	enum keeper_state state;
	uint64_t written_lsn;
	uint64_t synced_lsn;
	uint64_t journal_bytes;   /* since the last snapshot */
	uint64_t journal_written; /* bytes ever */
	uint64_t syncs;
	uint64_t errors;    /* writes, syncs, renames that failed */
	uint64_t snapshots; /* taken */
	uint64_t snapshot_errors;
	bool snapshot_running;
	uint64_t snapshot_lsn;     /* of the last complete one */
	uint32_t snapshot_time;    /* store time of its end; 0: none */
	uint32_t snapshot_seconds; /* that it took */
	uint64_t snapshot_bytes;   /* of its file */
	uint64_t last_sync_us;     /* how long it took */
	uint64_t archived;         /* files moved */
	uint64_t archive_errors;
	char problem[PROBLEM_SIZE]; /* "" while all is well */
};

void keeper_stats(struct keeper *k, struct keeper_stats *out);

#endif
