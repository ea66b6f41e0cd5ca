/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packing and unpacking of items.
 */
#include <string.h>

#include "base/check.h"
#include "store/item.h"

enum {
	AT_DELTA = 0,
	AT_ACCESSED = 4,
	AT_KEY_LEN = 8,
	AT_VALUE_LEN = 9,
	AT_FLAGS = 11,
	HEAD = 12,
};

enum {
	ITEM_EXPIRY = 1 << 2,
	ITEM_CFLAGS = 1 << 3,
	ITEM_FETCHED = 1 << 4,
	ITEM_STALE = 1 << 5,
	ITEM_WON = 1 << 6,
	ITEM_EXT = 1 << 7,
	VALUE_LEN_HIGH = 3,
	OPTIONAL = ITEM_EXPIRY | ITEM_CFLAGS | ITEM_EXT,
	MARKS = ITEM_FETCHED | ITEM_STALE | ITEM_WON,
};

enum {
	EXT_WIDE = 1,
	EXT_CAS = 2,
	EXT_BINKEY = 4,
};

/* Where the optional fields of an item are; 0 for those that it has not. */
struct layout {
	uint32_t expiry;
	uint32_t cflags;
	uint32_t ext;
	uint32_t lsn;
	uint32_t cas;
	uint32_t key;
};

static struct layout lay_out(unsigned flags, unsigned ext)
{
	struct layout l = { .key = HEAD };
	uint32_t at = HEAD;

	if ((flags & OPTIONAL) == 0) {
		return l;
	}
	if ((flags & ITEM_EXPIRY) != 0) {
		l.expiry = at;
		at += 4;
	}
	if ((flags & ITEM_CFLAGS) != 0) {
		l.cflags = at;
		at += 4;
	}
	if ((flags & ITEM_EXT) != 0) {
		l.ext = at;
		at += 2;
		if ((ext & EXT_WIDE) != 0) {
			l.lsn = at;
			at += 8;
		}
		if ((ext & EXT_CAS) != 0) {
			l.cas = at;
			at += 8;
		}
	}
	l.key = at;
	return l;
}

