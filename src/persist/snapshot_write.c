/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing a snapshot.
 *
 * Each step copies one shard's items, as records, into a buffer; when that
 * holds a block, it is compressed and written.  What is done under the shard's
 * lock is copying only: a buffer that is too small is made larger behind it,
 * and the shard is visited again.  Values that are not small are not copied
 * during the visit at all: their keys are noted, and each of them is taken in a
 * step of its own, large ones by a loan, without the lock.  By then the item
 * may be another or gone, but that change has a record above the snapshot's
 * LSN.
 *
 * Memory: the buffer (384 KiB), the compressor (it works on a window of
 * 256 KiB) and its output (128 KiB), about 1.2 MiB whatever the store's size.
 * A value that does not fit takes as much again as it has, while it is copied,
 * and that much is charged to the store's budget.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/crc.h"
#include "base/limits.h"
#include "persist/snapshot.h"
#include "persist/snapshot_form.h"
#include "store/store.h"

enum {
	BLOCK_BYTES = 256 << 10, /* a block is written when it has as many */
	ROOM_USUAL = 384 << 10,  /* that, and a shard's small items */
	KEYS_USUAL = 16 << 10,
	OUT_BYTES = 128 << 10,
	WINDOW_LOG = 18,
	VALUE_SOON_MAX = 16 << 10, /* copied during the visit */
	SYNC_BYTES = 8 << 20,
	LEVEL_DEFAULT = 1,
	CLOCK_SLACK_S = 2,
	PART_NAME_SIZE = FILE_NAME_SIZE + 8,
};

/* Bytes one behind the other; what does not fit is counted. */
struct pile {
	char *at;
	size_t size;
	size_t room;
	size_t lacking;
};

struct snapshot_writer {
	struct snapshot_config config;
	int file;
	char name[FILE_NAME_SIZE];
	char part[PART_NAME_SIZE];
	bool complete; /* it has its name */
	uint64_t cursor;
	bool scanned;
	struct pile records; /* of the next block */
	uint32_t count;      /* of them */
	struct pile keys;    /* to be taken one by one: length, key */
	size_t keys_done;
	char *out;
	ZSTD_CCtx *zip;
	uint64_t size; /* of the file */
	uint64_t synced;
	uint64_t expected; /* items, as of the beginning */
	uint64_t items;
	struct snapshot_foot foot;
};

/* ---- piles ------------------------------------------------------------- */

/* Room for `n` more bytes; NULL: there is not enough, for this or before. */
static char *pile_take(struct pile *p, size_t n)
{
	char *at = p->at + p->size;

	if (p->lacking > 0 || n > p->room - p->size) {
		p->lacking += n;
		return NULL;
	}
	p->size += n;
	return at;
}

/* What is above the usual room is charged. */
static void pile_charge(struct snapshot_writer *w, size_t from, size_t to)
{
	struct budget *b = store_budget(w->config.store);
	size_t usual = ROOM_USUAL;

	from = from > usual ? from - usual : 0;
	to = to > usual ? to - usual : 0;
	if (to > from) {
		budget_force(b, to - from);
	} else {
		budget_give(b, from - to);
	}
}

static bool pile_resize(struct snapshot_writer *w, struct pile *p, size_t room)
{
	char *at;

	room = arena_round(room);
	if (room > p->room && w->config.deny != NULL &&
	    w->config.deny(w->config.deny_arg)) {
		return false;
	}
	at = p->at == NULL ? arena_map(room) :
			     arena_resize(p->at, p->room, room);
	if (at == NULL) {
		return false;
	}
	pile_charge(w, p->room, room);
	p->at = at;
	p->room = room;
	return true;
}

static void pile_release(struct snapshot_writer *w, struct pile *p)
{
	if (p->at != NULL) {
		pile_charge(w, p->room, 0);
		arena_unmap(p->at, p->room);
	}
}

/* Makes the room that was lacking, and a little more. */
static int pile_grow(struct snapshot_writer *w, struct pile *p)
{
	size_t need = p->size + p->lacking;

	p->lacking = 0;
	if (need <= p->room) {
		return 0;
	}
	return pile_resize(w, p, need + need / 16) ? 0 : -ENOMEM;
}

/* ---- blocks ------------------------------------------------------------ */

static int put(struct snapshot_writer *w, const void *from, size_t n,
	       uint64_t at)
{
	return dir_write_all(w->config.dir, w->file, from, n, at);
}

/*
 * Compresses the block to the file, a piece at a time; *packed is its length.
 */
