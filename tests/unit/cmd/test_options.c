/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line as tables: what each option sets, in its short and its
 * long form, and what each mistake is told.  Two tests go through the table
 * of options itself, so that a new entry without a row here is noticed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arguments.h"
#include "base/limits.h"
#include "base/rand.h"
#include "cmd/options.h"
#include "persist/keeper.h"

enum expect { NUMBER, REAL, TEXT, NOTHING };

/* One option, as it is given and what it sets. */
struct row {
	const char *letter;    /* "-p", or "" */
	const char *long_name; /* "--port", or "" */
	const char *value;     /* "" for none */
	enum expect expect;
	size_t field;
	size_t width;
	uint64_t number;
	double real;
	const char *text;
};

#define FIELD(f)                                                               \
	.field = offsetof(struct settings, f),                                 \
	.width = sizeof(((struct settings *)0)->f)
#define SETS(f, n) .expect = NUMBER, FIELD(f), .number = (uint64_t)(n)
#define SETS_REAL(f, r) .expect = REAL, FIELD(f), .real = (r)
#define SETS_TEXT(f, t) .expect = TEXT, FIELD(f), .text = (t)
#define SETS_NOTHING .expect = NOTHING
#define WORD "-o", "--extended"
#define KEPT " --data-dir /d"

static const struct row rows[] = {
	{ "-p", "--port", "11222", SETS(tcp_port, 11222) },
	{ "-p", "--port", "-1", SETS(tcp_port, (uint32_t)-1) },
	{ "-p", "--port", "65535", SETS(tcp_port, 65535) },
	{ "-U", "--udp-port", "0", SETS(udp_port, 0) },
	{ "-U", "--udp-port", "12345", SETS(udp_port, 12345) },
	{ "-s", "--unix-socket", "/run/x", SETS_TEXT(unix_path, "/run/x") },
	{ "-a", "--unix-mask", "0660", SETS(unix_mask, 0660) },
	{ "-a", "--unix-mask", "777", SETS(unix_mask, 0777) },
	{ "-l", "--listen", "::1", SETS_TEXT(inter, "::1") },
	{ "-b", "--listen-backlog", "4096", SETS(backlog, 4096) },
	{ "-b", "--listen-backlog", "0", SETS(backlog, 0) },
	{ "-B", "--protocol", "ascii", SETS(ascii_only, true) },
	{ "-B", "--protocol", "auto", SETS(ascii_only, false) },
	{ "-A", "--enable-shutdown", "", SETS(shutdown_enabled, true) },
	{ "-c", "--conn-limit", "40720", SETS(max_connections, 40720) },
	{ "-t", "--threads", "16", SETS(threads, 16) },
	{ "-R", "--max-reqs-per-event", "1", SETS(reqs_per_turn, 1) },
	{ "-m", "--memory-limit", "16000", SETS(memory_limit, 16000 * MIB) },
	{ "-m", "--memory-limit", "2G", SETS(memory_limit, 2 * GIB) },
	{ "-m", "--memory-limit", "128m", SETS(memory_limit, 128 * MIB) },
	{ "-M", "--disable-evictions", "", SETS(evict, false) },
	{ "-I", "--max-item-size", "1k", SETS(item_max, 1 * KIB) },
	{ "-I", "--max-item-size", "2M", SETS(item_max, 2 * MIB) },
	{ "-I", "--max-item-size", "32m", SETS(item_max, 32 * MIB) },
	{ "-I", "--max-item-size", "5000", SETS(item_max, 5000) },
	{ "-C", "--disable-cas", "", SETS(use_cas, false) },
	{ "-L", "--enable-largepages", "", SETS(huge_pages, true) },
	{ "-k", "--lock-memory", "", SETS(lock_memory, true) },
	{ "", "--data-dir", "/d", SETS_TEXT(data_dir, "/d") },
	{ "", "--fsync", "always" KEPT, SETS(sync, SYNC_ALWAYS) },
	{ "", "--fsync", "everysec" KEPT, SETS(sync, SYNC_EVERYSEC) },
	{ "", "--fsync", "never" KEPT, SETS(sync, SYNC_NEVER) },
	{ "", "--archive-dir", "/a" KEPT, SETS_TEXT(archive_dir, "/a") },
	{ "", "--journal-size", "64k" KEPT, SETS(journal_file_bytes, 65536) },
	{ "", "--journal-size", "256m" KEPT,
	  SETS(journal_file_bytes, 256 * MIB) },
	{ "", "--snapshot-size", "1g" KEPT, SETS(snapshot_bytes, GIB) },
	{ "", "--snapshot-interval", "60" KEPT, SETS(snapshot_every_s, 60) },
	{ "", "--log-window", "2m" KEPT, SETS(log_window, 2 * MIB) },
	{ "-e", "--memory-file", "/e", SETS_TEXT(data_dir, "/e") },
	{ "-e", "--memory-file", "/e", SETS(memory_file, true) },
	{ "-e", "--memory-file", "/e", SETS(sync, SYNC_NEVER) },
	{ "-e", "--memory-file", "/e --fsync always", SETS(sync, SYNC_ALWAYS) },
	{ "-F", "--disable-flush-all", "", SETS(flush_enabled, false) },
	{ "-X", "--disable-dumping", "", SETS(dump_enabled, false) },
	{ "-W", "--disable-watch", "", SETS(watch_enabled, false) },
	{ "-Y", "--auth-file", "users", SETS_TEXT(auth_file, "users") },
	{ "-D", "", "#", SETS(prefix_delimiter, '#') },
	{ "-D", "", ":", SETS(detail_enabled, true) },
	{ "-d", "--daemon", "", SETS(daemonize, true) },
	{ "-u", "--user", "nobody", SETS_TEXT(user, "nobody") },
	{ "-P", "--pidfile", "a.pid", SETS_TEXT(pid_file, "a.pid") },
	{ "-r", "--enable-coredumps", "", SETS(core_dumps, true) },
	{ "-v", "--verbose", "", SETS(verbosity, 1) },
	{ "", "--compat-version", "2.13.0", SETS_TEXT(version, "2.13.0") },
	{ "-f", "--slab-growth-factor", "1.1", SETS_REAL(growth_factor, 1.1) },
	{ "-n", "--slab-min-size", "96", SETS(chunk_size, 96) },
	{ "-N", "--napi-ids", "2", SETS_NOTHING },
	{ "-N", "--napi_ids", "2", SETS_NOTHING },
	{ WORD, "maxconns_fast", SETS(maxconns_fast, true) },
	{ WORD, "no_maxconns_fast", SETS(maxconns_fast, false) },
	{ WORD, "idle_timeout=300", SETS(idle_timeout_s, 300) },
	{ WORD, "read_buf_mem_limit=3", SETS(read_buf_limit, 3 * MIB) },
	{ WORD, "resp_obj_mem_limit=2", SETS_NOTHING },
	{ WORD, "watcher_logbuf_size=4", SETS(watcher_logbuf_size, 4096) },
	{ WORD, "worker_logbuf_size=9", SETS(worker_logbuf_size, 9216) },
	{ WORD, "track_sizes", SETS(track_sizes, true) },
	{ WORD, "hashpower=20", SETS(hashpower_init, 20) },
	{ WORD, "no_hashexpand", SETS_NOTHING },
	{ WORD, "slab_reassign", SETS(slab_reassign, true) },
	{ WORD, "slab_reassign=1", SETS(slab_reassign, true) },
	{ WORD, "no_slab_reassign", SETS(slab_reassign, false) },
	{ WORD, "slab_automove=2", SETS(slab_automove, 2) },
	{ WORD, "no_slab_automove,slab_automove", SETS(slab_automove, 1) },
	{ WORD, "no_slab_automove", SETS(slab_automove, 0) },
	{ WORD, "slab_automove_ratio=.3", SETS_REAL(slab_automove_ratio, 0.3) },
	{ WORD, "slab_automove_window=3", SETS(slab_automove_window, 3) },
	{ WORD, "slab_automove_freeratio=0.02", SETS_NOTHING },
	{ WORD, "slab_chunk_max=16", SETS(slab_chunk_max, 16 * KIB) },
	{ WORD, "slab_sizes=100-200-300", SETS_NOTHING },
	{ WORD, "no_chunked_items", SETS(slab_chunk_max, 1 * MIB) },
	{ WORD, "tail_repair_time=10", SETS(tail_repair_time, 10) },
	{ WORD, "hash_algorithm=xxh3", SETS_TEXT(hash_algorithm, "xxh3") },
	{ WORD, "hash_algorithm=jenkins",
	  SETS_TEXT(hash_algorithm, "jenkins") },
	{ WORD, "lru_crawler", SETS(lru_crawler, true) },
	{ WORD, "no_lru_crawler", SETS(lru_crawler, false) },
	{ WORD, "lru_crawler_sleep=0", SETS(lru_crawler_sleep, 0) },
	{ WORD, "lru_crawler_tocrawl=7", SETS(lru_crawler_tocrawl, 7) },
	{ WORD, "lru_maintainer", SETS(lru_maintainer, true) },
	{ WORD, "no_lru_maintainer", SETS(lru_maintainer, false) },
	{ WORD, "no_lru_maintainer", SETS(lru_segmented, false) },
	{ WORD, "hot_lru_pct=30", SETS(hot_lru_pct, 30) },
	{ WORD, "warm_lru_pct=60", SETS(warm_lru_pct, 60) },
	{ WORD, "hot_max_factor=0.5", SETS_REAL(hot_max_factor, 0.5) },
	{ WORD, "warm_max_factor=12", SETS_REAL(warm_max_factor, 12) },
	{ WORD, "temporary_ttl=30", SETS(temporary_ttl, 30) },
	{ WORD, "temporary_ttl=30", SETS(temp_lru, true) },
	{ WORD, "inline_ascii_resp", SETS(inline_ascii_response, true) },
	{ WORD, "no_inline_ascii_resp", SETS(inline_ascii_response, false) },
	{ WORD, "modern", SETS_NOTHING },
	{ WORD, "no_modern", SETS(maxconns_fast, false) },
	{ WORD, "sock_cookie_id=4", SETS_NOTHING },
	{ WORD, "drop_privileges", SETS(drop_privileges, true) },
	{ WORD, "no_drop_privileges", SETS(drop_privileges, false) },
#if DOZO_DEBUG_COMMANDS
	{ WORD, "relaxed_privileges", SETS(relaxed_privileges, true) },
#endif
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void check_number(const struct row *r, const void *field,
			 const char *given)
{
	uint64_t number = 0;

	memcpy(&number, field, r->width);
	if (number != r->number) {
		fail_msg("%s: %llu, not %llu", given,
			 (unsigned long long)number,
			 (unsigned long long)r->number);
	}
}

static void check_set(const struct row *r, const struct settings *s,
		      const char *given)
{
	const void *field = (const char *)s + r->field;
	double real;
	char *text;

	switch (r->expect) {
	case NUMBER:
		check_number(r, field, given);
		break;
	case REAL:
		memcpy(&real, field, sizeof(real));
		if (real < r->real - 1e-9 || real > r->real + 1e-9) {
			fail_msg("%s: %f", given, real);
		}
		break;
	case TEXT:
		memcpy(&text, field, sizeof(text));
		if (text == NULL || strcmp(text, r->text) != 0) {
			fail_msg("%s: %s", given, text);
		}
		break;
	case NOTHING:
		break;
	}
}

static void parse_row(const struct row *r, const char *given)
{
	struct arguments a;
	struct options o;

	arguments_split(&a, given);
	if (!options_parse(&o, a.argc, a.argv)) {
		fail_msg("%s: %s", given, o.problem);
	}
	assert_int_equal(o.action, OPTIONS_RUN);
	check_set(r, &o.settings, given);
	options_release(&o);
}

static void test_each_form(void **state)
{
	char given[256];

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];

		if (r->letter[0] != '\0') {
			snprintf(given, sizeof(given), "%s %s", r->letter,
				 r->value);
			parse_row(r, given);
			snprintf(given, sizeof(given), "%s%s", r->letter,
				 r->value);
			parse_row(r, given);
		}
		if (r->long_name[0] != '\0') {
			snprintf(given, sizeof(given), "%s %s", r->long_name,
				 r->value);
			parse_row(r, given);
			snprintf(given, sizeof(given), "%s%s%s", r->long_name,
				 r->value[0] != '\0' ? "=" : "", r->value);
			parse_row(r, given);
		}
	}
}

