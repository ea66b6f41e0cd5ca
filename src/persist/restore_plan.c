/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Snapshots are tried from the newest to the oldest.  From each that might
 * serve the journals are walked up to the point, record by record: only so is
 * it certain which LSN the point is, and that nothing lacks on the way.
 */
#include <stdlib.h>
#include <string.h>

#include "persist/inspect.h"
#include "persist/journal_reader.h"
#include "persist/restore_plan.h"
#include "persist/when.h"

/* A walk along the line of journals. */
struct walk {
	struct shelf *shelf;
	struct restore_plan *plan;
	const struct restore_goal *goal;
	uint64_t to_lsn;
	uint32_t to_time;
	struct journal_link *links;
	size_t link_count;
	uint64_t first;   /* journal that was needed; 0: none */
	uint64_t last;    /* the same */
	uint64_t last_at; /* where in it the point is */
	uint64_t reach;   /* all up to here is known */
	uint32_t reach_time;
	bool arrived; /* what follows is above the point */
	char *problem;
};

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Takes the line of progress away, or replaces it. */
static void show_text(struct walk *w, const char *text)
{
	if (w->goal->progress) {
		fprintf(w->goal->out, "\r%-40s\r%s", "", text);
		fflush(w->goal->out);
	}
}

/* Which file is being read. */
static void show(struct walk *w, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	char text[FILE_NAME_SIZE + 16];

	file_name(name, kind, lsn);
	snprintf(text, sizeof(text), "reading %s", name);
	show_text(w, text);
}

/* How far one can go instead. */
static void add_advice(struct walk *w)
{
	char when[WHEN_SIZE];
	size_t at = strlen(w->problem);

	if (w->reach == 0) {
		snprintf(w->problem + at, PROBLEM_SIZE - at,
			 "; no point before that can be restored");
		return;
	}
	snprintf(w->problem + at, PROBLEM_SIZE - at,
		 "; the last point before that is --to-lsn %llu, of %s",
		 (unsigned long long)w->reach, when_local(when, w->reach_time));
}

static void blocked(struct walk *w, uint64_t journal, const char *problem)
{
	char name[FILE_NAME_SIZE];

	file_name(name, FILE_JOURNAL, journal);
	snprintf(w->problem, PROBLEM_SIZE, "%s: %.180s", name,
		 inspect_without_name(problem, name));
	add_advice(w);
}

static bool lacks(struct walk *w, uint64_t last, uint64_t found)
{
	snprintf(w->problem, PROBLEM_SIZE,
		 "the changes with LSN %llu to %llu are in no journal here "
		 "(the next is journal-%016llx)",
		 (unsigned long long)w->reach + 1, (unsigned long long)last,
		 (unsigned long long)found);
	add_advice(w);
	return false;
}

/* Does `link` go on where the walk has come to?  (P2, P3) */
static bool follows(struct walk *w, const struct journal_link *link)
{
	const struct file_header *h = &link->header;

	if (h->lsn_before > w->reach) {
		return lacks(w, h->lsn_before, link->lsn);
	}
	if (h->lsn_floor > w->plan->snapshot_lsn) {
		return lacks(w, h->lsn_floor, link->lsn);
	}
	return true;
}

/* At the first record that is above the point. */
static void arrive(struct walk *w, const struct record *r)
{
	w->arrived = true;
	w->plan->next_lsn = r->lsn;
	w->plan->next_time = r->time;
	w->plan->next_kind = r->kind;
	if (r->lsn <= w->reach) {
		w->reach = r->lsn - 1;
	}
}

/* The good records of a file, as far as they are at or below the point. */
static void walk_records(struct walk *w, const struct journal_file *f)
{
	struct record r;
	size_t at = 0;

	w->last_at = HEADER_SIZE;
	while (!w->arrived && journal_file_next(f, &at, &r)) {
		if (r.lsn > w->to_lsn || r.time > w->to_time) {
			arrive(w, &r);
		} else {
			w->last_at = at;
			w->reach = larger(w->reach, r.lsn);
			if (r.time > w->reach_time) {
				w->reach_time = r.time;
			}
		}
	}
}

