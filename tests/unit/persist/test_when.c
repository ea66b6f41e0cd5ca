/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Moments as people write them: each form, in a zone with summer time, and
 * what is no moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "persist/when.h"

/* Central Europe, by rule: no file of zones is needed. */
static int use_berlin(void **state)
{
	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static void reads(const char *text, uint32_t expected)
{
	uint32_t t = 0;
	const char *why = when_parse(text, &t);

	if (why != NULL) {
		fail_msg("%s: %s", text, why);
	}
	assert_int_equal(t, expected);
}

static void refuses(const char *text, const char *words)
{
	uint32_t t = 0;
	const char *why = when_parse(text, &t);

	if (why == NULL) {
		fail_msg("'%s' was taken for %u", text, t);
	}
	if (strstr(why, words) == NULL) {
		fail_msg("'%s': '%s' does not say '%s'", text, why, words);
	}
}

static void test_forms(void **state)
{
	(void)state;
	reads("0", 0);
	reads("1795666500", 1795666500);
	reads("4294967294", 4294967294);
	reads("2026-11-26T04:15:00Z", 1795666500);
	reads("2026-11-26 04:15:00Z", 1795666500);
	reads("2026-11-26 05:15:00", 1795666500);
	reads("2026-11-26T05:15:00", 1795666500);
	reads("2026-07-01 14:00:00", 1782907200);
	reads("2024-02-29T00:00:00Z", 1709164800);
	reads("1970-01-01T00:00:00Z", 0);
}

static void test_no_moments(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"now",
		"-1",
		"+1",
		"1795666500 ",
		"0x6b0",
		"2026-11-26",
		"2026-11-26 04:15",
		"2026-11-26 04:15:00 ",
		"2026-11-26 04:15:00z",
		"2026-11-26T04:15:00+01:00",
		"2026/11/26 04:15:00",
		"26-11-2026 04:15:00",
		"2026-11-26_04:15:00",
		"2026-11-2x 04:15:00",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuses(bad[i], "2026-11-26 04:15:00");
	}
	refuses("4294967295", "more seconds");
	refuses("99999999999999999999", "more seconds");
	refuses("2026-02-30 00:00:00", "no such");
	refuses("2026-13-01 00:00:00", "no such");
	refuses("2026-11-26 24:00:00", "no such");
	refuses("2026-11-26 04:60:00", "no such");
	refuses("2026-00-10 04:10:00", "no such");
	/* The hour that summer time skips. */
	refuses("2026-03-29 02:30:00", "no such");
	/* The hour that comes twice, and its ends. */
	refuses("2026-10-25 02:30:00", "came twice");
	refuses("2026-10-25 02:00:00", "came twice");
	refuses("2026-10-25T02:59:59", "came twice");
	reads("2026-10-25 01:59:59", 1792886399);
	reads("2026-10-25 03:00:00", 1792893600);
	reads("2026-10-25T00:30:00Z", 1792888200);
	refuses("1960-01-01T00:00:00Z", "out of range");
	refuses("2200-01-01T00:00:00Z", "out of range");
}

static void test_what_is_shown_is_read(void **state)
{
	char text[WHEN_SIZE];
	unsigned twice = 0;
	uint32_t other;

	(void)state;
	assert_string_equal(when_local(text, 1795666500),
			    "2026-11-26 05:15:00");
	assert_string_equal(when_utc(text, 1795666500), "2026-11-26T04:15:00Z");
	for (uint32_t t = 0; t < UINT32_MAX - 5000011; t += 5000011) {
		reads(when_utc(text, t), t);
		if (when_parse(when_local(text, t), &other) != NULL) {
			refuses(text, "came twice");
			twice++;
		} else {
			assert_int_equal(other, t);
		}
	}
	assert_true(twice < 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_no_moments),
		cmocka_unit_test(test_what_is_shown_is_read),
	};

	return cmocka_run_group_tests(tests, use_berlin, NULL);
}