static bool has_row(const struct option_entry *e)
{
	const char letter[] = { '-', e->letter, '\0' };

	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		size_t len = strcspn(r->value, "=");

		if (e->home == OPTION_WORD) {
			if (strcmp(r->letter, "-o") == 0 &&
			    strlen(e->name) == len &&
			    strncmp(r->value, e->name, len) == 0) {
				return true;
			}
		} else if ((e->letter == '\0' ||
			    strcmp(r->letter, letter) == 0) &&
			   (e->name == NULL ||
			    (r->long_name[0] != '\0' &&
			     strcmp(r->long_name + 2, e->name) == 0))) {
			return true;
		}
	}
	return false;
}

static void test_every_option_has_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];

		if (e->effect == OPTION_REFUSED ||
		    (e->letter != '\0' && strchr("hVi", e->letter))) {
			continue;
		}
		if (!has_row(e)) {
			fail_msg("no row for %c %s", e->letter,
				 e->name != NULL ? e->name : "");
		}
	}
}

static void test_no_name_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		for (size_t j = i + 1; j < option_count; j++) {
			const struct option_entry *a = &option_table[i];
			const struct option_entry *b = &option_table[j];

			assert_false(a->letter != '\0' &&
				     a->letter == b->letter);
			assert_false(a->home == b->home && a->name != NULL &&
				     b->name != NULL &&
				     strcmp(a->name, b->name) == 0);
		}
	}
}

