/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Accepting connections.
 *
 * Invariant A1: node->connections counts sessions from before their
 * descriptor is handed to a worker until it is closed, so that the limit
 * holds also while hand-overs are under way.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "io/clock.h"
#include "io/sock.h"
#include "node/listen.h"
#include "node/node_state.h"

/* How long to wait for descriptors or memory before trying again. */
enum { RETRY_MS = 100 };

static void set_listening(struct acceptor *a, bool on)
{
	for (int i = 0; i < a->count; i++) {
		if (on) {
			io_listener_resume(&a->listeners[i].io);
		} else {
			io_listener_pause(&a->listeners[i].io);
		}
	}
	atomic_store(&a->accepting, on);
}

static bool at_limit(const struct node *n)
{
	return atomic_load(&n->connections) >= n->settings->max_connections;
}

static void acceptor_resume(struct acceptor *a)
{
	if (!a->paused) {
		return;
	}
	a->paused = false;
	atomic_store(&a->waiting, false);
	atomic_fetch_add(&a->disabled_us, clock_us() - a->paused_at_us);
	set_listening(a, true);
}

static void acceptor_pause(struct acceptor *a)
{
	if (a->paused) {
		return;
	}
	a->paused = true;
	a->paused_at_us = clock_us();
	atomic_fetch_add(&a->disabled_count, 1);
	set_listening(a, false);
}

/* Pauses until a session ends. */
static void wait_for_close(struct acceptor *a)
{
	acceptor_pause(a);
	atomic_store(&a->waiting, true);
	/* One may have ended before it could know that we wait. */
	if (!at_limit(a->node)) {
		acceptor_resume(a);
	}
}

static void resume_run(struct io_msg *m)
{
	struct acceptor *a = list_entry(m, struct acceptor, resume_msg);

	atomic_store(&a->resume_posted, false);
	if (!at_limit(a->node)) {
		io_timer_cancel(&a->retry);
		acceptor_resume(a);
	}
}

static void retry_fire(struct io_timer *t)
{
	struct acceptor *a = list_entry(t, struct acceptor, retry);

	if (!a->node->settings->maxconns_fast && at_limit(a->node)) {
		wait_for_close(a);
	} else {
		acceptor_resume(a);
	}
}

void acceptor_session_closed(struct acceptor *a)
{
	atomic_fetch_sub(&a->node->connections, 1);
	if (atomic_load(&a->waiting) &&
	    !atomic_exchange(&a->resume_posted, true)) {
		io_post(a->node->loop, &a->resume_msg);
	}
}

static void turn_away(struct node *n, int fd)
{
	size_t len;
	const char *text = reply_text(REPLY_TOO_MANY_CONNECTIONS, &len);

	atomic_fetch_add(&n->rejected_connections, 1);
	if (send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		diag(DIAG_INFO, "connection %d refused without a word: %s", fd,
		     strerror(errno));
	}
	close(fd);
}

static void accepted(struct io_listener *l, int fd,
		     const struct sockaddr_storage *peer, socklen_t peer_len)
{
	struct acceptor *a = ((struct acceptor_listener *)(void *)l)->acceptor;
	struct node *n = a->node;
	struct worker *w;

	(void)peer;
	(void)peer_len;
	a->starving = false;
	if (at_limit(n)) {
		turn_away(n, fd);
		return;
	}
	atomic_fetch_add(&n->connections, 1);
	atomic_fetch_add(&n->total_connections, 1);
	w = &n->workers[a->next_worker++ % n->worker_count];
	if (!worker_take(w, fd)) {
		diag(DIAG_WARN, "connection %d closed: no memory for it", fd);
		close(fd);
		atomic_fetch_sub(&n->connections, 1);
		return;
	}
	if (!n->settings->maxconns_fast && at_limit(n)) {
		wait_for_close(a);
	}
}

static void starved(struct io_listener *l, int error)
{
	struct acceptor *a = ((struct acceptor_listener *)(void *)l)->acceptor;

	if (!a->starving) {
		a->starving = true;
		diag(DIAG_WARN, "accept: %s: no new connections for a while",
		     strerror(error));
	}
	acceptor_pause(a);
	io_timer_set(a->node->loop, &a->retry, RETRY_MS);
}

static const struct io_listener_ops listener_ops = {
	.accepted = accepted,
	.starved = starved,
};

void acceptor_init(struct acceptor *a, struct node *n)
{
	memset(a, 0, sizeof(*a));
	a->node = n;
	io_timer_init(&a->retry, retry_fire);
	a->resume_msg.run = resume_run;
	atomic_init(&a->accepting, true);
}

bool acceptor_add(struct acceptor *a, int fd)
{
	struct acceptor_listener *l = &a->listeners[a->count];

	if (a->count == LISTENERS_MAX) {
		errno = ENOBUFS;
		return false;
	}
	l->acceptor = a;
	l->fd = fd;
	sock_format_local(fd, l->address, sizeof(l->address));
	if (!io_listener_open(&l->io, a->node->loop, fd, &listener_ops)) {
		return false;
	}
	a->count++;
	return true;
}

void acceptor_close(struct acceptor *a)
{
	io_timer_cancel(&a->retry);
	for (int i = 0; i < a->count; i++) {
		io_listener_close(&a->listeners[i].io);
	}
}
