/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the options of `dozo bench`: -c 5, -c5, --connections 5 and
 * --connections=5 mean the same; the one word without a dash is the server.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cmd/arg_table.h"
#include "cmd/bench_options.h"

enum {
	TTL_MAX = 30 * 24 * 3600,   /* more is a date in this protocol */
	PID_LIMIT = 4 * 1024 * 1024 /* Linux has no higher one */
};

#define COUNT_MAX (1ULL << 40)

/* ---- values ------------------------------------------------------------- */

/* Digits with an optional fraction, all of the text. */
static bool parse_real(const char *text, size_t len, double *out)
{
	char copy[40];
	char *end;

	if (len == 0 || len >= sizeof(copy) ||
	    strspn(text, "0123456789.") < len) {
		return false;
	}
	memcpy(copy, text, len);
	copy[len] = '\0';
	*out = strtod(copy, &end);
	return *end == '\0' && end != copy;
}

static bool parse_seconds(const char *text, size_t len, uint64_t *ns)
{
	double seconds;

	if (!parse_real(text, len, &seconds) || seconds < 0.001 ||
	    seconds > 1e6) {
		return false;
	}
	*ns = (uint64_t)(seconds * 1e9);
	return true;
}

static const char *set_versus(void *into, const char *value)
{
	struct bench_options *o = into;

	o->versus = value;
	return NULL;
}

static const char *set_protocol(void *into, const char *value)
{
	struct bench_options *o = into;

	o->plan.dialect = dialect_find(value);
	return o->plan.dialect != NULL ? NULL : "text or meta";
}

static const char *set_ratio(void *into, const char *value)
{
	struct bench_options *o = into;
	const char *colon = strchr(value, ':');
	uint32_t *gets = &o->plan.get_share;
	uint32_t *sets = &o->plan.set_share;

	if (colon == NULL ||
	    !num_parse_u32(value, (size_t)(colon - value), gets) ||
	    !num_parse_u32(colon + 1, strlen(colon + 1), sets) ||
	    *gets > 1000000 || *sets > 1000000 || *gets + *sets == 0) {
		return "GETS:SETS, such as 9:1";
	}
	return NULL;
}

static const char *set_dist(void *into, const char *value)
{
	struct bench_options *o = into;
	struct plan *p = &o->plan;

	if (strcmp(value, "uniform") == 0) {
		p->dist = DIST_UNIFORM;
	} else if (strcmp(value, "hot") == 0) {
		p->dist = DIST_HOT;
	} else if (strncmp(value, "zipf:", 5) == 0 &&
		   parse_real(value + 5, strlen(value + 5), &p->theta) &&
		   p->theta > 0 && p->theta <= 10) {
		p->dist = DIST_ZIPF;
	} else {
		return "uniform, hot or zipf:THETA, THETA above 0 and at most "
		       "10";
	}
	return NULL;
}

static bool parse_size(const char *text, size_t len, uint32_t *out)
{
	return num_parse_u32(text, len, out) && *out <= PLAN_VALUE_MAX;
}

/* MEDIAN:SIGMA:MAX */
static bool parse_lognormal(struct size_law *law, const char *text)
{
	size_t median = strcspn(text, ":");
	const char *sigma = text + median + (text[median] == ':');
	size_t sigma_len = strcspn(sigma, ":");
	const char *max = sigma + sigma_len + (sigma[sigma_len] == ':');

	law->kind = SIZE_LOGNORMAL;
	return parse_real(text, median, &law->median) &&
	       parse_real(sigma, sigma_len, &law->sigma) &&
	       parse_size(max, strlen(max), &law->max) && law->max >= 1 &&
	       law->median >= 1 && law->median <= law->max && law->sigma <= 10;
}