static void parse_good(struct options *o, struct arguments *a, const char *text)
{
	arguments_split(a, text);
	if (!options_parse(o, a->argc, a->argv)) {
		fail_msg("%s: %s", text, o->problem);
	}
}

static void test_defaults(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a, "");
	assert_int_equal(o.settings.tcp_port, 11211);
	assert_int_equal(o.settings.udp_port, 0);
	assert_null(o.settings.inter);
	assert_null(o.settings.unix_path);
	assert_int_equal(o.settings.unix_mask, 0700);
	assert_int_equal(o.settings.max_connections, 1024);
	assert_true(o.settings.maxconns_fast);
	assert_int_equal(o.settings.threads, 4);
	assert_int_equal(o.settings.reqs_per_turn, 64);
	assert_int_equal(o.settings.memory_limit, 64 * MIB);
	assert_int_equal(o.settings.item_max, 1 * MIB);
	assert_true(o.settings.evict && o.settings.use_cas);
	assert_true(o.settings.flush_enabled && o.settings.dump_enabled);
	assert_true(o.settings.watch_enabled);
	assert_false(o.settings.shutdown_enabled);
	assert_string_equal(o.settings.version, "1.6.45");
	assert_int_equal(o.settings.prefix_delimiter, ':');
	assert_int_equal(o.addresses.count, 0);
	assert_string_equal(o.idle, "");
	options_release(&o);
}

