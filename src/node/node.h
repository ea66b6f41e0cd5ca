/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node: the composition of store, workers, listeners and upkeep in one
 * process.  The command line makes one, gives it listening sockets, and runs
 * it until it is told to stop.
 *
 * Threads: the caller's thread runs the listeners and the signals;
 * settings.threads workers own the sessions; one control thread does upkeep
 * and watches that no loop is stuck.
 */
#ifndef DOZO_NODE_NODE_H
#define DOZO_NODE_NODE_H

#include <stdbool.h>

#include "node/settings.h"

struct node;

/*
 * `settings` is kept by reference and must outlive the node.  NULL on
 * failure, with *why set to a static text (errno says more where it is not
 * 0).
 */
struct node *node_new(struct settings *settings, const char **why);

/*
 * Gives the node a listening socket: it owns `fd` from then on.  False with
 * errno set when the loop refuses it; then the descriptor is closed.
 */
bool node_add_listener(struct node *n, int fd);

/*
 * Blocks the signals that a node handles, for the calling thread and those it
 * starts later.  To be called before anything listens: a signal that comes
 * early then waits for the node instead of ending the process.
 */
void node_block_signals(void);

/*
 * Starts the threads; 0 or an errno value.  Connections are accepted once
 * node_run() runs.  If it fails, node_free() cleans up.
 */
int node_start(struct node *n);

/*
 * Serves until SIGINT, SIGTERM, SIGUSR1 or the shutdown command; then stops
 * in order: listeners, sessions (what is composed is sent), threads.  SIGPIPE
 * must be ignored by then.  Returns the exit status.
 */
int node_run(struct node *n);

void node_free(struct node *n);

#endif
