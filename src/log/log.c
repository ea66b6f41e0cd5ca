/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's window: a list of chunks, oldest first; the last one is open.
 *
 * A record that is reserved has its length in its first four bytes at once,
 * with the top bit set; publishing stores the length without that bit, after
 * everything else.  So a reader walks from record to record by their lengths
 * and stops at the first with the bit.  All else about chunks and cursors is
 * kept under the log's lock; readers read bytes, and writers fill them,
 * without it.
 *
 * Positions are counted in bytes of records since the log was made; a chunk
 * knows the position of its first.  What waits is the difference of the log's
 * position and that of the slowest keeping cursor.
 *
 * A chunk leaves the window from the front (chunk_may_go), and is used again,
 * or freed outside the lock.  A cursor in it that does not keep is behind then
 * (K2 below).  If what lies in the chunk was shown to such a cursor, the chunk
 * is only taken out of the window, and goes when the cursor passes or closes:
 * a slow reader holds one chunk, never the window.
 *
 *  K1. Chunks in the window have consecutive LSNs; so have records in a chunk.
 *  K2. A cursor's chunk is in the window, or NULL: it is behind.
 *  K3. A chunk that leaves the window has no unpublished record.
 */
#include <endian.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/lock.h"
#include "log/log.h"

#define UNPUBLISHED (1U << 31)

struct chunk {
	struct list link;   /* in the window, or among the spare ones */
	uint64_t first_lsn; /* of its first record, also before there is one */
	uint64_t position;  /* of its first byte */
	uint32_t capacity;
	uint32_t used;      /* bytes that were reserved */
	uint32_t published; /* bytes of which that is known */
	uint32_t holders;   /* cursors that were shown what lies in it */
	bool gone;          /* taken out of the window */
	_Alignas(RECORD_ALIGN) char data[];
};

/* A chunk with its head is CHUNK_SIZE, unless one record needs more. */
#define CHUNK_SIZE (256 * KIB)
#define CHUNK_CAPACITY (CHUNK_SIZE - sizeof(struct chunk))

/* Spare chunks are kept up to this part of the window. */
enum { SPARE_PART = 16 };

struct log {
	struct lock lock;
	uint32_t spare_count;
	struct chunk *open;
	_Atomic uint64_t lsn;
	_Atomic uint64_t position; /* behind the last record */
	_Atomic uint64_t full_at;  /* position at which the log is full */
	uint64_t refuse_at;
	uint64_t kept_at; /* position of the slowest keeping cursor */
	struct list window;
	struct list spare;
	struct list cursors;
	uint64_t memory;    /* of all chunks */
	uint64_t begun_lsn; /* the last log_begin() */
	uint64_t records_before;
	struct log_config config;
};

static struct chunk *chunk_of(struct list *link)
{
	return list_entry(link, struct chunk, link);
}

static uint64_t log_position(const struct log *l)
{
	return atomic_load_explicit(&l->position, memory_order_relaxed);
}

/* ---- records in chunks ------------------------------------------------- */

static _Atomic uint32_t *length_at(char *at)
{
	return (_Atomic uint32_t *)(void *)at;
}

static void set_length(char *at, uint32_t length, memory_order order)
{
	atomic_store_explicit(length_at(at), htole32(length), order);
}

/* With UNPUBLISHED in it, or what was written before it can be read. */
static uint32_t get_length(char *at)
{
	return le32toh(
		atomic_load_explicit(length_at(at), memory_order_acquire));
}

/* Readers have passed these bytes: they need not be looked at again. */
static void chunk_was_read(struct chunk *k, uint32_t from, uint32_t to)
{
	if (k->published >= from && k->published < to) {
		k->published = to;
	}
}

/* Are all records of a chunk published? */
static bool chunk_is_published(struct chunk *k)
{
	while (k->published < k->used) {
		uint32_t length = get_length(k->data + k->published);

		if ((length & UNPUBLISHED) != 0) {
			return false;
		}
		k->published += length;
	}
	return true;
}

/* ---- chunks ------------------------------------------------------------ */