static void test_forms_mix(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a,
		   "-vvMp11222 --max-it 2m -dvC -o "
		   "idle_timeout=5,,no_maxconns_fast, --extended=hashpower=14");
	assert_int_equal(o.settings.verbosity, 3);
	assert_false(o.settings.evict);
	assert_int_equal(o.settings.tcp_port, 11222);
	assert_int_equal(o.settings.item_max, 2 * MIB);
	assert_true(o.settings.daemonize);
	assert_false(o.settings.use_cas);
	assert_int_equal(o.settings.idle_timeout_s, 5);
	assert_false(o.settings.maxconns_fast);
	assert_int_equal(o.settings.hashpower_init, 14);
	options_release(&o);

	/* The command line of a real outage. */
	parse_good(&o, &a,
		   "-p 11222 -u nobody -m 16000 -c 40720 -C -U 0 -t 4 -b 4096");
	assert_int_equal(o.settings.backlog, 4096);
	assert_true(o.conn_limit_given && o.tcp_port_given);
	options_release(&o);
}

static void test_no_modern(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a, "-o no_modern");
	assert_false(o.settings.slab_reassign);
	assert_int_equal(o.settings.slab_automove, 0);
	assert_false(o.settings.lru_crawler);
	assert_false(o.settings.lru_maintainer);
	assert_false(o.settings.lru_segmented);
	assert_string_equal(o.settings.hash_algorithm, "jenkins");
	options_release(&o);
}

