/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log, a journal behind it, and a directory in memory.  What each record
 * holds follows from its LSN, so that a reader knows what to expect.
 */
#ifndef DOZO_TESTS_JOURNAL_FIXTURE_H
#define DOZO_TESTS_JOURNAL_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/log.h"
#include "memdir.h"
#include "persist/datadir.h"
#include "persist/journal.h"
#include "persist/journal_reader.h"

enum {
	FIXTURE_NOW = 1000,
	FIXTURE_VALUE_MAX = 700,
	FIXTURE_FILES_MAX = 64,
	FIXTURE_FILE_BYTES = 2000,
};

#define FIXTURE_IDENTITY 0xfeedULL
#define FIXTURE_HASH_SEED 0xbeefULL

struct journal_fixture {
	struct memdir *m;
	struct log *log;
	struct log_cursor cursor;
	struct journal journal;
};

/* What the record with an LSN is; its bytes are in `text`. */
static inline struct record fixture_record(uint64_t lsn,
					   char text[16 + FIXTURE_VALUE_MAX])
{
	struct record r = {
		.kind = RECORD_ITEM,
		.lsn = lsn,
		.time = FIXTURE_NOW,
		.cflags = (uint32_t)lsn,
		.key = text,
		.value = text + 16,
		.value_len = (uint32_t)(lsn * 37 % FIXTURE_VALUE_MAX),
	};

	r.key_len = (uint8_t)snprintf(text, 16, "key-%u", (unsigned)lsn);
	memset(text + 16, (int)('a' + lsn % 26), r.value_len);
	return r;
}

/* A log behind `lsn`; read_file and read_lsn as journal.h has them. */
static inline void fixture_begin_at(struct journal_fixture *f, struct memdir *m,
				    uint64_t lsn, uint64_t read_file,
				    uint64_t read_lsn)
{
	const struct log_config log = { .window_bytes = 1 << 24 };
	const struct journal_config journal = {
		.dir = memdir_dir(m),
		.identity = FIXTURE_IDENTITY,
		.hash_seed = FIXTURE_HASH_SEED,
		.file_bytes = FIXTURE_FILE_BYTES,
		.read_file = read_file,
		.read_lsn = read_lsn,
	};

	f->m = m;
	f->log = log_new(&log);
	assert_non_null(f->log);
	log_begin(f->log, lsn);
	assert_true(log_cursor_open(f->log, &f->cursor, lsn, true));
	journal_init(&f->journal, &journal);
}

static inline void fixture_begin(struct journal_fixture *f)
{
	fixture_begin_at(f, memdir_new(), 0, 0, 0);
	assert_int_equal(journal_start(&f->journal, 0, FIXTURE_NOW), 0);
}

/* The directory stays. */
static inline void fixture_leave(struct journal_fixture *f)
{
	journal_close(&f->journal);
	assert_int_equal(memdir_open_files(f->m), 0);
	log_cursor_close(&f->cursor);
	log_free(f->log);
}

static inline void fixture_end(struct journal_fixture *f)
{
	fixture_leave(f);
	memdir_free(f->m);
}

/* `n` changes. */
static inline void fixture_put(struct journal_fixture *f, unsigned n)
{
	char text[16 + FIXTURE_VALUE_MAX];
	struct log_slot slot;

	while (n-- > 0) {
		struct record r = fixture_record(log_lsn(f->log) + 1, text);

		assert_true(log_reserve(f->log, &r, &slot));
		assert_int_equal(slot.lsn, r.lsn);
		log_publish(f->log, &slot, &r);
	}
}

static inline long fixture_write(struct journal_fixture *f)
{
	return journal_write(&f->journal, &f->cursor, UINT64_MAX, FIXTURE_NOW);
}

/* All of it; 0, or what stopped it. */
static inline long fixture_write_all(struct journal_fixture *f)
{
	long put;

	do {
		put = fixture_write(f);
	} while (put > 0);
	return put;
}

/* `n` changes, in the file and durable. */
static inline void fixture_put_durably(struct journal_fixture *f, unsigned n)
{
	fixture_put(f, n);
	assert_int_equal(fixture_write_all(f), 0);
	assert_int_equal(journal_sync(&f->journal), 0);
}