static uint64_t chunk_size(const struct chunk *k)
{
	return sizeof(*k) + k->capacity;
}

/* With room for `size` bytes; without the lock, and not counted yet. */
static struct chunk *chunk_new(struct log *l, uint64_t size)
{
	uint64_t capacity = size > CHUNK_CAPACITY ? size : CHUNK_CAPACITY;
	struct chunk *k;

	if (l->config.deny != NULL && l->config.deny(l->config.deny_arg)) {
		return NULL;
	}
	k = malloc(sizeof(*k) + capacity);
	if (k == NULL) {
		return NULL;
	}
	k->capacity = (uint32_t)capacity;
	list_init(&k->link);
	if (l->config.budget != NULL) {
		budget_force(l->config.budget, chunk_size(k));
	}
	return k;
}

/* Without the lock. */
static void chunk_free(struct log *l, struct chunk *k)
{
	if (l->config.budget != NULL) {
		budget_give(l->config.budget, chunk_size(k));
	}
	free(k);
}

static void chunks_free(struct log *l, struct list *chunks)
{
	struct list *link;

	while ((link = list_pop_head(chunks)) != NULL) {
		chunk_free(l, chunk_of(link));
	}
}

/* A chunk that nothing refers to: spare now, or `unused`. */
static void chunk_retire(struct log *l, struct chunk *k, struct list *unused)
{
	uint64_t spare_bytes = l->spare_count * CHUNK_SIZE;

	if (k->capacity == CHUNK_CAPACITY &&
	    spare_bytes <= l->config.window_bytes / SPARE_PART) {
		list_push_tail(&l->spare, &k->link);
		l->spare_count++;
		return;
	}
	l->memory -= chunk_size(k);
	list_push_tail(unused, &k->link);
}

/* Puts `k` behind what is there, to be filled. */
static void chunk_open(struct log *l, struct chunk *k)
{
	k->first_lsn = log_lsn(l) + 1;
	k->position = log_position(l);
	k->used = 0;
	k->published = 0;
	k->holders = 0;
	k->gone = false;
	list_push_tail(&l->window, &k->link);
	l->open = k;
}

static bool chunk_may_go(const struct log *l, struct chunk *k)
{
	uint64_t end = k->position + k->used;

	return k != l->open && end <= l->kept_at &&
	       log_position(l) - end >= l->config.retain_bytes &&
	       chunk_is_published(k);
}

/* The cursors in a chunk that leaves the window. */
static void cursors_leave(struct log *l, const struct chunk *k)
{
	list_each(link, &l->cursors)
	{
		struct log_cursor *c = list_entry(link, struct log_cursor,
						  link);

		if (c->chunk == k) {
			c->chunk = c->at == k->used ? chunk_of(k->link.next) :
						      NULL;
			c->at = 0;
		}
	}
}

/* Takes out of the window what has to stay no longer. */
static void window_trim(struct log *l, struct list *unused)
{
	struct chunk *k = chunk_of(l->window.next);

	while (chunk_may_go(l, k)) {
		cursors_leave(l, k);
		list_remove(&k->link);
		if (k->holders > 0) {
			k->gone = true;
		} else {
			chunk_retire(l, k, unused);
		}
		k = chunk_of(l->window.next);
	}
}

/* ---- life -------------------------------------------------------------- */

static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Where the slowest keeping cursor stands, and what follows from it. */
static void kept_update(struct log *l)
{
	uint64_t window = l->config.window_bytes;
	uint64_t kept = UINT64_MAX;

	list_each(link, &l->cursors)
	{
		struct log_cursor *c = list_entry(link, struct log_cursor,
						  link);
		const struct chunk *k = c->chunk;

		if (c->keeps && k->position + c->at < kept) {
			kept = k->position + c->at;
		}
	}
	l->kept_at = kept;
	atomic_store_explicit(&l->full_at, add_capped(kept, window),
			      memory_order_relaxed);
	l->refuse_at = add_capped(add_capped(kept, window), window);
}

