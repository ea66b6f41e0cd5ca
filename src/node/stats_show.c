/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The `stats` command: the figures in the words of memcached, and our own
 * under `stats dozo`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/num.h"
#include "io/sock.h"
#include "node/dump.h"
#include "node/handlers.h"
#include "node/node_state.h"
#include "node/stats.h"

static void stat_text(struct session *s, const char *name, const char *text)
{
	output_printf(s, "STAT %s %s\r\n", name, text);
}

static void stat_number(struct session *s, const char *name, uint64_t n)
{
	output_printf(s, "STAT %s %llu\r\n", name, (unsigned long long)n);
}

static void stat_bool(struct session *s, const char *name, bool yes)
{
	stat_text(s, name, yes ? "yes" : "no");
}

static void stat_ratio(struct session *s, const char *name, int digits,
		       double ratio)
{
	output_printf(s, "STAT %s %.*f\r\n", name, digits, ratio);
}

/* ---- stats ------------------------------------------------------------- */

enum stat_form { NUMBER, TIME, TEXT_VERSION, TEXT_LIBEVENT };

enum stat_when {
	ALWAYS,
	WHEN_FAST,
	WHEN_REASSIGN,
	WHEN_CRAWLER,
	WHEN_MAINTAINER,
	WHEN_IDLE_TIMEOUT,
	WHEN_KEPT, /* with --data-dir */
};

struct stat_row {
	const char *name;
	enum stat_form form;
	enum stat_when when;
	size_t offset; /* in struct stats_figures */
};

