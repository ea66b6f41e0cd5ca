/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log for a store, with all that it has ever said, and a second store that
 * is made from it: what is in the log must be what is in the store.
 */
#ifndef DOZO_STORE_REPLAY_H
#define DOZO_STORE_REPLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/log.h"
#include "store/store.h"

enum {
	REPLAY_WINDOW = 64 << 20,
	REPLAY_LOOK = 1 << 20,
	REPLAY_PARTS = 8,
	REPLAY_COPY_LIMIT = 128 << 20,
};

struct replay {
	struct log *log;
	struct log_cursor cursor; /* keeps all until it was pumped */
	char *data;               /* records, one after the other */
	size_t len;
	size_t room;
};

static inline void replay_open(struct replay *r, uint64_t window,
			       bool (*deny)(void *arg), void *deny_arg)
{
	struct log_config config = {
		.window_bytes = window,
		.deny = deny,
		.deny_arg = deny_arg,
	};

	memset(r, 0, sizeof(*r));
	r->log = log_new(&config);
	assert_non_null(r->log);
}

/* Before the first change: LSNs go on from here. */
static inline void replay_begin(struct replay *r, uint64_t lsn)
{
	log_begin(r->log, lsn);
	assert_true(log_cursor_open(r->log, &r->cursor, lsn, true));
}

static inline void replay_close(struct replay *r)
{
	log_cursor_close(&r->cursor);
	log_free(r->log);
	free(r->data);
}

static inline void replay_keep(struct replay *r, const struct iovec *part)
{
	if (r->room - r->len < part->iov_len) {
		r->room = 2 * (r->len + part->iov_len);
		r->data = realloc(r->data, r->room);
		assert_non_null(r->data);
	}
	memcpy(r->data + r->len, part->iov_base, part->iov_len);
	r->len += part->iov_len;
}

/* Takes what has been published to `data`. */
static inline void replay_pump_some(struct replay *r)
{
	struct iovec parts[REPLAY_PARTS];
	uint64_t last;
	int count;

	while (log_cursor_look(&r->cursor, parts, REPLAY_PARTS, REPLAY_LOOK,
			       &count, &last) == LOG_SOME) {
		for (int i = 0; i < count; i++) {
			replay_keep(r, &parts[i]);
		}
		log_cursor_pass(&r->cursor, last);
	}
}

/* Takes all that is new in the log; returns where that begins in `data`. */
static inline size_t replay_pump(struct replay *r)
{
	size_t before = r->len;

	replay_pump_some(r);
	assert_int_equal(r->cursor.lsn, log_lsn(r->log));
	return before;
}

/* The record at `at`; moves on behind it.  False at the end. */
static inline bool replay_next(const struct replay *r, size_t *at,
			       struct record *out)
{
	uint32_t size;

	if (*at == r->len) {
		return false;
	}
	assert_int_equal(record_read(r->data + *at, r->len - *at, out, &size),
			 RECORD_GOOD);
	*at += size;
	return true;
}

/* The last record. */
static inline struct record replay_last(struct replay *r)
{
	struct record out = { .kind = 0 };
	size_t at = 0;

	replay_pump(r);
	while (replay_next(r, &at, &out)) {
	}
	return out;
}

static inline enum store_applied
replay_apply(struct store *s, struct store_ctx *c, const struct record *r)
{
	struct store_key key;

	if (r->key_len == 0) {
		return store_apply(c, NULL, r);
	}
	key = store_key(s, r->key, r->key_len);
	return store_apply(c, &key, r);
}

/* Applies what lies in `data` from `at` on. */
static inline void replay_from(const struct replay *r, size_t at,
			       struct store *s, struct store_ctx *c)
{
	struct record rec;

	while (replay_next(r, &at, &rec)) {
		assert_int_not_equal(replay_apply(s, c, &rec), APPLY_NO_MEMORY);
	}
}

/*
 * Applies all of it, one part of the keys after the other, as threads might
 * that are never at the same place; a flush comes with any part.
 */
static inline void replay_by_parts(const struct replay *r, struct store *s,
				   struct store_ctx *c, unsigned parts)
{
	for (unsigned part = parts; part-- > 0;) {
		struct record rec;
		size_t at = 0;

		while (replay_next(r, &at, &rec)) {
			unsigned mine = (unsigned)(rec.lsn % parts);

			if (rec.key_len > 0) {
				struct store_key key = store_key(s, rec.key,
								 rec.key_len);

				mine = store_part(s, &key, parts);
			}
			if (mine == part) {
				replay_apply(s, c, &rec);
			}
		}
	}
}

/* An empty store without a log, that has room for anything. */
static inline struct store *replay_copy(void)
{
	struct store_config config = {
		.memory_limit = REPLAY_COPY_LIMIT,
		.memory_reserve = REPLAY_COPY_LIMIT,
		.hash_seed = 5,
	};
	struct store *s = store_new(&config);

	assert_non_null(s);
	return s;
}

/* Is it the item that it should be?  Marks of readers are not logged. */
static inline void replay_compare(const struct item_view *copy,
				  const struct item_view *v)
{
	assert_int_equal(copy->lsn, v->lsn);
	assert_int_equal(copy->cas, v->cas);
	assert_int_equal(copy->cflags, v->cflags);
	assert_int_equal(copy->exptime, v->exptime);
	assert_int_equal(copy->stale, v->stale);
	assert_int_equal(copy->binkey, v->binkey);
	assert_int_equal(copy->value_len, v->value_len);
	assert_memory_equal(copy->value, v->value, v->value_len);
}

#endif
