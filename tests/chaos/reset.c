/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resets in every state that a session can be in, and then silence. The
 * kernel reports a reset as an error that nobody asked for; a loop that only
 * looks for readable and writable is told again at once, for ever, and burns
 * a processor while it still answers.
 *
 * Each scene brings connections into one state and resets them there. For
 * half of them the state is proven first: an answer that the server gives
 * from the same bytes has arrived. The other half is reset at once, so that
 * the reset races with the bytes.
 *
 * Judged after each scene and at the end: the idle process uses less than
 * 1 % of a processor, wakes at most 20 times a second, holds the descriptors
 * it began with, and answers.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dialer.h"
#include "toolargs.h"
#include "victim.h"

#define BATCH_MAX 50
#define REPLY_MS 60000
#define SETTLE_MS 60000u
#define BIG_KEYS 12
#define BIG_BYTES 500000u
#define DUMP_KEYS 3000
#define CPU_PERCENT 1
#define WAKEUPS_MAX 20
/* Small, so that a little unread output already fills the path. */
#define RCVBUF_BYTES 4096

#define KEY50 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define BIG_GET "get big0 big1 big2 big3 big4 big5 big6 big7 big8 big9\r\n"
#define BIG_HEAD "VALUE big0 0 500000\r\n"
#define DUMP_HEAD "key="

enum scene_push {
	PUSH_ONCE, /* the opening is all that is sent */
	PUSH_FULL, /* it is repeated until the server reads no more */
};

struct scene {
	const char *name;
	const char *opening;  /* NULL: reset right after the connect */
	const char *proof;    /* what the answer begins with once it is there */
	const char *or_proof; /* another answer, allowed but not counted */
	enum scene_push push;
	size_t batch;            /* connections at a time */
	unsigned int proven_min; /* percent of all; half of them try */
	bool poke;               /* let others cause output before the reset */
};

/* A server may have few watchers and one dump at a time and notice only later
 * that one of them went, so there less is asked for.
 *
 * `mn` in front of an unfinished request: its answer proves that the server
 * has taken in the bytes behind it, too. */
static const struct scene scenes[] = {
	{ "connect", NULL, NULL, NULL, PUSH_ONCE, BATCH_MAX, 50, false },
	{ "mid line", "mn\r\nge", "MN\r\n", NULL, PUSH_ONCE, BATCH_MAX, 50,
	  false },
	{ "mid key", "mn\r\nget " KEY50, "MN\r\n", NULL, PUSH_ONCE, BATCH_MAX,
	  50, false },
	{ "before value", "mn\r\nset v 0 0 1000\r\n", "MN\r\n", NULL, PUSH_ONCE,
	  BATCH_MAX, 50, false },
	{ "mid value", "mn\r\nset v 0 0 1000\r\n" KEY50, "MN\r\n", NULL,
	  PUSH_ONCE, BATCH_MAX, 50, false },
	{ "mid large value", "mn\r\nset v 0 0 900000\r\n" KEY50, "MN\r\n", NULL,
	  PUSH_ONCE, BATCH_MAX, 50, false },
	{ "mid refused value", "mn\r\nset v 0 0 9000000\r\n" KEY50, "MN\r\n",
	  NULL, PUSH_ONCE, BATCH_MAX, 50, false },
	{ "before crlf", "mn\r\nset v 0 0 50\r\n" KEY50, "MN\r\n", NULL,
	  PUSH_ONCE, BATCH_MAX, 50, false },
	{ "between cr and lf", "mn\r\nset v 0 0 50\r\n" KEY50 "\r", "MN\r\n",
	  NULL, PUSH_ONCE, BATCH_MAX, 50, false },
	{ "output pending", BIG_GET, BIG_HEAD, NULL, PUSH_ONCE, BATCH_MAX, 50,
	  false },
	{ "reading paused", BIG_GET, BIG_HEAD, NULL, PUSH_FULL, BATCH_MAX, 50,
	  false },
	{ "watch", "watch fetchers mutations\r\n", "OK\r\n", "WATCHER_TOO_MANY",
	  PUSH_ONCE, 16, 1, true },
	{ "metadump", "lru_crawler metadump all\r\n", DUMP_HEAD, "BUSY",
	  PUSH_ONCE, 1, 5, false },
};

struct counts {
	uint64_t resets;
	uint64_t proven;
};

