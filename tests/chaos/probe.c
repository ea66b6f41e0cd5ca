/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A client that feels every stall: one connection that stores a key once and
 * then asks for it every millisecond, one request at a time, until its
 * standard input ends. What it prints then is one line:
 *
 *	asked N longest_us N p999_us N
 *
 * A time is that from sending a request to its reply, whole and right. What
 * is late because the machine did not let this program run before it sent is
 * not the server's doing and is not counted; so a millisecond between two
 * requests is the least, not the rule. The status is 0 if every reply came,
 * and was right; the caller judges the times.
 */

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

struct probe {
	struct talk talk;
	uint64_t asked;
	uint64_t longest_us;
	uint64_t steps[STEPS + 1]; /* replies that took so many steps */
};

static bool probe_ask(struct probe *probe)
{
	char expected[VALUE_BYTES + 64];
	char got[sizeof(expected)];
	int size;
	uint64_t before_us;
	uint64_t took_us;
	uint64_t step;

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
	step = took_us / STEP_US;
	probe->steps[step < STEPS ? step : STEPS]++;
	probe->asked++;
	if (took_us > probe->longest_us) {
		probe->longest_us = took_us;
	}
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
	uint64_t port = 0;
	const struct tool_arg args[] = {
		{ "port", &port, "TCP port of the server" },
	};
	static struct probe probe;
	bool good;

	toolargs_read(argc, argv, args, sizeof(args) / sizeof(args[0]));
	if (!talk_open(&probe.talk, (uint16_t)port, PATIENCE_MS) ||
	    !talk_store(&probe.talk, KEY, VALUE_BYTES, '0')) {
		printf("FAILED: cannot store the key\n");
		return 2;
	}
	do {
		good = probe_ask(&probe);
	} while (good && probe_goes_on());
	talk_close(&probe.talk);
	printf("asked %" PRIu64 " longest_us %" PRIu64 " p999_us %" PRIu64 "\n",
	       probe.asked, probe.longest_us, probe_p999_us(&probe));
	return good ? 0 : 1;
}
