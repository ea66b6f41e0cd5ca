/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The way out of a session.
 *
 * Replies are composed into the worker's buffer, which serves whichever
 * session has its turn, so that an idle session holds nothing.  Values that
 * are too big to copy are lent by the store and sent from where they lie.
 * output_push(), at the end of a turn, gives everything to the socket in one
 * call; what the socket does not take, or what must wait for the gate, moves
 * to the session's own queue, charged to the memory limit.
 *
 * If memory for the queue cannot be had, the session is marked broken: the
 * order of its replies can no longer be kept, so it will be closed.
 *
 * Only output_push() and output_prepare() touch the socket; the others may be
 * called with a store entry open.
 */
#ifndef DOZO_NODE_OUTPUT_H
#define DOZO_NODE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proto/reply.h"

struct large;
struct session;
struct store_entry;
struct worker;

enum { OUTPUT_PARTS = 64 };
#define OUTPUT_BUF_SIZE (64UL * 1024UL)

/* One piece of output in order: buffer bytes, a loan, or heap bytes. */
struct output_part {
	const char *data;
	size_t len;
	struct large *loan; /* to be returned when sent */
	char *heap;         /* to be freed when sent */
};

struct output {
	char *buf;    /* OUTPUT_BUF_SIZE */
	size_t len;   /* bytes composed */
	size_t start; /* from where they are not yet in a part */
	int count;
	size_t total; /* bytes in all parts and the open rest */
	struct output_part part[OUTPUT_PARTS];
};

/* What a session could not send yet. */
struct output_queued {
	struct output_queued *next;
	struct large *loan;
	const char *data;
	size_t len;
	size_t sent;
	size_t charged;
	uint64_t need; /* leaves when the gate has passed this LSN */
	char bytes[];
};

bool output_init(struct output *o);
void output_release(struct output *o);

/*
 * Makes room for a reply of a few KiB and one value, sending if it must.
 * To be called before each reply that is composed.
 */
void output_prepare(struct session *s);

/* Room for `n` bytes (n <= 8 KiB after output_prepare()); then add. */
char *output_room(struct session *s, size_t n);
void output_add(struct session *s, size_t n);

/* Copies any number of bytes, to the heap if the buffer is full. */
void output_bytes(struct session *s, const char *data, size_t len);
void output_text(struct session *s, const char *text);
void output_printf(struct session *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An open entry's value with CR LF: copied, or lent by the store. */
void output_value(struct session *s, struct store_entry *e);

/* A short reply. */
void output_reply(struct session *s, enum reply code);

/* Bytes that the session has composed and not yet sent. */
size_t output_pending(const struct session *s);

/* Sends or queues what has been composed. */
void output_push(struct session *s);

/*
 * Sends from the queue as far as the socket takes it and the gate allows.
 */
void output_drain(struct session *s);

/* Drops everything unsent. */
void output_drop(struct session *s);

#endif
