/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reports.  One table of figures serves all three forms, so that none of
 * them lacks one.
 */
#include <stddef.h>
#include <string.h>

#include "bench/report.h"

/* ---- the figures by name ------------------------------------------------ */

struct column {
	const char *name; /* in CSV; `key` is that in JSON, which has */
	const char *key;  /* latencies apart, in latency_us */
	bool latency;
	int decimals;
	size_t offset;
};

#define FIGURE(field) offsetof(struct figures, field)

static const struct column columns[] = {
	{ "requests", "requests", false, 0, FIGURE(requests) },
	{ "seconds", "seconds", false, 6, FIGURE(seconds) },
	{ "requests_per_s", "requests_per_s", false, 1,
	  FIGURE(requests_per_s) },
	{ "hits", "hits", false, 0, FIGURE(hits) },
	{ "misses", "misses", false, 0, FIGURE(misses) },
	{ "stored", "stored", false, 0, FIGURE(stored) },
	{ "connects", "connects", false, 0, FIGURE(connects) },
	{ "unsent", "unsent", false, 0, FIGURE(unsent) },
	{ "cpu_us_per_request", "cpu_us_per_request", false, 4,
	  FIGURE(cpu_us) },
	{ "mean_us", "mean", true, 1, FIGURE(mean_us) },
	{ "p50_us", "p50", true, 1, FIGURE(p50_us) },
	{ "p90_us", "p90", true, 1, FIGURE(p90_us) },
	{ "p99_us", "p99", true, 1, FIGURE(p99_us) },
	{ "p99.9_us", "p99.9", true, 1, FIGURE(p999_us) },
	{ "p99.99_us", "p99.99", true, 1, FIGURE(p9999_us) },
	{ "max_us", "max", true, 1, FIGURE(max_us) },
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static double value_of(const struct figures *f, const struct column *c)
{
	double v;

	memcpy(&v, (const char *)f + c->offset, sizeof(v));
	return v;
}

static double cpu_of(const struct figures *f)
{
	return f->cpu_us;
}

static double rate_of(const struct figures *f)
{
	return f->requests_per_s;
}

static double p50_of(const struct figures *f)
{
	return f->p50_us;
}

static double p99_of(const struct figures *f)
{
	return f->p99_us;
}

struct ratio {
	const char *name;
	double (*figure)(const struct figures *);
};

static const struct ratio ratios[] = {
	{ "cpu_us_per_request", cpu_of },
	{ "requests_per_s", rate_of },
	{ "p50", p50_of },
	{ "p99", p99_of },
};

enum { RATIOS = sizeof(ratios) / sizeof(ratios[0]) };

/* ---- words for the plan ------------------------------------------------- */

static void print_sizes(FILE *out, const struct size_law *law)
{
	switch (law->kind) {
	case SIZE_FIXED:
		fprintf(out, "%u", law->max);
		break;
	case SIZE_RANGE:
		fprintf(out, "%u-%u", law->min, law->max);
		break;
	default:
		fprintf(out, "lognormal:%g:%g:%u", law->median, law->sigma,
			law->max);
		break;
	}
}

static void print_dist(FILE *out, const struct plan *p)
{
	if (p->dist == DIST_ZIPF) {
		fprintf(out, "zipf:%g", p->theta);
	} else {
		fputs(p->dist == DIST_HOT ? "hot" : "uniform", out);
	}
}

/* ---- JSON --------------------------------------------------------------- */

static void json_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c == '"' || c == '\\' || c > '~') {
			fprintf(out, "\\u%04x", c);
		} else {
			fputc(c, out);
		}
	}
	fputc('"', out);
}

static void json_number(FILE *out, double v, int decimals)
{
	if (v < 0) {
		fputs("null", out);
	} else {
		fprintf(out, "%.*f", decimals, v);
	}
}

