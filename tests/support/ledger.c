/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes at random, and what is to be seen after them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "ledger.h"
#include "store/store.h"

enum { LARGE_IN = 24, SHORT_MAX = 300, FAR_S = 100000, KEY_ROOM = KEY_MAX + 1 };

/* The last key is one of those that are never used otherwise. */
enum { SPARE_KEY = LEDGER_KEYS };

static struct store_key key_of(struct bed *b, int number, char text[KEY_ROOM])
{
	size_t len = 3 + (size_t)number * 6;

	if (len > KEY_MAX) {
		len = KEY_MAX;
	}
	memset(text, 'k', len);
	text[0] = (char)('0' + number / 10);
	text[1] = (char)('0' + number % 10);
	return store_key(b->store, text, len);
}

/* ---- noting ------------------------------------------------------------- */

static struct entry *add_entry(struct ledger *l, struct bed *b, uint64_t lsn,
			       int key)
{
	struct entry *e;

	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 256;
		l->entries = realloc(l->entries, l->room * sizeof(*l->entries));
		check(l->entries);
	}
	check(l->count == 0 || l->entries[l->count - 1].lsn < lsn);
	e = &l->entries[l->count++];
	memset(e, 0, sizeof(*e));
	e->lsn = lsn;
	e->key = key;
	e->now = b->now;
	return e;
}

static void fill_entry(struct entry *e, const struct item_view *v)
{
	e->there = true;
	e->stale = v->stale;
	e->binkey = v->binkey;
	e->value_len = v->value_len;
	e->value = malloc((size_t)v->value_len + 1);
	check(e->value);
	memcpy(e->value, v->value, v->value_len);
	e->cflags = v->cflags;
	e->exptime = v->exptime;
	e->cas = v->cas;
	e->item_lsn = v->lsn;
}

/* A change of a key may have been made: one record, or none. */
static void note_key(struct ledger *l, struct bed *b, int number,
		     uint64_t before)
{
	uint64_t lsn = log_lsn(b->log);
	struct store_entry found;
	char text[KEY_ROOM];
	struct store_key key = key_of(b, number, text);
	struct entry *e;

	if (lsn == before) {
		return;
	}
	check(lsn == before + 1);
	e = add_entry(l, b, lsn, number);
	if (store_open(b->ctx, &key, b->now, &found)) {
		fill_entry(e, &found.item);
	}
	store_close(&found);
}

static void note_flush(struct ledger *l, struct bed *b, uint64_t before)
{
	uint64_t lsn = log_lsn(b->log);

	if (lsn == before) {
		return;
	}
	check(lsn == before + 1);
	add_entry(l, b, lsn, LEDGER_FLUSH)->flushes = true;
	l->pending = 0;
}

/* ---- changes ------------------------------------------------------------ */

static uint32_t pick_exptime(struct bed *b, struct rng *dice)
{
	switch (rng_below(dice, 4)) {
	case 0:
		return b->now + 1 + (uint32_t)rng_below(dice, 6);
	case 1:
		return b->now + FAR_S;
	default:
		return 0;
	}
}

static uint32_t pick_length(const struct ledger *l, struct rng *dice)
{
	if (rng_below(dice, LARGE_IN) == 0) {
		return (uint32_t)rng_below(dice, l->value_max + 1);
	}
	return (uint32_t)rng_below(dice, SHORT_MAX);
}

static void fill_value(char *to, uint32_t n, struct rng *dice)
{
	uint64_t word = rng_next(dice);

	for (uint32_t i = 0; i < n; i++) {
		to[i] = (char)(word >> i % 8 * 8);
		if (i % 64 == 63) {
			word = rng_next(dice);
		}
	}
}

/* The cas of the key, or a wrong one; 0: it is not there. */
static uint64_t cas_of(struct bed *b, const struct store_key *key)
{
	struct store_entry e;
	uint64_t cas = 0;

	if (store_open(b->ctx, key, b->now, &e)) {
		cas = e.item.cas;
	}
	store_close(&e);
	return cas;
}

static void put(struct ledger *l, struct bed *b, const struct store_key *key,
		struct rng *dice)
{
	struct commit how = { .mode = (enum store_mode)rng_below(dice, 5) };
	struct reservation r;
	struct change out;

	if (rng_below(dice, 2) == 0) {
		how.mode = MODE_SET;
	}
	if (rng_below(dice, 8) == 0) {
		how.compare = true;
		how.compare_cas = cas_of(b, key) - rng_below(dice, 2);
		how.take_stale = rng_below(dice, 2) == 0;
	}
	how.vivify = rng_below(dice, 2) == 0;
	if (rng_below(dice, 8) == 0) {
		how.new_cas = 1 + rng_below(dice, FAR_S);
	}
	if (store_reserve(b->ctx, key, pick_length(l, dice),
			  rng_below(dice, 2) ? (uint32_t)rng_next(dice) : 0,
			  pick_exptime(b, dice), rng_below(dice, 8) == 0,
			  b->now, &r) != STORE_OK) {
		l->refused++;
		return;
	}
	fill_value(r.value, r.value_len, dice);
	if (store_commit(b->ctx, &r, &how, l->value_max, b->now, &out) ==
	    STORE_NO_MEMORY) {
		l->refused++;
	}
}

