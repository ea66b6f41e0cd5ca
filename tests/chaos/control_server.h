/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that does nothing, to compare with: one thread that answers each
 * `get KEY` with the same value, and each `set` with STORED without keeping
 * it. What a client sees of it is the machine: the kernel's sockets, the
 * scheduler, and whatever takes the processors away.
 *
 * It listens on 127.0.0.1 only, lives in the process of the test, and trusts
 * it.
 */
#ifndef DOZO_CHAOS_CONTROL_SERVER_H
#define DOZO_CHAOS_CONTROL_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Size and filling of the value; flags 0. */
#define CONTROL_BYTES 100
#define CONTROL_FILL 'p'

struct control {
	uint16_t port; /* TCP, host order; free at the start */
	int listener;
	int stop[2]; /* a pipe: closed at one end to end the thread */
	pthread_t thread;
};

/* Starts it; false, with a message on standard error, when that failed. */
bool control_start(struct control *control);

/* Ends it and closes what it held; clients see the end of their stream. */
void control_stop(struct control *control);

#endif
