/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every limit of the server in one place, with the arithmetic that chose it
 * and the relations between them as static assertions.
 *
 * Sizes are bytes unless a name says otherwise.
 */
#ifndef DOZO_BASE_LIMITS_H
#define DOZO_BASE_LIMITS_H

#include <assert.h>

#define KIB (1024UL)
#define MIB (1024UL * KIB)
#define GIB (1024UL * MIB)

/* Protocol. */
enum {
	KEY_MAX = 250,           /* bytes of a key, encoded and decoded */
	LINE_MAX_PENDING = 2048, /* bytes without a newline before a close */
	OPAQUE_MAX = 31,         /* bytes of a meta opaque token */
	META_FLAGS_MAX = 18,     /* flags of one meta request */
};

/*
 * What memcached counts beside key and value when it compares an item with
 * -I: a header of 48, a cas of 8, the key's end and the value's CR LF.  It
 * decides which values are "too large", so clients see it.
 */
#define ITEM_SIZE_OVERHEAD 59UL
#define ITEM_SIZE_CFLAGS 4UL /* more, when the client flags are not 0 */

#define VALUE_LEN_MAX 2147483645UL /* largest length a command may state */

/* Memory. */
#define MEMORY_LIMIT_DEFAULT (64 * MIB)
#define MEMORY_LIMIT_MIN (8 * MIB) /* what cache_memlimit goes down to */
#define ITEM_MAX_DEFAULT (1 * MIB)
#define ITEM_MAX_MIN (1 * KIB)
#define ITEM_MAX_MAX (1 * GIB)

/*
 * A segment is a power of two, so that an item's location gives its segment
 * by a shift; at least SEGMENTS_MIN of them fit the limit, because eviction
 * by whole segments loses its precision below about ten for each queue.
 */
#define SEGMENT_SIZE_MAX (1 * MIB)
#define SEGMENT_SIZE_MIN (4 * KIB)
#define SEGMENTS_MIN 256

/* Sessions. */
#define RECV_BUF_SIZE (64 * KIB) /* a worker's receive buffer */
#define OUT_PAUSE (256 * KIB)    /* unsent output that pauses reading */

enum {
	/* A pipeline of 50 in one turn; at 1 us a request others wait 64 us. */
	REQS_PER_TURN_DEFAULT = 64,
	CONNECTIONS_DEFAULT = 1024,
	BACKLOG_DEFAULT = 1024,
	THREADS_DEFAULT = 4,
	THREADS_MAX = 256,
	WATCHERS_MAX = 20,
};

/* The log's window: what may wait for the journal. */
#define LOG_WINDOW_BYTES_MIN (1 * MIB)
#define LOG_WINDOW_BYTES_MAX (128 * MIB)
/* By itself: this share of the memory limit, within these bounds. */
#define LOG_WINDOW_SHARE 16
#define LOG_WINDOW_DEFAULT_MIN (4 * MIB)
#define LOG_WINDOW_DEFAULT_MAX (64 * MIB)

static_assert(KEY_MAX < 256, "a key's length is one byte in an item");
static_assert(LINE_MAX_PENDING > 3 * KEY_MAX, "a line holds key and flags");
static_assert(SEGMENT_SIZE_MAX / 4 <= (1 << 18),
	      "a value length in a segment has 18 bits");

#endif