/* Sends the opening again and again while the socket takes it. */
static bool push_some(int fd, const char *opening)
{
	char block[8192];
	size_t length = strlen(opening);
	size_t fill = sizeof(block) / length * length;
	bool took = false;

	for (size_t i = 0; i < fill; i += length) {
		memcpy(block + i, opening, length);
	}
	while (send(fd, block, fill, MSG_NOSIGNAL) > 0) {
		took = true;
	}
	return took;
}

/* Pushes on all until none takes more for a moment, which is so once the
 * buffers are full and the server has stopped reading. */
static void push_until_full(const int *fds, size_t count, const char *opening)
{
	bool took = true;

	for (int round = 0; took && round < 1000; round++) {
		took = false;
		for (size_t i = 0; i < count; i++) {
			took |= push_some(fds[i], opening);
		}
		poll(NULL, 0, 10);
	}
}

/* Waits for the beginning of the answer and leaves it unread. A dump that
 * first says OK has that line in front. */
static bool scene_prove(const struct scene *scene, int fd, bool *there)
{
	uint64_t end_us = victim_now_us() + REPLY_MS * UINT64_C(1000);
	char got[64] = "";
	const char *text = got;

	while (victim_now_us() < end_us) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t size;

		if (poll(&pfd, 1, REPLY_MS) != 1) {
			break;
		}
		size = recv(fd, got, sizeof(got) - 1, MSG_PEEK);
		if (size <= 0) {
			break;
		}
		got[size] = '\0';
		text = got;
		if (scene->proof != NULL && scene->proof[0] == 'k' &&
		    strncmp(got, "OK\r\n", 4) == 0) {
			text += 4;
		}
		if (strncmp(text, scene->proof, strlen(scene->proof)) == 0) {
			*there = true;
			return true;
		}
		if (scene->or_proof != NULL &&
		    strncmp(text, scene->or_proof, strlen(scene->or_proof)) ==
			    0) {
			*there = false;
			return true;
		}
		poll(NULL, 0, 1);
	}
	fprintf(stderr, "%s: got: %s\n", scene->name, got);
	return false;
}

/* Something for watchers to be told. */
static bool server_poke(uint16_t port)
{
	struct talk talk;
	bool good;

	if (!talk_open(&talk, port, REPLY_MS)) {
		return false;
	}
	good = talk_store(&talk, "poke", 10, 'p') &&
	       talk_expect(&talk, "touch poke 0", "TOUCHED") &&
	       talk_expect(&talk, "delete poke", "DELETED") &&
	       talk_expect(&talk, "get poke", "END");
	talk_close(&talk);
	return good;
}

/* Brings one batch into the state of the scene and resets it. */
static bool scene_batch(const struct scene *scene, uint16_t port,
			struct counts *counts, bool prove)
{
	int fds[BATCH_MAX];
	size_t open = 0;
	bool good = true;

	while (open < scene->batch) {
		int fd = dialer_open(port, counts->resets + open, RCVBUF_BYTES);

		if (fd < 0 || !dialer_wait(fd, REPLY_MS)) {
			perror("connect");
			good = false;
			break;
		}
		fds[open++] = fd;
		if (scene->opening != NULL) {
			send(fd, scene->opening, strlen(scene->opening),
			     MSG_NOSIGNAL);
		}
	}
	for (size_t i = 0; i < open && good && prove; i++) {
		bool there = true;

		if (scene->proof != NULL) {
			good = scene_prove(scene, fds[i], &there);
		}
		counts->proven += there;
	}
	if (scene->push == PUSH_FULL && prove && good) {
		push_until_full(fds, open, scene->opening);
	}
	if (scene->poke && good) {
		good = server_poke(port);
	}
	for (size_t i = 0; i < open; i++) {
		dialer_reset(fds[i]);
	}
	counts->resets += open;
	return good;
}

/* The idle server: little processor, few wake-ups. */
static bool idle_measure(const struct victim *victim, unsigned int ms,
			 double *percent, double *wakeups)
{
	uint64_t start_us = victim_now_us();
	uint64_t cpu_us = victim_cpu_us(victim);
	uint64_t woken = victim_wakeups(victim);
	uint64_t passed_us;

	poll(NULL, 0, (int)ms);
	passed_us = victim_now_us() - start_us;
	*percent = (double)(victim_cpu_us(victim) - cpu_us) * 100.0 /
		   (double)passed_us;
	*wakeups = (double)(victim_wakeups(victim) - woken) * 1e6 /
		   (double)passed_us;
	return *percent < CPU_PERCENT && *wakeups <= WAKEUPS_MAX;
}

