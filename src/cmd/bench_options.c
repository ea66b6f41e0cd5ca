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
#include "cmd/bench_options.h"

enum {
	TTL_MAX = 30 * 24 * 3600,   /* more is a date in this protocol */
	PID_LIMIT = 4 * 1024 * 1024 /* Linux has no higher one */
};

#define COUNT_MAX (1ULL << 40)

struct entry {
	char letter;            /* '\0' for none */
	const char *name;       /* NULL for none */
	const char *value_name; /* NULL: takes none */
	const char *help;       /* lines */
	/* Either this, or a number at `offset` of `width` bytes. */
	bool (*apply)(struct bench_options *o, const char *value);
	size_t offset;
	size_t width; /* 1: a bool that is set */
	uint64_t low;
	uint64_t high;
};

static bool refuse(struct bench_options *o, const char *what, const char *value)
{
	snprintf(o->problem, sizeof(o->problem), "%s (given: %.60s)", what,
		 value);
	return false;
}

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

static bool set_versus(struct bench_options *o, const char *value)
{
	o->versus = value;
	return true;
}

static bool set_protocol(struct bench_options *o, const char *value)
{
	o->plan.dialect = dialect_find(value);
	return o->plan.dialect != NULL || refuse(o, "text or meta", value);
}

static bool set_ratio(struct bench_options *o, const char *value)
{
	const char *colon = strchr(value, ':');
	uint32_t *gets = &o->plan.get_share;
	uint32_t *sets = &o->plan.set_share;

	if (colon == NULL ||
	    !num_parse_u32(value, (size_t)(colon - value), gets) ||
	    !num_parse_u32(colon + 1, strlen(colon + 1), sets) ||
	    *gets > 1000000 || *sets > 1000000 || *gets + *sets == 0) {
		return refuse(o, "GETS:SETS, such as 9:1", value);
	}
	return true;
}

static bool set_dist(struct bench_options *o, const char *value)
{
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
		return refuse(o,
			      "uniform, hot or zipf:THETA, THETA above 0 "
			      "and at most 10",
			      value);
	}
	return true;
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

static bool set_value_size(struct bench_options *o, const char *value)
{
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
	return ok || refuse(o,
			    "N, MIN-MAX or lognormal:MEDIAN:SIGMA:MAX, up "
			    "to 1 GiB",
			    value);
}

static bool set_duration(struct bench_options *o, const char *value)
{
	o->plan.timed.requests = 0;
	return parse_seconds(value, strlen(value), &o->plan.timed.ns) ||
	       refuse(o, "seconds, from 0.001 to 1000000", value);
}

static bool set_requests(struct bench_options *o, const char *value)
{
	o->plan.timed.ns = 0;
	return (num_parse_u64(value, strlen(value), &o->plan.timed.requests) &&
		o->plan.timed.requests > 0 &&
		o->plan.timed.requests <= COUNT_MAX) ||
	       refuse(o, "a number of requests, at least 1", value);
}

static const struct plan_span WARMUP_UNSET = { UINT64_MAX, UINT64_MAX };

/* "1000" requests, or "2s". */
static bool set_warmup(struct bench_options *o, const char *value)
{
	size_t len = strlen(value);
	struct plan_span *w = &o->plan.warmup;

	*w = (struct plan_span){ .requests = 0 };
	if (len > 1 && value[len - 1] == 's' &&
	    parse_seconds(value, len - 1, &w->ns)) {
		return true;
	}
	return (num_parse_u64(value, len, &w->requests) &&
		w->requests <= COUNT_MAX) ||
	       refuse(o, "a number of requests, or seconds as 2s", value);
}

static bool set_rate(struct bench_options *o, const char *value)
{
	return (parse_real(value, strlen(value), &o->plan.rate) &&
		o->plan.rate > 0 && o->plan.rate <= 1e9) ||
	       refuse(o, "requests a second, above 0", value);
}

static bool set_timeout(struct bench_options *o, const char *value)
{
	return (parse_seconds(value, strlen(value), &o->plan.timeout_ns) &&
		o->plan.timeout_ns <= 3600 * 1000000000ULL) ||
	       refuse(o, "seconds, from 0.001 to 3600", value);
}

