/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a process: never with status 0, never without a reason.
 */
#include <pthread.h>
#include <signal.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "child.h"

static void check_aborted(const struct child *c)
{
	assert_true(WIFSIGNALED(c->status));
	assert_int_equal(WTERMSIG(c->status), SIGABRT);
}

/* Lines that are a stack: "program(function+0x..) [0x..]". */
static int count_frames(const char *text)
{
	int frames = 0;

	for (const char *at = strstr(text, "[0x"); at != NULL;
	     at = strstr(at + 1, "[0x")) {
		frames++;
	}
	return frames;
}

static void run_check(void)
{
	int one = 1;

	check(one == 1);
	check(one + 1 == 3);
}

static void test_check_fails(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_check));
	check_aborted(&c);
	assert_int_equal(
		strncmp(c.text, "panic: check failed: one + 1 == 3 (", 35), 0);
	assert_non_null(strstr(c.text, "test_check.c:"));
	assert_true(count_frames(c.text) >= 2);
}

static void run_good_checks(void)
{
	check(1 == 1);
}

static void test_check_holds(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_good_checks));
	assert_true(WIFEXITED(c.status));
	assert_int_equal(WEXITSTATUS(c.status), 0);
	assert_string_equal(c.text, "");
}

static void report(void *arg, int fd)
{
	dprintf(fd, "state: %s\n", (const char *)arg);
}

static void run_panic_report(void)
{
	char *first = "first";
	char *second = "second";

	panic_prepare();
	panic_set_report(report, first);
	panic_set_report(report, second);
	panic("disk %d is %s", 7, "on fire");
}

static void test_report(void **state)
{
	static const char head[] = "panic: disk 7 is on fire\n"
				   "state: second\n";
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_panic_report));
	check_aborted(&c);
	assert_int_equal(strncmp(c.text, head, sizeof(head) - 1), 0);
	assert_true(count_frames(c.text) >= 2);
}

static void run_panic_without_report(void)
{
	panic_set_report(report, "gone");
	panic_set_report(NULL, NULL);
	panic("alone");
}

static void test_report_removed(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_panic_without_report));
	check_aborted(&c);
	assert_null(strstr(c.text, "state:"));
}

static void run_long_panic(void)
{
	char reason[2000];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	panic("%s", reason);
}

/* A long reason is cut, not lost. */
static void test_long_reason(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_long_panic));
	check_aborted(&c);
	assert_int_equal(strncmp(c.text, "panic: xxxx", 11), 0);
	assert_int_equal(strspn(c.text + 7, "x"), 511);
	assert_int_equal(c.text[7 + 511], '\n');
}

static pthread_barrier_t barrier;

static void *panic_together(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&barrier);
	panic("all of us");
}

static void run_panics(void)
{
	pthread_t threads[4];

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, panic_together, NULL);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
}

/* Of several panics at once, one is reported. */
static void test_first_wins(void **state)
{
	struct child c;
	const char *first;

	(void)state;
	assert_true(child_run(&c, run_panics));
	check_aborted(&c);
	first = strstr(c.text, "panic: all of us\n");
	assert_non_null(first);
	assert_null(strstr(first + 1, "panic: all of us\n"));
}

static void run_stack(void)
{
	panic_prepare();
	panic_write_stack(STDERR_FILENO);
}

static void test_stack(void **state)
{
	struct child c;

	(void)state;
	assert_true(child_run(&c, run_stack));
	assert_true(WIFEXITED(c.status));
	assert_true(count_frames(c.text) >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_fails),
		cmocka_unit_test(test_check_holds),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_report_removed),
		cmocka_unit_test(test_long_reason),
		cmocka_unit_test(test_first_wins),
		cmocka_unit_test(test_stack),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
