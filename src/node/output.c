/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Composing and sending replies.
 *
 * Invariants:
 *  O1 While a session has its turn, output->part[] and the open rest of the
 *     buffer are its replies, behind all that is in its queue.
 *  O2 After output_push() the worker's buffer is empty.
 *  O3 What is in the queue is charged to the memory limit; a loan is charged
 *     by the store until it is returned.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "node/node_state.h"
#include "node/output.h"
#include "node/session.h"

/* What output_prepare() leaves free: any reply line and a small value. */
#define ROOM_MIN (8 * KIB)
enum { PARTS_PER_REPLY = 4 };

bool output_init(struct output *o)
{
	memset(o, 0, sizeof(*o));
	o->buf = malloc(OUTPUT_BUF_SIZE);
	return o->buf != NULL;
}

void output_release(struct output *o)
{
	check(o->count == 0 && o->len == 0);
	free(o->buf);
	o->buf = NULL;
}

static struct output *output_of(const struct session *s)
{
	return &s->worker->out;
}

static void part_release(struct session *s, struct output_part *p)
{
	if (p->loan != NULL) {
		large_return(s->worker->node->store, p->loan);
	}
	free(p->heap);
}

/* Ends the part that is being composed in the buffer. */
static void close_open_part(struct output *o)
{
	if (o->len == o->start) {
		return;
	}
	check(o->count < OUTPUT_PARTS);
	o->part[o->count++] = (struct output_part){
		.data = o->buf + o->start,
		.len = o->len - o->start,
	};
	o->start = o->len;
}

static void output_reset(struct output *o)
{
	o->len = 0;
	o->start = 0;
	o->count = 0;
	o->total = 0;
}

void output_prepare(struct session *s)
{
	struct output *o = output_of(s);

	if (OUTPUT_BUF_SIZE - o->len < ROOM_MIN ||
	    o->count > OUTPUT_PARTS - PARTS_PER_REPLY) {
		output_push(s);
	}
}

char *output_room(struct session *s, size_t n)
{
	struct output *o = output_of(s);

	check(n <= OUTPUT_BUF_SIZE - o->len);
	return o->buf + o->len;
}

void output_add(struct session *s, size_t n)
{
	struct output *o = output_of(s);

	o->len += n;
	o->total += n;
}

/* Adds a part that does not lie in the buffer. */
static void add_part(struct output *o, struct output_part p)
{
	close_open_part(o);
	check(o->count < OUTPUT_PARTS);
	o->part[o->count++] = p;
	o->total += p.len;
}

static void mark_broken_for_memory(struct session *s)
{
	s->broken = true;
	worker_count(s->worker, response_obj_oom);
}

void output_bytes(struct session *s, const char *data, size_t len)
{
	struct output *o = output_of(s);
	char *heap;

	if (len <= OUTPUT_BUF_SIZE - o->len) {
		memcpy(o->buf + o->len, data, len);
		output_add(s, len);
		return;
	}
	heap = malloc(len);
	if (heap == NULL) {
		mark_broken_for_memory(s);
		return;
	}
	memcpy(heap, data, len);
	add_part(o, (struct output_part){ heap, len, NULL, heap });
}

void output_text(struct session *s, const char *text)
{
	output_prepare(s);
	output_bytes(s, text, strlen(text));
}

void output_printf(struct session *s, const char *format, ...)
{
	char line[ROOM_MIN];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	check(n >= 0 && (size_t)n < sizeof(line));
	output_prepare(s);
	output_bytes(s, line, (size_t)n);
}

void output_value(struct session *s, struct store_entry *e)
{
	struct large *loan = entry_borrow(e);

	if (loan != NULL) {
		add_part(output_of(s),
			 (struct output_part){ e->item.value, e->item.value_len,
					       loan, NULL });
	} else {
		output_bytes(s, e->item.value, e->item.value_len);
	}
	output_bytes(s, "\r\n", 2);
}

void output_reply(struct session *s, enum reply code)
{
	size_t len;
	const char *text = reply_text(code, &len);

	output_prepare(s);
	output_bytes(s, text, len);
}

size_t output_pending(const struct session *s)
{
	return s->queued + output_of(s)->total;
}

/* ---- sending ----------------------------------------------------------- */

static void queue_add(struct session *s, struct output_queued *q)
{
	q->next = NULL;
	*s->queue_end = q;
	s->queue_end = &q->next;
	s->queued += q->len;
	atomic_fetch_add_explicit(&s->worker->node->queued_bytes, q->charged,
				  memory_order_relaxed);
}

static void queue_free_head(struct session *s)
{
	struct output_queued *q = s->queue;

	s->queue = q->next;
	if (s->queue == NULL) {
		s->queue_end = &s->queue;
	}
	s->queued -= q->len - q->sent;
	atomic_fetch_sub_explicit(&s->worker->node->queued_bytes, q->charged,
				  memory_order_relaxed);
	if (q->loan != NULL) {
		large_return(s->worker->node->store, q->loan);
	}
	session_dealloc(s, q, q->charged);
}

