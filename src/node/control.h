/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread: upkeep of the store (expiry, cleaning) and the watchdog
 * that reports a thread whose loop has not turned for some seconds.  It never
 * touches a client's socket.
 */
#ifndef DOZO_NODE_CONTROL_H
#define DOZO_NODE_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/loop.h"

struct node;
struct store_ctx;

struct control {
	struct node *node;
	pthread_t thread;
	bool started;
	struct io_loop *loop;
	struct store_ctx *store;
	struct io_timer upkeep;
	struct io_timer watchdog;
	struct io_msg sweep_msg;
	_Atomic bool sweep_posted;
	uint64_t stall_ms;       /* how long a loop may work on one turn */
	uint64_t watch_ms;       /* how often that is looked at */
	_Atomic uint64_t stalls; /* threads that were found stuck */
	uint64_t *reported_ms;   /* for each worker: the turn reported */
};

/* 0 or an errno value. */
int control_init(struct control *c, struct node *n);
int control_start(struct control *c);
void control_stop(struct control *c); /* and waits */
/* Any thread: sweeps now instead of at its next time. */
void control_sweep_now(struct control *c);
void control_release(struct control *c);

#endif
