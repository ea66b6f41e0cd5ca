/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of an event loop, shared by the files that make it up: loop.c
 * (the turn, messages, watches), stream.c, listener.c and timer.c.
 *
 * Invariants of a turn:
 *	1. Reading the events of epoll_wait() calls nobody: an event only
 *	   marks its handle and puts it on a ready list.  So no event of a
 *	   batch can name a handle that a callback of the same batch closed.
 *	2. A close removes the handle from the ready lists and its descriptor
 *	   from epoll, and sets fd to -1; after each callback the loop looks
 *	   at fd before it goes on with the handle.
 *	3. A handle has one turn of its own in each turn of the loop: the
 *	   ready list is taken as it stands, and who becomes ready again
 *	   waits in the new one, behind the others.
 *	4. Streams receive in batches, and are handed their bytes when the
 *	   batch is complete.  One that is closed in between has lost ARRIVED
 *	   and is passed over; its memory lives on (io_stream_close()).
 *	5. Nothing that a loop waits for can be waited for twice: it sleeps
 *	   only while no handle is ready, no message is queued and nothing is
 *	   deferred.
 */
#ifndef DOZO_IO_LOOP_INSIDE_H
#define DOZO_IO_LOOP_INSIDE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/counter.h"
#include "base/list.h"
#include "io/loop.h"

/*
 * 256 events of 12 bytes are 3 KiB: they stay in the first cache, and a
 * busier loop only has one system call more for each 256 handles.
 */
enum { LOOP_EVENTS = 256 };

/* What an event is about: the low bits of the pointer that epoll keeps. */
enum loop_kind {
	KIND_STREAM,
	KIND_LISTENER,
	KIND_WATCH,
	KIND_WAKE,
	KIND_MASK = 3,
};

struct io_loop {
	int epoll;
	int wake; /* an eventfd: written to by io_post() while it sleeps */
	bool running;
	uint64_t now_ms;
	struct io_stream *current; /* whose turn it is */
	struct list streams;       /* ready; those not yet served this turn */
	struct list turn;          /* are in `turn` */
	unsigned arrived;          /* of the batch: still to be handed over */
	struct list listeners;
	struct list watches;
	struct list timers; /* by due_ms, the earliest first */
	struct io_msg *deferred;
	struct io_msg **deferred_end;
	struct io_loop_stats stats;
	struct epoll_event events[LOOP_EVENTS];

	/* For other threads, on a cache line of their own. */
	alignas(64) _Atomic(struct io_msg *) inbox; /* the latest first */
	atomic_bool asleep;
	atomic_bool stopping;
};

/* Registers a descriptor, edge-triggered; false with errno set. */
bool loop_join(struct io_loop *l, int fd, uint32_t events, void *handle,
	       enum loop_kind kind);
/* The reverse; harmless for a descriptor that is not registered. */
void loop_leave(struct io_loop *l, int fd);

/* One more report without progress: true when the guard must strike, which
 * starts the count anew. */
bool loop_barren(uint16_t *barren);

/* An event has come: marks only (invariant 1). */
void stream_mark(struct io_stream *s, uint32_t events);
void listener_mark(struct io_listener *l, uint32_t events);

/*
 * The turn of a handle, which is on no ready list meanwhile.  A stream's turn
 * has two halves; the second, stream_hand_over(), is due when the first
 * returned a number of bytes above 0; stream_announce() may come before it.
 */
size_t stream_turn(struct io_stream *s, unsigned slot);
void stream_announce(struct io_stream *s, unsigned slot, size_t n);
void stream_hand_over(struct io_stream *s, unsigned slot, size_t n);
void listener_turn(struct io_listener *l);

/* Runs the timers that are due. */
void timer_run_due(struct io_loop *l);
/* For epoll_wait(): milliseconds to the next timer, -1 without one. */
int timer_wait_ms(const struct io_loop *l);

#endif
