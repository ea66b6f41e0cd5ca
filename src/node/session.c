/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: bytes in, requests run, replies out.
 *
 * A turn of a session begins in one of the stream's operations and ends in
 * session_end_turn().  In between, process() consumes what has arrived:
 * bytes to swallow, the rest of a value, or lines.  It stops when a request
 * is incomplete, when too much output is unsent, or when the turn's commands
 * are used up and others wait.  What it did not consume is kept.
 *
 * Invariants:
 *  S1 s->in holds exactly the bytes that were received and not consumed,
 *     but while process() runs.
 *  S2 A session that is dead is on no list and is never touched again but
 *     by the message that frees it.
 *  S3 A reservation is in worker->reservation only within one call of
 *     run_value(); across turns it lives in s->pending.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "node/dump.h"
#include "node/handlers.h"
#include "node/node_state.h"
#include "node/session.h"

/* The first byte of a request in the binary protocol. */
enum { BINARY_MAGIC = 0x80, BINARY_HEADER = 24 };

/* Lines that are still incomplete may take this part of the memory limit. */
enum { LINE_SHARE = 8 };

static const struct io_stream_ops session_ops;

/* ---- memory ------------------------------------------------------------ */

static struct budget *session_budget(const struct session *s)
{
	return store_budget(s->worker->node->store);
}

void *session_alloc(struct session *s, size_t bytes)
{
	void *memory = malloc(bytes);

	if (memory != NULL) {
		budget_force(session_budget(s), bytes);
	}
	return memory;
}

void session_dealloc(struct session *s, void *memory, size_t bytes)
{
	if (memory != NULL) {
		free(memory);
		budget_give(session_budget(s), bytes);
	}
}

/* Buffers for long lines, of all sessions together. */
static void count_long(struct session *s, size_t cap, bool more)
{
	_Atomic uint64_t *sum = &s->worker->node->long_line_bytes;

	if (cap > RECV_BUF_SIZE && more) {
		atomic_fetch_add_explicit(sum, cap, memory_order_relaxed);
	} else if (cap > RECV_BUF_SIZE) {
		atomic_fetch_sub_explicit(sum, cap, memory_order_relaxed);
	}
}

static bool too_many_long(const struct session *s, size_t cap)
{
	uint64_t sum = atomic_load_explicit(&s->worker->node->long_line_bytes,
					    memory_order_relaxed);
	uint64_t own = s->in_cap > RECV_BUF_SIZE ? s->in_cap : 0;

	return cap > RECV_BUF_SIZE &&
	       sum - own + cap > budget_limit(session_budget(s)) / LINE_SHARE +
					 2 * RECV_BUF_SIZE;
}

static void in_release(struct session *s)
{
	count_long(s, s->in_cap, false);
	session_dealloc(s, s->in, s->in_cap);
	s->in = NULL;
	s->in_len = 0;
	s->in_cap = 0;
}

/* Makes s->in hold at least `cap` bytes, keeping what is in it. */
static bool in_reserve(struct session *s, size_t cap)
{
	char *bigger;

	if (cap <= s->in_cap) {
		return true;
	}
	if (too_many_long(s, cap)) {
		return false;
	}
	bigger = session_alloc(s, cap);
	if (bigger == NULL) {
		return false;
	}
	if (s->in_len > 0) {
		memcpy(bigger, s->in, s->in_len);
	}
	count_long(s, cap, true);
	count_long(s, s->in_cap, false);
	session_dealloc(s, s->in, s->in_cap);
	s->in = bigger;
	s->in_cap = cap;
	return true;
}

/* Too much to be copied in front of each receive. */
static bool in_is_long(const struct session *s)
{
	return s->in_len > RECV_BUF_SIZE / 2;
}

static void out_of_read_memory(struct session *s)
{
	worker_count(s->worker, read_buf_oom);
	output_reply(s, REPLY_NO_MEMORY_READ);
	s->closing = true;
}

/* A buffer that was made for a long line does not stay for a short rest. */
static void in_trim(struct session *s)
{
	char *smaller;

	if (s->in_cap <= RECV_BUF_SIZE || s->in_len > RECV_BUF_SIZE / 2) {
		return;
	}
	smaller = session_alloc(s, s->in_len);
	if (smaller == NULL) {
		return;
	}
	memcpy(smaller, s->in, s->in_len);
	count_long(s, s->in_cap, false);
	session_dealloc(s, s->in, s->in_cap);
	s->in = smaller;
	s->in_cap = s->in_len;
}

