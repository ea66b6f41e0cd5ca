/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A store with one context, and short words for what tests do with it.
 */
#ifndef DOZO_STORE_FIXTURE_H
#define DOZO_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "store/state.h"
#include "store/store.h"

enum { NOW = 1000000, JOINED_MAX = 1 << 20 };

struct fixture {
	struct store *s;
	struct store_ctx *c;
	uint32_t now;
	uint64_t evicted; /* told of */
	uint32_t fail_in; /* allocations until one is refused; 0: none is */
	char text[256];   /* of the key last made */
};

static inline void fixture_evicted(void *arg, const struct item_view *v,
				   uint32_t now)
{
	struct fixture *f = arg;

	(void)v;
	(void)now;
	f->evicted++;
}

static inline bool fixture_deny(void *arg)
{
	struct fixture *f = arg;

	return f->fail_in > 0 && --f->fail_in == 0;
}

static inline void fixture_open_logged(struct fixture *f, uint64_t limit,
				       bool evict, struct log *log)
{
	struct store_config config = {
		.memory_limit = limit,
		.memory_reserve = 2 * limit,
		.hash_seed = 99,
		.log = log,
		.evict = evict,
		.on_evict = fixture_evicted,
		.on_evict_arg = f,
		.deny = fixture_deny,
		.deny_arg = f,
	};

	memset(f, 0, sizeof(*f));
	f->now = NOW;
	f->s = store_new(&config);
	assert_non_null(f->s);
	f->c = store_ctx_new(f->s);
	assert_non_null(f->c);
}

static inline void fixture_open(struct fixture *f, uint64_t limit, bool evict)
{
	fixture_open_logged(f, limit, evict, NULL);
}

/* Everything that was charged is accounted for, and given back. */
static inline void fixture_close(struct fixture *f)
{
	store_verify(f->s);
	assert_int_equal(state_charged(f->s), budget_used(store_budget(f->s)));
	store_ctx_free(f->c);
	store_verify(f->s);
	store_free(f->s);
}

/* Key number n, in f->text. */
static inline struct store_key key_of(struct fixture *f, uint64_t n)
{
	int len = sprintf(f->text, "key:%012llu", (unsigned long long)n);

	return store_key(f->s, f->text, (size_t)len);
}

static inline struct store_key key_named(struct fixture *f, const char *name)
{
	return store_key(f->s, name, strlen(name));
}

static inline enum store_result put(struct fixture *f, struct store_key key,
				    const char *value, uint32_t len,
				    uint32_t exptime)
{
	static const struct commit how = { .mode = MODE_SET };
	struct reservation r;
	struct change out;
	enum store_result res = store_reserve(f->c, &key, len, 0, exptime,
					      false, f->now, &r);

	if (res != STORE_OK) {
		return res;
	}
	memcpy(r.value, value, len);
	return store_commit(f->c, &r, &how, JOINED_MAX, f->now, &out);
}

/* Stores `len` bytes that say the key's number. */
static inline enum store_result put_number(struct fixture *f, uint64_t n,
					   uint32_t len, uint32_t exptime)
{
	static char value[1 << 20];
	struct store_key key = key_of(f, n);

	assert_true(len <= sizeof(value));
	memset(value, (int)('a' + n % 26), len);
	return put(f, key, value, len, exptime);
}

/* Is it there, and is it what put_number() stored?  Counts as an access. */
static inline bool has_number(struct fixture *f, uint64_t n)
{
	struct store_key key = key_of(f, n);
	struct store_entry e;
	bool found = store_open(f->c, &key, f->now, &e);

	if (found) {
		for (uint32_t i = 0; i < e.item.value_len; i++) {
			assert_int_equal(e.item.value[i], 'a' + n % 26);
		}
		entry_bump(&e);
	}
	store_close(&e);
	return found;
}

static inline uint64_t flush(struct fixture *f)
{
	uint64_t lsn;

	assert_int_equal(store_flush(f->s, f->now, &lsn), STORE_OK);
	return lsn;
}

static inline void flush_at(struct fixture *f, uint32_t at)
{
	uint64_t lsn;

	assert_int_equal(store_flush_at(f->s, at, f->now, &lsn), STORE_OK);
}

static inline struct store_stats stats_of(struct fixture *f)
{
	struct store_stats st;

	store_stats(f->s, &st);
	return st;
}

/* Upkeep until there is nothing to do; a bound on calls fails the test. */
static inline void maintain(struct fixture *f)
{
	int calls = 0;

	while (store_maintain(f->c, f->now, 1000)) {
		assert_true(++calls < 100000);
	}
}

#endif
