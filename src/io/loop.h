/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An event loop: one thread's view of its sockets, timers and messages.
 *
 * The interface has the shape of completions: an owner says where bytes are
 * to go and is told that they have arrived; it hands bytes over to be sent
 * and is told when more can follow.  epoll stands behind it (edge-triggered,
 * one registration for the life of a descriptor); a ring of submissions can.
 *
 * Thread rule: everything of a loop is called on the thread that runs it,
 * but for io_post(), io_loop_stop() and the figures in io_loop_stats, which
 * any thread may use.
 *
 * A loop never returns by itself: leaving io_loop_run() by any way but
 * io_loop_stop() is a panic.
 *
 * Errors and hang-ups count as readable and writable: the socket call that
 * follows gives the real error.  A descriptor that is reported
 * IO_GUARD_REPORTS times in a row without any progress is ended with
 * -ELOOP and counted (guard_closed).
 */
#ifndef DOZO_IO_LOOP_H
#define DOZO_IO_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/counter.h"
#include "base/list.h"

enum { IO_GUARD_REPORTS = 1000 };

/*
 * Streams that receive, one after the other, before the first of them is
 * handed its bytes.  The owners see in arrived() what is coming, and the
 * waits for the memory that it will take overlap with each other and with
 * the system calls.  Eight hide nearly all of that; more would only delay the
 * first.
 */
enum { IO_BATCH = 8 };

struct io_loop;
struct io_stream;
struct io_listener;

/* ---- loop -------------------------------------------------------------- */

struct io_loop_stats {
	counter turns;                  /* times the loop woke up and worked */
	counter guard_closed;           /* descriptors ended by the guard */
	counter messages;               /* io_post() messages run */
	_Atomic uint64_t busy_since_ms; /* 0 while it sleeps in the kernel */
};

/* NULL with errno set when the kernel refuses. */
struct io_loop *io_loop_new(void);
/*
 * Its descriptors are closed, and no other thread can still be inside
 * io_post() or io_loop_stop().  What io_loop_defer() holds is run; messages
 * that have come since io_loop_run() returned are not.
 */
void io_loop_free(struct io_loop *l);

/* Runs until io_loop_stop(). */
void io_loop_run(struct io_loop *l);

/*
 * Any thread: makes io_loop_run() return after its present turn.  What this
 * thread posted before has been run then.
 */
void io_loop_stop(struct io_loop *l);

/* CLOCK_BOOTTIME in milliseconds, read once for each turn (and at each call
 * while the loop does not run). */
uint64_t io_loop_now_ms(const struct io_loop *l);
const struct io_loop_stats *io_loop_stats(const struct io_loop *l);

/* Is any other stream waiting for its turn? */
bool io_loop_has_ready(const struct io_loop *l);

/* ---- messages from other threads --------------------------------------- */

struct io_msg {
	struct io_msg *next;
	void (*run)(struct io_msg *m); /* on the loop's thread; owns m again */
};

/* Any thread.  Messages of one sender run in order; a sleeper wakes. */
void io_post(struct io_loop *l, struct io_msg *m);

/* ---- timers ------------------------------------------------------------ */

struct io_timer {
	struct list link;
	uint64_t due_ms;
	void (*fire)(struct io_timer *t); /* may set it again */
};

void io_timer_init(struct io_timer *t, void (*fire)(struct io_timer *t));
/* Sets or moves; fires once, `after_ms` from the turn's time. */
void io_timer_set(struct io_loop *l, struct io_timer *t, uint64_t after_ms);
void io_timer_cancel(struct io_timer *t);

/* ---- connected streams ------------------------------------------------- */

