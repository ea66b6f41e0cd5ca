/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records: the encoder, the decoder, and the one table of what a record of
 * each kind may have, which both are held to.
 *
 * The decoder is given bytes from disks and networks, so nothing in them is
 * believed before it was compared with what is there: first the length with
 * the bytes given, then the CRC, then each part with what is left of the
 * length.  The CRC does not stand in for the rest, since it can be made to fit.
 */
#include <string.h>

#include "base/check.h"
#include "base/crc.h"
#include "base/le.h"
#include "base/limits.h"
#include "log/record.h"

/* Where things stand. */
enum {
	AT_LENGTH = 0,
	AT_CRC = 4,
	AT_LSN = 8,
	AT_TIME = 16,
	AT_KIND = 20,
	AT_KEY_LEN = 21,
	AT_MARKS = 22,
	AT_FIELDS = 23,
};

/* Bits of the byte at AT_FIELDS, in the order in which the fields follow. */
enum {
	FIELD_EXPTIME = 1 << 0,
	FIELD_CFLAGS = 1 << 1,
	FIELD_CAS = 1 << 2,
	FIELD_ITEM_LSN = 1 << 3,
	FIELD_NUMBER = 1 << 4,
	FIELDS_ALL = (1 << 5) - 1,
	PADDING_SHIFT = 5,
};

static_assert((FIELD_EXPTIME | FIELD_CFLAGS) == 3,
	      "fields_size() knows the bits of fields of four bytes");

enum { MARKS_ALL = MARK_STALE | MARK_WON | MARK_BINKEY | MARK_FETCHED };

/* The top bit of the length is not used: the log has a use for it. */
#define RECORD_SIZE_LIMIT (1UL << 31)

static_assert(ITEM_MAX_MAX + KEY_MAX + 64 < RECORD_SIZE_LIMIT,
	      "any item fits a record");

struct form {
	const char *name;
	uint8_t fields; /* that it may have */
	uint8_t needs;  /* that it must have */
	uint8_t marks;  /* that it may have */
	uint8_t key_min;
	uint8_t key_max;
	bool value;
};

#define WITH_KEY .key_min = 1, .key_max = KEY_MAX
#define TO_COME                                                                \
	.fields = FIELDS_ALL, .marks = MARKS_ALL, .key_max = KEY_MAX,          \
	.value = true

static const struct form forms[] = {
	[RECORD_ITEM] = { .name = "item",
			  .fields = FIELD_EXPTIME | FIELD_CFLAGS | FIELD_CAS,
			  .marks = MARKS_ALL,
			  WITH_KEY,
			  .value = true },
	[RECORD_REMOVE] = { .name = "remove", WITH_KEY },
	[RECORD_TOUCH] = { .name = "touch",
			   .fields = FIELD_EXPTIME | FIELD_ITEM_LSN,
			   .needs = FIELD_ITEM_LSN,
			   WITH_KEY },
	[RECORD_FLUSH] = { .name = "flush" },
	[RECORD_FLUSH_AT] = { .name = "flush-at", .fields = FIELD_NUMBER },
	[RECORD_MARK] = { .name = "mark", .fields = FIELD_NUMBER },
	[RECORD_EPOCH] = { .name = "epoch", TO_COME },
	[RECORD_SLOT] = { .name = "slot", TO_COME },
	[RECORD_TRANSACTION] = { .name = "transaction", TO_COME },
};

/* NULL for a kind that does not exist. */
static const struct form *form_of(uint8_t kind)
{
	if (kind >= sizeof(forms) / sizeof(*forms) ||
	    forms[kind].name == NULL) {
		return NULL;
	}
	return &forms[kind];
}

const char *record_kind_name(uint8_t kind)
{
	const struct form *f = form_of(kind);

	return f != NULL ? f->name : NULL;
}

static unsigned fields_of(const struct record *r)
{
	return (r->exptime != 0 ? FIELD_EXPTIME : 0U) |
	       (r->cflags != 0 ? FIELD_CFLAGS : 0U) |
	       (r->cas != 0 ? FIELD_CAS : 0U) |
	       (r->item_lsn != 0 ? FIELD_ITEM_LSN : 0U) |
	       (r->number != 0 ? FIELD_NUMBER : 0U);
}

/* Bytes that these fields take: the first two have four, the others eight. */
static size_t fields_size(unsigned fields)
{
	return 4 * ((fields & 1) + (fields >> 1 & 1)) +
	       8 * ((fields >> 2 & 1) + (fields >> 3 & 1) + (fields >> 4 & 1));
}

static bool form_allows(const struct form *f, const struct record *r,
			unsigned fields)
{
	return (fields & ~(unsigned)f->fields) == 0 &&
	       (f->needs & ~fields) == 0 &&
	       (r->marks & ~(unsigned)f->marks) == 0 &&
	       r->key_len >= f->key_min && r->key_len <= f->key_max &&
	       (f->value || r->value_len == 0);
}

/* ---- writing ----------------------------------------------------------- */

static uint64_t size_unpadded(const struct record *r, unsigned fields)
{
	return RECORD_SIZE_MIN + fields_size(fields) + r->key_len +
	       (uint64_t)r->value_len;
}

