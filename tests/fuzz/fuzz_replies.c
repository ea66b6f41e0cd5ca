/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as replies to the load generator, in both of its dialects.  The
 * first byte chooses dialect and request, the second how the rest is cut; the
 * outcome must be the same as of the whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEYS = 3, KEY_SIZE = 8, VALUE_SIZE = 11 };

struct outcome {
	enum take last;
	size_t used;
	struct answer answer;
	struct faults faults;
	uint64_t missed[KEYS];
};

/* One step on a copy that ends where its memory ends. */
static enum take step(const struct dialect *d, const struct content *c,
		      const struct ask *ask, struct outcome *o,
		      const uint8_t *at, size_t len)
{
	char *copy = malloc(len);
	size_t used = 0;
	enum take t;

	check(copy != NULL);
	memcpy(copy, at, len);
	t = d->take(c, ask, &o->answer, &o->faults, copy, len, &used);
	free(copy);
	check(used <= len);
	check(t != TAKE_MORE || (used == 0 && len < DIALECT_LINE_MAX));
	check((t != TAKE_PART && t != TAKE_DONE) || used > 0);
	check(o->answer.hits + o->answer.misses <= ask->count);
	check(o->answer.next <= ask->count);
	check(!ask->is_set || o->answer.hits + o->answer.misses == 0);
	o->used += used;
	return t;
}

static void give(const struct dialect *d, const struct content *c,
		 const struct ask *ask, const uint8_t *data, size_t size,
		 size_t piece, struct outcome *o)
{
	size_t have = 0;

	memset(o, 0, sizeof(*o));
	o->answer.missed = o->missed;
	o->last = TAKE_MORE;
	while (have < size) {
		have = size - have < piece ? size : have + piece;
		o->last = TAKE_PART;
		while (o->used < have && o->last == TAKE_PART) {
			o->last = step(d, c, ask, o, data + o->used,
				       have - o->used);
		}
		if (o->last == TAKE_DONE || o->last == TAKE_LOST) {
			return;
		}
	}
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	check((a->last == TAKE_DONE) == (b->last == TAKE_DONE));
	check((a->last == TAKE_LOST) == (b->last == TAKE_LOST));
	check(a->answer.hits == b->answer.hits);
	check(a->answer.misses == b->answer.misses);
	check(a->answer.stored == b->answer.stored);
	check(memcmp(a->missed, b->missed, sizeof(a->missed)) == 0);
	check(memcmp(a->faults.count, b->faults.count,
		     sizeof(a->faults.count)) == 0);
	if (a->last == TAKE_DONE) {
		check(a->used == b->used);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct content c; /* made once: it takes its time */
	static const struct size_law law = { .kind = SIZE_FIXED,
					     .max = VALUE_SIZE };
	static const uint64_t keys[KEYS] = { 1, 2, 3 };
	const struct dialect *d;
	struct outcome whole;
	struct outcome cut;
	struct ask ask = { .keys = keys };

	if (size < 3) {
		return 0;
	}
	check(c.letters != NULL || content_init(&c, KEY_SIZE, &law));
	d = data[0] & 1 ? &dialect_meta : &dialect_text;
	ask.is_set = (data[0] & 2) != 0;
	ask.count = !ask.is_set && (data[0] & 4) != 0 ? KEYS : 1;
	give(d, &c, &ask, data + 2, size - 2, size, &whole);
	give(d, &c, &ask, data + 2, size - 2, 1 + data[1] % 64, &cut);
	check_same(&whole, &cut);
	return 0;
}
