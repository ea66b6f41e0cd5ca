/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: from the files of a data directory to a store: the newest complete
 * snapshot, then all journal records above it.
 *
 * Several threads share the work by the hash of the keys, so that the records
 * of one key are applied in their order (L5).  Nothing of it is logged.
 *
 * The stop was a clean one if the snapshot says so and no journal begins above
 * it: who stops cleanly leaves none, not even one without records.
 */
#ifndef DOZO_PERSIST_RECOVER_H
#define DOZO_PERSIST_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "persist/datadir.h"

struct log;
struct store;

struct recover_progress {
	uint64_t items;
	uint64_t bytes_done; /* of the files */
	uint64_t bytes_total;
};

struct recover_config {
	struct store *store; /* empty; of the directory's hash seed */
	struct log *log;     /* the store's, or NULL if it has none */
	unsigned threads;    /* 0: as many as help */
	uint32_t now;        /* store time, for what has expired */
	bool evicts;         /* false: data that does not fit is an error */
	/*
	 * That may be taken above the store's limit, also at the end.  What
	 * filled it once is packed otherwise when it comes back.
	 */
	uint64_t over_bytes;
	/* Stop behind this LSN, or before what is later than this time. */
	uint64_t to_lsn;  /* UINT64_MAX: all */
	uint32_t to_time; /* UINT32_MAX: all */
	/* Called now and then, on the calling thread. */
	void (*progress)(void *arg, const struct recover_progress *p);
	void *progress_arg;
	/* Asked as often: true gives up.  No file has been changed. */
	bool (*give_up)(void *arg);
	void *give_up_arg;
};

struct recovery {
	uint64_t snapshot_lsn;      /* 0: there was none */
	uint64_t last_lsn;          /* of what was read, applied or not */
	uint64_t applied_lsn;       /* of what was applied */
	uint64_t next_lsn;          /* log_begin() with this; see LSN_SKIP */
	uint64_t items;             /* in the store at the end */
	uint64_t records;           /* read from journals */
	uint64_t expired;           /* left out: their time had come */
	uint64_t not_kept;          /* left out or evicted: memory */
	uint64_t bytes;             /* of files read */
	uint64_t journal_bytes;     /* of them, of journals */
	uint32_t time;              /* highest store time seen */
	bool clean;                 /* a clean stop: nothing was lost */
	uint64_t torn_bytes;        /* cut off behind the last good record */
	char torn[PROBLEM_SIZE];    /* one line about that, or "" */
	char problem[PROBLEM_SIZE]; /* why it failed */
};

/* False: `problem`; what is in the store then is of no use. */
bool recover(const struct datadir *d, const struct recover_config *c,
	     struct recovery *out);

#endif