static void json_columns(FILE *out, const struct figures *f, bool latency)
{
	const char *comma = "";

	for (size_t i = 0; i < COLUMNS; i++) {
		if (columns[i].latency == latency) {
			fprintf(out, "%s\"%s\": ", comma, columns[i].key);
			json_number(out, value_of(f, &columns[i]),
				    columns[i].decimals);
			comma = ", ";
		}
	}
}

static void json_faults(FILE *out, const struct faults *f)
{
	fputc('{', out);
	for (int i = 0; i < FAULT_COUNT; i++) {
		fprintf(out, "%s\"%s\": %llu", i > 0 ? ", " : "",
			fault_name((enum fault)i),
			(unsigned long long)f->count[i]);
	}
	fputc('}', out);
}

static void json_figures(FILE *out, const struct figures *f,
			 const struct faults *faults)
{
	fputc('{', out);
	json_columns(out, f, false);
	fputs(", \"errors\": ", out);
	json_faults(out, faults);
	fputs(", \"latency_us\": {", out);
	json_columns(out, f, true);
	fputs("}}", out);
}

static void json_options(FILE *out, const struct plan *p)
{
	fprintf(out,
		"{\"protocol\": \"%s\", \"connections\": %u, \"threads\": %u, "
		"\"depth\": %u, \"multiget\": %u, \"ratio\": \"%u:%u\", "
		"\"first\": %llu, \"keys\": %llu, \"key_size\": %u, "
		"\"dist\": \"",
		p->dialect->name, p->connections, p->threads, p->depth,
		p->multiget, p->get_share, p->set_share,
		(unsigned long long)p->first, (unsigned long long)p->keys,
		p->key_size);
	print_dist(out, p);
	fputs("\", \"value_size\": \"", out);
	print_sizes(out, &p->sizes);
	fprintf(out,
		"\", \"ttl_s\": %u, \"requests\": %llu, \"duration_s\": %g, "
		"\"warmup_requests\": %llu, \"warmup_s\": %g, \"rounds\": %u, "
		"\"rate\": ",
		p->ttl_s, (unsigned long long)p->timed.requests,
		(double)p->timed.ns / 1e9,
		(unsigned long long)p->warmup.requests,
		(double)p->warmup.ns / 1e9, p->rounds);
	json_number(out, p->rate > 0 ? p->rate : -1, 1);
	fprintf(out,
		", \"populate\": %s, \"look_aside\": %s, \"unchecked\": %s, "
		"\"reconnect\": %llu, \"seed\": %llu, \"timeout_s\": %g}",
		p->populate ? "true" : "false",
		p->look_aside ? "true" : "false",
		p->unchecked ? "true" : "false",
		(unsigned long long)p->reconnect, (unsigned long long)p->seed,
		(double)p->timeout_ns / 1e9);
}

static struct faults faults_of_rounds(const struct trial_server *s)
{
	struct faults sum = { .count = { 0 } };

	for (uint32_t i = 0; i < s->done; i++) {
		faults_merge(&sum, &s->rounds[i].faults);
	}
	return sum;
}

static void json_server(FILE *out, const struct trial_server *s)
{
	struct faults sum = faults_of_rounds(s);

	fputs("{\"address\": ", out);
	json_text(out, s->target.text);
	fputs(", \"pid\": ", out);
	json_number(out, s->target.pid > 0 ? (double)s->target.pid : -1, 0);
	fprintf(out, ", \"silent\": %s, \"populate\": ",
		s->silent ? "true" : "false");
	if (s->populated) {
		json_figures(out, &s->populate.figures, &s->populate.faults);
	} else {
		fputs("null", out);
	}
	fputs(", \"warmup_errors\": ", out);
	json_faults(out, &s->warmup_faults);
	fputs(",\n  \"rounds\": [", out);
	for (uint32_t i = 0; i < s->done; i++) {
		fputs(i > 0 ? ",\n    " : "\n    ", out);
		json_figures(out, &s->rounds[i].figures, &s->rounds[i].faults);
	}
	fputs("],\n  \"median\": ", out);
	if (s->done > 0) {
		json_figures(out, &s->median, &sum);
	} else {
		fputs("null", out);
	}
	fputc('}', out);
}

