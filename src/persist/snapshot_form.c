/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a block's head and of a snapshot's end.
 */
#include <endian.h>
#include <string.h>

#include "base/crc.h"
#include "persist/snapshot_form.h"

static const char complete[8] = { 'c', 'o', 'm', 'p', 'l', 'e', 't', 'e' };

static void put_u32(char *at, uint32_t n)
{
	n = htole32(n);
	memcpy(at, &n, sizeof(n));
}

static void put_u64(char *at, uint64_t n)
{
	n = htole64(n);
	memcpy(at, &n, sizeof(n));
}

static uint32_t get_u32(const char *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return le32toh(n);
}

static uint64_t get_u64(const char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return le64toh(n);
}

uint32_t block_head_crc(const char head[BLOCK_HEAD_SIZE], uint32_t crc)
{
	return crc32c(crc, head, 12);
}

void block_head_write(char to[BLOCK_HEAD_SIZE], struct block_head *h,
		      uint32_t crc)
{
	put_u32(to, h->packed);
	put_u32(to + 4, h->raw);
	put_u32(to + 8, h->records);
	h->crc = block_head_crc(to, crc);
	put_u32(to + 12, h->crc);
}

void block_head_read(const char from[BLOCK_HEAD_SIZE], struct block_head *h)
{
	h->packed = get_u32(from);
	h->raw = get_u32(from + 4);
	h->records = get_u32(from + 8);
	h->crc = get_u32(from + 12);
}

void snapshot_foot_write(char to[SNAPSHOT_END_SIZE],
			 const struct snapshot_foot *f)
{
	memcpy(to, complete, sizeof(complete));
	put_u64(to + 8, f->blocks);
	put_u64(to + 16, f->records);
	put_u64(to + 24, f->raw_bytes);
	put_u32(to + 32, f->crcs);
	put_u32(to + 36, f->marks);
	put_u64(to + 40, f->lsn_end);
	put_u32(to + 48, f->time);
	put_u32(to + 52, crc32c(0, to, 52));
}

bool snapshot_foot_read(const char from[SNAPSHOT_END_SIZE],
			struct snapshot_foot *f)
{
	if (memcmp(from, complete, sizeof(complete)) != 0 ||
	    get_u32(from + 52) != crc32c(0, from, 52)) {
		return false;
	}
	f->blocks = get_u64(from + 8);
	f->records = get_u64(from + 16);
	f->raw_bytes = get_u64(from + 24);
	f->crcs = get_u32(from + 32);
	f->marks = get_u32(from + 36);
	f->lsn_end = get_u64(from + 40);
	f->time = get_u32(from + 48);
	return (f->marks & ~(uint32_t)(SNAPSHOT_CLEAN | SNAPSHOT_SETTLED)) == 0;
}

uint32_t snapshot_crcs_add(uint32_t crcs, uint32_t crc)
{
	char bytes[4];

	put_u32(bytes, crc);
	return crc32c(crcs, bytes, sizeof(bytes));
}
