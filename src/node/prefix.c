/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefix statistics: a chained hash table under one lock.  It is a debugging
 * aid that operators switch on for a while, so it is small rather than fast.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "node/prefix.h"

enum { EVENTS = 4 };

/* "PREFIX  get  hit  set  del \r\n" with four u64 beside the prefix. */
enum { DUMP_LINE = 128 };

struct prefix {
	struct prefix *next;
	uint64_t count[EVENTS];
	size_t len;
	char name[];
};

bool prefix_init(struct prefix_stats *p, char delimiter, bool on, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	p->delimiter = delimiter;
	p->seed = seed;
	p->buckets = calloc(PREFIX_BUCKETS, sizeof(struct prefix *));
	atomic_init(&p->on, on);
	return p->buckets != NULL;
}

static void free_all(struct prefix_stats *p)
{
	for (size_t i = 0; i < PREFIX_BUCKETS; i++) {
		while (p->buckets[i] != NULL) {
			struct prefix *gone = p->buckets[i];

			p->buckets[i] = gone->next;
			free(gone);
		}
	}
	p->count = 0;
}

void prefix_release(struct prefix_stats *p)
{
	if (p->buckets != NULL) {
		free_all(p);
	}
	free(p->buckets);
	p->buckets = NULL;
}

void prefix_clear(struct prefix_stats *p)
{
	lock_take(&p->lock);
	free_all(p);
	lock_give(&p->lock);
}

/* Finds or adds; NULL when the table is full or memory is out. */
static struct prefix *prefix_find(struct prefix_stats *p, const char *name,
				  size_t len)
{
	size_t bucket = hash_bytes(name, len, p->seed) % PREFIX_BUCKETS;
	struct prefix *e;

	for (e = p->buckets[bucket]; e != NULL; e = e->next) {
		if (e->len == len && memcmp(e->name, name, len) == 0) {
			return e;
		}
	}
	if (p->count == PREFIXES_MAX) {
		return NULL;
	}
	e = calloc(1, sizeof(*e) + len);
	if (e == NULL) {
		return NULL;
	}
	e->len = len;
	memcpy(e->name, name, len);
	e->next = p->buckets[bucket];
	p->buckets[bucket] = e;
	p->count++;
	return e;
}

void prefix_record(struct prefix_stats *p, const char *key, size_t len,
		   enum prefix_event event)
{
	const char *end = memchr(key, p->delimiter, len);
	struct prefix *e;

	if (end == NULL) {
		return;
	}
	lock_take(&p->lock);
	e = prefix_find(p, key, (size_t)(end - key));
	if (e != NULL) {
		e->count[event]++;
	}
	lock_give(&p->lock);
}

static size_t dump_size(const struct prefix_stats *p)
{
	size_t size = sizeof("END\r\n");

	for (size_t i = 0; i < PREFIX_BUCKETS; i++) {
		for (const struct prefix *e = p->buckets[i]; e != NULL;
		     e = e->next) {
			size += e->len + DUMP_LINE;
		}
	}
	return size;
}

static size_t dump_line(char *to, const struct prefix *e)
{
	size_t n = 0;
	int tail;

	memcpy(to, "PREFIX ", 7);
	n += 7;
	memcpy(to + n, e->name, e->len);
	n += e->len;
	tail = snprintf(to + n, DUMP_LINE - 7,
			" get %llu hit %llu set %llu del %llu\r\n",
			(unsigned long long)e->count[PREFIX_GET],
			(unsigned long long)e->count[PREFIX_HIT],
			(unsigned long long)e->count[PREFIX_SET],
			(unsigned long long)e->count[PREFIX_DELETE]);
	check(tail > 0 && tail < DUMP_LINE - 7);
	return n + (size_t)tail;
}

char *prefix_dump(struct prefix_stats *p, size_t *len)
{
	char *text;
	size_t n = 0;

	lock_take(&p->lock);
	text = malloc(dump_size(p));
	if (text != NULL) {
		for (size_t i = 0; i < PREFIX_BUCKETS; i++) {
			for (const struct prefix *e = p->buckets[i]; e != NULL;
			     e = e->next) {
				n += dump_line(text + n, e);
			}
		}
		memcpy(text + n, "END\r\n", 5);
		*len = n + 5;
	}
	lock_give(&p->lock);
	return text;
}
