/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that grow on the heap.  When memory runs out the buffer keeps what it
 * has and says so (`failed`), so that a writer need not look after each
 * piece, only at the end.
 *
 * Zeroed is empty.  Ownership: the holder's; buf_release() gives it back.
 */
#ifndef DOZO_BASE_BUF_H
#define DOZO_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};

void buf_release(struct buf *b);

/* Room for `n` bytes behind what is there; NULL when memory ran out. */
char *buf_room(struct buf *b, size_t n);

/* `n` bytes have been written to the room. */
void buf_add(struct buf *b, size_t n);

/* Formats; nothing is added when memory ran out. */
void buf_printf(struct buf *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