/* Moves a part, from its byte `skip` on, to the session's queue. */
static bool queue_part(struct session *s, struct output_part *p, size_t skip)
{
	size_t copied = p->loan != NULL ? 0 : p->len - skip;
	size_t charged = sizeof(struct output_queued) + copied;
	struct output_queued *q = session_alloc(s, charged);

	if (q == NULL) {
		return false;
	}
	q->loan = p->loan;
	q->len = p->len - skip;
	q->sent = 0;
	q->charged = charged;
	q->need = s->need;
	if (p->loan != NULL) {
		q->data = p->data + skip;
		p->loan = NULL;
	} else {
		memcpy(q->bytes, p->data + skip, copied);
		q->data = q->bytes;
	}
	queue_add(s, q);
	return true;
}

/*
 * A cap on what all sessions hold unsent: -o read_buf_mem_limit, or half of
 * the memory.
 */
static bool over_response_limit(const struct session *s)
{
	struct node *n = s->worker->node;
	uint64_t limit = n->settings->read_buf_limit;

	if (limit == 0) {
		limit = budget_limit(store_budget(n->store)) / 2;
	}
	return atomic_load_explicit(&n->queued_bytes, memory_order_relaxed) >
	       limit;
}

/* Queues all parts but the first `sent` bytes. */
static void queue_rest(struct session *s, size_t sent)
{
	struct output *o = output_of(s);

	for (int i = 0; i < o->count; i++) {
		struct output_part *p = &o->part[i];

		if (sent >= p->len) {
			sent -= p->len;
		} else {
			if (!s->broken && !queue_part(s, p, sent)) {
				mark_broken_for_memory(s);
			}
			sent = 0;
		}
		part_release(s, p);
	}
	output_reset(o);
	if (s->queue != NULL && over_response_limit(s)) {
		mark_broken_for_memory(s);
	}
}

static size_t send_parts(struct session *s)
{
	struct output *o = output_of(s);
	struct iovec iov[OUTPUT_PARTS];
	long sent;

	for (int i = 0; i < o->count; i++) {
		iov[i].iov_base = (void *)(uintptr_t)o->part[i].data;
		iov[i].iov_len = o->part[i].len;
	}
	sent = io_send(&s->stream, iov, o->count);
	if (sent < 0) {
		s->broken = true;
		return 0;
	}
	counter_add(&s->worker->counters.bytes_written, (uint64_t)sent);
	return (size_t)sent;
}

/* What depends on `lsn` waits for the gate, if that will ever move. */
static void hold(struct session *s, uint64_t lsn)
{
	struct worker *w = s->worker;

	worker_hold(w, s);
	keeping_ring(w->node);
	if (!keeping_commits(w->node)) {
		s->broken = true;
	}
	if (gate_passes_by_now(w->gate, lsn)) {
		worker_wake_held(w);
	}
}

void output_push(struct session *s)
{
	struct output *o = output_of(s);
	size_t sent = 0;

	close_open_part(o);
	if (o->count == 0) {
		/* What nobody was told of, the next reply tells. */
		output_reset(o);
		return;
	}
	if (!gate_passes(s->worker->gate, s->need)) {
		hold(s, s->need);
	} else if (s->queue == NULL && !s->broken) {
		sent = send_parts(s);
	}
	queue_rest(s, sent);
	s->need = 0;
}

static void drain_sent(struct session *s, size_t sent)
{
	while (s->queue != NULL) {
		struct output_queued *q = s->queue;
		size_t left = q->len - q->sent;

		if (sent < left) {
			q->sent += sent;
			s->queued -= sent;
			return;
		}
		sent -= left;
		queue_free_head(s);
	}
}

/* The front of the queue that the gate lets pass; its bytes in *offered. */
static int sendable_parts(const struct session *s, struct iovec *iov,
			  size_t *offered)
{
	int count = 0;

	*offered = 0;
	for (struct output_queued *q = s->queue;
	     q != NULL && count < OUTPUT_PARTS &&
	     gate_passes(s->worker->gate, q->need);
	     q = q->next) {
		iov[count].iov_base = (void *)(uintptr_t)(q->data + q->sent);
		iov[count].iov_len = q->len - q->sent;
		*offered += iov[count++].iov_len;
	}
	return count;
}

void output_drain(struct session *s)
{
	while (s->queue != NULL && !s->broken) {
		struct iovec iov[OUTPUT_PARTS];
		size_t offered;
		int count = sendable_parts(s, iov, &offered);
		long sent;

		if (count == 0) {
			hold(s, s->queue->need);
			return;
		}
		sent = io_send(&s->stream, iov, count);
		if (sent < 0) {
			s->broken = true;
			return;
		}
		counter_add(&s->worker->counters.bytes_written, (uint64_t)sent);
		drain_sent(s, (size_t)sent);
		if ((size_t)sent < offered) {
			return;
		}
	}
}

void output_drop(struct session *s)
{
	struct output *o = output_of(s);

	close_open_part(o);
	for (int i = 0; i < o->count; i++) {
		part_release(s, &o->part[i]);
	}
	output_reset(o);
	while (s->queue != NULL) {
		queue_free_head(s);
	}
}