/*
 * Gives the server up to ten windows to finish what is left of the clients
 * that went; a spinning one is as busy in the tenth as in the first.
 */
static bool idle_check(const struct victim *victim, const char *after,
		       unsigned int ms)
{
	double percent = 0;
	double wakeups = 0;

	for (int i = 0; i < 10; i++) {
		if (idle_measure(victim, ms, &percent, &wakeups)) {
			printf("idle after %s: %.2f %% processor, %.1f "
			       "wake-ups/s\n",
			       after, percent, wakeups);
			return true;
		}
	}
	printf("FAILED: idle after %s: %.2f %% processor (below %d), %.1f "
	       "wake-ups/s (at most %d)\n",
	       after, percent, CPU_PERCENT, wakeups, WAKEUPS_MAX);
	return false;
}

static bool scene_run(const struct scene *scene, const struct victim *victim,
		      uint64_t wanted)
{
	struct counts counts = { 0 };
	uint64_t start_us = victim_now_us();
	bool prove = true;

	while (counts.resets < wanted) {
		if (!scene_batch(scene, victim->port, &counts, prove)) {
			printf("FAILED: %s: state not reached\n", scene->name);
			return false;
		}
		prove = !prove;
	}
	printf("%s: %" PRIu64 " resets, %" PRIu64 " in the proven state, "
	       "%" PRIu64 " ms\n",
	       scene->name, counts.resets, counts.proven,
	       (victim_now_us() - start_us) / 1000);
	fflush(stdout);
	if (counts.proven * 100 < counts.resets * scene->proven_min) {
		printf("FAILED: %s: too few in the state\n", scene->name);
		return false;
	}
	return idle_check(victim, scene->name, 300);
}

/* The keys that the scenes read. */
static bool reset_prepare(const struct victim *victim)
{
	struct talk talk;
	char key[64];
	bool good;

	if (!talk_open(&talk, victim->port, SETTLE_MS)) {
		return false;
	}
	good = talk_expect(&talk, "flush_all", "OK");
	for (int i = 0; i < BIG_KEYS && good; i++) {
		snprintf(key, sizeof(key), "big%d", i);
		good = talk_store(&talk, key, BIG_BYTES, 'b');
	}
	for (int i = 0; i < DUMP_KEYS && good; i++) {
		snprintf(key, sizeof(key), KEY50 "%d", i);
		good = talk_store(&talk, key, 10, 'd');
	}
	talk_close(&talk);
	return good &&
	       victim_wait_sockets(victim, VICTIM_ESTABLISHED, SETTLE_MS);
}

static bool reset_judge(const struct victim *victim, long fds)
{
	bool good = idle_check(victim, "everything", 5000);

	if (!victim_alive(victim)) {
		printf("FAILED: server alive\n");
		good = false;
	}
	if (!victim_wait_fds(victim, fds, SETTLE_MS)) {
		printf("FAILED: descriptors %ld -> %ld\n", fds,
		       victim_fds(victim));
		good = false;
	}
	if (!victim_wait_sockets(victim, VICTIM_CLOSE_WAIT, SETTLE_MS)) {
		printf("FAILED: sockets in CLOSE_WAIT\n");
		good = false;
	}
	if (!talk_works(victim->port)) {
		printf("FAILED: a fresh client is served\n");
		good = false;
	}
	return good;
}

int main(int argc, char **argv)
{
	uint64_t port = 0, pid = 0, resets = 10000, only = 0;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
		{ "pid", &pid, "process id of the server" },
		{ "resets", &resets, "resets in each state" },
		{ "only", &only, "number of the one scene to run, from 1" },
	};
	struct victim victim;
	bool good = true;
	long fds;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	victim.pid = (pid_t)pid;
	victim.port = (uint16_t)port;
	if (!reset_prepare(&victim)) {
		fprintf(stderr, "cannot prepare\n");
		return 2;
	}
	fds = victim_fds(&victim);
	if (!idle_check(&victim, "preparation", 1000)) {
		return 2;
	}
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (only == 0 || only == i + 1) {
			good &= scene_run(&scenes[i], &victim, resets);
		}
	}
	good &= reset_judge(&victim, fds);
	printf("%s\n", good ? "passed" : "failed");
	return good ? 0 : 1;
}
