/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading a snapshot.
 *
 * The file may be anything.  The end comes first, because without it the
 * snapshot is not complete; then the chain of the blocks' heads, which must
 * lead to the end exactly and agree with its sums; then each block, whose CRC
 * is checked before anything of it is used.  Nothing is allocated by a length
 * that is not checked: a block is no longer than the file, and what it says to
 * be unpacked is no more than its bytes can hold.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/crc.h"
#include "persist/snapshot.h"
#include "persist/snapshot_form.h"

/*
 * Zstandard's densest block says 128 KiB in 4 bytes, and a frame has at least
 * 2 bytes beside: so nothing unpacks to more than 2^15 times its size.
 */
enum { PACKED_AT_MOST_LOG = 15 };

static bool __attribute__((format(printf, 2, 3)))
fail(char *problem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem, PROBLEM_SIZE, format, args);
	va_end(args);
	return false;
}

/* Reads exactly `n` bytes. */
static bool get(const struct snapshot_file *f, void *to, size_t n, uint64_t at,
		char *problem)
{
	long got = dir_read(f->dir, f->file, to, n, at);

	if (got < 0) {
		return fail(problem, "it cannot be read at byte %llu: %s",
			    (unsigned long long)at, strerror((int)-got));
	}
	if ((size_t)got != n) {
		return fail(problem, "it ends at byte %llu, too early",
			    (unsigned long long)at + (uint64_t)got);
	}
	return true;
}

/* ---- opening ----------------------------------------------------------- */

static bool open_file(struct snapshot_file *f, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	int64_t size;

	file_name(name, FILE_SNAPSHOT, lsn);
	f->file = dir_open(f->dir, name, FILE_READ);
	if (f->file < 0) {
		return fail(f->problem, "it cannot be opened: %s",
			    strerror(-f->file));
	}
	size = dir_size(f->dir, f->file);
	if (size < 0) {
		return fail(f->problem, "its size cannot be told: %s",
			    strerror((int)-size));
	}
	f->size = (uint64_t)size;
	if (f->size < HEADER_SIZE + SNAPSHOT_TAIL_SIZE) {
		return fail(f->problem, "it is too short for a snapshot");
	}
	return true;
}

static bool open_header(struct snapshot_file *f, uint64_t lsn)
{
	char bytes[HEADER_SIZE];
	const char *wrong;

	if (!get(f, bytes, HEADER_SIZE, 0, f->problem)) {
		return false;
	}
	wrong = header_read(bytes, FILE_SNAPSHOT, &f->header);
	if (wrong != NULL) {
		return fail(f->problem, "%s", wrong);
	}
	if (f->header.lsn != lsn) {
		return fail(f->problem, "its header says that it is the "
					"snapshot of another LSN");
	}
	return true;
}

static bool open_end(struct snapshot_file *f, struct snapshot_foot *foot)
{
	char bytes[SNAPSHOT_TAIL_SIZE];
	struct block_head none;

	if (!get(f, bytes, sizeof(bytes), f->size - SNAPSHOT_TAIL_SIZE,
		 f->problem)) {
		return false;
	}
	block_head_read(bytes, &none);
	if (!snapshot_foot_read(bytes + BLOCK_HEAD_SIZE, foot) ||
	    none.packed != 0 || none.raw != 0 || none.records != 0 ||
	    none.crc != block_head_crc(bytes, 0)) {
		return fail(f->problem, "its end is missing or damaged");
	}
	f->blocks = foot->blocks;
	f->records = foot->records;
	f->raw_bytes = foot->raw_bytes;
	f->lsn_end = foot->lsn_end;
	f->time = foot->time;
	f->clean = (foot->marks & SNAPSHOT_CLEAN) != 0;
	f->settled = (foot->marks & SNAPSHOT_SETTLED) != 0;
	return true;
}

/* Can a block be like this, with `left` bytes to the file's end? */
static bool head_is_sane(const struct block_head *h, uint64_t left)
{
	return h->packed > 0 && h->packed <= left && h->records > 0 &&
	       h->raw / RECORD_SIZE_MIN >= h->records &&
	       h->raw >> PACKED_AT_MOST_LOG <= h->packed &&
	       (h->raw <= BLOCK_RAW_MAX || h->records == 1);
}

/* Follows the heads, and notes where each block is. */
static bool walk_chain(struct snapshot_file *f, struct snapshot_foot *sum)
{
	const uint64_t end = f->size - SNAPSHOT_TAIL_SIZE;
	uint64_t at = HEADER_SIZE;

	for (uint64_t i = 0; i < f->blocks; i++) {
		char bytes[BLOCK_HEAD_SIZE];
		struct block_head h;

		f->offsets[i] = at;
		if (at + BLOCK_HEAD_SIZE > end) {
			return fail(f->problem, "it has fewer blocks than its "
						"end says");
		}
		if (!get(f, bytes, sizeof(bytes), at, f->problem)) {
			return false;
		}
		block_head_read(bytes, &h);
		at += BLOCK_HEAD_SIZE;
		if (!head_is_sane(&h, end - at)) {
			return fail(f->problem,
				    "the head of its block %llu is "
				    "damaged",
				    (unsigned long long)i);
		}
		at += h.packed;
		sum->records += h.records;
		sum->raw_bytes += h.raw;
		sum->crcs = snapshot_crcs_add(sum->crcs, h.crc);
	}
	f->offsets[f->blocks] = at;
	return at == end || fail(f->problem,
				 "there are %llu bytes between its "
				 "last block and its end",
				 (unsigned long long)(end - at));
}