static void write_json(FILE *out, const struct trial *t)
{
	fputs("{\"version\": \"" DOZO_VERSION "\", \"options\": ", out);
	json_options(out, t->plan);
	fputs(",\n \"servers\": [\n  ", out);
	for (uint32_t i = 0; i < t->server_count; i++) {
		fputs(i > 0 ? ",\n  " : "", out);
		json_server(out, &t->servers[i]);
	}
	fputs("],\n \"ratio\": ", out);
	if (t->server_count < 2) {
		fputs("null", out);
	}
	for (size_t i = 0; t->server_count == 2 && i < RATIOS; i++) {
		fprintf(out, "%s\"%s\": ", i > 0 ? ", " : "{", ratios[i].name);
		json_number(out, trial_ratio(t, ratios[i].figure), 4);
	}
	fputs(t->server_count == 2 ? "}}\n" : "}\n", out);
}

/* ---- CSV ---------------------------------------------------------------- */

static void csv_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"') {
			fputc('"', out);
		}
		fputc(*text, out);
	}
	fputc('"', out);
}

static void csv_row(FILE *out, const struct trial_server *s, const char *part,
		    uint32_t number, const struct round *r)
{
	csv_text(out, s->target.text);
	fprintf(out, ",%s,%u", part, number);
	for (size_t i = 0; i < COLUMNS; i++) {
		double v = value_of(&r->figures, &columns[i]);

		fputc(',', out);
		if (v >= 0) {
			fprintf(out, "%.*f", columns[i].decimals, v);
		}
	}
	for (int i = 0; i < FAULT_COUNT; i++) {
		fprintf(out, ",%llu", (unsigned long long)r->faults.count[i]);
	}
	fputs("\r\n", out);
}

static void write_csv(FILE *out, const struct trial *t)
{
	fputs("server,part,round", out);
	for (size_t i = 0; i < COLUMNS; i++) {
		fprintf(out, ",%s", columns[i].name);
	}
	for (int i = 0; i < FAULT_COUNT; i++) {
		fprintf(out, ",errors_%s", fault_name((enum fault)i));
	}
	fputs("\r\n", out);
	for (uint32_t i = 0; i < t->server_count; i++) {
		const struct trial_server *s = &t->servers[i];

		if (s->populated) {
			csv_row(out, s, "populate", 0, &s->populate);
		}
		for (uint32_t r = 0; r < s->done; r++) {
			csv_row(out, s, "round", r + 1, &s->rounds[r]);
		}
	}
}

/* ---- the table ---------------------------------------------------------- */

static void table_plan(FILE *out, const struct plan *p)
{
	fprintf(out, "%s, get:set %u:%u", p->dialect->name, p->get_share,
		p->set_share);
	if (p->multiget > 1) {
		fprintf(out, ", %u keys a get", p->multiget);
	}
	fprintf(out, ", %llu keys of %u bytes, ", (unsigned long long)p->keys,
		p->key_size);
	print_dist(out, p);
	fputs(", values of ", out);
	print_sizes(out, &p->sizes);
	fprintf(out, " bytes\n%u connections, depth %u, %u thread%s",
		p->connections, p->depth, p->threads,
		p->threads > 1 ? "s" : "");
	if (p->rate > 0) {
		fprintf(out, ", open loop at %.0f/s", p->rate);
	} else {
		fputs(", closed loop", out);
	}
	if (p->reconnect > 0) {
		fprintf(out, ", a new connection after %llu",
			(unsigned long long)p->reconnect);
	}
	fputs(p->unchecked ? ", replies NOT compared\n" : "\n", out);
}

