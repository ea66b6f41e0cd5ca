/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery: which files, in which order, and what their ends prove.
 *
 *  V1. The newest snapshot that is not beyond the wanted point is taken, or
 *      nothing: a damaged one is not passed over for an older one.
 *  V2. The first journal that is read begins at or below the snapshot's LSN,
 *      and each begins where the one in front ends: no change is missing.
 *  V3. A snapshot that says that the journal had all up to the LSN of its end
 *      is believed: a journal that ends before has lost something.
 *  V4. Of a journal, only what is above the snapshot's LSN is applied: old
 *      journals go in no certain order, and one that is there yet without
 *      those behind it would bring back what these took away.
 *  V5. The next LSN is above every LSN that can have been drawn (LSN_SKIP).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "persist/journal.h"
#include "persist/recover.h"
#include "persist/recover_crew.h"
#include "persist/snapshot.h"
#include "store/store.h"

enum {
	/* Threads read the clock at different moments, so a record may have a
	 * time that is a little below that of one before it. */
	CLOCK_SLACK_S = 2,
	SWEEP_ITEMS = 10000,
};

struct recoverer {
	const struct datadir *d;
	const struct recover_config *config;
	struct recovery *out;
	struct snapshot_file snapshot;
	bool has_snapshot;
	struct journal_link *line;
	size_t begin, end;           /* the part of the line that is read */
	struct journal_file journal; /* the present one */
	struct crew crew;
	bool cut; /* to_lsn or to_time was reached */
};

static bool __attribute__((format(printf, 2, 3)))
fail(struct recoverer *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->out->problem, PROBLEM_SIZE, format, args);
	va_end(args);
	return false;
}

static bool __attribute__((format(printf, 4, 5)))
fail_file(struct recoverer *r, enum file_kind kind, uint64_t lsn,
	  const char *format, ...)
{
	char name[FILE_NAME_SIZE];
	char text[PROBLEM_SIZE - FILE_NAME_SIZE - 2];
	va_list args;

	file_name(name, kind, lsn);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return fail(r, "%s: %s", name, text);
}

static void raise_to(uint64_t *n, uint64_t to)
{
	if (*n < to) {
		*n = to;
	}
}

static uint64_t base_lsn(const struct recoverer *r)
{
	return r->has_snapshot ? r->snapshot.header.lsn : 0;
}

/* ---- the snapshot ------------------------------------------------------ */

static bool is_beyond(const struct recoverer *r, const struct snapshot_file *f)
{
	return f->lsn_end > r->config->to_lsn || f->time > r->config->to_time;
}

/* V1. */
static bool choose_snapshot(struct recoverer *r)
{
	const struct datadir *d = r->d;

	for (size_t i = d->snapshot_count; i-- > 0;) {
		uint64_t lsn = d->snapshots[i];

		if (lsn > r->config->to_lsn) {
			continue;
		}
		if (!snapshot_open(&r->snapshot, d->dir, lsn)) {
			fail_file(r, FILE_SNAPSHOT, lsn, "%s",
				  r->snapshot.problem);
			snapshot_close(&r->snapshot);
			return false;
		}
		if (!is_beyond(r, &r->snapshot)) {
			r->has_snapshot = true;
			break;
		}
		snapshot_close(&r->snapshot);
	}
	if (r->has_snapshot && r->snapshot.header.identity != d->identity) {
		return fail_file(r, FILE_SNAPSHOT, base_lsn(r),
				 "it is of another data directory");
	}
	return true;
}

/*
 * The present LSN of the store is kept near to those that are loaded, since
 * items are smaller if their LSN is near to that of their neighbours.
 */
static void go_to(const struct recoverer *r, uint64_t lsn)
{
	if (r->config->log != NULL) {
		log_begin(r->config->log, lsn);
	}
}

/* As many of its items as fit. */
static void expect_items(struct recoverer *r)
{
	struct store *s = r->config->store;
	uint64_t limit = budget_limit(store_budget(s));
	double items = (double)r->snapshot.records;

	if (r->snapshot.raw_bytes > limit) {
		items *= (double)limit / (double)r->snapshot.raw_bytes;
	}
	store_expect(s, (uint64_t)items);
}

