/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `lru_crawler metadump` and `mgdump`, and `stats sizes`: a walk over all
 * items, in pieces between which other sessions have their turns.  What the
 * client does not read holds the walk back.
 *
 * Thread rule: the session's worker.
 */
#ifndef DOZO_NODE_DUMP_H
#define DOZO_NODE_DUMP_H

#include <stdbool.h>
#include <stdint.h>

struct session;

enum dump_kind { DUMP_META, DUMP_MG, DUMP_SIZES };

/* Walks at the same time; more are refused. */
enum { DUMPS_MAX = 4 };

/* False: no memory.  The first lines come with dump_continue(). */
bool dump_start(struct session *s, enum dump_kind kind);

/* Goes on for a turn; ends the dump when there is no more. */
void dump_continue(struct session *s);

/* Ends it early, with its session. */
void dump_free(struct session *s);

/* `stats cachedump`: at most `limit` items (0: all), at most 2 MB. */
void dump_cache(struct session *s, uint32_t limit);

#endif
