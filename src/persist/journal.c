/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing the journal.
 *
 * Records go from the log's window to the file as they lie there.  A write
 * that fails, also one that fails half way, leaves size, LSNs and cursor
 * alone: the next call writes the same records to the same place.  What a
 * failed one left in the file behind `size` does no harm: it is part of those
 * records, or is written over, or lies behind what the next file's header says.
 *
 * A new file may have its name although making it failed, when its name could
 * not be made durable.  From then on nothing may be written to the old file,
 * since the header of the new one says where that ends: start_due.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "persist/journal.h"

enum {
	PARTS_MAX = 64, /* of one write, beside a mark */
	MARK_SIZE = RECORD_SIZE_MIN + sizeof(uint64_t),
	AGAIN_BYTES = 256 << 10, /* a piece of what is written again */
};

void journal_init(struct journal *j, const struct journal_config *config)
{
	check(config->file_bytes <= JOURNAL_FILE_BYTES_MAX);
	memset(j, 0, sizeof(*j));
	j->config = *config;
	j->file = -1;
}

void journal_close(struct journal *j)
{
	if (j->file >= 0) {
		dir_close(j->config.dir, j->file);
		j->file = -1;
	}
}

/* ---- files -------------------------------------------------------------- */

/* Nobody else's records are replaced. */
static int check_name_free(const struct journal *j, const char *name,
			   uint64_t lsn)
{
	struct dir *dir = j->config.dir;
	int64_t size;
	int file;

	if (j->file >= 0 && j->first_lsn == lsn) {
		return 0;
	}
	file = dir_open(dir, name, FILE_READ);
	if (file == -ENOENT) {
		return 0;
	}
	if (file < 0) {
		return file;
	}
	size = dir_size(dir, file);
	dir_close(dir, file);
	if (size < 0) {
		return (int)size;
	}
	return size > HEADER_SIZE ? -EEXIST : 0;
}

/* Goes on with a new file behind `lsn`; the one before is closed as it is. */
static int go_on(struct journal *j, uint64_t lsn, uint64_t lsn_before,
		 uint64_t lsn_floor, uint32_t now_s)
{
	const struct file_header header = {
		.kind = FILE_JOURNAL,
		.time = now_s,
		.identity = j->config.identity,
		.lsn = lsn + 1,
		.lsn_before = lsn_before,
		.hash_seed = j->config.hash_seed,
		.lsn_floor = lsn_floor,
	};
	char name[FILE_NAME_SIZE];
	bool named = false;
	int file;

	file_name(name, FILE_JOURNAL, header.lsn);
	file = check_name_free(j, name, header.lsn);
	if (file == 0) {
		file = header_file_make(j->config.dir, name, &header, &named);
	}
	if (file < 0) {
		j->start_due |= named;
		return file;
	}
	journal_close(j);
	j->file = file;
	j->first_lsn = header.lsn;
	j->size = HEADER_SIZE;
	j->written = lsn;
	j->mark_due = false;
	j->sync_failed = false;
	j->start_due = false;
	j->files_made++;
	return 0;
}

/* ---- the run before ----------------------------------------------------- */

/* The last mark in `n` bytes that stand at `at`; `n`: there is none. */
static size_t find_last_mark(const struct journal *j, const char *from,
			     size_t n, uint64_t at)
{
	const struct file_header header = {
		.identity = j->config.identity,
		.hash_seed = j->config.hash_seed,
	};
	struct record r;
	uint32_t size;

	if (n < MARK_SIZE) {
		return n;
	}
	for (size_t i = (n - MARK_SIZE) & ~(size_t)(RECORD_ALIGN - 1);;
	     i -= RECORD_ALIGN) {
		if (record_read_checked(from + i, n - i, &r, &size) ==
			    RECORD_GOOD &&
		    r.kind == RECORD_MARK &&
		    r.number == mark_seal(&header, r.lsn, at + i)) {
			return i;
		}
		if (i == 0) {
			return n;
		}
	}
}

/*
 * Writes the end of a file again, as it is: from its last mark on, since what
 * is in front of that is on the disk (J3).
 */
static int write_end_again(const struct journal *j, int file, char *piece)
{
	struct dir *dir = j->config.dir;
	int64_t size = dir_size(dir, file);
	uint64_t end = size < 0 ? 0 : (uint64_t)size;
	int result = size < 0 ? (int)size : 0;

	while (result == 0 && end > HEADER_SIZE) {
		uint64_t at = end > HEADER_SIZE + AGAIN_BYTES ?
				      (end - AGAIN_BYTES) & ~7ULL :
				      HEADER_SIZE;
		size_t n = (size_t)(end - at);
		long got = dir_read(dir, file, piece, n, at);
		size_t mark;

		if (got < 0 || (size_t)got < n) {
			return got < 0 ? (int)got : -EIO;
		}
		mark = find_last_mark(j, piece, n, at);
		end = mark < n ? HEADER_SIZE : at;
		mark = mark < n ? mark : 0;
		result = dir_write_all(dir, file, piece + mark, n - mark,
				       at + mark);
	}
	return result;
}

/*
 * What an earlier run has written, and recovery has read, is to last.  A sync
 * alone might not do that: if one has failed before, the system may have in
 * its memory what is not on the disk, and hold it for written.
 */