static bool load_snapshot(struct recoverer *r)
{
	const struct snapshot_file *f = &r->snapshot;
	uint32_t expired_at = r->config->now;

	go_to(r, base_lsn(r));
	if (!r->has_snapshot) {
		return true;
	}
	if (r->begin < r->end && expired_at > f->header.time) {
		/* A touch may follow for what lived when it was begun. */
		expired_at = f->header.time > CLOCK_SLACK_S ?
				     f->header.time - CLOCK_SLACK_S :
				     0;
	}
	expect_items(r);
	r->out->snapshot_lsn = f->header.lsn;
	r->out->bytes += f->size;
	r->out->time = f->time;
	return crew_load(&r->crew, f, expired_at) ||
	       fail_file(r, FILE_SNAPSHOT, f->header.lsn, "%s",
			 r->crew.problem);
}

/* ---- the line of journals ---------------------------------------------- */

/* Which of them have something that the snapshot has not? */
static void choose_journals(struct recoverer *r)
{
	size_t n = r->d->journal_count;
	uint64_t base = base_lsn(r);
	size_t i = 0;

	while (i < n && (!r->line[i].counts || r->line[i].until <= base)) {
		i++;
	}
	r->begin = i;
	while (i < n &&
	       (!r->line[i].counts || r->line[i].header.lsn_floor <= base)) {
		i++;
	}
	r->end = i;
}

static bool read_line(struct recoverer *r)
{
	const struct datadir *d = r->d;

	r->line = calloc(d->journal_count + 1, sizeof(*r->line));
	if (r->line == NULL) {
		return fail(r, "no memory for a list of the journals");
	}
	if (!journal_line(d->dir, d->journals, d->journal_count, r->line)) {
		for (size_t i = 0; i < d->journal_count; i++) {
			if (r->line[i].problem[0] != '\0') {
				return fail(r, "%s", r->line[i].problem);
			}
		}
	}
	for (size_t i = 0; i < d->journal_count; i++) {
		if (r->line[i].header.identity != d->identity) {
			return fail_file(r, FILE_JOURNAL, r->line[i].lsn,
					 "it is of another data directory");
		}
	}
	choose_journals(r);
	return true;
}

/* No journal begins above a snapshot of a clean stop. */
static bool was_clean(const struct recoverer *r)
{
	const struct datadir *d = r->d;
	size_t n = d->journal_count;

	if (d->fresh) {
		return true;
	}
	return r->has_snapshot && r->snapshot.clean &&
	       (n == 0 || d->journals[n - 1] <= base_lsn(r));
}

/* V2, for the first one, also if it is one that does not count yet. */
static bool check_first(struct recoverer *r)
{
	uint64_t base = base_lsn(r);

	if (r->begin == r->d->journal_count) {
		if (r->out->clean || r->d->journal_count > 0 ||
		    r->config->to_lsn <= base) {
			return true;
		}
		return fail(r, "there is no journal, and no snapshot of a "
			       "clean stop");
	}
	if (r->line[r->begin].header.lsn_before > base) {
		return fail_file(r, FILE_JOURNAL, r->line[r->begin].lsn,
				 "what comes before it is missing: the "
				 "changes %" PRIu64 " to %" PRIu64,
				 base + 1, r->line[r->begin].header.lsn_before);
	}
	return true;
}

static uint64_t size_of(const struct recoverer *r, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	int64_t size = 0;
	int file;

	file_name(name, FILE_JOURNAL, lsn);
	file = dir_open(r->d->dir, name, FILE_READ);
	if (file >= 0) {
		size = dir_size(r->d->dir, file);
		dir_close(r->d->dir, file);
	}
	return size > 0 ? (uint64_t)size : 0;
}

