/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every option there is, in the order in which -h lists them, and the few
 * that need more than a field: those functions stand first.
 *
 * memcached's options are all here, since start scripts carry them.  What
 * tunes its slabs and LRU lists is accepted, kept for `stats settings`, and
 * without effect; its ranges are kept too, so that a mistake is still found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cmd/options.h"
#include "persist/journal.h"
#include "persist/keeper.h"

#define MEMORY_MAX (INT64_C(1) << 44) /* 16 TiB: a slip, not a machine */
#define SIXTEEN_BITS 65535
#define THIRTY_ONE_BITS INT32_MAX

static bool given_tcp_port(struct options *o, const struct option_use *use)
{
	(void)use;
	o->tcp_port_given = true;
	return true;
}

static bool given_udp_port(struct options *o, const struct option_use *use)
{
	(void)use;
	o->udp_port_given = true;
	return true;
}

static bool given_conn_limit(struct options *o, const struct option_use *use)
{
	(void)use;
	o->conn_limit_given = true;
	return true;
}

static bool add_listen(struct options *o, const struct option_use *use)
{
	size_t have = o->listen != NULL ? strlen(o->listen) : 0;
	char *joined = realloc(o->listen, have + 1 + use->len + 1);

	if (joined == NULL) {
		return options_refuse(o, use, "out of memory");
	}
	if (have > 0) {
		joined[have++] = ',';
	}
	memcpy(joined + have, use->value, use->len);
	joined[have + use->len] = '\0';
	o->listen = joined;
	o->settings.inter = joined;
	return true;
}

static bool set_unix_mask(struct options *o, const struct option_use *use)
{
	unsigned mask = 0;

	for (size_t i = 0; i < use->len; i++) {
		if (use->value[i] < '0' || use->value[i] > '7') {
			return options_refuse(o, use,
					      "must be octal digits, as 0700");
		}
		mask = mask * 8 + (unsigned)(use->value[i] - '0');
		if (mask > 0777) {
			return options_refuse(o, use, "must be at most 0777");
		}
	}
	o->settings.unix_mask = mask;
	return true;
}

static bool count_verbose(struct options *o, const struct option_use *use)
{
	(void)use;
	o->settings.verbosity++;
	return true;
}

static bool set_delimiter(struct options *o, const struct option_use *use)
{
	if (use->len != 1) {
		return options_refuse(o, use, "must be one character");
	}
	o->settings.prefix_delimiter = use->value[0];
	o->settings.detail_enabled = true;
	return true;
}

static bool is_text(const struct option_use *use, const char *text)
{
	return strlen(text) == use->len &&
	       memcmp(text, use->value, use->len) == 0;
}

static bool set_protocol(struct options *o, const struct option_use *use)
{
	if (is_text(use, "binary")) {
		return options_refuse(o, use,
				      "the binary protocol is not built yet");
	}
	if (!is_text(use, "auto") && !is_text(use, "ascii")) {
		return options_refuse(o, use, "must be auto or ascii");
	}
	o->settings.ascii_only = is_text(use, "ascii");
	return true;
}

static bool set_version(struct options *o, const struct option_use *use)
{
	const char *at = use->value;
	uint32_t part;

	for (int i = 0; i < 3; i++) {
		size_t len = strcspn(at, ".");

		if (len > 5 || !num_parse_u32(at, len, &part) ||
		    (i == 0 && part == 0) || at[len] != (i < 2 ? '.' : '\0')) {
			return options_refuse(o, use,
					      "must be x.y.z with x at least "
					      "1: clients parse it");
		}
		at += len + 1;
	}
	return true;
}

static bool ask_help(struct options *o, const struct option_use *use)
{
	(void)use;
	o->action = OPTIONS_HELP;
	return true;
}

static bool ask_version(struct options *o, const struct option_use *use)
{
	(void)use;
	o->action = OPTIONS_VERSION;
	return true;
}

static bool ask_licence(struct options *o, const struct option_use *use)
{
	(void)use;
	o->action = OPTIONS_LICENCE;
	return true;
}

static bool set_memory_file(struct options *o, const struct option_use *use)
{
	if (o->settings.data_dir != NULL && !o->settings.memory_file) {
		return options_refuse(o, use, "does not go with --data-dir");
	}
	o->settings.memory_file = true;
	o->settings.data_dir = use->value;
	return true;
}

