/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading names, headers and snapshots without doing anything with them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "persist/inspect.h"

/* ---- a directory -------------------------------------------------------- */

/* 0, or a negative errno; *damage, if it is there and not well. */
static int read_identity(struct inspection *i, struct dir *dir)
{
	char bytes[HEADER_SIZE];
	struct file_header h;
	int file = dir_open(dir, NAME_IDENTITY, FILE_READ);
	char more;
	long got;
	long extra = 0;

	if (file < 0) {
		return file == -ENOENT ? 0 : file;
	}
	got = dir_read(dir, file, bytes, HEADER_SIZE, 0);
	if (got == HEADER_SIZE) {
		extra = dir_read(dir, file, &more, 1, HEADER_SIZE);
	}
	dir_close(dir, file);
	if (got < 0 || extra < 0) {
		return (int)(got < 0 ? got : extra);
	}
	i->damage = got < HEADER_SIZE || extra > 0 ?
			    "it has not the size that it was made with" :
			    header_read(bytes, FILE_IDENTITY, &h);
	if (i->damage == NULL) {
		i->is_datadir = true;
		i->has_identity = true;
		i->identity = h.identity;
	}
	return 0;
}

bool inspect_open(struct inspection *i, struct dir *dir, char *problem)
{
	int result;

	memset(i, 0, sizeof(*i));
	i->files.dir = dir;
	result = datadir_scan(&i->files);
	if (result == 0) {
		result = read_identity(i, dir);
	}
	if (result < 0) {
		snprintf(problem, PROBLEM_SIZE, "it cannot be read: %s",
			 strerror(-result));
		return false;
	}
	if (!i->is_datadir && i->damage == NULL &&
	    i->files.journal_count + i->files.snapshot_count == 0) {
		snprintf(
			problem, PROBLEM_SIZE,
			"neither a data directory nor an archive: there are no "
			"snapshots and no journals");
		return false;
	}
	i->links = calloc(i->files.journal_count + 1, sizeof(*i->links));
	if (i->links == NULL) {
		snprintf(problem, PROBLEM_SIZE, "out of memory");
		return false;
	}
	journal_line(dir, i->files.journals, i->files.journal_count, i->links);
	return true;
}

void inspect_close(struct inspection *i)
{
	free(i->links);
	datadir_close(&i->files);
}

bool inspect_is_gone(struct dir *dir, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	int file;

	file_name(name, kind, lsn);
	file = dir_open(dir, name, FILE_READ);
	if (file >= 0) {
		dir_close(dir, file);
	}
	return file == -ENOENT;
}

bool inspect_is_foreign(struct inspection *i, const struct file_header *h)
{
	if (!i->has_identity) {
		i->has_identity = true;
		i->identity = h->identity;
	}
	return h->identity != i->identity;
}

/* ---- a snapshot --------------------------------------------------------- */

bool inspect_block_next(const struct snapshot_block *b, size_t *at,
			struct record *r, bool *bad)
{
	uint32_t size = 0;

	*bad = false;
	if (*at == b->size) {
		return false;
	}
	if (record_read(b->data + *at, b->size - *at, r, &size) !=
	    RECORD_GOOD) {
		*bad = true;
		return false;
	}
	*at += size;
	return true;
}

static bool check_block(struct snapshot_file *f, uint64_t n,
			const struct snapshot_block *b)
{
	struct record r;
	size_t at = 0;
	bool bad;

	while (inspect_block_next(b, &at, &r, &bad)) {
		if (r.lsn > f->lsn_end) {
			snprintf(f->problem, sizeof(f->problem),
				 "block %llu has LSN %llu, which is above its "
				 "end",
				 (unsigned long long)n,
				 (unsigned long long)r.lsn);
			return false;
		}
	}
	if (bad) {
		snprintf(f->problem, sizeof(f->problem),
			 "block %llu has no record at byte %zu",
			 (unsigned long long)n, at);
	}
	return !bad;
}

bool inspect_snapshot(struct snapshot_file *f, struct dir *dir, uint64_t lsn)
{
	struct snapshot_block b = { .data = NULL };
	bool ok = snapshot_open(f, dir, lsn);

	for (uint64_t n = 0; ok && n < f->blocks; n++) {
		ok = snapshot_read_block(f, n, &b);
		if (!ok) {
			snprintf(f->problem, sizeof(f->problem), "%s",
				 b.problem);
		} else {
			ok = check_block(f, n, &b);
		}
	}
	snapshot_block_release(&b);
	return ok;
}

/* ---- texts -------------------------------------------------------------- */

void inspect_escape(FILE *out, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (c > ' ' && c < 0x7f && c != '\\') {
			putc(c, out);
		} else {
			fprintf(out, "\\x%02x", c);
		}
	}
}

const char *inspect_without_name(const char *problem, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(problem, name, len) == 0 &&
	    strncmp(problem + len, ": ", 2) == 0) {
		return problem + len + 2;
	}
	return problem;
}
