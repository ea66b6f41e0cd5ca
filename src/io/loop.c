/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn of an event loop, messages from other threads, and watches.
 *
 * Waking a sleeper: a sender queues its message and then looks at `asleep`;
 * the loop sets `asleep` and then looks at the queue.  All four are
 * sequentially consistent, so at least one of the two sees the other, and a
 * loop that is awake costs its senders no system call.  The eventfd is
 * registered edge-triggered and never read: each write is a new edge, and
 * its sum would take centuries to overflow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "io/clock.h"
#include "io/loop_inside.h"

bool loop_join(struct io_loop *l, int fd, uint32_t events, void *handle,
	       enum loop_kind kind)
{
	struct epoll_event e = { .events = events | EPOLLET };

	e.data.u64 = (uint64_t)(uintptr_t)handle | (uint64_t)kind;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

/*
 * Said to the kernel even before a close(): as long as anyone else holds the
 * file, closing our descriptor leaves the registration in place, with a
 * pointer to freed memory in it.  A child that has inherited it holds it,
 * and so does, for a moment, whoever looks at /proc/PID/fd.
 */
void loop_leave(struct io_loop *l, int fd)
{
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

bool loop_barren(uint16_t *barren)
{
	if (++*barren < IO_GUARD_REPORTS) {
		return false;
	}
	*barren = 0;
	return true;
}

/* ---- birth and end ------------------------------------------------------ */

struct io_loop *io_loop_new(void)
{
	struct io_loop *l = NULL;
	int error;

	error = posix_memalign((void **)&l, alignof(struct io_loop),
			       sizeof(*l));
	if (error != 0) {
		errno = error;
		return NULL;
	}
	memset(l, 0, sizeof(*l));
	list_init(&l->streams);
	list_init(&l->turn);
	list_init(&l->listeners);
	list_init(&l->watches);
	list_init(&l->timers);
	l->deferred_end = &l->deferred;
	l->wake = -1;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		goto fail;
	}
	l->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake < 0) {
		goto fail;
	}
	if (!loop_join(l, l->wake, EPOLLIN, NULL, KIND_WAKE)) {
		goto fail;
	}
	return l;
fail:
	error = errno;
	io_loop_free(l);
	errno = error;
	return NULL;
}

static void loop_run_deferred(struct io_loop *l)
{
	while (l->deferred != NULL) {
		struct io_msg *m = l->deferred;

		l->deferred = m->next;
		if (l->deferred == NULL) {
			l->deferred_end = &l->deferred;
		}
		m->run(m);
	}
}

void io_loop_free(struct io_loop *l)
{
	if (l == NULL) {
		return;
	}
	check(!l->running);
	loop_run_deferred(l);
	if (l->wake >= 0) {
		close(l->wake);
	}
	if (l->epoll >= 0) {
		close(l->epoll);
	}
	free(l);
}

/* ---- messages ----------------------------------------------------------- */

static void loop_wake(struct io_loop *l)
{
	const uint64_t one = 1;

	if (!atomic_load(&l->asleep) || !atomic_exchange(&l->asleep, false)) {
		return;
	}
	while (write(l->wake, &one, sizeof(one)) < 0) {
		if (errno != EINTR) {
			panic("cannot wake an event loop: %s", strerror(errno));
		}
	}
}

void io_post(struct io_loop *l, struct io_msg *m)
{
	struct io_msg *top = atomic_load_explicit(&l->inbox,
						  memory_order_relaxed);

	do {
		m->next = top;
	} while (!atomic_compare_exchange_weak(&l->inbox, &top, m));
	loop_wake(l);
}

void io_loop_stop(struct io_loop *l)
{
	atomic_store(&l->stopping, true);
	loop_wake(l);
}

void io_loop_defer(struct io_loop *l, struct io_msg *m)
{
	m->next = NULL;
	*l->deferred_end = m;
	l->deferred_end = &m->next;
}