/* Keeps `len` unconsumed bytes at `data`, which may lie in s->in. */
static void in_keep(struct session *s, const char *data, size_t len)
{
	bool inside = s->in != NULL && data >= s->in &&
		      data < s->in + s->in_cap;

	if (len == 0) {
		in_release(s);
		return;
	}
	if (inside) {
		memmove(s->in, data, len);
		s->in_len = len;
		in_trim(s);
		return;
	}
	s->in_len = 0;
	if (!in_reserve(s, len)) {
		in_release(s);
		out_of_read_memory(s);
		return;
	}
	memcpy(s->in, data, len);
	s->in_len = len;
}

/* A long line grows where it is: makes room for its next piece. */
static void in_grow(struct session *s)
{
	if (in_is_long(s) && s->in_cap - s->in_len < RECV_BUF_SIZE &&
	    !in_reserve(s, 2 * (s->in_len + RECV_BUF_SIZE))) {
		in_release(s);
		out_of_read_memory(s);
	}
}

/* ---- life -------------------------------------------------------------- */

struct session *session_new(struct worker *w, int fd)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	s->worker = w;
	s->queue_end = &s->queue;
	list_init(&s->link);
	list_init(&s->held_link);
	s->authenticated = !auth_required(&w->node->auth);
	atomic_init(&s->state, SESSION_READ);
	atomic_init(&s->active_s,
		    store_clock_s(&w->node->clock, io_loop_now_ms(w->loop)));
	if (!io_stream_open(&s->stream, w->loop, fd, &session_ops)) {
		free(s);
		return NULL;
	}
	budget_force(session_budget(s), sizeof(*s));
	lock_take(&w->sessions_lock);
	list_push_tail(&w->sessions, &s->link);
	lock_give(&w->sessions_lock);
	watch_connection(&w->node->watch, fd, NULL);
	return s;
}

static void session_free(struct io_msg *m)
{
	free(list_entry(m, struct session, free_msg));
}

static void drop_long_get(struct session *s)
{
	session_dealloc(s, s->long_get, sizeof(*s->long_get));
	s->long_get = NULL;
}

static void pending_release(struct session *s)
{
	session_dealloc(s, s->pending,
			sizeof(*s->pending) + s->pending->line_len);
	s->pending = NULL;
}

static void session_release(struct session *s)
{
	output_drop(s);
	in_release(s);
	drop_long_get(s);
	if (s->pending != NULL) {
		store_abort(s->worker->store, &s->pending->reservation);
		pending_release(s);
	}
	if (s->dump != NULL) {
		dump_free(s);
	}
	if (s->watcher != NULL) {
		watch_remove(s);
	}
	list_remove(&s->held_link);
}

void session_close(struct session *s, const char *reason)
{
	struct worker *w = s->worker;

	if (s->dead) {
		return;
	}
	s->dead = true;
	diag(DIAG_INFO, "connection %d closed: %s", s->stream.fd, reason);
	watch_connection(&w->node->watch, s->stream.fd, reason);
	ahead_forget_slots(&w->ahead);
	session_release(s);
	lock_take(&w->sessions_lock);
	list_remove(&s->link);
	io_stream_close(&s->stream);
	lock_give(&w->sessions_lock);
	atomic_fetch_sub_explicit(&w->session_count, 1, memory_order_relaxed);
	budget_give(session_budget(s), sizeof(*s));
	s->free_msg.run = session_free;
	io_loop_defer(w->loop, &s->free_msg);
	acceptor_session_closed(&w->node->acceptor);
}

/* ---- values ------------------------------------------------------------ */

static inline void value_finish(struct session *s, const struct request *r,
				struct reservation *res, const char *tail)
{
	struct worker *w = s->worker;

	/* Much may have happened while it was received. */
	w->wrote = w->log != NULL;
	if (w->wrote && !keeping_commits(w->node)) {
		worker_count(w, refused_read_only);
		store_abort(s->worker->store, res);
		session_answer(s, r, REPLY_READ_ONLY);
	} else if (tail[0] == '\r' && tail[1] == '\n') {
		value_done(s, r, res);
	} else {
		value_bad_end(s, r, res);
	}
}

