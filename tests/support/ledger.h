/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ledger of what was done to a store, kept beside the log: after each change
 * it reads back what clients see, and notes it under the LSN of the change.  So
 * it can tell what must be found when everything up to an LSN is there, and
 * nothing above it.
 *
 * It makes the changes, too: at random, from a seed, of every kind.
 */
#ifndef DOZO_TESTS_LEDGER_H
#define DOZO_TESTS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/rand.h"
#include "bed.h"

enum { LEDGER_KEYS = 40 };

struct entry {
	uint64_t lsn;
	int key;      /* LEDGER_FLUSH, or which */
	uint32_t now; /* when it was made */
	uint32_t at;  /* of LEDGER_FLUSH_AT */
	bool flushes; /* what came before it is dead */
	bool there;   /* the key was to be seen */
	bool stale;
	bool binkey;
	char *value;
	uint32_t value_len;
	uint32_t cflags;
	uint32_t exptime;
	uint64_t cas;
	uint64_t item_lsn;
};

enum { LEDGER_FLUSH = -1, LEDGER_FLUSH_AT = -2 };

struct ledger {
	struct entry *entries;
	size_t count;
	size_t room;
	uint32_t pending; /* the delayed flush, as the ledger knows it */
	uint32_t value_max;
	uint64_t refused; /* changes for which there was no memory */
};

void ledger_init(struct ledger *l, uint32_t value_max);
void ledger_release(struct ledger *l);

/* Begins with what is in the store, as if it had been noted. */
void ledger_base(struct ledger *l, struct bed *b);

/* To be called when the bed has begun: a delayed flush may be due. */
void ledger_tick(struct ledger *l, struct bed *b);

/* Makes a change, or tries to; the bed's clock may move on. */
void ledger_act(struct ledger *l, struct bed *b, struct rng *dice);

/* Forgets what came after `lsn`: it was lost. */
void ledger_forget(struct ledger *l, uint64_t lsn);

/*
 * Is everything in the bed's store at its time as it was at `lsn`, and nothing
 * else there?  False: `why`, of PROBLEM_SIZE.
 */
bool ledger_compare(const struct ledger *l, struct bed *b, uint64_t lsn,
		    char *why);

/* Prints the entries from `lsn` on, a line for each. */
void ledger_tell(const struct ledger *l, uint64_t lsn, FILE *to);

#endif
