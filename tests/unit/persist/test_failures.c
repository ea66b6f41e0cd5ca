/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations on files that fail.  Every kind of operation fails at its n-th
 * call, for each n until a pass in which none is left to fail: of a whole life
 * with a journal, a snapshot and a clean stop, of its beginning, and of a look
 * at what it left.  Whatever fails is reported, is got over once it works
 * again, and costs nothing that was known to be durable: that is judged by
 * crashes (course.h) after the failure and at the end.
 *
 * The same for a disk that is full until space returns, and for writes that
 * take a few bytes at a time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "course.h"
#include "thin.h"

enum {
	VALUE_MAX = 3000,
	FILE_BYTES = 4000,
	ACTIONS = 60,
	TRIES_MAX = 20,
	STATES = 1, /* times three, at each error */
};

/* ---- a life in which something fails ------------------------------------ */

struct trouble {
	struct course c;
	unsigned errors;     /* that were reported */
	unsigned room_after; /* so many the disk is no longer full; 0: it is
				not full */
};

static void judge_now(struct trouble *t)
{
	struct course *c = &t->c;
	size_t end = memdir_position(c->m);

	for (int i = 0; i < STATES; i++) {
		uint64_t seed = rng_next(&c->dice);
		size_t back = rng_below(&c->dice, 4);

		course_judge(c, MEMDIR_POWER, end, seed);
		if (end > c->first + back) {
			course_judge(c, MEMDIR_POWER, end - back, seed);
			course_judge(c, MEMDIR_KILL, end - back, seed);
		}
	}
}

static void note_error(struct trouble *t)
{
	t->errors++;
	if (t->errors == t->room_after) {
		memdir_set_capacity(t->c.m, UINT64_MAX);
	}
}

/* Something was done: did it fail?  True: it did. */
static bool failed(struct trouble *t, int result)
{
	course_note(&t->c);
	if (result >= 0) {
		return false;
	}
	note_error(t);
	judge_now(t);
	return true;
}

/* After a failure: what the keeper would do until all is well. */
static void get_over(struct trouble *t)
{
	struct bed *b = &t->c.bed;

	for (int tries = 0; b->distrust; tries++) {
		assert_true(tries < TRIES_MAX);
		ledger_act(&t->c.ledger, b, &t->c.dice);
		failed(t, bed_begin_anew(b));
	}
}

static void write_and_sync(struct trouble *t)
{
	struct bed *b = &t->c.bed;

	for (int tries = 0; failed(t, bed_write(b)); tries++) {
		assert_true(tries < TRIES_MAX);
		ledger_act(&t->c.ledger, b, &t->c.dice);
		get_over(t);
	}
	if (failed(t, bed_sync(b))) {
		get_over(t);
	}
}

static void take_snapshot(struct trouble *t)
{
	struct bed *b = &t->c.bed;
	int result;

	for (int tries = 0;; tries++) {
		assert_true(tries < TRIES_MAX);
		result = bed_snapshot_begin(b);
		while (result >= 0 && b->snapshot) {
			result = bed_snapshot_step(b);
		}
		if (!failed(t, result)) {
			return;
		}
		get_over(t);
	}
}

static void open_life(struct trouble *t)
{
	for (int tries = 0; !course_open(&t->c, FILE_BYTES); tries++) {
		assert_true(tries < TRIES_MAX);
		assert_true(strlen(t->c.bed.problem) > 10);
		note_error(t);
		bed_close(&t->c.bed);
		assert_int_equal(memdir_open_files(t->c.m), 0);
		memdir_end_process(t->c.m);
	}
}

static void live(struct trouble *t)
{
	struct course *c = &t->c;

	for (int i = 0; i < ACTIONS; i++) {
		ledger_act(&c->ledger, &c->bed, &c->dice);
		if (i % 7 == 0) {
			write_and_sync(t);
		}
		if (i % 25 == 24) {
			take_snapshot(t);
		}
	}
}

/* The stop is tried once; then it was none. */
static void end(struct trouble *t)
{
	if (course_stop(&t->c) < 0) {
		t->errors++;
	}
	judge_now(t);
	course_die(&t->c);
}

/* ---- sweeps ------------------------------------------------------------- */