/*
 * Keeps a value whose bytes are not all there: `filled` of them are.  The
 * line is kept beside it and parsed again at the end.
 */
static void value_postpone(struct session *s, const struct request *r,
			   struct reservation *res, const char *line,
			   size_t line_len, uint32_t filled)
{
	struct pending *p = session_alloc(s, sizeof(*p) + line_len);

	if (p == NULL) {
		store_abort(s->worker->store, res);
		goto refuse;
	}
	if (store_hold(s->worker->store, res, filled) != STORE_OK) {
		session_dealloc(s, p, sizeof(*p) + line_len);
		goto refuse;
	}
	p->reservation = *res;
	p->filled = filled;
	p->line_len = line_len;
	memcpy(p->line, line, line_len);
	s->pending = p;
	return;
refuse:
	value_no_memory(s, r);
	s->swallow = (uint64_t)r->value_len - filled + 2;
}

/*
 * Runs a request with a value whose line has just been parsed; `data` is
 * what follows the line.  Returns how much of it was consumed.
 */
static size_t run_value(struct session *s, const struct request *r,
			const char *line, size_t line_len, const char *data,
			size_t len)
{
	struct reservation *res = &s->worker->reservation;
	uint32_t filled;

	if (!value_begin(s, r, res)) {
		s->swallow = (uint64_t)r->value_len + 2;
		return 0;
	}
	filled = len < r->value_len ? (uint32_t)len : r->value_len;
	memcpy(res->value, data, filled);
	if (len >= (size_t)r->value_len + 2) {
		value_finish(s, r, res, data + r->value_len);
		return (size_t)r->value_len + 2;
	}
	value_postpone(s, r, res, line, line_len, filled);
	return filled;
}

/*
 * Many values may have been admitted while the log had room, and come to
 * their ends when it has none.
 */
static bool value_may_end(struct session *s)
{
	struct worker *w = s->worker;

	return w->log == NULL || !keeping_commits(w->node) ||
	       keeping_has_room(s);
}

/*
 * Goes on with a pending value; returns the bytes consumed, 0 if there are
 * too few or its end must wait.
 */
static size_t continue_value(struct session *s, const char *data, size_t len)
{
	struct pending *p = s->pending;
	struct request *r = &s->worker->request;
	struct parsed parsed;
	size_t scanned = 0;
	size_t missing = p->reservation.value_len - p->filled;

	if (missing > 0) {
		size_t n = len < missing ? len : missing;

		memcpy(p->reservation.value + p->filled, data, n);
		p->filled += (uint32_t)n;
		return n;
	}
	if (len < 2 || !value_may_end(s)) {
		return 0;
	}
	check(text_parse(p->line, p->line_len, &scanned, r, &parsed) ==
	      PARSE_OK);
	/* The command may fail, close or watch: have nothing pending then. */
	s->pending = NULL;
	value_finish(s, r, &p->reservation, data);
	session_dealloc(s, p, sizeof(*p) + p->line_len);
	return 2;
}

void session_yield(struct session *s)
{
	if (s->queued >= OUT_PAUSE) {
		s->paused = true;
		worker_count(s->worker, turns_paused);
	} else {
		s->again = true;
		io_stream_again(&s->stream);
	}
}

/* ---- requests ---------------------------------------------------------- */

static void refuse_binary(struct session *s, const char *data, size_t len)
{
	static const char text[] = "The binary protocol is not served here";
	char header[BINARY_HEADER] = { 0 };

	/* "Unknown command" with the opcode and opaque of the request. */
	header[0] = (char)0x81;
	header[1] = len > 1 ? data[1] : 0;
	header[7] = (char)0x81;
	header[11] = (char)(sizeof(text) - 1);
	if (len >= 16) {
		memcpy(header + 12, data + 12, 4);
	}
	output_prepare(s);
	output_bytes(s, header, sizeof(header));
	output_bytes(s, text, sizeof(text) - 1);
	worker_count(s->worker, binary_refused);
	diag(DIAG_INFO, "connection %d: the binary protocol is not served",
	     s->stream.fd);
	s->closing = true;
}

