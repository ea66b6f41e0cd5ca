/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumps of keys and their properties.  The store is walked a shard at a
 * time; lines are gathered in a buffer of the dump's own, since a shard's
 * lock must not be held while anything is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "node/dump.h"
#include "node/node_state.h"
#include "node/session.h"
#include "proto/base64.h"

/* A line: a key in percent-encoding, and the figures. */
enum { DUMP_LINE = 3 * KEY_MAX + 256 };

/* A turn ends when it has gathered this much, or walked this many shards. */
#define DUMP_TURN_BYTES (64 * KIB)
enum { DUMP_TURN_SHARDS = 64 };

#define CACHEDUMP_BYTES (2 * MIB)

/* `stats sizes` counts items in steps of 32 bytes; the last takes the rest. */
enum { SIZE_STEP = 32, SIZE_STEPS = 32769 };

struct dump {
	enum dump_kind kind;
	uint64_t cursor;
	uint32_t now;
	struct buf lines;
	uint64_t *sizes; /* of DUMP_SIZES: SIZE_STEPS counts */
};

static void gather_meta(void *arg, const struct item_view *item)
{
	struct dump *d = arg;
	char *to = buf_room(&d->lines, DUMP_LINE);
	size_t n;

	if (to == NULL) {
		return;
	}
	memcpy(to, "key=", 4);
	n = 4 + text_put_uri_key(to + 4, item->key, item->key_len);
	n += (size_t)snprintf(
		to + n, DUMP_LINE - n,
		" exp=%lld la=%u cas=%llu fetch=%s cls=%d size=%u flags=%u \n",
		item->exptime == 0 ? -1LL : (long long)item->exptime,
		item->accessed, (unsigned long long)item->cas,
		item->fetched ? "yes" : "no", CLASS_ITEMS, item->size,
		item->cflags);
	buf_add(&d->lines, n);
}

static bool needs_encoding(const struct item_view *item)
{
	if (item->binkey) {
		return true;
	}
	for (size_t i = 0; i < item->key_len; i++) {
		if ((unsigned char)item->key[i] <= ' ' ||
		    (unsigned char)item->key[i] == 0x7f) {
			return true;
		}
	}
	return false;
}

static void gather_mg(void *arg, const struct item_view *item)
{
	struct dump *d = arg;
	char *to = buf_room(&d->lines, DUMP_LINE);
	size_t n = 3;

	if (to == NULL) {
		return;
	}
	memcpy(to, "mg ", 3);
	if (needs_encoding(item)) {
		n += base64_encode(to + n, item->key, item->key_len);
		memcpy(to + n, " b", 2);
		n += 2;
	} else {
		memcpy(to + n, item->key, item->key_len);
		n += item->key_len;
	}
	memcpy(to + n, "\r\n", 2);
	buf_add(&d->lines, n + 2);
}

static void gather_size(void *arg, const struct item_view *item)
{
	struct dump *d = arg;
	uint32_t step = (item->size + SIZE_STEP - 1) / SIZE_STEP;

	d->sizes[step < SIZE_STEPS ? step : SIZE_STEPS - 1]++;
}

static void put_sizes(struct session *s, const struct dump *d)
{
	for (unsigned i = 0; i < SIZE_STEPS; i++) {
		if (d->sizes[i] > 0) {
			output_printf(s, "STAT %u %llu\r\n", i * SIZE_STEP,
				      (unsigned long long)d->sizes[i]);
		}
	}
}

/* What each kind does with an item, and how its answer ends. */
static const struct {
	void (*gather)(void *arg, const struct item_view *item);
	enum reply end;
} kinds[] = {
	[DUMP_META] = { gather_meta, REPLY_END },
	[DUMP_MG] = { gather_mg, REPLY_EN },
	[DUMP_SIZES] = { gather_size, REPLY_END },
};

bool dump_start(struct session *s, enum dump_kind kind)
{
	struct dump *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		return false;
	}
	if (kind == DUMP_SIZES) {
		d->sizes = calloc(SIZE_STEPS, sizeof(*d->sizes));
		if (d->sizes == NULL) {
			free(d);
			return false;
		}
	}
	d->kind = kind;
	d->now = s->worker->now_s;
	s->dump = d;
	atomic_fetch_add(&s->worker->node->dumps_started, 1);
	atomic_fetch_add(&s->worker->node->dumps_running, 1);
	return true;
}

void dump_free(struct session *s)
{
	buf_release(&s->dump->lines);
	free(s->dump->sizes);
	free(s->dump);
	s->dump = NULL;
	atomic_fetch_sub(&s->worker->node->dumps_running, 1);
}

void dump_continue(struct session *s)
{
	struct dump *d = s->dump;
	bool more = true;

	for (int i = 0; i < DUMP_TURN_SHARDS && more &&
			d->lines.len < DUMP_TURN_BYTES && !d->lines.failed;
	     i++) {
		more = store_scan(s->worker->store, &d->cursor, d->now,
				  kinds[d->kind].gather, d);
	}
	output_prepare(s);
	if (d->lines.len > 0) {
		output_bytes(s, d->lines.data, d->lines.len);
	}
	if (d->lines.failed) {
		output_reply(s, REPLY_NO_MEMORY_STATS);
		s->closing = true;
		more = false;
	} else if (!more) {
		if (d->kind == DUMP_SIZES) {
			put_sizes(s, d);
		}
		output_reply(s, kinds[d->kind].end);
	}
	if (!more) {
		dump_free(s);
		return;
	}
	/* Kept only for a turn: a slow client holds no more than its queue. */
	buf_release(&d->lines);
	output_push(s);
	session_yield(s);
}

struct cachedump {
	struct buf lines;
	uint32_t left;
};

static void gather_cache(void *arg, const struct item_view *item)
{
	struct cachedump *c = arg;
	char *to;
	size_t n;

	/* A key in base64 may hold anything, line ends too. */
	if (item->binkey || c->left == 0 ||
	    c->lines.len > CACHEDUMP_BYTES - DUMP_LINE) {
		return;
	}
	to = buf_room(&c->lines, DUMP_LINE);
	if (to == NULL) {
		return;
	}
	memcpy(to, "ITEM ", 5);
	memcpy(to + 5, item->key, item->key_len);
	n = 5 + (size_t)item->key_len;
	n += (size_t)snprintf(to + n, DUMP_LINE - n, " [%u b; %u s]\r\n",
			      item->value_len, item->exptime);
	buf_add(&c->lines, n);
	c->left--;
}

void dump_cache(struct session *s, uint32_t limit)
{
	struct cachedump c = { .left = limit == 0 ? UINT32_MAX : limit };
	uint64_t cursor = 0;

	while (c.left > 0 && c.lines.len <= CACHEDUMP_BYTES - DUMP_LINE &&
	       !c.lines.failed &&
	       store_scan(s->worker->store, &cursor, s->worker->now_s,
			  gather_cache, &c)) {
		continue;
	}
	output_prepare(s);
	if (c.lines.failed) {
		output_reply(s, REPLY_NO_MEMORY_STATS);
	} else {
		if (c.lines.len > 0) {
			output_bytes(s, c.lines.data, c.lines.len);
		}
		output_reply(s, REPLY_END);
	}
	buf_release(&c.lines);
}