static bool set_data_dir(struct options *o, const struct option_use *use)
{
	if (o->settings.memory_file) {
		return options_refuse(o, use, "does not go with -e");
	}
	o->settings.data_dir = use->value;
	return true;
}

static bool set_sync(struct options *o, const struct option_use *use)
{
	static const struct {
		const char *name;
		enum sync_policy policy;
	} words[] = { { "always", SYNC_ALWAYS },
		      { "everysec", SYNC_EVERYSEC },
		      { "never", SYNC_NEVER } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (is_text(use, words[i].name)) {
			o->settings.sync = (int)words[i].policy;
			o->sync_given = true;
			return true;
		}
	}
	return options_refuse(o, use, "must be always, everysec or never");
}

/* The first option given that is of no use without a data directory. */
static bool needs_data_dir(struct options *o, const struct option_use *use)
{
	if (o->needs_data_dir[0] == '\0') {
		snprintf(o->needs_data_dir, sizeof(o->needs_data_dir), "%s",
			 use->shown);
	}
	return true;
}

static bool set_automove(struct options *o, const struct option_use *use)
{
	if (use->value == NULL) {
		o->settings.slab_automove = 1;
	}
	return true;
}

static bool clear_automove(struct options *o, const struct option_use *use)
{
	(void)use;
	o->settings.slab_automove = 0;
	return true;
}

static bool set_hash_algorithm(struct options *o, const struct option_use *use)
{
	static const char *const names[] = { "jenkins", "murmur3", "xxh3" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (is_text(use, names[i])) {
			o->settings.hash_algorithm = names[i];
			return true;
		}
	}
	return options_refuse(o, use, "must be jenkins, murmur3 or xxh3");
}

static bool set_maintainer(struct options *o, const struct option_use *use)
{
	(void)use;
	o->settings.lru_segmented = o->settings.lru_maintainer;
	return true;
}

static bool set_temporary_ttl(struct options *o, const struct option_use *use)
{
	(void)use;
	o->settings.temp_lru = true;
	return true;
}

static bool unset_chunks(struct options *o, const struct option_use *use)
{
	(void)use;
	o->settings.slab_chunk_max = 1 * MIB;
	return true;
}

/* memcached's defaults of the 1.4 series. */
static bool set_old_defaults(struct options *o, const struct option_use *use)
{
	struct settings *s = &o->settings;

	(void)use;
	s->maxconns_fast = false;
	s->slab_reassign = false;
	s->slab_automove = 0;
	s->slab_chunk_max = 1 * MIB;
	s->lru_crawler = false;
	s->hash_algorithm = "jenkins";
	s->lru_maintainer = false;
	s->lru_segmented = false;
	return true;
}

/* Where a value goes. */
#define FIELD(f)                                                               \
	.field = offsetof(struct settings, f),                                 \
	.width = sizeof(((struct settings *)0)->f)

/* Shapes that many entries have. */
#define FLAG(l, n) .letter = (l), .name = (n), .home = OPTION_FLAG
#define WORD(n) .name = (n), .home = OPTION_WORD
#define IDLE_FLAG(l, n) FLAG(l, n), .effect = OPTION_IDLE
#define IDLE(n) WORD(n), .effect = OPTION_IDLE
#define REFUSED(n, why)                                                        \
	{                                                                      \
		WORD(n), .effect = OPTION_REFUSED, .kind = OPTION_TEXT,        \
			 .value_name = "<value>", .help = (why)                \
	}
#define NUMBER(low, high)                                                      \
	.kind = OPTION_NUMBER, .value_name = "<num>", .min = (low),            \
	.max = (high)
#define REAL(low, high)                                                        \
	.kind = OPTION_REAL, .value_name = "<num>", .above = (low),            \
	.below = (high)
#define TEXT(name) .kind = OPTION_TEXT, .value_name = (name)

static const char no_tls[] = "TLS is not built yet";
static const char no_flash[] = "external storage is not built";
static const char no_proxy[] = "there is no proxy in dozo";

