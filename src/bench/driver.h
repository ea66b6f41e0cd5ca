/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread's part of the load: its connections to one server, kept busy
 * from a loop around epoll.
 *
 * The server's own loop (io/loop.h) is not used.  An open loop needs waits
 * of microseconds, where its timers know milliseconds, and a closed one is
 * cheapest when replies are taken and the next requests sent in the same
 * step, out of buffers that all connections share.
 *
 * Closed loop: a connection sends a batch of `depth` requests, and the next
 * batch when all replies have come.  Open loop: requests have times at which
 * they are due; each goes to the connection that has waited longest of those
 * with fewer than `depth` in flight, and its latency counts from when it was
 * due, so that what a stall held up is seen.
 *
 * A connection that breaks counts its requests in flight as faults and is
 * opened again a little later.  When no reply at all came for the time-out,
 * the phase ends (gave_up).
 *
 * Thread rule: a driver is one thread's at a time, but for driver_answered().
 */
#ifndef DOZO_BENCH_DRIVER_H
#define DOZO_BENCH_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "bench/fault.h"
#include "bench/plan.h"
#include "bench/target.h"

struct driver;

/* What a driver does between two points at which nothing is in flight. */
struct phase {
	bool populate; /* set the keys from `from` to `until` - 1 */
	uint64_t from;
	uint64_t until;
	struct plan_span span; /* else by the plan, for so long or so many */
	double rate;           /* this driver's share; 0: closed loop */
	double lag;            /* of its first request, in intervals: 0 to 1 */
};

struct tally {
	uint64_t requests; /* answered, rightly or not */
	uint64_t hits;
	uint64_t misses;
	uint64_t stored;
	uint64_t connects;
	uint64_t unsent; /* open loop: due, and not sent by the end */
	uint64_t start_ns;
	uint64_t stop_ns;
	bool gave_up;
	struct faults faults;
	struct histogram latency; /* nanoseconds */
};

/*
 * The index-th of plan->threads drivers; what plan, content and target point
 * to must outlive it.  NULL when memory ran out.
 */
struct driver *driver_new(const struct plan *plan,
			  const struct content *content,
			  const struct target *target, uint32_t index);
void driver_free(struct driver *d);

/* Opens its connections; false with errno when one is refused. */
bool driver_connect(struct driver *d);

/* Draws anew: the same seed gives the same requests. */
void driver_seed(struct driver *d, uint64_t seed);

/* Runs a phase; the tally is the driver's until the next. */
const struct tally *driver_run(struct driver *d, const struct phase *phase);

/* Requests answered in this phase so far.  Any thread. */
uint64_t driver_answered(const struct driver *d);

#endif