static void test_udp_port_alone_is_the_tcp_port(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a, "-U 11333");
	assert_int_equal(o.settings.tcp_port, 11333);
	options_release(&o);
	parse_good(&o, &a, "-U 11333 -p 11444");
	assert_int_equal(o.settings.tcp_port, 11444);
	options_release(&o);
	parse_good(&o, &a, "-U 0");
	assert_int_equal(o.settings.tcp_port, 11211);
	options_release(&o);
}

static void test_listen_is_joined(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a, "-l 127.0.0.1,[::1]:5 -p 7 --listen=*:9");
	assert_string_equal(o.settings.inter, "127.0.0.1,[::1]:5,*:9");
	assert_int_equal(o.addresses.count, 3);
	assert_string_equal(o.addresses.items[0].host, "127.0.0.1");
	assert_int_equal(o.addresses.items[0].port, 7);
	assert_string_equal(o.addresses.items[1].host, "::1");
	assert_int_equal(o.addresses.items[1].port, 5);
	assert_string_equal(o.addresses.items[2].host, "");
	assert_int_equal(o.addresses.items[2].port, 9);
	options_release(&o);
	parse_good(&o, &a, "-l 127.0.0.1 -p -1");
	assert_int_equal(o.addresses.items[0].port, 0);
	options_release(&o);
}

static uint64_t log_window_of(const char *given)
{
	struct arguments a;
	struct options o;
	uint64_t window;

	parse_good(&o, &a, given);
	window = o.settings.log_window;
	options_release(&o);
	return window;
}

static void test_log_window_follows_memory(void **state)
{
	(void)state;
	assert_int_equal(log_window_of("--data-dir /d -m 8"), 2 * MIB);
	assert_int_equal(log_window_of("--data-dir /d -m 2"), MIB);
	assert_int_equal(log_window_of("--data-dir /d"), 4 * MIB);
	assert_int_equal(log_window_of("--data-dir /d -m 256"), 16 * MIB);
	assert_int_equal(log_window_of("--data-dir /d -m 64g"), 64 * MIB);
	assert_int_equal(log_window_of("--data-dir /d --log-window 1m"), MIB);
}

static void test_idle_options_are_named_once(void **state)
{
	struct arguments a;
	struct options o;

	(void)state;
	parse_good(&o, &a,
		   "-f 1.5 -o slab_automove_window=5,slab_automove -f 1.25 "
		   "-o slab_automove,modern -c 5");
	assert_string_equal(o.idle, "-f, -o slab_automove_window, "
				    "-o slab_automove, -o modern");
	options_release(&o);
}

static void test_actions(void **state)
{
	static const struct {
		const char *given;
		enum option_action action;
	} cases[] = {
		{ "-h", OPTIONS_HELP },
		{ "--help", OPTIONS_HELP },
		{ "-V", OPTIONS_VERSION },
		{ "--version", OPTIONS_VERSION },
		{ "-i", OPTIONS_LICENCE },
		{ "--license", OPTIONS_LICENCE },
		{ "-p 5 -vh -Q", OPTIONS_HELP },
	};
	struct arguments a;
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse_good(&o, &a, cases[i].given);
		assert_int_equal(o.action, cases[i].action);
		options_release(&o);
	}
}