static int pack(struct snapshot_writer *w, uint32_t *packed, uint32_t *crc)
{
	ZSTD_inBuffer in = { w->records.at, w->records.size, 0 };
	uint64_t at = w->size + BLOCK_HEAD_SIZE;
	size_t left;

	*packed = 0;
	*crc = 0;
	do {
		ZSTD_outBuffer out = { w->out, OUT_BYTES, 0 };
		int error;

		left = ZSTD_compressStream2(w->zip, &out, &in, ZSTD_e_end);
		if (ZSTD_isError(left)) {
			return -ENOMEM;
		}
		error = put(w, w->out, out.pos, at + *packed);
		if (error != 0) {
			return error;
		}
		*crc = crc32c(*crc, w->out, out.pos);
		*packed += (uint32_t)out.pos;
	} while (left > 0);
	return 0;
}

static int write_head(struct snapshot_writer *w, struct block_head *h,
		      uint32_t crc)
{
	char head[BLOCK_HEAD_SIZE];

	block_head_write(head, h, crc);
	return put(w, head, sizeof(head), w->size);
}

static int sync_some(struct snapshot_writer *w)
{
	int error = 0;

	if (w->size - w->synced >= SYNC_BYTES) {
		error = dir_sync(w->config.dir, w->file);
		w->synced = w->size;
	}
	return error;
}

static int write_block(struct snapshot_writer *w)
{
	struct block_head h = {
		.raw = (uint32_t)w->records.size,
		.records = w->count,
	};
	uint32_t crc;
	int error = pack(w, &h.packed, &crc);

	if (error == 0) {
		error = write_head(w, &h, crc);
	}
	if (error != 0) {
		return error;
	}
	w->size += BLOCK_HEAD_SIZE + h.packed;
	w->foot.blocks++;
	w->foot.records += w->count;
	w->foot.raw_bytes += w->records.size;
	w->foot.crcs = snapshot_crcs_add(w->foot.crcs, h.crc);
	w->records.size = 0;
	w->count = 0;
	if (w->records.room > 2 * ROOM_USUAL) {
		/* If that is refused, the larger one does too. */
		(void)pile_resize(w, &w->records, ROOM_USUAL);
	}
	return sync_some(w);
}

/* ---- items ------------------------------------------------------------- */

static void add_record(struct snapshot_writer *w, const struct record *r)
{
	size_t size = record_size(r);
	char *to = NULL;

	check(size > 0);
	if (w->records.size > 0 && size > ROOM_USUAL) {
		w->records.lacking += size; /* it gets a block of its own */
	} else {
		to = pile_take(&w->records, size);
	}
	if (to != NULL) {
		record_set_length(to, record_write(to, r));
		w->count++;
	}
}

static uint8_t marks_of(const struct item_view *v)
{
	unsigned marks = 0;

	marks |= v->stale ? MARK_STALE : 0;
	marks |= v->won ? MARK_WON : 0;
	marks |= v->binkey ? MARK_BINKEY : 0;
	marks |= v->fetched ? MARK_FETCHED : 0;
	return (uint8_t)marks;
}

/* The time of a change is not kept in an item; that of its access is. */
static void add_item(struct snapshot_writer *w, const struct item_view *v,
		     const char *key)
{
	const struct record r = {
		.lsn = v->lsn,
		.cas = v->cas == v->lsn ? 0 : v->cas,
		.key = key,
		.value = v->value,
		.value_len = v->value_len,
		.time = v->accessed,
		.exptime = v->exptime,
		.cflags = v->cflags,
		.kind = RECORD_ITEM,
		.key_len = v->key_len,
		.marks = marks_of(v),
	};

	add_record(w, &r);
}

static void visit(void *arg, const struct item_view *v)
{
	struct snapshot_writer *w = arg;
	char *to;

	if (v->value_len <= VALUE_SOON_MAX) {
		add_item(w, v, v->key);
		return;
	}
	to = pile_take(&w->keys, 1U + v->key_len);
	if (to != NULL) {
		to[0] = (char)v->key_len;
		memcpy(to + 1, v->key, v->key_len);
	}
}

/*
 * What was lacking gets room: by writing the block that is there, or by a
 * larger buffer.
 */
static int make_room(struct snapshot_writer *w)
{
	int error = 0;

	if (w->records.lacking > 0 && w->records.size > 0) {
		w->records.lacking = 0;
		error = write_block(w);
	}
	if (error == 0) {
		error = pile_grow(w, &w->records);
	}
	if (error == 0) {
		error = pile_grow(w, &w->keys);
	}
	return error;
}

