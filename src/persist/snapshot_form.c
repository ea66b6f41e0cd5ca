/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a block's head and of a snapshot's end.
 */
#include <string.h>

#include "base/crc.h"
#include "base/le.h"
#include "persist/snapshot_form.h"

static const char complete[8] = { 'c', 'o', 'm', 'p', 'l', 'e', 't', 'e' };

uint32_t block_head_crc(const char head[BLOCK_HEAD_SIZE], uint32_t crc)
{
	return crc32c(crc, head, 12);
}

void block_head_write(char to[BLOCK_HEAD_SIZE], struct block_head *h,
		      uint32_t crc)
{
	le_put_32(to, h->packed);
	le_put_32(to + 4, h->raw);
	le_put_32(to + 8, h->records);
	h->crc = block_head_crc(to, crc);
	le_put_32(to + 12, h->crc);
}

void block_head_read(const char from[BLOCK_HEAD_SIZE], struct block_head *h)
{
	h->packed = le_get_32(from);
	h->raw = le_get_32(from + 4);
	h->records = le_get_32(from + 8);
	h->crc = le_get_32(from + 12);
}

void snapshot_foot_write(char to[SNAPSHOT_END_SIZE],
			 const struct snapshot_foot *f)
{
	memcpy(to, complete, sizeof(complete));
	le_put_64(to + 8, f->blocks);
	le_put_64(to + 16, f->records);
	le_put_64(to + 24, f->raw_bytes);
	le_put_32(to + 32, f->crcs);
	le_put_32(to + 36, f->marks);
	le_put_64(to + 40, f->lsn_end);
	le_put_32(to + 48, f->time);
	le_put_32(to + 52, crc32c(0, to, 52));
}

bool snapshot_foot_read(const char from[SNAPSHOT_END_SIZE],
			struct snapshot_foot *f)
{
	if (memcmp(from, complete, sizeof(complete)) != 0 ||
	    le_get_32(from + 52) != crc32c(0, from, 52)) {
		return false;
	}
	f->blocks = le_get_64(from + 8);
	f->records = le_get_64(from + 16);
	f->raw_bytes = le_get_64(from + 24);
	f->crcs = le_get_32(from + 32);
	f->marks = le_get_32(from + 36);
	f->lsn_end = le_get_64(from + 40);
	f->time = le_get_32(from + 48);
	return (f->marks & ~(uint32_t)(SNAPSHOT_CLEAN | SNAPSHOT_SETTLED)) == 0;
}

uint32_t snapshot_crcs_add(uint32_t crcs, uint32_t crc)
{
	char bytes[4];

	le_put_32(bytes, crc);
	return crc32c(crcs, bytes, sizeof(bytes));
}
