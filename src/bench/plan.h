/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run of the load generator is to do: the command line in a struct.
 * Read only once it is filled.
 */
#ifndef DOZO_BENCH_PLAN_H
#define DOZO_BENCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/content.h"
#include "bench/dialect.h"

enum { PLAN_CPUS_MAX = 256, PLAN_POPULATE_DEPTH = 16 };

#define PLAN_VALUE_MAX (1U << 30)

enum plan_dist { DIST_UNIFORM, DIST_ZIPF, DIST_HOT };

/* So many requests, or so long; 0 where the other one counts. */
struct plan_span {
	uint64_t requests;
	uint64_t ns;
};

struct plan {
	const struct dialect *dialect;
	uint32_t connections;
	uint32_t threads;
	uint32_t depth;    /* requests in flight on each connection */
	uint32_t multiget; /* keys of each get */
	uint32_t get_share;
	uint32_t set_share;
	uint64_t first; /* number of the first key */
	uint64_t keys;
	uint32_t key_size;
	enum plan_dist dist;
	double theta;
	struct size_law sizes;
	uint32_t ttl_s;
	struct plan_span timed;
	struct plan_span warmup;
	uint32_t rounds;
	double rate; /* requests a second, open loop; 0: closed loop */
	bool populate;
	bool populate_only;
	bool look_aside;
	bool unchecked;
	uint64_t reconnect; /* requests of a connection; 0: no end */
	uint64_t seed;
	uint64_t timeout_ns;
	uint16_t cpus[PLAN_CPUS_MAX]; /* the threads' processors, in turn */
	size_t cpu_count;             /* 0: any */
};

#endif
