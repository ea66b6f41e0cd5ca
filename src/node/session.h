/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session: one client connection and the request it is in the middle of.
 *
 * A session that is idle is this struct and nothing else: it has no buffer
 * of its own.  Bytes are kept (`in`) only while a request is incomplete or
 * waits for its turn; a value that is being received has a `pending`.
 *
 * Thread rule: its worker's thread; `state` and `active_s` are read by
 * `stats conns` from any thread under the worker's sessions_lock.
 */
#ifndef DOZO_NODE_SESSION_H
#define DOZO_NODE_SESSION_H

#include <stdatomic.h>

#include "io/loop.h"
#include "node/output.h"
#include "node/worker.h"
#include "proto/text.h"

struct dump;
struct watcher;

/* What `stats conns` shows; the names are memcached's. */
enum session_state {
	SESSION_READ,
	SESSION_PARSE,
	SESSION_VALUE,
	SESSION_SWALLOW,
	SESSION_SEND,
	SESSION_WATCH,
	SESSION_CLOSING,
};

/* A value that did not arrive at once, and the line that announced it. */
struct pending {
	struct reservation reservation;
	uint32_t filled; /* bytes of the value that are there */
	size_t line_len;
	char line[];
};

/*
 * A get that has answered some of its keys, at the start of what is kept: its
 * line is not parsed again for each piece.
 */
struct long_get {
	enum command cmd;
	int32_t exptime;
	size_t line_len;
	size_t keys_at; /* in the line: keys that are not answered yet */
	size_t keys_len;
};

struct session {
	struct io_stream stream; /* first: the loop gives it back */
	struct worker *worker;
	struct list link;      /* worker->sessions */
	struct list held_link; /* worker->held */
	struct output_queued *queue;
	struct output_queued **queue_end;
	size_t queued; /* bytes in the queue */
	char *in;      /* bytes that are not consumed yet */
	size_t in_len;
	size_t in_cap;
	size_t scanned; /* of them known to hold no newline */
	struct long_get *long_get;
	uint64_t swallow;
	uint64_t need; /* the LSN that the next bytes of output depend on */
	struct pending *pending;
	struct dump *dump;
	struct watcher *watcher;
	struct io_msg free_msg;
	_Atomic uint32_t active_s; /* store time of the last command */
	_Atomic uint8_t state;
	bool started;       /* its first byte has been seen */
	bool authenticated; /* or nothing to authenticate against */
	bool closing;       /* closes when its output is sent */
	bool broken;        /* closes now */
	bool dead;          /* closed; memory goes at the end of the turn */
	bool again;         /* has asked for another turn */
	bool paused;        /* does not receive: too much unsent */
	bool ended;         /* the peer sends no more */
	bool waits_for_log; /* its next request waits for room in the log */
};

/* Adopts a connected descriptor; NULL with errno: no memory or refused by
 * the loop, and the descriptor is still the caller's. */
struct session *session_new(struct worker *w, int fd);

/* Ends it now, with what memcached calls the reason, for diagnostics. */
void session_close(struct session *s, const char *reason);

/* Ends a turn that began outside the stream's own operations: sends what was
 * composed, closes what is to be closed. */
void session_end_turn(struct session *s);

/* A get stops here: `rest` are its keys that are not answered yet. */
void session_put_off(struct session *s, struct span rest);

/* Its queue has become shorter: goes on with what waited for that. */
void session_drained(struct session *s);

/* Puts off the rest of the session's work: until its output has gone, if
 * there is much, else behind the sessions that wait for a turn. */
void session_yield(struct session *s);

/* The reply being composed depends on this LSN (CONSISTENCY L4). */
static inline void session_depends(struct session *s, uint64_t lsn)
{
	if (lsn > s->need) {
		s->need = lsn;
	}
}

/* A key of a request, hashed; see node/ahead.h. */
struct store_key session_key(struct session *s, const char *data, size_t len);

/* Answers a request that has a noreply word: silent if it was given. */
static inline void session_answer(struct session *s, const struct request *r,
				  enum reply code)
{
	if (!r->noreply) {
		output_reply(s, code);
	}
}

/* Connection memory: charged to the node's memory limit. */
void *session_alloc(struct session *s, size_t bytes);
void session_dealloc(struct session *s, void *memory, size_t bytes);

#endif
