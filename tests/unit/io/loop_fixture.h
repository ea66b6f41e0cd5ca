/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running an event loop in a test: until somebody stops it, with a deadline
 * that fails the test, or until nothing is left to do.
 */
#ifndef DOZO_LOOP_FIXTURE_H
#define DOZO_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"

enum {
	DEADLINE_MS = 120000, /* only a failure waits as long */
	/* Turns without a ready stream after which a loop counts as settled:
	 * more than the longest chain of effects in these tests. */
	SETTLED_TURNS = 8,
};

struct deadline {
	struct io_timer timer;
	struct io_loop *loop;
	bool passed;
};

static inline void deadline_passed(struct io_timer *t)
{
	struct deadline *d = list_entry(t, struct deadline, timer);

	d->passed = true;
	io_loop_stop(d->loop);
}

/* Until io_loop_stop(); the test fails when nobody calls it. */
static inline void run_until_stopped(struct io_loop *l)
{
	struct deadline d = { .loop = l };

	io_timer_init(&d.timer, deadline_passed);
	io_timer_set(l, &d.timer, DEADLINE_MS);
	io_loop_run(l);
	io_timer_cancel(&d.timer);
	assert_false(d.passed);
}

/*
 * A message that posts itself again, so that the loop polls instead of
 * sleeping, until enough turns in a row had nothing to do.
 */
struct settling {
	struct io_msg msg;
	struct io_loop *loop;
	int turns;
	/* Not before this says so; NULL: at once. */
	bool (*may_settle)(struct settling *s);
};

static inline void settling_run(struct io_msg *m)
{
	struct settling *s = list_entry(m, struct settling, msg);

	if (io_loop_has_ready(s->loop) ||
	    (s->may_settle != NULL && !s->may_settle(s))) {
		s->turns = 0;
	} else {
		s->turns++;
	}
	if (s->turns == SETTLED_TURNS) {
		io_loop_stop(s->loop);
	} else {
		io_post(s->loop, m);
	}
}

/* Until the effects of all that has been done on this machine's unix sockets
 * (which take effect at once) have been seen. */
static inline void run_until_settled(struct io_loop *l)
{
	struct settling s = { .msg.run = settling_run, .loop = l };

	io_post(l, &s.msg);
	io_loop_run(l);
}

/* Two connected unix sockets, both non-blocking. */
static inline void make_pair(int fd[2])
{
	assert_return_code(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			   0, fd),
		0);
}

static inline void write_all(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

#endif