static void table_row(FILE *out, const char *name, const struct figures *f,
		      const struct faults *faults)
{
	char cpu[32] = "?";

	if (f->cpu_us >= 0) {
		snprintf(cpu, sizeof(cpu), "%.3f", f->cpu_us);
	}
	fprintf(out,
		"%-9s %10.0f %10.0f %8s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f "
		"%7llu\n",
		name, f->requests, f->requests_per_s, cpu, f->p50_us, f->p90_us,
		f->p99_us, f->p999_us, f->p9999_us, f->max_us,
		(unsigned long long)faults_sum(faults));
}

static void table_faults(FILE *out, const struct trial_server *s)
{
	struct faults sum = faults_of_rounds(s);
	const char *sample = trial_sample(s);

	faults_merge(&sum, &s->populate.faults);
	faults_merge(&sum, &s->warmup_faults);
	if (sample == NULL) {
		return;
	}
	fputs("errors, populate and warm-up included:", out);
	for (int i = 0; i < FAULT_COUNT; i++) {
		if (sum.count[i] > 0) {
			fprintf(out, " %s %llu", fault_name((enum fault)i),
				(unsigned long long)sum.count[i]);
		}
	}
	fprintf(out, "\nthe first: %s\n", sample);
	if (s->silent) {
		fputs("the server fell silent; the run ended there\n", out);
	}
}

static void table_server(FILE *out, const struct trial_server *s)
{
	struct faults sum = faults_of_rounds(s);
	char name[24];

	fprintf(out, "\n%s", s->target.text);
	if (s->target.pid > 0) {
		fprintf(out, ", process %d", (int)s->target.pid);
	} else {
		fputs(", process unknown (no CPU figure; see --pid)", out);
	}
	fprintf(out, "\n%-9s %10s %10s %8s %9s %9s %9s %9s %9s %9s %7s\n", "",
		"requests", "requests/s", "CPU us", "p50 us", "p90 us",
		"p99 us", "p99.9 us", "p99.99 us", "max us", "errors");
	if (s->populated) {
		table_row(out, "populate", &s->populate.figures,
			  &s->populate.faults);
	}
	for (uint32_t i = 0; i < s->done; i++) {
		snprintf(name, sizeof(name), "round %u", i + 1);
		table_row(out, name, &s->rounds[i].figures,
			  &s->rounds[i].faults);
	}
	if (s->done > 1) {
		table_row(out, "median", &s->median, &sum);
	}
	if (s->done > 0) {
		fprintf(out, "%.0f hits, %.0f misses, %.0f stored",
			s->median.hits, s->median.misses, s->median.stored);
		if (s->median.connects > 0) {
			fprintf(out, ", %.0f connects", s->median.connects);
		}
		if (s->median.unsent > 0) {
			fprintf(out,
				"; %.0f due but never sent: the rate "
				"was not reached",
				s->median.unsent);
		}
		fputs(s->done > 1 ? " (medians)\n" : "\n", out);
	}
	table_faults(out, s);
}

static void write_table(FILE *out, const struct trial *t)
{
	table_plan(out, t->plan);
	for (uint32_t i = 0; i < t->server_count; i++) {
		table_server(out, &t->servers[i]);
	}
	if (t->server_count < 2) {
		return;
	}
	fprintf(out, "\n%s / %s, median of the rounds' ratios:",
		t->servers[0].target.text, t->servers[1].target.text);
	for (size_t i = 0; i < RATIOS; i++) {
		double v = trial_ratio(t, ratios[i].figure);

		if (v >= 0) {
			fprintf(out, "%s %s %.3f", i > 0 ? "," : "",
				ratios[i].name, v);
		}
	}
	fputc('\n', out);
}

void report_write(FILE *out, const struct trial *t, enum report_form form)
{
	switch (form) {
	case REPORT_JSON:
		write_json(out, t);
		break;
	case REPORT_CSV:
		write_csv(out, t);
		break;
	default:
		write_table(out, t);
		break;
	}
}