static const char *set_value_size(void *into, const char *value)
{
	struct bench_options *o = into;
	struct size_law law = { .kind = SIZE_FIXED };
	const char *dash = strchr(value, '-');
	bool ok;

	if (strncmp(value, "lognormal:", 10) == 0) {
		ok = parse_lognormal(&law, value + 10);
	} else if (dash != NULL) {
		law.kind = SIZE_RANGE;
		ok = parse_size(value, (size_t)(dash - value), &law.min) &&
		     parse_size(dash + 1, strlen(dash + 1), &law.max) &&
		     law.min <= law.max;
	} else {
		ok = parse_size(value, strlen(value), &law.max);
	}
	o->plan.sizes = law;
	return ok ? NULL :
		    "N, MIN-MAX or lognormal:MEDIAN:SIGMA:MAX, up to 1 GiB";
}

static const char *set_duration(void *into, const char *value)
{
	struct bench_options *o = into;

	o->plan.timed.requests = 0;
	if (!parse_seconds(value, strlen(value), &o->plan.timed.ns)) {
		return "seconds, from 0.001 to 1000000";
	}
	return NULL;
}

static const char *set_requests(void *into, const char *value)
{
	struct bench_options *o = into;
	uint64_t *requests = &o->plan.timed.requests;
	bool ok = num_parse_u64(value, strlen(value), requests) &&
		  *requests > 0 && *requests <= COUNT_MAX;

	o->plan.timed.ns = 0;
	return ok ? NULL : "a number of requests, at least 1";
}

static const struct plan_span WARMUP_UNSET = { UINT64_MAX, UINT64_MAX };

/* "1000" requests, or "2s". */
static const char *set_warmup(void *into, const char *value)
{
	struct bench_options *o = into;
	size_t len = strlen(value);
	struct plan_span *w = &o->plan.warmup;

	*w = (struct plan_span){ .requests = 0 };
	if (len > 1 && value[len - 1] == 's' &&
	    parse_seconds(value, len - 1, &w->ns)) {
		return NULL;
	}
	if (num_parse_u64(value, len, &w->requests) &&
	    w->requests <= COUNT_MAX) {
		return NULL;
	}
	return "a number of requests, or seconds as 2s";
}

static const char *set_rate(void *into, const char *value)
{
	struct bench_options *o = into;
	bool ok = parse_real(value, strlen(value), &o->plan.rate) &&
		  o->plan.rate > 0 && o->plan.rate <= 1e9;

	return ok ? NULL : "requests a second, above 0";
}

static const char *set_timeout(void *into, const char *value)
{
	struct bench_options *o = into;
	bool ok = parse_seconds(value, strlen(value), &o->plan.timeout_ns) &&
		  o->plan.timeout_ns <= 3600 * 1000000000ULL;

	return ok ? NULL : "seconds, from 0.001 to 3600";
}

static const char *set_populate_only(void *into, const char *value)
{
	struct bench_options *o = into;

	(void)value;
	o->plan.populate = true;
	o->plan.populate_only = true;
	return NULL;
}

/* "1", "0,2", "2-5" */
static bool parse_cpu_range(struct plan *p, const char *text, size_t len)
{
	const char *dash = memchr(text, '-', len);
	size_t first_len = dash != NULL ? (size_t)(dash - text) : len;
	uint32_t first;
	uint32_t last;

	if (!num_parse_u32(text, first_len, &first)) {
		return false;
	}
	last = first;
	if (dash != NULL &&
	    !num_parse_u32(dash + 1, len - first_len - 1, &last)) {
		return false;
	}
	if (last < first || last >= 1024 ||
	    p->cpu_count + (last - first) >= PLAN_CPUS_MAX) {
		return false;
	}
	for (; first <= last; first++) {
		p->cpus[p->cpu_count++] = (uint16_t)first;
	}
	return true;
}

static const char *set_cpus(void *into, const char *value)
{
	struct bench_options *o = into;
	const char *at = value;

	o->plan.cpu_count = 0;
	for (;;) {
		size_t len = strcspn(at, ",");

		if (!parse_cpu_range(&o->plan, at, len)) {
			return "processors, as 1 or 0,2 or 2-5";
		}
		if (at[len] == '\0') {
			return NULL;
		}
		at += len + 1;
	}
}

