/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The node as its own module sees it.  Everything that the process knows
 * hangs off this struct; there is no state beside it.
 */
#ifndef DOZO_NODE_NODE_STATE_H
#define DOZO_NODE_NODE_STATE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "io/clock.h"
#include "io/loop.h"
#include "log/gate.h"
#include "node/auth.h"
#include "node/control.h"
#include "node/keeping.h"
#include "node/listen.h"
#include "node/prefix.h"
#include "node/settings.h"
#include "node/tuning.h"
#include "node/watch.h"
#include "node/worker.h"
#include "store/store.h"

/* What the workers' counters stood at when `stats reset` was given. */
struct stats_base {
#define COUNTER(name) _Atomic uint64_t name;
#include "node/counters.def"
#undef COUNTER
};

/* How the process was asked to end. */
enum node_stop { STOP_NONE, STOP_NORMAL, STOP_GRACEFUL };

struct node {
	struct settings *settings;
	struct store *store;
	struct store_clock clock;
	struct keeping keeping;
	struct gate gate;
	struct io_loop *loop; /* of the main thread: listeners, signals */
	struct io_watch signals;
	struct acceptor acceptor;
	struct worker *workers;
	uint32_t worker_count;
	struct control control;
	struct watch watch;
	struct prefix_stats prefixes;
	struct auth auth;
	struct stats_base stats_base;
	uint64_t started_ms;
	uint32_t started_s;
	_Atomic uint32_t connections;       /* open sessions */
	_Atomic uint64_t total_connections; /* since start */
	_Atomic uint64_t rejected_connections;
	_Atomic uint64_t queued_bytes;    /* memory of all unsent output */
	_Atomic uint64_t long_line_bytes; /* buffers of incomplete lines */
	struct tuning tuning;
	_Atomic uint64_t dumps_started;
	_Atomic uint32_t dumps_running;
};

/* Any thread: asks the main thread to end the process in order. */
void node_stop(struct node *n, enum node_stop how);

/* Has a signal come that ends the node, while node_run() does not run? */
bool node_stop_signal_waits(void);

#endif
