/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing the journal: takes records from the log's cursor to files.
 *
 * Without threads and without a clock: the keeper (keeper.h) calls it on the
 * journal thread, tests call it step by step.
 *
 *  J1. A file's header and its name are durable before its first record is
 *      written, and all of the file in front is durable before that.
 *  J2. `synced` is at most `written`; all records at or below it are durable.
 *  J3. Behind a sync the next write begins with a RECORD_MARK that says how
 *      far it went: so a reader knows what must be there from what may be
 *      torn.
 *  J4. A write that failed is made again at the same offset.  After a sync
 *      that failed nothing of that file is believed: journal_restart() begins
 *      a new one, and what was not synced needs a snapshot.
 *  J5. The first record of a file follows the last of the one in front
 *      without a gap, but for the first file of a run and for one after a
 *      failed sync.  The header says in `lsn_before` up to where the files in
 *      front count; what they have above that is not in the journal.
 */
#ifndef DOZO_PERSIST_JOURNAL_H
#define DOZO_PERSIST_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "io/file.h"
#include "log/log.h"
#include "persist/format.h"

#define JOURNAL_FILE_BYTES_DEFAULT (64 * MIB)
#define JOURNAL_FILE_BYTES_MAX (256 * MIB)

/*
 * After an end that was no clean stop, LSNs that had been drawn may be in no
 * file.  None was above the last header's by more than what fits one file and
 * the window, which refuses at twice its size, and each takes RECORD_SIZE_MIN
 * bytes at least.  So a start draws above what it has read by this, and no LSN
 * is ever used twice (L2).  It is far below the 2^31 that an item's LSN may be
 * away from its segment's.
 */
#define LSN_SKIP (1ULL << 25)

static_assert(LSN_SKIP > (JOURNAL_FILE_BYTES_MAX + 2 * LOG_WINDOW_BYTES_MAX) /
				 RECORD_SIZE_MIN,
	      "what may be lost is below what is skipped");

struct journal_config {
	struct dir *dir;
	uint64_t identity;
	uint64_t hash_seed;
	uint64_t file_bytes; /* about where a file ends; see above */
	/*
	 * What recovery has read, 0 and 0 in a fresh directory: the LSN in the
	 * name of the last journal, of which all that may not be on the disk
	 * is written again, as it is, and synced before the first file of this
	 * run is begun; and recovery's last_lsn.
	 */
	uint64_t read_file;
	uint64_t read_lsn;
};

struct journal {
	struct journal_config config;
	int file;           /* -1: none */
	uint64_t first_lsn; /* of the present file: its name */
	uint64_t size;      /* bytes of it */
	uint64_t written;   /* LSN */
	uint64_t synced;    /* LSN */
	bool mark_due;      /* J3 */
	bool sync_failed;   /* J4 */
	bool start_due;     /* a new file has its name, perhaps */
	uint64_t files_made;
	uint64_t bytes_written;
	uint64_t syncs;
};

void journal_init(struct journal *j, const struct journal_config *config);

/*
 * Makes and syncs a file whose first record will be `lsn` + 1; the one before
 * is synced and closed first.  0 or a negative errno; on failure the present
 * file is as before, if there is one, and the next journal_write() perhaps
 * tries again first.  With a file open, `lsn` is `written`.
 *
 * A file of that name with records in it, of an earlier run, is never
 * replaced: -EEXIST.
 */
int journal_start(struct journal *j, uint64_t lsn, uint32_t now_s);

/*
 * After a failed sync: the same, but does not look at the file before, which
 * stays where it is.  `lsn` may be above `written`: who has passed over records
 * begins behind them.  What is behind `synced` is not in the journal any more:
 * the header says in lsn_floor that the new file is of no use without a
 * snapshot that has all up to `lsn`.  `synced` is as it was until the next
 * sync, which speaks of the new file only.
 */
int journal_restart(struct journal *j, uint64_t lsn, uint32_t now_s);

/*
 * Writes what stands behind the cursor, about `bytes` of it at most, begins a
 * new file when the present one is full, and moves the cursor on.  Returns
 * the bytes written, 0 when there is nothing, or a negative errno: -EIO after
 * a sync that failed.  The cursor stands at `written`.
 */
long journal_write(struct journal *j, struct log_cursor *c, uint64_t bytes,
		   uint32_t now_s);

/* Makes what was written durable; 0 or a negative errno (J4), now and later. */
int journal_sync(struct journal *j);

/* Closes without a sync. */
void journal_close(struct journal *j);

#endif
