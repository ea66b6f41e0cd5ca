/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection storm: the server's connection limit is kept full while
 * clients from 200 addresses connect and close around it, orderly and by
 * reset, each with one checked get. A server once ended silently under this
 * because a count of events fell to zero; others leak a descriptor here and
 * there until nobody can connect.
 *
 * Two behaviours at the limit are known. Fast (--wait 0): one connection too
 * many is told so and closed. Waiting (--wait 1): the server stops accepting
 * and the connection stays in the backlog until this program gives it up.
 *
 * With --connects the storm ends after so many connections and not by time;
 * with --extra 0 none is turned away, and all of it is churn.
 *
 * Judged at the end: the process lives, descriptors and curr_connections are
 * back where they began, no socket is left in CLOSE_WAIT, memory did not
 * grow after the first quarter, a fresh client is served, and enough
 * happened for all that to mean something.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialer.h"
#include "dice.h"
#include "toolargs.h"
#include "victim.h"

#define VALUE_BYTES 32
#define REPLY                                                                  \
	"VALUE storm 0 32\r\n"                                                 \
	"ssssssssssssssssssssssssssssssss\r\n"                                 \
	"END\r\n"
#define REPLY_BYTES (sizeof(REPLY) - 1)
#define REFUSAL "ERROR Too many open connections\r\n"
#define TURN_DIALS 64
#define TURN_CLOSES 32
#define TURN_EVENTS 512
#define ASK "get storm\r\n"

/* Longer than a client waits for a busy server, shorter than the storm. */
#define PATIENCE_US UINT64_C(1500000)
/* Waiting servers never answer the ones beyond the limit: give up early. */
#define BACKLOG_US UINT64_C(300000)
#define SETTLE_MS 60000u

enum slot_state {
	SLOT_IDLE,
	SLOT_DIALLED, /* connecting */
	SLOT_ASKED,   /* get sent, reply incomplete */
	SLOT_HELD,    /* served; stays until the dice choose it */
};

struct slot {
	int fd;
	enum slot_state state;
	uint64_t since_us;
	uint64_t patience_us;
	size_t got;
	char buf[REPLY_BYTES];
};

struct storm {
	struct victim victim;
	struct dice dice;
	struct slot *slots;
	size_t count;
	int epoll_fd;
	bool waiting; /* the server waits at the limit instead of refusing */
	uint64_t held;
	uint64_t peak;
	uint64_t connects;
	uint64_t served;
	uint64_t refused;
	uint64_t unserved; /* given up by patience */
	uint64_t resets;
	uint64_t vanished; /* closed before a word was said */
	uint64_t dropped;  /* closed by the server after it had served */
	uint64_t wrong;    /* any other answer */
};

/* What the server looked like at one moment. */
struct storm_base {
	long fds;
	long rss_kib;
	uint64_t connections;
	uint64_t disabled; /* how often it stopped accepting */
};

static void slot_close(struct storm *storm, struct slot *slot)
{
	if (slot->state == SLOT_HELD) {
		storm->held--;
	}
	if (dice_below(&storm->dice, 2) == 0) {
		dialer_reset(slot->fd);
		storm->resets++;
	} else {
		close(slot->fd);
	}
	slot->fd = -1;
	slot->state = SLOT_IDLE;
}

static void slot_dial(struct storm *storm, struct slot *slot)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	slot->fd = dialer_open(storm->victim.port, dice_roll(&storm->dice), 0);
	if (slot->fd < 0) {
		return;
	}
	storm->connects++;
	slot->state = SLOT_DIALLED;
	slot->since_us = victim_now_us();
	slot->patience_us = storm->waiting ?
				    dice_below(&storm->dice, BACKLOG_US) :
				    PATIENCE_US;
	slot->got = 0;
	if (dice_below(&storm->dice, 8) == 0) {
		storm->vanished++;
		slot_close(storm, slot);
		return;
	}
	event.data.ptr = slot;
	if (epoll_ctl(storm->epoll_fd, EPOLL_CTL_ADD, slot->fd, &event) != 0) {
		perror("epoll_ctl");
		exit(2);
	}
}

