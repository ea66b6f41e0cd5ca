/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replays a trace as a look-aside cache: get; on a miss, set.
 *
 *	replay PORT FILE TENANTS SIZES
 *	replay footprint FILE TENANTS SIZES
 *
 * FILE holds the ids asked for, one after the other, as 64-bit numbers in
 * this machine's order.  Each stands for one key of each of TENANTS tenants;
 * they are asked for together in one get, and those that are missing are set
 * then.  Requests are sent in windows of up to WINDOW gets, the sets of a
 * window before the gets of the next; a window ends before an id that is in
 * it already, so each get sees the sets of all earlier gets of its key, as
 * if one request had waited for the other.
 *
 * `footprint` only prints the number of requests and of distinct keys, and
 * the bytes of keys and values of the latter.
 *
 * One line of JSON goes to standard output.  Exit status: 0 all replies were
 * right (a refused set is counted), 1 one was not, 2 it could not be run.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "client.h"

enum { WINDOW = 16, TENANTS_LIMIT = 100 };

struct trace {
	uint64_t *ids;
	size_t count;
	unsigned tenants;
};

struct window {
	size_t count; /* requests in it */
	uint64_t ids[WINDOW];
	uint64_t keys[WINDOW][TENANTS_LIMIT];
};

struct counts {
	uint64_t hits, misses, refused;
};

/* The sets that the window before asked for. */
struct sets {
	size_t count;
	uint64_t keys[WINDOW * TENANTS_LIMIT];
};

static uint64_t number_parse(const char *text, uint64_t high)
{
	uint64_t n;

	if (!num_parse_u64(text, strlen(text), &n) || n < 1 || n > high) {
		errx(2, "%s: a number from 1 to %llu", text,
		     (unsigned long long)high);
	}
	return n;
}

static void trace_read(struct trace *t, const char *path)
{
	FILE *f = fopen(path, "rb");
	long len;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0 ||
	    fseek(f, 0, SEEK_SET) != 0) {
		err(2, "%s", path);
	}
	t->count = (size_t)len / sizeof(*t->ids);
	t->ids = malloc((size_t)len + 1);
	if (t->ids == NULL || t->count == 0 ||
	    fread(t->ids, sizeof(*t->ids), t->count, f) != t->count) {
		errx(2, "%s: no ids", path);
	}
	fclose(f);
}

/* The number of the item that tenant `n` keeps under this id. */
static uint64_t key_of(uint64_t id, unsigned n)
{
	return id * TENANTS_LIMIT + n;
}

static bool window_holds(const struct window *w, uint64_t id)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->ids[i] == id) {
			return true;
		}
	}
	return false;
}

/* Takes requests from `at` on; the number taken. */
static size_t window_take(struct window *w, const struct trace *t, size_t at)
{
	w->count = 0;
	while (w->count < WINDOW && at + w->count < t->count) {
		uint64_t id = t->ids[at + w->count];

		if (window_holds(w, id)) {
			break;
		}
		for (unsigned n = 0; n < t->tenants; n++) {
			w->keys[w->count][n] = key_of(id, n);
		}
		w->ids[w->count++] = id;
	}
	return w->count;
}

static void window_run(struct client *c, const struct trace *t,
		       const struct window *w, struct sets *sets,
		       struct counts *counts)
{
	bool hit[TENANTS_LIMIT];

	for (size_t i = 0; i < sets->count; i++) {
		client_set(c, sets->keys[i], 0);
	}
	for (size_t i = 0; i < w->count; i++) {
		client_get(c, w->keys[i], t->tenants);
	}
	for (size_t i = 0; i < sets->count; i++) {
		counts->refused += !client_set_reply(c);
	}
	sets->count = 0;
	for (size_t i = 0; i < w->count; i++) {
		size_t hits = client_get_reply(c, w->keys[i], t->tenants, hit);

		counts->hits += hits;
		counts->misses += t->tenants - hits;
		for (unsigned n = 0; n < t->tenants; n++) {
			if (!hit[n]) {
				sets->keys[sets->count++] = w->keys[i][n];
			}
		}
	}
}

static void replay(const struct trace *t, struct items *items, unsigned port)
{
	static struct window w;
	static struct sets sets;
	struct counts counts = { 0 };
	struct client c;
	size_t at = 0;

	client_open(&c, items, port);
	while (at < t->count) {
		at += window_take(&w, t, at);
		window_run(&c, t, &w, &sets, &counts);
	}
	client_close(&c);
	printf("{\"gets\": %llu, \"hits\": %llu, \"misses\": %llu, "
	       "\"refused\": %llu}\n",
	       (unsigned long long)(counts.hits + counts.misses),
	       (unsigned long long)counts.hits,
	       (unsigned long long)counts.misses,
	       (unsigned long long)counts.refused);
}

static int id_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void footprint(struct trace *t, const struct items *items)
{
	uint64_t distinct = 0;
	uint64_t bytes = 0;

	qsort(t->ids, t->count, sizeof(*t->ids), id_compare);
	for (size_t i = 0; i < t->count; i++) {
		if (i > 0 && t->ids[i] == t->ids[i - 1]) {
			continue;
		}
		distinct++;
		for (unsigned n = 0; n < t->tenants; n++) {
			bytes += ITEM_KEY_BYTES +
				 item_size(items, key_of(t->ids[i], n));
		}
	}
	printf("{\"requests\": %zu, \"distinct\": %llu, \"bytes\": %llu}\n",
	       t->count, (unsigned long long)(distinct * t->tenants),
	       (unsigned long long)bytes);
}

int main(int argc, char **argv)
{
	struct items items;
	struct trace t;

	if (argc != 5) {
		errx(2, "usage: replay PORT|footprint FILE TENANTS SIZES");
	}
	trace_read(&t, argv[2]);
	t.tenants = (unsigned)number_parse(argv[3], TENANTS_LIMIT);
	items_init(&items, argv[4]);
	if (strcmp(argv[1], "footprint") == 0) {
		footprint(&t, &items);
	} else {
		replay(&t, &items, (unsigned)number_parse(argv[1], 65535));
	}
	items_release(&items);
	free(t.ids);
	return 0;
}
