/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each phase starts its threads and joins them; what lasts from one to the
 * next is in the drivers.  So there is nothing for threads to agree on but
 * the end of a phase, and the one who waits can show how far it has come.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/driver.h"
#include "bench/trial.h"
#include "io/clock.h"
#include "io/sock.h"

enum {
	DESCRIPTORS_SPARE = 64,
	PROGRESS_MS = 500,
	TICK_MS = 50, /* between looks whether a thread has ended */
};

struct thread {
	struct driver *driver;
	const struct plan *plan;
	uint32_t index;
	pthread_t id;
	struct phase phase;
	const struct tally *tally;
};

/* The threads of one round with one server. */
struct crew {
	struct trial *trial;
	struct trial_server *server;
	uint32_t count;
	struct thread *threads;
	struct tally *sum;
	char label[64]; /* for the progress line */
};

static bool fail(struct trial *t, const char *what, const char *reason)
{
	snprintf(t->why, sizeof(t->why), "%s: %s", what, reason);
	return false;
}

/* ---- threads ------------------------------------------------------------ */

static void pin(const struct plan *p, uint32_t index)
{
	cpu_set_t set;

	if (p->cpu_count > 0) {
		CPU_ZERO(&set);
		CPU_SET(p->cpus[index % p->cpu_count], &set);
		/* Whether they can be was tried by trial_run(). */
		(void)sched_setaffinity(0, sizeof(set), &set);
	}
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	pin(t->plan, t->index);
	t->tally = driver_run(t->driver, &t->phase);
	return NULL;
}

static void progress_show(const struct crew *c, uint64_t start_ns)
{
	uint64_t answered = 0;
	double seconds = (double)(clock_ns() - start_ns) / 1e9;

	for (uint32_t i = 0; i < c->count; i++) {
		answered += driver_answered(c->threads[i].driver);
	}
	fprintf(stderr, "\r\033[K%s: %.1f s, %llu requests, %.0f/s", c->label,
		seconds, (unsigned long long)answered,
		(double)answered / seconds);
}

/* Joins the threads; shows how they get on meanwhile. */
static void crew_join(struct crew *c)
{
	uint64_t start_ns = clock_ns();
	uint64_t shown_ns = start_ns;

	for (uint32_t i = 0; i < c->count;) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		if (!c->trial->progress) {
			pthread_join(c->threads[i].id, NULL);
			i++;
		} else if (pthread_clockjoin_np(c->threads[i].id, NULL,
						CLOCK_MONOTONIC, &until) == 0) {
			i++;
		} else if (clock_ns() - shown_ns > PROGRESS_MS * 1000000ULL) {
			shown_ns = clock_ns();
			progress_show(c, start_ns);
		}
	}
	if (shown_ns != start_ns) {
		fputs("\r\033[K", stderr);
	}
}

static void tally_merge(struct tally *sum, const struct tally *t)
{
	sum->requests += t->requests;
	sum->hits += t->hits;
	sum->misses += t->misses;
	sum->stored += t->stored;
	sum->connects += t->connects;
	sum->unsent += t->unsent;
	if (sum->start_ns == 0 || t->start_ns < sum->start_ns) {
		sum->start_ns = t->start_ns;
	}
	if (t->stop_ns > sum->stop_ns) {
		sum->stop_ns = t->stop_ns;
	}
	sum->gave_up = sum->gave_up || t->gave_up;
	faults_merge(&sum->faults, &t->faults);
	histogram_merge(&sum->latency, &t->latency);
}

/* The index-th of `count` nearly equal parts of n begins here. */
static uint64_t part_begin(uint64_t n, uint32_t index, uint32_t count)
{
	uint64_t extra = n % count;

	return n / count * index + (index < extra ? index : extra);
}

static struct phase phase_part(const struct phase *whole, uint32_t index,
			       uint32_t count)
{
	uint64_t requests = whole->span.requests;
	uint64_t keys = whole->until - whole->from;
	struct phase part = *whole;

	part.from = whole->from + part_begin(keys, index, count);
	part.until = whole->from + part_begin(keys, index + 1, count);
	part.span.requests = part_begin(requests, index + 1, count) -
			     part_begin(requests, index, count);
	part.rate = whole->rate / count;
	/* The threads take turns. */
	part.lag = (double)index / count;
	return part;
}

