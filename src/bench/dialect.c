/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the dialects share: lines, refusals, and items that are compared with
 * the keys that were asked for.
 */
#include <string.h>

#include "bench/dialect.h"

const struct dialect *dialect_find(const char *name)
{
	static const struct dialect *const all[] = { &dialect_text,
						     &dialect_meta };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i]->name, name) == 0) {
			return all[i];
		}
	}
	return NULL;
}

bool dialect_line(const char *p, size_t len, size_t *line_len)
{
	size_t limit = len < DIALECT_LINE_MAX ? len : DIALECT_LINE_MAX;
	const char *newline = memchr(p, '\n', limit);

	*line_len = 0;
	if (newline == NULL) {
		return len < DIALECT_LINE_MAX;
	}
	if (newline == p || newline[-1] != '\r') {
		return false;
	}
	*line_len = (size_t)(newline - p) + 1;
	return true;
}

static bool starts_with(const char *line, size_t len, const char *head)
{
	size_t head_len = strlen(head);

	return len >= head_len && memcmp(line, head, head_len) == 0;
}

bool dialect_is_refusal(const char *line, size_t line_len)
{
	return starts_with(line, line_len, "ERROR") ||
	       starts_with(line, line_len, "CLIENT_ERROR ") ||
	       starts_with(line, line_len, "SERVER_ERROR");
}

static void miss(const struct ask *ask, struct answer *a, uint32_t i)
{
	if (a->missed != NULL) {
		a->missed[a->misses] = ask->keys[i];
	}
	a->misses++;
}

void dialect_rest_missed(const struct ask *ask, struct answer *a)
{
	while (a->next < ask->count) {
		miss(ask, a, a->next);
		a->next++;
	}
}

/* The place of a key among those that can still come; count if it is none. */
static uint32_t find_key(const struct content *c, const struct ask *ask,
			 const struct answer *a, const char *key,
			 size_t key_len)
{
	char right[256];
	uint32_t i = a->next;

	if (a->unchecked) {
		return i;
	}
	if (key_len != c->key_size) {
		return ask->count;
	}
	for (; i < ask->count; i++) {
		content_key(c, ask->keys[i], right);
		if (memcmp(key, right, key_len) == 0) {
			break;
		}
	}
	return i;
}

void dialect_item(const struct content *c, const struct ask *ask,
		  struct answer *a, struct faults *f, const char *line,
		  const char *key, size_t key_len, uint64_t size)
{
	uint32_t i = find_key(c, ask, a, key, key_len);

	a->in_value = true;
	a->compared = false;
	a->size = size;
	a->at = 0;
	if (i >= ask->count) {
		faults_note(f, FAULT_WRONG_KEY, line, DIALECT_LINE_MAX);
		return;
	}
	while (a->next < i) {
		miss(ask, a, a->next);
		a->next++;
	}
	a->next++;
	a->hits++;
	a->number = ask->keys[i];
	if (a->unchecked) {
		return;
	}
	if (size != content_size(c, a->number)) {
		faults_note(f, FAULT_WRONG_LENGTH, line, DIALECT_LINE_MAX);
		return;
	}
	a->compared = true;
}

enum take dialect_value(const struct content *c, struct answer *a,
			struct faults *f, const char *p, size_t len,
			size_t *used)
{
	size_t part = 0;

	if (a->at < a->size) {
		part = a->size - a->at < len ? (size_t)(a->size - a->at) : len;
		if (a->compared &&
		    !content_matches(c, a->number, (uint32_t)a->size, a->at, p,
				     part)) {
			a->compared = false;
			faults_note(f, FAULT_UNKNOWN_VALUE, p, part);
		}
		a->at += part;
	}
	while (part < len && a->at < a->size + 2) {
		if (p[part] != "\r\n"[a->at - a->size]) {
			*used = part;
			return TAKE_LOST;
		}
		part++;
		a->at++;
	}
	*used = part;
	if (a->at < a->size + 2) {
		return TAKE_PART;
	}
	a->in_value = false;
	return TAKE_DONE;
}
