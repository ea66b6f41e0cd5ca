/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judging what a crash leaves by what was known when it came.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "course.h"

enum {
	NOW = 1000000,
	GOES_ON_IN = 16, /* one state in so many is lived on in */
	ACTIONS = 10,
	SMALL_FILE = 2000,
};

/* ---- notes -------------------------------------------------------------- */

static void add_note(struct course *c, struct note note)
{
	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 256;
		c->notes = realloc(c->notes, c->room * sizeof(*c->notes));
		check(c->notes);
	}
	note.position = memdir_position(c->m);
	c->notes[c->count++] = note;
}

void course_note(struct course *c)
{
	struct note before = c->notes[c->count - 1];
	uint64_t lsn = log_lsn(c->bed.log);
	struct note note = {
		.durable = c->bed.durable,
		.written = c->bed.written,
		.drawn = lsn > c->bed.recovery.next_lsn ? lsn : before.drawn,
		.stopped = c->stopped,
		.now = c->bed.now,
	};

	if (note.durable < before.durable) {
		note.durable = before.durable;
	}
	add_note(c, note);
}

/* The last note that was taken when the history had that length. */
static const struct note *known(const struct course *c, size_t position)
{
	size_t low = 0, high = c->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (c->notes[middle].position <= position) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return &c->notes[low];
}

/* ---- states ------------------------------------------------------------- */

struct crash {
	enum memdir_crash how;
	size_t position;
	uint64_t seed;
	const struct note *before; /* what was known for sure */
	const struct note *after;  /* when what was being done was done */
};

static void fail_state(struct course *c, const struct crash *at,
		       const char *why)
{
	memdir_tell(c->m, at->position, stderr);
	ledger_tell(&c->ledger, at->before->durable, stderr);
	fail_msg("course %" PRIu64 ", %s behind step %zu, seed %" PRIu64 ": %s",
		 c->seed, at->how == MEMDIR_KILL ? "kill" : "power loss",
		 at->position, at->seed, why);
}

static void judge_lsns(struct course *c, const struct crash *at,
		       const struct recovery *r)
{
	uint64_t least = at->how == MEMDIR_KILL ? at->before->written :
						  at->before->durable;
	char why[PROBLEM_SIZE];

	if (r->applied_lsn < least || r->applied_lsn > at->after->drawn) {
		snprintf(why, sizeof(why),
			 "recovered up to %" PRIu64 " instead of %" PRIu64
			 " to %" PRIu64,
			 r->applied_lsn, least, at->after->drawn);
		fail_state(c, at, why);
	}
	if (r->next_lsn < at->after->drawn || r->next_lsn < r->last_lsn) {
		snprintf(why, sizeof(why),
			 "the next LSN follows %" PRIu64 ", but %" PRIu64
			 " had been drawn",
			 r->next_lsn, at->after->drawn);
		fail_state(c, at, why);
	}
	if (r->clean && r->applied_lsn != at->before->stopped &&
	    r->applied_lsn != at->after->stopped) {
		fail_state(c, at, "taken for a clean stop");
	}
}

/* A life in the state: what it syncs is there in the next. */
static void live_on(struct course *c, const struct crash *at, struct memdir *m)
{
	struct ledger ledger;
	struct rng dice;
	struct bed b;
	uint32_t now;
	char why[PROBLEM_SIZE];

	rng_init(&dice, at->seed);
	ledger_init(&ledger, c->ledger.value_max);
	assert_true(bed_open(&b, memdir_dir(m), at->after->now));
	assert_int_equal(bed_begin(&b, SMALL_FILE), 0);
	ledger_base(&ledger, &b);
	for (int i = 0; i < ACTIONS; i++) {
		ledger_act(&ledger, &b, &dice);
		assert_int_equal(bed_write(&b), 0);
	}
	assert_int_equal(bed_sync(&b), 0);
	now = b.now;
	bed_close(&b);
	memdir_end_process(m);
	if (!bed_look(&b, memdir_dir(m), now)) {
		fail_state(c, at, b.problem);
	}
	if (!ledger_compare(&ledger, &b, UINT64_MAX, why)) {
		ledger_tell(&ledger, 0, stderr);
		fail_state(c, at, why);
	}
	bed_close(&b);
	ledger_release(&ledger);
}