static void check_refused(const char *given, const char *problem)
{
	struct arguments a;
	struct options o;

	arguments_split(&a, given);
	if (options_parse(&o, a.argc, a.argv)) {
		fail_msg("%s: accepted", given);
	}
	if (strcmp(o.problem, problem) != 0) {
		fail_msg("%s: told \"%s\", not \"%s\"", given, o.problem,
			 problem);
	}
	options_release(&o);
}

static const char *const mistakes[][2] = {
	{ "-c 0", "-c: must be at least 1 (given: 0)" },
	{ "-c -5", "-c: must be at least 1 (given: -5)" },
	{ "--conn-limit=0", "--conn-limit: must be at least 1 (given: 0)" },
	{ "-c 1x", "-c: must be a whole number (given: 1x)" },
	{ "-c 99999999999999999999",
	  "-c: must be a whole number (given: 99999999999999999999)" },
	{ "-c", "-c: needs a value (<num>)" },
	{ "--port", "--port: needs a value (<num>)" },
	{ "--port=", "--port: must be a whole number (given: )" },
	{ "-t 0", "-t: must be at least 1 (given: 0)" },
	{ "-t 257", "-t: must be at most 256 (given: 257)" },
	{ "-R 0", "-R: must be at least 1 (given: 0)" },
	{ "-b -1", "-b: must be at least 0 (given: -1)" },
	{ "-p 65536", "-p: must be at most 65535 (given: 65536)" },
	{ "-p -2", "-p: must be at least -1 (given: -2)" },
	{ "-U 65536", "-U: must be at most 65535 (given: 65536)" },
	{ "-p 0", "-p: 0 leaves nothing to listen on without -s" },
	{ "-f 1", "-f: must be more than 1 (given: 1)" },
	{ "-f 1.2.3", "-f: must be a number like 1.25 (given: 1.2.3)" },
	{ "-f nan", "-f: must be a number like 1.25 (given: nan)" },
	{ "-f -2", "-f: must be a number like 1.25 (given: -2)" },
	{ "-n 0", "-n: must be at least 1 (given: 0)" },
	{ "-N 0", "-N: must be at least 1 (given: 0)" },
	{ "-m 0", "-m: must be at least 1 (given: 0)" },
	{ "-m 1", "-I: must be at most half of -m (an item of 1048576 "
		  "bytes, memory of 1048576)" },
	{ "-m 2048k", "-m: must be a number of MiB, or one with m or g "
		      "(given: 2048k)" },
	{ "-m 99999999999g",
	  "-m: must be at most 16777216 (given: 99999999999g)" },
	{ "-I 1023", "-I: must be at least 1024 (given: 1023)" },
	{ "-I 2g -m 8192", "-I: must be at most 1073741824 (given: 2g)" },
	{ "-I 33m", "-I: must be at most half of -m (an item of "
		    "34603008 bytes, memory of 67108864)" },
	{ "--data-dir /d --log-window 17m",
	  "--log-window: must be at most a quarter of -m (17825792 bytes, "
	  "memory of 67108864)" },
	{ "-I 1q", "-I: must be a number of bytes, or one with k, m or "
		   "g (given: 1q)" },
	{ "-I k", "-I: must be a number of bytes, or one with k, m or "
		  "g (given: k)" },
	{ "-a 778", "-a: must be octal digits, as 0700 (given: 778)" },
	{ "-a 1777", "-a: must be at most 0777 (given: 1777)" },
	{ "-D ab", "-D: must be one character (given: ab)" },
	{ "-B binary", "-B: the binary protocol is not built yet "
		       "(given: binary)" },
	{ "-B text", "-B: must be auto or ascii (given: text)" },
	{ "-M=1", "-=: unknown option; see dozo -h" },
	{ "--disable-evictions=1",
	  "--disable-evictions: takes no value (given: 1)" },
	{ "-Q", "-Q: unknown option; see dozo -h" },
	{ "--bogus=1", "--bogus=1: unknown option; see dozo -h" },
	{ "--", "--: unknown option; see dozo -h" },
	{ "--=1", "--=1: unknown option; see dozo -h" },
	{ "-", "-: is not an option; see dozo -h" },
	{ "-p 5 word", "word: is not an option; see dozo -h" },
	{ "--dis", "--dis: could be several options" },
	{ "--s", "--s: could be several options" },
	{ "--compat-version=0.9.1",
	  "--compat-version: must be x.y.z with x at least 1: clients "
	  "parse it (given: 0.9.1)" },
	{ "--compat-version=1.6",
	  "--compat-version: must be x.y.z with x at least 1: clients "
	  "parse it (given: 1.6)" },
	{ "--compat-version=1.6.45-x",
	  "--compat-version: must be x.y.z with x at least 1: clients "
	  "parse it (given: 1.6.45-x)" },
	{ "--compat-version=1.6.4.5",
	  "--compat-version: must be x.y.z with x at least 1: clients "
	  "parse it (given: 1.6.4.5)" },
	{ "-o foo", "-o foo: unknown word" },
	{ "-o maxconns_fas", "-o maxconns_fas: unknown word" },
	{ "-o port=1", "-o port: unknown word" },
	{ "-o track_sizes,", NULL },
	{ "--extended=", "--extended: must not be empty (given: )" },
	{ "-o idle_timeout", "-o idle_timeout: needs a value (<num>)" },
	{ "-o idle_timeout=,track_sizes",
	  "-o idle_timeout: must be a whole number (given: )" },
	{ "-o track_sizes=1", "-o track_sizes: takes no value (given: 1)" },
	{ "-o hashpower=11", "-o hashpower: must be at least 12 (given: 11)" },
	{ "-o hash_algorithm=md5",
	  "-o hash_algorithm: must be jenkins, murmur3 or xxh3 (given: "
	  "md5)" },
	{ "-o slab_automove_ratio=1",
	  "-o slab_automove_ratio: must be less than 1 (given: 1)" },
	{ "-o hot_max_factor=0",
	  "-o hot_max_factor: must be more than 0 (given: 0)" },
	{ "-o hot_lru_pct=50", "-o hot_lru_pct: must be at most 80 "
			       "together with warm_lru_pct" },
	{ "-o temporary_ttl=5,no_lru_maintainer",
	  "-o temporary_ttl: does not go with no_lru_maintainer" },
	{ "-l 127.0.0.1:70000",
	  "-l: the port is not a number from 0 to 65535 (given: "
	  "127.0.0.1:70000)" },
	{ "-l ,", "-l: an address is missing (given: )" },
	{ "-s -p", NULL },
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct arguments a;
		struct options o;

		if (mistakes[i][1] != NULL) {
			check_refused(mistakes[i][0], mistakes[i][1]);
			continue;
		}
		/* Beside the mistakes: what looks like one and is not. */
		parse_good(&o, &a, mistakes[i][0]);
		options_release(&o);
	}
}

