/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The acceptor: the main thread's listeners, and who gets each connection.
 *
 * Connections go to the workers in turn.  At the connection limit the
 * acceptor either turns newcomers away with a line (maxconns_fast) or stops
 * accepting until a session has ended.  Without descriptors or memory it
 * stops as well, and tries again after a while; nobody spins.
 *
 * Thread rule: the main thread, but for acceptor_session_closed(),
 * which any thread may call.  Other threads never touch
 * the listeners: they leave a message.
 */
#ifndef DOZO_NODE_LISTEN_H
#define DOZO_NODE_LISTEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"
#include "io/sock.h"
#include "node/settings.h"

struct node;

struct acceptor_listener {
	struct io_listener io; /* first */
	struct acceptor *acceptor;
	/* What `stats conns` shows, from any thread: never changes. */
	int fd;
	char address[SOCK_ADDR_TEXT];
};

struct acceptor {
	struct node *node;
	int count; /* of listeners; does not change once threads run */
	uint32_t next_worker;
	bool paused;
	bool starving; /* said so, and nothing has been accepted since */
	uint64_t paused_at_us;
	struct io_timer retry;
	struct io_msg resume_msg;
	_Atomic bool resume_posted;
	_Atomic bool waiting; /* paused at the limit: tell of closes */
	/* For statistics. */
	_Atomic uint64_t disabled_count;
	_Atomic uint64_t disabled_us;
	_Atomic bool accepting;
	struct acceptor_listener listeners[LISTENERS_MAX];
};

void acceptor_init(struct acceptor *a, struct node *n);

/* Takes the descriptor; false with errno. */
bool acceptor_add(struct acceptor *a, int fd);
void acceptor_close(struct acceptor *a);

/* Any thread: a session has ended. */
void acceptor_session_closed(struct acceptor *a);

#endif
