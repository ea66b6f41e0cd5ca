/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command lines of check, dump and restore: what they mean, and what is
 * refused with which words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "base/limits.h"
#include "cmd/offline_options.h"

static struct arguments words;

static struct offline_options read_line(enum offline_command c,
					const char *line)
{
	struct offline_options o;

	arguments_split(&words, line);
	if (!offline_options_parse(&o, c, words.argc, words.argv)) {
		fail_msg("%s: %s", line, o.problem);
	}
	return o;
}

static void refused(enum offline_command c, const char *line, const char *why)
{
	struct offline_options o;

	arguments_split(&words, line);
	if (offline_options_parse(&o, c, words.argc, words.argv)) {
		fail_msg("'%s' was taken", line);
	}
	if (strstr(o.problem, why) == NULL) {
		fail_msg("'%s': '%s' does not say '%s'", line, o.problem, why);
	}
}

static void test_one_directory(void **state)
{
	struct offline_options o = read_line(OFFLINE_CHECK, "a/b");

	(void)state;
	assert_int_equal(o.from_count, 1);
	assert_string_equal(o.from[0], "a/b");
	o = read_line(OFFLINE_DUMP, "d");
	assert_false(o.all);
	assert_false(o.values);
	o = read_line(OFFLINE_DUMP, "--values d --all");
	assert_true(o.all);
	assert_true(o.values);
	assert_string_equal(o.from[0], "d");
	refused(OFFLINE_CHECK, "", "one directory must be named");
	refused(OFFLINE_CHECK, "a b", "one directory must be named");
	refused(OFFLINE_DUMP, "", "one directory must be named");
	refused(OFFLINE_CHECK, "--all d",
		"--all: no such option; see dozo "
		"check --help");
	refused(OFFLINE_DUMP, "--into d", "no such option; see dozo dump");
	refused(OFFLINE_DUMP, "--all=1 d", "--all takes no value");
	refused(OFFLINE_CHECK, "-x d", "-x: no such option");
}

static void test_restore(void **state)
{
	struct offline_options o =
		read_line(OFFLINE_RESTORE,
			  "--archive a --archive=b --to-lsn 1025 --into c");

	(void)state;
	assert_int_equal(o.from_count, 2);
	assert_string_equal(o.from[0], "a");
	assert_string_equal(o.from[1], "b");
	assert_string_equal(o.into, "c");
	assert_int_equal(o.to_lsn, 1025);
	assert_int_equal(o.to_time, UINT32_MAX);
	assert_int_equal(o.memory_limit, 0);
	assert_false(o.quiet);
	o = read_line(OFFLINE_RESTORE, "--archive a --to-lsn 0x40Af "
				       "--into c -m 64 -q");
	assert_int_equal(o.to_lsn, 0x40af);
	assert_int_equal(o.memory_limit, 64 * MIB);
	assert_true(o.quiet);
	o = read_line(OFFLINE_RESTORE,
		      "--to-time=2026-11-26T04:15:00Z --into=c -m8 "
		      "--archive a");
	assert_int_equal(o.to_time, 1795666500);
	assert_int_equal(o.to_lsn, UINT64_MAX);
	assert_int_equal(o.memory_limit, 8 * MIB);
}

#define BEGIN "--archive a --into c "

static void test_restore_refuses(void **state)
{
	(void)state;
	refused(OFFLINE_RESTORE, "--to-lsn 1 --into c", "--archive must say");
	refused(OFFLINE_RESTORE, "--to-lsn 1 --archive a", "--into must say");
	refused(OFFLINE_RESTORE, BEGIN, "one of --to-time and --to-lsn");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 1 --to-time 1",
		"one of --to-time and --to-lsn");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn", "--to-lsn needs a value");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 0x", "--to-lsn: an LSN");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 0x12345678901234567",
		"an LSN");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 12g", "given: 12g");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 18446744073709551615",
		"an LSN");
	refused(OFFLINE_RESTORE, BEGIN "--to-time now", "--to-time: Unix");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 1 -m 7", "-m: MiB, from 8");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 1 -m 99999999", "-m: MiB");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 1 d",
		"directories follow an option (given: d)");
	refused(OFFLINE_RESTORE, BEGIN "--to-lsn 1 --into d",
		"--into: one directory (given: d)");
	refused(OFFLINE_RESTORE,
		"--into=", "--into: one directory (given: nothing)");
}

static void test_too_many(void **state)
{
	char line[ARGUMENTS_ROOM] = "--into c --to-lsn 1";

	(void)state;
	for (int i = 0; i < OFFLINE_ARCHIVES_MAX; i++) {
		memcpy(line + strlen(line), " --archive a", 13);
	}
	assert_int_equal(read_line(OFFLINE_RESTORE, line).from_count,
			 OFFLINE_ARCHIVES_MAX);
	memcpy(line + strlen(line), " --archive a", 13);
	refused(OFFLINE_RESTORE, line, "too many directories");
}

/* Every option that is taken is told, and no other. */
static void test_help(void **state)
{
	static const struct {
		enum offline_command command;
		const char *has;
		const char *has_not;
	} expected[] = {
		{ OFFLINE_CHECK, "usage: dozo check DIR", "--all" },
		{ OFFLINE_DUMP, "--values", "--into" },
		{ OFFLINE_RESTORE, "--to-time T", "--all" },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);

		assert_true(read_line(expected[i].command, "-h").help);
		offline_options_help(expected[i].command, out);
		fclose(out);
		assert_non_null(strstr(text, expected[i].has));
		assert_null(strstr(text, expected[i].has_not));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_directory),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_restore_refuses),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
