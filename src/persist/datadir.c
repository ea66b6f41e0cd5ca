/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A data directory as a whole.
 *
 * The making of one ends with its file `dozo`: before that stands the first
 * journal, so that a directory with `dozo` and without files has lost them.
 * One that was left half made is taken for empty: it has nothing but that
 * first journal, of which nothing is but the header.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "persist/datadir.h"

enum { FIRST_JOURNAL = 1, NAMES_AT_FIRST = 16, SHOWN_NAME_MAX = 60 };

struct lsn_list {
	uint64_t *lsns;
	size_t count;
	size_t room;
};

/* What lies in a directory. */
struct contents {
	struct lsn_list journals;
	struct lsn_list snapshots;
	char (*parts)[FILE_NAME_SIZE + 8]; /* names */
	size_t part_count;
	bool has_identity;
	bool no_memory;
	char stranger[SHOWN_NAME_MAX]; /* the first by name, or "" */
};

static void contents_release(struct contents *c)
{
	free(c->journals.lsns);
	free(c->snapshots.lsns);
	free(c->parts);
}

static bool add_lsn(struct lsn_list *l, uint64_t lsn)
{
	if (l->count == l->room) {
		size_t room = l->room > 0 ? 2 * l->room : NAMES_AT_FIRST;
		void *more = reallocarray(l->lsns, room, sizeof(l->lsns[0]));

		if (more == NULL) {
			return false;
		}
		l->lsns = more;
		l->room = room;
	}
	l->lsns[l->count++] = lsn;
	return true;
}

static bool add_part(struct contents *c, const char *name)
{
	void *more = reallocarray(c->parts, c->part_count + 1,
				  sizeof(c->parts[0]));

	if (more == NULL) {
		return false;
	}
	c->parts = more;
	snprintf(c->parts[c->part_count++], sizeof(c->parts[0]), "%s", name);
	return true;
}

/* lost+found is there when the directory is a file system of its own. */
static void add_other(struct contents *c, const char *name)
{
	if (strcmp(name, NAME_LOCK) == 0 || strcmp(name, "lost+found") == 0) {
		return;
	}
	if (c->stranger[0] == '\0' || strcmp(name, c->stranger) < 0) {
		snprintf(c->stranger, sizeof(c->stranger), "%s", name);
	}
}