/* Is the request to be put off, because of output or others' turns? */
static bool must_stop(struct session *s)
{
	struct worker *w = s->worker;

	if (s->closing || s->broken || s->dump != NULL) {
		return true;
	}
	if (output_pending(s) >= OUT_PAUSE) {
		output_push(s);
		if (s->queued >= OUT_PAUSE || s->broken) {
			session_yield(s);
			return true;
		}
	}
	if (w->turn_left > 0) {
		return false;
	}
	worker_count(w, conn_yields);
	/* What has become ready since is seen only when the loop looks. */
	if (w->refills_left > 0 && !io_loop_has_ready(w->loop)) {
		w->refills_left--;
		w->turn_left = w->node->settings->reqs_per_turn;
		return false;
	}
	session_yield(s);
	return true;
}

void session_put_off(struct session *s, struct span rest)
{
	s->worker->rest = rest;
	s->worker->put_off = true;
	output_push(s);
	session_yield(s);
}

/* Keeps where a get has stopped; its line begins at `line`. */
static void keep_long_get(struct session *s, const struct request *r,
			  const char *line, size_t line_len)
{
	struct span rest = s->worker->rest;

	if (s->long_get == NULL) {
		s->long_get = session_alloc(s, sizeof(*s->long_get));
	}
	if (s->long_get == NULL) {
		s->broken = true;
		return;
	}
	*s->long_get = (struct long_get){
		.cmd = r->cmd,
		.exptime = r->exptime,
		.line_len = line_len,
		.keys_at = (size_t)(rest.data - line),
		.keys_len = rest.len,
	};
}

/* Runs a request without a value; false if it stopped on the way. */
static bool run_request(struct session *s, const struct request *r,
			const char *line, size_t line_len)
{
	s->worker->put_off = false;
	dispatch(s, r);
	if (s->worker->put_off) {
		keep_long_get(s, r, line, line_len);
		return false;
	}
	return true;
}

static void count_request(struct session *s)
{
	s->worker->turn_left--;
	atomic_store_explicit(&s->active_s, s->worker->now_s,
			      memory_order_relaxed);
}

/* May the request run?  Without a log there is nothing to ask. */
static inline enum admission admit(struct session *s, const struct request *r)
{
	return s->worker->log == NULL ? ADMIT_NOW : keeping_admit(s, r);
}

/*
 * Goes on with a get; its line's length when it is done, else 0.  The touches
 * of a long one may fill the log, so each piece is asked for.
 */
static size_t continue_get(struct session *s, const char *line)
{
	struct request *r = &s->worker->request;
	const struct long_get g = *s->long_get;

	r->cmd = g.cmd;
	r->exptime = g.exptime;
	r->noreply = false;
	r->keys = (struct span){ line + g.keys_at, g.keys_len };
	switch (admit(s, r)) {
	case ADMIT_NOW:
		if (!run_request(s, r, line, g.line_len)) {
			return 0;
		}
		break;
	case ADMIT_LATER:
		return 0;
	case ADMIT_REFUSE:
		output_reply(s, REPLY_READ_ONLY);
		break;
	}
	drop_long_get(s);
	count_request(s);
	return g.line_len;
}

/*
 * Runs a request whose line, of `consumed` bytes, has been parsed.  Returns
 * what was consumed; 0 if it has stopped on the way or may not begin yet.
 */
static size_t run_parsed(struct session *s, const struct request *r,
			 const char *data, size_t len, size_t consumed)
{
	bool has_value = command_table[r->cmd].flags & CF_VALUE;

	switch (admit(s, r)) {
	case ADMIT_NOW:
		break;
	case ADMIT_LATER:
		return 0;
	case ADMIT_REFUSE:
		session_answer(s, r, REPLY_READ_ONLY);
		s->swallow = has_value ? (uint64_t)r->value_len + 2 : 0;
		return consumed;
	}
	if (has_value) {
		return consumed + run_value(s, r, data, consumed,
					    data + consumed, len - consumed);
	}
	return run_request(s, r, data, consumed) ? consumed : 0;
}

/* One line, and with it perhaps a value.  Returns the bytes consumed; 0 when
 * the request is incomplete or has stopped on the way. */