static void name_of(const struct option_entry *e, char *out, size_t room)
{
	if (e->home == OPTION_WORD) {
		snprintf(out, room, "-o %s", e->name);
	} else if (e->letter != '\0') {
		snprintf(out, room, "-%c", e->letter);
	} else {
		snprintf(out, room, "--%s", e->name);
	}
}

static void test_what_is_not_built_is_refused(void **state)
{
	int refused = 0;

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];
		char name[48];
		char given[64];
		char problem[160];

		if (e->effect != OPTION_REFUSED) {
			continue;
		}
		name_of(e, name, sizeof(name));
		snprintf(problem, sizeof(problem), "%s: %s", name, e->help);
		check_refused(name, problem);
		if (e->kind == OPTION_TEXT) {
			snprintf(given, sizeof(given), "%s%sx", name,
				 e->home == OPTION_WORD ? "=" : " ");
			check_refused(given, problem);
		}
		if (e->home == OPTION_FLAG) {
			snprintf(given, sizeof(given), "--%s", e->name);
			snprintf(problem, sizeof(problem), "--%s: %s", e->name,
				 e->help);
			check_refused(given, problem);
		}
		refused++;
	}
	assert_true(refused >= 29);
}

/* True if the range of `e` lets the number pass. */
static bool passes(const struct option_entry *e, int64_t number)
{
	struct arguments a;
	struct options o;
	char name[48];
	char given[96];
	bool passed;

	name_of(e, name, sizeof(name));
	snprintf(given, sizeof(given), "-m 4096 -s x %s%s%lld", name,
		 e->home == OPTION_WORD ? "=" : " ", (long long)number);
	arguments_split(&a, given);
	options_parse(&o, a.argc, a.argv);
	passed = strstr(o.problem, "must be at least") == NULL &&
		 (strstr(o.problem, "must be at most") == NULL ||
		  strstr(o.problem, "together") != NULL);
	options_release(&o);
	return passed;
}

