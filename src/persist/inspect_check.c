/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo check`: every byte of every file is read and compared with its sums,
 * and the files with each other.
 *
 * In a data directory the question is whether a server can start from it with
 * all it had; in an archive, whether there is a way to each point in time.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "persist/inspect.h"
#include "persist/restore.h"
#include "persist/when.h"

struct checker {
	struct inspection in;
	FILE *out;
	int damaged;
	uint64_t files;
	uint64_t bytes;
	uint64_t items;   /* of the newest snapshot */
	uint64_t records; /* of journals */
	/* The newest snapshot that is good. */
	uint64_t snapshot_lsn;
	uint64_t snapshot_end;
	bool snapshot_clean;
	bool snapshot_settled;
	uint64_t last_lsn; /* of the journals */
	uint32_t time;     /* highest seen */
};

static void line(struct checker *c, const char *name, const char *state,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void line(struct checker *c, const char *name, const char *state,
		 const char *format, ...)
{
	va_list args;

	fprintf(c->out, "%-26s %-8s ", name, state);
	va_start(args, format);
	vfprintf(c->out, format, args);
	va_end(args);
	putc('\n', c->out);
}

static void see_time(struct checker *c, uint32_t t)
{
	if (t > c->time) {
		c->time = t;
	}
}

/* ---- files -------------------------------------------------------------- */

static void check_identity(struct checker *c)
{
	if (c->in.damage != NULL) {
		c->damaged++;
		line(c, NAME_IDENTITY, "DAMAGED", "%s", c->in.damage);
	} else if (c->in.is_datadir) {
		line(c, NAME_IDENTITY, "good", "data directory %016" PRIx64,
		     c->in.identity);
	} else {
		fprintf(c->out, "an archive: there is no file \"%s\"\n",
			NAME_IDENTITY);
	}
}

static void take_snapshot(struct checker *c, const struct snapshot_file *f)
{
	c->snapshot_lsn = f->header.lsn;
	c->snapshot_end = f->lsn_end;
	c->snapshot_clean = f->clean;
	c->snapshot_settled = f->settled;
	c->items = f->records;
	see_time(c, f->time);
}

static void check_snapshot(struct checker *c, uint64_t lsn)
{
	struct dir *dir = c->in.files.dir;
	char name[FILE_NAME_SIZE];
	char when[WHEN_SIZE];
	struct snapshot_file f;

	file_name(name, FILE_SNAPSHOT, lsn);
	if (inspect_is_gone(dir, FILE_SNAPSHOT, lsn)) {
		line(c, name, "gone", "moved or removed meanwhile");
		return;
	}
	if (!inspect_snapshot(&f, dir, lsn)) {
		c->damaged++;
		line(c, name, "DAMAGED", "%s",
		     inspect_without_name(f.problem, name));
	} else if (inspect_is_foreign(&c->in, &f.header)) {
		c->damaged++;
		line(c, name, "FOREIGN", "of data directory %016" PRIx64,
		     f.header.identity);
	} else {
		line(c, name, "good",
		     "LSN %" PRIu64 ", %" PRIu64 " records, %" PRIu64
		     " bytes, %s%s",
		     lsn, f.records, f.size, when_local(when, f.time),
		     f.clean ? ", of a clean stop" : "");
		take_snapshot(c, &f);
	}
	c->files++;
	c->bytes += f.size;
	snapshot_close(&f);
}

/* Its records, and what is told of them. */
static void tell_journal(struct checker *c, const char *name, const char *state,
			 const struct journal_file *f)
{
	char when[2][WHEN_SIZE];
	uint32_t time = f->header.time;
	uint64_t first = 0;
	struct record r;
	size_t at = 0;

	while (journal_file_next(f, &at, &r)) {
		first = first != 0 ? first : r.lsn;
		time = r.time > time ? r.time : time;
	}
	if (first == 0) {
		line(c, name, state, "no records, %zu bytes, begun %s%s%s",
		     f->size, when_local(when[0], f->header.time),
		     f->torn ? "; " : "",
		     f->torn ? inspect_without_name(f->problem, name) : "");
		return;
	}
	see_time(c, time);
	line(c, name, state,
	     "LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64
	     " records, %zu bytes, %s to %s%s%s",
	     first, f->last_lsn, f->records, f->size,
	     when_local(when[0], f->header.time), when_local(when[1], time),
	     f->torn ? "; " : "",
	     f->torn ? inspect_without_name(f->problem, name) : "");
}

static void check_journal(struct checker *c, const struct journal_link *link)
{
	struct dir *dir = c->in.files.dir;
	char name[FILE_NAME_SIZE];
	struct journal_file f;
	enum journal_check state;

	file_name(name, FILE_JOURNAL, link->lsn);
	if (inspect_is_gone(dir, FILE_JOURNAL, link->lsn)) {
		line(c, name, "gone", "moved or removed meanwhile");
		return;
	}
	c->files++;
	if (link->problem[0] != '\0') {
		c->damaged++;
		line(c, name, "DAMAGED", "%s",
		     inspect_without_name(link->problem, name));
		return;
	}
	state = journal_file_open(&f, dir, link);
	c->bytes += f.size;
	if (state == JOURNAL_DAMAGED || state == JOURNAL_ERROR) {
		c->damaged++;
		line(c, name, state == JOURNAL_DAMAGED ? "DAMAGED" : "UNREAD",
		     "%s", inspect_without_name(f.problem, name));
	} else if (inspect_is_foreign(&c->in, &f.header)) {
		c->damaged++;
		line(c, name, "FOREIGN", "of data directory %016" PRIx64,
		     f.header.identity);
	} else if (!link->counts) {
		line(c, name, "given up",
		     "no record of it counts: journal-%016" PRIx64
		     " took its place",
		     link->next);
	} else {
		tell_journal(c, name, state == JOURNAL_TORN ? "torn" : "good",
			     &f);
		c->records += f.records;
		c->last_lsn = f.last_lsn;
	}
	journal_file_close(&f);
}

/* What is none of ours, or on its way. */
static void see_other(void *arg, const char *name)
{
	struct checker *c = arg;
	enum file_kind kind;
	uint64_t lsn;

	if (strcmp(name, NAME_IDENTITY) == 0 || strcmp(name, NAME_LOCK) == 0 ||
	    file_name_parse(name, &kind, &lsn)) {
		return;
	}
	line(c, name, "ignored",
	     file_name_is_part(name) ? "was never completed" :
				       "not a file of dozo");
}

/* ---- together ----------------------------------------------------------- */

static void hole(struct checker *c, uint64_t first, uint64_t last)
{
	c->damaged++;
	fprintf(c->out,
		"MISSING: the changes with LSN %" PRIu64 " to %" PRIu64
		" are in no file\n",
		first, last);
}

/* Do the journals go on where the snapshot ends? */
static void check_start(struct checker *c)
{
	uint64_t s = c->snapshot_lsn;

	for (size_t i = 0; i < c->in.files.journal_count; i++) {
		const struct journal_link *link = &c->in.links[i];

		if (link->problem[0] != '\0' || !link->counts ||
		    link->until <= s) {
			continue;
		}
		if (link->header.lsn_before > s) {
			hole(c, s + 1, link->header.lsn_before);
		}
		break;
	}
	if (c->in.is_datadir && c->snapshot_settled &&
	    c->snapshot_end > (c->last_lsn > s ? c->last_lsn : s)) {
		hole(c, (c->last_lsn > s ? c->last_lsn : s) + 1,
		     c->snapshot_end);
	}
}

/* Without a snapshot everything hangs on the first journal. */
static void check_beginning(struct checker *c)
{
	for (size_t i = 0; i < c->in.files.journal_count; i++) {
		const struct journal_link *link = &c->in.links[i];

		if (link->problem[0] == '\0' && link->counts) {
			if (link->header.lsn_before != 0) {
				hole(c, 1, link->header.lsn_before);
			}
			return;
		}
	}
}

static void check_together(struct checker *c)
{
	struct datadir *d = &c->in.files;

	if (d->journal_count + d->snapshot_count == 0) {
		c->damaged++;
		fprintf(c->out, "MISSING: the directory has lost its files\n");
	} else if (c->snapshot_lsn != 0) {
		check_start(c);
	} else if (c->in.is_datadir) {
		check_beginning(c);
	}
}

/* As recovery judges: who begins a journal has started after that stop. */
static bool was_clean(const struct checker *c)
{
	const struct datadir *d = &c->in.files;

	return c->in.is_datadir && c->snapshot_clean &&
	       (d->journal_count == 0 ||
		d->journals[d->journal_count - 1] <= c->snapshot_lsn);
}

static void sum(struct checker *c)
{
	char when[WHEN_SIZE];
	uint64_t last = c->last_lsn > c->snapshot_lsn ? c->last_lsn :
							c->snapshot_lsn;

	fprintf(c->out, "%" PRIu64 " file%s, %" PRIu64 " bytes; ", c->files,
		c->files == 1 ? "" : "s", c->bytes);
	if (c->snapshot_lsn != 0) {
		fprintf(c->out, "the newest snapshot has %" PRIu64 " records",
			c->items);
	} else {
		fprintf(c->out, "there is no snapshot");
	}
	fprintf(c->out, ", the journals have %" PRIu64 "\n", c->records);
	if (last != 0) {
		fprintf(c->out, "the last change is LSN %" PRIu64 ", of %s\n",
			last, when_local(when, c->time));
	}
	if (c->damaged == 0) {
		fprintf(c->out, "nothing is damaged%s\n",
			was_clean(c) ? "; the last stop was clean" : "");
	} else {
		fprintf(c->out, "%d damaged or missing\n", c->damaged);
	}
}

int check_directory(struct dir *dir, FILE *out, char *problem)
{
	struct checker c = { .out = out, .damaged = -1 };

	if (inspect_open(&c.in, dir, problem)) {
		c.damaged = 0;
		check_identity(&c);
		for (size_t i = 0; i < c.in.files.snapshot_count; i++) {
			check_snapshot(&c, c.in.files.snapshots[i]);
		}
		for (size_t i = 0; i < c.in.files.journal_count; i++) {
			check_journal(&c, &c.in.links[i]);
		}
		dir_list(dir, see_other, &c);
		check_together(&c);
		sum(&c);
	}
	inspect_close(&c.in);
	return c.damaged;
}
