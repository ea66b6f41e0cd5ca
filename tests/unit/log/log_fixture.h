/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log, records whose content follows from a number, and readers that check
 * it.
 */
#ifndef DOZO_TESTS_LOG_LOG_FIXTURE_H
#define DOZO_TESTS_LOG_LOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/rand.h"
#include "log/log.h"

/* Key and value of record `n`; `value` has room for value_len bytes. */
static inline struct record fixture_record(uint64_t n, char key[8], char *value,
					   uint32_t value_len)
{
	struct rng r;
	uint64_t word;

	memcpy(key, &n, 8);
	rng_init(&r, n);
	for (uint32_t i = 0; i < value_len; i += 8) {
		uint32_t rest = value_len - i < 8 ? value_len - i : 8;

		word = rng_next(&r);
		memcpy(value + i, &word, rest);
	}
	return (struct record){
		.kind = RECORD_ITEM,
		.key = key,
		.key_len = 8,
		.value = value,
		.value_len = value_len,
		.time = (uint32_t)n,
	};
}

/* Reserves and publishes record `n`; its LSN, or 0. */
static inline uint64_t fixture_append(struct log *l, uint64_t n,
				      uint32_t value_len)
{
	char *value = malloc(value_len + 1);
	char key[8];
	struct log_slot slot = { .lsn = 0 };
	struct record r;

	assert_non_null(value);
	r = fixture_record(n, key, value, value_len);
	if (log_reserve(l, &r, &slot)) {
		log_publish(l, &slot, &r);
	} else {
		slot.lsn = 0;
	}
	free(value);
	return slot.lsn;
}

/* A record whose content is that of its own number; the number. */
static inline uint64_t fixture_check(const struct record *r)
{
	char *value = malloc(r->value_len + 1);
	char key[8];
	uint64_t n;

	assert_non_null(value);
	assert_int_equal(r->key_len, 8);
	memcpy(&n, r->key, 8);
	fixture_record(n, key, value, r->value_len);
	assert_true(r->time == (uint32_t)n);
	assert_memory_equal(r->value, value, r->value_len);
	free(value);
	return n;
}

/*
 * All records in the parts, which follow `lsn`: checks that their LSNs are
 * dense, and gives each to `each` (or nobody); the last LSN.
 */
static inline uint64_t
fixture_read(const struct iovec *part, int count, uint64_t lsn,
	     void (*each)(void *arg, const struct record *r), void *arg)
{
	struct record r;
	uint32_t size;

	for (int i = 0; i < count; i++) {
		const char *at = part[i].iov_base;
		size_t left = part[i].iov_len;

		assert_true(left > 0);
		for (; left > 0; left -= size, at += size) {
			assert_int_equal(record_read(at, left, &r, &size),
					 RECORD_GOOD);
			assert_true(r.lsn == lsn + 1);
			lsn = r.lsn;
			fixture_check(&r);
			if (each != NULL) {
				each(arg, &r);
			}
		}
	}
	return lsn;
}

enum { FIXTURE_PARTS = 16 };

/* Reads and passes all that is published; the records. */
static inline uint64_t fixture_drain(struct log_cursor *c)
{
	struct iovec part[FIXTURE_PARTS];
	uint64_t from = c->lsn;
	uint64_t last;
	int count;

	while (log_cursor_look(c, part, FIXTURE_PARTS, UINT64_MAX, &count,
			       &last) == LOG_SOME) {
		assert_true(fixture_read(part, count, c->lsn, NULL, NULL) ==
			    last);
		log_cursor_pass(c, last);
		assert_true(c->lsn == last);
	}
	return c->lsn - from;
}

#endif
