/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form of an item inside a segment.  Nobody else knows it.
 *
 *	offset	bytes
 *	0	4	LSN of the last change, less the segment's base, signed
 *	4	4	time of the last access
 *	8	1	length of the key; 0 marks a gap
 *	9	2	length of the value, low 16 bits
 *	11	1	length of the value, high 2 bits; six flags above them
 *	12	4	time of expiry		only with ITEM_EXPIRY
 *		4	client flags		only with ITEM_CFLAGS
 *		2	extension bits		only with ITEM_EXT
 *		8	LSN in full		only with EXT_WIDE
 *		8	cas, if not the LSN	only with EXT_CAS
 *		k	key
 *		v	value, and one byte if that makes the size even
 *
 * Numbers are in the machine's order, at any alignment.
 *
 * In a gap (what an item that is gone or a given-up reservation leaves behind)
 * the field at offset 4 is the gap's size.
 *
 * Thread rule: a published item is read and written under its shard's lock,
 * with one exception: item_peek() needs none, because what it reads changes
 * only once, when the item becomes a gap.  The flags share a byte with a part
 * of the value's length, so that byte is read and written as an atomic, and so
 * is the length of the key, which says whether this is a gap.
 */
#ifndef DOZO_STORE_ITEM_H
#define DOZO_STORE_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum {
	ITEM_ALIGN = 2,
	ITEM_SIZE_MAX = 1 << 18, /* so that a value's length has 18 bits */
};

/* What an item carries beside what its view shows by not being 0. */
enum item_extra {
	EXTRA_NONE = 0,
	EXTRA_WIDE = 1, /* its LSN in full */
	EXTRA_CAS = 2,  /* a cas that is not its LSN */
};

/* Bytes that an item takes. */
uint64_t item_size(const struct item_view *v, unsigned extras);

/* Offset of the value in such an item. */
uint32_t item_value_at(const struct item_view *v, unsigned extras);

/* Can an item in a segment with this base carry this LSN, if not wide? */
static inline bool item_lsn_fits(uint64_t lsn, uint64_t base)
{
	int64_t delta = (int64_t)(lsn - base);

	return delta >= INT32_MIN && delta <= INT32_MAX;
}

/* Writes all but the value. */
void item_write(char *raw, const struct item_view *v, unsigned extras,
		uint64_t base);

/* Reads an item; pointers of the view point into it. */
void item_read(const char *raw, uint64_t base, struct item_view *v);

/* What can be read without a lock. */
struct item_outline {
	uint32_t size;
	uint8_t key_len; /* 0: a gap */
	const char *key;
};

void item_peek(const char *raw, struct item_outline *o);

/* Makes a gap of an item, or of a reservation that is given up. */
void item_bury(char *raw, uint32_t size);

/* Has the item a field for each of v's times, its LSN, and the extras? */
bool item_amendable(const char *raw, const struct item_view *v, unsigned extras,
		    uint64_t base);

/* Changes times, LSN, cas and marks of an amendable item to those of `v`. */
void item_amend(char *raw, const struct item_view *v, uint64_t base);

/*
 * Corrects a copy that was made byte by byte to another segment.  False: it
 * must be written anew, wide.
 */
bool item_rebase(char *raw, uint64_t lsn, uint64_t base);

#endif
