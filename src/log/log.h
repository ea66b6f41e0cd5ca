/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: the node's changes in the order of their LSNs, as encoded records
 * in a bounded window of memory.
 *
 * A writer reserves: its LSN is drawn and room taken, under the log's lock,
 * for a few nanoseconds.  Then it fills the room without that lock, and
 * publishes.  It does all that while it holds the shard's lock of the key, so
 * for one key the order of LSNs is the order of changes.  Locks: shard, then
 * log.
 *
 * A reader has a cursor.  It sees published records in LSN order, without
 * gaps: a record that is reserved and not yet published ends what it sees.  A
 * *keeping* cursor holds the records that it has not passed in memory; the
 * journal has one, so nothing leaves memory before it is in a file.  Others
 * are left behind when memory is short: their next look says LOG_BEHIND, and
 * they go on from the journal's files.
 *
 * Memory is chunks, charged to the budget by force; those that every keeping
 * cursor has passed, and that are not among the last `retain_bytes`, are used
 * again.
 *
 *  W1. Every LSN from the first to the last is one record, in order.
 *  W2. A record lies within one chunk.
 *  W3. What a reader was shown stays until its cursor passes it.
 *
 * Thread rule: log_reserve(), log_publish(), log_lsn(), log_is_full() by any
 * thread; a cursor by one thread at a time.
 */
#ifndef DOZO_LOG_LOG_H
#define DOZO_LOG_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/budget.h"
#include "base/list.h"
#include "log/record.h"

struct log;

struct log_config {
	/* What keeping cursors have not passed: from here on the log is full,
	 * which is advice; at twice as much log_reserve() refuses. */
	uint64_t window_bytes;
	/* What stays in memory for cursors that follow behind. */
	uint64_t retain_bytes;
	struct budget *budget; /* or NULL */
	/* For tests: asked before each allocation, true makes it fail. */
	bool (*deny)(void *arg);
	void *deny_arg;
};

struct log *log_new(const struct log_config *config); /* NULL: no memory */
void log_free(struct log *l); /* all cursors must be closed */

/*
 * From now on its memory is charged to `b`, which log_free() gives it back to.
 * For one that had to be made before there was a budget; before threads run.
 */
void log_charge(struct log *l, struct budget *b);

/*
 * Before anything was reserved, or while nothing can be: the next record gets
 * `lsn` + 1.  What is in the window is forgotten.  No cursor may be open.
 */
void log_begin(struct log *l, uint64_t lsn);

/* The last LSN that was drawn. */
uint64_t log_lsn(const struct log *l);

/* Should who is about to write wait?  Costs two loads. */
bool log_is_full(const struct log *l);

/* ---- writing ----------------------------------------------------------- */

struct log_slot {
	uint64_t lsn;
	char *at;
	uint32_t size;
};

/*
 * Room for a record like `form` (record_size()), and its LSN.  False: no
 * memory, far too much is waiting, or the record is too large for the format;
 * nothing has happened.  Its size does not count for that, so one record more
 * may wait than is too much.  Exactly one log_publish() must follow, soon.
 */
bool log_reserve(struct log *l, const struct record *form,
		 struct log_slot *slot);

/* Encodes `r`, with the slot's LSN; its size is as it was reserved. */
void log_publish(struct log *l, const struct log_slot *slot,
		 const struct record *r);

/* ---- reading ----------------------------------------------------------- */

struct log_cursor {
	struct list link;
	struct log *log;
	uint64_t lsn; /* passed */
	bool keeps;
	/* For the log itself. */
	void *chunk; /* where the next record lies; NULL: behind */
	void *held;  /* what was shown lies in it */
	uint64_t shown_bytes;
	uint64_t shown_lsn;
	uint32_t at; /* offset in the chunk */
};

enum log_look {
	LOG_SOME,
	LOG_NONE,   /* nothing published behind the cursor, for now */
	LOG_BEHIND, /* what comes next is no longer in memory */
};

/*
 * Stands behind `lsn`.  False: that is not in memory (a keeping cursor must
 * be opened where the window has it all, such as right after log_begin()).
 */
bool log_cursor_open(struct log *l, struct log_cursor *c, uint64_t lsn,
		     bool keeps);
void log_cursor_close(struct log_cursor *c);

/*
 * What follows the cursor: whole records in up to `max` parts and up to
 * `bytes` bytes (but at least one record); *last is the LSN of the last of
 * them.  A cursor that does not keep is shown one part.  The parts may be
 * less than what is there: look until LOG_NONE.
 */
enum log_look log_cursor_look(struct log_cursor *c, struct iovec *part, int max,
			      uint64_t bytes, int *count, uint64_t *last);

/*
 * Goes on behind `lsn`: the last of the latest look.  What was shown must not
 * be read any more.
 */
void log_cursor_pass(struct log_cursor *c, uint64_t lsn);

struct log_stats {
	uint64_t waiting_bytes; /* not passed by the slowest keeping cursor */
	uint64_t window_bytes;  /* memory of all chunks */
	uint64_t records;       /* ever reserved */
	uint64_t bytes;         /* of them */
};

void log_stats(const struct log *l, struct log_stats *out);

#endif
