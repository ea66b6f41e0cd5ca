/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers: start, hand-over of connections, stop.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "node/node_state.h"
#include "node/session.h"
#include "node/worker.h"

enum {
	IDLE_CHECK_MS = 1000,
	REFILLS_PER_TURN = 8,
	/* A stop waits so long for the sync that runs; a disk that needs more
	 * than half a minute has been given up by most drivers. */
	STOP_HELD_MS = 60000,
	STOP_LOOK_MS = 1000,
};

/* A connection on its way from the acceptor to its worker. */
struct handover {
	struct io_msg msg;
	struct worker *worker;
	int fd;
};

void worker_begin_turn(struct worker *w)
{
	w->now_s = store_clock_s(&w->node->clock, io_loop_now_ms(w->loop));
	w->turn_left = w->node->settings->reqs_per_turn;
	w->refills_left = REFILLS_PER_TURN;
}

static void refuse(struct worker *w, int fd, const char *why)
{
	diag(DIAG_WARN, "connection %d closed: %s", fd, why);
	close(fd);
	acceptor_session_closed(&w->node->acceptor);
}

static void handover_run(struct io_msg *m)
{
	struct handover *h = list_entry(m, struct handover, msg);
	struct worker *w = h->worker;
	int fd = h->fd;

	free(h);
	if (w->stopping) {
		refuse(w, fd, "the server is stopping");
		return;
	}
	if (session_new(w, fd) == NULL) {
		refuse(w, fd, strerror(errno));
		return;
	}
	atomic_fetch_add_explicit(&w->session_count, 1, memory_order_relaxed);
	diag(DIAG_INFO, "connection %d opened", fd);
}

bool worker_take(struct worker *w, int fd)
{
	struct handover *h = malloc(sizeof(*h));

	if (h == NULL) {
		return false;
	}
	h->msg.run = handover_run;
	h->worker = w;
	h->fd = fd;
	io_post(w->loop, &h->msg);
	return true;
}

/*
 * Does the session just wait for a command?  One that receives, sends, dumps
 * or watches is not idle, however long that takes.
 */
static bool waits_for_command(const struct session *s)
{
	return atomic_load_explicit(&s->state, memory_order_relaxed) ==
		       SESSION_READ &&
	       s->dump == NULL;
}

/* Closes sessions that have sent no command for too long. */
static void idle_fire(struct io_timer *t)
{
	struct worker *w = list_entry(t, struct worker, idle_timer);
	uint32_t limit_s = w->node->settings->idle_timeout_s;

	worker_begin_turn(w);
	list_each_safe(link, after, &w->sessions)
	{
		struct session *s = list_entry(link, struct session, link);
		uint32_t active_s = atomic_load_explicit(&s->active_s,
							 memory_order_relaxed);

		if (waits_for_command(s) && w->now_s > active_s &&
		    w->now_s - active_s > limit_s) {
			worker_count(w, idle_kicks);
			session_close(s, "idle_timeout");
		}
	}
	io_timer_set(w->loop, t, IDLE_CHECK_MS);
}

void worker_hold(struct worker *w, struct session *s)
{
	if (list_empty(&s->held_link)) {
		list_push_tail(&w->held, &s->held_link);
	}
	atomic_store(&w->holds, true);
}

void worker_wake_held(struct worker *w)
{
	if (atomic_load(&w->holds) && !atomic_exchange(&w->gate_posted, true)) {
		io_post(w->loop, &w->gate_msg);
	}
}

/*
 * Ends the sessions; those whose replies wait for the gate are left for when
 * it moves, unless `all`: what has been done is told when it is durable.  They
 * run nothing more, or their last reply might never come.
 */
static void stop_sessions(struct worker *w, bool all)
{
	list_each_safe(link, after, &w->sessions)
	{
		struct session *s = list_entry(link, struct session, link);

		output_drain(s);
		if (all || s->queue == NULL ||
		    gate_passes(w->gate, s->queue->need)) {
			session_close(s, "shutdown");
		} else {
			s->paused = true;
		}
	}
	if (list_empty(&w->sessions)) {
		io_timer_cancel(&w->stop_timer);
		io_loop_stop(w->loop);
	}
}