static bool is_lacking(const struct snapshot_writer *w)
{
	return w->records.lacking > 0 || w->keys.lacking > 0;
}

/*
 * Threads read the clock once in a turn, so what has expired just now may
 * still be touched by one of them, and then live on.
 */
static uint32_t certain_time(uint32_t now)
{
	return now > CLOCK_SLACK_S ? now - CLOCK_SLACK_S : 0;
}

/* Visits a shard, again if there was not enough room for its items. */
static int take_shard(struct snapshot_writer *w, uint32_t now)
{
	size_t size = w->records.size;
	uint32_t count = w->count;

	for (;;) {
		uint64_t cursor = w->cursor;
		int error;

		w->keys.size = 0;
		w->keys_done = 0;
		w->scanned = !store_scan(w->config.ctx, &w->cursor,
					 certain_time(now), visit, w);
		if (!is_lacking(w)) {
			w->items += w->count - count;
			return 0;
		}
		w->cursor = cursor;
		w->records.size = size;
		w->count = count;
		error = make_room(w);
		if (error != 0) {
			return error;
		}
		size = w->records.size;
		count = w->count;
	}
}

/* Takes the item of the next key that was noted, if it is still there. */
static int take_noted(struct snapshot_writer *w, uint32_t now)
{
	const char *at = w->keys.at + w->keys_done;
	uint8_t len = (uint8_t)at[0];
	struct store_key key = store_key(w->config.store, at + 1, len);
	int error = 0;

	do {
		struct large *loan = NULL;
		struct store_entry e;

		error = make_room(w);
		if (error != 0) {
			return error;
		}
		if (store_open(w->config.ctx, &key, certain_time(now), &e)) {
			loan = entry_borrow(&e);
			if (loan == NULL) {
				add_item(w, &e.item, key.data);
			}
		}
		store_close(&e);
		if (loan != NULL) {
			add_item(w, &e.item, key.data);
			large_return(w->config.store, loan);
		}
	} while (is_lacking(w));
	w->keys_done += 1U + len;
	w->items++;
	return 0;
}

/* ---- beginning and end ------------------------------------------------- */

static void add_flushes(struct snapshot_writer *w, uint32_t now)
{
	const struct record barrier = {
		.kind = RECORD_FLUSH,
		.lsn = w->config.barrier,
		.time = now,
	};
	/* The barrier may have been raised since, without a record. */
	const struct record intention = {
		.kind = RECORD_FLUSH_AT,
		.lsn = w->config.barrier > w->config.lsn ? w->config.barrier :
							   w->config.lsn,
		.time = now,
		.number = w->config.flush_at,
	};

	if (w->config.barrier != 0) {
		add_record(w, &barrier);
	}
	if (w->config.flush_at != 0) {
		add_record(w, &intention);
	}
}

static bool allocate(struct snapshot_writer *w)
{
	const struct snapshot_config *c = &w->config;
	int level = c->level != 0 ? c->level : LEVEL_DEFAULT;

	if (!pile_resize(w, &w->records, ROOM_USUAL) ||
	    !pile_resize(w, &w->keys, KEYS_USUAL) ||
	    (c->deny != NULL && c->deny(c->deny_arg))) {
		return false;
	}
	w->out = malloc(OUT_BYTES);
	w->zip = ZSTD_createCCtx();
	return w->out != NULL && w->zip != NULL &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(
		       w->zip, ZSTD_c_compressionLevel, level)) &&
	       !ZSTD_isError(ZSTD_CCtx_setParameter(w->zip, ZSTD_c_windowLog,
						    WINDOW_LOG));
}

/* Makes the file; one that could not be removed before is removed now. */
static int make_file(struct snapshot_writer *w)
{
	struct dir *d = w->config.dir;
	int file = dir_open(d, w->part, FILE_CREATE);

	if (file == -EEXIST) {
		int error = dir_remove(d, w->part);

		if (error != 0) {
			return error;
		}
		file = dir_open(d, w->part, FILE_CREATE);
	}
	if (file < 0) {
		return file;
	}
	w->file = file;
	return 0;
}

