/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of operations of a directory that is made of others.  A file is
 * an entry in a table of those that are open.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "log/record.h"
#include "persist/inspect.h"
#include "persist/journal_reader.h"
#include "persist/shelf.h"
#include "persist/snapshot.h"

/* ---- operations --------------------------------------------------------- */

static struct shelf_file *find_file(const struct shelf *s, enum file_kind kind,
				    uint64_t lsn)
{
	for (size_t i = 0; i < s->file_count; i++) {
		struct shelf_file *f = &s->files[i];

		if (f->kind == kind && f->lsn == lsn) {
			return f;
		}
	}
	return NULL;
}

/* A server that is running may have moved it meanwhile: so the others too. */
static int open_somewhere(struct shelf *s, const struct shelf_file *f,
			  const char *name, struct shelf_open *o)
{
	int file = -ENOENT;

	for (size_t i = 0; i < s->from_count && file == -ENOENT; i++) {
		o->dir = s->from[(f->from + i) % s->from_count];
		file = dir_open(o->dir, name, FILE_READ);
	}
	o->file = file;
	o->cut = f->cut;
	return file;
}

static int shelf_dir_open(struct dir *d, const char *name, enum file_use use)
{
	struct shelf *s = (struct shelf *)d;
	const struct shelf_file *f = NULL;
	enum file_kind kind;
	uint64_t lsn;
	int result = -EMFILE;

	if (use != FILE_READ) {
		return -EROFS;
	}
	if (file_name_parse(name, &kind, &lsn)) {
		f = find_file(s, kind, lsn);
	}
	if (f == NULL || f->hidden) {
		return -ENOENT;
	}
	lock_take(&s->lock);
	for (int i = 0; i < SHELF_OPEN_MAX; i++) {
		if (s->open[i].dir == NULL) {
			result = open_somewhere(s, f, name, &s->open[i]);
			if (result < 0) {
				s->open[i].dir = NULL;
			} else {
				result = i;
			}
			break;
		}
	}
	lock_give(&s->lock);
	return result;
}

static struct shelf_open *open_of(struct dir *d, int file)
{
	struct shelf *s = (struct shelf *)d;

	check(file >= 0 && file < SHELF_OPEN_MAX && s->open[file].dir != NULL);
	return &s->open[file];
}

static long shelf_dir_read(struct dir *d, int file, void *to, size_t n,
			   uint64_t offset)
{
	const struct shelf_open *o = open_of(d, file);

	if (offset >= o->cut) {
		return 0;
	}
	if (n > o->cut - offset) {
		n = (size_t)(o->cut - offset);
	}
	return dir_read(o->dir, o->file, to, n, offset);
}

static int64_t shelf_dir_size(struct dir *d, int file)
{
	const struct shelf_open *o = open_of(d, file);
	int64_t size = dir_size(o->dir, o->file);

	return size > 0 && (uint64_t)size > o->cut ? (int64_t)o->cut : size;
}

static void shelf_dir_close(struct dir *d, int file)
{
	struct shelf *s = (struct shelf *)d;
	struct shelf_open *o = open_of(d, file);

	lock_take(&s->lock);
	dir_close(o->dir, o->file);
	o->dir = NULL;
	lock_give(&s->lock);
}

static int shelf_dir_list(struct dir *d,
			  void (*each)(void *arg, const char *name), void *arg)
{
	struct shelf *s = (struct shelf *)d;

	for (size_t i = 0; i < s->file_count; i++) {
		char name[FILE_NAME_SIZE];

		if (!s->files[i].hidden) {
			file_name(name, s->files[i].kind, s->files[i].lsn);
			each(arg, name);
		}
	}
	return 0;
}

static long refuse_write(struct dir *d, int file, const struct iovec *part,
			 int count, uint64_t offset)
{
	(void)d;
	(void)file;
	(void)part;
	(void)count;
	(void)offset;
	return -EROFS;
}

static int refuse_file(struct dir *d, int file)
{
	(void)d;
	(void)file;
	return -EROFS;
}

static int refuse_rename(struct dir *d, const char *from, struct dir *to_dir,
			 const char *to)
{
	(void)from;
	(void)to_dir;
	(void)to;
	return refuse_file(d, 0);
}

static int refuse_name(struct dir *d, const char *name)
{
	(void)name;
	return refuse_file(d, 0);
}

static int refuse_names(struct dir *d)
{
	return refuse_file(d, 0);
}

static void free_nothing(struct dir *d)
{
	(void)d;
}