/* For the progress; what cannot be told will be told of by its reader. */
static void sum_sizes(struct recoverer *r)
{
	r->crew.bytes_total = r->has_snapshot ? r->snapshot.size : 0;
	for (size_t i = r->begin; i < r->end; i++) {
		if (r->line[i].counts) {
			r->crew.bytes_total += size_of(r, r->line[i].lsn);
		}
	}
}

/* ---- one journal ------------------------------------------------------- */

/* Ends the file in front of the first record beyond the wanted point. */
static void cut_file(struct recoverer *r, struct journal_file *f)
{
	const struct recover_config *c = r->config;
	uint64_t last = f->header.lsn_before;
	struct record record;
	size_t before = 0;
	size_t at = 0;

	while (journal_file_next(f, &at, &record)) {
		if (record.lsn > c->to_lsn || record.time > c->to_time) {
			f->end = before > HEADER_SIZE ? before : HEADER_SIZE;
			f->last_lsn = last;
			r->cut = true;
			return;
		}
		last = record.lsn;
		before = at;
	}
}

static void note_torn(struct recoverer *r, const struct journal_file *f)
{
	r->out->torn_bytes = f->size - f->end;
	memcpy(r->out->torn, f->problem, PROBLEM_SIZE);
}

/* All was read: is it as it should be? */
static bool replay_finish(struct recoverer *r, struct journal_file *f)
{
	struct recovery *out = r->out;

	switch (journal_file_finish(f)) {
	case JOURNAL_TORN:
		note_torn(r, f);
		break;
	case JOURNAL_GOOD:
		break;
	case JOURNAL_DAMAGED:
	case JOURNAL_ERROR:
		return fail(r, "%s", f->problem);
	}
	out->bytes += f->size;
	out->journal_bytes += f->size;
	raise_to(&out->last_lsn, f->last_lsn);
	return true;
}

static bool replay_apply(struct recoverer *r, struct journal_file *f)
{
	go_to(r, f->link->lsn - 1);
	return crew_replay(&r->crew, f, base_lsn(r)) ||
	       fail_file(r, FILE_JOURNAL, f->header.lsn, "%s", r->crew.problem);
}

/* Where to cut is asked only of what is known to be whole. */
static bool replay_up_to(struct recoverer *r, struct journal_file *f)
{
	while (journal_file_more(f)) {
	}
	if (!replay_finish(r, f)) {
		return false;
	}
	cut_file(r, f);
	return replay_apply(r, f);
}

static bool replay(struct recoverer *r, const struct journal_link *link)
{
	const struct recover_config *c = r->config;
	struct journal_file *f = &r->journal;
	bool good;

	if (journal_file_begin(f, r->d->dir, link, JOURNAL_STEP) !=
	    JOURNAL_GOOD) {
		return fail(r, "%s", f->problem);
	}
	if (c->to_lsn != UINT64_MAX || c->to_time != UINT32_MAX) {
		good = replay_up_to(r, f);
	} else {
		good = replay_apply(r, f) && replay_finish(r, f);
	}
	if (good) {
		raise_to(&r->out->applied_lsn, f->last_lsn);
	}
	return good;
}

/* That each follows the one in front is seen by the reader of that one. */
static bool replay_line(struct recoverer *r)
{
	for (size_t i = r->begin; i < r->end && !r->cut; i++) {
		if (r->line[i].counts && !replay(r, &r->line[i])) {
			return false;
		}
	}
	return true;
}

/* V3. */
static bool check_end(struct recoverer *r)
{
	const struct snapshot_file *f = &r->snapshot;

	if (!r->has_snapshot || !f->settled || r->out->clean || r->cut ||
	    r->out->last_lsn >= f->lsn_end) {
		return true;
	}
	return fail(r,
		    "the journal ends at %" PRIu64 ", but when the snapshot "
		    "was taken it had all up to %" PRIu64,
		    r->out->last_lsn, f->lsn_end);
}

/* ---- the end ----------------------------------------------------------- */