/* False: what is needed of it cannot be read. */
static bool walk_file(struct walk *w, const struct journal_link *link)
{
	struct journal_file f;
	enum journal_check state;
	bool ok;

	show(w, FILE_JOURNAL, link->lsn);
	state = journal_file_open(&f, &w->shelf->dir, link);
	ok = state == JOURNAL_GOOD || state == JOURNAL_TORN;
	walk_records(w, &f);
	if (w->reach >= w->to_lsn) {
		w->arrived = true;
	}
	if (!ok && !w->arrived) {
		blocked(w, link->lsn, f.problem);
	}
	w->first = w->first != 0 ? w->first : link->lsn;
	w->last = link->lsn;
	w->plan->journals++;
	w->plan->journal_bytes += f.end;
	journal_file_close(&f);
	return ok || w->arrived;
}

/* From w->reach on, until it has arrived or the journals end. */
static bool walk_line(struct walk *w)
{
	for (size_t i = 0; i < w->link_count && !w->arrived; i++) {
		const struct journal_link *link = &w->links[i];

		if (link->problem[0] == '\0' &&
		    (!link->counts || link->until <= w->reach)) {
			continue;
		}
		if (w->reach >= w->to_lsn) {
			w->arrived = true;
			break;
		}
		if (link->problem[0] != '\0') {
			blocked(w, link->lsn, link->problem);
			return false;
		}
		if (!follows(w, link) || !walk_file(w, link)) {
			return false;
		}
	}
	return true;
}

/* The journals have ended, and the point is not reached yet. */
static bool judge_end(struct walk *w, uint64_t lsn_end)
{
	char when[WHEN_SIZE];

	if (lsn_end > w->reach) {
		snprintf(w->problem, PROBLEM_SIZE,
			 "snapshot-%016llx needs the journals up to LSN %llu, "
			 "and they are not here",
			 (unsigned long long)w->plan->snapshot_lsn,
			 (unsigned long long)lsn_end);
		return false;
	}
	if (w->to_lsn != UINT64_MAX && w->to_lsn > w->reach) {
		snprintf(w->problem, PROBLEM_SIZE,
			 "LSN %llu is not here: the last change is --to-lsn "
			 "%llu, of %s",
			 (unsigned long long)w->to_lsn,
			 (unsigned long long)w->reach,
			 when_local(when, w->reach_time));
		return false;
	}
	return true;
}

enum verdict { SERVES, TOO_YOUNG, FAILED };

/* Walks from a snapshot, or from nothing, whose last LSN is `lsn_end`. */
static enum verdict try_from(struct walk *w, uint64_t lsn, uint64_t lsn_end,
			     uint32_t time)
{
	struct restore_plan *p = w->plan;

	p->snapshot_lsn = lsn;
	p->journals = 0;
	p->journal_bytes = 0;
	p->next_lsn = 0;
	w->first = 0;
	w->last = 0;
	w->reach = lsn;
	w->reach_time = time;
	w->arrived = false;
	if (!walk_line(w)) {
		return FAILED;
	}
	if (!w->arrived && !judge_end(w, lsn_end)) {
		return FAILED;
	}
	if (lsn_end > w->reach) {
		return TOO_YOUNG;
	}
	p->point = w->reach;
	p->point_time = w->reach_time;
	return SERVES;
}

/* By what its header and its end say; what is damaged is not beyond. */
static bool is_beyond(struct walk *w, const struct shelf_file *file)
{
	struct snapshot_file f;
	bool beyond = false;

	if (file->damage == NULL &&
	    (file->lsn > w->to_lsn || file->header.time > w->to_time)) {
		return true;
	}
	if (snapshot_open(&f, &w->shelf->dir, file->lsn)) {
		beyond = f.lsn_end > w->to_lsn || f.time > w->to_time;
	}
	snapshot_close(&f);
	return beyond;
}

/* Of one snapshot, from what it says itself to where it leads. */
static enum verdict try_snapshot(struct walk *w, const struct shelf_file *file)
{
	struct snapshot_file f;
	enum verdict v = TOO_YOUNG;

	if (is_beyond(w, file)) {
		return TOO_YOUNG;
	}
	show(w, FILE_SNAPSHOT, file->lsn);
	if (!inspect_snapshot(&f, &w->shelf->dir, file->lsn)) {
		show_text(w, "");
		fprintf(w->goal->out,
			"snapshot-%016llx is passed over, an older one is "
			"looked for: %s\n",
			(unsigned long long)file->lsn, f.problem);
	} else {
		w->plan->snapshot_items = f.records;
		w->plan->snapshot_raw_bytes = f.raw_bytes;
		w->plan->snapshot_time = f.time;
		v = try_from(w, file->lsn, f.lsn_end, f.time);
	}
	snapshot_close(&f);
	return v;
}