/* Sends the question. A failed send is seen by the next receive. */
static void slot_ask(struct storm *storm, struct slot *slot)
{
	struct epoll_event event = { .events = EPOLLIN };

	event.data.ptr = slot;
	epoll_ctl(storm->epoll_fd, EPOLL_CTL_MOD, slot->fd, &event);
	send(slot->fd, ASK, sizeof(ASK) - 1, MSG_NOSIGNAL);
	slot->state = SLOT_ASKED;
}

/* The server ended the connection: what did it say before that? */
static void slot_ended(struct storm *storm, struct slot *slot)
{
	bool told = slot->got == sizeof(REFUSAL) - 1 &&
		    memcmp(slot->buf, REFUSAL, slot->got) == 0;

	if (slot->state == SLOT_HELD) {
		storm->dropped++;
	} else if ((slot->got == 0 || told) && !storm->waiting) {
		storm->refused++;
	} else {
		storm->wrong++;
		fprintf(stderr, "ended after %zu bytes: %.*s\n", slot->got,
			(int)slot->got, slot->buf);
	}
	slot_close(storm, slot);
}

static void slot_receive(struct storm *storm, struct slot *slot)
{
	char extra[8];
	bool full = slot->got == REPLY_BYTES;
	ssize_t got;

	got = recv(slot->fd, full ? extra : slot->buf + slot->got,
		   full ? sizeof(extra) : REPLY_BYTES - slot->got, 0);
	if (got < 0 && errno == EAGAIN) {
		return;
	}
	if (got <= 0) {
		slot_ended(storm, slot);
		return;
	}
	if (full) {
		storm->wrong++;
		slot_close(storm, slot);
		return;
	}
	slot->got += (size_t)got;
	if (slot->got < REPLY_BYTES) {
		return;
	}
	if (memcmp(slot->buf, REPLY, REPLY_BYTES) != 0) {
		storm->wrong++;
		fprintf(stderr, "wrong reply: %.*s\n", (int)REPLY_BYTES,
			slot->buf);
		slot_close(storm, slot);
		return;
	}
	slot->state = SLOT_HELD;
	storm->served++;
	storm->held++;
	if (storm->held > storm->peak) {
		storm->peak = storm->held;
	}
}

static void storm_events(struct storm *storm)
{
	struct epoll_event events[TURN_EVENTS];
	int count = epoll_wait(storm->epoll_fd, events, TURN_EVENTS, 1);

	for (int i = 0; i < count; i++) {
		struct slot *slot = events[i].data.ptr;

		if (slot->state == SLOT_DIALLED) {
			slot_ask(storm, slot);
		}
		if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
			slot_receive(storm, slot);
		}
	}
}

/* Closes some that are served and dials again whatever is free. */
static void storm_churn(struct storm *storm)
{
	size_t start = dice_below(&storm->dice, storm->count);
	unsigned int dials = 0;

	for (int i = 0; i < TURN_CLOSES; i++) {
		struct slot *slot =
			&storm->slots[dice_below(&storm->dice, storm->count)];

		if (slot->state == SLOT_HELD) {
			slot_close(storm, slot);
		}
	}
	for (size_t i = 0; i < storm->count && dials < TURN_DIALS; i++) {
		struct slot *slot = &storm->slots[(start + i) % storm->count];

		if (slot->state == SLOT_IDLE) {
			slot_dial(storm, slot);
			dials++;
		}
	}
}

/* Gives up the ones that got no answer in their time. */
static void storm_patience(struct storm *storm)
{
	uint64_t now_us = victim_now_us();

	for (size_t i = 0; i < storm->count; i++) {
		struct slot *slot = &storm->slots[i];

		if ((slot->state == SLOT_DIALLED ||
		     slot->state == SLOT_ASKED) &&
		    now_us - slot->since_us > slot->patience_us) {
			storm->unserved++;
			slot_close(storm, slot);
		}
	}
}

