/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole run: threads over drivers, populate, warm-up and timed parts, in
 * rounds that alternate between one server and, when there is a second, the
 * other; and the figures that come of it.
 *
 * A server's processor time is read when nothing is in flight, before and
 * after the timed part.
 */
#ifndef DOZO_BENCH_TRIAL_H
#define DOZO_BENCH_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/fault.h"
#include "bench/plan.h"
#include "bench/target.h"

enum { TRIAL_SERVERS_MAX = 2, TRIAL_WHY_ROOM = 256 };

/* Of one round, or the medians of several; times are microseconds. */
struct figures {
	double requests;
	double seconds;
	double requests_per_s;
	double hits;
	double misses;
	double stored;
	double connects;
	double unsent;
	double cpu_us; /* of the server for each request; below 0: unknown */
	double mean_us;
	double p50_us;
	double p90_us;
	double p99_us;
	double p999_us;
	double p9999_us;
	double max_us;
};

struct round {
	struct figures figures;
	struct faults faults;
};

struct trial_server {
	struct target target;
	bool silent; /* no reply at all for the time-out */
	bool populated;
	struct round populate;
	struct round *rounds; /* plan->rounds; `done` of them count */
	uint32_t done;
	struct figures median;
	struct faults warmup_faults; /* of all warm-ups */
};

struct trial {
	const struct plan *plan;
	struct content content;
	struct trial_server servers[TRIAL_SERVERS_MAX];
	uint32_t server_count;
	bool progress; /* a line on standard error */
	char why[TRIAL_WHY_ROOM];
};

/*
 * The plan must outlive the trial; targets are copied.  False when memory ran
 * out.  Either way trial_release() ends it.
 */
bool trial_init(struct trial *t, const struct plan *plan,
		const struct target *targets, uint32_t count);
void trial_release(struct trial *t);

/*
 * Runs all.  False when it could not be made (t->why: a server refuses,
 * descriptors or memory do not suffice).  A server that falls silent ends it
 * early; that, as every other fault, is in the figures.
 */
bool trial_run(struct trial *t);

/* Every fault of every phase. */
uint64_t trial_faults(const struct trial *t);

/* The words of the first fault of a server; NULL for none. */
const char *trial_sample(const struct trial_server *s);

/* Median over rounds of the first server's figure through the second's;
 * below 0 when unknown. */
double trial_ratio(const struct trial *t,
		   double (*figure)(const struct figures *));

#endif