static bool open_chain(struct snapshot_file *f,
		       const struct snapshot_foot *foot)
{
	struct snapshot_foot sum = { .crcs = 0 };

	if (foot->blocks > f->size / (BLOCK_HEAD_SIZE + 1)) {
		return fail(f->problem, "it is too short for its %llu blocks",
			    (unsigned long long)foot->blocks);
	}
	f->offsets = calloc(foot->blocks + 1, sizeof(*f->offsets));
	if (f->offsets == NULL) {
		return fail(f->problem, "no memory for a list of its blocks");
	}
	if (!walk_chain(f, &sum)) {
		return false;
	}
	if (sum.records != foot->records || sum.raw_bytes != foot->raw_bytes ||
	    sum.crcs != foot->crcs) {
		return fail(f->problem, "its blocks are not those that its end "
					"speaks of");
	}
	return true;
}

bool snapshot_open(struct snapshot_file *f, struct dir *dir, uint64_t lsn)
{
	struct snapshot_foot foot;

	memset(f, 0, sizeof(*f));
	f->dir = dir;
	f->file = -1;
	return open_file(f, lsn) && open_header(f, lsn) && open_end(f, &foot) &&
	       open_chain(f, &foot);
}

void snapshot_close(struct snapshot_file *f)
{
	if (f->file >= 0) {
		dir_close(f->dir, f->file);
	}
	free(f->offsets);
	f->file = -1;
	f->offsets = NULL;
}

/* ---- blocks ------------------------------------------------------------ */

/* What is in the buffer is of no use any more. */
static bool buffer_fit(char **at, size_t *room, size_t n)
{
	if (n <= *room) {
		return true;
	}
	free(*at);
	*at = malloc(n);
	*room = *at != NULL ? n : 0;
	return *at != NULL;
}

/* Reads the block with its head, and checks them. */
static bool fetch(const struct snapshot_file *f, uint64_t n,
		  struct snapshot_block *b, struct block_head *h)
{
	uint64_t at = f->offsets[n];
	size_t len = (size_t)(f->offsets[n + 1] - at);

	if (!buffer_fit(&b->packed, &b->packed_room, len)) {
		return fail(b->problem, "no memory for block %llu",
			    (unsigned long long)n);
	}
	if (!get(f, b->packed, len, at, b->problem)) {
		return false;
	}
	block_head_read(b->packed, h);
	if (h->packed != len - BLOCK_HEAD_SIZE || !head_is_sane(h, len) ||
	    h->crc != block_head_crc(b->packed,
				     crc32c(0, b->packed + BLOCK_HEAD_SIZE,
					    h->packed))) {
		return fail(b->problem, "block %llu at byte %llu is damaged",
			    (unsigned long long)n, (unsigned long long)at);
	}
	return true;
}

static bool unpack(struct snapshot_block *b, const struct block_head *h,
		   uint64_t n)
{
	size_t got;

	if (b->unpacker == NULL) {
		b->unpacker = ZSTD_createDCtx();
	}
	if (b->unpacker == NULL || !buffer_fit(&b->data, &b->room, h->raw)) {
		return fail(b->problem, "no memory to unpack block %llu",
			    (unsigned long long)n);
	}
	got = ZSTD_decompressDCtx(b->unpacker, b->data, h->raw,
				  b->packed + BLOCK_HEAD_SIZE, h->packed);
	if (got != h->raw) {
		return fail(b->problem, "block %llu does not unpack: %s",
			    (unsigned long long)n,
			    ZSTD_isError(got) ? ZSTD_getErrorName(got) :
						"it is shorter than it says");
	}
	return true;
}

bool snapshot_read_block(const struct snapshot_file *f, uint64_t n,
			 struct snapshot_block *b)
{
	struct block_head h;

	b->at = 0;
	b->seen = 0;
	b->size = 0;
	b->records = 0;
	if (!fetch(f, n, b, &h) || !unpack(b, &h, n)) {
		return false;
	}
	b->size = h.raw;
	b->records = h.records;
	return true;
}

int snapshot_next(struct snapshot_block *b, struct record *r)
{
	uint32_t size;

	if (b->at == b->size && b->seen == b->records) {
		return 0;
	}
	if (b->seen == b->records ||
	    record_read_checked(b->data + b->at, b->size - b->at, r, &size) !=
		    RECORD_GOOD) {
		fail(b->problem, "record %u of a block is none", b->seen);
		return -1;
	}
	b->at += size;
	b->seen++;
	return 1;
}

void snapshot_block_release(struct snapshot_block *b)
{
	free(b->packed);
	free(b->data);
	ZSTD_freeDCtx(b->unpacker);
	memset(b, 0, sizeof(*b));
}
