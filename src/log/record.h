/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One change of a node's data as bytes (CONSISTENCY L1): the only encoder and
 * the only decoder.  The same bytes lie in the log's window, in journals and
 * snapshots, and go to replicas.  docs/formats/record.md describes them for
 * people.
 *
 *	offset	bytes
 *	0	4	length of all of it, a multiple of 8, below 2^31
 *	4	4	CRC32C of bytes 0 to 3 and of all bytes from 8 on
 *	8	8	LSN: an epoch (20 high bits), a sequence number (44)
 *	16	4	time of the change, seconds of the store's clock
 *	20	1	kind
 *	21	1	length of the key
 *	22	1	marks
 *	23	1	which fields follow (bits 0 to 4); padding (bits 5 to 7)
 *	24	4	time of expiry		only with FIELD_EXPTIME
 *		4	client flags		only with FIELD_CFLAGS
 *		8	cas			only with FIELD_CAS
 *		8	LSN of the item		only with FIELD_ITEM_LSN
 *		8	number			only with FIELD_NUMBER
 *		k	key
 *		v	value
 *		0-7	padding, zero
 *
 * Numbers are little-endian.  A field is there if and only if it is not 0, so
 * a change has one encoding.  What a record of a kind may have:
 *
 *	kind		key	value	marks	fields
 *	ITEM		yes	any	any	EXPTIME, CFLAGS, CAS
 *	REMOVE		yes
 *	TOUCH		yes			EXPTIME; ITEM_LSN always
 *	FLUSH
 *	FLUSH_AT				NUMBER
 *	MARK					NUMBER
 *	those to come	any	any	any	any
 *
 * It is an invariant of whoever writes and a check of whoever reads.
 */
#ifndef DOZO_LOG_RECORD_H
#define DOZO_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_kind {
	/* An item as it is after a change. */
	RECORD_ITEM = 1,
	/* A key is gone; logged even if there was nothing (L7). */
	RECORD_REMOVE = 2,
	/* New time to live of the item of which item_lsn is the LSN. */
	RECORD_TOUCH = 3,
	/* Items at or below `lsn` are dead (L8). */
	RECORD_FLUSH = 4,
	/* The intention: a flush at store time `number`; 0 withdraws it. */
	RECORD_FLUSH_AT = 5,
	/* Of files only: all up to `lsn` had been synced when this was
	 * written; it has no LSN of its own.  `number` proves its place
	 * (mark_seal()). */
	RECORD_MARK = 6,
	/* Room for what comes: an epoch begins, slots come and go, a prepared
	 * transaction and its outcome.  The decoder takes them, and whoever
	 * does not know what they mean refuses the log that holds one. */
	RECORD_EPOCH = 16,
	RECORD_SLOT = 17,
	RECORD_TRANSACTION = 18,
};

enum record_mark {
	MARK_STALE = 1 << 0,
	MARK_WON = 1 << 1,
	MARK_BINKEY = 1 << 2,
	MARK_FETCHED = 1 << 3,
};

enum {
	RECORD_SIZE_MIN = 24,
	RECORD_ALIGN = 8,
};

/* A record in pieces.  Key and value are by reference. */
struct record {
	uint64_t lsn;
	uint64_t cas;      /* what clients see, if not the LSN; else 0 */
	uint64_t item_lsn; /* RECORD_TOUCH */
	uint64_t number;   /* RECORD_FLUSH_AT and those that come */
	const char *key;
	const char *value;
	uint32_t value_len;
	uint32_t time;
	uint32_t exptime; /* store time; 0 for never */
	uint32_t cflags;
	uint8_t kind;
	uint8_t key_len;
	uint8_t marks;
};

/*
 * Bytes that it takes; lsn, time, and what key and value point to do not
 * matter.  0: too large for the format (2 GiB).
 */
uint64_t record_size(const struct record *r);

/*
 * Writes all of it to `to`, aligned to 8, of record_size() bytes, but for the
 * first four, the length, which it returns: who publishes records by their
 * length (log.c) stores it last.  The CRC is complete.  Panics when `r` is
 * not as the table above has it.
 */
uint32_t record_write(char *to, const struct record *r);

/* Stores the length in front of what record_write() wrote. */
void record_set_length(char *to, uint32_t length);

/*
 * Reads the record at the start of `n` bytes, aligned to 8.  Any bytes may be
 * given; what is GOOD would be written as the same bytes again.  Key and value
 * of `*r` point into `from`.
 */
enum record_state {
	RECORD_GOOD,
	RECORD_SHORT, /* it is longer than `n`, as far as one can tell */
	RECORD_BAD,   /* not a record, or damaged */
};

/* `*size` is the record's length, when it is good. */
enum record_state record_read(const char *from, size_t n, struct record *r,
			      uint32_t *size);

/* The same without the CRC, for bytes that have been checked before. */
enum record_state record_read_checked(const char *from, size_t n,
				      struct record *r, uint32_t *size);

/* For people: "item", "remove", ...; NULL for an unknown kind. */
const char *record_kind_name(uint8_t kind);

#endif
