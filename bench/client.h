/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a memcached-protocol server on this machine, for
 * benchmarks that count items and not time.  Requests are appended to an
 * output buffer, any number of them; replies are then read in order with
 * calls that block, and that go on sending while they wait, so that no
 * amount of either can bring the two sides to wait for each other.
 *
 * Replies are checked byte by byte.  What is neither right nor a miss nor a
 * refusal ends the process with status 1, for what follows in the stream
 * means nothing then; so does a silence of ten seconds.  For one thread.
 */
#ifndef DOZO_BENCH_CLIENT_H
#define DOZO_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "known_item.h"

struct client {
	int fd;
	struct items *items; /* not owned */
	char *out;
	size_t out_len, out_pos, out_size;
	char *in;
	size_t in_len, in_pos, in_size;
};

/* Connects to 127.0.0.1; ends the process with status 2 if it cannot. */
void client_open(struct client *c, struct items *items, unsigned port);
void client_close(struct client *c);

/* Append one request. */
void client_set(struct client *c, uint64_t number, unsigned ttl_s);
void client_get(struct client *c, const uint64_t *numbers, size_t count);

/* The reply to a set: true when stored, false when refused. */
bool client_set_reply(struct client *c);

/*
 * The reply to a get of the same numbers: hit[i] says whether number i came
 * (with the right value).  The number of hits.
 */
size_t client_get_reply(struct client *c, const uint64_t *numbers, size_t count,
			bool *hit);

#endif