static int sync_read_file(const struct journal *j)
{
	struct dir *dir = j->config.dir;
	char name[FILE_NAME_SIZE];
	char *piece;
	int result;
	int file;

	if (j->config.read_file == 0) {
		return 0;
	}
	file_name(name, FILE_JOURNAL, j->config.read_file);
	piece = malloc(AGAIN_BYTES + RECORD_ALIGN);
	if (piece == NULL) {
		return -ENOMEM;
	}
	file = dir_open(dir, name, FILE_WRITE);
	if (file < 0) {
		free(piece);
		return file;
	}
	result = write_end_again(j, file, piece);
	if (result == 0) {
		result = dir_sync(dir, file);
	}
	dir_close(dir, file);
	free(piece);
	return result;
}

static int start_first(struct journal *j, uint64_t lsn, uint32_t now_s)
{
	int result;

	check(j->config.read_lsn <= lsn);
	result = sync_read_file(j);
	if (result == 0) {
		result = go_on(j, lsn, j->config.read_lsn, 0, now_s);
	}
	return result;
}

int journal_start(struct journal *j, uint64_t lsn, uint32_t now_s)
{
	int result;

	if (j->file < 0) {
		result = start_first(j, lsn, now_s);
	} else {
		check(lsn == j->written);
		result = journal_sync(j);
		/* One without records is new enough; after a restart its
		 * header must stay. */
		if (result == 0 && (j->first_lsn != lsn + 1 || j->start_due)) {
			result = go_on(j, lsn, lsn, 0, now_s);
		}
	}
	if (result == 0) {
		j->synced = lsn;
	}
	return result;
}

int journal_restart(struct journal *j, uint64_t lsn, uint32_t now_s)
{
	check(j->file >= 0 && lsn >= j->written);
	return go_on(j, lsn, j->synced, lsn, now_s);
}

/* ---- records ------------------------------------------------------------ */

/* J3: the mark for the place where the file ends now. */
static struct iovec make_mark(const struct journal *j, char *to, uint32_t now_s)
{
	const struct file_header header = {
		.identity = j->config.identity,
		.hash_seed = j->config.hash_seed,
	};
	const struct record mark = {
		.kind = RECORD_MARK,
		.lsn = j->synced,
		.time = now_s,
		.number = mark_seal(&header, j->synced, j->size),
	};

	check(record_size(&mark) == MARK_SIZE);
	record_set_length(to, record_write(to, &mark));
	return (struct iovec){ .iov_base = to, .iov_len = MARK_SIZE };
}

/* Takes `n` bytes off the front of the parts. */
static void parts_pass(struct iovec **part, int *count, size_t n)
{
	while (*count > 0 && n >= (*part)->iov_len) {
		n -= (*part)->iov_len;
		(*part)++;
		(*count)--;
	}
	if (*count > 0) {
		(*part)->iov_base = (char *)(*part)->iov_base + n;
		(*part)->iov_len -= n;
	}
}

/* All of the parts, to the end of the file; the bytes, or an error. */
static long write_parts(struct journal *j, struct iovec *part, int count)
{
	uint64_t at = j->size;

	while (count > 0) {
		long put = dir_write(j->config.dir, j->file, part, count, at);

		if (put <= 0) {
			return put < 0 ? put : -EIO;
		}
		at += (uint64_t)put;
		parts_pass(&part, &count, (size_t)put);
	}
	return (long)(at - j->size);
}

long journal_write(struct journal *j, struct log_cursor *c, uint64_t bytes,
		   uint32_t now_s)
{
	bool full = j->size >= j->config.file_bytes;
	uint64_t room = j->config.file_bytes - (full ? 0 : j->size);
	struct iovec parts[1 + PARTS_MAX];
	struct iovec *first = parts + 1;
	_Alignas(RECORD_ALIGN) char mark[MARK_SIZE];
	enum log_look look;
	uint64_t last;
	int count;
	long put;

	if (j->sync_failed) {
		return -EIO;
	}
	check(j->file >= 0 && c->lsn == j->written);
	look = log_cursor_look(c, first, PARTS_MAX, bytes < room ? bytes : room,
			       &count, &last);
	check(look != LOG_BEHIND);
	if (look == LOG_NONE) {
		return 0;
	}
	if (full || j->start_due) {
		int result = journal_start(j, j->written, now_s);

		if (result < 0) {
			return result;
		}
	}
	if (j->mark_due) {
		*--first = make_mark(j, mark, now_s);
		count++;
	}
	put = write_parts(j, first, count);
	if (put < 0) {
		return put;
	}
	j->size += (uint64_t)put;
	j->bytes_written += (uint64_t)put;
	j->written = last;
	j->mark_due = false;
	log_cursor_pass(c, last);
	return put;
}

int journal_sync(struct journal *j)
{
	int result;

	if (j->sync_failed) {
		return -EIO;
	}
	if (j->file < 0 || j->synced == j->written) {
		return 0;
	}
	result = dir_sync(j->config.dir, j->file);
	if (result < 0) {
		j->sync_failed = true;
		return result;
	}
	j->syncs++;
	j->synced = j->written;
	j->mark_due = j->size > HEADER_SIZE;
	return 0;
}