struct io_stream_ops {
	/*
	 * Where the next bytes go: fills up to two parts and returns their
	 * number; 0 to receive nothing now (until io_stream_resume()).
	 * `slot`, below IO_BATCH, is this receive's alone until received()
	 * has returned: streams may share one buffer for each slot.
	 */
	int (*place)(struct io_stream *s, unsigned slot, struct iovec part[2]);
	/*
	 * `n` bytes (at least 1) are where place() said, and received()
	 * follows in this turn, after that of others; for looking ahead only.
	 * Not called for a stream that is alone.  May be NULL.
	 */
	void (*arrived)(struct io_stream *s, unsigned slot, size_t n);
	/* `n` bytes (at least 1) have arrived where place() said. */
	void (*received)(struct io_stream *s, unsigned slot, size_t n);
	/*
	 * Called for a turn that io_stream_again() asked for: the owner goes
	 * on with what it has.
	 */
	void (*again)(struct io_stream *s);
	/* There is room to send again after a short io_send(). */
	void (*sendable)(struct io_stream *s);
	/*
	 * The peer has ended its side (error 0) or the stream broke (an errno
	 * value).  The owner closes, now or when it has sent what it wants;
	 * nothing more will be received.
	 */
	void (*ended)(struct io_stream *s, int error);
};

struct io_stream {
	const struct io_stream_ops *ops;
	struct io_loop *loop;
	int fd;
	/* For the loop itself. */
	uint16_t barren; /* reports in a row without progress */
	uint16_t state;
	struct list ready;
};

/*
 * Joins a connected, non-blocking socket to the loop; the stream owns the
 * descriptor from then on.  False with errno set when the kernel refuses;
 * then the descriptor is still the caller's.
 */
bool io_stream_open(struct io_stream *s, struct io_loop *l, int fd,
		    const struct io_stream_ops *ops);

/*
 * Closes the descriptor; no operation is called after that.  May be called
 * inside any of them.  The memory of the stream must live until the loop's
 * present turn is over when it is called from within a turn: free it through
 * io_loop_defer().
 */
void io_stream_close(struct io_stream *s);

/* Runs m at the end of the present turn, on this thread. */
void io_loop_defer(struct io_loop *l, struct io_msg *m);

/*
 * Sends now what the socket takes.  Returns the bytes taken (0 or more; fewer
 * than given: `sendable` will be called when there is room), or a negative
 * errno, after which the owner closes.  An interrupted call is repeated.
 * `count` is at most IOV_MAX.
 */
long io_send(struct io_stream *s, const struct iovec *part, int count);

/* Receives again after place() said 0. */
void io_stream_resume(struct io_stream *s);

/* Gives the stream another turn (ops->again) behind those that wait. */
void io_stream_again(struct io_stream *s);

/* ---- listeners --------------------------------------------------------- */

struct io_listener_ops {
	/* A new connection: non-blocking, close-on-exec; the callee owns it. */
	void (*accepted)(struct io_listener *l, int fd,
			 const struct sockaddr_storage *peer,
			 socklen_t peer_len);
	/*
	 * accept() failed for want of something (EMFILE, ENFILE, ENOBUFS,
	 * ENOMEM), or for good (any other error), or the guard struck
	 * (ELOOP): the owner pauses the listener and resumes it later.  It
	 * does not come back by itself.
	 */
	void (*starved)(struct io_listener *l, int error);
};

struct io_listener {
	const struct io_listener_ops *ops;
	struct io_loop *loop;
	int fd;
	uint8_t state;
	uint16_t barren;
	struct list ready;
};

/* As io_stream_open(), for a listening socket. */
bool io_listener_open(struct io_listener *l, struct io_loop *loop, int fd,
		      const struct io_listener_ops *ops);
/* Stops and starts accepting; both may be called at any time. */
void io_listener_pause(struct io_listener *l);
void io_listener_resume(struct io_listener *l);
void io_listener_close(struct io_listener *l);

/* ---- signals ----------------------------------------------------------- */

/*
 * A descriptor that is only watched for reading (signalfd and the like).
 * `readable` is called once for each report, so it reads until EAGAIN.
 */
struct io_watch {
	void (*readable)(struct io_watch *w);
	struct io_loop *loop;
	int fd;
	/* For the loop itself. */
	uint16_t barren; /* reports in a row of an error or a hang-up */
	uint8_t state;
	struct list ready;
};

bool io_watch_open(struct io_watch *w, struct io_loop *l, int fd,
		   void (*readable)(struct io_watch *w));
void io_watch_close(struct io_watch *w); /* closes the descriptor */

#endif
