/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `dozo bench`: defaults, every option in each of its
 * forms, and what is refused with which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "cmd/bench_options.h"

static struct arguments words;

static bool parse(struct bench_options *o, const char *line)
{
	arguments_split(&words, line);
	return bench_options_parse(o, words.argc, words.argv);
}

static struct plan plan_of(const char *line)
{
	struct bench_options o;

	if (!parse(&o, line)) {
		fail_msg("%s: %s", line, o.problem);
	}
	return o.plan;
}

static void refused(const char *line, const char *why)
{
	struct bench_options o;

	if (parse(&o, line)) {
		fail_msg("%s was taken", line);
	}
	if (strstr(o.problem, why) == NULL) {
		fail_msg("%s: '%s' does not say '%s'", line, o.problem, why);
	}
}

static void test_defaults(void **state)
{
	struct plan p = plan_of("");

	(void)state;
	assert_ptr_equal(p.dialect, &dialect_text);
	assert_int_equal(p.connections, 50);
	assert_int_equal(p.threads, 1);
	assert_int_equal(p.depth, 1);
	assert_int_equal(p.multiget, 1);
	assert_int_equal(p.get_share, 9);
	assert_int_equal(p.set_share, 1);
	assert_int_equal(p.keys, 1000000);
	assert_int_equal(p.key_size, 16);
	assert_int_equal(p.sizes.kind, SIZE_FIXED);
	assert_int_equal(p.sizes.max, 100);
	assert_int_equal(p.dist, DIST_UNIFORM);
	assert_int_equal(p.timed.ns, 10000000000);
	assert_int_equal(p.timed.requests, 0);
	assert_int_equal(p.warmup.ns, 1000000000);
	assert_int_equal(p.rounds, 1);
	assert_int_equal(p.seed, 1);
	assert_int_equal(p.timeout_ns, 10000000000);
	assert_false(p.populate);
	assert_true(p.rate == 0);
}

static void test_forms(void **state)
{
	(void)state;
	assert_int_equal(plan_of("-c 7").connections, 7);
	assert_int_equal(plan_of("-c7").connections, 7);
	assert_int_equal(plan_of("--connections 7").connections, 7);
	assert_int_equal(plan_of("--connections=7").connections, 7);
	assert_int_equal(plan_of("-t 3").threads, 3);
	assert_int_equal(plan_of("-d 9").depth, 9);
	assert_int_equal(plan_of("-k 9").keys, 9);
	assert_int_equal(plan_of("--first 12").first, 12);
	assert_int_equal(plan_of("--multiget 100").multiget, 100);
	assert_int_equal(plan_of("--ttl 60").ttl_s, 60);
	assert_int_equal(plan_of("--seed 60").seed, 60);
	assert_int_equal(plan_of("--reconnect 1").reconnect, 1);
	assert_int_equal(plan_of("--timeout 0.5").timeout_ns, 500000000);
	assert_ptr_equal(plan_of("--protocol meta").dialect, &dialect_meta);
	assert_true(plan_of("--populate").populate);
	assert_true(plan_of("--populate-only").populate_only);
	assert_true(plan_of("--populate-only").populate);
	assert_true(plan_of("--look-aside").look_aside);
	assert_true(plan_of("--unchecked").unchecked);
	assert_true(plan_of("--rate 1500").rate == 1500);
}

static void test_ratio_and_dist(void **state)
{
	struct plan p = plan_of("--ratio 0:1 --dist zipf:0.99");

	(void)state;
	assert_int_equal(p.get_share, 0);
	assert_int_equal(p.set_share, 1);
	assert_int_equal(p.dist, DIST_ZIPF);
	assert_true(p.theta == 0.99);
	assert_int_equal(plan_of("--dist hot").dist, DIST_HOT);
	refused("--ratio 0:0", "--ratio: GETS:SETS");
	refused("--ratio 5", "--ratio: GETS:SETS");
	refused("--ratio 1:x", "--ratio: GETS:SETS");
	refused("--dist zipf", "--dist: uniform, hot or zipf:THETA");
	refused("--dist zipf:0", "--dist");
	refused("--dist zipf:nan", "--dist");
	refused("--dist zipf:1e9", "--dist");
}