struct log *log_new(const struct log_config *config)
{
	struct chunk *first;
	struct log *l;

	if (config->deny != NULL && config->deny(config->deny_arg)) {
		return NULL;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		return NULL;
	}
	l->config = *config;
	list_init(&l->window);
	list_init(&l->spare);
	list_init(&l->cursors);
	first = chunk_new(l, 0);
	if (first == NULL) {
		free(l);
		return NULL;
	}
	l->memory = chunk_size(first);
	chunk_open(l, first);
	kept_update(l);
	return l;
}

void log_free(struct log *l)
{
	if (l == NULL) {
		return;
	}
	check(list_empty(&l->cursors));
	chunks_free(l, &l->window);
	chunks_free(l, &l->spare);
	free(l);
}

void log_charge(struct log *l, struct budget *b)
{
	check(l->config.budget == NULL);
	budget_force(b, l->memory);
	l->config.budget = b;
}

void log_begin(struct log *l, uint64_t lsn)
{
	struct list unused;
	struct list *link;

	list_init(&unused);
	lock_take(&l->lock);
	check(list_empty(&l->cursors));
	check(chunk_is_published(l->open));
	l->records_before += log_lsn(l) - l->begun_lsn;
	l->begun_lsn = lsn;
	list_remove(&l->open->link);
	while ((link = list_pop_head(&l->window)) != NULL) {
		check(chunk_is_published(chunk_of(link)));
		chunk_retire(l, chunk_of(link), &unused);
	}
	atomic_store_explicit(&l->lsn, lsn, memory_order_relaxed);
	chunk_open(l, l->open);
	lock_give(&l->lock);
	chunks_free(l, &unused);
}

uint64_t log_lsn(const struct log *l)
{
	return atomic_load_explicit(&l->lsn, memory_order_relaxed);
}

bool log_is_full(const struct log *l)
{
	return log_position(l) >=
	       atomic_load_explicit(&l->full_at, memory_order_relaxed);
}

/* ---- writing ----------------------------------------------------------- */

/*
 * What is there counts, not what is to come: else a large record would never
 * be taken while others come and go.
 */
static bool is_too_much(const struct log *l)
{
	return log_position(l) >= l->refuse_at && log_position(l) > l->kept_at;
}

static bool has_room(const struct log *l, uint64_t size)
{
	return l->open->capacity - l->open->used >= size;
}

/* In the open chunk, which has room for it. */
static void slot_take(struct log *l, uint32_t size, struct log_slot *slot)
{
	struct chunk *k = l->open;

	slot->lsn = log_lsn(l) + 1;
	slot->at = k->data + k->used;
	slot->size = size;
	set_length(slot->at, size | UNPUBLISHED, memory_order_relaxed);
	k->used += size;
	atomic_store_explicit(&l->lsn, slot->lsn, memory_order_relaxed);
	atomic_store_explicit(&l->position, log_position(l) + size,
			      memory_order_relaxed);
}

/*
 * Opens a chunk with room for `size`: what has become spare, or a new one,
 * for which the lock is let go.  False: no memory.
 */
static bool make_room(struct log *l, uint64_t size, struct list *unused)
{
	struct list *link = NULL;
	struct chunk *k;

	window_trim(l, unused);
	if (size <= CHUNK_CAPACITY) {
		link = list_pop_head(&l->spare);
	}
	if (link != NULL) {
		l->spare_count--;
		chunk_open(l, chunk_of(link));
		return true;
	}
	lock_give(&l->lock);
	k = chunk_new(l, size);
	lock_take(&l->lock);
	if (k == NULL) {
		return has_room(l, size);
	}
	l->memory += chunk_size(k);
	if (has_room(l, size)) {
		/* Another writer has opened one meanwhile. */
		chunk_retire(l, k, unused);
	} else {
		chunk_open(l, k);
	}
	return true;
}

bool log_reserve(struct log *l, const struct record *form,
		 struct log_slot *slot)
{
	uint64_t size = record_size(form);
	struct list unused;
	bool taken;

