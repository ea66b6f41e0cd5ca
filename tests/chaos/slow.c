/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that are slow, absent or absurd, and one that is not: the others
 * must not be felt by it. There are readers that never read, clients that
 * have sent half of everything, clients of one byte a second, values that
 * were announced and never come, and lines of a mebibyte of spaces.
 *
 * The good client is a probe of depth one with intended send times, four
 * hundred a second over eight connections, so that every worker thread has
 * some. A request that should have gone while the probe still waited counts
 * from its intended time: a stall cannot hide. Time in which the server's
 * threads could have run and were not let is not counted: it is another's
 * doing.
 *
 * A second probe, alike, speaks at the same time to a server that does nothing
 * (control_server.h): it tells what the machine alone does to a request, since
 * a virtual processor can be taken away for many milliseconds, and not every
 * kernel tells.
 *
 * Judged: during the mischief the probe's 99th percentile is at most twice
 * the worst of its own quiet one, the other probe's, and two milliseconds.
 * Up to five rounds are run and the best one counts: a server that lets itself
 * be held up fails every one. Since a server that burns the machine would hold
 * up both probes, its processor time is bounded, too. Memory never exceeds the
 * limit by more than a tenth plus a fixed base, and at the end the descriptors
 * are back.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control_server.h"
#include "dialer.h"
#include "toolargs.h"
#include "victim.h"

#define PROBE_CONNS 8
#define PROBE_GAP_US 2500
#define PROBE_BYTES CONTROL_BYTES
#define CPU_MAX 25 /* percent of one processor; 3 were seen */
#define FLOOR_US 2000
#define ROUNDS 5
#define TICK_MS 100
#define BIG_BYTES 500000u
#define SPACES (1u << 20)
#define SETTLE_MS 60000u
#define RCVBUF_BYTES 4096

/* How many of each; -c must leave room for their sum and the probe. */
#define READERS 100
#define DRIPPERS 200
#define ANNOUNCERS 200
#define HALVES 200
#define SPACERS 20
#define ACTORS (READERS + DRIPPERS + ANNOUNCERS + HALVES + SPACERS)

#define ASK_BIG "get big0 big1 big2 big3 big0 big1 big2 big3\r\n"

enum part {
	PART_READER,    /* asks for much, reads nothing or a little */
	PART_DRIPPER,   /* sends a byte a second */
	PART_ANNOUNCER, /* announces a value that never comes */
	PART_HALF,      /* says nothing, or closed its sending side */
	PART_SPACER,    /* sends a line of spaces */
};

struct actor {
	enum part part;
	int fd;
	size_t sent;
	uint64_t next_us;
	uint64_t turns; /* how often it acted */
};

struct probe {
	uint16_t port;
	pid_t pid; /* of the server, whose waits are not counted */
	pthread_t thread;
	_Atomic bool stop;
	struct talk talks[PROBE_CONNS];
	uint64_t *latency_us;
	size_t room;
	size_t count;
	bool broken;
};

/* ---- the probe ---------------------------------------------------------- */

static bool probe_once(struct talk *talk, size_t which)
{
	char line[64];
	char want[64];
	char data[PROBE_BYTES + 2];

	snprintf(want, sizeof(want), "VALUE probe%zu 0 %d", which, PROBE_BYTES);
	return talk_say(talk, "get probe%zu\r\n", which) &&
	       talk_line(talk, line, sizeof(line)) && strcmp(line, want) == 0 &&
	       talk_bytes(talk, data, sizeof(data)) &&
	       talk_line(talk, line, sizeof(line)) && strcmp(line, "END") == 0;
}

