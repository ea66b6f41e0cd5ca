/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stores numbered items, or reads them back and counts what is there:
 *
 *	fill set PORT FIRST COUNT STEP SIZES TTLS
 *	fill get PORT FIRST COUNT STEP SIZES
 *
 * The items are FIRST, FIRST + STEP and so on, COUNT of them; SIZES is as
 * items_init() takes it.  TTLS is a number of seconds (0: for ever), or
 * mixed:LOW-HIGH: odd items live for LOW to HIGH seconds, even ones for ever.
 *
 * One line of JSON goes to standard output.  Exit status: 0 all replies were
 * right (a refused set and a miss are), 1 one was not, 2 it could not be run.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "client.h"

enum { BATCH = 100 };

struct ttls {
	bool mixed;
	unsigned low, high;
};

struct span {
	uint64_t first, count, step;
};

static uint64_t number_parse(const char *text, uint64_t low, uint64_t high)
{
	uint64_t n;

	if (!num_parse_u64(text, strlen(text), &n) || n < low || n > high) {
		errx(2, "%s: a number from %llu to %llu", text,
		     (unsigned long long)low, (unsigned long long)high);
	}
	return n;
}

static void ttls_parse(struct ttls *t, const char *text)
{
	char after;

	memset(t, 0, sizeof(*t));
	if (sscanf(text, "mixed:%u-%u%c", &t->low, &t->high, &after) == 2 &&
	    t->low <= t->high) {
		t->mixed = true;
	} else {
		t->low = (unsigned)number_parse(text, 0, 1000000000);
	}
}

static unsigned ttl_of(const struct ttls *t, uint64_t number)
{
	if (!t->mixed) {
		return t->low;
	}
	return number % 2 == 0 ?
		       0 :
		       t->low + (unsigned)(number / 2 % (t->high - t->low + 1));
}

static void run_set(struct client *c, const struct span *s,
		    const struct ttls *t)
{
	uint64_t stored = 0;

	for (uint64_t done = 0; done < s->count; done += BATCH) {
		uint64_t count = s->count - done < BATCH ? s->count - done :
							   BATCH;

		for (uint64_t i = 0; i < count; i++) {
			uint64_t number = s->first + (done + i) * s->step;

			client_set(c, number, ttl_of(t, number));
		}
		for (uint64_t i = 0; i < count; i++) {
			stored += client_set_reply(c);
		}
	}
	printf("{\"sets\": %llu, \"stored\": %llu}\n",
	       (unsigned long long)s->count, (unsigned long long)stored);
}

static void run_get(struct client *c, const struct span *s)
{
	uint64_t numbers[BATCH];
	bool hit[BATCH];
	uint64_t hits = 0;
	uint64_t bytes = 0;

	for (uint64_t done = 0; done < s->count; done += BATCH) {
		uint64_t count = s->count - done < BATCH ? s->count - done :
							   BATCH;

		for (uint64_t i = 0; i < count; i++) {
			numbers[i] = s->first + (done + i) * s->step;
		}
		client_get(c, numbers, count);
		hits += client_get_reply(c, numbers, count, hit);
		for (uint64_t i = 0; i < count; i++) {
			bytes += !hit[i] ?
					 0 :
					 ITEM_KEY_BYTES + item_size(c->items,
								    numbers[i]);
		}
	}
	printf("{\"gets\": %llu, \"hits\": %llu, \"bytes\": %llu}\n",
	       (unsigned long long)s->count, (unsigned long long)hits,
	       (unsigned long long)bytes);
}

int main(int argc, char **argv)
{
	struct items items;
	struct client c;
	struct ttls ttls = { 0 };
	struct span span;
	bool is_set = argc == 8 && strcmp(argv[1], "set") == 0;

	if (!is_set && (argc != 7 || strcmp(argv[1], "get") != 0)) {
		errx(2, "usage: fill set PORT FIRST COUNT STEP SIZES TTLS | "
			"fill get PORT FIRST COUNT STEP SIZES");
	}
	span.first = number_parse(argv[3], 0, UINT64_MAX / 2);
	span.count = number_parse(argv[4], 1, UINT64_MAX / 2);
	span.step = number_parse(argv[5], 1, 1000);
	items_init(&items, argv[6]);
	client_open(&c, &items, (unsigned)number_parse(argv[2], 1, 65535));
	if (is_set) {
		ttls_parse(&ttls, argv[7]);
		run_set(&c, &span, &ttls);
	} else {
		run_get(&c, &span);
	}
	client_close(&c);
	items_release(&items);
	return 0;
}