static void test_ranges_end_where_they_say(void **state)
{
	int ranges = 0;

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];

		if (e->kind != OPTION_NUMBER) {
			continue;
		}
		if (!passes(e, e->min) || !passes(e, e->max) ||
		    passes(e, e->min - 1) || passes(e, e->max + 1)) {
			fail_msg("range of %s", e->name);
		}
		ranges++;
	}
	assert_true(ranges >= 15);
}

static const char *const pieces[] = {
	"-",  "--",    "=",    ",",         " ",   "-o ",    "-p",
	"1",  "0",     "-1",   "999999999", "k",   "m",      "g",
	"-m", "-I",    "-l",   "[::1]",     ":",   "proto[", "]:",
	"v",  "tag_",  "_:",   "*",         "--l", "-a",     "-D",
	"\n", "\x7f",  "\xff", "port",      "-f",  ".",      "-c",
	"%s", "slab_", "no_",  "automove",  "-U",  "x",      "_",
};

static void add_piece(struct rng *rng, char *given, size_t room)
{
	uint64_t at = rng_below(rng, sizeof(pieces) / sizeof(pieces[0]));
	size_t len = strlen(given);

	snprintf(given + len, room - len, "%s", pieces[at]);
}

/* Whatever is given, the answer is settings or one printable line. */
static void test_random_command_lines(void **state)
{
	struct rng rng;
	struct arguments a;
	struct options o;

	(void)state;
	rng_init(&rng, 20261125);
	for (int round = 0; round < 20000; round++) {
		char given[400] = "";
		uint64_t count = 1 + rng_below(&rng, 12);

		while (count-- > 0) {
			add_piece(&rng, given, sizeof(given));
		}
		arguments_split(&a, given);
		if (!options_parse(&o, a.argc, a.argv)) {
			assert_true(o.problem[0] != '\0');
			for (const char *c = o.problem; *c != '\0'; c++) {
				assert_true((unsigned char)*c >= ' ' &&
					    *c != 0x7f);
			}
		}
		options_release(&o);
	}
}

static void test_help_promises_only_what_is_there(void **state)
{
	static const char *const absent[] = {
		"sasl",       "SASL",         "ext_path", "proxy_config",
		"enable-ssl", "no_drop_priv", "relaxed",
	};
	static const char *const present[] = {
		"-s, --unix-socket=<file>", "-p, --port=<num>",
		"  idle_timeout=<num>",     "--compat-version=<x.y.z>",
		" slab_automove ",          "-D  <char>",
	};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_print_help(out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		assert_null(strstr(text, absent[i]));
	}
	for (size_t i = 0; i < sizeof(present) / sizeof(present[0]); i++) {
		if (strstr(text, present[i]) == NULL) {
			fail_msg("-h lacks '%s'", present[i]);
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_form),
		cmocka_unit_test(test_every_option_has_a_row),
		cmocka_unit_test(test_no_name_twice),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_forms_mix),
		cmocka_unit_test(test_no_modern),
		cmocka_unit_test(test_udp_port_alone_is_the_tcp_port),
		cmocka_unit_test(test_listen_is_joined),
		cmocka_unit_test(test_log_window_follows_memory),
		cmocka_unit_test(test_idle_options_are_named_once),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_is_not_built_is_refused),
		cmocka_unit_test(test_ranges_end_where_they_say),
		cmocka_unit_test(test_random_command_lines),
		cmocka_unit_test(test_help_promises_only_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