static void storm_print(const struct storm *storm, const char *what,
			uint64_t elapsed_us)
{
	uint64_t ms = elapsed_us / 1000 + 1;

	printf("%s %" PRIu64 ".%03" PRIu64 " s: connects %" PRIu64
	       " served %" PRIu64 " refused %" PRIu64 " unserved %" PRIu64
	       " vanished %" PRIu64 " resets %" PRIu64 " held %" PRIu64
	       " peak %" PRIu64 " rate %" PRIu64 "/s rss %ld KiB\n",
	       what, ms / 1000, ms % 1000, storm->connects, storm->served,
	       storm->refused, storm->unserved, storm->vanished, storm->resets,
	       storm->held, storm->peak, storm->connects * 1000 / ms,
	       victim_rss_kib(&storm->victim));
	fflush(stdout);
}

/* How long it is to blow. */
struct storm_length {
	uint64_t seconds;
	uint64_t connects; /* if not 0, these decide */
};

/* Has it reached so many quarters of its length? */
static bool storm_reached(const struct storm *storm, uint64_t elapsed_us,
			  const struct storm_length *length, uint64_t quarters)
{
	if (length->connects != 0) {
		return storm->connects >= length->connects * quarters / 4;
	}
	return elapsed_us >= length->seconds * 250000u * quarters;
}

/* Runs the storm; returns the memory after the first quarter, or -1 when the
 * server was gone before the end. In `length` the seconds are then those that
 * it took. */
static long storm_run(struct storm *storm, struct storm_length *length)
{
	uint64_t start_us = victim_now_us();
	uint64_t tick_us = start_us;
	uint64_t report_us = start_us;
	long rss_kib = 0;

	for (;;) {
		uint64_t now_us = victim_now_us();

		if (storm_reached(storm, now_us - start_us, length, 4)) {
			break;
		}
		storm_churn(storm);
		storm_events(storm);
		if (now_us - tick_us > 50000) {
			tick_us = now_us;
			storm_patience(storm);
			if (!victim_alive(&storm->victim)) {
				return -1;
			}
		}
		if (rss_kib == 0 &&
		    storm_reached(storm, now_us - start_us, length, 1)) {
			rss_kib = victim_rss_kib(&storm->victim);
		}
		if (now_us - report_us > 5000000) {
			report_us = now_us;
			storm_print(storm, "storm", now_us - start_us);
		}
	}
	length->seconds = (victim_now_us() - start_us) / 1000000u;
	storm_print(storm, "storm ended", victim_now_us() - start_us);
	return rss_kib;
}

/* Looks at the server from outside and by one client that has gone again. */
static bool storm_look(const struct storm *storm, struct storm_base *base)
{
	struct talk talk;
	bool told;

	if (!talk_open(&talk, storm->victim.port, SETTLE_MS)) {
		fprintf(stderr, "cannot connect to port %u\n",
			(unsigned int)storm->victim.port);
		return false;
	}
	told = talk_store(&talk, "storm", VALUE_BYTES, 's') &&
	       talk_stat(&talk, "curr_connections", &base->connections) &&
	       talk_stat(&talk, "listen_disabled_num", &base->disabled);
	talk_close(&talk);
	if (!victim_wait_sockets(&storm->victim, VICTIM_ESTABLISHED,
				 SETTLE_MS)) {
		fprintf(stderr, "the server has other clients\n");
		return false;
	}
	base->fds = victim_fds(&storm->victim);
	base->rss_kib = victim_rss_kib(&storm->victim);
	return told && base->fds > 0;
}

static bool storm_check(bool good, const char *what)
{
	if (!good) {
		printf("FAILED: %s\n", what);
	}
	return good;
}