static const struct stat_row general_rows[] = {
#define STAT(name, form, field, when)                                          \
	{ #name, form, when, offsetof(struct stats_figures, field) },
#include "node/stats_general.def"
#undef STAT
};

static bool row_shown(const struct settings *set, enum stat_when when)
{
	switch (when) {
	case WHEN_FAST:
		return set->maxconns_fast;
	case WHEN_REASSIGN:
		return set->slab_reassign;
	case WHEN_CRAWLER:
		return set->lru_crawler;
	case WHEN_MAINTAINER:
		return set->lru_maintainer;
	case WHEN_IDLE_TIMEOUT:
		return set->idle_timeout_s > 0;
	case WHEN_KEPT:
		return set->data_dir != NULL;
	default:
		return true;
	}
}

static void show_row(struct session *s, const struct stat_row *row,
		     const struct stats_figures *figures)
{
	const char *at = (const char *)figures + row->offset;
	struct timeval time;
	uint64_t number;

	switch (row->form) {
	case NUMBER:
		memcpy(&number, at, sizeof(number));
		stat_number(s, row->name, number);
		break;
	case TIME:
		memcpy(&time, at, sizeof(time));
		output_printf(s, "STAT %s %ld.%06ld\r\n", row->name,
			      (long)time.tv_sec, (long)time.tv_usec);
		break;
	case TEXT_VERSION:
		stat_text(s, row->name, s->worker->node->settings->version);
		break;
	case TEXT_LIBEVENT:
		stat_text(s, row->name, "dozo-" DOZO_VERSION);
		break;
	}
}

static void show_general(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;
	struct stats_figures figures;

	(void)r;
	stats_read(n, s->worker->now_s, &figures);
	for (size_t i = 0; i < sizeof(general_rows) / sizeof(general_rows[0]);
	     i++) {
		if (row_shown(n->settings, general_rows[i].when)) {
			show_row(s, &general_rows[i], &figures);
		}
	}
	output_reply(s, REPLY_END);
}

/* ---- stats dozo -------------------------------------------------------- */

static void show_store(struct session *s, const struct store_stats *st)
{
	stat_number(s, "segment_size", st->segment_size);
	stat_number(s, "segments_free", st->segments_free);
	stat_number(s, "segments_small", st->segments_small);
	stat_number(s, "segments_main", st->segments_main);
	stat_number(s, "segments_open", st->segments_open);
	stat_number(s, "segments_held", st->segments_held);
	stat_number(s, "large_count", st->large_count);
	stat_number(s, "large_bytes", st->large_bytes);
	stat_number(s, "table_slots", st->table_slots);
	stat_number(s, "table_bytes", st->table_bytes);
	stat_number(s, "memory_used", st->memory_used);
	stat_number(s, "memory_limit", st->memory_limit);
	stat_number(s, "items_moved", st->moved);
	stat_number(s, "items_swept", st->swept);
	stat_number(s, "ghost_hits", st->ghost_hits);
	stat_number(s, "out_of_memory", st->out_of_memory);
	stat_number(s, "flush_pending", st->flush_pending);
	stat_number(s, "flush_barrier", st->barrier);
}

static void show_keeping(struct session *s, const struct stats_figures *f)
{
	static const char *const states[] = {
		[KEEPER_RUNNING] = "running",
		[KEEPER_READ_ONLY] = "read-only",
		[KEEPER_DISTRUST] = "distrust",
		[KEEPER_STOPPED] = "stopped",
	};
	const struct keeping *k = &s->worker->node->keeping;
	const struct keeper_stats *st = &f->keeper;

	stat_text(s, "journal_state", states[st->state]);
	stat_text(s, "journal_problem",
		  st->problem[0] != '\0' ? st->problem : "none");
	stat_number(s, "journal_written_lsn", st->written_lsn);
	stat_number(s, "journal_synced_lsn", st->synced_lsn);
	stat_number(s, "journal_written_bytes", st->journal_written);
	stat_number(s, "journal_syncs", st->syncs);
	stat_number(s, "journal_last_sync_us", st->last_sync_us);
	stat_number(s, "snapshot_lsn", st->snapshot_lsn);
	stat_number(s, "snapshot_time", st->snapshot_time);
	stat_number(s, "snapshot_seconds", st->snapshot_seconds);
	stat_number(s, "snapshot_bytes", st->snapshot_bytes);
	stat_number(s, "archived_files", st->archived);
	stat_number(s, "log_waiting_bytes", f->log.waiting_bytes);
	stat_number(s, "log_window_bytes", f->log.window_bytes);
	stat_number(s, "log_records", f->log.records);
	stat_number(s, "log_waits", f->log_waits);
	stat_number(s, "refused_read_only", f->refused_read_only);
	stat_number(s, "recovered_items", k->recovered_items);
	stat_number(s, "recovery_ms", k->recovery_ms);
}

static void show_dozo(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;
	struct stats_figures figures;

	(void)r;
	stats_read(n, s->worker->now_s, &figures);
	stat_text(s, "version", DOZO_VERSION);
	stat_bool(s, "debug_commands", DOZO_DEBUG_COMMANDS);
	stat_text(s, "loop", "epoll");
	stat_number(s, "lsn", figures.lsn);
	show_store(s, &figures.store);
	if (n->keeping.keeper != NULL) {
		show_keeping(s, &figures);
	}
	stat_number(s, "output_queued_bytes", figures.queued_bytes);
	stat_number(s, "turns_paused", figures.turns_paused);
	stat_number(s, "binary_refused", figures.binary_refused);
	stat_number(s, "loop_turns", figures.loop_turns);
	stat_number(s, "loop_messages", figures.loop_messages);
	stat_number(s, "loop_guard_closed", figures.loop_guard_closed);
	stat_number(s, "watchdog_stalls", figures.watchdog_stalls);
	stat_number(s, "diagnostics_lost", diag_lost());
	for (uint32_t i = 0; i < n->worker_count; i++) {
		output_printf(s, "STAT worker:%u:sessions %u\r\n", i,
			      atomic_load(&n->workers[i].session_count));
	}
	output_reply(s, REPLY_END);
}

/* ---- stats settings ---------------------------------------------------- */

static const char *or_null(const char *text)
{
	return text != NULL ? text : "NULL";
}

static void show_settings_keeping(struct session *s, const struct settings *set)
{
	static const char *const policies[] = {
		[SYNC_ALWAYS] = "always",
		[SYNC_EVERYSEC] = "everysec",
		[SYNC_NEVER] = "never",
	};

	stat_text(s, "data_dir", set->data_dir);
	stat_text(s, "fsync", policies[set->sync]);
	stat_text(s, "archive_dir", or_null(set->archive_dir));
	stat_number(s, "journal_size", set->journal_file_bytes);
	stat_number(s, "snapshot_size", set->snapshot_bytes);
	stat_number(s, "snapshot_interval", set->snapshot_every_s);
	stat_number(s, "log_window", set->log_window);
}

static void show_settings_basic(struct session *s, const struct settings *set)
{
	struct node *n = s->worker->node;

	stat_number(s, "maxbytes", budget_limit(store_budget(n->store)));
	stat_number(s, "maxconns", set->max_connections);
	output_printf(s, "STAT tcpport %d\r\n", set->tcp_port);
	output_printf(s, "STAT udpport %d\r\n", set->udp_port);
	stat_text(s, "inter", or_null(set->inter));
	output_printf(s, "STAT verbosity %d\r\n", diag_verbosity());
	stat_number(s, "oldest", 0);
	stat_text(s, "evictions", set->evict ? "on" : "off");
	stat_text(s, "domain_socket", or_null(set->unix_path));
	output_printf(s, "STAT umask %o\r\n", set->unix_mask);
	stat_bool(s, "shutdown_command", set->shutdown_enabled);
	stat_ratio(s, "growth_factor", 2, set->growth_factor);
	stat_number(s, "chunk_size", set->chunk_size);
	stat_number(s, "num_threads", set->threads);
	stat_number(s, "num_threads_per_udp", set->threads);
	output_printf(s, "STAT stat_key_prefix %c\r\n", set->prefix_delimiter);
	stat_bool(s, "detail_enabled", atomic_load(&n->prefixes.on));
	stat_number(s, "reqs_per_event", set->reqs_per_turn);
	stat_bool(s, "cas_enabled", set->use_cas);
	output_printf(s, "STAT tcp_backlog %d\r\n", set->backlog);
	stat_text(s, "binding_protocol",
		  set->ascii_only ? "ascii" : "auto-negotiate");
	stat_bool(s, "auth_enabled_sasl", false);
	stat_text(s, "auth_enabled_ascii",
		  set->auth_file != NULL ? set->auth_file : "no");
	stat_number(s, "item_size_max", set->item_max);
	stat_bool(s, "maxconns_fast", set->maxconns_fast);
}

static void show_settings_tuning(struct session *s, const struct settings *set)
{
	struct node *n = s->worker->node;
	struct tuning_values tuning = tuning_read(&n->tuning);

	stat_number(s, "hashpower_init", set->hashpower_init);
	stat_bool(s, "slab_reassign", set->slab_reassign);
	stat_number(s, "slab_automove", tuning.slab_automove);
	stat_ratio(s, "slab_automove_ratio", 2, tuning.slab_automove_ratio);
	stat_number(s, "slab_automove_window", tuning.slab_automove_window);
	stat_number(s, "slab_chunk_max", set->slab_chunk_max);
	stat_bool(s, "lru_crawler", tuning.lru_crawler);
	stat_number(s, "lru_crawler_sleep", tuning.crawler_sleep);
	stat_number(s, "lru_crawler_tocrawl", tuning.crawler_tocrawl);
	stat_number(s, "tail_repair_time", set->tail_repair_time);
	stat_bool(s, "flush_enabled", set->flush_enabled);
	stat_bool(s, "dump_enabled", set->dump_enabled);
	stat_text(s, "hash_algorithm", set->hash_algorithm);
	stat_bool(s, "lru_maintainer_thread", set->lru_maintainer);
	stat_bool(s, "lru_segmented", tuning.lru_segmented);
	stat_number(s, "hot_lru_pct", tuning.hot_lru_pct);
	stat_number(s, "warm_lru_pct", tuning.warm_lru_pct);
	stat_ratio(s, "hot_max_factor", 2, tuning.hot_max_factor);
	stat_ratio(s, "warm_max_factor", 2, tuning.warm_max_factor);
	stat_bool(s, "temp_lru", tuning.temp_lru);
	stat_number(s, "temporary_ttl", tuning.temporary_ttl);
	stat_number(s, "idle_timeout", set->idle_timeout_s);
	stat_number(s, "watcher_logbuf_size", set->watcher_logbuf_size);
	stat_number(s, "worker_logbuf_size", set->worker_logbuf_size);
	stat_number(s, "read_buf_mem_limit", set->read_buf_limit);
	stat_bool(s, "track_sizes", set->track_sizes);
	stat_bool(s, "inline_ascii_response", set->inline_ascii_response);
	stat_number(s, "num_napi_ids", 0);
	stat_text(s, "memory_file",
		  set->memory_file ? set->data_dir : "(null)");
	stat_number(s, "client_flags_size", sizeof(uint32_t));
}

static void show_settings(struct session *s, const struct request *r)
{
	const struct settings *set = s->worker->node->settings;

	(void)r;
	show_settings_basic(s, set);
	show_settings_tuning(s, set);
	if (set->data_dir != NULL) {
		show_settings_keeping(s, set);
	}
	output_reply(s, REPLY_END);
}

/* ---- stats items, slabs, sizes, cachedump ------------------------------ */

/*
 * One class holds everything here.  Of the three LRU lists, small is what
 * memcached calls hot and main what it calls cold; their counts are not
 * kept apart.
 */
static void show_items(struct session *s, const struct request *r)
{
	static const char *const zeros[] = {
		"number_hot", "number_warm", "number_cold",
		"age_hot",    "age_warm",    "age",
	};
	static const char *const tail_zeros[] = {
		"lrutail_reflocked", "moves_to_cold",   "moves_to_warm",
		"moves_within_lru",  "direct_reclaims", "hits_to_hot",
		"hits_to_warm",      "hits_to_cold",    "hits_to_temp",
	};
	struct store_stats st;
	char name[64];

	(void)r;
	store_stats(s->worker->node->store, &st);
	if (st.items == 0) {
		output_reply(s, REPLY_END);
		return;
	}
	stat_number(s, "items:1:number", st.items);
	for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
		snprintf(name, sizeof(name), "items:1:%s", zeros[i]);
		stat_number(s, name, 0);
	}
	stat_number(s, "items:1:mem_requested", st.item_bytes);
	stat_number(s, "items:1:evicted", st.evictions);
	stat_number(s, "items:1:evicted_nonzero", 0);
	stat_number(s, "items:1:evicted_time", 0);
	stat_number(s, "items:1:outofmemory", st.out_of_memory);
	stat_number(s, "items:1:tailrepairs", 0);
	stat_number(s, "items:1:reclaimed", st.reclaimed);
	stat_number(s, "items:1:expired_unfetched", st.expired_unfetched);
	stat_number(s, "items:1:evicted_unfetched", st.evicted_unfetched);
	stat_number(s, "items:1:evicted_active", st.evicted_active);
	stat_number(s, "items:1:crawler_reclaimed", st.swept);
	stat_number(s, "items:1:crawler_items_checked", st.items_checked);
	for (size_t i = 0; i < sizeof(tail_zeros) / sizeof(tail_zeros[0]);
	     i++) {
		snprintf(name, sizeof(name), "items:1:%s", tail_zeros[i]);
		stat_number(s, name, 0);
	}
	output_reply(s, REPLY_END);
}