static void tell_no_snapshot(struct walk *w)
{
	const struct shelf *s = w->shelf;
	char when[WHEN_SIZE];

	for (size_t i = 0; i < s->file_count; i++) {
		const struct shelf_file *f = &s->files[i];

		if (f->kind == FILE_SNAPSHOT && f->damage == NULL) {
			snprintf(w->problem, PROBLEM_SIZE,
				 "nothing leads to that point: the oldest "
				 "snapshot is of LSN %llu, begun %s, and the "
				 "journals before it do not go back to the "
				 "beginning",
				 (unsigned long long)f->lsn,
				 when_local(when, f->header.time));
			return;
		}
	}
	snprintf(w->problem, PROBLEM_SIZE,
		 "there is no snapshot, and the journals do not go back to the "
		 "beginning");
}

/* An empty directory is not what anybody wants to have restored. */
static enum verdict refuse_nothing(struct walk *w, enum verdict v)
{
	char when[WHEN_SIZE];

	if (v != SERVES || w->plan->point != 0) {
		return v;
	}
	if (w->plan->next_lsn != 0) {
		snprintf(w->problem, PROBLEM_SIZE,
			 "that is before the first change, which is LSN %llu, "
			 "of %s",
			 (unsigned long long)w->plan->next_lsn,
			 when_local(when, w->plan->next_time));
	} else {
		snprintf(w->problem, PROBLEM_SIZE,
			 "nothing was ever changed here");
	}
	return FAILED;
}

/* Without a snapshot: only with the journals since the beginning. */
static enum verdict try_nothing(struct walk *w)
{
	for (size_t i = 0; i < w->link_count; i++) {
		const struct journal_link *link = &w->links[i];

		if (link->problem[0] == '\0' && link->counts) {
			if (link->header.lsn_before != 0) {
				break;
			}
			w->plan->snapshot_items = 0;
			w->plan->snapshot_raw_bytes = 0;
			w->plan->snapshot_time = 0;
			return refuse_nothing(w, try_from(w, 0, 0, 0));
		}
	}
	tell_no_snapshot(w);
	return FAILED;
}

static enum verdict choose(struct walk *w)
{
	const struct shelf *s = w->shelf;
	enum verdict v = TOO_YOUNG;

	for (size_t i = s->file_count; i-- > 0 && v == TOO_YOUNG;) {
		if (s->files[i].kind == FILE_SNAPSHOT) {
			v = try_snapshot(w, &s->files[i]);
		}
	}
	return v == TOO_YOUNG ? try_nothing(w) : v;
}

/*
 * Journals are left from the first that is needed to the last, and that as far
 * as it is needed: what follows may be damaged.
 */
static void hide_the_rest(const struct walk *w)
{
	struct shelf *s = w->shelf;
	uint64_t snapshot = w->plan->snapshot_lsn;

	shelf_hide_above(s, FILE_SNAPSHOT, snapshot);
	shelf_hide_below(s, FILE_SNAPSHOT, snapshot);
	shelf_hide_above(s, FILE_JOURNAL, w->last);
	shelf_hide_below(s, FILE_JOURNAL, w->first);
	if (w->last != 0) {
		shelf_cut(s, FILE_JOURNAL, w->last, w->last_at);
	}
}

bool restore_plan_make(struct restore_plan *p, struct shelf *s,
		       const struct restore_goal *goal, char *problem)
{
	struct walk w = { .shelf = s,
			  .plan = p,
			  .goal = goal,
			  .to_lsn = goal->to_lsn,
			  .to_time = goal->to_time,
			  .problem = problem };
	struct datadir d = { .dir = NULL };
	bool ok = false;

	memset(p, 0, sizeof(*p));
	if (!shelf_datadir(s, &d, problem)) {
		goto out;
	}
	w.link_count = d.journal_count;
	w.links = calloc(w.link_count + 1, sizeof(*w.links));
	if (w.links == NULL) {
		snprintf(problem, PROBLEM_SIZE, "out of memory");
		goto out;
	}
	journal_line(&s->dir, d.journals, d.journal_count, w.links);
	ok = choose(&w) == SERVES;
	if (ok) {
		hide_the_rest(&w);
	}
out:
	show_text(&w, "");
	free(w.links);
	datadir_close(&d);
	return ok;
}