const struct option_entry option_table[] = {
	{ FLAG('p', "port"), NUMBER(-1, SIXTEEN_BITS), FIELD(tcp_port),
	  .apply = given_tcp_port,
	  .help = "TCP port to listen on (default: 11211);\n"
		  "0 is none, -1 any free one" },
	{ FLAG('U', "udp-port"), NUMBER(-1, SIXTEEN_BITS), FIELD(udp_port),
	  .apply = given_udp_port,
	  .help = "UDP port; datagrams are not served yet, so any but 0\n"
		  "only warns; without -p the TCP port too" },
	{ FLAG('s', "unix-socket"), TEXT("<file>"), FIELD(unix_path),
	  .help = "unix socket to listen on, instead of TCP" },
	{ FLAG('a', "unix-mask"), TEXT("<mask>"), .apply = set_unix_mask,
	  .help = "access mode of the unix socket, octal (default: 0700)" },
	{ FLAG('l', "listen"), TEXT("<addr>"), .apply = add_listen,
	  .help = "addresses to listen on, with a port or without, comma\n"
		  "separated or repeated: 10.0.0.1,[::1]:11222; * is all\n"
		  "(default: 127.0.0.1 and ::1)" },
	{ FLAG('b', "listen-backlog"), NUMBER(0, THIRTY_ONE_BITS),
	  FIELD(backlog),
	  .help = "connections waiting to be accepted (default: 1024)" },
	{ FLAG('B', "protocol"), TEXT("<name>"), .apply = set_protocol,
	  .help = "auto or ascii (default: auto)" },
	{ FLAG('A', "enable-shutdown"), .kind = OPTION_TRUE,
	  FIELD(shutdown_enabled), .help = "allow the shutdown command" },
	{ FLAG('c', "conn-limit"), NUMBER(1, THIRTY_ONE_BITS),
	  FIELD(max_connections), .apply = given_conn_limit,
	  .help = "connections at the same time (default: 1024)" },
	{ FLAG('t', "threads"), NUMBER(1, THREADS_MAX), FIELD(threads),
	  .help = "worker threads (default: 4)" },
	{ FLAG('R', "max-reqs-per-event"), NUMBER(1, THIRTY_ONE_BITS),
	  FIELD(reqs_per_turn),
	  .help = "requests of a connection before another one has its turn\n"
		  "(default: 64)" },
	{ FLAG('m', "memory-limit"), .kind = OPTION_SIZE, .value_name = "<num>",
	  .min = (int64_t)MIB, .max = MEMORY_MAX, .unit = (int64_t)MIB,
	  FIELD(memory_limit),
	  .help = "memory for items in MiB, or with m or g (default: 64)" },
	{ FLAG('M', "disable-evictions"), .kind = OPTION_FALSE, FIELD(evict),
	  .help = "answer an error when memory is full; evict nothing" },
	{ FLAG('I', "max-item-size"), .kind = OPTION_SIZE,
	  .value_name = "<num>", .min = (int64_t)ITEM_MAX_MIN,
	  .max = (int64_t)ITEM_MAX_MAX, .unit = 1, FIELD(item_max),
	  .help = "largest item in bytes, or with k, m or g (default: 1m;\n"
		  "1k to 1g, at most half of -m)" },
	{ FLAG('C', "disable-cas"), .kind = OPTION_FALSE, FIELD(use_cas),
	  .help = "no cas numbers" },
	{ FLAG('L', "enable-largepages"), .kind = OPTION_TRUE,
	  FIELD(huge_pages), .help = "huge pages for items below -m 32 too" },
	{ FLAG('k', "lock-memory"), .kind = OPTION_TRUE, FIELD(lock_memory),
	  .help = "keep all memory out of swap" },
	{ FLAG('\0', "data-dir"), TEXT("<dir>"), .apply = set_data_dir,
	  .help = "keep the data there over a restart; an empty directory\n"
		  "becomes one, anything else that is not one is refused" },
	{ FLAG('\0', "fsync"), TEXT("<when>"), .apply = set_sync,
	  .help = "when what was written is made durable: always (before\n"
		  "the reply), everysec (default) or never" },
	{ FLAG('\0', "archive-dir"), TEXT("<dir>"), FIELD(archive_dir),
	  .apply = needs_data_dir,
	  .help = "where old journals and snapshots go, for recovery to a\n"
		  "point in time; without it they are removed" },
	{ FLAG('\0', "journal-size"), .kind = OPTION_SIZE,
	  .value_name = "<num>", .min = (int64_t)(64 * KIB),
	  .max = (int64_t)JOURNAL_FILE_BYTES_MAX, .unit = 1,
	  FIELD(journal_file_bytes), .apply = needs_data_dir,
	  .help = "bytes of one journal file, or with k, m or g (default:\n"
		  "64m; 64k to 256m)" },
	{ FLAG('\0', "snapshot-size"), .kind = OPTION_SIZE,
	  .value_name = "<num>", .min = (int64_t)(64 * KIB), .max = MEMORY_MAX,
	  .unit = 1, FIELD(snapshot_bytes), .apply = needs_data_dir,
	  .help = "bytes of journal after which a snapshot is taken, or\n"
		  "with k, m or g (default: as many as the last snapshot\n"
		  "holds, at least 64m)" },
	{ FLAG('\0', "snapshot-interval"), NUMBER(0, THIRTY_ONE_BITS),
	  FIELD(snapshot_every_s), .apply = needs_data_dir,
	  .help = "seconds after which a snapshot is taken if something\n"
		  "has changed (default: 0, never)" },
	{ FLAG('\0', "log-window"), .kind = OPTION_SIZE, .value_name = "<num>",
	  .min = (int64_t)LOG_WINDOW_BYTES_MIN,
	  .max = (int64_t)LOG_WINDOW_BYTES_MAX, .unit = 1, FIELD(log_window),
	  .apply = needs_data_dir,
	  .help = "bytes of changes that may wait for the disk before\n"
		  "writers wait, or with k or m (default: a 16th of -m, 4m\n"
		  "to 64m; at most a quarter of -m)" },
	{ FLAG('e', "memory-file"), TEXT("<file>"), .apply = set_memory_file,
	  .help = "as --data-dir, with --fsync=never; made if it is not\n"
		  "there" },
	{ FLAG('F', "disable-flush-all"), .kind = OPTION_FALSE,
	  FIELD(flush_enabled), .help = "refuse the flush_all command" },
	{ FLAG('X', "disable-dumping"), .kind = OPTION_FALSE,
	  FIELD(dump_enabled),
	  .help = "refuse stats cachedump and detail, lru_crawler metadump" },
	{ FLAG('W', "disable-watch"), .kind = OPTION_FALSE,
	  FIELD(watch_enabled), .help = "refuse the watch command" },
	{ FLAG('Y', "auth-file"), TEXT("<file>"), FIELD(auth_file),
	  .help = "ask clients for a user and a password of this file,\n"
		  "lines of user:password; SIGHUP reads it again" },
	{ FLAG('D', NULL), TEXT("<char>"), .apply = set_delimiter,
	  .help = "count by key prefix, which ends at this character\n"
		  "(default: : once `stats detail on` asks for it)" },
	{ FLAG('d', "daemon"), .kind = OPTION_TRUE, FIELD(daemonize),
	  .help = "run in the background, once it listens" },
	{ FLAG('u', "user"), TEXT("<user>"), FIELD(user),
	  .help = "become this user (when started by root)" },
	{ FLAG('P', "pidfile"), TEXT("<file>"), FIELD(pid_file),
	  .help = "write the process id there; with -d it is removed at "
		  "the end" },
	{ FLAG('r', "enable-coredumps"), .kind = OPTION_TRUE, FIELD(core_dumps),
	  .help = "raise the limit of core files" },
	{ FLAG('v', "verbose"), .kind = OPTION_BARE, .apply = count_verbose,
	  .help = "show connections and why they end; -vv also commands,\n"
		  "-vvv also states" },
	{ FLAG('o', "extended"), TEXT("<words>"), .apply = options_parse_words,
	  .help = "comma separated words, see below" },
	{ FLAG('\0', "compat-version"), TEXT("<x.y.z>"), FIELD(version),
	  .apply = set_version,
	  .help = "what the version command answers (default: 1.6.45)" },
	{ FLAG('h', "help"), .kind = OPTION_BARE, .apply = ask_help,
	  .help = "print this and exit" },
	{ FLAG('V', "version"), .kind = OPTION_BARE, .apply = ask_version,
	  .help = "print the version and exit" },
	{ FLAG('i', "license"), .kind = OPTION_BARE, .apply = ask_licence,
	  .help = "print the licence and exit" },

	{ IDLE_FLAG('f', "slab-growth-factor"), REAL(1, 0),
	  FIELD(growth_factor), .help = "growth from slab class to class" },
	{ IDLE_FLAG('n', "slab-min-size"), NUMBER(1, THIRTY_ONE_BITS),
	  FIELD(chunk_size), .help = "bytes of the smallest slab class" },
	{ IDLE_FLAG('N', "napi-ids"), NUMBER(1, THIRTY_ONE_BITS),
	  .help = "receive queues of the network card" },

	{ FLAG('S', "enable-sasl"), .effect = OPTION_REFUSED,
	  .kind = OPTION_BARE,
	  .help = "SASL is not built: it comes with the binary protocol" },
	{ FLAG('Z', "enable-ssl"), .effect = OPTION_REFUSED,
	  .kind = OPTION_BARE, .help = no_tls },

	{ WORD("maxconns_fast"), .kind = OPTION_TRUE, FIELD(maxconns_fast),
	  .help = "answer an error over the limit of -c and close\n"
		  "(default)" },
	{ WORD("no_maxconns_fast"), .kind = OPTION_FALSE, FIELD(maxconns_fast),
	  .help = "let connections over the limit of -c wait" },
	{ WORD("idle_timeout"), NUMBER(0, UINT32_MAX), FIELD(idle_timeout_s),
	  .help = "close a connection that asks nothing for so many\n"
		  "seconds (default: 0, never)" },
	{ WORD("read_buf_mem_limit"), NUMBER(0, 1 << 20), .unit = 1 << 20,
	  FIELD(read_buf_limit),
	  .help = "MiB for the buffers of all connections (default: 0,\n"
		  "no limit)" },
	{ WORD("watcher_logbuf_size"), NUMBER(0, 1 << 21), .unit = 1 << 10,
	  FIELD(watcher_logbuf_size),
	  .help = "KiB of lines that may wait for a watcher\n"
		  "(default: 256)" },
	{ WORD("track_sizes"), .kind = OPTION_TRUE, FIELD(track_sizes),
	  .help = "count items by size, for stats sizes" },

	{ IDLE("worker_logbuf_size"), NUMBER(0, 1 << 21), .unit = 1 << 10,
	  FIELD(worker_logbuf_size),
	  .help = "KiB of lines that may wait in a worker" },
	{ IDLE("hashpower"), NUMBER(12, 32), FIELD(hashpower_init),
	  .help = "power of two of slots in the table" },
	{ IDLE("no_hashexpand"), .help = "the table does not grow" },
	{ IDLE("slab_reassign"), .kind = OPTION_TRUE, FIELD(slab_reassign),
	  .help = "move memory between slab classes" },
	{ IDLE("no_slab_reassign"), .kind = OPTION_FALSE, FIELD(slab_reassign),
	  .help = "move no memory between slab classes" },
	{ IDLE("slab_automove"), NUMBER(0, 2), .value_optional = true,
	  FIELD(slab_automove), .apply = set_automove,
	  .help = "how eagerly memory moves" },
	{ IDLE("no_slab_automove"), .apply = clear_automove,
	  .help = "memory moves on command only" },
	{ IDLE("slab_automove_ratio"), REAL(0, 1), FIELD(slab_automove_ratio),
	  .help = "ratio of ages that moves memory" },
	{ IDLE("slab_automove_window"), NUMBER(3, THIRTY_ONE_BITS),
	  FIELD(slab_automove_window), .help = "seconds between such moves" },
	{ IDLE("slab_automove_freeratio"), REAL(0, 1),
	  .help = "memory kept free by such moves" },
	{ IDLE("slab_chunk_max"), NUMBER(1, 1 << 20), .unit = 1 << 10,
	  FIELD(slab_chunk_max), .help = "KiB of the largest slab chunk" },
	{ IDLE("slab_sizes"), TEXT("<sizes>"),
	  .help = "sizes of slab classes" },
	{ IDLE("no_chunked_items"), .apply = unset_chunks,
	  .help = "no item over several chunks" },
	{ IDLE("tail_repair_time"), NUMBER(10, THIRTY_ONE_BITS),
	  FIELD(tail_repair_time), .help = "seconds until a stuck item goes" },
	{ IDLE("hash_algorithm"), TEXT("<name>"), .apply = set_hash_algorithm,
	  .help = "jenkins, murmur3 or xxh3" },
	{ IDLE("lru_crawler"), .kind = OPTION_TRUE, FIELD(lru_crawler),
	  .help = "look for expired items in the background" },
	{ IDLE("no_lru_crawler"), .kind = OPTION_FALSE, FIELD(lru_crawler),
	  .help = "leave the crawler's names out of stats" },
	{ IDLE("lru_crawler_sleep"), NUMBER(0, 1000000),
	  FIELD(lru_crawler_sleep), .help = "microseconds between its steps" },
	{ IDLE("lru_crawler_tocrawl"), NUMBER(0, UINT32_MAX),
	  FIELD(lru_crawler_tocrawl), .help = "items in one of its runs" },
	{ IDLE("lru_maintainer"), .kind = OPTION_TRUE, FIELD(lru_maintainer),
	  .apply = set_maintainer, .help = "keep LRU lists in the background" },
	{ IDLE("no_lru_maintainer"), .kind = OPTION_FALSE,
	  FIELD(lru_maintainer), .apply = set_maintainer,
	  .help = "leave the maintainer's names out of stats" },
	{ IDLE("hot_lru_pct"), NUMBER(1, 80), FIELD(hot_lru_pct),
	  .help = "per cent of memory for the hot list" },
	{ IDLE("warm_lru_pct"), NUMBER(1, 80), FIELD(warm_lru_pct),
	  .help = "per cent of memory for the warm list" },
	{ IDLE("hot_max_factor"), REAL(0, 0), FIELD(hot_max_factor),
	  .help = "age at which items leave the hot list" },
	{ IDLE("warm_max_factor"), REAL(0, 0), FIELD(warm_max_factor),
	  .help = "age at which items leave the warm list" },
	{ IDLE("temporary_ttl"), NUMBER(0, UINT32_MAX), FIELD(temporary_ttl),
	  .apply = set_temporary_ttl,
	  .help = "seconds below which items have a list of their own" },
	{ IDLE("resp_obj_mem_limit"), NUMBER(0, 1 << 20),
	  .help = "MiB; see read_buf_mem_limit" },
	{ IDLE("inline_ascii_resp"), .kind = OPTION_TRUE,
	  FIELD(inline_ascii_response), .help = "how replies are kept" },
	{ IDLE("no_inline_ascii_resp"), .kind = OPTION_FALSE,
	  FIELD(inline_ascii_response), .help = "how replies are kept" },
	{ IDLE("modern"), .help = "defaults of the next release" },
	{ IDLE("no_modern"), .apply = set_old_defaults,
	  .help = "defaults of release 1.4; of them only\n"
		  "no_maxconns_fast has an effect" },
	{ IDLE("sock_cookie_id"), NUMBER(0, UINT32_MAX),
	  .help = "mark of sockets, for firewalls" },
	{ IDLE("drop_privileges"), .unlisted = true, .kind = OPTION_TRUE,
	  FIELD(drop_privileges), .help = "a filter of system calls" },
	{ IDLE("no_drop_privileges"), .unlisted = true, .kind = OPTION_FALSE,
	  FIELD(drop_privileges), .help = "no filter of system calls" },
#if DOZO_DEBUG_COMMANDS
	{ WORD("relaxed_privileges"), .unlisted = true, .kind = OPTION_TRUE,
	  FIELD(relaxed_privileges), .help = "for tests; does nothing" },
#else
	{ WORD("relaxed_privileges"), .effect = OPTION_REFUSED,
	  .kind = OPTION_BARE, .help = "only in builds with debug commands" },
#endif

	REFUSED("ssl_chain_cert", no_tls),
	REFUSED("ssl_key", no_tls),
	REFUSED("ssl_keyformat", no_tls),
	REFUSED("ssl_verify_mode", no_tls),
	REFUSED("ssl_ciphers", no_tls),
	REFUSED("ssl_ca_cert", no_tls),
	REFUSED("ssl_wbuf_size", no_tls),
	REFUSED("ssl_session_cache", no_tls),
	REFUSED("ssl_kernel_tls", no_tls),
	REFUSED("ssl_min_version", no_tls),
	REFUSED("ext_path", no_flash),
	REFUSED("ext_page_size", no_flash),
	REFUSED("ext_wbuf_size", no_flash),
	REFUSED("ext_threads", no_flash),
	REFUSED("ext_io_depth", no_flash),
	REFUSED("ext_item_size", no_flash),
	REFUSED("ext_item_age", no_flash),
	REFUSED("ext_low_ttl", no_flash),
	REFUSED("ext_recache_rate", no_flash),
	REFUSED("ext_compact_under", no_flash),
	REFUSED("ext_drop_under", no_flash),
	REFUSED("ext_max_sleep", no_flash),
	REFUSED("ext_max_frag", no_flash),
	REFUSED("ext_drop_unread", no_flash),
	REFUSED("proxy_config", no_proxy),
	REFUSED("proxy_uring", no_proxy),
	REFUSED("proxy_arg", no_proxy),
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);