/* A "page" is a segment and a "chunk" an item. */
static void show_slabs(struct session *s, const struct request *r)
{
	struct stats_figures f;
	uint64_t segments;

	(void)r;
	stats_read(s->worker->node, s->worker->now_s, &f);
	segments = f.store.segments_small + f.store.segments_main +
		   f.store.segments_open + f.store.segments_free;
	if (f.store.items > 0) {
		stat_number(s, "1:chunk_size",
			    f.store.item_bytes / f.store.items);
		stat_number(s, "1:chunks_per_page",
			    segments == 0 ? 0 : f.store.items / segments);
		stat_number(s, "1:total_pages", segments);
		stat_number(s, "1:total_chunks", f.store.items);
		stat_number(s, "1:used_chunks", f.store.items);
		stat_number(s, "1:free_chunks", 0);
		stat_number(s, "1:free_chunks_end", 0);
		stat_number(s, "1:get_hits", f.get_hits);
		stat_number(s, "1:cmd_set", f.cmd_set);
		stat_number(s, "1:delete_hits", f.delete_hits);
		stat_number(s, "1:incr_hits", f.incr_hits);
		stat_number(s, "1:decr_hits", f.decr_hits);
		stat_number(s, "1:cas_hits", f.cas_hits);
		stat_number(s, "1:cas_badval", f.cas_badval);
		stat_number(s, "1:touch_hits", f.touch_hits);
	}
	stat_number(s, "active_slabs", f.store.items > 0);
	stat_number(s, "total_malloced",
		    segments * f.store.segment_size + f.store.large_bytes);
	output_reply(s, REPLY_END);
}

