/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking ahead: the keys of requests that will run soon are hashed before
 * their time, and their memory is asked for, so that the waits for it overlap
 * with each other and with system calls.
 *
 * There are two occasions.  Several sessions have received in one turn of the
 * loop (io/loop.h, IO_BATCH): the first key of each.  One session has
 * received many requests: their keys, AHEAD_MAX at a time.
 *
 * What is known of a key is found again by its address, since a key lies in
 * the buffer that it was received in, and handed on (session_key()), so that
 * no key is hashed twice.
 *
 * Invariant: while requests run, what ahead_key() may hand out are keys of
 * the buffer that is being worked on, which does not change meanwhile.
 *
 * Thread rule: the worker's.
 */
#ifndef DOZO_NODE_AHEAD_H
#define DOZO_NODE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "io/loop.h"
#include "store/store.h"

/* Requests of one session whose memory is asked for at the same time. */
enum { AHEAD_MAX = 16 };

struct ahead {
	/* Of the sessions that have received; `data` is NULL for no key. */
	struct store_key first[IO_BATCH];
	bool batch_pending; /* some of them have not been asked for */

	/* Of the session that has its turn, in the order of the requests. */
	struct store_key keys[AHEAD_MAX];
	unsigned count;
	unsigned next; /* the first that may still be handed out */
	unsigned left; /* requests that have been looked at */
};

/* A session has received these bytes and may run them: looks at the first. */
void ahead_arrived(struct ahead *a, const struct store *store, unsigned slot,
		   const char *data, size_t len);

/* A session has received and will run nothing that has a key at its start. */
static inline void ahead_no_key(struct ahead *a, unsigned slot)
{
	a->first[slot].data = NULL;
}

/* A session was closed, perhaps one of a batch: nothing is known of slots. */
void ahead_forget_slots(struct ahead *a);

/* The bytes of a slot are handed over; all have arrived. */
void ahead_hand_over(struct ahead *a, const struct store *store, unsigned slot);

/* The requests in these bytes come next. */
void ahead_pipeline(struct ahead *a, const struct store *store,
		    const char *data, size_t len);

/* The buffer is no longer worked on. */
static inline void ahead_forget(struct ahead *a)
{
	a->count = 0;
	a->left = 0;
}

/* A key, from what is known of it if anything is. */
struct store_key ahead_key(struct ahead *a, const struct store *store,
			   const char *data, size_t len);

#endif
