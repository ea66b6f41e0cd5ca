/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Statistics: the figures of the node summed into one plain struct, and the
 * tables that give them their names.
 */
#ifndef DOZO_NODE_STATS_H
#define DOZO_NODE_STATS_H

#include <stdint.h>
#include <sys/resource.h>

#include "log/log.h"
#include "node/watch.h"
#include "node/worker.h"
#include "persist/keeper.h"
#include "store/store.h"

struct node;

/* Everything that a table below can show, in one moment's reading. */
struct stats_figures {
#define COUNTER(name) uint64_t name;
#include "node/counters.def"
#undef COUNTER
	struct store_stats store;
	struct watch_totals watch;
	struct rusage usage;
	uint64_t zero;
	uint64_t pid;
	uint64_t uptime_s;
	uint64_t time_s;
	uint64_t pointer_bits;
	uint64_t max_connections;
	uint64_t curr_connections;
	uint64_t total_connections;
	uint64_t rejected_connections;
	uint64_t reserved_fds;
	uint64_t accepting;
	uint64_t listen_disabled;
	uint64_t listen_disabled_us;
	uint64_t threads;
	uint64_t queued_bytes;
	uint64_t hash_power_level;
	uint64_t crawls_running;
	uint64_t crawls_started;
	uint64_t malloc_fails;
	uint64_t loop_turns;
	uint64_t loop_guard_closed;
	uint64_t loop_messages;
	uint64_t watchdog_stalls;
	uint64_t lsn;
	uint64_t flush_pending;
	uint64_t read_only; /* 1: changes cannot be kept, and are refused */
	struct keeper_stats keeper;
	struct log_stats log;
	uint64_t snapshot_running;
};

/* Any thread; `now_s` is the store's time. */
void stats_read(struct node *n, uint32_t now_s, struct stats_figures *out);

/* Counters to 0, gauges stay; the calling thread's figures may lag. */
void stats_reset(struct node *n);

#endif
