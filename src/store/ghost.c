/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of keys that were evicted lately: lines of fingerprints.
 */
#include <string.h>

#include "store/ghost.h"
#include "store/table.h"

enum {
	LINE_WORDS = 32, /* the first is the position of the next write */
	LINE_BYTES = LINE_WORDS * 2,
	BUCKETS_PER_LINE = 6,
};

/* Bits above the tag's; 0 is an empty place. */
static uint16_t fingerprint(uint64_t hash)
{
	uint16_t f = (uint16_t)(hash >> SLOT_TAG_BITS);

	return f != 0 ? f : 1;
}

static uint16_t *line_of(const struct ghost *g, uint64_t hash)
{
	return g->lines +
	       (size_t)table_home(table_tag(hash), g->nlines) * LINE_WORDS;
}

/*
 * A line of the new size covers a part of an old one, or parts of two; it
 * takes over the one in which it begins.  The rest is forgotten: this runs
 * only when a table has grown by half.
 */
static void resize(struct ghost *g, struct supply *s, uint32_t nlines)
{
	uint16_t *fresh = supply_take(s, (size_t)nlines * LINE_BYTES);

	if (fresh == NULL) {
		return;
	}
	for (uint32_t i = 0; i < nlines && g->nlines > 0; i++) {
		uint32_t old = (uint32_t)((uint64_t)i * g->nlines / nlines);

		memcpy(fresh + (size_t)i * LINE_WORDS,
		       g->lines + (size_t)old * LINE_WORDS, LINE_BYTES);
	}
	ghost_release(g, s);
	g->lines = fresh;
	g->nlines = nlines;
}

void ghost_add(struct ghost *g, struct supply *s, uint64_t hash,
	       uint32_t nbuckets)
{
	uint32_t want = nbuckets / BUCKETS_PER_LINE;
	uint16_t *line;
	unsigned at;

	if (want == 0) {
		want = 1;
	}
	if (want >= g->nlines + (g->nlines + 1) / 2 || want < g->nlines / 2) {
		resize(g, s, want);
	}
	if (g->nlines == 0) {
		return;
	}
	line = line_of(g, hash);
	at = line[0] % (LINE_WORDS - 1);
	line[1 + at] = fingerprint(hash);
	line[0] = (uint16_t)((at + 1) % (LINE_WORDS - 1));
}

bool ghost_take(struct ghost *g, uint64_t hash)
{
	uint16_t f = fingerprint(hash);
	uint16_t *line;

	if (g->nlines == 0) {
		return false;
	}
	line = line_of(g, hash);
	for (unsigned i = 1; i < LINE_WORDS; i++) {
		if (line[i] == f) {
			line[i] = 0;
			return true;
		}
	}
	return false;
}

void ghost_release(struct ghost *g, struct supply *s)
{
	supply_give(s, g->lines, (size_t)g->nlines * LINE_BYTES);
	g->lines = NULL;
	g->nlines = 0;
}

size_t ghost_cost(const struct ghost *g)
{
	return g->nlines == 0 ? 0 : supply_cost((size_t)g->nlines * LINE_BYTES);
}
