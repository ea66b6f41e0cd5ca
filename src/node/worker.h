/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker: one thread, its loop, its sessions, and the buffers that its
 * sessions share because only one of them has its turn at a time.
 *
 * Thread rule: all fields belong to the worker's thread, but for those that
 * say otherwise.
 */
#ifndef DOZO_NODE_WORKER_H
#define DOZO_NODE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/counter.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/lock.h"
#include "io/loop.h"
#include "log/gate.h"
#include "node/ahead.h"
#include "node/output.h"
#include "proto/request.h"
#include "store/store.h"

struct node;
struct session;

struct worker_counters {
#define COUNTER(name) counter name;
#include "node/counters.def"
#undef COUNTER
};

struct worker {
	struct node *node;
	unsigned id;
	char name[16];
	pthread_t thread;
	bool started;
	struct io_loop *loop;
	struct store_ctx *store;
	const struct gate *gate;
	struct log *log; /* the store's; NULL: nothing is kept */

	/* Any thread reads the counters. */
	struct worker_counters counters;

	/*
	 * The list may be walked by other threads under the lock, and a
	 * session's descriptor is closed only under it.
	 */
	struct lock sessions_lock;
	struct list sessions;
	_Atomic uint32_t session_count;

	/* Sessions whose replies wait at the gate, or which wait for room in
	 * the log.  `holds` is the word left for who opens either. */
	struct list held;
	_Atomic bool holds;
	_Atomic bool gate_posted; /* gate_msg is on its way */
	bool wrote;               /* something was logged in this turn */
	uint32_t now_s;           /* the store's time in this turn */
	uint32_t turn_left;       /* commands that the turn may still run */
	uint32_t refills_left; /* how often it may have more if nobody waits */
	bool put_off;          /* the command stopped on the way, at `rest` */
	struct span rest;
	bool stopping;
	struct io_timer stop_timer; /* looks after those that are held */
	uint32_t stop_waited_ms;
	struct io_timer idle_timer;
	struct io_msg stop_msg;
	struct io_msg gate_msg;

	struct output out;
	struct request request;
	struct reservation reservation;
	char *recv_buf; /* IO_BATCH times RECV_BUF_SIZE, see worker_slot() */
	struct ahead ahead;
};

#define worker_count(worker, name) counter_add(&(worker)->counters.name, 1)

/* 0 or an errno value. */
int worker_init(struct worker *w, struct node *n, unsigned id);
void worker_release(struct worker *w);

/* 0 or an errno value. */
int worker_start(struct worker *w);

/* Any thread: ends its sessions and then its thread; worker_join() waits. */
void worker_stop(struct worker *w);
void worker_join(struct worker *w);

/*
 * Any thread: hands a connection over.  False when there is no memory; the
 * descriptor is then still the caller's.
 */
bool worker_take(struct worker *w, int fd);

/* Reads the time for a turn; called first in every turn of a session. */
void worker_begin_turn(struct worker *w);

/*
 * Puts a session on `held`.  The caller then looks once more whether it need
 * wait at all, and if not, calls worker_wake_held() itself.
 */
void worker_hold(struct worker *w, struct session *s);

/* Any thread: the gate has moved, or the log has room. */
void worker_wake_held(struct worker *w);

/* The buffer of a receive, by its slot. */
static inline char *worker_slot(const struct worker *w, unsigned slot)
{
	return w->recv_buf + slot * RECV_BUF_SIZE;
}

/* The present command is a long one: others have their turn after it. */
static inline void worker_spend_turn(struct worker *w)
{
	w->turn_left = 1;
	w->refills_left = 0;
}

#endif
