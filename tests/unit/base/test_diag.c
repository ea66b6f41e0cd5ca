/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Diagnostics: the form of a line, what each verbosity shows, and that long
 * lines and lines of several threads stay lines.
 */
#include <pthread.h>
#include <regex.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/diag.h"
#include "child.h"

#define STAMP                                                                  \
	"^20[0-9]{2}-[0-1][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:"             \
	"[0-5][0-9]\\.[0-9]{3} "

static void check_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0) {
		fail_msg("%s is not like %s", text, pattern);
	}
	regfree(&re);
}

static void run_one_line(void)
{
	diag_set_thread("worker/2");
	diag(DIAG_WARN, "disk %d: %s", 7, "full");
}

static void test_form(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_one_line));
	check_matches(c.text, STAMP "warn worker/2: disk 7: full\n$");
}

static void run_all_levels(void)
{
	for (int verbosity = -1; verbosity <= 4; verbosity++) {
		diag_set_verbosity(verbosity);
		for (int level = DIAG_ERROR; level <= DIAG_TRACE; level++) {
			diag((enum diag_level)level, "%d", verbosity);
		}
	}
}

/* How many lines of `text` say `level` with `verbosity`. */
static int count_lines(const char *text, const char *level, int verbosity)
{
	char needle[64];
	int count = 0;

	snprintf(needle, sizeof(needle), " %s main: %d\n", level, verbosity);
	for (const char *at = strstr(text, needle); at != NULL;
	     at = strstr(at + 1, needle)) {
		count++;
	}
	return count;
}

static void test_levels(void **state)
{
	static const char *const names[] = { "error", "warn",  "note",
					     "info",  "debug", "trace" };
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_all_levels));
	for (int v = -1; v <= 4; v++) {
		for (int level = DIAG_ERROR; level <= DIAG_TRACE; level++) {
			assert_int_equal(count_lines(c.text, names[level], v),
					 level <= DIAG_NOTE + (v < 0 ? 0 : v));
		}
	}
}

static void test_verbosity(void **state)
{
	(void)state;
	assert_int_equal(diag_verbosity(), 0);
	assert_true(diag_shows(DIAG_NOTE));
	assert_false(diag_shows(DIAG_INFO));
	diag_set_verbosity(2);
	assert_int_equal(diag_verbosity(), 2);
	assert_true(diag_shows(DIAG_DEBUG));
	assert_false(diag_shows(DIAG_TRACE));
	diag_set_verbosity(-7);
	assert_int_equal(diag_verbosity(), 0);
	diag_set_verbosity(99);
	assert_int_equal(diag_verbosity(), 3);
	diag_set_verbosity(0);
}

static void run_long_line(void)
{
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	diag(DIAG_ERROR, "%s", text);
	diag(DIAG_ERROR, "next");
}

static void test_long_line(void **state)
{
	struct child c;
	const char *newline;

	(void)state;
	assert_true(child_run(&c, run_long_line));
	newline = strchr(c.text, '\n');
	assert_non_null(newline);
	assert_in_range(newline - c.text, 900, 1023);
	check_matches(newline + 1, STAMP "error main: next\n$");
}

static void *write_lines(void *arg)
{
	diag_set_thread(arg);
	for (int i = 0; i < 25; i++) {
		diag(DIAG_NOTE, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	}
	return NULL;
}

static void run_threads(void)
{
	static char names[4][2] = { "p", "q", "r", "s" };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, write_lines, names[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
}

/* Lines of several threads do not mix, and carry their thread's name. */
static void test_threads(void **state)
{
	struct child c;
	int counts[4] = { 0 };
	char *line;
	char *rest;

	(void)state;
	assert_true(child_run(&c, run_threads));
	for (line = strtok_r(c.text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		check_matches(line, STAMP "note [p-s]: a{42}$");
		counts[line[29] - 'p']++;
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(counts[i], 25);
	}
}

static void run_closed_stderr(void)
{
	close(STDERR_FILENO);
	diag(DIAG_ERROR, "nobody hears");
	_exit(7);
}

/* Standard error that is gone costs a line, not the process. */
static void test_closed_stderr(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_closed_stderr));
	assert_true(WIFEXITED(c.status));
	assert_int_equal(WEXITSTATUS(c.status), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_verbosity),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_closed_stderr),
	};

	return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}