static void judge(struct course *c, const struct crash *at)
{
	struct memdir *m = memdir_crash(c->m, at->how, at->position, at->seed);
	struct bed b;
	char why[PROBLEM_SIZE];

	if (!bed_open(&b, memdir_dir(m), at->after->now)) {
		fail_state(c, at, b.problem);
	}
	judge_lsns(c, at, &b.recovery);
	c->clean_states += b.recovery.clean;
	c->torn_states += b.recovery.torn[0] != '\0';
	if (!ledger_compare(&c->ledger, &b, b.recovery.applied_lsn, why)) {
		fail_state(c, at, why);
	}
	bed_close(&b);
	memdir_end_process(m);
	c->states++;
	if (c->states % GOES_ON_IN == 0) {
		live_on(c, at, m);
	}
	memdir_free(m);
}

void course_judge(struct course *c, enum memdir_crash how, size_t position,
		  uint64_t seed)
{
	struct crash at = { .how = how, .position = position, .seed = seed };

	/* The last step of a killed process may have been cut short: what is
	 * known is what was before it. */
	at.before = known(c, how == MEMDIR_KILL && position > 0 ? position - 1 :
								  position);
	at.after = known(c, position);
	if (at.after + 1 < c->notes + c->count) {
		at.after++;
	}
	judge(c, &at);
}

/* ---- lives -------------------------------------------------------------- */

void course_init(struct course *c, uint64_t seed, uint32_t value_max)
{
	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->m = memdir_new();
	rng_init(&c->dice, seed);
	ledger_init(&c->ledger, value_max);
	add_note(c, (struct note){ .now = NOW });
}

void course_release(struct course *c)
{
	memdir_free(c->m);
	ledger_release(&c->ledger);
	free(c->notes);
}

bool course_open(struct course *c, uint64_t file_bytes)
{
	struct note last = c->notes[c->count - 1];
	char why[PROBLEM_SIZE];
	int error;

	c->first = memdir_position(c->m);
	c->count = 0;
	add_note(c, last);
	if (!bed_open(&c->bed, memdir_dir(c->m), last.now)) {
		return false;
	}
	if (c->bed.recovery.applied_lsn < last.durable) {
		fail_msg("course %" PRIu64 ": lost what was durable", c->seed);
	}
	ledger_forget(&c->ledger, c->bed.recovery.applied_lsn);
	last.now = c->bed.now;
	last.written = c->bed.recovery.applied_lsn;
	add_note(c, last);
	error = bed_begin(&c->bed, file_bytes);
	if (error < 0) {
		snprintf(c->bed.problem, PROBLEM_SIZE, "no journal: %s",
			 strerror(-error));
		return false;
	}
	course_note(c);
	ledger_tick(&c->ledger, &c->bed);
	if (!ledger_compare(&c->ledger, &c->bed, UINT64_MAX, why)) {
		fail_msg("course %" PRIu64 ": %s", c->seed, why);
	}
	course_note(c);
	return true;
}

int course_stop(struct course *c)
{
	uint64_t lsn = log_lsn(c->bed.log);
	int error = bed_stop(&c->bed);

	/* It may stand though its last sync failed. */
	c->stopped = lsn;
	if (error == 0) {
		c->bed.durable = lsn;
	}
	course_note(c);
	return error;
}

void course_die(struct course *c)
{
	struct memdir_fault killed = { .ops = ~0U,
				       .times = MEMDIR_FOR_EVER,
				       .error = -EIO };

	memdir_heal(c->m);
	memdir_fail(c->m, &killed);
	bed_close(&c->bed);
	if (memdir_open_files(c->m) != 0) {
		fail_msg("course %" PRIu64 ": a file was left open", c->seed);
	}
	memdir_heal(c->m);
	memdir_end_process(c->m);
}

void course_crash(struct course *c, enum memdir_crash how)
{
	struct memdir *next = memdir_crash(c->m, how, memdir_position(c->m),
					   rng_next(&c->dice));

	memdir_free(c->m);
	c->m = next;
	c->notes[c->count - 1].written = c->notes[c->count - 1].durable;
}