static int begin_file(struct snapshot_writer *w, uint32_t now)
{
	const struct snapshot_config *c = &w->config;
	const struct file_header header = {
		.kind = FILE_SNAPSHOT,
		.time = now,
		.identity = c->identity,
		.lsn = c->lsn,
		.hash_seed = c->hash_seed,
		.lsn_floor = c->lsn_floor,
	};
	char bytes[HEADER_SIZE];
	int error = make_file(w);

	if (error != 0) {
		return error;
	}
	header_write(bytes, &header);
	w->size = HEADER_SIZE;
	return put(w, bytes, HEADER_SIZE, 0);
}

struct snapshot_writer *snapshot_begin(const struct snapshot_config *c,
				       uint32_t now, int *error)
{
	struct snapshot_writer *w = NULL;
	struct store_stats stats;

	*error = -ENOMEM;
	if (c->deny == NULL || !c->deny(c->deny_arg)) {
		w = calloc(1, sizeof(*w));
	}
	if (w == NULL) {
		return NULL;
	}
	w->config = *c;
	w->file = -1;
	file_name(w->name, FILE_SNAPSHOT, c->lsn);
	snprintf(w->part, sizeof(w->part), "%s.part", w->name);
	store_stats(c->store, &stats);
	w->expected = stats.items;
	w->foot.time = now;
	if (allocate(w)) {
		*error = begin_file(w, now);
	}
	if (*error != 0) {
		snapshot_end(w);
		return NULL;
	}
	add_flushes(w, now);
	return w;
}

/*
 * While nothing changes any more a delayed flush may fire even so.  No file
 * will have its record, and whoever recovers has it fire again: it does not
 * count.
 */
static uint64_t highest_lsn(const struct snapshot_writer *w)
{
	uint64_t lsn = w->config.clean ? 0 : store_lsn(w->config.store);

	if (lsn < w->config.barrier) {
		lsn = w->config.barrier;
	}
	return lsn < w->config.lsn ? w->config.lsn : lsn;
}

/* The journal holds all that may be here, and then the end says so. */
static int settle(struct snapshot_writer *w)
{
	const struct snapshot_config *c = &w->config;

	w->foot.lsn_end = highest_lsn(w);
	w->foot.marks = c->clean ? SNAPSHOT_CLEAN : 0;
	if (c->settle == NULL) {
		return 0;
	}
	w->foot.marks |= SNAPSHOT_SETTLED;
	return c->settle(c->settle_arg, w->foot.lsn_end);
}

static int write_tail(struct snapshot_writer *w)
{
	char end[SNAPSHOT_END_SIZE];
	struct block_head none = { .packed = 0 };
	int error = write_head(w, &none, 0);

	if (error != 0) {
		return error;
	}
	snapshot_foot_write(end, &w->foot);
	error = put(w, end, sizeof(end), w->size + BLOCK_HEAD_SIZE);
	if (error == 0) {
		w->size += SNAPSHOT_TAIL_SIZE;
		error = dir_sync(w->config.dir, w->file);
	}
	return error;
}

static int finish(struct snapshot_writer *w)
{
	struct dir *d = w->config.dir;
	int error = w->count > 0 ? write_block(w) : 0;

	if (error == 0) {
		error = settle(w);
	}
	if (error == 0) {
		error = write_tail(w);
	}
	if (error == 0) {
		error = dir_rename(d, w->part, d, w->name);
	}
	if (error != 0) {
		return error;
	}
	w->complete = true;
	return dir_sync_names(d);
}

int snapshot_step(struct snapshot_writer *w, uint32_t now)
{
	int error;

	if (now > w->foot.time) {
		w->foot.time = now;
	}
	if (w->keys_done < w->keys.size) {
		error = take_noted(w, now);
	} else if (!w->scanned) {
		error = take_shard(w, now);
	} else {
		return finish(w);
	}
	if (error == 0 && w->records.size >= BLOCK_BYTES) {
		error = write_block(w);
	}
	return error != 0 ? error : 1;
}

void snapshot_progress(const struct snapshot_writer *w,
		       struct snapshot_progress *out)
{
	out->items = w->items;
	out->raw_bytes = w->foot.raw_bytes + w->records.size;
	out->file_bytes = w->size;
	out->done = 1;
	if (!w->scanned && w->items < w->expected) {
		out->done = (double)w->items / (double)w->expected;
	}
}

void snapshot_end(struct snapshot_writer *w)
{
	struct dir *d = w->config.dir;

	if (w->file >= 0) {
		dir_close(d, w->file);
		if (!w->complete) {
			(void)dir_remove(d, w->part);
		}
	}
	ZSTD_freeCCtx(w->zip);
	free(w->out);
	pile_release(w, &w->records);
	pile_release(w, &w->keys);
	free(w);
}