/* ---- reading ------------------------------------------------------------ */

struct fixture_line {
	struct datadir d;
	struct journal_link link[FIXTURE_FILES_MAX];
	bool well;
};

static inline void fixture_add_name(void *arg, const char *name)
{
	struct fixture_line *l = arg;
	enum file_kind kind;
	uint64_t lsn;

	if (file_name_parse(name, &kind, &lsn) && kind == FILE_JOURNAL) {
		size_t i = l->d.journal_count++;

		assert_true(i < FIXTURE_FILES_MAX);
		while (i > 0 && l->link[i - 1].lsn > lsn) {
			l->link[i] = l->link[i - 1];
			i--;
		}
		l->link[i].lsn = lsn;
	}
}

static inline void fixture_line(struct fixture_line *l, struct memdir *m)
{
	uint64_t lsns[FIXTURE_FILES_MAX];

	memset(l, 0, sizeof(*l));
	assert_int_equal(dir_list(memdir_dir(m), fixture_add_name, l), 0);
	for (size_t i = 0; i < l->d.journal_count; i++) {
		lsns[i] = l->link[i].lsn;
	}
	l->well = journal_line(memdir_dir(m), lsns, l->d.journal_count,
			       l->link);
}

/* What is read of a whole line. */
struct fixture_read {
	uint64_t records;
	uint64_t first; /* 0: none */
	uint64_t last;
	uint64_t jumps; /* places where an LSN does not follow */
	enum journal_check worst;
	char problem[PROBLEM_SIZE];
};

static inline void fixture_read_file(struct fixture_read *out,
				     const struct journal_file *f)
{
	char text[16 + FIXTURE_VALUE_MAX];
	struct record r;
	size_t at = 0;
	uint64_t n = 0;

	while (journal_file_next(f, &at, &r)) {
		struct record e = fixture_record(r.lsn, text);

		assert_int_equal(r.lsn, f->header.lsn + n);
		assert_int_equal(r.kind, e.kind);
		assert_int_equal(r.cflags, e.cflags);
		assert_int_equal(r.key_len, e.key_len);
		assert_int_equal(r.value_len, e.value_len);
		assert_memory_equal(r.key, e.key, e.key_len);
		assert_true(e.value_len == 0 ||
			    memcmp(r.value, e.value, e.value_len) == 0);
		if (out->first == 0) {
			out->first = r.lsn;
		} else {
			assert_true(r.lsn > out->last);
			out->jumps += r.lsn != out->last + 1;
		}
		out->last = r.lsn;
		n++;
	}
	assert_int_equal(n, f->records);
	assert_int_equal(f->last_lsn, n > 0 ? out->last : f->header.lsn_before);
	out->records += n;
}

/* Behind a snapshot at `snapshot`, which the line may need to go on. */
static inline struct fixture_read fixture_read(struct memdir *m,
					       uint64_t snapshot)
{
	struct fixture_read out = { .worst = JOURNAL_GOOD };
	struct fixture_line l;

	fixture_line(&l, m);
	assert_true(l.well);
	for (size_t i = 0; i < l.d.journal_count; i++) {
		struct journal_file f;
		enum journal_check c;

		if (l.link[i].header.lsn_floor > snapshot) {
			break;
		}
		c = journal_file_open(&f, memdir_dir(m), &l.link[i]);
		assert_int_equal(f.torn, c == JOURNAL_TORN);
		assert_int_equal(c == JOURNAL_GOOD, f.problem[0] == '\0');
		if (c > out.worst) {
			out.worst = c;
			snprintf(out.problem, PROBLEM_SIZE, "%s", f.problem);
		}
		if (c <= JOURNAL_TORN) {
			fixture_read_file(&out, &f);
		}
		journal_file_close(&f);
	}
	return out;
}

/* All from `first` to `last` without a gap, and nothing else. */
static inline void fixture_expect(struct memdir *m, uint64_t first,
				  uint64_t last)
{
	struct fixture_read got = fixture_read(m, 0);

	assert_string_equal(got.problem, "");
	assert_int_equal(got.worst, JOURNAL_GOOD);
	assert_int_equal(got.first, first);
	assert_int_equal(got.last, last);
	assert_int_equal(got.jumps, 0);
}

#endif