static void loop_run_messages(struct io_loop *l)
{
	struct io_msg *m = NULL;
	struct io_msg *later;
	uint64_t count = 0;

	if (atomic_load_explicit(&l->inbox, memory_order_relaxed) == NULL) {
		return;
	}
	later = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
	while (later != NULL) {
		struct io_msg *next = later->next;

		later->next = m;
		m = later;
		later = next;
	}
	while (m != NULL) {
		struct io_msg *next = m->next;

		m->run(m);
		m = next;
		count++;
	}
	counter_add(&l->stats.messages, count);
}

/* ---- watches ------------------------------------------------------------ */

bool io_watch_open(struct io_watch *w, struct io_loop *l, int fd,
		   void (*readable)(struct io_watch *w))
{
	w->readable = readable;
	w->loop = l;
	w->barren = 0;
	list_init(&w->ready);
	w->fd = loop_join(l, fd, EPOLLIN, w, KIND_WATCH) ? fd : -1;
	return w->fd >= 0;
}

void io_watch_close(struct io_watch *w)
{
	if (w->fd < 0) {
		return;
	}
	list_remove(&w->ready);
	loop_leave(w->loop, w->fd);
	close(w->fd);
	w->fd = -1;
}

/*
 * Whether `readable` made progress only its owner knows; what can be seen
 * here is an error or hang-up that is reported for ever.
 */
static void watch_mark(struct io_watch *w, uint32_t events)
{
	if ((events & (EPOLLERR | EPOLLHUP)) == 0) {
		w->barren = 0;
	} else if (loop_barren(&w->barren)) {
		diag(DIAG_ERROR,
		     "descriptor %d reports errors without end: "
		     "no longer watched",
		     w->fd);
		counter_add(&w->loop->stats.guard_closed, 1);
		loop_leave(w->loop, w->fd);
	}
	if (list_empty(&w->ready)) {
		list_push_tail(&w->loop->watches, &w->ready);
	}
}

/* ---- the turn ----------------------------------------------------------- */

uint64_t io_loop_now_ms(const struct io_loop *l)
{
	return l->running ? l->now_ms : clock_ms();
}

const struct io_loop_stats *io_loop_stats(const struct io_loop *l)
{
	return &l->stats;
}

bool io_loop_has_ready(const struct io_loop *l)
{
	const struct list *first = l->streams.next;

	if (!list_empty(&l->turn) || l->arrived > 0) {
		return true;
	}
	if (l->current != NULL && first == &l->current->ready) {
		first = first->next;
	}
	return first != &l->streams;
}

static void loop_mark(const struct epoll_event *e)
{
	uint64_t tagged = e->data.u64;
	void *handle = (void *)(uintptr_t)(tagged & ~(uint64_t)KIND_MASK);

	switch ((enum loop_kind)(tagged & KIND_MASK)) {
	case KIND_STREAM:
		stream_mark(handle, e->events);
		break;
	case KIND_LISTENER:
		listener_mark(handle, e->events);
		break;
	case KIND_WATCH:
		watch_mark(handle, e->events);
		break;
	case KIND_WAKE:
		break;
	}
}

static bool loop_is_busy(const struct io_loop *l)
{
	return !list_empty(&l->streams) || !list_empty(&l->listeners) ||
	       !list_empty(&l->watches) || l->deferred != NULL ||
	       atomic_load_explicit(&l->inbox, memory_order_relaxed) != NULL;
}

static int loop_timeout_ms(const struct io_loop *l)
{
	return loop_is_busy(l) ? 0 : timer_wait_ms(l);
}

/* How long to wait for events.  When it is not 0 the loop counts as asleep
 * from here on. */