/* The server is what it was before. */
static bool storm_judge_server(const struct storm *storm,
			       const struct storm_base *before, long warm_kib,
			       long slack_kib)
{
	struct storm_base after = { .fds = -1 };
	bool good = true;

	if (!storm_check(victim_alive(&storm->victim), "server alive")) {
		return false;
	}
	good &= storm_check(victim_wait_fds(&storm->victim, before->fds,
					    SETTLE_MS),
			    "descriptors back to the start");
	good &= storm_check(victim_wait_sockets(&storm->victim,
						VICTIM_CLOSE_WAIT, SETTLE_MS),
			    "no socket in CLOSE_WAIT");
	good &= storm_check(storm_look(storm, &after), "a client is served");
	good &= storm_check(after.connections == before->connections,
			    "curr_connections back to the start");
	good &= storm_check(after.rss_kib <= warm_kib + slack_kib,
			    "memory within the bound after the first quarter");
	good &= storm_check(!storm->waiting ||
				    after.disabled > before->disabled,
			    "listen_disabled_num counts at the limit");
	good &= storm_check(talk_works(storm->victim.port),
			    "a fresh client can store, read and delete");
	printf("descriptors %ld -> %ld, connections %" PRIu64 " -> %" PRIu64
	       ", rss %ld -> %ld -> %ld KiB (growth allowed after the first "
	       "quarter: %ld)\n",
	       before->fds, after.fds, before->connections, after.connections,
	       before->rss_kib, warm_kib, after.rss_kib, slack_kib);
	return good;
}

/* Enough happened. The least numbers are a tenth of what a slow machine
 * does; a storm that does less did not blow. */
static bool storm_judge_storm(const struct storm *storm, uint64_t limit,
			      uint64_t seconds)
{
	bool crowded = storm->count > limit;
	uint64_t turned_away = storm->waiting ? storm->unserved :
						storm->refused;
	bool good = true;

	good &= storm_check(storm->wrong == 0, "every answer right");
	good &= storm_check(storm->dropped == 0,
			    "no served connection closed by the server");
	good &= storm_check(storm->peak >= limit * 9 / 10,
			    "limit full: nine in ten held at once");
	good &= storm_check(storm->connects >= seconds * 200,
			    "200 connects a second");
	good &= storm_check(storm->served >= seconds * 50,
			    "50 served a second");
	good &= storm_check(!crowded || turned_away >= seconds * 5,
			    "5 a second turned away at the limit");
	good &= storm_check(storm->resets >= seconds * 50,
			    "50 resets a second");
	return good;
}

/* As many descriptors as there may be: by habit there are few. */
static void descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void storm_init(struct storm *storm, uint64_t limit, uint64_t extra)
{
	descriptors_raise();
	storm->count = limit + extra;
	storm->slots = calloc(storm->count, sizeof(*storm->slots));
	storm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (storm->slots == NULL || storm->epoll_fd < 0) {
		perror("storm");
		exit(2);
	}
	for (size_t i = 0; i < storm->count; i++) {
		storm->slots[i].fd = -1;
	}
}

static void storm_release(struct storm *storm)
{
	for (size_t i = 0; i < storm->count; i++) {
		if (storm->slots[i].state != SLOT_IDLE) {
			slot_close(storm, &storm->slots[i]);
		}
	}
	free(storm->slots);
	storm->slots = NULL;
	close(storm->epoll_fd);
}

int main(int argc, char **argv)
{
	struct storm_length length = { .seconds = 60 };
	uint64_t port = 0, pid = 0, limit = 2000, seed = 1;
	uint64_t waiting = 0, slack_kib = 4096, extra = 600;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
		{ "pid", &pid, "process id of the server" },
		{ "seconds", &length.seconds, "length of the storm" },
		{ "connects", &length.connects, "its length, if not 0" },
		{ "limit", &limit, "the server's -c" },
		{ "extra", &extra, "connections beyond the limit" },
		{ "seed", &seed, "repeats the same choices" },
		{ "wait", &waiting, "1: started with no_maxconns_fast" },
		{ "slack-kib", &slack_kib, "memory growth allowed" },
	};
	struct storm storm = { 0 };
	struct storm_base before;
	long warm_kib;
	bool good;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	storm.victim.pid = (pid_t)pid;
	storm.victim.port = (uint16_t)port;
	storm.dice.state = seed;
	storm.waiting = waiting != 0;
	printf("seed %" PRIu64 "\n", seed);
	if (!storm_look(&storm, &before)) {
		return 2;
	}
	storm_init(&storm, limit, extra);
	warm_kib = storm_run(&storm, &length);
	storm_release(&storm);
	good = storm_judge_storm(&storm, limit, length.seconds);
	good &= storm_judge_server(&storm, &before, warm_kib, (long)slack_kib);
	printf("%s\n", good ? "passed" : "failed");
	return good ? 0 : 1;
}