	if (size == 0) {
		return false;
	}
	list_init(&unused);
	lock_take(&l->lock);
	taken = !is_too_much(l) &&
		(has_room(l, size) || make_room(l, size, &unused));
	if (taken) {
		slot_take(l, (uint32_t)size, slot);
	}
	lock_give(&l->lock);
	chunks_free(l, &unused);
	return taken;
}

void log_publish(struct log *l, const struct log_slot *slot,
		 const struct record *r)
{
	struct record stamped = *r;

	(void)l;
	stamped.lsn = slot->lsn;
	check(record_size(&stamped) == slot->size);
	record_write(slot->at, &stamped);
	set_length(slot->at, slot->size, memory_order_release);
}

/* ---- cursors ----------------------------------------------------------- */

/*
 * The place of the record `lsn` + 1, also if it does not exist yet.  False:
 * it is not in the window.
 */
static bool window_find(struct log *l, uint64_t lsn, struct chunk **chunk,
			uint32_t *at)
{
	struct chunk *k = l->open;
	uint64_t next;

	if (lsn > log_lsn(l)) {
		return false;
	}
	while (k->first_lsn > lsn + 1) {
		if (k->link.prev == &l->window) {
			return false;
		}
		k = chunk_of(k->link.prev);
	}
	*chunk = k;
	*at = 0;
	for (next = k->first_lsn; next <= lsn; next++) {
		*at += get_length(k->data + *at) & ~UNPUBLISHED;
	}
	return true;
}

bool log_cursor_open(struct log *l, struct log_cursor *c, uint64_t lsn,
		     bool keeps)
{
	struct chunk *k;
	uint32_t at;
	bool found;

	*c = (struct log_cursor){ .log = l, .lsn = lsn, .keeps = keeps };
	list_init(&c->link);
	lock_take(&l->lock);
	found = window_find(l, lsn, &k, &at);
	if (found) {
		c->chunk = k;
		c->at = at;
		c->shown_lsn = lsn;
		list_push_tail(&l->cursors, &c->link);
		kept_update(l);
	}
	lock_give(&l->lock);
	return found;
}

/* The chunk may go now, if it had to stay for this cursor only. */
static void cursor_release(struct log_cursor *c, struct list *unused)
{
	struct chunk *k = c->held;

	c->held = NULL;
	if (k == NULL) {
		return;
	}
	k->holders--;
	if (k->gone && k->holders == 0) {
		chunk_retire(c->log, k, unused);
	}
}

void log_cursor_close(struct log_cursor *c)
{
	struct log *l = c->log;
	struct list unused;

	list_init(&unused);
	lock_take(&l->lock);
	list_remove(&c->link);
	cursor_release(c, &unused);
	kept_update(l);
	window_trim(l, &unused);
	lock_give(&l->lock);
	chunks_free(l, &unused);
}

/* ---- looking ----------------------------------------------------------- */

/* What is reserved behind the cursor, published or not. */
static int reserved_parts(const struct log_cursor *c, struct iovec *part,
			  int max, uint64_t bytes)
{
	struct chunk *k = c->chunk;
	uint32_t at = c->at;
	uint64_t sum = 0;
	int count = 0;

	while (count < max && (count == 0 || sum < bytes) && at < k->used) {
		part[count].iov_base = k->data + at;
		part[count].iov_len = k->used - at;
		sum += k->used - at;
		count++;
		if (k == c->log->open) {
			break;
		}
		k = chunk_of(k->link.next);
		at = 0;
	}
	return count;
}

/*
 * Cuts a part to its published records, within `bytes`; a first one is taken
 * whatever its size.  Counts *lsn on.
 */
static void part_cut(struct iovec *part, uint64_t bytes, bool first,
		     uint64_t *lsn)
{
	char *at = part->iov_base;
	size_t end = 0;

	while (end < part->iov_len) {
		uint32_t length = get_length(at + end);

		if ((length & UNPUBLISHED) != 0 ||
		    (end + length > bytes && !first)) {
			break;
		}
		first = false;
		end += length;
		++*lsn;
	}
	part->iov_len = end;
}

