/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The composition: makes the parts, runs the main thread's loop (listeners
 * and signals), and takes everything down in order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "node/node.h"
#include "node/node_state.h"

/*
 * Address space to reserve beyond the memory limit, so that cache_memlimit
 * can raise it: it costs nothing until it is used.
 */
enum { RESERVE_FACTOR = 4 };
#define RESERVE_MIN (64 * GIB)

static void node_report(void *arg, int fd)
{
	struct node *n = arg;

	dprintf(fd, "state: connections %u, lsn %llu, memory %llu of %llu\n",
		atomic_load(&n->connections),
		(unsigned long long)store_lsn(n->store),
		(unsigned long long)budget_used(store_budget(n->store)),
		(unsigned long long)budget_limit(store_budget(n->store)));
	for (uint32_t i = 0; i < n->worker_count; i++) {
		struct worker *w = &n->workers[i];

		dprintf(fd,
			"state: %s: sessions %u, turns %llu, busy since "
			"%llu ms\n",
			w->name, atomic_load(&w->session_count),
			(unsigned long long)counter_read(
				&io_loop_stats(w->loop)->turns),
			(unsigned long long)atomic_load(
				&io_loop_stats(w->loop)->busy_since_ms));
	}
}

static void on_evict(void *arg, const struct item_view *item, uint32_t now)
{
	struct node *n = arg;

	if (watch_wants(&n->watch, WATCH_EVICTIONS)) {
		watch_evict(&n->watch, item, now);
	}
}

static uint64_t random_seed(void)
{
	uint64_t seed;

	/* The pool is ready once the system is up; else time will do. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(seed)) {
		seed = clock_us() ^ ((uint64_t)getpid() << 32);
	}
	return seed;
}

/* A failure, with what errno says if it says something. */
static bool fail(char *why, const char *what)
{
	if (errno != 0) {
		snprintf(why, NODE_WHY_SIZE, "%s: %s", what, strerror(errno));
	} else {
		snprintf(why, NODE_WHY_SIZE, "%s", what);
	}
	return false;
}

static struct store *open_store(struct node *n, uint64_t seed)
{
	const struct settings *set = n->settings;
	struct store_config config = {
		.memory_limit = set->memory_limit,
		.memory_reserve = set->memory_limit * RESERVE_FACTOR,
		.hash_seed = seed,
		.log = n->keeping.log,
		.evict = set->evict,
		.huge_pages = set->huge_pages,
		.on_evict = on_evict,
		.on_evict_arg = n,
	};
	struct store *s;

	if (config.memory_reserve < RESERVE_MIN) {
		config.memory_reserve = RESERVE_MIN;
	}
	s = store_new(&config);
	if (s == NULL) {
		/* Address space may be limited: do without growth. */
		config.memory_reserve = set->memory_limit;
		s = store_new(&config);
	}
	return s;
}

/* ---- signals ----------------------------------------------------------- */

static void reload(struct node *n)
{
	const char *why = "";

	if (!auth_reload(&n->auth, &why)) {
		diag(DIAG_ERROR, "SIGHUP: %s is not read again: %s",
		     n->auth.file, why);
		return;
	}
	diag(DIAG_NOTE, "SIGHUP: read again what can be");
}

static void signal_readable(struct io_watch *w)
{
	struct node *n = list_entry(w, struct node, signals);
	struct signalfd_siginfo info;

	while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(n);
			continue;
		}
		diag(DIAG_NOTE, "stopping: %s", strsignal((int)info.ssi_signo));
		io_loop_stop(n->loop);
	}
}

/* SIGUSR1 is what asks memcached for a graceful stop. */
static const int stop_signals[] = { SIGINT, SIGTERM, SIGUSR1 };

enum { STOP_SIGNALS = sizeof(stop_signals) / sizeof(stop_signals[0]) };

static void signal_set(sigset_t *set)
{
	sigemptyset(set);
	for (int i = 0; i < STOP_SIGNALS; i++) {
		sigaddset(set, stop_signals[i]);
	}
	sigaddset(set, SIGHUP);
}

bool node_stop_signal_waits(void)
{
	sigset_t waiting;
	bool waits = false;

	if (sigpending(&waiting) != 0) {
		return false;
	}
	for (int i = 0; i < STOP_SIGNALS; i++) {
		waits |= sigismember(&waiting, stop_signals[i]) == 1;
	}
	return waits;
}

void node_block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool open_signals(struct node *n)
{
	sigset_t set;
	int fd;

	node_block_signals();
	signal_set(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0) {
		return false;
	}
	if (!io_watch_open(&n->signals, n->loop, fd, signal_readable)) {
		close(fd);
		return false;
	}
	return true;
}

