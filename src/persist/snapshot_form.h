/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pieces of a snapshot file that are not records: the head of a block and
 * the end of the file.  For snapshot_write.c and snapshot_read.c.
 */
#ifndef DOZO_PERSIST_SNAPSHOT_FORM_H
#define DOZO_PERSIST_SNAPSHOT_FORM_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BLOCK_HEAD_SIZE = 16,
	SNAPSHOT_END_SIZE = 56,
	/* What follows the last block. */
	SNAPSHOT_TAIL_SIZE = BLOCK_HEAD_SIZE + SNAPSHOT_END_SIZE,
	/* Unpacked, unless it is a single record. */
	BLOCK_RAW_MAX = 64 << 20,
};

struct block_head {
	uint32_t packed;
	uint32_t raw;
	uint32_t records;
	uint32_t crc;
};

/* Makes the CRC too; `crc` is that of the compressed part. */
void block_head_write(char to[BLOCK_HEAD_SIZE], struct block_head *h,
		      uint32_t crc);

void block_head_read(const char from[BLOCK_HEAD_SIZE], struct block_head *h);

/* The CRC that a head must have; `crc` as above. */
uint32_t block_head_crc(const char head[BLOCK_HEAD_SIZE], uint32_t crc);

enum snapshot_mark { SNAPSHOT_CLEAN = 1 << 0, SNAPSHOT_SETTLED = 1 << 1 };

struct snapshot_foot {
	uint64_t blocks;
	uint64_t records;
	uint64_t raw_bytes;
	uint64_t lsn_end;
	uint32_t crcs; /* CRC32C over the CRCs of the blocks */
	uint32_t marks;
	uint32_t time;
};

void snapshot_foot_write(char to[SNAPSHOT_END_SIZE],
			 const struct snapshot_foot *f);

/* False: it is none, or damaged. */
bool snapshot_foot_read(const char from[SNAPSHOT_END_SIZE],
			struct snapshot_foot *f);

/* Takes the CRC of one more block into the sum of all. */
uint32_t snapshot_crcs_add(uint32_t crcs, uint32_t crc);

#endif
