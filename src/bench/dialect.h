/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A protocol as the load generator needs it: to compose requests, and to take
 * replies apart while comparing them with what is right.  Each protocol is
 * one struct dialect; text and meta exist.
 *
 * Replies are taken where they were received, in pieces of any size: a value
 * is compared as it comes and never gathered, so what has to be kept between
 * two calls is less than DIALECT_LINE_MAX bytes.
 *
 * Thread rule: functions of their arguments; any thread.
 */
#ifndef DOZO_BENCH_DIALECT_H
#define DOZO_BENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/content.h"
#include "bench/fault.h"

enum { DIALECT_LINE_MAX = 1024 };

/* What was asked. */
struct ask {
	bool is_set; /* of keys[0]; else a get of all */
	uint32_t count;
	const uint64_t *keys;
};

/*
 * How far the reply to one request has come.  Zeroed at its begin; missed and
 * unchecked are the caller's.
 */
struct answer {
	uint32_t next; /* the first key that can still come */
	uint32_t hits;
	uint32_t misses;
	bool stored;
	/* A value on its way: */
	bool in_value;
	bool compared;
	uint64_t number;
	uint64_t size; /* as the reply says */
	uint64_t at;   /* bytes of it and its line end that came */
	/* Where numbers of missing keys are put, if anywhere. */
	uint64_t *missed;
	bool unchecked; /* take any item of the right form */
};

enum take {
	TAKE_MORE, /* needs more bytes than there are */
	TAKE_PART, /* took some of the reply */
	TAKE_DONE, /* took the last of it */
	TAKE_LOST, /* not a reply: the stream means nothing from here on */
};

struct dialect {
	const char *name;
	/* Most bytes of a request beside its keys and value. */
	size_t get_extra; /* for each key, and once */
	size_t set_extra;
	/* Both write to `out` and return the end of what was written. */
	char *(*get)(const struct content *c, const uint64_t *keys,
		     uint32_t count, char *out);
	char *(*set)(const struct content *c, uint64_t key, uint32_t ttl_s,
		     char *out);
	/*
	 * Takes one step of the reply to `ask` from the len bytes at p
	 * (at least one), sets *used, and counts in `f` what was wrong.
	 */
	enum take (*take)(const struct content *c, const struct ask *ask,
			  struct answer *a, struct faults *f, const char *p,
			  size_t len, size_t *used);
};

extern const struct dialect dialect_text;
extern const struct dialect dialect_meta;

/* By its name; NULL for none. */
const struct dialect *dialect_find(const char *name);

/* ---- for dialects ------------------------------------------------------- */

/*
 * The first line with its CR LF: *line_len, 0 where it has not come whole.
 * False where it can be none.
 */
bool dialect_line(const char *p, size_t len, size_t *line_len);

/* Is it a refusal: ERROR, CLIENT_ERROR, SERVER_ERROR? */
bool dialect_is_refusal(const char *line, size_t line_len);

/* An item of that key and size begins: finds it among those asked for. */
void dialect_item(const struct content *c, const struct ask *ask,
		  struct answer *a, struct faults *f, const char *line,
		  const char *key, size_t key_len, uint64_t size);

/* The rest of the keys will not come. */
void dialect_rest_missed(const struct ask *ask, struct answer *a);

/* Bytes of the value: TAKE_PART, or TAKE_DONE when it is complete. */
enum take dialect_value(const struct content *c, struct answer *a,
			struct faults *f, const char *p, size_t len,
			size_t *used);

#endif