static uint32_t get_u32(const char *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static void put_u32(char *at, uint32_t n)
{
	memcpy(at, &n, sizeof(n));
}

static uint64_t get_u64(const char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static void put_u64(char *at, uint64_t n)
{
	memcpy(at, &n, sizeof(n));
}

static unsigned flags_load(const char *raw)
{
	return (unsigned char)__atomic_load_n(raw + AT_FLAGS, __ATOMIC_RELAXED);
}

static void flags_store(char *raw, unsigned flags)
{
	__atomic_store_n(raw + AT_FLAGS, (char)flags, __ATOMIC_RELAXED);
}

static unsigned ext_load(const char *raw, unsigned flags)
{
	uint16_t ext = 0;

	if ((flags & ITEM_EXT) != 0) {
		struct layout l = lay_out(flags, 0);

		memcpy(&ext, raw + l.ext, sizeof(ext));
	}
	return ext;
}

static uint32_t value_len_load(const char *raw, unsigned flags)
{
	uint16_t low;

	memcpy(&low, raw + AT_VALUE_LEN, sizeof(low));
	return low | (uint32_t)(flags & VALUE_LEN_HIGH) << 16;
}

static unsigned ext_of(const struct item_view *v, unsigned extras)
{
	unsigned ext = 0;

	if ((extras & EXTRA_WIDE) != 0) {
		ext |= EXT_WIDE;
	}
	if ((extras & EXTRA_CAS) != 0) {
		ext |= EXT_CAS;
	}
	if (v->binkey) {
		ext |= EXT_BINKEY;
	}
	return ext;
}

static unsigned marks_of(const struct item_view *v)
{
	unsigned marks = 0;

	if (v->fetched) {
		marks |= ITEM_FETCHED;
	}
	if (v->stale) {
		marks |= ITEM_STALE;
	}
	if (v->won) {
		marks |= ITEM_WON;
	}
	return marks;
}

static unsigned flags_of(const struct item_view *v, unsigned extras)
{
	unsigned flags = marks_of(v);

	if (v->exptime != 0) {
		flags |= ITEM_EXPIRY;
	}
	if (v->cflags != 0) {
		flags |= ITEM_CFLAGS;
	}
	if (ext_of(v, extras) != 0) {
		flags |= ITEM_EXT;
	}
	return flags;
}

static uint32_t even(uint32_t n)
{
	return (n + ITEM_ALIGN - 1) & ~(uint32_t)(ITEM_ALIGN - 1);
}

/* Most items have nothing but a key and a value. */
static bool is_plain(const struct item_view *v, unsigned extras)
{
	return (v->exptime | v->cflags | extras) == 0 && !v->binkey;
}

uint32_t item_value_at(const struct item_view *v, unsigned extras)
{
	if (is_plain(v, extras)) {
		return HEAD + v->key_len;
	}
	return lay_out(flags_of(v, extras), ext_of(v, extras)).key + v->key_len;
}

uint64_t item_size(const struct item_view *v, unsigned extras)
{
	uint64_t size = (uint64_t)item_value_at(v, extras) + v->value_len;

	return (size + ITEM_ALIGN - 1) & ~(uint64_t)(ITEM_ALIGN - 1);
}

void item_write(char *raw, const struct item_view *v, unsigned extras,
		uint64_t base)
{
	unsigned flags = flags_of(v, extras);
	unsigned ext = ext_of(v, extras);
	struct layout l = lay_out(flags, ext);
	uint16_t low = (uint16_t)v->value_len;

	check(v->key_len > 0 && v->value_len < ITEM_SIZE_MAX);
	check((ext & EXT_WIDE) != 0 || item_lsn_fits(v->lsn, base));
	put_u32(raw + AT_DELTA, (uint32_t)(v->lsn - base));
	put_u32(raw + AT_ACCESSED, v->accessed);
	raw[AT_KEY_LEN] = (char)v->key_len;
	memcpy(raw + AT_VALUE_LEN, &low, sizeof(low));
	flags_store(raw, flags | v->value_len >> 16);
	memcpy(raw + l.key, v->key, v->key_len);
	if ((flags & OPTIONAL) == 0) {
		return;
	}
	if (l.expiry != 0) {
		put_u32(raw + l.expiry, v->exptime);
	}
	if (l.cflags != 0) {
		put_u32(raw + l.cflags, v->cflags);
	}
	if (l.ext != 0) {
		uint16_t bits = (uint16_t)ext;

		memcpy(raw + l.ext, &bits, sizeof(bits));
	}
	if (l.lsn != 0) {
		put_u64(raw + l.lsn, v->lsn);
	}
	if (l.cas != 0) {
		put_u64(raw + l.cas, v->cas);
	}
}

/* The fields that most items do not have. */
static void read_optional(const char *raw, unsigned flags, unsigned ext,
			  const struct layout *l, struct item_view *v)
{
	if ((flags & ITEM_EXPIRY) != 0) {
		v->exptime = get_u32(raw + l->expiry);
	}
	if ((flags & ITEM_CFLAGS) != 0) {
		v->cflags = get_u32(raw + l->cflags);
	}
	if (l->lsn != 0) {
		v->lsn = get_u64(raw + l->lsn);
		v->cas = v->lsn;
	}
	if (l->cas != 0) {
		v->cas = get_u64(raw + l->cas);
	}
	v->binkey = (ext & EXT_BINKEY) != 0;
}

void item_read(const char *raw, uint64_t base, struct item_view *v)
{
	unsigned flags = flags_load(raw);
	int32_t delta = (int32_t)get_u32(raw + AT_DELTA);
	uint32_t key = HEAD;

	v->key_len = (uint8_t)raw[AT_KEY_LEN];
	v->value_len = value_len_load(raw, flags);
	v->lsn = base + (uint64_t)(int64_t)delta;
	v->cas = v->lsn;
	v->cflags = 0;
	v->exptime = 0;
	v->accessed = get_u32(raw + AT_ACCESSED);
	v->fetched = (flags & ITEM_FETCHED) != 0;
	v->stale = (flags & ITEM_STALE) != 0;
	v->won = (flags & ITEM_WON) != 0;
	v->binkey = false;
	if ((flags & OPTIONAL) != 0) {
		unsigned ext = ext_load(raw, flags);
		struct layout l = lay_out(flags, ext);

		read_optional(raw, flags, ext, &l, v);
		key = l.key;
	}
	v->key = raw + key;
	v->value = v->key + v->key_len;
	v->size = even(key + v->key_len + v->value_len);
}

void item_peek(const char *raw, struct item_outline *o)
{
	unsigned flags;
	uint32_t key;

	o->key_len = (uint8_t)__atomic_load_n(raw + AT_KEY_LEN,
					      __ATOMIC_ACQUIRE);
	if (o->key_len == 0) {
		o->size = get_u32(raw + AT_ACCESSED);
		o->key = NULL;
		return;
	}
	flags = flags_load(raw);
	key = lay_out(flags, ext_load(raw, flags)).key;
	o->key = raw + key;
	o->size = even(key + o->key_len + value_len_load(raw, flags));
}

void item_bury(char *raw, uint32_t size)
{
	put_u32(raw + AT_ACCESSED, size);
	__atomic_store_n(raw + AT_KEY_LEN, 0, __ATOMIC_RELEASE);
}

bool item_amendable(const char *raw, const struct item_view *v, unsigned extras,
		    uint64_t base)
{
	unsigned flags = flags_load(raw);
	struct layout l = lay_out(flags, ext_load(raw, flags));

	return (l.expiry != 0 || v->exptime == 0) &&
	       (l.cas != 0 || (extras & EXTRA_CAS) == 0) &&
	       (l.lsn != 0 || item_lsn_fits(v->lsn, base));
}

void item_amend(char *raw, const struct item_view *v, uint64_t base)
{
	unsigned flags = flags_load(raw);
	struct layout l = lay_out(flags, ext_load(raw, flags));

	check(l.lsn != 0 || item_lsn_fits(v->lsn, base));
	if (l.expiry != 0) {
		put_u32(raw + l.expiry, v->exptime);
	}
	if (l.cas != 0) {
		put_u64(raw + l.cas, v->cas);
	}
	if (l.lsn != 0) {
		put_u64(raw + l.lsn, v->lsn);
	} else {
		put_u32(raw + AT_DELTA, (uint32_t)(v->lsn - base));
	}
	put_u32(raw + AT_ACCESSED, v->accessed);
	flags_store(raw, (flags & ~(unsigned)MARKS) | marks_of(v));
}

bool item_rebase(char *raw, uint64_t lsn, uint64_t base)
{
	unsigned flags = flags_load(raw);

	if ((ext_load(raw, flags) & EXT_WIDE) != 0) {
		return true;
	}
	if (!item_lsn_fits(lsn, base)) {
		return false;
	}
	put_u32(raw + AT_DELTA, (uint32_t)(lsn - base));
	return true;
}
