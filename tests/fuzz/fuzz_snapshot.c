/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot of whatever bytes: the reader stays inside, its records are
 * inside their block and as many as it says, and a changed bit in a file that
 * is taken is seen.
 *
 * The first byte of an input says what is made right of the rest, since
 * searching finds no CRC: the header, heads and end; or the rest becomes the
 * records of a block in a file that is right, and how many those are.  The next
 * three choose a bit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/check.h"
#include "base/crc.h"
#include "persist/snapshot.h"
#include "persist/snapshot_form.h"
#include "tiny_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	MAKE_RIGHT = 1 << 0,
	MAKE_BLOCK = 1 << 1,
	RECORDS_SHIFT = 2,
	CONTROL_BYTES = 4,
	LSN = 1,
};

static const struct file_header header = { .kind = FILE_SNAPSHOT,
					   .identity = 5,
					   .lsn = LSN };

/* ---- making right ------------------------------------------------------ */

static void make_end(char *bytes, size_t size, struct snapshot_foot *foot)
{
	struct block_head none = { .packed = 0 };
	char *tail = bytes + size - SNAPSHOT_TAIL_SIZE;

	foot->lsn_end = LSN;
	header_write(bytes, &header);
	block_head_write(tail, &none, 0);
	snapshot_foot_write(tail + BLOCK_HEAD_SIZE, foot);
}

/* Goes from block to block as their heads say; the last one fills the rest. */
static void make_right(char *bytes, size_t size)
{
	const size_t end = size - SNAPSHOT_TAIL_SIZE;
	struct snapshot_foot foot = { .blocks = 0 };
	size_t at = HEADER_SIZE;

	while (at + BLOCK_HEAD_SIZE < end) {
		size_t left = end - at - BLOCK_HEAD_SIZE;
		struct block_head h;

		block_head_read(bytes + at, &h);
		if (1ULL + BLOCK_HEAD_SIZE + h.packed > left) {
			h.packed = (uint32_t)left;
		}
		block_head_write(bytes + at, &h,
				 crc32c(0, bytes + at + BLOCK_HEAD_SIZE,
					h.packed));
		foot.blocks++;
		foot.records += h.records;
		foot.raw_bytes += h.raw;
		foot.crcs = snapshot_crcs_add(foot.crcs, h.crc);
		at += BLOCK_HEAD_SIZE + h.packed;
	}
	make_end(bytes, size, &foot);
}

/* A file with one block, of these bytes. */
static char *make_block(const uint8_t *data, size_t n, uint32_t records,
			size_t *size)
{
	size_t room = ZSTD_compressBound(n);
	char *bytes = malloc(HEADER_SIZE + BLOCK_HEAD_SIZE + room +
			     SNAPSHOT_TAIL_SIZE);
	char *head = bytes + HEADER_SIZE;
	struct block_head h = { .raw = (uint32_t)n, .records = records };
	struct snapshot_foot foot = { .blocks = 1, .raw_bytes = n };
	size_t packed;

	check(bytes != NULL);
	packed = ZSTD_compress(head + BLOCK_HEAD_SIZE, room, data, n, 1);
	check(!ZSTD_isError(packed));
	h.packed = (uint32_t)packed;
	block_head_write(head, &h, crc32c(0, head + BLOCK_HEAD_SIZE, packed));
	foot.records = h.records;
	foot.crcs = snapshot_crcs_add(0, h.crc);
	*size = HEADER_SIZE + BLOCK_HEAD_SIZE + packed + SNAPSHOT_TAIL_SIZE;
	make_end(bytes, *size, &foot);
	return bytes;
}

static char *make_file(const uint8_t *data, size_t n, unsigned control,
		       size_t *size)
{
	char *bytes;

	if ((control & MAKE_BLOCK) != 0) {
		return make_block(data, n, control >> RECORDS_SHIFT, size);
	}
	bytes = malloc(n > 0 ? n : 1);
	check(bytes != NULL);
	memcpy(bytes, data, n);
	*size = n;
	if ((control & MAKE_RIGHT) != 0 &&
	    n >= HEADER_SIZE + SNAPSHOT_TAIL_SIZE) {
		make_right(bytes, n);
	}
	return bytes;
}

/* ---- reading ----------------------------------------------------------- */

static bool read_block(const struct snapshot_file *f, uint64_t n,
		       struct snapshot_block *b)
{
	uint32_t records = 0;
	struct record r;
	int got;

	if (!snapshot_read_block(f, n, b)) {
		check(b->problem[0] != '\0');
		return false;
	}
	while ((got = snapshot_next(b, &r)) > 0) {
		check(r.key_len == 0 || r.key >= b->data);
		check(r.value_len == 0 ||
		      r.value + r.value_len <= b->data + b->size);
		records++;
	}
	check(records <= b->records && (got < 0 || records == b->records));
	return got == 0;
}

/* Is all of it taken? */
static bool read_file(const char *bytes, size_t size)
{
	struct tiny_dir dir = tiny_dir("snapshot-0000000000000001", bytes,
				       size);
	struct snapshot_block b = { .data = NULL };
	struct snapshot_file f;
	bool good = snapshot_open(&f, &dir.dir, LSN);

	check(good == (f.problem[0] == '\0'));
	for (uint64_t i = 0; good && i < f.blocks; i++) {
		good = read_block(&f, i, &b);
	}
	snapshot_block_release(&b);
	snapshot_close(&f);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes;
	size_t bit;
	size_t n;

	if (size < CONTROL_BYTES) {
		return 0;
	}
	bit = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
	bytes = make_file(data + CONTROL_BYTES, size - CONTROL_BYTES, data[0],
			  &n);
	if (read_file(bytes, n)) {
		bit %= 8 * n;
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		check(!read_file(bytes, n));
	}
	free(bytes);
	return 0;
}
