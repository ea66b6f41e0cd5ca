/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A journal of whatever bytes: the reader stays inside, what it takes is
 * dense and reads again when the file is cut there, and a changed bit in that
 * is seen.
 *
 * The first byte of an input says what is made right of the rest, since
 * searching finds no CRC: the header, the sums and LSNs of what may be records,
 * the seals of what may be marks. The second says whether another journal
 * follows, the next two choose a bit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/le.h"
#include "persist/journal_reader.h"
#include "tiny_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	RIGHT_HEADER = 1 << 0,
	RIGHT_RECORDS = 1 << 1,
	RIGHT_MARKS = 1 << 2,
	CONTROL_BYTES = 4,
	FIRST_LSN = 1,
	AT_LSN = 8,
	AT_KIND = 20,
};

static const struct file_header header = { .kind = FILE_JOURNAL,
					   .identity = 5,
					   .lsn = FIRST_LSN,
					   .hash_seed = 7 };

/* ---- making right ------------------------------------------------------- */

static void make_mark(char *at, size_t place, uint64_t lsn)
{
	const struct record mark = { .kind = RECORD_MARK,
				     .lsn = lsn,
				     .number = mark_seal(&header, lsn, place) };

	record_set_length(at, record_write(at, &mark));
}

/* Goes from record to record as their lengths say. */
static void make_records(char *bytes, size_t size, unsigned control)
{
	const size_t mark_size = RECORD_SIZE_MIN + sizeof(uint64_t);
	uint64_t lsn = FIRST_LSN;
	size_t at = HEADER_SIZE;

	while (at + mark_size <= size) {
		size_t left = size - at;
		size_t length = (unsigned char)bytes[at] * RECORD_ALIGN;

		length = length < RECORD_SIZE_MIN ? RECORD_SIZE_MIN : length;
		length = length > left ? left - left % RECORD_ALIGN : length;
		if (bytes[at + AT_KIND] == RECORD_MARK &&
		    (control & RIGHT_MARKS) != 0) {
			make_mark(bytes + at, at, lsn - 1);
			at += mark_size;
			continue;
		}
		le_put_32(bytes + at, (uint32_t)length);
		le_put_64(bytes + at + AT_LSN, lsn++);
		le_put_32(bytes + at + 4, crc32c(crc32c(0, bytes + at, 4),
						 bytes + at + 8, length - 8));
		at += length;
	}
}

static char *make_file(const uint8_t *data, size_t size, unsigned control)
{
	char *bytes = malloc(size > 0 ? size : 1);

	check(bytes != NULL);
	memcpy(bytes, data, size);
	if ((control & RIGHT_HEADER) != 0 && size >= HEADER_SIZE) {
		header_write(bytes, &header);
	}
	if ((control & RIGHT_RECORDS) != 0) {
		make_records(bytes, size, control);
	}
	return bytes;
}

/* ---- reading ------------------------------------------------------------ */

struct outcome {
	enum journal_check check;
	uint64_t records;
	size_t end;
};

static void check_records(const struct journal_file *f, uint64_t until)
{
	struct record r;
	uint64_t lsn = FIRST_LSN;
	size_t at = 0;

	while (journal_file_next(f, &at, &r)) {
		check(r.lsn == lsn && lsn <= until);
		check(r.key >= f->data + HEADER_SIZE);
		check(r.value + r.value_len <= f->data + f->end);
		lsn++;
	}
	check(lsn - FIRST_LSN == f->records);
	check(f->last_lsn == lsn - 1);
}

static struct outcome read_file(const char *bytes, size_t size, uint64_t until)
{
	struct tiny_dir dir = tiny_dir("journal-0000000000000001", bytes, size);
	struct journal_link link = { .lsn = FIRST_LSN,
				     .until = until,
				     .next = until == UINT64_MAX ? 0 : 1000 };
	struct journal_file f;
	struct outcome out = { 0 };

	out.check = journal_file_open(&f, &dir.dir, &link);
	check(out.check != JOURNAL_ERROR);
	check((out.check == JOURNAL_GOOD) == (f.problem[0] == '\0'));
	check((out.check == JOURNAL_TORN) == f.torn);
	if (out.check <= JOURNAL_TORN) {
		check(f.end >= HEADER_SIZE && f.end <= size);
		check_records(&f, until);
		out.records = f.records;
		out.end = f.end;
	}
	journal_file_close(&f);
	return out;
}

/* What was taken ends well where it ends, and has no bit too many. */
static void try_again(char *bytes, const struct outcome *first, size_t bit)
{
	struct outcome again = read_file(bytes, first->end, UINT64_MAX);

	check(again.check == JOURNAL_GOOD);
	check(again.records == first->records && again.end == first->end);
	bit %= 8 * first->end;
	bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
	again = read_file(bytes, first->end, UINT64_MAX);
	check(again.check == JOURNAL_TORN || again.check == JOURNAL_DAMAGED);
	if (again.check == JOURNAL_TORN) {
		check(again.end <= bit / 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome out;
	uint64_t until;
	size_t bit;
	char *bytes;

	if (size < CONTROL_BYTES) {
		return 0;
	}
	until = data[1] == 0 ? UINT64_MAX : data[1];
	bit = (size_t)data[2] << 8 | data[3];
	bytes = make_file(data + CONTROL_BYTES, size - CONTROL_BYTES, data[0]);
	size -= CONTROL_BYTES;
	out = read_file(bytes, size, until);
	if (out.check <= JOURNAL_TORN) {
		try_again(bytes, &out, bit);
	}
	free(bytes);
	return 0;
}