static uint64_t max_us(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void sleep_until(uint64_t at_us)
{
	struct timespec ts = { .tv_sec = (time_t)(at_us / 1000000),
			       .tv_nsec = (long)(at_us % 1000000) * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* One request; what it took and was not waited for a processor. */
static bool probe_timed(struct probe *probe, const struct victim_waits *waits,
			uint64_t *own_us)
{
	size_t which = probe->count % PROBE_CONNS;
	uint64_t before_us = victim_now_us();
	uint64_t waited_us = victim_waits_us(waits);
	bool good = probe_once(&probe->talks[which], which);
	uint64_t took_us = victim_now_us() - before_us;

	waited_us = victim_waits_us(waits) - waited_us;
	*own_us = took_us > waited_us ? took_us - waited_us : 0;
	return good;
}

/*
 * `done_us` is when the last request would have ended if none had waited for
 * a processor: one that was intended before that is late by as much.
 */
static void *probe_run(void *argument)
{
	struct probe *probe = argument;
	uint64_t intended_us = victim_now_us();
	uint64_t done_us = 0;
	struct victim_waits waits;
	uint64_t own_us;

	victim_waits_init(&waits, probe->pid);
	while (!atomic_load(&probe->stop) && probe->count < probe->room) {
		intended_us += PROBE_GAP_US;
		if (victim_now_us() < intended_us) {
			sleep_until(intended_us);
		}
		if (!probe_timed(probe, &waits, &own_us)) {
			probe->broken = true;
			break;
		}
		done_us = max_us(done_us, intended_us) + own_us;
		probe->latency_us[probe->count++] = done_us - intended_us;
	}
	victim_waits_release(&waits);
	return NULL;
}

static int compare_us(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static bool probe_init(struct probe *probe, uint16_t port, pid_t pid,
		       uint64_t seconds)
{
	memset(probe, 0, sizeof(*probe));
	probe->port = port;
	probe->pid = pid;
	probe->room = seconds * 1000000 / PROBE_GAP_US + 1;
	probe->latency_us = calloc(probe->room, sizeof(*probe->latency_us));
	if (probe->latency_us == NULL) {
		return false;
	}
	for (size_t i = 0; i < PROBE_CONNS; i++) {
		char key[32];

		snprintf(key, sizeof(key), "probe%zu", i);
		if (!talk_open(&probe->talks[i], port, SETTLE_MS) ||
		    !talk_store(&probe->talks[i], key, PROBE_BYTES,
				CONTROL_FILL)) {
			return false;
		}
	}
	return true;
}

static void probe_release(struct probe *probe)
{
	for (size_t i = 0; i < PROBE_CONNS; i++) {
		talk_close(&probe->talks[i]);
	}
	free(probe->latency_us);
}

static void probe_start(struct probe *probe)
{
	probe->count = 0;
	atomic_store(&probe->stop, false);
	if (pthread_create(&probe->thread, NULL, probe_run, probe) != 0) {
		perror("pthread_create");
		exit(2);
	}
}

/* Ends a run of the probe; false when an answer was wrong or missing. */
static bool probe_finish(struct probe *probe, const char *what,
			 uint64_t *p99_us)
{
	atomic_store(&probe->stop, true);
	pthread_join(probe->thread, NULL);
	if (probe->broken || probe->count < 100) {
		printf("FAILED: the probe got %zu answers, then a wrong one or "
		       "none\n",
		       probe->count);
		return false;
	}
	qsort(probe->latency_us, probe->count, sizeof(uint64_t), compare_us);
	*p99_us = probe->latency_us[probe->count * 99 / 100];
	printf("%s: %zu requests, p50 %" PRIu64 " us, p99 %" PRIu64
	       " us, longest %" PRIu64 " us\n",
	       what, probe->count, probe->latency_us[probe->count / 2], *p99_us,
	       probe->latency_us[probe->count - 1]);
	return true;
}

/* ---- the mischief ------------------------------------------------------- */

static void actor_open(struct actor *actor, uint16_t port, size_t i)
{
	actor->fd = dialer_open(port, i, RCVBUF_BYTES);
	if (actor->fd < 0 || !dialer_wait(actor->fd, SETTLE_MS)) {
		perror("connect");
		exit(2);
	}
	actor->sent = 0;
}

/* Reads a little of what there is, on every tenth turn. */
static void act_reader(struct actor *actor, size_t i)
{
	char little[16];

	if (actor->sent == 0) {
		send(actor->fd, ASK_BIG, sizeof(ASK_BIG) - 1, MSG_NOSIGNAL);
		actor->sent = 1;
	} else if (i % 2 == 0) {
		recv(actor->fd, little, sizeof(little), 0);
	}
}

static void act_dripper(struct actor *actor)
{
	static const char drip[] = "get probe0\r\n";
	char dump[4096];

	send(actor->fd, &drip[actor->sent % (sizeof(drip) - 1)], 1,
	     MSG_NOSIGNAL);
	actor->sent++;
	while (recv(actor->fd, dump, sizeof(dump), 0) > 0) {
		continue;
	}
}

static void act_announcer(struct actor *actor, size_t i)
{
	char line[128];
	int length;

	if (actor->sent != 0) {
		return;
	}
	length = snprintf(line, sizeof(line), "set never%zu 0 0 %zu\r\nfirst",
			  i, i % 4 == 0 ? (size_t)10000 : (size_t)1000000);
	send(actor->fd, line, (size_t)length, MSG_NOSIGNAL);
	actor->sent = 1;
}

/* Half of these lines begin with `get `, which may be of any length. */
static void act_spacer(struct actor *actor, uint16_t port, size_t i)
{
	char block[65536];
	ssize_t sent = 1;

	memset(block, ' ', sizeof(block));
	if (i % 2 == 0 && actor->sent == 0) {
		memcpy(block, "get ", 4);
	}
	while (sent > 0 && actor->sent < SPACES) {
		sent = send(actor->fd, block, sizeof(block), MSG_NOSIGNAL);
		actor->sent += sent > 0 ? (size_t)sent : 0;
		memset(block, ' ', sizeof(block));
	}
	if (actor->sent >= SPACES || (sent < 0 && errno != EAGAIN)) {
		close(actor->fd);
		actor_open(actor, port, i);
	}
}

static void actor_act(struct actor *actor, uint16_t port, size_t i)
{
	uint64_t now_us = victim_now_us();

	if (now_us < actor->next_us) {
		return;
	}
	actor->next_us += 1000000;
	switch (actor->part) {
	case PART_READER:
		act_reader(actor, i);
		break;
	case PART_DRIPPER:
		act_dripper(actor);
		break;
	case PART_ANNOUNCER:
		act_announcer(actor, i);
		break;
	case PART_HALF:
		if (actor->sent++ == 0 && i % 2 == 0) {
			shutdown(actor->fd, SHUT_WR);
		}
		break;
	case PART_SPACER:
		act_spacer(actor, port, i);
		break;
	}
	actor->turns++;
}

struct mischief {
	struct victim victim;
	struct actor *actors;
	size_t count;
	long rss_max_kib;
};

/* All parts, or only the one of that number, from 1. */
static void mischief_cast(struct mischief *mischief, uint64_t only)
{
	static const struct {
		enum part part;
		size_t count;
	} cast[] = {
		{ PART_READER, READERS },       { PART_DRIPPER, DRIPPERS },
		{ PART_ANNOUNCER, ANNOUNCERS }, { PART_HALF, HALVES },
		{ PART_SPACER, SPACERS },
	};
	size_t at = 0;

	mischief->actors = calloc(ACTORS, sizeof(struct actor));
	if (mischief->actors == NULL) {
		perror("calloc");
		exit(2);
	}
	for (size_t i = 0; i < sizeof(cast) / sizeof(cast[0]); i++) {
		for (size_t k = 0; k < cast[i].count; k++) {
			if (only == 0 || only == i + 1) {
				mischief->actors[at++].part = cast[i].part;
			}
		}
	}
	mischief->count = at;
}

static void mischief_open(struct mischief *mischief)
{
	for (size_t i = 0; i < mischief->count; i++) {
		actor_open(&mischief->actors[i], mischief->victim.port, i);
		/* Spread over the second: a prime steps through all of it. */
		mischief->actors[i].next_us = victim_now_us() +
					      (i * 7919 % 1000) * 1000;
	}
}

static void mischief_run(struct mischief *mischief, uint64_t seconds)
{
	uint64_t end_us = victim_now_us() + seconds * 1000000;

	while (victim_now_us() < end_us) {
		long rss_kib = victim_rss_kib(&mischief->victim);

		for (size_t i = 0; i < mischief->count; i++) {
			actor_act(&mischief->actors[i], mischief->victim.port,
				  i);
		}
		if (rss_kib > mischief->rss_max_kib) {
			mischief->rss_max_kib = rss_kib;
		}
		poll(NULL, 0, TICK_MS);
	}
}

/* False when some actor hardly came on. */
static bool mischief_close(struct mischief *mischief, uint64_t turns_min)
{
	bool acted = true;

	for (size_t i = 0; i < mischief->count; i++) {
		close(mischief->actors[i].fd);
		acted &= mischief->actors[i].turns >= turns_min;
		mischief->actors[i].turns = 0;
	}
	return acted;
}

/* ---- rounds ------------------------------------------------------------- */

/* The probe of the server and, beside it, that of the control. */
struct probes {
	struct probe server;
	struct probe control;
};

/* Their 99th percentiles, in microseconds. */
struct latencies {
	uint64_t server;
	uint64_t control;
};

static void probes_start(struct probes *probes)
{
	probe_start(&probes->server);
	probe_start(&probes->control);
}

static bool probes_finish(struct probes *probes, const char *when,
			  struct latencies *latencies)
{
	bool good;

	printf("%s\n", when);
	good = probe_finish(&probes->server, "  server", &latencies->server);
	good &= probe_finish(&probes->control, "  control",
			     &latencies->control);
	return good;
}

static bool round_judge(const struct latencies *quiet,
			const struct latencies *noisy, uint64_t cpu)
{
	uint64_t allowed_us = 2 * max_us(max_us(quiet->server, noisy->control),
					 FLOOR_US);

	printf("  allowed: p99 %" PRIu64 " us; the server used %" PRIu64
	       " %% of a processor, allowed %d %%\n",
	       allowed_us, cpu, CPU_MAX);
	return noisy->server <= allowed_us && cpu <= CPU_MAX;
}

static bool round_run(struct mischief *mischief, struct probes *probes,
		      uint64_t seconds)
{
	struct latencies quiet;
	struct latencies noisy;
	uint64_t cpu_us = 0;
	bool answered;

	probes_start(probes);
	poll(NULL, 0, (int)(seconds * 1000 / 2));
	answered = probes_finish(probes, "quiet", &quiet);
	mischief_open(mischief);
	if (answered) {
		cpu_us = victim_cpu_us(&mischief->victim);
		probes_start(probes);
		mischief_run(mischief, seconds);
		answered = probes_finish(probes, "during the mischief", &noisy);
		cpu_us = victim_cpu_us(&mischief->victim) - cpu_us;
	}
	if (!mischief_close(mischief, seconds / 2)) {
		printf("FAILED: every actor acts every other second\n");
		answered = false;
	}
	return answered &&
	       round_judge(&quiet, &noisy, cpu_us / (seconds * 10000));
}

static bool rounds_run(struct mischief *mischief, struct probes *probes,
		       uint64_t seconds)
{
	bool good = false;

	for (int i = 0; i < ROUNDS && !good && !probes->server.broken &&
			!probes->control.broken;
	     i++) {
		good = round_run(mischief, probes, seconds);
	}
	return good;
}

static bool slow_prepare(const struct victim *victim)
{
	struct talk talk;
	char key[32];
	bool good;

	if (!talk_open(&talk, victim->port, SETTLE_MS)) {
		return false;
	}
	good = true;
	for (int i = 0; i < 4 && good; i++) {
		snprintf(key, sizeof(key), "big%d", i);
		good = talk_store(&talk, key, BIG_BYTES, 'b');
	}
	talk_close(&talk);
	return good &&
	       victim_wait_sockets(victim, VICTIM_ESTABLISHED, SETTLE_MS);
}

static bool slow_check(bool good, const char *what)
{
	if (!good) {
		printf("FAILED: %s\n", what);
	}
	return good;
}

static bool slow_judge(const struct mischief *mischief, long fds,
		       long bound_kib)
{
	const struct victim *victim = &mischief->victim;
	bool good;

	printf("largest resident memory %ld KiB, allowed %ld KiB\n",
	       mischief->rss_max_kib, bound_kib);
	good = slow_check(victim_alive(victim), "server alive");
	good &= slow_check(mischief->rss_max_kib <= bound_kib,
			   "memory within the bound");
	good &= slow_check(victim_wait_fds(victim, fds, SETTLE_MS),
			   "descriptors back to the start");
	good &= slow_check(victim_wait_sockets(victim, VICTIM_CLOSE_WAIT,
					       SETTLE_MS),
			   "no socket in CLOSE_WAIT");
	good &= slow_check(talk_works(victim->port),
			   "a fresh client is served");
	return good;
}

int main(int argc, char **argv)
{
	uint64_t port = 0, pid = 0, seconds = 10, limit_mb = 64, base_mb = 48;
	uint64_t only = 0;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
		{ "pid", &pid, "process id of the server" },
		{ "seconds", &seconds, "mischief in each of up to 5 rounds" },
		{ "limit-mb", &limit_mb, "the server's -m" },
		{ "base-mb", &base_mb, "memory allowed beside items" },
		{ "only", &only,
		  "one part: 1 readers, 2 drippers, "
		  "3 announcers, 4 halves, 5 spacers" },
	};
	struct mischief mischief = { 0 };
	struct control control;
	struct probes probes;
	bool good;
	long fds;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	mischief.victim.pid = (pid_t)pid;
	mischief.victim.port = (uint16_t)port;
	fds = victim_fds(&mischief.victim);
	if (!control_start(&control) || !slow_prepare(&mischief.victim) ||
	    !probe_init(&probes.server, (uint16_t)port, (pid_t)pid,
			seconds + 10) ||
	    !probe_init(&probes.control, control.port, getpid(),
			seconds + 10)) {
		fprintf(stderr, "cannot prepare\n");
		return 2;
	}
	mischief_cast(&mischief, only);
	good = slow_check(rounds_run(&mischief, &probes, seconds),
			  "latency and processor time within their bounds");
	probe_release(&probes.server);
	probe_release(&probes.control);
	control_stop(&control);
	good &= slow_judge(&mischief, fds,
			   (long)(limit_mb * 1126 + base_mb * 1024));
	free(mischief.actors);
	printf("%s\n", good ? "passed" : "failed");
	return good ? 0 : 1;
}