static void count_up(struct bed *b, const struct store_key *key,
		     struct rng *dice)
{
	struct delta d = {
		.decrement = rng_below(dice, 2),
		.create = true,
		.set_exptime = rng_below(dice, 4) == 0,
		.exptime = b->now + FAR_S,
		.amount = rng_below(dice, 100000),
		.initial = rng_below(dice, 100),
	};
	struct store_entry e;
	uint64_t result;
	enum store_result res = store_delta(b->ctx, key, &d, b->now, &result,
					    &e);

	if (res == STORE_OK || res == STORE_EXISTS) {
		store_close(&e);
	}
}

static void touch(struct bed *b, const struct store_key *key, struct rng *dice)
{
	struct store_entry e;

	if (store_open_touch(b->ctx, key, pick_exptime(b, dice), b->now, &e) !=
	    STORE_NO_MEMORY) {
		store_close(&e);
	}
}

static void invalidate(struct bed *b, const struct store_key *key,
		       struct rng *dice)
{
	struct invalidate how = {
		.mark_stale = true,
		.drop_value = rng_below(dice, 2),
		.set_exptime = rng_below(dice, 2),
		.exptime = b->now + FAR_S,
	};
	struct change out;

	store_invalidate(b->ctx, key, &how, b->now, &out);
}

static void change_key(struct ledger *l, struct bed *b, struct rng *dice)
{
	int number = (int)rng_below(dice, LEDGER_KEYS);
	uint64_t before = log_lsn(b->log);
	char text[KEY_ROOM];
	struct store_key key = key_of(b, number, text);
	struct change out;

	switch (rng_below(dice, 16)) {
	case 0:
	case 1:
		store_remove(b->ctx, &key, false, 0, b->now, &out);
		break;
	case 2:
	case 3:
		touch(b, &key, dice);
		break;
	case 4:
	case 5:
		/* Some keys are numbers more often than not. */
		number %= 4;
		key = key_of(b, number, text);
		count_up(b, &key, dice);
		break;
	case 6:
		invalidate(b, &key, dice);
		break;
	default:
		put(l, b, &key, dice);
		break;
	}
	note_key(l, b, number, before);
}

static void flush(struct ledger *l, struct bed *b)
{
	uint64_t before = log_lsn(b->log);
	uint64_t lsn;

	store_flush(b->store, b->now, &lsn);
	note_flush(l, b, before);
}

/* One that is due already is ended first, by a record of its own. */
static void flush_later(struct ledger *l, struct bed *b, struct rng *dice)
{
	uint32_t at = b->now + 1 + (uint32_t)rng_below(dice, 4);
	uint64_t before = log_lsn(b->log);
	bool due = l->pending != 0 && l->pending <= b->now;
	uint64_t lsn;

	store_flush_at(b->store, at, b->now, &lsn);
	if (due && log_lsn(b->log) > before) {
		add_entry(l, b, ++before, LEDGER_FLUSH)->flushes = true;
		l->pending = 0;
	}
	if (log_lsn(b->log) > before) {
		check(log_lsn(b->log) == before + 1);
		add_entry(l, b, before + 1, LEDGER_FLUSH_AT)->at = at;
		l->pending = at;
	}
}

void ledger_tick(struct ledger *l, struct bed *b)
{
	uint64_t before = log_lsn(b->log);
	char text[KEY_ROOM];
	struct store_key spare = key_of(b, SPARE_KEY, text);

	cas_of(b, &spare);
	note_flush(l, b, before);
}

void ledger_act(struct ledger *l, struct bed *b, struct rng *dice)
{
	switch (rng_below(dice, 64)) {
	case 0:
		flush(l, b);
		break;
	case 1:
		flush_later(l, b, dice);
		break;
	case 2:
	case 3:
	case 4:
		b->now += 1 + (uint32_t)rng_below(dice, 2);
		ledger_tick(l, b);
		break;
	default:
		change_key(l, b, dice);
		break;
	}
}

/* ---- comparing ---------------------------------------------------------- */

/* The delayed flush that is pending at `lsn`, and what each key was then. */
static uint32_t replay(const struct ledger *l, uint64_t lsn,
		       const struct entry *last[LEDGER_KEYS])
{
	uint32_t pending = 0;

	memset(last, 0, LEDGER_KEYS * sizeof(last[0]));
	for (size_t i = 0; i < l->count && l->entries[i].lsn <= lsn; i++) {
		const struct entry *e = &l->entries[i];

		if (e->flushes) {
			memset(last, 0, LEDGER_KEYS * sizeof(last[0]));
		}
		if (e->key == LEDGER_FLUSH) {
			pending = 0;
		} else if (e->key == LEDGER_FLUSH_AT) {
			pending = e->at;
		} else {
			last[e->key] = e;
		}
	}
	return pending;
}

