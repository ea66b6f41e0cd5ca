/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records to try things on.
 */
#ifndef DOZO_TESTS_LOG_RECORD_SAMPLES_H
#define DOZO_TESTS_LOG_RECORD_SAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/record.h"

/* A record in memory that ends where it ends; the caller frees. */
static inline char *sample_written(const struct record *r, uint32_t *size)
{
	char *at = malloc(record_size(r));

	assert_non_null(at);
	*size = record_write(at, r);
	assert_true(*size == record_size(r));
	record_set_length(at, *size);
	return at;
}

static inline void sample_expect_same(const struct record *a,
				      const struct record *b)
{
	assert_true(a->lsn == b->lsn && a->cas == b->cas);
	assert_true(a->item_lsn == b->item_lsn && a->number == b->number);
	assert_true(a->time == b->time && a->exptime == b->exptime);
	assert_true(a->cflags == b->cflags && a->kind == b->kind);
	assert_true(a->marks == b->marks && a->key_len == b->key_len);
	assert_true(a->value_len == b->value_len);
	assert_true(a->key_len == 0 || memcmp(a->key, b->key, a->key_len) == 0);
	assert_true(a->value_len == 0 ||
		    memcmp(a->value, b->value, a->value_len) == 0);
}

#endif