static const struct memdir_fault kinds[] = {
	{ .ops = 1U << MEMDIR_OPEN, .times = 1, .error = -EMFILE },
	{ .ops = 1U << MEMDIR_CREATE, .times = 1, .error = -ENOSPC },
	{ .ops = 1U << MEMDIR_READ, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_WRITE, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_WRITE, .times = 3, .error = -ENOSPC },
	{ .ops = 1U << MEMDIR_SYNC, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_SYNC, .times = 3, .error = -EIO },
	{ .ops = 1U << MEMDIR_SIZE, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_RENAME, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_REMOVE, .times = 1, .error = -EACCES },
	{ .ops = 1U << MEMDIR_SYNC_NAMES, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_SYNC_NAMES, .times = 3, .error = -EIO },
	{ .ops = 1U << MEMDIR_LIST, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_LOCK, .times = 1, .error = -ENOLCK },
	/* All of them, as when a disk is gone for a while. */
	{ .ops = ~0U, .times = 8, .error = -EIO },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/*
 * Two lives; the second begins where the first was killed, and one of them has
 * the trouble.  The calls that failed.
 */
static uint64_t sweep_once(const struct memdir_fault *fault, bool in_second,
			   unsigned *errors)
{
	struct trouble t = { 0 };
	uint64_t hits;

	course_init(&t.c, 1, VALUE_MAX);
	if (!in_second) {
		memdir_fail(t.c.m, fault);
	}
	open_life(&t);
	live(&t);
	course_die(&t.c);
	if (in_second) {
		memdir_fail(t.c.m, fault);
	}
	open_life(&t);
	live(&t);
	end(&t);
	hits = memdir_hits(t.c.m);
	*errors += t.errors;
	course_release(&t.c);
	return hits;
}

/* Old files that cannot be removed are no failure of what the bed does. */
static bool is_reported(unsigned ops)
{
	return ops != 1U << MEMDIR_REMOVE;
}

static void test_sweep(void **state)
{
	unsigned runs = 0, all_errors = 0;

	(void)state;
	for (int i = 0; i < 2 * KINDS; i++) {
		struct memdir_fault fault = kinds[i / 2];
		unsigned errors = 0;

		while (sweep_once(&fault, i % 2, &errors) > 0) {
			fault.skip += THIN;
			runs++;
		}
		assert_true(fault.skip > 0);
		if (is_reported(fault.ops)) {
			assert_true(errors >= fault.skip / THIN / 2);
		}
		all_errors += errors;
	}
	print_message("%u runs, %u errors reported\n", runs, all_errors);
	assert_true(runs > 400 / THIN / 2);
}

/* ---- a full disk, and writes in pieces ---------------------------------- */

/* The disk is full at some size; space returns after some failures. */
static void test_full_disk(void **state)
{
	enum { FROM = 200, TO = 8200, BY = 160 };
	unsigned full = 0;

	(void)state;
	for (uint64_t room = FROM; room < TO; room += THIN * BY) {
		struct trouble t = { 0 };

		course_init(&t.c, room, VALUE_MAX);
		memdir_set_capacity(t.c.m, room);
		t.room_after = 3;
		open_life(&t);
		live(&t);
		end(&t);
		full += t.errors > 0;
		course_release(&t.c);
	}
	print_message("full %u times\n", full);
	assert_true(full > 30 / THIN);
}

/* Each write takes a few bytes only: nothing fails, nothing differs. */
static void test_short_writes(void **state)
{
	static const size_t most[] = { 1, 7, 8, 63, 64, 100, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		struct trouble t = { 0 };

		course_init(&t.c, i, VALUE_MAX);
		memdir_set_write_max(t.c.m, most[i]);
		open_life(&t);
		live(&t);
		course_die(&t.c);
		open_life(&t);
		live(&t);
		end(&t);
		assert_int_equal(t.errors, 0);
		course_release(&t.c);
	}
}

/* ---- a look ------------------------------------------------------------- */

/*
 * Recovery of a finished directory while something fails: refused, or what it
 * would have been without.
 */
static void test_look(void **state)
{
	static const enum memdir_op ops[] = { MEMDIR_OPEN, MEMDIR_READ,
					      MEMDIR_SIZE, MEMDIR_LIST };
	struct trouble t = { 0 };
	char why[PROBLEM_SIZE];
	uint64_t last;
	uint32_t now;

	(void)state;
	course_init(&t.c, 1, VALUE_MAX);
	open_life(&t);
	live(&t);
	write_and_sync(&t);
	last = log_lsn(t.c.bed.log);
	now = t.c.bed.now;
	course_die(&t.c);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct memdir_fault f = { .ops = 1U << ops[i],
					  .times = 1,
					  .error = -EIO };
		uint64_t before;
		struct bed b;

		do {
			before = memdir_hits(t.c.m);
			memdir_fail(t.c.m, &f);
			if (!bed_look(&b, memdir_dir(t.c.m), now)) {
				assert_true(strlen(b.problem) > 10);
			} else {
				assert_int_equal(b.recovery.applied_lsn, last);
				assert_true(ledger_compare(&t.c.ledger, &b,
							   last, why));
			}
			bed_close(&b);
			assert_int_equal(memdir_open_files(t.c.m), 0);
			memdir_heal(t.c.m);
			f.skip++;
		} while (memdir_hits(t.c.m) > before);
		assert_true(f.skip > 1);
	}
	course_release(&t.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