static void show_sizes(struct session *s, const struct request *r)
{
	(void)r;
	if (!s->worker->node->settings->track_sizes) {
		stat_text(s, "sizes_status", "disabled");
		output_reply(s, REPLY_END);
	} else if (atomic_load(&s->worker->node->dumps_running) >= DUMPS_MAX ||
		   !dump_start(s, DUMP_SIZES)) {
		output_reply(s, REPLY_NO_MEMORY_STATS);
	} else {
		dump_continue(s);
	}
}

static void show_cachedump(struct session *s, const struct request *r)
{
	uint32_t class_id;
	uint32_t limit;

	if (!s->worker->node->settings->dump_enabled) {
		output_text(s, "CLIENT_ERROR stats cachedump not allowed\r\n");
	} else if (r->word_count < 4) {
		output_text(s, "CLIENT_ERROR bad command line\r\n");
	} else if (!num_parse_u32(r->words[2].data, r->words[2].len,
				  &class_id) ||
		   !num_parse_u32(r->words[3].data, r->words[3].len, &limit)) {
		output_reply(s, REPLY_BAD_FORMAT);
	} else if (class_id > 63) {
		output_text(s, "CLIENT_ERROR Illegal slab id\r\n");
	} else if (class_id != CLASS_ITEMS) {
		output_reply(s, REPLY_END);
	} else {
		dump_cache(s, limit);
	}
}