/* Cuts all; how many of them are left. */
static int parts_cut(struct log_cursor *c, struct iovec *part, int count,
		     uint64_t bytes)
{
	int n = 0;

	c->shown_bytes = 0;
	c->shown_lsn = c->lsn;
	while (n < count) {
		size_t reserved = part[n].iov_len;
		uint64_t left = bytes > c->shown_bytes ?
					bytes - c->shown_bytes :
					0;

		part_cut(&part[n], left, n == 0, &c->shown_lsn);
		c->shown_bytes += part[n].iov_len;
		if (part[n].iov_len < reserved) {
			n += part[n].iov_len > 0;
			break;
		}
		n++;
	}
	return n;
}

/* From the end of a chunk to the next one. */
static void cursor_settle(struct log_cursor *c)
{
	struct chunk *k = c->chunk;

	while (k != c->log->open && c->at == k->used) {
		k = chunk_of(k->link.next);
		c->chunk = k;
		c->at = 0;
	}
}

/* What was reserved behind the cursor, and holds it. */
static enum log_look look_locked(struct log_cursor *c, struct iovec *part,
				 int max, uint64_t bytes, int *count)
{
	struct chunk *k;

	if (c->chunk == NULL) {
		return LOG_BEHIND;
	}
	cursor_settle(c);
	*count = reserved_parts(c, part, c->keeps ? max : 1, bytes);
	if (*count == 0) {
		return LOG_NONE;
	}
	if (!c->keeps && c->held == NULL) {
		k = c->chunk;
		k->holders++;
		c->held = k;
	}
	return LOG_SOME;
}

enum log_look log_cursor_look(struct log_cursor *c, struct iovec *part, int max,
			      uint64_t bytes, int *count, uint64_t *last)
{
	struct log *l = c->log;
	enum log_look look;

	check(max > 0);
	*count = 0;
	*last = c->lsn;
	if (c->lsn == log_lsn(l)) {
		return LOG_NONE;
	}
	lock_take(&l->lock);
	look = look_locked(c, part, max, bytes, count);
	lock_give(&l->lock);
	if (look != LOG_SOME) {
		return look;
	}
	*count = parts_cut(c, part, *count, bytes);
	*last = c->shown_lsn;
	return *count > 0 ? LOG_SOME : LOG_NONE;
}

/* Over the bytes that were shown. */
static void cursor_advance(struct log_cursor *c)
{
	uint64_t bytes = c->shown_bytes;
	struct chunk *k = c->chunk;

	while (bytes > k->used - c->at) {
		bytes -= k->used - c->at;
		chunk_was_read(k, c->at, k->used);
		k = chunk_of(k->link.next);
		c->at = 0;
	}
	chunk_was_read(k, c->at, c->at + (uint32_t)bytes);
	c->at += (uint32_t)bytes;
	c->chunk = k;
}

void log_cursor_pass(struct log_cursor *c, uint64_t lsn)
{
	struct log *l = c->log;
	struct list unused;
	struct chunk *k;

	list_init(&unused);
	lock_take(&l->lock);
	check(lsn == c->shown_lsn);
	c->lsn = lsn;
	if (c->chunk != NULL) {
		cursor_advance(c);
	} else if (window_find(l, lsn, &k, &c->at)) {
		c->chunk = k;
	}
	c->shown_bytes = 0;
	cursor_release(c, &unused);
	kept_update(l);
	window_trim(l, &unused);
	lock_give(&l->lock);
	chunks_free(l, &unused);
}

void log_stats(const struct log *l, struct log_stats *out)
{
	struct log *locked = (struct log *)l;

	lock_take(&locked->lock);
	*out = (struct log_stats){
		.waiting_bytes = l->kept_at < log_position(l) ?
					 log_position(l) - l->kept_at :
					 0,
		.window_bytes = l->memory,
		.records = l->records_before + log_lsn(l) - l->begun_lsn,
		.bytes = log_position(l),
	};
	lock_give(&locked->lock);
}
