/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cursor over the words of a line.  Only spaces separate words; every
 * other byte, NUL included, is part of one.  Inside the module.
 */
#ifndef DOZO_PROTO_WORDS_H
#define DOZO_PROTO_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "proto/request.h"

struct words {
	const char *at;
	const char *end;
};

static inline bool words_skip_spaces(struct words *w)
{
	while (w->at < w->end && *w->at == ' ') {
		w->at++;
	}
	return w->at < w->end;
}

/* The next word, expected to be short; false behind the last. */
static inline bool words_next(struct words *w, struct span *word)
{
	const char *start;

	if (!words_skip_spaces(w)) {
		return false;
	}
	start = w->at;
	do {
		w->at++;
	} while (w->at < w->end && *w->at != ' ');
	word->data = start;
	word->len = (size_t)(w->at - start);
	return true;
}

/* The same for words that are keys: several bytes are looked at at once. */
static inline bool words_next_key(struct words *w, struct span *word)
{
	const char *start;
	const char *space;

	if (!words_skip_spaces(w)) {
		return false;
	}
	start = w->at;
	space = memchr(start, ' ', (size_t)(w->end - start));
	w->at = space != NULL ? space : w->end;
	word->data = start;
	word->len = (size_t)(w->at - start);
	return true;
}

#endif
