/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream whose owner notes in a short text what happens to it: the letters
 * are r received, a again, s sendable, e ended, each behind the stream's own
 * name.  What it does at each call is set by the test.
 */
#ifndef DOZO_STREAM_FIXTURE_H
#define DOZO_STREAM_FIXTURE_H

#include <netinet/in.h>
#include <stdlib.h>

#include "io/sock.h"
#include "loop_fixture.h"

enum { TRACE_ROOM = 8192, NEAR_ROOM = 4096 };

struct trace {
	char text[TRACE_ROOM];
	size_t len;
};

struct near;

struct near {
	struct io_stream s;
	char name;
	int far; /* the other end, or -1 */
	struct trace *trace;
	char bytes[NEAR_ROOM]; /* all that has arrived */
	size_t used;
	size_t step;  /* room given to a receive */
	size_t split; /* of it in the first part; 0: one part only */
	bool pause;   /* place() says 0 */
	bool stops;   /* stops the loop at an end */
	int places;
	unsigned slot; /* of the receive */
	size_t coming; /* what arrived() said */
	int ends;
	int error;
	void (*on_place)(struct near *n);
	void (*on_arrived)(struct near *n);
	void (*on_received)(struct near *n);
	void (*on_again)(struct near *n);
	void (*on_sendable)(struct near *n);
	void (*on_ended)(struct near *n);
	void *arg;
};

static inline struct near *near_of(struct io_stream *s)
{
	return list_entry(s, struct near, s);
}

static inline void near_note(struct near *n, char what,
			     void (*then)(struct near *n))
{
	assert_true(n->trace->len + 2 < sizeof(n->trace->text));
	n->trace->text[n->trace->len++] = n->name;
	n->trace->text[n->trace->len++] = what;
	n->trace->text[n->trace->len] = '\0';
	if (then != NULL) {
		then(n);
	}
}

static inline int near_place(struct io_stream *s, unsigned slot,
			     struct iovec part[2])
{
	struct near *n = near_of(s);

	assert_true(slot < IO_BATCH);
	n->slot = slot;
	n->places++;
	if (n->on_place != NULL) {
		n->on_place(n);
	}
	if (n->pause) {
		return 0;
	}
	assert_true(n->used + n->step <= sizeof(n->bytes));
	part[0].iov_base = n->bytes + n->used;
	part[0].iov_len = n->step;
	if (n->split == 0) {
		return 1;
	}
	part[0].iov_len = n->split;
	part[1].iov_base = n->bytes + n->used + n->split;
	part[1].iov_len = n->step - n->split;
	return 2;
}

static inline void near_arrived(struct io_stream *s, unsigned slot, size_t len)
{
	struct near *n = near_of(s);

	assert_int_equal(slot, n->slot);
	n->coming = len;
	if (n->on_arrived != NULL) {
		n->on_arrived(n);
	}
}

static inline void near_received(struct io_stream *s, unsigned slot, size_t len)
{
	struct near *n = near_of(s);

	assert_int_equal(slot, n->slot);
	assert_true(n->coming == 0 || n->coming == len);
	n->coming = 0;
	assert_in_range(len, 1, n->step);
	n->used += len;
	near_note(n, 'r', n->on_received);
}

static inline void near_again(struct io_stream *s)
{
	near_note(near_of(s), 'a', near_of(s)->on_again);
}

static inline void near_sendable(struct io_stream *s)
{
	near_note(near_of(s), 's', near_of(s)->on_sendable);
}

static inline void near_ended(struct io_stream *s, int error)
{
	struct near *n = near_of(s);

	n->ends++;
	n->error = error;
	if (n->stops) {
		io_loop_stop(s->loop);
	}
	near_note(n, 'e', n->on_ended);
}

static const struct io_stream_ops near_ops = {
	.place = near_place,
	.arrived = near_arrived,
	.received = near_received,
	.again = near_again,
	.sendable = near_sendable,
	.ended = near_ended,
};

static inline void near_init(struct near *n, struct io_loop *l, char name,
			     struct trace *t, int fd, int far)
{
	memset(n, 0, sizeof(*n));
	n->name = name;
	n->trace = t;
	n->far = far;
	n->step = 64;
	assert_true(io_stream_open(&n->s, l, fd, &near_ops));
}

/* On one end of a pair of unix sockets. */
static inline void near_open(struct near *n, struct io_loop *l, char name,
			     struct trace *t)
{
	int fd[2];

	make_pair(fd);
	near_init(n, l, name, t, fd[0], fd[1]);
}

/* On the accepted end of a connection over the loopback. */
static inline void near_open_tcp(struct near *n, struct io_loop *l, char name,
				 struct trace *t)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *why;
	int listener;
	int far;
	int fd;

	assert_int_equal(sock_listen_tcp("127.0.0.1", 0, 8, &listener, 1, &why),
			 1);
	to.sin_port = htons((uint16_t)sock_local_port(listener));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(far, 0);
	assert_return_code(
		connect(far, (struct sockaddr *)(void *)&to, sizeof(to)), 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_return_code(fd, 0);
	close(listener);
	near_init(n, l, name, t, fd, far);
}

static inline void near_close(struct near *n)
{
	io_stream_close(&n->s);
	if (n->far >= 0) {
		close(n->far);
		n->far = -1;
	}
}

/* Ends the far side with a reset. */
static inline void near_reset(struct near *n)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	assert_return_code(setsockopt(n->far, SOL_SOCKET, SO_LINGER, &now,
				      sizeof(now)),
			   0);
	close(n->far);
	n->far = -1;
}

/* ---- a test of one stream, which finds it in *state -------------------- */

struct stage {
	struct near n; /* first: it is what the test sees */
	struct trace t;
	struct io_loop *l;
};

static inline struct stage *stage_new(void **state)
{
	struct stage *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->l = io_loop_new();
	*state = &g->n;
	return g;
}

static inline int stage_begin(void **state)
{
	struct stage *g = stage_new(state);

	near_open(&g->n, g->l, 'A', &g->t);
	return 0;
}

static inline int stage_begin_tcp(void **state)
{
	struct stage *g = stage_new(state);

	near_open_tcp(&g->n, g->l, 'A', &g->t);
	return 0;
}

static inline int stage_end(void **state)
{
	struct stage *g = list_entry(*state, struct stage, n);

	near_close(&g->n);
	io_loop_free(g->l);
	free(g);
	return 0;
}

#define NEAR_TEST(test)                                                        \
	cmocka_unit_test_setup_teardown(test, stage_begin, stage_end)
#define NEAR_TEST_TCP(test)                                                    \
	cmocka_unit_test_setup_teardown(test, stage_begin_tcp, stage_end)

#endif