/* ---- stats conns ------------------------------------------------------- */

static const char *state_name(const struct session *s)
{
	static const char *const names[] = {
		[SESSION_READ] = "conn_read",
		[SESSION_PARSE] = "conn_parse_cmd",
		[SESSION_VALUE] = "conn_nread",
		[SESSION_SWALLOW] = "conn_swallow",
		[SESSION_SEND] = "conn_mwrite",
		[SESSION_WATCH] = "conn_watch",
		[SESSION_CLOSING] = "conn_closing",
	};

	return names[atomic_load_explicit(&s->state, memory_order_relaxed)];
}

/* Ends an answer that was gathered on the heap. */
static void show_gathered(struct session *s, struct buf *text, bool end)
{
	output_prepare(s);
	if (text->failed) {
		output_reply(s, REPLY_NO_MEMORY_STATS);
	} else {
		output_bytes(s, text->data, text->len);
		if (end) {
			output_reply(s, REPLY_END);
		}
	}
	buf_release(text);
}

/* The lock of a worker's list keeps its descriptors open meanwhile. */
static void gather_conns(struct buf *out, struct worker *w, uint32_t now_s)
{
	lock_take(&w->sessions_lock);
	list_each(link, &w->sessions)
	{
		struct session *s = list_entry(link, struct session, link);
		uint32_t active_s = atomic_load_explicit(&s->active_s,
							 memory_order_relaxed);
		char peer[SOCK_ADDR_TEXT];
		char local[SOCK_ADDR_TEXT];
		int fd = s->stream.fd;

		sock_format_peer(fd, peer, sizeof(peer));
		sock_format_local(fd, local, sizeof(local));
		buf_printf(out,
			   "STAT %d:addr %s\r\nSTAT %d:listen_addr %s\r\n"
			   "STAT %d:state %s\r\n"
			   "STAT %d:secs_since_last_cmd %u\r\n",
			   fd, peer, fd, local, fd, state_name(s), fd,
			   now_s > active_s ? now_s - active_s : 0);
	}
	lock_give(&w->sessions_lock);
}

