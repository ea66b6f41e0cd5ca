/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is written about the options agrees with the table of options: each
 * has one row in docs/OPTIONS.md, word for word, and there is no other row.
 * The licence in the program is that of the file.
 *
 * A row that is missing is printed, ready to be put into the page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/licence.h"
#include "cmd/options.h"

enum { ROW_ROOM = 512 };

/* This file's own name, as the compiler was given it, leads to the root. */
static char *read_file(const char *name)
{
	const char *self = __FILE__;
	const char *inside = strstr(self, "tests/unit/cmd/");
	char path[1024];
	char *text = NULL;
	size_t len = 0;
	FILE *file;

	assert_non_null(inside);
	snprintf(path, sizeof(path), "%.*s%s", (int)(inside - self), self,
		 name);
	file = fopen(path, "r");
	if (file == NULL) {
		fail_msg("cannot read %s: run the test in the folder of its "
			 "build",
			 path);
	}
	if (getdelim(&text, &len, '\0', file) <= 0) {
		fail_msg("%s is empty", path);
	}
	fclose(file);
	return text;
}

/* | `-p`, `--port` | `<num>` | TCP port to listen on ... | */
static void format_row(const struct option_entry *e, char *row)
{
	size_t at = 0;

	at += (size_t)snprintf(row + at, ROW_ROOM - at, "| ");
	if (e->letter != '\0') {
		at += (size_t)snprintf(row + at, ROW_ROOM - at, "`-%c`",
				       e->letter);
	}
	if (e->name != NULL) {
		at += (size_t)snprintf(row + at, ROW_ROOM - at, "%s`%s%s`",
				       e->letter != '\0' ? ", " : "",
				       e->home == OPTION_FLAG ? "--" : "",
				       e->name);
	}
	at += (size_t)snprintf(row + at, ROW_ROOM - at, " | ");
	if (e->value_name != NULL) {
		at += (size_t)snprintf(row + at, ROW_ROOM - at, "`%s` ",
				       e->value_name);
	}
	snprintf(row + at, ROW_ROOM - at, "| %s |\n", e->help);
	for (char *c = strchr(row, '\n'); c[1] != '\0'; c = strchr(c, '\n')) {
		*c = ' ';
	}
}

static bool depends_on_the_build(const struct option_entry *e)
{
	return e->name != NULL && strcmp(e->name, "relaxed_privileges") == 0;
}

static void test_each_option_has_its_row(void **state)
{
	char *page = read_file("docs/OPTIONS.md");
	int missing = 0;

	(void)state;
	for (size_t i = 0; i < option_count; i++) {
		char row[ROW_ROOM];
		const char *found;

		if (depends_on_the_build(&option_table[i])) {
			continue;
		}
		format_row(&option_table[i], row);
		found = strstr(page, row);
		if (found == NULL || strstr(found + 1, row) != NULL) {
			fputs(row, stderr);
			missing++;
		}
	}
	free(page);
	assert_int_equal(missing, 0);
}

static void test_no_other_rows(void **state)
{
	char *page = read_file("docs/OPTIONS.md");
	size_t rows = 0;

	(void)state;
	for (const char *at = page; (at = strstr(at, "\n| `")) != NULL; at++) {
		rows++;
	}
	free(page);
	assert_int_equal(rows, option_count);
}

static void test_licence(void **state)
{
	char *file = read_file("LICENSE");

	(void)state;
	assert_string_equal(file, licence_text);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_option_has_its_row),
		cmocka_unit_test(test_no_other_rows),
		cmocka_unit_test(test_licence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
