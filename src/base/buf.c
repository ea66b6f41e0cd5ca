/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Growing bytes: the room doubles, from BUF_MIN on.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"

enum { BUF_MIN = 4096 };

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

char *buf_room(struct buf *b, size_t n)
{
	size_t cap = b->cap < BUF_MIN ? BUF_MIN : b->cap;
	char *bigger;

	if (b->failed) {
		return NULL;
	}
	if (b->cap - b->len >= n) {
		return b->data + b->len;
	}
	while (cap - b->len < n) {
		cap *= 2;
	}
	bigger = realloc(b->data, cap);
	if (bigger == NULL) {
		b->failed = true;
		return NULL;
	}
	b->data = bigger;
	b->cap = cap;
	return b->data + b->len;
}

void buf_add(struct buf *b, size_t n)
{
	check(n <= b->cap - b->len);
	b->len += n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_list again;
	char *to;
	int n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	check(n >= 0);
	to = buf_room(b, (size_t)n + 1);
	if (to != NULL) {
		vsnprintf(to, (size_t)n + 1, format, again);
		buf_add(b, (size_t)n);
	}
	va_end(again);
	va_end(args);
}