static const struct dir_ops shelf_ops = {
	.open = shelf_dir_open,
	.read = shelf_dir_read,
	.write = refuse_write,
	.sync = refuse_file,
	.size = shelf_dir_size,
	.close = shelf_dir_close,
	.rename = refuse_rename,
	.remove = refuse_name,
	.sync_names = refuse_names,
	.list = shelf_dir_list,
	.lock = refuse_name,
	.free = free_nothing,
};

/* ---- filling ------------------------------------------------------------ */

static bool add(struct shelf *s, const struct shelf_file *f, char *problem)
{
	if (s->file_count == s->file_room) {
		size_t room = s->file_room * 2 + 64;
		struct shelf_file *more = reallocarray(s->files, room,
						       sizeof(*more));

		if (more == NULL) {
			snprintf(problem, PROBLEM_SIZE, "out of memory");
			return false;
		}
		s->files = more;
		s->file_room = room;
	}
	s->files[s->file_count++] = *f;
	return true;
}

/* Reads the header; a file that has vanished meanwhile is left out. */
static bool look_at(struct shelf *s, enum file_kind kind, uint64_t lsn,
		    size_t from, char *problem)
{
	struct shelf_file f = {
		.kind = kind, .lsn = lsn, .from = from, .cut = UINT64_MAX
	};
	struct dir *d = s->from[from];
	char name[FILE_NAME_SIZE];
	char bytes[HEADER_SIZE];
	int64_t size;
	long got;
	int file;

	file_name(name, kind, lsn);
	file = dir_open(d, name, FILE_READ);
	if (file == -ENOENT) {
		return true;
	}
	size = file < 0 ? file : dir_size(d, file);
	got = size < 0 ? (long)size : dir_read(d, file, bytes, HEADER_SIZE, 0);
	if (file >= 0) {
		dir_close(d, file);
	}
	if (got < 0) {
		snprintf(problem, PROBLEM_SIZE, "%s cannot be read: %s", name,
			 strerror((int)-got));
		return false;
	}
	f.size = (uint64_t)size;
	f.damage = got < HEADER_SIZE ? "it is shorter than a header" :
				       header_read(bytes, kind, &f.header);
	if (f.damage == NULL && f.header.lsn != lsn) {
		f.damage = "its name and its header differ";
	}
	return add(s, &f, problem);
}

static bool look_at_each(struct shelf *s, size_t from, char *problem)
{
	struct datadir d = { .dir = s->from[from] };
	int result = datadir_scan(&d);
	bool ok = result == 0;

	if (!ok) {
		snprintf(problem, PROBLEM_SIZE, "it cannot be listed: %s",
			 strerror(-result));
	}
	for (size_t i = 0; ok && i < d.journal_count; i++) {
		ok = look_at(s, FILE_JOURNAL, d.journals[i], from, problem);
	}
	for (size_t i = 0; ok && i < d.snapshot_count; i++) {
		ok = look_at(s, FILE_SNAPSHOT, d.snapshots[i], from, problem);
	}
	datadir_close(&d);
	return ok;
}

/* ---- one of each name --------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct shelf_file *x = a;
	const struct shelf_file *y = b;

	if (x->kind != y->kind) {
		return x->kind < y->kind ? -1 : 1;
	}
	if (x->lsn != y->lsn) {
		return x->lsn < y->lsn ? -1 : 1;
	}
	return x->from < y->from ? -1 : x->from > y->from;
}

/* Up to which byte it is good; 0: it is damaged. */
static uint64_t good_bytes(const struct shelf *s, const struct shelf_file *f)
{
	struct dir *d = s->from[f->from];
	uint64_t good = 0;

	if (f->damage != NULL) {
		return 0;
	}
	if (f->kind == FILE_JOURNAL) {
		struct journal_link link = { .lsn = f->lsn,
					     .until = UINT64_MAX,
					     .counts = true,
					     .header = f->header };
		struct journal_file j;
		enum journal_check state = journal_file_open(&j, d, &link);

		if (state == JOURNAL_GOOD || state == JOURNAL_TORN) {
			good = j.end;
		}
		journal_file_close(&j);
	} else {
		struct snapshot_file p;

		if (inspect_snapshot(&p, d, f->lsn)) {
			good = p.size;
		}
		snapshot_close(&p);
	}
	return good;
}

static bool same_name(const struct shelf_file *a, const struct shelf_file *b)
{
	return a->kind == b->kind && a->lsn == b->lsn;
}