static void add_name(void *arg, const char *name)
{
	struct contents *c = arg;
	enum file_kind kind;
	uint64_t lsn;
	bool ok = true;

	if (strcmp(name, NAME_IDENTITY) == 0) {
		c->has_identity = true;
	} else if (file_name_parse(name, &kind, &lsn)) {
		ok = add_lsn(kind == FILE_JOURNAL ? &c->journals :
						    &c->snapshots,
			     lsn);
	} else if (file_name_is_part(name)) {
		ok = add_part(c, name);
	} else {
		add_other(c, name);
	}
	if (!ok) {
		c->no_memory = true;
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void sort(struct lsn_list *l)
{
	if (l->count > 1) {
		qsort(l->lsns, l->count, sizeof(l->lsns[0]), by_number);
	}
}

/* Whatever the result, contents_release() must follow. */
static int contents_read(struct contents *c, struct dir *dir)
{
	int result;

	memset(c, 0, sizeof(*c));
	result = dir_list(dir, add_name, c);
	if (result == 0 && c->no_memory) {
		result = -ENOMEM;
	}
	sort(&c->journals);
	sort(&c->snapshots);
	return result;
}

/* Says what failed and why; false, for the caller to return. */
static bool refuse(char *problem, const char *what, int error)
{
	snprintf(problem, PROBLEM_SIZE, "%s: %s", what, strerror(-error));
	return false;
}

static bool refuse_name(char *problem, const char *what, const char *name)
{
	snprintf(problem, PROBLEM_SIZE, "%s: there is %s", what, name);
	return false;
}

/* ---- one without `dozo` ------------------------------------------------- */

/* Is the only journal what a making leaves behind that was cut short? */
static bool is_half_made(const struct contents *c, struct dir *dir)
{
	char name[FILE_NAME_SIZE];
	int64_t size;
	int file;

	if (c->snapshots.count > 0 || c->journals.count > 1 ||
	    c->journals.lsns[0] != FIRST_JOURNAL) {
		return false;
	}
	file_name(name, FILE_JOURNAL, FIRST_JOURNAL);
	file = dir_open(dir, name, FILE_READ);
	if (file < 0) {
		return false;
	}
	size = dir_size(dir, file);
	dir_close(dir, file);
	return size == HEADER_SIZE;
}

/* May it be taken for empty? */
static bool check_empty(const struct contents *c, struct dir *dir,
			char *problem)
{
	if (c->journals.count + c->snapshots.count > 0 &&
	    !is_half_made(c, dir)) {
		snprintf(problem, PROBLEM_SIZE,
			 "it has lost its file \"%s\": there are journals or "
			 "snapshots",
			 NAME_IDENTITY);
		return false;
	}
	if (c->stranger[0] != '\0') {
		return refuse_name(problem,
				   "it is neither empty nor a data directory",
				   c->stranger);
	}
	return true;
}

static int make_file(struct dir *dir, const char *name,
		     const struct file_header *h)
{
	bool named;
	int file = header_file_make(dir, name, h, &named);

	if (file < 0) {
		return file;
	}
	dir_close(dir, file);
	return 0;
}

static bool make(struct datadir *d, uint64_t identity, uint64_t hash_seed,
		 uint32_t now, char *problem)
{
	struct file_header header = {
		.kind = FILE_JOURNAL,
		.time = now,
		.identity = identity,
		.lsn = FIRST_JOURNAL,
		.hash_seed = hash_seed,
	};
	char name[FILE_NAME_SIZE];
	int result;

	file_name(name, FILE_JOURNAL, FIRST_JOURNAL);
	result = make_file(d->dir, name, &header);
	if (result < 0) {
		return refuse(problem, "cannot make the first journal", result);
	}
	header.kind = FILE_IDENTITY;
	header.lsn = 0;
	result = make_file(d->dir, NAME_IDENTITY, &header);
	if (result < 0) {
		return refuse(problem, "cannot make its file \"dozo\"", result);
	}
	d->identity = identity;
	d->hash_seed = hash_seed;
	d->fresh = true;
	return true;
}

/* ---- one with `dozo` ---------------------------------------------------- */

static bool read_identity(struct datadir *d, char *problem)
{
	struct file_header header;
	char bytes[HEADER_SIZE + 1];
	const char *fault;
	int file = dir_open(d->dir, NAME_IDENTITY, FILE_READ);
	long got;

	if (file < 0) {
		return refuse(problem, "cannot open its file \"dozo\"", file);
	}
	got = dir_read(d->dir, file, bytes, sizeof(bytes), 0);
	dir_close(d->dir, file);
	if (got < 0) {
		return refuse(problem, "cannot read its file \"dozo\"",
			      (int)got);
	}
	fault = got == HEADER_SIZE ?
			header_read(bytes, FILE_IDENTITY, &header) :
			"it has not the size that it was made with";
	if (fault != NULL) {
		snprintf(problem, PROBLEM_SIZE, "its file \"%s\": %s",
			 NAME_IDENTITY, fault);
		return false;
	}
	d->identity = header.identity;
	d->hash_seed = header.hash_seed;
	return true;
}

static bool remove_parts(const struct contents *c, struct dir *dir,
			 char *problem)
{
	for (size_t i = 0; i < c->part_count; i++) {
		int result = dir_remove(dir, c->parts[i]);

		if (result < 0 && result != -ENOENT) {
			return refuse(problem,
				      "cannot remove a file that was never "
				      "completed",
				      result);
		}
	}
	return true;
}

static bool accept(struct datadir *d, const struct contents *c,
		   enum datadir_how how, char *problem)
{
	if (how == DATADIR_CREATE) {
		return refuse_name(problem, "it is not empty", NAME_IDENTITY);
	}
	if (!read_identity(d, problem)) {
		return false;
	}
	if (c->journals.count + c->snapshots.count == 0) {
		snprintf(problem, PROBLEM_SIZE,
			 "it has lost its files: there is \"%s\", but neither "
			 "a snapshot nor a journal",
			 NAME_IDENTITY);
		return false;
	}
	return how != DATADIR_SERVE || remove_parts(c, d->dir, problem);
}

/* ---- both --------------------------------------------------------------- */

/*
 * Locking makes a file, so a foreign directory is refused before that; what
 * is in the directory counts from the lock on.
 */
static bool lock(struct dir *dir, char *problem)
{
	struct contents c;
	bool ok;
	int result = contents_read(&c, dir);

	ok = result == 0 || refuse(problem, "cannot list it", result);
	ok = ok && (c.has_identity || check_empty(&c, dir, problem));
	contents_release(&c);
	if (!ok) {
		return false;
	}
	result = dir_lock(dir, NAME_LOCK);
	if (result == -EWOULDBLOCK) {
		snprintf(problem, PROBLEM_SIZE, "another process is using it");
		return false;
	}
	return result == 0 || refuse(problem, "cannot lock it", result);
}

static bool open_locked(struct datadir *d, enum datadir_how how,
			uint64_t identity, uint64_t hash_seed, uint32_t now,
			char *problem)
{
	struct contents c;
	bool ok;
	int result = contents_read(&c, d->dir);

	if (result < 0) {
		ok = refuse(problem, "cannot list it", result);
	} else if (c.has_identity) {
		ok = accept(d, &c, how, problem);
	} else if (!check_empty(&c, d->dir, problem)) {
		ok = false;
	} else if (how == DATADIR_LOOK) {
		ok = false;
		snprintf(problem, PROBLEM_SIZE,
			 "it is not a data directory: it is empty");
	} else {
		ok = remove_parts(&c, d->dir, problem) &&
		     make(d, identity, hash_seed, now, problem);
	}
	contents_release(&c);
	return ok;
}

bool datadir_open(struct datadir *d, struct dir *dir, enum datadir_how how,
		  uint64_t identity, uint64_t hash_seed, uint32_t now,
		  char *problem)
{
	int result;

	memset(d, 0, sizeof(*d));
	d->dir = dir;
	problem[0] = '\0';
	if (how != DATADIR_LOOK && !lock(dir, problem)) {
		return false;
	}
	if (!open_locked(d, how, identity, hash_seed, now, problem)) {
		return false;
	}
	result = datadir_scan(d);
	return result == 0 || refuse(problem, "cannot list it", result);
}

int datadir_scan(struct datadir *d)
{
	struct contents c;
	int result = contents_read(&c, d->dir);

	if (result == 0) {
		datadir_close(d);
		d->journals = c.journals.lsns;
		d->journal_count = c.journals.count;
		d->snapshots = c.snapshots.lsns;
		d->snapshot_count = c.snapshots.count;
		c.journals.lsns = NULL;
		c.snapshots.lsns = NULL;
	}
	contents_release(&c);
	return result;
}

void datadir_close(struct datadir *d)
{
	free(d->journals);
	free(d->snapshots);
	d->journals = NULL;
	d->snapshots = NULL;
	d->journal_count = 0;
	d->snapshot_count = 0;
}