static void test_sizes(void **state)
{
	struct size_law l = plan_of("--value-size 10-20").sizes;

	(void)state;
	assert_int_equal(l.kind, SIZE_RANGE);
	assert_int_equal(l.min, 10);
	assert_int_equal(l.max, 20);
	l = plan_of("--value-size lognormal:200:1.5:8192").sizes;
	assert_int_equal(l.kind, SIZE_LOGNORMAL);
	assert_int_equal(l.max, 8192);
	assert_true(l.median == 200 && l.sigma == 1.5);
	assert_int_equal(plan_of("--value-size 0").sizes.max, 0);
	refused("--value-size 20-10", "--value-size");
	refused("--value-size x", "--value-size");
	refused("--value-size 2000000000", "up to 1 GiB");
	refused("--value-size lognormal:200:1", "--value-size");
	refused("--value-size lognormal:200:1:100", "--value-size");
	refused("--value-size lognormal:0:1:100", "--value-size");
	refused("--value-size lognormal:::", "--value-size");
}

static void test_spans(void **state)
{
	struct plan p = plan_of("--requests 1000");

	(void)state;
	assert_int_equal(p.timed.requests, 1000);
	assert_int_equal(p.timed.ns, 0);
	assert_int_equal(p.warmup.requests, 100);
	assert_int_equal(p.warmup.ns, 0);
	p = plan_of("--duration 0.25 --warmup 0");
	assert_int_equal(p.timed.ns, 250000000);
	assert_int_equal(p.warmup.ns, 0);
	assert_int_equal(p.warmup.requests, 0);
	p = plan_of("--requests 10 --warmup 1.5s");
	assert_int_equal(p.warmup.ns, 1500000000);
	assert_int_equal(p.warmup.requests, 0);
	assert_int_equal(plan_of("--vs 5").rounds, 5);
	assert_int_equal(plan_of("--vs 5 --rounds 2").rounds, 2);
	refused("--requests 0", "--requests");
	refused("--duration 0", "--duration");
	refused("--duration 1e3", "--duration");
	refused("--warmup s", "--warmup");
	refused("--rate 0", "--rate");
	refused("--rate fast", "--rate");
	refused("--timeout 0", "--timeout");
	refused("--ttl 2592001", "--ttl: from 0 to 2592000");
}

static void test_cpus(void **state)
{
	struct plan p = plan_of("--cpu 0,2-4");

	(void)state;
	assert_int_equal(p.cpu_count, 4);
	assert_int_equal(p.cpus[0], 0);
	assert_int_equal(p.cpus[1], 2);
	assert_int_equal(p.cpus[3], 4);
	refused("--cpu ,", "--cpu");
	refused("--cpu 3-1", "--cpu");
	refused("--cpu 5000", "--cpu");
	refused("--cpu x", "--cpu");
}

static void test_servers(void **state)
{
	struct bench_options o;

	(void)state;
	assert_true(parse(&o, ""));
	assert_string_equal(o.server, "127.0.0.1:11211");
	assert_null(o.versus);
	assert_true(parse(&o, "--vs 22 -o json --pid 5 --vs-pid 6 -q unix:/a"));
	assert_string_equal(o.server, "unix:/a");
	assert_string_equal(o.versus, "22");
	assert_int_equal(o.pid, 5);
	assert_int_equal(o.versus_pid, 6);
	assert_int_equal(o.form, REPORT_JSON);
	assert_true(o.quiet);
	refused("a b", "b: a server was named already");
	refused("--vs-pid 5", "--vs-pid goes with --vs");
	refused("-o xml", "--output: table, json or csv (given: xml)");
}

static void test_refused(void **state)
{
	(void)state;
	refused("--nothing", "--nothing: no such option");
	refused("-z", "-z: no such option");
	refused("--connections", "--connections needs a value");
	refused("--connections=", "--connections: from 1 to 1000000");
	refused("-c 0", "--connections: from 1 to 1000000 (given: 0)");
	refused("-c -1", "--connections");
	refused("--populate=1", "--populate takes no value");
	refused("-qx", "--quiet takes no value");
	refused("-c 2 -t 3", "--threads: at most one for each");
	refused("--key-size 2 -k 257", "too few digits");
	refused("--key-size 2 -k 256 --first 1", "too few digits");
	refused("--key-size 251", "--key-size: from 1 to 250");
	refused("--protocol binary", "--protocol: text or meta");
	assert_int_equal(plan_of("--key-size 2 -k 256").keys, 256);
}

/* Each long name in the help is one that is taken. */
static void test_help(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int names = 0;

	(void)state;
	assert_non_null(out);
	bench_options_help(out);
	fclose(out);
	for (char *at = strstr(text, "--"); at != NULL;
	     at = strstr(at + 2, "--")) {
		char word[64];
		struct bench_options o;
		char *argv[] = { (char *)"bench", word };

		snprintf(word, sizeof(word), "%.*s",
			 (int)strcspn(at, " \n,:;)"), at);
		bench_options_parse(&o, 2, argv);
		assert_null(strstr(o.problem, "no such option"));
		names++;
	}
	assert_true(names >= 30);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_ratio_and_dist),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
