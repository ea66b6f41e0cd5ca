/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A command line for a test, written as one text with blanks between words.
 */
#ifndef DOZO_TEST_ARGUMENTS_H
#define DOZO_TEST_ARGUMENTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

enum { ARGUMENTS_ROOM = 4096, ARGUMENTS_MAX = 512 };

struct arguments {
	char program[8];
	char text[ARGUMENTS_ROOM];
	char *argv[ARGUMENTS_MAX + 1];
	int argc;
};

static inline void arguments_split(struct arguments *a, const char *text)
{
	char *at = a->text;

	assert_true(strlen(text) < sizeof(a->text));
	memcpy(a->text, text, strlen(text) + 1);
	memcpy(a->program, "dozo", 5);
	a->argc = 0;
	a->argv[a->argc++] = a->program;
	while (*(at += strspn(at, " ")) != '\0') {
		assert_true(a->argc < ARGUMENTS_MAX);
		a->argv[a->argc++] = at;
		at += strcspn(at, " ");
		if (*at != '\0') {
			*at++ = '\0';
		}
	}
	a->argv[a->argc] = NULL;
}

#endif
