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

enum { NODE_WHY_SIZE = 512 };

/*
 * Makes a node; with a data directory that means to recover what is in it,
 * which may take a while and is told as it goes.  `settings` is kept by
 * reference and must outlive the node.  NULL on failure, with one line about
 * it in `why`, of NODE_WHY_SIZE.
 */
struct node *node_new(struct settings *settings, char *why);

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
 * in order: listeners, sessions (what is composed is sent), threads, and what
 * is to be kept is completed on disk.  SIGPIPE must be ignored by then.
 * Returns the exit status: not 0 if that last step has failed.
 */
int node_run(struct node *n);

void node_free(struct node *n);

#endif