static bool is_live(const struct entry *e, uint32_t pending, uint32_t now)
{
	return e && e->there && (e->exptime == 0 || e->exptime > now) &&
	       (pending == 0 || pending > now);
}

/* NULL: they are alike; else in what they differ. */
static const char *difference(const struct entry *e, const struct item_view *v)
{
	if (e->item_lsn != v->lsn) {
		return "LSN";
	}
	if (e->value_len != v->value_len ||
	    memcmp(e->value, v->value, v->value_len) != 0) {
		return "value";
	}
	if (e->cflags != v->cflags) {
		return "client flags";
	}
	if (e->exptime != v->exptime) {
		return "time of expiry";
	}
	if (e->cas != v->cas) {
		return "cas";
	}
	if (e->stale != v->stale || e->binkey != v->binkey) {
		return "marks";
	}
	return NULL;
}

static bool compare_key(struct bed *b, int number, const struct entry *e,
			bool live, char *why)
{
	char text[KEY_ROOM];
	struct store_key key = key_of(b, number, text);
	struct store_entry found;
	bool there = store_open(b->ctx, &key, b->now, &found);
	const char *differs = NULL;

	if (there != live) {
		snprintf(why, PROBLEM_SIZE,
			 "key %d (last change %" PRIu64 ") is %s", number,
			 e ? e->lsn : 0, there ? "there" : "missing");
	} else if (there) {
		differs = difference(e, &found.item);
	}
	if (differs) {
		snprintf(why, PROBLEM_SIZE,
			 "key %d (last change %" PRIu64 ", item %" PRIu64
			 ") has another %s: item %" PRIu64,
			 number, e->lsn, e->item_lsn, differs, found.item.lsn);
	}
	store_close(&found);
	return there == live && !differs;
}

static void count_item(void *arg, const struct item_view *item)
{
	(void)item;
	++*(size_t *)arg;
}

bool ledger_compare(const struct ledger *l, struct bed *b, uint64_t lsn,
		    char *why)
{
	const struct entry *last[LEDGER_KEYS];
	uint32_t pending = replay(l, lsn, last);
	size_t live = 0, there = 0;
	uint64_t cursor = 0;

	for (int i = 0; i < LEDGER_KEYS; i++) {
		bool lives = is_live(last[i], pending, b->now);

		if (!compare_key(b, i, last[i], lives, why)) {
			return false;
		}
		live += lives;
	}
	while (store_scan(b->ctx, &cursor, b->now, count_item, &there)) {
	}
	if (there != live) {
		snprintf(why, PROBLEM_SIZE, "%zu items instead of %zu", there,
			 live);
	}
	return there == live;
}

void ledger_tell(const struct ledger *l, uint64_t lsn, FILE *to)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct entry *e = &l->entries[i];

		if (e->lsn < lsn) {
			continue;
		}
		fprintf(to, "%" PRIu64 ": at %" PRIu32 ", ", e->lsn, e->now);
		if (e->key == LEDGER_FLUSH) {
			fprintf(to, "flush\n");
		} else if (e->key == LEDGER_FLUSH_AT) {
			fprintf(to, "flush at %" PRIu32 "\n", e->at);
		} else {
			fprintf(to, "key %d, ", e->key);
			if (!e->there) {
				fprintf(to, "not there\n");
				continue;
			}
			fprintf(to,
				"item %" PRIu64 ", cas %" PRIu64 ", %" PRIu32
				" bytes, until %" PRIu32 "\n",
				e->item_lsn, e->cas, e->value_len, e->exptime);
		}
	}
}

void ledger_forget(struct ledger *l, uint64_t lsn)
{
	const struct entry *last[LEDGER_KEYS];

	while (l->count > 0 && l->entries[l->count - 1].lsn > lsn) {
		free(l->entries[--l->count].value);
	}
	l->pending = replay(l, lsn, last);
}

void ledger_base(struct ledger *l, struct bed *b)
{
	uint64_t lsn = 0;

	ledger_tick(l, b);
	ledger_forget(l, 0);
	l->pending = store_flush_pending(b->store);
	if (l->pending != 0) {
		add_entry(l, b, ++lsn, LEDGER_FLUSH_AT)->at = l->pending;
	}
	for (int i = 0; i < LEDGER_KEYS; i++) {
		struct store_entry found;
		char text[KEY_ROOM];
		struct store_key key = key_of(b, i, text);

		if (store_open(b->ctx, &key, b->now, &found)) {
			fill_entry(add_entry(l, b, ++lsn, i), &found.item);
		}
		store_close(&found);
	}
}

void ledger_init(struct ledger *l, uint32_t value_max)
{
	memset(l, 0, sizeof(*l));
	l->value_max = value_max;
}

void ledger_release(struct ledger *l)
{
	ledger_forget(l, 0);
	free(l->entries);
	memset(l, 0, sizeof(*l));
}
