/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prefix statistics: a chained hash table under one lock.  It is a debugging
 * aid that operators switch on for a while, so it is small rather than fast.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "node/prefix.h"

enum { EVENTS = 4 };

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

/*
 * A key that was given in base64 may hold line ends, which would write lines
 * of their own into the dump: such prefixes are not counted.
 */
static bool is_text(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c == 0x7f) {
			return false;
		}
	}
	return true;
}

void prefix_record(struct prefix_stats *p, const char *key, size_t len,
		   enum prefix_event event)
{
	const char *end = memchr(key, p->delimiter, len);
	struct prefix *e;

	if (end == NULL || !is_text(key, (size_t)(end - key))) {
		return;
	}
	lock_take(&p->lock);
	e = prefix_find(p, key, (size_t)(end - key));
	if (e != NULL) {
		e->count[event]++;
	}
	lock_give(&p->lock);
}

void prefix_dump(struct prefix_stats *p, struct buf *out)
{
	lock_take(&p->lock);
	for (size_t i = 0; i < PREFIX_BUCKETS; i++) {
		for (const struct prefix *e = p->buckets[i]; e != NULL;
		     e = e->next) {
			buf_printf(out,
				   "PREFIX %.*s get %llu hit %llu set %llu "
				   "del %llu\r\n",
				   (int)e->len, e->name,
				   (unsigned long long)e->count[PREFIX_GET],
				   (unsigned long long)e->count[PREFIX_HIT],
				   (unsigned long long)e->count[PREFIX_SET],
				   (unsigned long long)e->count[PREFIX_DELETE]);
		}
	}
	lock_give(&p->lock);
	buf_printf(out, "END\r\n");
}