static int loop_lie_down(struct io_loop *l)
{
	int timeout_ms = loop_timeout_ms(l);

	if (timeout_ms == 0) {
		return 0;
	}
	atomic_store(&l->asleep, true);
	if (atomic_load(&l->inbox) != NULL || atomic_load(&l->stopping)) {
		return 0;
	}
	atomic_store_explicit(&l->stats.busy_since_ms, 0, memory_order_relaxed);
	return timeout_ms;
}

static void loop_get_up(struct io_loop *l)
{
	if (atomic_load_explicit(&l->asleep, memory_order_relaxed)) {
		atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
	}
	l->now_ms = clock_ms();
	atomic_store_explicit(&l->stats.busy_since_ms, l->now_ms,
			      memory_order_relaxed);
	counter_add(&l->stats.turns, 1);
}

static void loop_wait(struct io_loop *l, int timeout_ms)
{
	int n = epoll_wait(l->epoll, l->events, LOOP_EVENTS, timeout_ms);

	if (n < 0 && errno != EINTR) {
		panic("an event loop cannot wait for events: %s",
		      strerror(errno));
	}
	loop_get_up(l);
	for (int i = 0; i < n; i++) {
		loop_mark(&l->events[i]);
	}
}

/* Moves the members of `from` to the empty list `to`. */
static void list_take(struct list *to, struct list *from)
{
	if (!list_empty(from)) {
		list_insert_between(to, from->prev, from->next);
		list_init(from);
	}
}

static void loop_serve_watches(struct io_loop *l)
{
	struct list turn;
	struct list *link;

	list_init(&turn);
	list_take(&turn, &l->watches);
	while ((link = list_pop_head(&turn)) != NULL) {
		struct io_watch *w = list_entry(link, struct io_watch, ready);

		w->readable(w);
	}
}

static void loop_serve_listeners(struct io_loop *l)
{
	struct list turn;
	struct list *link;

	list_init(&turn);
	list_take(&turn, &l->listeners);
	while ((link = list_pop_head(&turn)) != NULL) {
		listener_turn(list_entry(link, struct io_listener, ready));
	}
}

/* Streams that have received and wait to be handed their bytes. */
struct batch {
	struct io_stream *stream[IO_BATCH];
	size_t bytes[IO_BATCH];
	unsigned count;
};

/* The first half of the turns, until the batch is full or all have had it. */
static void loop_receive(struct io_loop *l, struct batch *b)
{
	struct list *link;

	b->count = 0;
	while (b->count < IO_BATCH && (link = list_pop_head(&l->turn))) {
		struct io_stream *s = list_entry(link, struct io_stream, ready);
		size_t n;

		l->current = s;
		n = stream_turn(s, b->count);
		if (n > 0) {
			b->stream[b->count] = s;
			b->bytes[b->count++] = n;
			l->arrived = b->count;
		}
	}
}

static void loop_serve_streams(struct io_loop *l)
{
	struct batch b;

	list_take(&l->turn, &l->streams);
	do {
		loop_receive(l, &b);
		for (unsigned i = 0; i < b.count && b.count > 1; i++) {
			stream_announce(b.stream[i], i, b.bytes[i]);
		}
		for (unsigned i = 0; i < b.count; i++) {
			l->current = b.stream[i];
			l->arrived--;
			stream_hand_over(b.stream[i], i, b.bytes[i]);
		}
	} while (!list_empty(&l->turn));
	l->current = NULL;
}

void io_loop_run(struct io_loop *l)
{
	check(!l->running);
	l->now_ms = clock_ms();
	l->running = true;
	while (!atomic_load(&l->stopping)) {
		loop_wait(l, loop_lie_down(l));
		loop_run_messages(l);
		timer_run_due(l);
		loop_serve_watches(l);
		loop_serve_listeners(l);
		loop_serve_streams(l);
		loop_run_deferred(l);
	}
	loop_run_messages(l);
	loop_run_deferred(l);
	atomic_store_explicit(&l->stats.busy_since_ms, 0, memory_order_relaxed);
	l->running = false;
	atomic_store(&l->stopping, false);
}
