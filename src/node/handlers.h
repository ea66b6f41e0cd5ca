/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handlers of the command table.  A handler runs one request on its
 * session's worker and composes the reply; it neither blocks nor keeps the
 * request.  Commands with a value are split: session.c receives the value,
 * then calls value_done().
 */
#ifndef DOZO_NODE_HANDLERS_H
#define DOZO_NODE_HANDLERS_H

#include <stdint.h>

#include "node/prefix.h"
#include "node/session.h"
#include "proto/request.h"

#define COMMAND(symbol, name, shape, words, flags, handler)                    \
	void handler(struct session *s, const struct request *r);
#include "proto/commands.def"
#undef COMMAND

/* Runs the request through the table. */
void dispatch(struct session *s, const struct request *r);

/*
 * A request with a value (CF_VALUE): may it be stored, and where?  True:
 * `out` is the place to receive it.  False: the refusal has been composed,
 * and the value is to be swallowed.
 */
bool value_begin(struct session *s, const struct request *r,
		 struct reservation *out);

/* There is no memory to go on receiving it: answers. */
void value_no_memory(struct session *s, const struct request *r);

/* The value has arrived and ended well: runs the command. */
void value_done(struct session *s, const struct request *r,
		struct reservation *res);

/* The value did not end with CR LF: drops it and answers. */
void value_bad_end(struct session *s, const struct request *r,
		   struct reservation *res);

/* A time as clients give it (relative, absolute, negative) in the store's:
 * 0 for never, EXPIRED_AT_ONCE for one that has passed. */
enum { EXPIRED_AT_ONCE = 1, RELATIVE_MAX_S = 60 * 60 * 24 * 30 };
uint32_t exptime_from_wire(int32_t exptime, uint32_t now);

/* ---- shared by classic and meta ---------------------------------------- */

/* The cas that clients may see: 0 under -C. */
uint64_t visible_cas(const struct session *s, uint64_t cas);

void count_miss(struct session *s, const struct store_entry *e);
void count_compare(struct session *s, enum store_result result);
void count_delta(struct session *s, bool decrement, bool hit);
void count_prefix(struct session *s, const struct store_key *key,
		  enum prefix_event event);

/* Tells watchers of a look-up; `e` is open. */
void log_lookup(struct session *s, const struct store_entry *e, bool hit);

/* Commits a value and counts it; the answer is the caller's. */
enum store_result commit_value(struct session *s, const struct request *r,
			       struct reservation *res, struct commit *how,
			       struct change *change);

/* The half of ms that follows its value. */
void meta_value_done(struct session *s, const struct request *r,
		     struct reservation *res);

#endif