static bool set_populate_only(struct bench_options *o, const char *value)
{
	(void)value;
	o->plan.populate = true;
	o->plan.populate_only = true;
	return true;
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

static bool set_cpus(struct bench_options *o, const char *value)
{
	const char *at = value;

	o->plan.cpu_count = 0;
	for (;;) {
		size_t len = strcspn(at, ",");

		if (!parse_cpu_range(&o->plan, at, len)) {
			return refuse(o, "processors, as 1 or 0,2 or 2-5",
				      value);
		}
		if (at[len] == '\0') {
			return true;
		}
		at += len + 1;
	}
}

static bool set_output(struct bench_options *o, const char *value)
{
	static const char *const names[] = { "table", "json", "csv" };

	for (int i = REPORT_TABLE; i <= REPORT_CSV; i++) {
		if (strcmp(value, names[i - REPORT_TABLE]) == 0) {
			o->form = (enum report_form)i;
			return true;
		}
	}
	return refuse(o, "table, json or csv", value);
}

/* ---- the table ---------------------------------------------------------- */

#define APPLY(function) .apply = (function)
#define AT(field)                                                              \
	.offset = offsetof(struct bench_options, field),                       \
	.width = sizeof(((struct bench_options *)NULL)->field)
#define FROM(lowest, highest) .low = (lowest), .high = (highest)

static const struct entry table[] = {
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

enum { ENTRIES = sizeof(table) / sizeof(table[0]) };

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
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct entry *e = &table[i];
		const char *line = e->help;
		char head[64];

		snprintf(head, sizeof(head), "  %c%c%c --%s%s%s",
			 e->letter != '\0' ? '-' : ' ',
			 e->letter != '\0' ? e->letter : ' ',
			 e->letter != '\0' ? ',' : ' ', e->name,
			 e->value_name != NULL ? " " : "",
			 e->value_name != NULL ? e->value_name : "");
		for (;;) {
			int len = (int)strcspn(line, "\n");

			fprintf(out, "%-26s %.*s\n", head, len, line);
			if (line[len] == '\0') {
				break;
			}
			line += len + 1;
			head[0] = '\0';
		}
	}
	fputs("\nExit status: 0 every reply was right; 1 errors were counted; "
	      "2 the command line\n"
	      "is wrong, or the load could not be made.\n",
	      out);
}

/* ---- reading ------------------------------------------------------------ */

static bool apply_number(struct bench_options *o, const struct entry *e,
			 const char *value)
{
	char *field = (char *)o + e->offset;
	uint64_t number;
	uint32_t narrow;

	if (e->width == sizeof(bool)) {
		*(bool *)field = true;
		return true;
	}
	if (!num_parse_u64(value, strlen(value), &number) || number < e->low ||
	    number > e->high) {
		char range[80];

		snprintf(range, sizeof(range), "from %llu to %llu",
			 (unsigned long long)e->low,
			 (unsigned long long)e->high);
		return refuse(o, range, value);
	}
	narrow = (uint32_t)number;
	if (e->width == sizeof(narrow)) {
		memcpy(field, &narrow, sizeof(narrow));
	} else {
		memcpy(field, &number, sizeof(number));
	}
	return true;
}

/* Puts the option's name before what was said about its value. */
static bool apply(struct bench_options *o, const struct entry *e,
		  const char *value)
{
	char said[sizeof(o->problem)];

	if (value == NULL && e->value_name != NULL) {
		snprintf(o->problem, sizeof(o->problem), "--%s needs a value",
			 e->name);
		return false;
	}
	if (e->apply != NULL ? e->apply(o, value) : apply_number(o, e, value)) {
		return true;
	}
	memcpy(said, o->problem, sizeof(said));
	snprintf(o->problem, sizeof(o->problem), "--%s: %.160s", e->name, said);
	return false;
}

static const struct entry *find(const char *name, size_t len, char letter)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct entry *e = &table[i];

		if ((letter != '\0' && e->letter == letter) ||
		    (strlen(e->name) == len &&
		     memcmp(e->name, name, len) == 0)) {
			return e;
		}
	}
	return NULL;
}

/* The option at argv[*at], and its value, which may be the next word. */
static bool take_option(struct bench_options *o, int argc, char *const *argv,
			int *at)
{
	const char *word = argv[(*at)++];
	bool is_long = word[1] == '-';
	size_t len = is_long ? strcspn(word + 2, "=") : 0;
	const struct entry *e = find(word + 2, len, is_long ? '\0' : word[1]);
	const char *value = NULL;

	if (e == NULL) {
		snprintf(o->problem, sizeof(o->problem),
			 "%.60s: no such option; see dozo bench --help", word);
		return false;
	}
	if (is_long && word[2 + len] == '=') {
		value = word + 2 + len + 1;
	} else if (!is_long && word[2] != '\0') {
		value = word + 2;
	}
	if (value != NULL && e->value_name == NULL) {
		snprintf(o->problem, sizeof(o->problem), "--%s takes no value",
			 e->name);
		return false;
	}
	if (value == NULL && e->value_name != NULL && *at < argc) {
		value = argv[(*at)++];
	}
	return apply(o, e, value);
}

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
		if (argv[at][0] == '-' && argv[at][1] != '\0') {
			if (!take_option(o, argc, argv, &at)) {
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
