/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flipped bits.  In a finished data directory bits of every file are flipped,
 * one at a time: all of the headers and of the ends, and some of each byte
 * between.  Recovery must refuse each, or, in the last journal behind what a
 * mark proves, tell of a torn end and give exactly what was before it.  The
 * check of the directory must tell of each too.
 *
 * Nothing but the lock's file, which is empty, may be changed in silence.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "ledger.h"
#include "memdir.h"
#include "persist/restore.h"
#include "thin.h"

enum {
	FLIPS_MIN = 20000,
	ENDS = 64, /* bytes at both ends of which each bit is flipped */
	FLIPS_A_BYTE = 1,
	VALUE_MAX = 600,
	FILES_MAX = 16,
	NOW = 1000000,
};

struct yard {
	struct memdir *m;
	struct bed bed;
	struct ledger ledger;
	struct rng dice;
	uint32_t now;
	uint64_t last;   /* LSN */
	uint64_t proved; /* the last mark says that these were durable */
	bool is_stopped;
	char files[FILES_MAX][MEMDIR_NAME_SIZE];
	size_t count;
	unsigned flips;
	unsigned torn;
};

/* ---- making one --------------------------------------------------------- */

static void begin(struct yard *y, uint64_t seed)
{
	memset(y, 0, sizeof(*y));
	y->m = memdir_new();
	rng_init(&y->dice, seed);
	ledger_init(&y->ledger, VALUE_MAX);
	assert_true(bed_open(&y->bed, memdir_dir(y->m), NOW));
	assert_int_equal(bed_begin(&y->bed, 1500), 0);
}

static void change_and_sync(struct yard *y, int times)
{
	while (times-- > 0) {
		uint64_t before = y->bed.durable;
		uint64_t first = y->bed.journal.first_lsn;
		uint64_t lsn = log_lsn(y->bed.log);

		while (log_lsn(y->bed.log) < lsn + 3) {
			ledger_act(&y->ledger, &y->bed, &y->dice);
		}
		assert_int_equal(bed_write(&y->bed), 0);
		assert_int_equal(bed_sync(&y->bed), 0);
		/* A write behind a sync begins with a mark, and a new file
		 * proves all of the one before. */
		y->proved = y->bed.journal.first_lsn == first ?
				    before :
				    y->bed.journal.first_lsn - 1;
	}
}

static void snapshot(struct yard *y)
{
	int result = bed_snapshot_begin(&y->bed);

	assert_int_equal(result, 0);
	do {
		result = bed_snapshot_step(&y->bed);
	} while (result > 0);
	assert_int_equal(result, 0);
}

static void note_file(void *arg, const char *name)
{
	struct yard *y = arg;

	if (strcmp(name, NAME_LOCK) != 0) {
		assert_true(y->count < FILES_MAX);
		memcpy(y->files[y->count++], name, strlen(name) + 1);
	}
}

static void finish(struct yard *y)
{
	y->last = log_lsn(y->bed.log);
	if (y->is_stopped) {
		assert_int_equal(bed_stop(&y->bed), 0);
		y->proved = y->last;
	}
	y->now = y->bed.now;
	bed_close(&y->bed);
	memdir_end_process(y->m);
	assert_int_equal(dir_list(memdir_dir(y->m), note_file, y), 0);
}

static void release(struct yard *y)
{
	ledger_release(&y->ledger);
	memdir_free(y->m);
}

/* ---- flipping ----------------------------------------------------------- */

struct flip {
	const char *file;
	size_t byte;
	unsigned bit;
};

static void fail_flip(const struct flip *f, const char *what, const char *why)
{
	fail_msg("%s, byte %zu, bit %u: %s: %s", f->file, f->byte, f->bit, what,
		 why);
}

/* Nothing was refused: then it must be told, and be a prefix. */
static bool check_torn(struct yard *y, const struct flip *f, struct bed *b)
{
	const struct recovery *r = &b->recovery;
	char why[PROBLEM_SIZE];

	if (r->torn[0] == '\0') {
		fail_flip(f, "recovered", "in silence");
	}
	if (strncmp(f->file, "journal-", 8) != 0 ||
	    strncmp(r->torn, f->file, strlen(f->file)) != 0) {
		fail_flip(f, "another file is torn", r->torn);
	}
	if (r->applied_lsn < y->proved || r->applied_lsn >= y->last) {
		fail_flip(f, "torn at a place that was durable", r->torn);
	}
	if (!ledger_compare(&y->ledger, b, r->applied_lsn, why)) {
		fail_flip(f, "wrong data", why);
	}
	return true;
}

static bool recovers(struct yard *y, const struct flip *f)
{
	struct bed b;
	bool torn = false;

	if (bed_look(&b, memdir_dir(y->m), y->now)) {
		torn = check_torn(y, f, &b);
	} else if (strlen(b.problem) < 10) {
		fail_flip(f, "refused without a reason", b.problem);
	}
	bed_close(&b);
	return torn;
}

/* What `dozo check` says of it. */
static void check_told(struct yard *y, const struct flip *f, bool torn)
{
	char problem[PROBLEM_SIZE] = "";
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int damaged;

	assert_non_null(out);
	damaged = check_directory(memdir_dir(y->m), out, problem);
	assert_int_equal(fclose(out), 0);
	if (damaged == 0 && !(torn && strstr(text, " torn "))) {
		fail_flip(f, "the check passes", text);
	}
	if (damaged < 0 && strlen(problem) < 10) {
		fail_flip(f, "refused without a reason", problem);
	}
	free(text);
}