/* V5. */
static bool set_next_lsn(struct recoverer *r)
{
	const struct datadir *d = r->d;
	uint64_t next = r->out->last_lsn;

	if (r->has_snapshot) {
		raise_to(&next, r->snapshot.header.lsn_floor);
		raise_to(&next, r->snapshot.lsn_end);
	}
	for (size_t i = 0; i < d->journal_count; i++) {
		raise_to(&next, d->journals[i] - 1);
		raise_to(&next, r->line[i].header.lsn_before);
		raise_to(&next, r->line[i].header.lsn_floor);
	}
	for (size_t i = 0; i < d->snapshot_count; i++) {
		raise_to(&next, d->snapshots[i]);
	}
	/* As many again, for what this run draws. */
	if (next > UINT64_MAX - 2 * LSN_SKIP) {
		return fail(r, "there are no LSNs above %" PRIu64, next);
	}
	r->out->next_lsn = r->out->clean ? next : next + LSN_SKIP;
	return true;
}

/* The store's limit; what is above it then is no error. */
static void set_limit(const struct recoverer *r, uint64_t bytes)
{
	if (r->config->over_bytes > 0) {
		(void)store_set_limit(r->config->store, bytes);
	}
}

/*
 * What was kept in doubt goes now: nothing can prolong it any more.  The crew
 * has gone, since segments that are open are not swept.
 */
static void drop_expired(struct recoverer *r)
{
	struct store *s = r->config->store;
	struct store_stats before;
	struct store_stats after;
	struct store_ctx *ctx;

	if (store_flush_pending(s) != 0) {
		/* If it is due it would fire, which has a record: not here. */
		return;
	}
	ctx = store_ctx_new(s);
	if (ctx == NULL) {
		return;
	}
	store_stats(s, &before);
	while (store_maintain(ctx, r->config->now, SWEEP_ITEMS)) {
	}
	store_stats(s, &after);
	r->out->expired += after.reclaimed - before.reclaimed;
	store_ctx_free(ctx);
}

static bool sum_up(struct recoverer *r, uint64_t evictions)
{
	struct recovery *out = r->out;
	struct store_stats stats;

	for (unsigned i = 0; i < r->crew.count; i++) {
		const struct hand *h = &r->crew.hands[i];

		out->expired += h->expired;
		out->not_kept += h->not_kept;
	}
	if (r->crew.time > out->time) {
		out->time = r->crew.time;
	}
	out->records = r->crew.records;
	crew_release(&r->crew);
	set_limit(r, r->crew.limit);
	drop_expired(r);
	store_fit(r->config->store);
	store_stats(r->config->store, &stats);
	out->items = stats.items;
	out->not_kept += stats.evictions - evictions;
	return set_next_lsn(r);
}

static bool run(struct recoverer *r)
{
	struct store_stats stats;

	if (!crew_init(&r->crew, r->config)) {
		return fail(r, "%s", r->crew.problem);
	}
	set_limit(r, r->crew.limit + r->config->over_bytes);
	store_stats(r->config->store, &stats);
	if (!choose_snapshot(r) || !read_line(r)) {
		return false;
	}
	r->out->clean = was_clean(r);
	r->out->last_lsn = base_lsn(r);
	r->out->applied_lsn = base_lsn(r);
	sum_sizes(r);
	if (!check_first(r) || !load_snapshot(r) || !replay_line(r) ||
	    !check_end(r)) {
		return false;
	}
	return sum_up(r, stats.evictions);
}

bool recover(const struct datadir *d, const struct recover_config *c,
	     struct recovery *out)
{
	struct recoverer *r = calloc(1, sizeof(*r));
	bool good;

	memset(out, 0, sizeof(*out));
	if (r == NULL) {
		snprintf(out->problem, PROBLEM_SIZE, "no memory");
		return false;
	}
	r->d = d;
	r->config = c;
	r->out = out;
	r->snapshot.file = -1;
	good = run(r);
	crew_release(&r->crew);
	snapshot_close(&r->snapshot);
	journal_file_close(&r->journal);
	free(r->line);
	free(r);
	return good;
}