/* The gate has moved, or the log has room: what waited may go on. */
static void gate_run(struct io_msg *m)
{
	struct worker *w = list_entry(m, struct worker, gate_msg);
	struct list held;
	struct list *link;

	/* Who is held again from here on leaves word again. */
	atomic_store(&w->gate_posted, false);
	atomic_store(&w->holds, false);
	list_init(&held);
	while ((link = list_pop_head(&w->held)) != NULL) {
		list_push_tail(&held, link);
	}
	worker_begin_turn(w);
	while ((link = list_pop_head(&held)) != NULL) {
		struct session *s = list_entry(link, struct session, held_link);

		session_drained(s);
	}
	if (w->stopping) {
		stop_sessions(w, false);
	}
}

static void stop_run(struct io_msg *m)
{
	struct worker *w = list_entry(m, struct worker, stop_msg);

	w->stopping = true;
	worker_begin_turn(w);
	io_timer_set(w->loop, &w->stop_timer, STOP_LOOK_MS);
	stop_sessions(w, false);
}

static uint32_t sessions_left(const struct worker *w)
{
	return atomic_load_explicit(&w->session_count, memory_order_relaxed);
}

/* Some sessions wait for the gate still, or have ended meanwhile. */
static void stop_fire(struct io_timer *t)
{
	struct worker *w = list_entry(t, struct worker, stop_timer);
	bool first = w->stop_waited_ms == 0;

	w->stop_waited_ms += STOP_LOOK_MS;
	worker_begin_turn(w);
	if (w->stop_waited_ms < STOP_HELD_MS) {
		io_timer_set(w->loop, t, STOP_LOOK_MS);
		stop_sessions(w, false);
		if (first && !list_empty(&w->sessions)) {
			diag(DIAG_NOTE,
			     "connections that wait until their changes are on "
			     "disk: %u",
			     sessions_left(w));
		}
		return;
	}
	diag(DIAG_WARN,
	     "connections closed without their replies, since their changes "
	     "are not on disk after %d s: %u",
	     STOP_HELD_MS / 1000, sessions_left(w));
	stop_sessions(w, true);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	diag_set_thread(w->name);
	if (w->node->settings->idle_timeout_s > 0) {
		io_timer_set(w->loop, &w->idle_timer, IDLE_CHECK_MS);
	}
	io_loop_run(w->loop);
	return NULL;
}

int worker_init(struct worker *w, struct node *n, unsigned id)
{
	memset(w, 0, sizeof(*w));
	w->node = n;
	w->id = id;
	w->gate = &n->gate;
	w->log = n->keeping.log;
	snprintf(w->name, sizeof(w->name), "worker/%u", id);
	list_init(&w->sessions);
	list_init(&w->held);
	io_timer_init(&w->idle_timer, idle_fire);
	io_timer_init(&w->stop_timer, stop_fire);
	w->stop_msg.run = stop_run;
	w->gate_msg.run = gate_run;
	w->recv_buf = malloc(IO_BATCH * RECV_BUF_SIZE);
	w->store = store_ctx_new(n->store);
	if (!output_init(&w->out) || w->recv_buf == NULL || w->store == NULL) {
		return ENOMEM;
	}
	w->loop = io_loop_new();
	return w->loop == NULL ? errno : 0;
}

void worker_release(struct worker *w)
{
	if (w->loop != NULL) {
		io_loop_free(w->loop);
	}
	if (w->store != NULL) {
		store_ctx_free(w->store);
	}
	output_release(&w->out);
	free(w->recv_buf);
}

int worker_start(struct worker *w)
{
	int error = pthread_create(&w->thread, NULL, worker_main, w);

	w->started = error == 0;
	return error;
}

void worker_stop(struct worker *w)
{
	if (w->started) {
		io_post(w->loop, &w->stop_msg);
	}
}

void worker_join(struct worker *w)
{
	if (w->started) {
		pthread_join(w->thread, NULL);
		w->started = false;
	}
}