static const char *set_output(void *into, const char *value)
{
	static const char *const names[] = { "table", "json", "csv" };
	struct bench_options *o = into;

	for (int i = REPORT_TABLE; i <= REPORT_CSV; i++) {
		if (strcmp(value, names[i - REPORT_TABLE]) == 0) {
			o->form = (enum report_form)i;
			return NULL;
		}
	}
	return "table, json or csv";
}

/* ---- the table ---------------------------------------------------------- */

#define APPLY ARG_APPLY
#define AT(field) ARG_AT(bench_options, field)
#define FROM ARG_FROM

static const struct arg_entry entries[] = {
	{ '\0', "vs", "SERVER",
	  "a second server: rounds alternate, and the medians of\n"
	  "the rounds' ratios, first to second, are shown",
	  APPLY(set_versus) },
	{ '\0', "protocol", "NAME", "text or meta (text)",
	  APPLY(set_protocol) },
	{ 'c', "connections", "N", "connections (50)", AT(plan.connections),
	  FROM(1, 1000000) },
	{ 't', "threads", "N", "threads that share them (1)", AT(plan.threads),
	  FROM(1, 256) },
	{ 'd', "depth", "N",
	  "requests in flight on a connection (1): closed loop, a\n"
	  "batch of N is sent when the last one is answered",
	  AT(plan.depth), FROM(1, 10000) },
	{ '\0', "multiget", "N", "keys of each get (1)", AT(plan.multiget),
	  FROM(1, 1000) },
	{ '\0', "ratio", "GETS:SETS", "the mix, drawn at random (9:1)",
	  APPLY(set_ratio) },
	{ 'k', "keys", "N", "different keys (1000000)", AT(plan.keys),
	  FROM(1, COUNT_MAX) },
	{ '\0', "first", "N", "number of the first of them (0)", AT(plan.first),
	  FROM(0, COUNT_MAX) },
	{ '\0', "key-size", "N", "bytes of a key (16)", AT(plan.key_size),
	  FROM(1, KEY_MAX) },
	{ '\0', "dist", "NAME",
	  "how keys are drawn: uniform, zipf:THETA, or hot, one\n"
	  "key only (uniform)",
	  APPLY(set_dist) },
	{ '\0', "value-size", "SIZE",
	  "bytes of a value: N, MIN-MAX, or\n"
	  "lognormal:MEDIAN:SIGMA:MAX (100)",
	  APPLY(set_value_size) },
	{ '\0', "ttl", "SECONDS", "items expire after so long (0: never)",
	  AT(plan.ttl_s), FROM(0, TTL_MAX) },
	{ '\0', "requests", "N",
	  "requests of each round, or:", APPLY(set_requests) },
	{ '\0', "duration", "SECONDS", "how long each round takes (10)",
	  APPLY(set_duration) },
	{ '\0', "rounds", "N", "rounds (1; with --vs 5)", AT(plan.rounds),
	  FROM(1, 100000) },
	{ '\0', "warmup", "N|Ns",
	  "requests, or seconds, before each round that do not\n"
	  "count (a tenth of the round)",
	  APPLY(set_warmup) },
	{ '\0', "rate", "R",
	  "open loop: R requests a second in all, each with a time\n"
	  "at which it is due and from which its latency counts",
	  APPLY(set_rate) },
	{ '\0', "populate", NULL, "first store every key (not measured)",
	  AT(plan.populate) },
	{ '\0', "populate-only", NULL, "do only that",
	  APPLY(set_populate_only) },
	{ '\0', "reconnect", "N",
	  "close a connection after N requests and open another\n"
	  "(0: never)",
	  AT(plan.reconnect), FROM(0, COUNT_MAX) },
	{ '\0', "look-aside", NULL, "set what a get missed",
	  AT(plan.look_aside) },
	{ '\0', "pid", "PID",
	  "the server's process; without it the one that listens\n"
	  "on a loopback address is looked for in /proc",
	  AT(pid), FROM(1, PID_LIMIT) },
	{ '\0', "vs-pid", "PID", "that of the second server", AT(versus_pid),
	  FROM(1, PID_LIMIT) },
	{ '\0', "cpu", "LIST", "run threads on these processors, as 1 or 2-5",
	  APPLY(set_cpus) },
	{ '\0', "seed", "N", "begin of the random sequence (1)", AT(plan.seed),
	  FROM(0, UINT64_MAX) },
	{ '\0', "timeout", "SECONDS", "no reply for so long is an error (10)",
	  APPLY(set_timeout) },
	{ '\0', "unchecked", NULL,
	  "compare replies' form only: for servers that do not\n"
	  "store anything",
	  AT(plan.unchecked) },
	{ 'o', "output", "FORM", "table, json or csv (table)",
	  APPLY(set_output) },
	{ 'q', "quiet", NULL, "no progress line on a terminal", AT(quiet) },
	{ 'h', "help", NULL, "this text", AT(help) },
};