static void keep_best(struct shelf *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->file_count;) {
		size_t best = i;
		size_t next = i + 1;
		uint64_t most = 0;

		if (next < s->file_count &&
		    same_name(&s->files[i], &s->files[next])) {
			most = good_bytes(s, &s->files[i]);
		}
		for (; next < s->file_count &&
		       same_name(&s->files[i], &s->files[next]);
		     next++) {
			uint64_t good = good_bytes(s, &s->files[next]);

			if (good > most) {
				most = good;
				best = next;
			}
		}
		s->files[kept++] = s->files[best];
		i = next;
	}
	s->file_count = kept;
}

/* ---- what they have in common ------------------------------------------- */

static bool agree(struct shelf *s, char *problem)
{
	const struct shelf_file *first = NULL;

	for (size_t i = 0; i < s->file_count; i++) {
		const struct shelf_file *f = &s->files[i];
		char names[2][FILE_NAME_SIZE];

		if (f->damage != NULL) {
			continue;
		}
		if (first == NULL) {
			first = f;
			s->identity = f->header.identity;
			s->hash_seed = f->header.hash_seed;
		}
		if (f->header.identity != s->identity) {
			file_name(names[0], first->kind, first->lsn);
			file_name(names[1], f->kind, f->lsn);
			snprintf(problem, PROBLEM_SIZE,
				 "%s and %s are of different data directories "
				 "(%016llx and %016llx)",
				 names[0], names[1],
				 (unsigned long long)s->identity,
				 (unsigned long long)f->header.identity);
			return false;
		}
	}
	if (first == NULL) {
		snprintf(problem, PROBLEM_SIZE,
			 s->file_count == 0 ?
				 "there are no snapshots and no journals" :
				 "no file has a header that can be read");
	}
	return first != NULL;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* A journal has no more records than fit its bytes. */
static void find_bound(struct shelf *s)
{
	for (size_t i = 0; i < s->file_count; i++) {
		const struct shelf_file *f = &s->files[i];
		uint64_t bound = f->lsn;

		if (f->kind == FILE_JOURNAL) {
			bound += f->size / RECORD_SIZE_MIN;
		}
		if (f->damage == NULL) {
			bound = larger(bound, f->header.lsn_before);
			bound = larger(bound, f->header.lsn_floor);
		}
		s->lsn_bound = larger(s->lsn_bound, bound);
	}
}

bool shelf_open(struct shelf *s, struct dir *const *from, size_t from_count,
		char *problem)
{
	memset(s, 0, sizeof(*s));
	s->dir.ops = &shelf_ops;
	s->from = from;
	s->from_count = from_count;
	for (size_t i = 0; i < from_count; i++) {
		if (!look_at_each(s, i, problem)) {
			return false;
		}
	}
	if (s->file_count > 0) {
		qsort(s->files, s->file_count, sizeof(*s->files), compare);
	}
	if (!agree(s, problem)) {
		return false;
	}
	keep_best(s);
	find_bound(s);
	return true;
}

void shelf_close(struct shelf *s)
{
	free(s->files);
	s->files = NULL;
	s->file_count = 0;
}

/* ---- hiding ------------------------------------------------------------- */

void shelf_hide_above(struct shelf *s, enum file_kind kind, uint64_t lsn)
{
	for (size_t i = 0; i < s->file_count; i++) {
		if (s->files[i].kind == kind && s->files[i].lsn > lsn) {
			s->files[i].hidden = true;
		}
	}
}

void shelf_hide_below(struct shelf *s, enum file_kind kind, uint64_t lsn)
{
	for (size_t i = 0; i < s->file_count; i++) {
		if (s->files[i].kind == kind && s->files[i].lsn < lsn) {
			s->files[i].hidden = true;
		}
	}
}

void shelf_cut(struct shelf *s, enum file_kind kind, uint64_t lsn,
	       uint64_t bytes)
{
	struct shelf_file *f = find_file(s, kind, lsn);

	check(f != NULL);
	f->cut = bytes;
}

bool shelf_datadir(struct shelf *s, struct datadir *d, char *problem)
{
	int result;

	memset(d, 0, sizeof(*d));
	d->dir = &s->dir;
	d->identity = s->identity;
	d->hash_seed = s->hash_seed;
	result = datadir_scan(d);
	if (result != 0) {
		snprintf(problem, PROBLEM_SIZE, "%s", strerror(-result));
	}
	return result == 0;
}