static void show_conns(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;
	uint32_t now_s = s->worker->now_s;
	struct buf text = { 0 };

	(void)r;
	for (int i = 0; i < n->acceptor.count; i++) {
		const struct acceptor_listener *l = &n->acceptor.listeners[i];

		buf_printf(&text,
			   "STAT %d:addr %s\r\nSTAT %d:state conn_listening"
			   "\r\nSTAT %d:secs_since_last_cmd %u\r\n",
			   l->fd, l->address, l->fd, l->fd,
			   now_s - n->started_s);
	}
	for (uint32_t i = 0; i < n->worker_count; i++) {
		gather_conns(&text, &n->workers[i], now_s);
	}
	show_gathered(s, &text, true);
}

/* ---- stats detail, reset, and the rest --------------------------------- */

static void show_prefixes(struct session *s)
{
	struct buf text = { 0 };

	prefix_dump(&s->worker->node->prefixes, &text);
	show_gathered(s, &text, false);
}

static void show_detail(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;

	if (!n->settings->dump_enabled) {
		output_text(s, "CLIENT_ERROR stats detail not allowed\r\n");
	} else if (r->word_count > 2 && span_is(r->words[2], "on")) {
		atomic_store(&n->prefixes.on, true);
		output_reply(s, REPLY_OK);
	} else if (r->word_count > 2 && span_is(r->words[2], "off")) {
		atomic_store(&n->prefixes.on, false);
		output_reply(s, REPLY_OK);
	} else if (r->word_count > 2 && span_is(r->words[2], "dump")) {
		show_prefixes(s);
	} else {
		output_text(s, "CLIENT_ERROR usage: stats detail on|off|dump"
			       "\r\n");
	}
}

static void show_reset(struct session *s, const struct request *r)
{
	(void)r;
	stats_reset(s->worker->node);
	output_reply(s, REPLY_RESET);
}

/* Features that are not built in have no figures. */
static void show_nothing(struct session *s, const struct request *r)
{
	(void)r;
	output_reply(s, REPLY_END);
}

static const struct {
	const char *name;
	void (*show)(struct session *s, const struct request *r);
} stats_kinds[] = {
	{ "settings", show_settings }, { "items", show_items },
	{ "slabs", show_slabs },       { "sizes", show_sizes },
	{ "conns", show_conns },       { "detail", show_detail },
	{ "reset", show_reset },       { "cachedump", show_cachedump },
	{ "dozo", show_dozo },         { "extstore", show_nothing },
	{ "proxy", show_nothing },     { "proxyfuncs", show_nothing },
	{ "proxybe", show_nothing },
};

void handle_stats(struct session *s, const struct request *r)
{
	worker_spend_turn(s->worker);
	if (r->word_count == 1) {
		show_general(s, r);
		return;
	}
	for (size_t i = 0; i < sizeof(stats_kinds) / sizeof(stats_kinds[0]);
	     i++) {
		if (span_is(r->words[1], stats_kinds[i].name)) {
			stats_kinds[i].show(s, r);
			return;
		}
	}
	output_reply(s, REPLY_ERROR);
}
