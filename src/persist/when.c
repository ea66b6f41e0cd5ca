/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading is strict: a date that mktime() would repair, such as the 31st of
 * February or an hour that summer time skips, is refused.  Whoever restores
 * to a moment must not get another one.  So is an hour that comes twice, when
 * clocks are set back, without saying which.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "persist/when.h"

const char *when_local(char *to, uint32_t t)
{
	time_t seconds = (time_t)t;
	struct tm parts;

	if (localtime_r(&seconds, &parts) == NULL ||
	    strftime(to, WHEN_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
		memcpy(to, "?", 2);
	}
	return to;
}

const char *when_utc(char *to, uint32_t t)
{
	time_t seconds = (time_t)t;
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL ||
	    strftime(to, WHEN_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
		memcpy(to, "?", 2);
	}
	return to;
}

static bool has_form(const char *text, const char *form)
{
	for (; *form != '\0'; text++, form++) {
		bool fits = *form == 'd' ? isdigit((unsigned char)*text) != 0 :
			    *form == ' ' ? *text == ' ' || *text == 'T' :
					   *text == *form;

		if (!fits) {
			return false;
		}
	}
	return true;
}

static int number(const char *digits, size_t len)
{
	uint32_t n = 0;

	return num_parse_u32(digits, len, &n) ? (int)n : 0;
}

static bool same_moment(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon &&
	       a->tm_mday == b->tm_mday && a->tm_hour == b->tm_hour &&
	       a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* Was there another moment at which the clock on the wall showed this? */
static bool comes_twice(time_t t, const struct tm *shown)
{
	/* By how much clocks are set back somewhere. */
	static const int steps[] = { 1800, 3600, 7200 };
	const size_t count = sizeof(steps) / sizeof(steps[0]);

	for (size_t i = 0; i < 2 * count; i++) {
		int step = steps[i / 2];
		time_t other = i % 2 == 0 ? t + step : t - step;
		struct tm parts;

		if (localtime_r(&other, &parts) != NULL &&
		    same_moment(shown, &parts)) {
			return true;
		}
	}
	return false;
}

static const char *parse_date(const char *text, bool utc, uint32_t *out)
{
	struct tm given = {
		.tm_year = number(text, 4) - 1900,
		.tm_mon = number(text + 5, 2) - 1,
		.tm_mday = number(text + 8, 2),
		.tm_hour = number(text + 11, 2),
		.tm_min = number(text + 14, 2),
		.tm_sec = number(text + 17, 2),
		.tm_isdst = -1,
	};
	struct tm parts = given;
	time_t t = utc ? timegm(&parts) : mktime(&parts);

	if (!same_moment(&given, &parts)) {
		return "there is no such date and time";
	}
	if (t < 0 || t >= (time_t)UINT32_MAX) {
		return "the year is out of range";
	}
	if (!utc && comes_twice(t, &given)) {
		return "clocks were set back, and that time came twice: say "
		       "which, as 2026-11-26T04:15:00Z";
	}
	*out = (uint32_t)t;
	return NULL;
}

const char *when_parse(const char *text, uint32_t *out)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd";
	size_t len = strlen(text);
	bool utc = len == sizeof(form) && text[len - 1] == 'Z';

	if (len > 0 && strspn(text, "0123456789") == len) {
		return num_parse_u32(text, len, out) && *out < UINT32_MAX ?
			       NULL :
			       "more seconds than the clock has";
	}
	if ((len == sizeof(form) - 1 || utc) && has_form(text, form)) {
		return parse_date(text, utc, out);
	}
	return "Unix seconds, or as 2026-11-26 04:15:00 (local time) or "
	       "2026-11-26T04:15:00Z";
}