/* Runs a phase on all threads; false when a thread could not be started. */
static bool crew_run(struct crew *c, const struct phase *phase)
{
	struct trial *t = c->trial;
	uint32_t started = 0;
	int error = 0;

	memset(c->sum, 0, sizeof(*c->sum));
	for (; started < c->count && error == 0; started += error == 0) {
		struct thread *one = &c->threads[started];

		one->phase = phase_part(phase, started, c->count);
		error = pthread_create(&one->id, NULL, thread_main, one);
	}
	if (error != 0) {
		for (uint32_t i = 0; i < started; i++) {
			pthread_join(c->threads[i].id, NULL);
		}
		return fail(t, "a thread", strerrordesc_np(error));
	}
	crew_join(c);
	for (uint32_t i = 0; i < c->count; i++) {
		tally_merge(c->sum, c->threads[i].tally);
	}
	c->server->silent = c->server->silent || c->sum->gave_up;
	return true;
}

/* ---- figures ------------------------------------------------------------ */

static void round_fill(struct round *r, const struct tally *t, bool has_cpu,
		       uint64_t cpu_ns)
{
	const struct histogram *h = &t->latency;
	struct figures *f = &r->figures;
	double requests = (double)t->requests;

	r->faults = t->faults;
	f->requests = requests;
	f->seconds = (double)(t->stop_ns - t->start_ns) / 1e9;
	f->requests_per_s = f->seconds > 0 ? requests / f->seconds : 0;
	f->hits = (double)t->hits;
	f->misses = (double)t->misses;
	f->stored = (double)t->stored;
	f->connects = (double)t->connects;
	f->unsent = (double)t->unsent;
	f->cpu_us = has_cpu && t->requests > 0 ?
			    (double)cpu_ns / 1e3 / requests :
			    -1;
	f->mean_us = histogram_mean(h) / 1e3;
	f->p50_us = (double)histogram_at(h, 0.5) / 1e3;
	f->p90_us = (double)histogram_at(h, 0.9) / 1e3;
	f->p99_us = (double)histogram_at(h, 0.99) / 1e3;
	f->p999_us = (double)histogram_at(h, 0.999) / 1e3;
	f->p9999_us = (double)histogram_at(h, 0.9999) / 1e3;
	f->max_us = (double)h->max / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a;
	const double *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, uint32_t n)
{
	if (n == 0) {
		return -1;
	}
	qsort(v, n, sizeof(*v), compare);
	return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

/* struct figures is doubles throughout, so they can be walked. */
static void medians_fill(struct trial_server *s, double *scratch)
{
	enum { FIGURES = sizeof(struct figures) / sizeof(double) };
	double *out = (double *)&s->median;

	for (size_t f = 0; f < FIGURES; f++) {
		bool known = true;

		for (uint32_t i = 0; i < s->done; i++) {
			scratch[i] = ((double *)&s->rounds[i].figures)[f];
			known = known && scratch[i] >= 0;
		}
		out[f] = known ? median(scratch, s->done) : -1;
	}
}

double trial_ratio(const struct trial *t,
		   double (*figure)(const struct figures *))
{
	const struct trial_server *s = t->servers;
	uint32_t n = s[0].done < s[1].done ? s[0].done : s[1].done;
	double *ratios = calloc(n + 1, sizeof(*ratios));
	double result = -1;

	for (uint32_t i = 0; ratios != NULL && i < n; i++) {
		double a = figure(&s[0].rounds[i].figures);
		double b = figure(&s[1].rounds[i].figures);

		if (a < 0 || b <= 0) {
			n = 0;
		} else {
			ratios[i] = a / b;
		}
	}
	if (ratios != NULL) {
		result = median(ratios, n);
	}
	free(ratios);
	return result;
}

/* ---- rounds ------------------------------------------------------------- */

static void crew_release(struct crew *c)
{
	for (uint32_t i = 0; c->threads != NULL && i < c->count; i++) {
		driver_free(c->threads[i].driver);
	}
	free(c->threads);
	free(c->sum);
}

static bool crew_init(struct crew *c, struct trial *t, struct trial_server *s)
{
	const struct plan *p = t->plan;

	memset(c, 0, sizeof(*c));
	c->trial = t;
	c->server = s;
	c->count = p->threads;
	c->threads = calloc(p->threads, sizeof(*c->threads));
	c->sum = malloc(sizeof(*c->sum));
	if (c->threads == NULL || c->sum == NULL) {
		return fail(t, "threads", "out of memory");
	}
	for (uint32_t i = 0; i < p->threads; i++) {
		struct thread *one = &c->threads[i];

		one->plan = p;
		one->index = i;
		one->driver = driver_new(p, &t->content, &s->target, i);
		if (one->driver == NULL) {
			return fail(t, "connections", "out of memory");
		}
		if (!driver_connect(one->driver)) {
			return fail(t, s->target.text, strerrordesc_np(errno));
		}
	}
	return true;
}

static void crew_seed(struct crew *c, uint32_t round)
{
	uint64_t seed = c->trial->plan->seed;

	for (uint32_t i = 0; i < c->count; i++) {
		driver_seed(c->threads[i].driver,
			    seed + ((uint64_t)round << 32) +
				    ((uint64_t)i << 48));
	}
}

/* Runs a phase and fills `r` with what it showed. */
static bool crew_measure(struct crew *c, const struct phase *phase,
			 struct round *r)
{
	uint64_t before = 0;
	uint64_t after = 0;
	bool has_cpu = target_cpu_ns(&c->server->target, &before);

	if (!crew_run(c, phase)) {
		return false;
	}
	has_cpu = has_cpu && target_cpu_ns(&c->server->target, &after);
	round_fill(r, c->sum, has_cpu, after - before);
	return true;
}

static bool populate(struct trial *t, struct trial_server *s)
{
	const struct plan *p = t->plan;
	const struct phase phase = { .populate = true,
				     .from = p->first,
				     .until = p->first + p->keys };
	struct crew c;
	bool ok = crew_init(&c, t, s);

	snprintf(c.label, sizeof(c.label), "%.40s: populate", s->target.text);
	ok = ok && crew_measure(&c, &phase, &s->populate);
	s->populated = ok;
	crew_release(&c);
	return ok;
}

static bool round_run(struct trial *t, struct trial_server *s, uint32_t number)
{
	const struct plan *p = t->plan;
	struct phase phase = { .span = p->warmup, .rate = p->rate };
	struct crew c;
	bool ok = crew_init(&c, t, s);

	if (ok) {
		crew_seed(&c, number);
	}
	if (ok && (phase.span.requests > 0 || phase.span.ns > 0)) {
		snprintf(c.label, sizeof(c.label), "%.30s: warm-up %u/%u",
			 s->target.text, number + 1, p->rounds);
		ok = crew_run(&c, &phase);
		faults_merge(&s->warmup_faults, &c.sum->faults);
	}
	phase.span = p->timed;
	if (ok && !s->silent) {
		snprintf(c.label, sizeof(c.label), "%.30s: round %u/%u",
			 s->target.text, number + 1, p->rounds);
		ok = crew_measure(&c, &phase, &s->rounds[s->done]);
		s->done += ok;
	}
	crew_release(&c);
	return ok;
}

/* Has a server stopped answering? */
static bool is_silent(const struct trial *t)
{
	for (uint32_t i = 0; i < t->server_count; i++) {
		if (t->servers[i].silent) {
			return true;
		}
	}
	return false;
}

static bool rounds_run(struct trial *t)
{
	for (uint32_t r = 0; r < t->plan->rounds && !is_silent(t); r++) {
		for (uint32_t i = 0; i < t->server_count && !is_silent(t);
		     i++) {
			/* Who was first comes last in the next round. */
			uint32_t which = (r + i) % t->server_count;

			if (!round_run(t, &t->servers[which], r)) {
				return false;
			}
		}
	}
	return true;
}

/* May the threads run where they are to? */
static bool try_cpus(struct trial *t)
{
	const struct plan *p = t->plan;
	cpu_set_t before;
	bool ok = true;

	if (p->cpu_count == 0) {
		return true;
	}
	if (sched_getaffinity(0, sizeof(before), &before) != 0) {
		return fail(t, "--cpu", strerrordesc_np(errno));
	}
	for (size_t i = 0; ok && i < p->cpu_count; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(p->cpus[i], &set);
		if (sched_setaffinity(0, sizeof(set), &set) != 0) {
			snprintf(t->why, sizeof(t->why),
				 "--cpu: processor %u: %s", p->cpus[i],
				 strerrordesc_np(errno));
			ok = false;
		}
	}
	(void)sched_setaffinity(0, sizeof(before), &before);
	return ok;
}

static bool prepare(struct trial *t)
{
	const struct plan *p = t->plan;
	uint64_t wanted = (uint64_t)p->connections + 2ULL * p->threads +
			  DESCRIPTORS_SPARE;
	uint64_t have;

	if (!sock_raise_descriptor_limit(wanted, &have)) {
		snprintf(t->why, sizeof(t->why),
			 "%u connections need %llu descriptors, and this "
			 "process may have %llu (ulimit -n)",
			 p->connections, (unsigned long long)wanted,
			 (unsigned long long)have);
		return false;
	}
	return try_cpus(t);
}

bool trial_run(struct trial *t)
{
	const struct plan *p = t->plan;
	double *scratch = calloc(p->rounds + 1, sizeof(*scratch));
	bool ok = scratch != NULL && prepare(t);

	for (uint32_t i = 0; ok && p->populate && i < t->server_count; i++) {
		ok = is_silent(t) || populate(t, &t->servers[i]);
	}
	if (ok && !p->populate_only) {
		ok = rounds_run(t);
	}
	for (uint32_t i = 0; ok && i < t->server_count; i++) {
		medians_fill(&t->servers[i], scratch);
	}
	free(scratch);
	return ok;
}

/* ---- begin and end ------------------------------------------------------ */

bool trial_init(struct trial *t, const struct plan *plan,
		const struct target *targets, uint32_t count)
{
	memset(t, 0, sizeof(*t));
	t->plan = plan;
	t->server_count = count;
	if (!content_init(&t->content, plan->key_size, &plan->sizes)) {
		return fail(t, "values", "out of memory");
	}
	for (uint32_t i = 0; i < count; i++) {
		t->servers[i].target = targets[i];
		t->servers[i].rounds = calloc(plan->rounds + 1,
					      sizeof(struct round));
		if (t->servers[i].rounds == NULL) {
			return fail(t, "rounds", "out of memory");
		}
	}
	return true;
}

void trial_release(struct trial *t)
{
	for (uint32_t i = 0; i < t->server_count; i++) {
		free(t->servers[i].rounds);
	}
	content_release(&t->content);
}

static uint64_t server_faults(const struct trial_server *s)
{
	uint64_t sum = faults_sum(&s->populate.faults) +
		       faults_sum(&s->warmup_faults);

	for (uint32_t i = 0; i < s->done; i++) {
		sum += faults_sum(&s->rounds[i].faults);
	}
	return sum;
}

uint64_t trial_faults(const struct trial *t)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < t->server_count; i++) {
		sum += server_faults(&t->servers[i]);
	}
	return sum;
}

const char *trial_sample(const struct trial_server *s)
{
	if (s->populate.faults.sample[0] != '\0') {
		return s->populate.faults.sample;
	}
	if (s->warmup_faults.sample[0] != '\0') {
		return s->warmup_faults.sample;
	}
	for (uint32_t i = 0; i < s->done; i++) {
		if (s->rounds[i].faults.sample[0] != '\0') {
			return s->rounds[i].faults.sample;
		}
	}
	return NULL;
}
