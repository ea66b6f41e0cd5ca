/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo dump`: records as lines of words, parted by blanks, so that grep and
 * awk can work on them:
 *
 *	LSN DATE TIME ISO KIND KEY NAME=VALUE ...
 *
 * A record without a key has "-" in its place.
 */
#include <inttypes.h>
#include <string.h>

#include "persist/inspect.h"
#include "persist/restore.h"
#include "persist/when.h"

struct dumper {
	const struct dump_config *config;
	struct inspection in;
	int damaged;
};

/* ---- a record ----------------------------------------------------------- */

static void show_marks(FILE *out, uint8_t marks)
{
	static const struct {
		uint8_t mark;
		const char *word;
	} words[] = {
		{ MARK_STALE, "stale" },
		{ MARK_WON, "won" },
		{ MARK_BINKEY, "binkey" },
		{ MARK_FETCHED, "fetched" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if ((marks & words[i].mark) != 0) {
			fprintf(out, " %s", words[i].word);
		}
	}
}

static void show_exptime(FILE *out, uint32_t exptime)
{
	char when[WHEN_SIZE];

	fprintf(out, " exptime=%s",
		exptime == 0 ? "never" : when_utc(when, exptime));
}

static void show_fields(const struct dumper *d, const struct record *r)
{
	FILE *out = d->config->out;
	char when[WHEN_SIZE];

	switch (r->kind) {
	case RECORD_ITEM:
		fprintf(out, " size=%" PRIu32 " flags=%" PRIu32, r->value_len,
			r->cflags);
		show_exptime(out, r->exptime);
		if (r->cas != 0) {
			fprintf(out, " cas=%" PRIu64, r->cas);
		}
		show_marks(out, r->marks);
		if (d->config->values) {
			fputs(" value=", out);
			inspect_escape(out, r->value, r->value_len);
		}
		break;
	case RECORD_TOUCH:
		fprintf(out, " item=%" PRIu64, r->item_lsn);
		show_exptime(out, r->exptime);
		break;
	case RECORD_FLUSH_AT:
		fprintf(out, " at=%s",
			r->number == 0 ? "never" :
					 when_utc(when, (uint32_t)r->number));
		break;
	case RECORD_REMOVE:
	case RECORD_FLUSH:
		break;
	default:
		fprintf(out, " number=%" PRIu64 " size=%" PRIu32, r->number,
			r->value_len);
	}
}

static void show(const struct dumper *d, const struct record *r)
{
	FILE *out = d->config->out;
	const char *kind = record_kind_name(r->kind);
	char local[WHEN_SIZE];
	char utc[WHEN_SIZE];

	fprintf(out, "%" PRIu64 " %s %s %s ", r->lsn,
		when_local(local, r->time), when_utc(utc, r->time),
		kind != NULL ? kind : "?");
	if (r->key_len > 0) {
		inspect_escape(out, r->key, r->key_len);
	} else {
		putc('-', out);
	}
	show_fields(d, r);
	putc('\n', out);
}

/* ---- files -------------------------------------------------------------- */

static void tell(struct dumper *d, enum file_kind kind, uint64_t lsn,
		 const char *text)
{
	char name[FILE_NAME_SIZE];

	file_name(name, kind, lsn);
	fprintf(d->config->out, "# %s: %s\n", name,
		inspect_without_name(text, name));
}

static void tell_damage(struct dumper *d, enum file_kind kind, uint64_t lsn,
			const char *problem)
{
	char name[FILE_NAME_SIZE];
	char text[PROBLEM_SIZE + 16];

	d->damaged++;
	file_name(name, kind, lsn);
	snprintf(text, sizeof(text), "DAMAGED: %s",
		 inspect_without_name(problem, name));
	tell(d, kind, lsn, text);
}

static void dump_blocks(struct dumper *d, const struct snapshot_file *f)
{
	struct snapshot_block b = { .data = NULL };

	for (uint64_t n = 0; n < f->blocks; n++) {
		struct record r;
		size_t at = 0;
		bool bad = !snapshot_read_block(f, n, &b);

		if (bad) {
			tell_damage(d, FILE_SNAPSHOT, f->header.lsn, b.problem);
			continue;
		}
		while (inspect_block_next(&b, &at, &r, &bad)) {
			show(d, &r);
		}
		if (bad) {
			tell_damage(d, FILE_SNAPSHOT, f->header.lsn,
				    "something in a block is no record");
		}
	}
	snapshot_block_release(&b);
}

static void dump_snapshot(struct dumper *d, uint64_t lsn)
{
	struct snapshot_file f;
	char text[160];
	char when[WHEN_SIZE];

	if (!snapshot_open(&f, d->in.files.dir, lsn)) {
		tell_damage(d, FILE_SNAPSHOT, lsn, f.problem);
	} else {
		snprintf(text, sizeof(text),
			 "LSN %" PRIu64 ", %" PRIu64 " records, of %s%s", lsn,
			 f.records, when_local(when, f.time),
			 f.clean ? ", of a clean stop" : "");
		tell(d, FILE_SNAPSHOT, lsn, text);
		dump_blocks(d, &f);
	}
	snapshot_close(&f);
}

static void dump_journal(struct dumper *d, const struct journal_link *link)
{
	struct journal_file f;
	enum journal_check state;
	char text[160];
	char when[WHEN_SIZE];
	struct record r;
	size_t at = 0;

	if (link->problem[0] != '\0') {
		tell_damage(d, FILE_JOURNAL, link->lsn, link->problem);
		return;
	}
	state = journal_file_open(&f, d->in.files.dir, link);
	if (state == JOURNAL_DAMAGED || state == JOURNAL_ERROR) {
		tell_damage(d, FILE_JOURNAL, link->lsn, f.problem);
	} else {
		snprintf(text, sizeof(text), "%" PRIu64 " records, begun %s%s",
			 f.records, when_local(when, f.header.time),
			 link->counts ? "" : ", given up");
		tell(d, FILE_JOURNAL, link->lsn, text);
	}
	while (journal_file_next(&f, &at, &r)) {
		show(d, &r);
	}
	if (state == JOURNAL_TORN) {
		tell(d, FILE_JOURNAL, link->lsn, f.problem);
	}
	journal_file_close(&f);
}

int dump_directory(struct dir *dir, const struct dump_config *c, char *problem)
{
	struct dumper d = { .config = c };
	struct datadir *files = &d.in.files;
	uint64_t newest = 0;
	size_t i = 0;

	if (!inspect_open(&d.in, dir, problem)) {
		d.damaged = -1;
		goto out;
	}
	if (!c->all && files->snapshot_count > 0) {
		i = files->snapshot_count - 1;
		newest = files->snapshots[i];
	}
	for (; i < files->snapshot_count; i++) {
		if (!inspect_is_gone(dir, FILE_SNAPSHOT, files->snapshots[i])) {
			dump_snapshot(&d, files->snapshots[i]);
		}
	}
	for (i = 0; i < files->journal_count; i++) {
		const struct journal_link *link = &d.in.links[i];

		if ((c->all || link->until > newest) &&
		    !inspect_is_gone(dir, FILE_JOURNAL, link->lsn)) {
			dump_journal(&d, link);
		}
	}
out:
	inspect_close(&d.in);
	return d.damaged;
}