static const struct arg_table table = {
	.command = "bench",
	.entries = entries,
	.count = sizeof(entries) / sizeof(entries[0]),
	.help_column = 27,
};

void bench_options_help(FILE *out)
{
	fputs("usage: dozo bench [options] [SERVER]\n\n"
	      "Loads a server that speaks memcached's protocol, checks every "
	      "reply, and tells\n"
	      "throughput, latency and, when it runs on this machine, the "
	      "server's processor\n"
	      "time for each request.  SERVER is HOST:PORT, [V6]:PORT, PORT "
	      "or unix:PATH\n"
	      "(127.0.0.1:11211).\n\n",
	      out);
	arg_table_help(&table, out);
	fputs("\nExit status: 0 every reply was right; 1 errors were counted; "
	      "2 the command line\n"
	      "is wrong, or the load could not be made.\n",
	      out);
}

/* ---- reading ------------------------------------------------------------ */

static bool conflict(struct bench_options *o, const char *text)
{
	snprintf(o->problem, sizeof(o->problem), "%s", text);
	return false;
}

/* What only the whole command line can tell. */
static bool check_whole(struct bench_options *o)
{
	struct plan *p = &o->plan;

	if (p->threads > p->connections) {
		return conflict(o, "--threads: at most one for each of "
				   "--connections");
	}
	if (p->first + p->keys - 1 > content_number_max(p->key_size)) {
		return conflict(o, "--key-size: too few digits for so many "
				   "--keys");
	}
	if (o->versus == NULL && o->versus_pid != 0) {
		return conflict(o, "--vs-pid goes with --vs");
	}
	if (p->rounds == 0) {
		p->rounds = o->versus != NULL ? 5 : 1;
	}
	if (p->warmup.ns == WARMUP_UNSET.ns) {
		p->warmup.requests = p->timed.requests / 10;
		p->warmup.ns = p->timed.ns / 10;
	}
	return true;
}

static void defaults(struct bench_options *o)
{
	memset(o, 0, sizeof(*o));
	o->server = "127.0.0.1:11211";
	o->plan = (struct plan){
		.dialect = &dialect_text,
		.connections = 50,
		.threads = 1,
		.depth = 1,
		.multiget = 1,
		.get_share = 9,
		.set_share = 1,
		.keys = 1000000,
		.key_size = 16,
		.sizes = { .kind = SIZE_FIXED, .max = 100 },
		.timed = { .ns = 10 * 1000000000ULL },
		.warmup = WARMUP_UNSET,
		.seed = 1,
		.timeout_ns = 10 * 1000000000ULL,
	};
}

bool bench_options_parse(struct bench_options *o, int argc, char *const *argv)
{
	bool has_server = false;

	defaults(o);
	for (int at = 1; at < argc && !o->help;) {
		if (arg_is_option(argv[at])) {
			if (!arg_table_take(&table, o, argc, argv, &at,
					    o->problem)) {
				return false;
			}
		} else if (has_server) {
			snprintf(o->problem, sizeof(o->problem),
				 "%.60s: a server was named already; a second "
				 "goes behind --vs",
				 argv[at]);
			return false;
		} else {
			o->server = argv[at++];
			has_server = true;
		}
	}
	return o->help || check_whole(o);
}
