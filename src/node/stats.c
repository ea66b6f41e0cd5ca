/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and resetting figures.
 *
 * A worker's counters have one writer, so a reset must not write them: it
 * remembers what they stood at, and readings subtract that.
 */
#include <string.h>
#include <unistd.h>

#include "node/node_state.h"
#include "node/stats.h"

/* Descriptors a worker keeps for itself: its loop and its wake-up. */
enum { FDS_PER_THREAD = 2, FDS_COMMON = 6 };

static void sum_workers(struct node *n, struct stats_figures *out)
{
	for (uint32_t i = 0; i < n->worker_count; i++) {
		struct worker_counters *c = &n->workers[i].counters;
		const struct io_loop_stats *loop =
			io_loop_stats(n->workers[i].loop);

#define COUNTER(name) out->name += counter_read(&c->name);
#include "node/counters.def"
#undef COUNTER
		out->loop_turns += counter_read(&loop->turns);
		out->loop_guard_closed += counter_read(&loop->guard_closed);
		out->loop_messages += counter_read(&loop->messages);
	}
}

static void subtract_base(struct node *n, struct stats_figures *out)
{
	const struct stats_base *base = &n->stats_base;

#define COUNTER(name)                                                          \
	out->name -= atomic_load_explicit(&base->name, memory_order_relaxed);
#include "node/counters.def"
#undef COUNTER
}

/* The power of two that the table's slots come to. */
static uint64_t power_level(uint64_t slots)
{
	uint64_t level = 0;

	while ((1ULL << level) < slots) {
		level++;
	}
	return level;
}

static void read_keeping(struct node *n, struct stats_figures *out)
{
	const struct keeping *k = &n->keeping;

	if (k->keeper != NULL) {
		out->read_only = atomic_load(&k->failed);
		keeper_stats(k->keeper, &out->keeper);
		log_stats(k->log, &out->log);
		out->snapshot_running = out->keeper.snapshot_running;
	}
}

void stats_read(struct node *n, uint32_t now_s, struct stats_figures *out)
{
	memset(out, 0, sizeof(*out));
	/* First the base: what is read later is not below it. */
	subtract_base(n, out);
	sum_workers(n, out);
	store_stats(n->store, &out->store);
	watch_totals(&n->watch, &out->watch);
	getrusage(RUSAGE_SELF, &out->usage);
	out->pid = (uint64_t)getpid();
	out->time_s = now_s;
	out->uptime_s = now_s - n->started_s;
	out->pointer_bits = 8 * sizeof(void *);
	out->max_connections = n->settings->max_connections;
	out->curr_connections = atomic_load(&n->connections);
	out->total_connections = atomic_load(&n->total_connections);
	out->rejected_connections = atomic_load(&n->rejected_connections);
	out->reserved_fds = FDS_COMMON + FDS_PER_THREAD * n->worker_count;
	out->accepting = atomic_load(&n->acceptor.accepting);
	out->listen_disabled = atomic_load(&n->acceptor.disabled_count);
	out->listen_disabled_us = atomic_load(&n->acceptor.disabled_us);
	out->threads = n->worker_count;
	out->queued_bytes = atomic_load(&n->queued_bytes);
	out->hash_power_level = power_level(out->store.table_slots);
	out->crawls_running = atomic_load(&n->dumps_running);
	out->crawls_started = atomic_load(&n->dumps_started);
	out->malloc_fails = out->read_buf_oom + out->response_obj_oom;
	out->loop_guard_closed +=
		counter_read(&io_loop_stats(n->loop)->guard_closed);
	out->watchdog_stalls = atomic_load(&n->control.stalls);
	out->lsn = store_lsn(n->store);
	out->flush_pending = out->store.flush_pending;
	read_keeping(n, out);
}

void stats_reset(struct node *n)
{
	struct stats_figures now;

	memset(&now, 0, sizeof(now));
	sum_workers(n, &now);
#define COUNTER(name)                                                          \
	atomic_store_explicit(&n->stats_base.name, now.name,                   \
			      memory_order_relaxed);
#include "node/counters.def"
#undef COUNTER
	atomic_store(&n->total_connections, 0);
	atomic_store(&n->rejected_connections, 0);
	atomic_store(&n->acceptor.disabled_count, 0);
	atomic_store(&n->acceptor.disabled_us, 0);
	atomic_store(&n->dumps_started, 0);
	store_stats_reset(n->store);
	watch_totals_reset(&n->watch);
	prefix_clear(&n->prefixes);
}
