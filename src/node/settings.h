/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the operator asked for: one plain struct, filled by the command line,
 * read by everything else, and shown by `stats settings`.  Constant once the
 * threads run, but for what is marked as changing.
 */
#ifndef DOZO_NODE_SETTINGS_H
#define DOZO_NODE_SETTINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ADDRESSES_MAX = 64,
	LISTENERS_MAX = 2 * ADDRESSES_MAX, /* a name may have two families */
};

/* The release of memcached whose behaviour this server has. */
#define SETTINGS_VERSION "1.6.45"

struct settings {
	/* Where to listen. */
	int tcp_port;          /* -p; 0: no TCP; -1: a free one */
	int udp_port;          /* -U as given, for stats; not served */
	const char *inter;     /* -l as given; NULL for none given */
	const char *unix_path; /* -s */
	unsigned unix_mask;    /* -a */
	int backlog;           /* -b */
	bool ascii_only;       /* -B ascii */

	/* Connections. */
	uint32_t max_connections; /* -c */
	bool maxconns_fast;       /* -o (no_)maxconns_fast */
	uint32_t idle_timeout_s;  /* -o idle_timeout; 0: never */
	uint32_t reqs_per_turn;   /* -R */
	uint32_t threads;         /* -t */

	/* Memory. */
	uint64_t memory_limit;   /* -m, bytes */
	uint64_t item_max;       /* -I, bytes */
	bool evict;              /* not -M */
	bool use_cas;            /* not -C */
	bool huge_pages;         /* -L */
	bool lock_memory;        /* -k */
	uint64_t read_buf_limit; /* -o read_buf_mem_limit, bytes; 0: none */

	/* What is kept (all but data_dir need it). */
	const char *data_dir;        /* --data-dir, or -e; NULL: nothing */
	bool memory_file;            /* it is that of -e */
	const char *archive_dir;     /* --archive-dir; NULL: none */
	int sync;                    /* --fsync: enum sync_policy */
	uint64_t journal_file_bytes; /* --journal-size */
	uint64_t snapshot_bytes;     /* --snapshot-size; 0: by itself */
	uint32_t snapshot_every_s;   /* --snapshot-interval; 0: never */
	uint64_t log_window;         /* --log-window; bytes */

	/* What is allowed. */
	bool flush_enabled;    /* not -F */
	bool dump_enabled;     /* not -X */
	bool watch_enabled;    /* not -W */
	bool shutdown_enabled; /* -A */
	const char *auth_file; /* -Y */

	/* The process. */
	const char *user;        /* -u */
	const char *pid_file;    /* -P */
	bool daemonize;          /* -d */
	bool core_dumps;         /* -r */
	int verbosity;           /* -v (changes by the verbosity command) */
	bool relaxed_privileges; /* debug builds */

	/* What clients see. */
	const char *version;   /* --compat-version; the VERSION reply */
	char prefix_delimiter; /* -D; ':' */
	bool detail_enabled;   /* -D given: prefix statistics from the start */
	bool track_sizes;      /* -o track_sizes */

	/*
	 * memcached's tuning of slabs and LRU lists: accepted, shown in
	 * `stats settings` as given, without effect on this design.
	 */
	double growth_factor; /* -f */
	uint32_t chunk_size;  /* -n */
	uint32_t hashpower_init;
	bool slab_reassign;
	uint32_t slab_automove;
	double slab_automove_ratio;
	uint32_t slab_automove_window;
	uint32_t slab_chunk_max;
	bool lru_crawler;
	uint32_t lru_crawler_sleep;
	uint32_t lru_crawler_tocrawl;
	uint32_t tail_repair_time;
	const char *hash_algorithm;
	bool lru_maintainer;
	bool lru_segmented;
	uint32_t hot_lru_pct;
	uint32_t warm_lru_pct;
	double hot_max_factor;
	double warm_max_factor;
	bool temp_lru;
	uint32_t temporary_ttl;
	uint32_t watcher_logbuf_size; /* bytes; has an effect: watch */
	uint32_t worker_logbuf_size;  /* bytes */
	bool inline_ascii_response;
	bool drop_privileges;
};

/* memcached's defaults, and dozo's where it has its own. */
void settings_init(struct settings *s);

#endif