static uint64_t size_padded(uint64_t size)
{
	return (size + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

uint64_t record_size(const struct record *r)
{
	uint64_t size = size_padded(size_unpadded(r, fields_of(r)));

	return size < RECORD_SIZE_LIMIT ? size : 0;
}

static char *put_4(char *to, uint32_t n)
{
	le_put_32(to, n);
	return to + sizeof(n);
}

static char *put_8(char *to, uint64_t n)
{
	le_put_64(to, n);
	return to + sizeof(n);
}

static char *put_bytes(char *to, const char *from, size_t n)
{
	if (n > 0) {
		memcpy(to, from, n);
	}
	return to + n;
}

static char *put_fields(char *to, const struct record *r)
{
	if (r->exptime != 0) {
		to = put_4(to, r->exptime);
	}
	if (r->cflags != 0) {
		to = put_4(to, r->cflags);
	}
	if (r->cas != 0) {
		to = put_8(to, r->cas);
	}
	if (r->item_lsn != 0) {
		to = put_8(to, r->item_lsn);
	}
	if (r->number != 0) {
		to = put_8(to, r->number);
	}
	return to;
}

/* The length is not where it belongs yet when the sum is made. */
static uint32_t sum_of(const char *record, uint32_t length)
{
	char first[4];

	put_4(first, length);
	return crc32c(crc32c(0, first, sizeof(first)), record + AT_LSN,
		      length - AT_LSN);
}

uint32_t record_write(char *to, const struct record *r)
{
	const struct form *f = form_of(r->kind);
	unsigned fields = fields_of(r);
	uint64_t unpadded = size_unpadded(r, fields);
	uint64_t size = size_padded(unpadded);
	char *at;

	check(f != NULL && form_allows(f, r, fields));
	check(size < RECORD_SIZE_LIMIT);
	/* The padding, before anything is written over the eight bytes. */
	put_8(to + size - 8, 0);
	put_8(to + AT_LSN, r->lsn);
	put_4(to + AT_TIME, r->time);
	to[AT_KIND] = (char)r->kind;
	to[AT_KEY_LEN] = (char)r->key_len;
	to[AT_MARKS] = (char)r->marks;
	to[AT_FIELDS] = (char)(fields | (unsigned)(size - unpadded)
						<< PADDING_SHIFT);
	at = put_fields(to + RECORD_SIZE_MIN, r);
	at = put_bytes(at, r->key, r->key_len);
	put_bytes(at, r->value, r->value_len);
	put_4(to + AT_CRC, sum_of(to, (uint32_t)size));
	return (uint32_t)size;
}

void record_set_length(char *to, uint32_t length)
{
	put_4(to + AT_LENGTH, length);
}

/* ---- reading ----------------------------------------------------------- */

static uint32_t take_4(const char **from, bool there)
{
	const char *at = *from;

	*from += there ? 4 : 0;
	return there ? le_get_32(at) : 0;
}

static uint64_t take_8(const char **from, bool there)
{
	const char *at = *from;

	*from += there ? 8 : 0;
	return there ? le_get_64(at) : 0;
}

/* Of the `n` given bytes. */
static enum record_state read_length(const char *from, size_t n, uint32_t *size)
{
	if (n < sizeof(*size)) {
		return RECORD_SHORT;
	}
	*size = le_get_32(from + AT_LENGTH);
	if (*size < RECORD_SIZE_MIN || *size % RECORD_ALIGN != 0 ||
	    *size >= RECORD_SIZE_LIMIT) {
		return RECORD_BAD;
	}
	return *size <= n ? RECORD_GOOD : RECORD_SHORT;
}

/* Their bytes are known to be there. */
static const char *read_fields(const char *at, unsigned fields,
			       struct record *r)
{
	r->exptime = take_4(&at, (fields & FIELD_EXPTIME) != 0);
	r->cflags = take_4(&at, (fields & FIELD_CFLAGS) != 0);
	r->cas = take_8(&at, (fields & FIELD_CAS) != 0);
	r->item_lsn = take_8(&at, (fields & FIELD_ITEM_LSN) != 0);
	r->number = take_8(&at, (fields & FIELD_NUMBER) != 0);
	return at;
}

static bool is_zero(const char *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (at[i] != 0) {
			return false;
		}
	}
	return true;
}

/* Of a record whose `size` bytes are all there. */
static bool read_parts(const char *from, uint32_t size, struct record *r)
{
	unsigned last = (unsigned char)from[AT_FIELDS];
	unsigned fields = last & FIELDS_ALL;
	unsigned padding = last >> PADDING_SHIFT;
	const struct form *f;
	uint64_t fixed;

	r->lsn = le_get_64(from + AT_LSN);
	r->time = le_get_32(from + AT_TIME);
	r->kind = (uint8_t)from[AT_KIND];
	r->key_len = (uint8_t)from[AT_KEY_LEN];
	r->marks = (uint8_t)from[AT_MARKS];
	fixed = RECORD_SIZE_MIN + fields_size(fields) + r->key_len + padding;
	f = form_of(r->kind);
	if (f == NULL || fixed > size) {
		return false;
	}
	r->value_len = size - (uint32_t)fixed;
	r->key = read_fields(from + RECORD_SIZE_MIN, fields, r);
	r->value = r->key + r->key_len;
	return fields_of(r) == fields && form_allows(f, r, fields) &&
	       is_zero(r->value + r->value_len, padding);
}

enum record_state record_read_checked(const char *from, size_t n,
				      struct record *r, uint32_t *size)
{
	enum record_state state = read_length(from, n, size);

	if (state == RECORD_GOOD && !read_parts(from, *size, r)) {
		state = RECORD_BAD;
	}
	return state;
}

enum record_state record_read(const char *from, size_t n, struct record *r,
			      uint32_t *size)
{
	enum record_state state = read_length(from, n, size);

	if (state == RECORD_GOOD &&
	    (le_get_32(from + AT_CRC) != sum_of(from, *size) ||
	     !read_parts(from, *size, r))) {
		state = RECORD_BAD;
	}
	return state;
}
