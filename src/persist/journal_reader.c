/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a journal.
 *
 * One walk over the file, as far as it was read, finds where its records end;
 * only when all was read is asked why.  A record that is not all there yet is
 * looked at again in the next step.
 * Nothing in the file is believed: the walk goes on only by what the decoder
 * accepts and by the LSN that must follow, and what might prove that a bad
 * place had been durable is a mark with the seal of the place where it stands.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "persist/journal_reader.h"

enum {
	/* Behind the file in memory, so that one of no bytes is some, too. */
	SLACK = RECORD_ALIGN,
	/* Room of this size on is mapped, for huge pages: to touch the pages of
	 * a heap for the first time may take longer than all else. */
	ROOM_MAPPED = 4 << 20,
};

/* "journal-...: " and what the rest says. */
static void tell(char *problem, uint64_t lsn, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(char *problem, uint64_t lsn, const char *format, ...)
{
	char text[PROBLEM_SIZE - FILE_NAME_SIZE - 2];
	char name[FILE_NAME_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	file_name(name, FILE_JOURNAL, lsn);
	snprintf(problem, PROBLEM_SIZE, "%s: %s", name, text);
}

static void tell_error(char *problem, uint64_t lsn, const char *what,
		       long error)
{
	tell(problem, lsn, "cannot %s it: %s", what, strerror((int)-error));
}

static int open_journal(struct dir *dir, uint64_t lsn, char *problem)
{
	char name[FILE_NAME_SIZE];
	int file;

	file_name(name, FILE_JOURNAL, lsn);
	file = dir_open(dir, name, FILE_READ);
	if (file < 0) {
		tell_error(problem, lsn, "open", file);
	}
	return file;
}

/* Of a file that begins with `n` bytes; what it has for the name's `lsn`. */
static bool read_header(const char *bytes, size_t n, uint64_t lsn,
			struct file_header *h, char *problem)
{
	const char *fault;

	if (n < HEADER_SIZE) {
		tell(problem, lsn, "it ends within its header");
		return false;
	}
	fault = header_read(bytes, FILE_JOURNAL, h);
	if (fault != NULL) {
		tell(problem, lsn, "%s", fault);
		return false;
	}
	if (h->lsn != lsn || h->lsn_before >= lsn) {
		tell(problem, lsn, "its header is that of another journal");
		return false;
	}
	return true;
}

/* ---- the line ----------------------------------------------------------- */

static bool read_link(struct dir *dir, uint64_t lsn, struct journal_link *link)
{
	char bytes[HEADER_SIZE];
	long got;
	int file;

	memset(link, 0, sizeof(*link));
	link->lsn = lsn;
	file = open_journal(dir, lsn, link->problem);
	if (file < 0) {
		return false;
	}
	got = dir_read(dir, file, bytes, sizeof(bytes), 0);
	dir_close(dir, file);
	if (got < 0) {
		tell_error(link->problem, lsn, "read", got);
		return false;
	}
	return read_header(bytes, (size_t)got, lsn, &link->header,
			   link->problem);
}

bool journal_line(struct dir *dir, const uint64_t *lsns, size_t count,
		  struct journal_link *link)
{
	uint64_t until = UINT64_MAX;
	uint64_t next = 0;
	bool good = true;

	for (size_t i = count; i-- > 0;) {
		bool well = read_link(dir, lsns[i], &link[i]);

		link[i].until = until;
		link[i].next = next;
		link[i].counts = well && lsns[i] <= until;
		if (well && link[i].header.lsn_before <= until) {
			until = link[i].header.lsn_before;
			next = lsns[i];
		}
		good = good && well;
	}
	return good;
}

/* ---- one file ----------------------------------------------------------- */

static void release_room(struct journal_file *f)
{
	if (f->room >= ROOM_MAPPED) {
		arena_unmap(f->data, f->room);
	} else {
		free(f->data);
	}
	f->data = NULL;
	f->room = 0;
}

static void get_room(struct journal_file *f, size_t n)
{
	if (n >= ROOM_MAPPED) {
		/* Only a mapping of whole ones begins where one can lie. */
		n = (n + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
		f->data = arena_map(n);
	} else {
		f->data = malloc(n);
	}
	f->room = f->data != NULL ? n : 0;
	if (f->room >= ROOM_MAPPED) {
		arena_want_huge(f->data, n);
	}
}

/* Memory for all of it. */
static bool make_room(struct journal_file *f)
{
	int64_t size = dir_size(f->dir, f->file);

	if (size < 0) {
		tell_error(f->problem, f->link->lsn, "read", size);
		return false;
	}
	f->size = (size_t)size;
	if (f->size + SLACK <= f->room) {
		return true;
	}
	release_room(f);
	get_room(f, f->size + SLACK);
	if (f->data == NULL) {
		tell(f->problem, f->link->lsn, "no memory for its %zu bytes",
		     f->size);
	}
	return f->data != NULL;
}

/* The next `n` bytes, or as many as are left. */
static bool load(struct journal_file *f, size_t n)
{
	uint64_t lsn = f->link->lsn;
	long got;

	if (n > f->size - f->loaded) {
		n = f->size - f->loaded;
	}
	got = dir_read(f->dir, f->file, f->data + f->loaded, n, f->loaded);
	if (got < 0) {
		tell_error(f->problem, lsn, "read", got);
		return false;
	}
	if ((size_t)got < n) {
		tell(f->problem, lsn, "it became shorter while it was read");
		return false;
	}
	f->loaded += n;
	return true;
}

static bool is_sealed(const struct journal_file *f, const struct record *mark,
		      size_t at)
{
	return mark->number == mark_seal(&f->header, mark->lsn, at);
}

/* Is it what must stand at `at`, behind the last record? */
static bool follows(const struct journal_file *f, const struct record *r,
		    size_t at)
{
	if (r->kind == RECORD_MARK) {
		return f->records > 0 && r->lsn == f->last_lsn &&
		       is_sealed(f, r, at);
	}
	return r->lsn == f->header.lsn + f->records;
}

/* Goes to where the good records that count end, of what was loaded. */
static void walk(struct journal_file *f)
{
	enum record_state state;
	struct record r;
	uint32_t size;

	while (!f->ended && f->end < f->loaded) {
		state = record_read(f->data + f->end, f->loaded - f->end, &r,
				    &size);
		if (state == RECORD_SHORT) {
			break;
		}
		if (state == RECORD_BAD || !follows(f, &r, f->end) ||
		    r.lsn > f->link->until) {
			f->ended = true;
			break;
		}
		f->end += size;
		if (r.kind != RECORD_MARK) {
			f->last_lsn = r.lsn;
			f->records++;
		}
	}
}

/* The place of a mark that says a missing record had been durable; or 0. */
static size_t find_proof(const struct journal_file *f)
{
	struct record r;
	uint32_t size;

	for (size_t at = f->end; at + RECORD_SIZE_MIN <= f->size;
	     at += RECORD_ALIGN) {
		/* The sum comes last: a length that lies may be long. */
		if (record_read_checked(f->data + at, f->size - at, &r,
					&size) == RECORD_GOOD &&
		    r.kind == RECORD_MARK &&
		    r.lsn >= f->header.lsn + f->records &&
		    is_sealed(f, &r, at) &&
		    record_read(f->data + at, size, &r, &size) == RECORD_GOOD) {
			return at;
		}
	}
	return 0;
}

static bool is_zero(const char *at, size_t n)
{
	return n == 0 || (at[0] == 0 && memcmp(at, at + 1, n - 1) == 0);
}

/* Why the last journal ends where it does. */
static enum journal_check judge_end(struct journal_file *f, uint64_t lsn)
{
	uint64_t missing = f->header.lsn + f->records;
	size_t left = f->size - f->end;
	size_t proof;

	if (left == 0) {
		return JOURNAL_GOOD;
	}
	proof = find_proof(f);
	if (proof != 0) {
		tell(f->problem, lsn,
		     "damaged at byte %zu, where the record with LSN %" PRIu64
		     " should be: the mark at byte %zu says that it was there",
		     f->end, missing, proof);
		return JOURNAL_DAMAGED;
	}
	f->torn = true;
	tell(f->problem, lsn,
	     "it ends at byte %zu, in front of LSN %" PRIu64 "; %zu bytes "
	     "behind that are %s, and are left out",
	     f->end, missing, left,
	     is_zero(f->data + f->end, left) ? "zero" : "not whole");
	return JOURNAL_TORN;
}

static enum journal_check judge(struct journal_file *f,
				const struct journal_link *link)
{
	char next[FILE_NAME_SIZE];

	if (link->next == 0) {
		return judge_end(f, link->lsn);
	}
	if (f->last_lsn >= link->until) {
		return JOURNAL_GOOD;
	}
	file_name(next, FILE_JOURNAL, link->next);
	tell(f->problem, link->lsn,
	     "%s at byte %zu, where the record with LSN %" PRIu64
	     " should be: %s says that there were records up to LSN %" PRIu64,
	     f->end < f->size ? "damaged" : "it ends", f->end,
	     f->header.lsn + f->records, next, link->until);
	return JOURNAL_DAMAGED;
}

static void close_file(struct journal_file *f)
{
	if (f->is_open) {
		dir_close(f->dir, f->file);
		f->is_open = false;
	}
}

enum journal_check journal_file_begin(struct journal_file *f, struct dir *dir,
				      const struct journal_link *link,
				      size_t step)
{
	check(step > 0);
	*f = (struct journal_file){
		.data = f->data,
		.room = f->room,
		.dir = dir,
		.link = link,
		.step = step,
	};
	f->file = open_journal(dir, link->lsn, f->problem);
	f->is_open = f->file >= 0;
	if (!f->is_open || !make_room(f) ||
	    !load(f, step > HEADER_SIZE ? step : HEADER_SIZE)) {
		return JOURNAL_ERROR;
	}
	if (!read_header(f->data, f->loaded, link->lsn, &f->header,
			 f->problem)) {
		return JOURNAL_DAMAGED;
	}
	f->end = HEADER_SIZE;
	f->last_lsn = f->header.lsn_before;
	walk(f);
	return JOURNAL_GOOD;
}

bool journal_file_more(struct journal_file *f)
{
	if (f->failed || f->loaded == f->size) {
		return false;
	}
	f->failed = !load(f, f->step);
	if (!f->failed) {
		walk(f);
	}
	return !f->failed;
}

enum journal_check journal_file_finish(struct journal_file *f)
{
	close_file(f);
	return f->failed ? JOURNAL_ERROR : judge(f, f->link);
}

enum journal_check journal_file_open(struct journal_file *f, struct dir *dir,
				     const struct journal_link *link)
{
	enum journal_check check;

	memset(f, 0, sizeof(*f));
	check = journal_file_begin(f, dir, link, JOURNAL_STEP);
	if (check == JOURNAL_GOOD) {
		while (journal_file_more(f)) {
		}
		check = journal_file_finish(f);
	}
	close_file(f);
	return check;
}

void journal_file_close(struct journal_file *f)
{
	close_file(f);
	release_room(f);
}

bool journal_next(const char *data, size_t end, size_t *at, struct record *r)
{
	uint32_t size;

	if (*at == 0) {
		*at = HEADER_SIZE;
	}
	while (*at < end) {
		check(record_read_checked(data + *at, end - *at, r, &size) ==
		      RECORD_GOOD);
		*at += size;
		if (r->kind != RECORD_MARK) {
			return true;
		}
	}
	return false;
}

bool journal_file_next(const struct journal_file *f, size_t *at,
		       struct record *r)
{
	return journal_next(f->data, f->end, at, r);
}
