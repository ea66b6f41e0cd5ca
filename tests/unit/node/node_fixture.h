/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole node inside a test: its threads run, and clients are the other
 * ends of socket pairs, so that no port is needed.
 */
#ifndef DOZO_TESTS_NODE_FIXTURE_H
#define DOZO_TESTS_NODE_FIXTURE_H

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "node/node.h"
#include "node/node_state.h"

enum { HEAR_MS = 120000 };

struct node_fixture {
	struct settings settings;
	struct node *node;
	pthread_t thread;
	uint64_t tune_stall_ms; /* of the watchdog; 0 for its default */
};

static void *node_fixture_main(void *arg)
{
	struct node_fixture *f = arg;

	return (void *)(intptr_t)node_run(f->node);
}

/* Fill f->settings first (settings_init() and what the test wants). */
static inline void node_fixture_start(struct node_fixture *f)
{
	char why[NODE_WHY_SIZE] = "";

	f->node = node_new(&f->settings, why);
	if (f->node == NULL) {
		fail_msg("node_new: %s", why);
	}
	if (f->tune_stall_ms != 0) {
		f->node->control.stall_ms = f->tune_stall_ms;
		f->node->control.watch_ms = f->tune_stall_ms / 4;
	}
	assert_int_equal(node_start(f->node), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, node_fixture_main, f),
			 0);
}

static inline void node_fixture_stop(struct node_fixture *f)
{
	void *status;

	node_stop(f->node, STOP_NORMAL);
	pthread_join(f->thread, &status);
	assert_int_equal((int)(intptr_t)status, 0);
	node_free(f->node);
}

/* A client of the given worker: its end of the connection. */
static inline int node_fixture_connect(struct node_fixture *f, unsigned worker)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX,
				    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
				    0, ends),
			 0);
	atomic_fetch_add(&f->node->connections, 1);
	assert_true(worker_take(&f->node->workers[worker], ends[1]));
	return ends[0];
}

static inline void say(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Receives exactly `expected`, or fails when it takes too long. */
static inline void hear(int fd, const char *expected)
{
	char got[4096];
	size_t want = strlen(expected);
	size_t have = 0;

	assert_true(want < sizeof(got));
	while (have < want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, HEAR_MS) != 1) {
			fail_msg("no reply; expected %s", expected);
		}
		n = recv(fd, got + have, want - have, 0);
		if (n <= 0) {
			fail_msg("closed; expected %s", expected);
		}
		have += (size_t)n;
	}
	got[have] = '\0';
	assert_string_equal(got, expected);
}

/* The server has closed the connection. */
static inline void hear_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	assert_int_equal(poll(&p, 1, HEAR_MS), 1);
	assert_true(recv(fd, &byte, 1, 0) <= 0);
}

/* Nothing has been sent so far. */
static inline void hear_nothing_yet(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 0), 0);
}

#endif