void node_stop(struct node *n, enum node_stop how)
{
	diag(DIAG_NOTE, "stopping: a client asked for it%s",
	     how == STOP_GRACEFUL ? " (graceful)" : "");
	io_loop_stop(n->loop);
}

/* ---- life -------------------------------------------------------------- */

static bool make_parts(struct node *n, char *why)
{
	const struct settings *set = n->settings;
	uint32_t now = store_clock_s(&n->clock, clock_ms());
	uint64_t seed = random_seed();
	const char *problem = "";

	errno = 0;
	if (!auth_init(&n->auth, set->auth_file, &problem)) {
		return fail(why, problem);
	}
	if (!keeping_open(&n->keeping, set, &seed, now, why)) {
		return false;
	}
	errno = ENOMEM;
	if (!prefix_init(&n->prefixes, set->prefix_delimiter,
			 set->detail_enabled, seed)) {
		return fail(why, "prefix statistics");
	}
	n->store = open_store(n, seed);
	if (n->store == NULL) {
		return fail(why, "memory for items cannot be reserved");
	}
	n->loop = io_loop_new();
	if (n->loop == NULL || !open_signals(n)) {
		return fail(why, "the event loop cannot be made");
	}
	return keeping_recover(n, why);
}

static bool make_threads(struct node *n, char *why)
{
	uint32_t count = n->settings->threads;

	n->workers = calloc(count, sizeof(*n->workers));
	if (n->workers == NULL) {
		return fail(why, "a worker cannot be made");
	}
	for (; n->worker_count < count; n->worker_count++) {
		int error = worker_init(&n->workers[n->worker_count], n,
					n->worker_count);

		if (error != 0) {
			worker_release(&n->workers[n->worker_count]);
			errno = error;
			return fail(why, "a worker cannot be made");
		}
	}
	errno = control_init(&n->control, n);
	return errno == 0 || fail(why, "the control thread cannot be made");
}

struct node *node_new(struct settings *settings, char *why)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		fail(why, "a node");
		return NULL;
	}
	n->settings = settings;
	gate_init_open(&n->gate);
	acceptor_init(&n->acceptor, n);
	store_clock_init(&n->clock);
	n->started_ms = clock_ms();
	tuning_init(&n->tuning, settings);
	panic_prepare();
	if (!make_parts(n, why) || !make_threads(n, why)) {
		node_free(n);
		return NULL;
	}
	n->started_s = store_clock_s(&n->clock, clock_ms());
	panic_set_report(node_report, n);
	return n;
}

bool node_add_listener(struct node *n, int fd)
{
	if (!acceptor_add(&n->acceptor, fd)) {
		int error = errno;

		close(fd);
		errno = error;
		return false;
	}
	return true;
}

int node_start(struct node *n)
{
	int error = 0;

	for (uint32_t i = 0; i < n->worker_count && error == 0; i++) {
		error = worker_start(&n->workers[i]);
	}
	if (error == 0) {
		error = control_start(&n->control);
	}
	return error != 0 ? error : keeping_start(n);
}

static void stop_threads(struct node *n)
{
	/* First who may signal the others. */
	control_stop(&n->control);
	for (uint32_t i = 0; i < n->worker_count; i++) {
		worker_stop(&n->workers[i]);
	}
	for (uint32_t i = 0; i < n->worker_count; i++) {
		worker_join(&n->workers[i]);
	}
}

int node_run(struct node *n)
{
	bool kept;

	io_loop_run(n->loop);
	acceptor_close(&n->acceptor);
	stop_threads(n);
	kept = keeping_stop(n);
	diag(DIAG_NOTE, "stopped");
	return kept ? EXIT_SUCCESS : EXIT_FAILURE;
}

void node_free(struct node *n)
{
	panic_set_report(NULL, NULL);
	acceptor_close(&n->acceptor);
	stop_threads(n);
	if (keeping_is_stuck(&n->keeping)) {
		return; /* the end of the process is all that ends that */
	}
	control_release(&n->control);
	for (uint32_t i = 0; i < n->worker_count; i++) {
		worker_release(&n->workers[i]);
	}
	free(n->workers);
	if (n->loop != NULL) {
		if (n->signals.loop != NULL) {
			io_watch_close(&n->signals);
		}
		io_loop_free(n->loop);
	}
	keeping_release(&n->keeping);
	if (n->store != NULL) {
		store_free(n->store);
	}
	prefix_release(&n->prefixes);
	auth_release(&n->auth);
	free(n);
}
