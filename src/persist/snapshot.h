/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing and reading a snapshot: all items in one compressed file.
 *
 * It is taken while changes go on, a shard at a time.  Its LSN is read before
 * the first shard: every change at or below it is in the snapshot, and changes
 * above it, up to the LSN of its end, may be or may not be.  So recovery is
 * the snapshot and all records above its LSN, and it does not matter that some
 * are applied twice (L5).  But what is between must be in the journal before
 * the snapshot counts, or after a crash it would show some of these changes
 * and lack others that came before them: that is what `settle` is for.
 *
 *	header (format.h; lsn is the snapshot's)
 *	blocks:
 *		0	4	bytes of the compressed part; 0: the last
 *		4	4	bytes of it when unpacked
 *		8	4	records in it
 *		12	4	CRC32C of what follows, then of bytes 0 to 11
 *		16		compressed part: records (record.h), by zstd
 *	the last block is followed by, as its 56 bytes of end:
 *		0	8	"complete"
 *		8	8	blocks
 *		16	8	records
 *		24	8	bytes of all records, unpacked
 *		32	4	CRC32C over the CRCs of all blocks, in order
 *		36	4	1: taken at a clean stop, nothing follows it;
 *				2: the journal had all up to the LSN below
 *		40	8	LSN of its end: it has nothing above that
 *		48	4	highest store time seen
 *		52	4	CRC32C of bytes 0 to 51
 *
 * The first block holds a RECORD_FLUSH with the barrier, if there is one, and
 * a RECORD_FLUSH_AT, if a flush is pending.  Blocks follow the order of shards,
 * so that with the same seed of the hash each fills a few neighbouring shards.
 *
 * It is written as snapshot-LSN.part, synced, renamed, and the directory
 * synced: it is complete or not there.
 *
 * Without threads and without a clock.
 */
#ifndef DOZO_PERSIST_SNAPSHOT_H
#define DOZO_PERSIST_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/file.h"
#include "log/record.h"
#include "persist/format.h"

struct store;
struct store_ctx;
struct snapshot_writer; /* in snapshot_write.c */

struct snapshot_config {
	struct dir *dir;
	struct store *store;
	struct store_ctx *ctx; /* of the calling thread */
	uint64_t identity;
	uint64_t hash_seed;
	uint64_t lsn;       /* of the snapshot: read before the call */
	uint64_t lsn_floor; /* 0, or see format.h */
	uint64_t barrier;   /* as store_stats has it, read after `lsn` */
	uint32_t flush_at;  /* 0: none pending; read after `lsn` too */
	bool clean;         /* nothing changes any more */
	int level;          /* of zstd; 0: the default, a quick one */
	/*
	 * Called once, in the last step before the snapshot gets its name:
	 * makes the journal durable up to `lsn`, and waits for that.  0 or a
	 * negative errno, which ends the snapshot.  NULL: there is no journal,
	 * or nothing changes while the snapshot is taken.
	 */
	int (*settle)(void *arg, uint64_t lsn);
	void *settle_arg;
	/* For tests: asked before each allocation, true makes it fail. */
	bool (*deny)(void *arg);
	void *deny_arg;
};

/* NULL with a negative errno in *error. */
struct snapshot_writer *snapshot_begin(const struct snapshot_config *c,
				       uint32_t now, int *error);

/*
 * Does one short step, about a shard.  1: there is more to do; 0: complete,
 * and in place; or a negative errno: it failed.  Syncs on its way, so that the
 * last sync has little left.
 */
int snapshot_step(struct snapshot_writer *w, uint32_t now);

struct snapshot_progress {
	uint64_t items;
	uint64_t raw_bytes;
	uint64_t file_bytes;
	double done; /* 0 to 1 */
};

void snapshot_progress(const struct snapshot_writer *w,
		       struct snapshot_progress *out);

/*
 * Ends it: one that is not complete is removed.  One that has its name stays,
 * also when the last step said that the directory could not be synced.
 */
void snapshot_end(struct snapshot_writer *w);

/* ---- reading ----------------------------------------------------------- */

struct snapshot_file {
	struct dir *dir;
	int file;
	struct file_header header;
	uint64_t size;
	uint64_t blocks;
	uint64_t records;
	uint64_t raw_bytes;
	uint64_t *offsets; /* of the blocks */
	uint64_t lsn_end;  /* nothing in it is above */
	uint32_t time;     /* highest seen */
	bool clean;
	bool settled; /* the journal had all up to lsn_end */
	char problem[PROBLEM_SIZE];
};

/*
 * Opens snapshot-`lsn` and checks header, end and chain of blocks; not yet
 * what is in them.  False: `problem`, which does not name the file.
 * snapshot_close() must follow, whatever the result.
 */
bool snapshot_open(struct snapshot_file *f, struct dir *dir, uint64_t lsn);
void snapshot_close(struct snapshot_file *f);

/* What one thread needs to read blocks; a zeroed one is ready. */
struct snapshot_block {
	char *data; /* records, one after the other */
	size_t size;
	uint32_t records; /* in it, as its head says */
	char problem[PROBLEM_SIZE];
	/* For the reader itself. */
	size_t room;
	char *packed;
	size_t packed_room;
	void *unpacker;
	size_t at;
	uint32_t seen;
};

/*
 * Reads, checks and unpacks block `n` (from 0).  Several threads may read one
 * snapshot, each with a block of its own.  False: `problem`.
 */
bool snapshot_read_block(const struct snapshot_file *f, uint64_t n,
			 struct snapshot_block *b);

/*
 * The next record of the block; key and value point into it.  1: here it is;
 * 0: that was all; -1: `problem`.
 */
int snapshot_next(struct snapshot_block *b, struct record *r);

void snapshot_block_release(struct snapshot_block *b);

#endif