static size_t run_line(struct session *s, const char *data, size_t len)
{
	struct request *r = &s->worker->request;
	struct parsed p;

	if (s->long_get != NULL) {
		return continue_get(s, data);
	}
	switch (text_parse(data, len, &s->scanned, r, &p)) {
	case PARSE_MORE:
		return 0;
	case PARSE_CLOSE:
		s->closing = true;
		return len;
	case PARSE_ERROR:
		session_answer(s, r, p.error);
		s->swallow = p.swallow;
		break;
	case PARSE_OK:
		s->scanned = 0;
		p.consumed = run_parsed(s, r, data, len, p.consumed);
		if (p.consumed == 0) {
			return 0;
		}
		break;
	}
	s->scanned = 0;
	count_request(s);
	return p.consumed;
}

struct store_key session_key(struct session *s, const char *data, size_t len)
{
	struct worker *w = s->worker;

	return ahead_key(&w->ahead, w->node->store, data, len);
}

/* A line runs next; those that follow it have their keys looked at. */
static void look_ahead(struct worker *w, const char *data, size_t len,
		       bool first)
{
	struct ahead *a = &w->ahead;

	/* One request alone has nothing to overlap with. */
	if (a->left == 0 && !first) {
		ahead_pipeline(a, w->node->store, data, len);
	}
	a->left -= a->left > 0;
}

/* Consumes what it can of `len` bytes; returns how many. */
static size_t process(struct session *s, const char *data, size_t len)
{
	struct worker *w = s->worker;
	size_t at = 0;

	while (at < len && !s->broken) {
		size_t n;

		if (s->swallow > 0) {
			n = len - at < s->swallow ? len - at :
						    (size_t)s->swallow;
			s->swallow -= n;
			at += n;
			continue;
		}
		if (s->watcher != NULL) {
			return len; /* a watcher's words are not read */
		}
		if (s->pending != NULL) {
			n = continue_value(s, data + at, len - at);
		} else if (must_stop(s)) {
			break;
		} else if (!s->authenticated) {
			n = auth_input(s, data + at, len - at);
			w->turn_left--;
		} else {
			look_ahead(w, data + at, len - at, at == 0);
			n = run_line(s, data + at, len - at);
		}
		if (n == 0) {
			break;
		}
		at += n;
	}
	return at;
}

static void first_bytes(struct session *s, const char *data, size_t len)
{
	const struct node *n = s->worker->node;
	bool text_only = n->settings->ascii_only || auth_required(&n->auth);

	s->started = true;
	if ((unsigned char)data[0] == BINARY_MAGIC && !text_only) {
		refuse_binary(s, data, len);
	}
}

static void session_input(struct session *s, const char *data, size_t len)
{
	size_t used;

	atomic_store_explicit(&s->state, SESSION_PARSE, memory_order_relaxed);
	if (!s->started) {
		first_bytes(s, data, len);
	}
	if (s->closing) {
		in_release(s);
		return;
	}
	used = process(s, data, len);
	ahead_forget(&s->worker->ahead);
	in_keep(s, data + used, len - used);
	in_grow(s);
}

/* ---- the stream's operations ------------------------------------------- */

static struct session *session_of(struct io_stream *stream)
{
	return (struct session *)(void *)stream;
}

static enum session_state present_state(const struct session *s)
{
	if (s->watcher != NULL) {
		return SESSION_WATCH;
	}
	/* Waiting for room in the log is not being idle either. */
	if (s->queue != NULL || s->waits_for_log) {
		return SESSION_SEND;
	}
	if (s->pending != NULL) {
		return SESSION_VALUE;
	}
	if (s->swallow > 0) {
		return SESSION_SWALLOW;
	}
	return s->closing ? SESSION_CLOSING : SESSION_READ;
}

void session_end_turn(struct session *s)
{
	struct worker *w = s->worker;

	output_push(s);
	if (w->wrote) {
		w->wrote = false;
		keeping_ring(w->node);
	}
	if (watch_has_news(&w->node->watch)) {
		watch_wake(&w->node->watch);
	}
	if (s->dead) {
		return;
	}
	if (s->broken) {
		session_close(s, "error");
		return;
	}
	if (s->queue == NULL &&
	    (s->closing ||
	     (s->ended && !s->again && !s->waits_for_log && s->dump == NULL))) {
		session_close(s, "normal");
		return;
	}
	atomic_store_explicit(&s->state, (uint8_t)present_state(s),
			      memory_order_relaxed);
}