static void flip(struct yard *y, const char *file, size_t byte, unsigned bit)
{
	struct flip f = { .file = file, .byte = byte, .bit = bit };
	size_t size;
	char *data = memdir_content(y->m, file, &size);
	bool torn;

	data[byte] = (char)(data[byte] ^ 1 << bit);
	torn = recovers(y, &f);
	check_told(y, &f, torn);
	data[byte] = (char)(data[byte] ^ 1 << bit);
	y->flips++;
	y->torn += torn;
}

static void flip_file(struct yard *y, const char *file)
{
	size_t size = 0;

	assert_non_null(memdir_content(y->m, file, &size));
	for (size_t at = 0; at < size; at += THIN) {
		bool all = at < ENDS || at + ENDS >= size;
		unsigned first = (unsigned)rng_below(&y->dice, 8);

		for (unsigned n = 0; n < (all ? 8 : FLIPS_A_BYTE); n++) {
			/* Three is odd: all eight are met. */
			flip(y, file, at, (first + 3 * n) % 8);
		}
	}
}

/* Every flip, and that without one nothing is found. */
static unsigned flip_all(struct yard *y)
{
	struct bed b;
	char problem[PROBLEM_SIZE];
	char why[PROBLEM_SIZE];
	FILE *nowhere = fopen("/dev/null", "w");

	assert_non_null(nowhere);
	for (size_t i = 0; i < y->count; i++) {
		flip_file(y, y->files[i]);
	}
	assert_true(bed_look(&b, memdir_dir(y->m), y->now));
	assert_string_equal(b.recovery.torn, "");
	assert_int_equal(b.recovery.clean, y->is_stopped);
	assert_int_equal(b.recovery.applied_lsn, y->last);
	assert_true(ledger_compare(&y->ledger, &b, y->last, why));
	bed_close(&b);
	assert_int_equal(check_directory(memdir_dir(y->m), nowhere, problem),
			 0);
	fclose(nowhere);
	return y->flips;
}

/* ---- directories -------------------------------------------------------- */

static void test_flips(void **state)
{
	unsigned flips = 0, torn;
	struct yard y;

	(void)state;
	/* Journals only. */
	begin(&y, 1);
	change_and_sync(&y, 12);
	finish(&y);
	assert_true(y.count >= 3);
	flips += flip_all(&y);
	torn = y.torn;
	release(&y);
	/* A snapshot, and journals behind it. */
	begin(&y, 2);
	change_and_sync(&y, 8);
	snapshot(&y);
	change_and_sync(&y, 8);
	finish(&y);
	assert_true(y.count >= 3);
	flips += flip_all(&y);
	assert_true(torn > 0 && y.torn > 0);
	release(&y);
	/* A clean stop. */
	begin(&y, 3);
	change_and_sync(&y, 10);
	y.is_stopped = true;
	finish(&y);
	assert_int_equal(y.count, 2);
	flips += flip_all(&y);
	assert_int_equal(y.torn, 0);
	release(&y);
	print_message("%u flips\n", flips);
	assert_true(flips >= FLIPS_MIN / THIN);
}

static bool is_last_journal(const struct yard *y, const char *file)
{
	for (size_t i = 0; i < y->count; i++) {
		if (strncmp(y->files[i], "journal-", 8) == 0 &&
		    strcmp(y->files[i], file) > 0) {
			return false;
		}
	}
	return true;
}

/*
 * A file of another length.  What is behind the end of a journal that another
 * follows may be from a crash in the past, and says nothing.  An end that is
 * cut where a record ends, behind what a mark proves, cannot be told; but it is
 * an end, and nothing else.
 */
static void check_length(struct yard *y, const struct flip *f, bool longer)
{
	const struct recovery *r;
	struct bed b;
	char why[PROBLEM_SIZE];

	if (bed_look(&b, memdir_dir(y->m), y->now)) {
		r = &b.recovery;
		if (strncmp(f->file, "journal-", 8) != 0 ||
		    r->applied_lsn < y->proved || r->applied_lsn > y->last ||
		    (longer && r->applied_lsn < y->last)) {
			fail_flip(f, "recovered", "it has another length");
		}
		if (longer && is_last_journal(y, f->file) &&
		    r->torn[0] == '\0') {
			fail_flip(f, "recovered", "in silence");
		}
		if (!ledger_compare(&y->ledger, &b, r->applied_lsn, why)) {
			fail_flip(f, "wrong data", why);
		}
	}
	bed_close(&b);
}

/* Each file cut short at any length, and with zeros behind its end. */
static void test_lengths(void **state)
{
	struct memdir *whole;
	struct yard y;

	(void)state;
	begin(&y, 4);
	change_and_sync(&y, 6);
	snapshot(&y);
	change_and_sync(&y, 6);
	finish(&y);
	whole = y.m;
	for (size_t i = 0; i < y.count; i++) {
		struct flip f = { .file = y.files[i] };
		size_t size = 0;

		assert_non_null(memdir_content(whole, f.file, &size));
		for (f.byte = 0; f.byte <= size + 8; f.byte += THIN) {
			if (f.byte == size) {
				continue;
			}
			y.m = memdir_copy(whole);
			memdir_resize(y.m, f.file, f.byte);
			check_length(&y, &f, f.byte > size);
			memdir_free(y.m);
		}
	}
	y.m = whole;
	release(&y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
