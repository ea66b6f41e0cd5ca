/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that feels every stall: one connection that stores a key once and
 * then asks for it every millisecond, one request at a time, until its
 * standard input ends. What it prints then is one line:
 *
 *	asked N longest_us N p999_us N own_us N machine_us N
 *
 * A time is that from sending a request to its reply, whole and right. What
 * is late because the machine did not let this program run before it sent is
 * not the server's doing and is not counted; so a millisecond between two
 * requests is the least, not the rule.
 *
 * own_us is the longest time that was the server's own doing: without that in
 * which its threads, or this program, could have run and were not let, as the
 * kernel tells, or another machine had the processor. machine_us is the most
 * by which a thread of this program that does nothing but sleep has overslept:
 * what a machine that stands still does and does not tell. The status is 0 if
 * every reply came, and was right; the caller judges the times.
 */

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dialer.h"
#include "toolargs.h"
#include "victim.h"

#define KEY "probe"
#define ASK "get " KEY
#define VALUE_BYTES 64
/* Longer than any bound on a stall, so that a stall is told as a time. */
#define PATIENCE_MS 30000u
/* Tenths of a millisecond up to a second; what is longer is in the last. */
#define STEP_US 100u
#define STEPS 10000u
#define NAP_US 1000

/* The thread that sleeps. */
struct sleeper {
	pthread_t thread;
	_Atomic bool stop;
	uint64_t late_us;
};

struct probe {
	struct talk talk;
	struct victim_waits waits;
	uint64_t asked;
	uint64_t longest_us;
	uint64_t own_us;
	uint64_t steps[STEPS + 1]; /* replies that took so many steps */
};

static void *sleeper_run(void *argument)
{
	struct sleeper *sleeper = argument;
	const struct timespec nap = { .tv_nsec = NAP_US * 1000 };

	while (!atomic_load(&sleeper->stop)) {
		uint64_t before_us = victim_now_us();
		uint64_t slept_us;

		nanosleep(&nap, NULL);
		slept_us = victim_now_us() - before_us;
		if (slept_us > sleeper->late_us + NAP_US) {
			sleeper->late_us = slept_us - NAP_US;
		}
	}
	return NULL;
}

/* ---- the requests ------------------------------------------------------- */

static void probe_note(struct probe *probe, uint64_t took_us,
		       uint64_t waited_us)
{
	uint64_t own_us = took_us > waited_us ? took_us - waited_us : 0;
	uint64_t step = took_us / STEP_US;

	probe->steps[step < STEPS ? step : STEPS]++;
	probe->asked++;
	if (took_us > probe->longest_us) {
		probe->longest_us = took_us;
	}
	if (own_us > probe->own_us) {
		probe->own_us = own_us;
	}
}

static bool probe_ask(struct probe *probe)
{
	char expected[VALUE_BYTES + 64];
	char got[sizeof(expected)];
	int size;
	uint64_t waited_us = victim_waits_us(&probe->waits);
	uint64_t before_us;
	uint64_t took_us;

	size = snprintf(expected, sizeof(expected),
			"VALUE " KEY " 0 %d\r\n%0*d\r\nEND\r\n", VALUE_BYTES,
			VALUE_BYTES, 0);
	before_us = victim_now_us();
	if (!talk_say(&probe->talk, ASK "\r\n") ||
	    !talk_bytes(&probe->talk, got, (size_t)size)) {
		printf("FAILED: no reply to request %" PRIu64 "\n",
		       probe->asked);
		return false;
	}
	took_us = victim_now_us() - before_us;
	if (memcmp(got, expected, (size_t)size) != 0) {
		printf("FAILED: a wrong reply: %.*s\n", size, got);
		return false;
	}
	probe_note(probe, took_us, victim_waits_us(&probe->waits) - waited_us);
	return true;
}

/* The time that 999 of 1,000 replies did not exceed. */
static uint64_t probe_p999_us(const struct probe *probe)
{
	uint64_t beyond = probe->asked / 1000;
	uint64_t seen = 0;

	for (unsigned int step = STEPS; step > 0; step--) {
		seen += probe->steps[step];
		if (seen > beyond) {
			return (step + 1) * STEP_US;
		}
	}
	return STEP_US;
}

/* Waits a millisecond; false when the caller has closed our input. */
static bool probe_goes_on(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&input, 1, 1) == 0;
}

int main(int argc, char **argv)
{
	uint64_t port = 0, pid = 0;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
		{ "pid", &pid, "process id of the server" },
	};
	static struct probe probe;
	static struct sleeper sleeper;
	bool good;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	if (!talk_open(&probe.talk, (uint16_t)port, PATIENCE_MS) ||
	    !talk_store(&probe.talk, KEY, VALUE_BYTES, '0')) {
		printf("FAILED: cannot store the key\n");
		return 2;
	}
	victim_waits_init(&probe.waits, (pid_t)pid);
	if (pthread_create(&sleeper.thread, NULL, sleeper_run, &sleeper) != 0) {
		perror("pthread_create");
		return 2;
	}
	do {
		good = probe_ask(&probe);
	} while (good && probe_goes_on());
	talk_close(&probe.talk);
	victim_waits_release(&probe.waits);
	atomic_store(&sleeper.stop, true);
	pthread_join(sleeper.thread, NULL);
	printf("asked %" PRIu64 " longest_us %" PRIu64 " p999_us %" PRIu64
	       " own_us %" PRIu64 " machine_us %" PRIu64 "\n",
	       probe.asked, probe.longest_us, probe_p999_us(&probe),
	       probe.own_us, sleeper.late_us);
	return good ? 0 : 1;
}