static int session_place(struct io_stream *stream, unsigned slot,
			 struct iovec part[2])
{
	struct session *s = session_of(stream);
	char *buf = worker_slot(s->worker, slot);
	int count = 0;

	if (s->paused || s->closing || s->dump != NULL) {
		return 0;
	}
	if (s->pending != NULL && s->in_len == 0) {
		struct reservation *res = &s->pending->reservation;

		if (res->value_len > s->pending->filled) {
			part[count].iov_base = res->value + s->pending->filled;
			part[count++].iov_len = res->value_len -
						s->pending->filled;
		}
	}
	if (in_is_long(s)) {
		part[0].iov_base = s->in + s->in_len;
		part[0].iov_len = s->in_cap - s->in_len;
		return 1;
	}
	if (s->in_len > 0) {
		memcpy(buf, s->in, s->in_len);
	}
	part[count].iov_base = buf + s->in_len;
	part[count++].iov_len = RECV_BUF_SIZE - s->in_len;
	return count;
}

/* Will what has come begin with a request? */
static bool at_request(const struct session *s)
{
	return s->pending == NULL && s->swallow == 0 && s->long_get == NULL &&
	       s->watcher == NULL && s->authenticated && !in_is_long(s);
}

static void session_arrived(struct io_stream *stream, unsigned slot, size_t n)
{
	struct session *s = session_of(stream);
	struct worker *w = s->worker;

	if (at_request(s)) {
		ahead_arrived(&w->ahead, w->node->store, slot,
			      worker_slot(w, slot), s->in_len + n);
	} else {
		ahead_no_key(&w->ahead, slot);
	}
}

static void session_received(struct io_stream *stream, unsigned slot, size_t n)
{
	struct session *s = session_of(stream);
	struct worker *w = s->worker;

	worker_begin_turn(w);
	ahead_hand_over(&w->ahead, w->node->store, slot);
	counter_add(&w->counters.bytes_read, n);
	if (s->pending != NULL && s->in_len == 0) {
		struct pending *p = s->pending;
		size_t missing = p->reservation.value_len - p->filled;
		size_t direct = n < missing ? n : missing;

		p->filled += (uint32_t)direct;
		n -= direct;
	}
	if (in_is_long(s)) {
		s->in_len += n;
		session_input(s, s->in, s->in_len);
	} else if (n > 0) {
		session_input(s, worker_slot(w, slot), s->in_len + n);
	}
	session_end_turn(s);
}

static void go_on(struct session *s)
{
	if (s->dump != NULL) {
		dump_continue(s);
	}
	if (s->dump == NULL && s->in_len > 0) {
		session_input(s, s->in, s->in_len);
	}
}

static void session_again(struct io_stream *stream)
{
	struct session *s = session_of(stream);

	worker_begin_turn(s->worker);
	s->again = false;
	if (!s->worker->stopping) {
		go_on(s);
	}
	session_end_turn(s);
	if (!s->dead) {
		io_stream_resume(stream);
	}
}

void session_drained(struct session *s)
{
	/* Who had to wait for us was not idle. */
	atomic_store_explicit(&s->active_s, s->worker->now_s,
			      memory_order_relaxed);
	output_drain(s);
	if (s->watcher != NULL && !s->broken) {
		watch_read(s);
	}
	if (s->paused && s->queued < OUT_PAUSE / 2 && !s->worker->stopping) {
		s->paused = false;
		s->waits_for_log = false;
		session_yield(s);
	}
	session_end_turn(s);
}

static void session_sendable(struct io_stream *stream)
{
	struct session *s = session_of(stream);

	worker_begin_turn(s->worker);
	session_drained(s);
}

static void session_ended(struct io_stream *stream, int error)
{
	struct session *s = session_of(stream);

	worker_begin_turn(s->worker);
	if (error != 0) {
		session_close(s, "error");
		return;
	}
	s->ended = true;
	if (s->watcher != NULL) {
		s->closing = true;
	}
	session_end_turn(s);
}

static const struct io_stream_ops session_ops = {
	.place = session_place,
	.arrived = session_arrived,
	.received = session_received,
	.again = session_again,
	.sendable = session_sendable,
	.ended = session_ended,
};
